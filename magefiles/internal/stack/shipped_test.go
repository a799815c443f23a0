package stack

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestInitWritesTheFilesAndNeverOverOthers(t *testing.T) {
	files := fstest.MapFS{"kind/cluster.yaml": {Data: []byte("a")}, "manifests/b.yaml": {Data: []byte("b")}, "manifests/deep/c.yaml": {Data: []byte("c")}, "crds/standard/d.yaml": {}}
	dir := t.TempDir()
	if err := initFolder(dir, files); err != nil {
		t.Fatal(err)
	}
	var written []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if !entry.IsDir() {
			written = append(written, path)
		}
		return err
	})
	if got := strings.Join(written, " "); err != nil || got != "kind/cluster.yaml manifests/b.yaml manifests/deep/c.yaml" {
		t.Errorf("%v: %s", err, got)
	}
	if err := initFolder(dir, files); err == nil || !strings.Contains(err.Error(), "kind/ and manifests/ is here already") {
		t.Error(err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "manifests"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := initFolder(dir, files); err == nil || !strings.Contains(err.Error(), "manifests/ is here already; nothing was written") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "kind")); err == nil {
		t.Error("kind/ was written all the same")
	}
	dir = t.TempDir()
	if err := initFolder(dir, unreadable{files}); err == nil {
		t.Error("a file that cannot be written is no error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a part of the files is left, which would be taken for all: %v, %v", left, err)
	}
	if err := initFolder(t.TempDir(), nil); err == nil {
		t.Error("a program that brings no files has written some")
	}
}

// unreadable are files of which one cannot be read.
type unreadable struct{ fs.FS }

func (u unreadable) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "c.yaml") {
		return nil, fs.ErrPermission
	}
	return u.FS.Open(name)
}
