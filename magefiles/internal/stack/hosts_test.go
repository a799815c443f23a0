package stack

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/ui"
)

// A user who may not write the file is told a command: what it leaves must be what the target would have written.
func TestThePrintedHostsCommandLeavesWhatTheTargetWouldHaveWritten(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is one of PowerShell's")
	}
	const old = "# BEGIN kindgate k\n127.0.0.1 old.test\n# theirs\n127.0.0.1 theirs.test # too\n# END kindgate k\n"
	for _, before := range []string{"127.0.0.1 localhost\n", "10.2.3.4 nas", "", old, "10.0.0.1 a\n" + old + "10.2.3.4 nas",
		strings.ReplaceAll("10.0.0.1 a\n"+old, "\n", "\r\n")} {
		for _, names := range [][]string{{"shop.test", "new.test"}, nil} {
			path := filepath.Join(t.TempDir(), "it's a hosts file")
			if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
			first := len(hosts.Block([]byte(before), "k")) == 0
			if first && names == nil {
				continue
			}
			n := &hostNames{file: hosts.File{Path: path, Cluster: "k"}}
			command := strings.ReplaceAll(n.command(names, first), "sudo ", "")
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := hosts.Block(after, "k"); strings.Join(got, " ") != strings.Join(names, " ") {
				t.Errorf("%q: the block has %q after %s:\n%s", before, got, command, after)
			}
			rest, err := hosts.Edit(after, "k", nil)
			wanted, _ := hosts.Edit([]byte(before), "k", nil)
			if err != nil || strings.TrimSpace(string(rest)) != strings.TrimSpace(string(wanted)) {
				t.Errorf("%q: %v, foreign lines %q after %s", before, err, rest, command)
			}
		}
	}
}

func TestTheHostsFileIsLookedAtWhenNoOtherRunIsAtWorkOnIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	s := &session{config: Config{Cluster: "k"}, proof: &proof.Proof{}, cluster: cluster.New(cluster.Options{Name: "k", Kubeconfig: os.DevNull, Provider: "none"})}
	s.run = run.New(run.Options{UI: ui.New(io.Discard, ui.Options{}), Limit: time.Minute, Advise: advised})
	s.lock = func() error { // another run has come to its end
		return os.WriteFile(path, []byte("127.0.0.1 localhost\n# BEGIN kindgate k\n127.0.0.1 old.test\n# END kindgate k\n"), 0o644)
	}
	res, detail, err := (&hostNames{session: s, file: hosts.File{Path: path, Cluster: "k"}}).converge(t.Context())
	if err != nil || res != result.Updated || !strings.Contains(detail, "no longer old.test") {
		t.Error(res, detail, err)
	}
}

// A line in our block that looks like ours may be somebody's: whatever is taken out is said, so that it can be put elsewhere.
func TestEachNameThatIsTakenOutOfTheHostsFileIsSaid(t *testing.T) {
	const before = "# BEGIN kindgate k\n127.0.0.1 shop.test\n127.0.0.1 theirs.test\n# END kindgate k\n"
	for _, test := range []struct{ names, said string }{
		{"shop.test new.test", "2 names in FILE, no longer theirs.test"},
		{"", "no name is needed any more in FILE, no longer shop.test, theirs.test"},
	} {
		path := filepath.Join(t.TempDir(), "hosts")
		if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		n := &hostNames{file: hosts.File{Path: path, Cluster: "k"}}
		res, detail, err := n.write(strings.Fields(test.names), hosts.Block([]byte(before), "k"))
		if want := strings.ReplaceAll(test.said, "FILE", path); err != nil || res != result.Updated || detail != want {
			t.Errorf("%v: %s, %s, expected %s", err, res, detail, want)
		}
	}
}
