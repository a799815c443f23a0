//go:build linux || darwin

package atomicfile

import (
	"strings"

	"golang.org/x/sys/unix"
)

// keepAttributes gives a new file the extended attributes of the one that it replaces, as far as this user may: without its SELinux label,
// confined programs could not read a hosts file any more. Access lists are left out: one may give more than the file's new mode. See
// https://www.man7.org/linux/man-pages/man7/xattr.7.html.
func keepAttributes(from, to string) {
	size, err := unix.Listxattr(from, nil)
	if err != nil || size <= 0 {
		return
	}
	names := make([]byte, size)
	if size, err = unix.Listxattr(from, names); err != nil {
		return
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:size]), "\x00"), "\x00") {
		size, err := unix.Getxattr(from, name, nil)
		if err != nil || strings.HasPrefix(name, "system.") {
			continue
		}
		value := make([]byte, size)
		if size, err = unix.Getxattr(from, name, value); err == nil {
			_ = unix.Setxattr(to, name, value[:size], 0)
		}
	}
}
