// Package atomicfile reads files that users name, and replaces the whole content of one so that a reader, or a crash, finds the old content
// or the new one. What is not a regular file it neither reads nor replaces.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// NotRegular is the error for a path at which there is something else than a regular file.
type NotRegular struct {
	Path string
	Mode fs.FileMode // what is there
}

// Error says what is there.
func (e *NotRegular) Error() string {
	return fmt.Sprintf("%s is %s: it must be a regular file", e.Path, kind(e.Mode))
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}

// IsNull tells whether path is os.DevNull, or a link to it. As a file to write it means "write nothing": Read finds it empty, and Write
// leaves it as it is. Another device of the same kind is not meant.
func IsNull(path string) bool {
	if path == os.DevNull {
		return true
	}
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, null)
}

// largest is more than any file has that a person writes. Some of the kernel's files call themselves regular and have no end.
const largest = 64 << 20

// Read returns the content of the file at path, at once: a named pipe or device is not waited for, but a *NotRegular, as is a folder.
// Files of more than 64 MiB are an error.
func Read(path string) ([]byte, error) {
	if IsNull(path) {
		return nil, nil
	}
	file, err := open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, largest+1))
	if len(content) > largest {
		return nil, fmt.Errorf("%s has more than %d MiB", path, largest>>20)
	}
	return content, err
}

// open opens a regular file. It is looked at before, as opening alone makes some devices act, and again when it is open.
func open(path string, flag int) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &NotRegular{path, info.Mode()}
	}
	file, err := os.OpenFile(path, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = &NotRegular{path, info.Mode()}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// DirFS is os.DirFS, whose files are read by Read.
func DirFS(dir string) fs.FS { return dirFS{os.DirFS(dir).(folder), dir} }

type folder interface {
	fs.StatFS
	fs.ReadDirFS
}

type dirFS struct {
	folder
	dir string
}

// ReadFile makes dirFS an fs.ReadFileFS.
func (d dirFS) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	content, err := Read(filepath.Join(d.dir, filepath.FromSlash(name)))
	if other := (*NotRegular)(nil); errors.As(err, &other) {
		err = &NotRegular{name, other.Mode}
	}
	return content, err
}

// Write replaces the content of the file at path, through a temporary file beside it and a rename. A file that is there keeps its mode
// and, where the system lets us, its owner and extended attributes; a new one gets mode. A symbolic link stays: the file it leads to is replaced. A hard link of
// another name keeps the old content. The error is a *NotRegular where something else than a regular file is in the way, and
// fs.ErrPermission where the file is read-only or this user may not write it; the path is then as it was.
func Write(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, keeping(mode), os.Rename)
}

// keeping is the mode of a file that is there, and mode for a new one.
func keeping(mode fs.FileMode) func(fs.FileInfo) fs.FileMode {
	return func(old fs.FileInfo) fs.FileMode {
		if old != nil {
			return old.Mode().Perm()
		}
		return mode
	}
}

// attempts is how often an edit is made anew when somebody else writes the file in between.
const attempts = 10

// Edit replaces the content of the file at path, empty where there is none, by what change makes of it, as Write does. It returns false where
// that is the same. Where others have written the file since it was read, change is given what they have written. On Linux that holds up to
// the moment of the exchange, elsewhere up to the one before.
func Edit(path string, mode fs.FileMode, change func(old []byte) ([]byte, error)) (changed bool, err error) {
	return edit(path, keeping(mode), change)
}

// EditPrivate is Edit for what only the owner may read: a new file gets mode 0600, and one that is there keeps no more than that.
func EditPrivate(path string, change func(old []byte) ([]byte, error)) (changed bool, err error) {
	return edit(path, private, change)
}

func private(old fs.FileInfo) fs.FileMode {
	if old != nil {
		return old.Mode().Perm() & 0o600
	}
	return 0o600
}

func edit(path string, modeOf func(fs.FileInfo) fs.FileMode, change func(old []byte) ([]byte, error)) (changed bool, err error) {
	errChanged := fmt.Errorf("%s is being changed by somebody else all the time; run again later", path)
	for range attempts {
		old, err := ReadIfThere(path)
		if err != nil {
			return false, err
		}
		content, err := change(old)
		if err != nil || bytes.Equal(old, content) {
			return false, err
		}
		err = write(path, content, modeOf, func(temporary, target string) error {
			now, err := ReadIfThere(target)
			if err != nil {
				return err
			}
			replaced := bytes.Equal(now, old)
			if replaced {
				replaced, err = replace(temporary, target, old)
			}
			if err == nil && !replaced {
				err = errChanged
			}
			return err
		})
		if !errors.Is(err, errChanged) {
			return err == nil, err
		}
	}
	return false, errChanged
}

// ReadIfThere is Read, where no file is an empty one.
func ReadIfThere(path string) ([]byte, error) {
	content, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// write asks modeOf, with nil for a file that is still to be made, for the mode that the file gets, and has put give the complete new file
// the name of the one that it replaces.
func write(path string, content []byte, modeOf func(old fs.FileInfo) fs.FileMode, put func(file, target string) error) (err error) {
	if IsNull(path) {
		return nil
	}
	named := path
	defer func() {
		if err != nil {
			err = about(named, err)
		}
	}()
	path, old, err := resolve(path)
	if err != nil {
		return err
	}
	mode := modeOf(old)
	if old != nil && mode&0o200 == 0 {
		return fs.ErrPermission // read-only is the owner's word, which a rename would not heed
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
	given := mode
	if old != nil {
		given = keepAttributes(path, temporary.Name(), old.Mode().Perm(), mode)
	}
	if err := temporary.Chmod(given); err != nil && !errors.Is(err, errors.ErrUnsupported) {
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
	err = put(temporary.Name(), path)
	if busy(err) {
		_ = os.Remove(temporary.Name())
		return overwrite(path, content, mode)
	}
	return err
}

// resolve follows symbolic links to the file that is to be replaced, or made: then old is nil.
func resolve(path string) (target string, old fs.FileInfo, err error) {
	if path == "" {
		return "", nil, errors.New("the path is empty")
	}
	if os.IsPathSeparator(path[len(path)-1]) {
		return "", nil, &NotRegular{path, fs.ModeDir}
	}
	old, err = os.Stat(path)
	if err == nil {
		if !old.Mode().IsRegular() {
			return "", nil, &NotRegular{path, old.Mode()}
		}
		target, err = filepath.EvalSymlinks(path)
		return target, old, err
	}
	link, notLink := os.Readlink(path)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return "", nil, err
	case notLink != nil:
		return path, nil, nil
	case filepath.IsAbs(link):
		return resolve(link)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return resolve(filepath.Join(dir, link))
}

// about is err with the path that the user knows, in place of a temporary file's or a link's target.
func about(path string, err error) error {
	var other *NotRegular
	var atPath *fs.PathError
	var atRename *os.LinkError
	switch {
	case errors.As(err, &other):
		return err
	case errors.As(err, &atPath):
		err = atPath.Err
	case errors.As(err, &atRename):
		err = atRename.Err
	}
	return &fs.PathError{Op: "write", Path: path, Err: err}
}

// overwrite writes over a file that is a mount of its own, as a container's /etc/hosts is, and so cannot be replaced. At no moment is it
// shorter than both contents, or has the new content under a mode that is not meant for it. Room for what is longer is taken first, by empty
// lines after the old content, and where something fails, the old content is put back.
func overwrite(path string, content []byte, mode fs.FileMode) error {
	old, _ := Read(path) // what may only be written cannot be put back
	file, err := open(path, os.O_WRONLY)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm() != mode {
		if err := file.Chmod(mode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	size := info.Size()
	_, err = file.WriteAt(bytes.Repeat([]byte("\n"), max(len(content)-int(size), 0)), size)
	if err == nil {
		err = file.Sync() // a disk that is elsewhere may say only now that it is full
	}
	if err == nil {
		_, err = file.WriteAt(content, 0)
	}
	if err != nil {
		_, _ = file.WriteAt(old[:min(len(content), len(old))], 0)
		_ = file.Truncate(size)
		if now, _ := Read(path); !bytes.Equal(now, old) {
			return fmt.Errorf("%v; what was there before could not be put back as a whole", err)
		}
		return err
	}
	if err := file.Truncate(int64(len(content))); err != nil {
		return err
	}
	return file.Sync()
}
