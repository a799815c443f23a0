package atomicfile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const accessList = "system.posix_acl_access"

// setAccessList gives a file of mode 0660 an access list: its group may only read, user 12345 may write, too.
func setAccessList(t *testing.T, path string) string {
	t.Helper()
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range []struct {
		tag, perm uint16
		id        uint32
	}{{0x01, 6, ^uint32(0)}, {0x02, 6, 12345}, {0x04, 4, ^uint32(0)}, {0x10, 6, ^uint32(0)}, {0x20, 0, ^uint32(0)}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.perm)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	if err := unix.Setxattr(path, accessList, list, 0); err != nil {
		t.Skip("this file system has no access lists: ", err)
	}
	return string(list)
}

func TestAReplacedFileKeepsItsAccessListOrTheOwnerAloneMayReadIt(t *testing.T) {
	for name, write := range map[string]func(string) error{
		"kept":    func(path string) error { return Write(path, []byte("new"), 0o644) },
		"private": func(path string) error { return writePrivate(path, []byte("new")) },
	} {
		path := filepath.Join(t.TempDir(), "file")
		put(t, path, "old", 0o600)
		want := setAccessList(t, path)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		has(t, path, "new")
		value := make([]byte, 100)
		n, err := unix.Getxattr(path, accessList, value)
		info, _ := os.Stat(path)
		if kept := err == nil && string(value[:n]) == want; kept != (name == "kept") || !kept && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, access list %x, mode %o", name, err, value[:max(n, 0)], info.Mode().Perm())
		}
	}
}

// Of a file with an access list, the group's bits of the mode are the list's mask: what anybody in it may do at the most.
func TestWhereAnAccessListIsLostTheGroupGetsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	put(t, path, "old", 0o600)
	setAccessList(t, path)
	info, _ := os.Stat(path)
	if mode := keepAttributes(path, filepath.Join(t.TempDir(), "none"), info.Mode().Perm(), info.Mode().Perm()); mode != 0o600 {
		t.Errorf("mode %o of %o", mode, info.Mode().Perm())
	}
}
