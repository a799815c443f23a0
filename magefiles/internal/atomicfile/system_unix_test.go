//go:build unix

package atomicfile

import (
	"net"
	"os"
	"syscall"
	"testing"
)

// special makes what is no regular file, by what an error must call it.
var special = map[string]func(*testing.T, string){
	"a folder": func(t *testing.T, path string) {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	},
	"a named pipe": func(t *testing.T, path string) {
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			t.Fatal(err)
		}
	},
	"a socket": func(t *testing.T, path string) {
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
	},
	"a device": func(t *testing.T, path string) { // like /dev/null, but another
		if err := syscall.Mknod(path, syscall.S_IFCHR|0o666, 1<<8|3); err != nil {
			t.Skip("this user may not make a device: ", err)
		}
	},
}
