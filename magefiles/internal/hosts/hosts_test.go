package hosts

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const block = "# BEGIN kindgate k\n127.0.0.1 a.localhost\n127.0.0.1 b.localhost\n# END kindgate k\n"

func TestEditKeepsEverythingButItsOwnBlock(t *testing.T) {
	names := []string{"a.localhost", "b.localhost"}
	for _, test := range []struct{ name, before, after string }{
		{"an empty file", "", block},
		{"a file without a block", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n" + block},
		{"a file without a last line end", "127.0.0.1 localhost", "127.0.0.1 localhost\n" + block},
		{"a block in the middle", "x\n# BEGIN kindgate k\nold\n# END kindgate k\ny\n", "x\n" + block + "y\n"},
		{"two blocks", block + "x\n" + block, block + "x\n"},
		{"another cluster's block", "# BEGIN kindgate other\n1.2.3.4 c\n# END kindgate other\n", "# BEGIN kindgate other\n1.2.3.4 c\n# END kindgate other\n" + block},
		{"CRLF", "127.0.0.1 localhost\r\n", "127.0.0.1 localhost\r\n" + strings.ReplaceAll(block, "\n", "\r\n")},
		{"the wanted block", "x\n" + block, "x\n" + block},
	} {
		t.Run(test.name, func(t *testing.T) {
			after, err := Edit([]byte(test.before), "k", names)
			if err != nil || string(after) != test.after {
				t.Errorf("%v, got %q, want %q", err, after, test.after)
			}
		})
	}
}

func TestEditTakesTheBlockAwayWithoutATrace(t *testing.T) {
	after, err := Edit([]byte("x\n"+block+"y\n"), "k", nil)
	if err != nil || string(after) != "x\ny\n" {
		t.Errorf("%v, %q", err, after)
	}
}

func TestABrokenFenceIsAnErrorWithItsLine(t *testing.T) {
	for _, text := range []string{"x\n# BEGIN kindgate k\n1.1.1.1 theirs\n", "x\n# END kindgate k\n", "x\n# BEGIN kindgate k\n# BEGIN kindgate k\n# END kindgate k\n"} {
		if _, err := Edit([]byte(text), "k", []string{"a"}); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSetKeepsModeAndSymbolicLinkAndIsIdempotent(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "hosts")
	if err := errors.Join(os.WriteFile(target, []byte("127.0.0.1 localhost\n"), 0o640), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	file := File{link, "k"}
	for i, want := range []bool{true, false} {
		changed, err := file.Set([]string{"a.localhost", "b.localhost"})
		if err != nil || changed != want {
			t.Fatalf("call %d: %v %v", i, changed, err)
		}
	}
	text, _ := os.ReadFile(target)
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 || string(text) != "127.0.0.1 localhost\n"+block {
		t.Errorf("%v, %q", err, text)
	}
	if info, _ := os.Stat(target); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if names, err := file.Names(); err != nil || !slices.Equal(names, []string{"a.localhost", "b.localhost"}) {
		t.Error(names, err)
	}
}

func TestSetRefusesAReadOnlyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("x\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := (File{path, "k"}).Set([]string{"a"}); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "x\n" {
		t.Errorf("%q", text)
	}
}

type resolver map[string][]string

func (r resolver) LookupHost(_ context.Context, host string) ([]string, error) {
	if addresses, ok := r[host]; ok {
		return addresses, nil
	}
	return nil, errors.New("no such host")
}

func TestUnresolvedIsWhatDoesNotLeadToLoopbackOnly(t *testing.T) {
	r := resolver{"a": {"127.0.0.1", "::1"}, "b": {"93.184.216.34"}, "c": {"127.0.0.1", "10.0.0.1"}}
	if got := Unresolved(context.Background(), r, []string{"a", "b", "c", "d"}); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Error(got)
	}
}

func FuzzEdit(f *testing.F) {
	for _, seed := range []string{"", "127.0.0.1 localhost\n", block, "x\r\n", "# BEGIN kindgate k\n", "# END kindgate k", "x\n" + block + block} {
		f.Add([]byte(seed), "a.localhost b.localhost")
	}
	f.Fuzz(func(t *testing.T, text []byte, words string) {
		var names []string
		for _, name := range strings.Fields(words) {
			if !strings.ContainsAny(name, "#\r\n") {
				names = append(names, name)
			}
		}
		after, err := Edit(text, "k", names)
		if err != nil {
			return
		}
		if outside(after) != outside(text) {
			t.Fatalf("foreign lines: %q became %q", text, after)
		}
		if again, err := Edit(after, "k", names); err != nil || !bytes.Equal(again, after) {
			t.Fatalf("not idempotent: %q became %q (%v)", after, again, err)
		}
	})
}

// outside is what is not in the block, the last line's end aside.
func outside(text []byte) string {
	var lines []string
	inside := false
	for line := range strings.Lines(string(text)) {
		switch strings.TrimSpace(line) {
		case begin("k"):
			inside = true
		case end("k"):
			inside = false
		default:
			if !inside {
				lines = append(lines, line)
			}
		}
	}
	return strings.TrimRight(strings.Join(lines, ""), "\r\n")
}
