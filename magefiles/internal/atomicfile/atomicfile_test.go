package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func put(t *testing.T, path, content string, mode fs.FileMode) {
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

// writePrivate is what EditPrivate does with content.
func writePrivate(path string, content []byte) error {
	return write(path, content, private, os.Rename)
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
	put(t, old, "before", 0o640)
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
	put(t, path, "before", 0o600)
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
			put(t, target, "before", 0o600)
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
		put(t, path, "before", 0o444)
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
		put(t, path, before, 0o644)
		if err := overwrite(path, []byte("what follows"), 0o644); err != nil {
			t.Fatal(err)
		}
		has(t, path, "what follows")
	}
}

func TestAPrivateFileIsForItsOwnerOnlyAndKeepsAStricterMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the folder decides there who may read a file")
	}
	for before, after := range map[fs.FileMode]fs.FileMode{0: 0o600, 0o666: 0o600, 0o640: 0o600, 0o755: 0o600, 0o600: 0o600, 0o200: 0o200} {
		for name, write := range map[string]func(string) error{
			"replaced":     func(path string) error { return writePrivate(path, []byte("secret")) },
			"written over": func(path string) error { return overwrite(path, []byte("secret"), after) },
		} {
			path := filepath.Join(t.TempDir(), "file")
			if before != 0 {
				put(t, path, "before", before)
			} else if name == "written over" {
				continue
			}
			if err := write(path); err != nil {
				t.Fatal(err)
			}
			if info, _ := os.Stat(path); info.Mode().Perm() != after {
				t.Errorf("%s: mode %o became %o", name, before, info.Mode().Perm())
			}
		}
	}
}

func TestALinkToALinkIsFollowedToTheFileThatIsStillToBeMade(t *testing.T) {
	dir := t.TempDir()
	for link, target := range map[string]string{"first": "sub/second", "sub": "real", "real/second": "../made"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "real"), 0o755), os.Symlink(target, filepath.Join(dir, link))); err != nil {
			t.Skip(err)
		}
	}
	if err := Write(filepath.Join(dir, "first"), []byte("after"), 0o644); err != nil {
		t.Fatal(err)
	}
	has(t, filepath.Join(dir, "made"), "after")
	alone(t, dir, "first", "made", "real", "sub")
	alone(t, filepath.Join(dir, "real"), "second")
}

func TestAPathAtWhichNoFileCanBeIsAnErrorThatNamesItAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "before", 0o644)
	if err := errors.Join(os.Symlink("b", filepath.Join(dir, "a")), os.Symlink("a", filepath.Join(dir, "b"))); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{"file/below", "file/", "new/", "a", "no/file"} {
		path = dir + "/" + path
		for _, err := range []error{Write(path, nil, 0o644), writePrivate(path, nil)} {
			if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), ".file.") {
				t.Errorf("%s: %v", path, err)
			}
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := Write("", nil, 0o644); err == nil || !strings.Contains(err.Error(), "the path is empty") {
		t.Error(err)
	}
	alone(t, dir, "a", "b", "file")
	has(t, filepath.Join(dir, "file"), "before")
}

// refused sees that neither reading nor writing touches what is at path, nor waits for it.
func refused(t *testing.T, dir, name, what string) {
	t.Helper()
	path := filepath.Join(dir, name)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	_, read := Read(path)
	_, readFS := fs.ReadFile(DirFS(dir), name)
	for i, err := range []error{Write(path, []byte("after"), 0o644), writePrivate(path, []byte("after")), read, readFS} {
		var other *NotRegular
		if !errors.As(err, &other) || !strings.Contains(err.Error(), name+" is "+what+": ") {
			t.Errorf("call %d, %s: %v", i, what, err)
		}
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() {
		t.Errorf("%s: %v, it was replaced", what, err)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("%s: it took %s", what, took)
	}
}

func TestWhatIsNoFileIsNeitherReadNorReplacedAlsoBehindALink(t *testing.T) {
	for what, make := range special {
		t.Run(what, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "f") // short, as a socket's path must be
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			make(t, filepath.Join(dir, "it"))
			refused(t, dir, "it", what)
			if err := os.Symlink("it", filepath.Join(dir, "link")); err != nil {
				t.Skip(err)
			}
			refused(t, dir, "link", what)
			alone(t, dir, "it", "link")
		})
	}
}

func TestTheNullDeviceIsEmptyAndStaysAsItIs(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{os.DevNull, link} {
		if content, err := Read(path); len(content) > 0 || err != nil || !IsNull(path) {
			t.Errorf("%s: %q, %v", path, content, err)
		}
		if _, _, err := resolve(path); !errors.As(err, new(*NotRegular)) { // what would stop a write, were it not for IsNull
			t.Fatal(err)
		}
		before, _ := os.Stat(path)
		if err := errors.Join(Write(path, []byte("after"), 0o644), writePrivate(path, []byte("after"))); err != nil {
			t.Error(err)
		}
		if after, err := os.Stat(path); err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s: %v, %v", path, after, err)
		}
	}
	if IsNull(filepath.Dir(link)) || IsNull(filepath.Join(filepath.Dir(link), "nothing")) {
		t.Error("what is not the null device is taken for it")
	}
}

func TestAFileWithoutAnEndIsAnErrorAndNotReadWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	put(t, path, "", 0o644)
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip(err) // a file system without holes
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path+" has more than 64 MiB") {
		t.Error(err)
	}
}

func TestAFolderOfFilesIsReadAsByOsDirFS(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), "content", 0o644)
	if err := fstest.TestFS(DirFS(dir), "file"); err != nil {
		t.Error(err)
	}
}

func TestAnEditKeepsWhatOthersWriteMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	put(t, path, "one\n", 0o600)
	calls := 0
	add := func(old []byte) ([]byte, error) {
		if calls++; calls == 1 {
			put(t, path, string(old)+"theirs\n", 0o600)
		}
		return append(slices.Clone(old), "ours\n"...), nil
	}
	if changed, err := Edit(path, 0o600, add); !changed || err != nil {
		t.Error(changed, err)
	}
	has(t, path, "one\ntheirs\nours\n")
	always := func(old []byte) ([]byte, error) {
		put(t, path, string(old)+"more\n", 0o600)
		return nil, nil
	}
	if changed, err := Edit(path, 0o600, always); changed || err == nil || !strings.Contains(err.Error(), path+" is being changed by somebody else") {
		t.Error(changed, err)
	}
	alone(t, filepath.Dir(path), "file")
	for _, edit := range []func([]byte) ([]byte, error){
		func(old []byte) ([]byte, error) { return old, nil },
		func([]byte) ([]byte, error) { return nil, fs.ErrInvalid },
	} {
		before, _ := os.ReadFile(path)
		if changed, _ := Edit(path, 0o600, edit); changed {
			t.Error("changed")
		}
		has(t, path, string(before))
	}
}
