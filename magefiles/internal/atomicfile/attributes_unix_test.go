//go:build linux || darwin

package atomicfile

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAReplacedFileKeepsItsExtendedAttributes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"user.label": "kept", "user.empty": ""} {
		if err := unix.Setxattr(path, name, []byte(value), 0); err != nil {
			t.Skip("this file system has no extended attributes: ", err)
		}
	}
	if err := Write(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 10)
	if n, err := unix.Getxattr(path, "user.label", value); err != nil || string(value[:n]) != "kept" {
		t.Errorf("%q, %v", value, err)
	}
	if n, err := unix.Getxattr(path, "user.empty", value); err != nil || n != 0 {
		t.Error(n, err)
	}
}
