package machine

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func listen(t *testing.T, address string) (net.Listener, int) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("no program can listen there: %v", err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener, listener.Addr().(*net.TCPAddr).Port
}

func TestWhoListensOnAPortIsFound(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			_, port := listen(t, address)
			holder, taken := PortHolder(t.Context(), port)
			if !taken || holder.PID != int32(os.Getpid()) || holder.Command == "" || !strings.HasPrefix(filepath.Base(os.Args[0]), holder.Command) {
				t.Errorf("%+v, %v", holder, taken)
			}
		})
	}
}

func TestAPortIsFreeWhenNobodyListens(t *testing.T) {
	listener, port := listen(t, "127.0.0.1:0")
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if holder, taken := PortHolder(t.Context(), port); taken {
		t.Errorf("%+v", holder)
	}
}

func TestAPortOfAnotherAddressIsFree(t *testing.T) {
	_, port := listen(t, "127.0.0.2:0")
	if holder, taken := PortHolder(t.Context(), port); taken {
		t.Errorf("%+v", holder)
	}
}

func TestAPortIsTakenAlsoWhereTheSystemDoesNotTellByWhom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what the system tells cannot be hidden")
	}
	listener, port := listen(t, "127.0.0.1:0")
	t.Setenv("HOST_PROC", t.TempDir()) // where gopsutil looks in place of /proc
	if holder, taken := PortHolder(t.Context(), port); !taken || holder != (Holder{}) {
		t.Errorf("%+v, %v", holder, taken)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if holder, taken := PortHolder(t.Context(), port); taken {
		t.Errorf("%+v", holder)
	}
}

func TestAHolderIsNamedAsFarAsItIsKnown(t *testing.T) {
	for holder, want := range map[Holder]string{
		{}: "a program of another user", {PID: 7}: "process 7", {PID: 7, Command: "nginx"}: "process 7 (nginx)",
	} {
		if got := holder.String(); got != want {
			t.Errorf("%+v is %q", holder, got)
		}
	}
}

func TestMemoryIsWhatAMachineCanHave(t *testing.T) {
	available, total, err := Memory(t.Context())
	if err != nil || available == 0 || available > total || total < 64<<20 || total > 1<<50 {
		t.Errorf("%d of %d bytes, %v", available, total, err)
	}
}

func TestTheDiskIsTheFoldersAndAFolderMustBeThere(t *testing.T) {
	dir := t.TempDir()
	if free, err := Disk(t.Context(), dir); err != nil || free == 0 || free > 1<<60 {
		t.Errorf("%d bytes, %v", free, err)
	}
	if free, err := Disk(t.Context(), filepath.Join(dir, "no-such")); err == nil {
		t.Errorf("%d bytes", free)
	}
}

func TestInotifyHasLimitsOnLinuxOnly(t *testing.T) {
	watches, instances, ok := Inotify()
	if linux := runtime.GOOS == "linux"; ok != linux || linux != (watches > 0 && instances > 0) {
		t.Errorf("%d watches, %d instances, %v", watches, instances, ok)
	}
}
