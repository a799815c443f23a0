package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"kindgate/magefiles/internal/limits"
)

// replace exchanges file with the one at path, whose content was old when it was last read, and removes what it has displaced. Where that has
// another content, as somebody has written it in that moment, it is put back, and replace returns false. A file system that cannot exchange
// files, or a path at which there is none, gets a plain rename. See https://www.man7.org/linux/man-pages/man2/rename.2.html.
func replace(file, path string, old []byte) (bool, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	given, there := content, old
	for range attempts {
		if unix.Renameat2(unix.AT_FDCWD, file, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
			err := os.Rename(file, path)
			return err == nil && bytes.Equal(given, content), err
		}
		displaced, err := readClosed(file)
		if err == nil && bytes.Equal(displaced, there) {
			return bytes.Equal(given, content), os.Remove(file)
		}
		given, there = displaced, given // what was written last gets its name back
	}
	return false, nil
}

// readClosed reads a file when those have closed it who had opened it to write it: until then, a read lease on it is refused. See
// https://www.man7.org/linux/man-pages/man2/F_GETLEASE.2const.html.
func readClosed(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for deadline := time.Now().Add(limits.OpenWriter); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_RDLCK); !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return io.ReadAll(file)
}
