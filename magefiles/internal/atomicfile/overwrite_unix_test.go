//go:build linux || darwin

package atomicfile

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestMain is also the program that overwriteLimited runs: a limit is one of a whole process.
func TestMain(m *testing.M) {
	size, err := strconv.ParseUint(os.Getenv("TEST_FILE_SIZE"), 10, 64)
	if err != nil {
		os.Exit(m.Run())
	}
	signal.Ignore(syscall.SIGXFSZ) // so that write(2) fails, as where the disk is full
	err = errors.Join(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: size}),
		overwrite(os.Getenv("TEST_PATH"), []byte(os.Getenv("TEST_CONTENT")), 0o644))
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
}

// overwriteLimited calls overwrite where a file has room for no more than size bytes, and returns its error's text.
func overwriteLimited(t *testing.T, path, content string, size int) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "TEST_FILE_SIZE="+strconv.Itoa(size), "TEST_PATH="+path, "TEST_CONTENT="+content)
	out, _ := command.CombinedOutput()
	return string(out)
}

func TestAMountedFileThatCannotBeWrittenWholeIsLeftAsItIs(t *testing.T) {
	const before = "one that is there\n"
	for name, test := range map[string]struct {
		after string
		size  int
	}{
		"no room for more":     {"another, and more than that\n", len(before)},
		"little room for more": {"another, and more than that\n", len(before) + 3},
		"room for less":        {"another\n", 4}, // as where what is written over takes room anew
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hosts")
			put(t, path, before, 0o644)
			if said := overwriteLimited(t, path, test.after, test.size); !strings.Contains(said, "file too large") || strings.Contains(said, "put back") {
				t.Error(said)
			}
			has(t, path, before)
		})
	}
}
