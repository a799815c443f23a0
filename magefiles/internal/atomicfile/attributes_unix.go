//go:build linux || darwin

package atomicfile

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// keepAttributes gives a new file the extended attributes of the one that it replaces, as far as this user may: without its SELinux label,
// confined programs could not read a hosts file any more. It returns the mode that the new file may have. Access lists are kept where that is
// the old one's mode: they may give more than another. See https://www.man7.org/linux/man-pages/man7/xattr.7.html and
// https://www.man7.org/linux/man-pages/man5/acl.5.html.
func keepAttributes(from, to string, old, mode fs.FileMode) fs.FileMode {
	size, err := unix.Listxattr(from, nil)
	if err != nil || size <= 0 {
		return mode
	}
	names := make([]byte, size)
	if size, err = unix.Listxattr(from, names); err != nil {
		return mode
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:size]), "\x00"), "\x00") {
		list := strings.HasPrefix(name, "system.")
		if list && mode != old {
			continue
		}
		if err := keepAttribute(from, to, name); err != nil && list {
			mode &^= 0o070 // what was the list's mask would be what the group may do
		}
	}
	return mode
}

func keepAttribute(from, to, name string) error {
	size, err := unix.Getxattr(from, name, nil)
	if err != nil {
		return err
	}
	value := make([]byte, size)
	if size, err = unix.Getxattr(from, name, value); err != nil {
		return err
	}
	return unix.Setxattr(to, name, value[:size], 0)
}
