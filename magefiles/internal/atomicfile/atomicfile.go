// Package atomicfile replaces the whole content of a file so that a reader, or a crash, finds the old content or the new one.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the content of the file at path, through a temporary file beside it and a rename. A file that is there keeps its mode
// and, where the system lets us, its owner; a new one gets mode. A symbolic link stays: the file it leads to is replaced.
func Write(path string, content []byte, mode fs.FileMode) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	} else if target, err := os.Readlink(path); err == nil { // a link to a file that is still to be made
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	old, err := os.Stat(path)
	if err == nil {
		mode = old.Mode().Perm()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil && mode&0o200 == 0 {
		return &fs.PathError{Op: "write", Path: path, Err: fs.ErrPermission} // read-only is the owner's word, which a rename would not heed
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temporary.Close()
			_ = os.Remove(temporary.Name())
		}
	}()
	if _, err := temporary.Write(content); err != nil {
		return err
	}
	if err := temporary.Chmod(mode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if old != nil {
		keepOwner(temporary.Name(), old)
	}
	if err := temporary.Sync(); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	err = os.Rename(temporary.Name(), path)
	if busy(err) {
		_ = os.Remove(temporary.Name())
		return overwrite(path, content)
	}
	return err
}

// overwrite writes over a file that is a mount of its own, as a container's /etc/hosts is, and so cannot be replaced. At no moment is it
// shorter than both contents.
func overwrite(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Truncate(int64(len(content))); err != nil {
		return err
	}
	return file.Sync()
}
