package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func has(t *testing.T, path, content string) {
	t.Helper()
	if text, err := os.ReadFile(path); err != nil || string(text) != content {
		t.Errorf("%s: %v, %q instead of %q", path, err, text, content)
	}
}

// alone sees that no temporary file was left; names are sorted.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	var found []string
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if !slices.Equal(found, names) {
		t.Errorf("%v is there instead of %v", found, names)
	}
}

func TestAFileKeepsItsModeAndANewOneGetsTheGiven(t *testing.T) {
	dir := t.TempDir()
	old, made := filepath.Join(dir, "old"), filepath.Join(dir, "made")
	write(t, old, "before", 0o640)
	for path, want := range map[string]fs.FileMode{old: 0o640, made: 0o600} {
		if err := Write(path, []byte("after"), 0o600); err != nil {
			t.Fatal(err)
		}
		has(t, path, "after")
		if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s: mode %o", path, info.Mode().Perm())
		}
	}
	alone(t, dir, "made", "old")
}

func TestWhoHasTheOldFileOpenNeverSeesAMixture(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "file"), filepath.Join(dir, "old")
	write(t, path, "before", 0o600)
	if err := os.Link(path, old); err != nil {
		t.Skip(err)
	}
	if err := Write(path, []byte("after"), 0o600); err != nil {
		t.Fatal(err)
	}
	has(t, path, "after")
	has(t, old, "before")
}

func TestASymbolicLinkStaysAndItsTargetIsReplaced(t *testing.T) {
	for _, exists := range []bool{true, false} {
		dir := t.TempDir()
		target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
		if exists {
			write(t, target, "before", 0o600)
		}
		if err := os.Symlink("target", link); err != nil {
			t.Skip(err)
		}
		if err := Write(link, []byte("after"), 0o600); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("the target exists: %v: the link was replaced by a file", exists)
		}
		has(t, target, "after")
		alone(t, dir, "link", "target")
	}
}

func TestWhatCannotBeWrittenIsLeftAsItIs(t *testing.T) {
	t.Run("read-only", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		write(t, path, "before", 0o444)
		if err := Write(path, []byte("after"), 0o644); !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
		has(t, path, "before")
		alone(t, dir, "file")
	})
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "folder", "child"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Write(filepath.Join(dir, "folder"), []byte("after"), 0o644); err == nil {
			t.Error("no error")
		}
		alone(t, dir, "folder")
	})
	t.Run("in a folder that is not there", func(t *testing.T) {
		if err := Write(filepath.Join(t.TempDir(), "no", "file"), nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}

func TestAMountedFileIsWrittenOverWithoutARemainder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	for _, before := range []string{"", "short", "one that is longer than what follows"} {
		write(t, path, before, 0o644)
		if err := overwrite(path, []byte("what follows")); err != nil {
			t.Fatal(err)
		}
		has(t, path, "what follows")
	}
}
