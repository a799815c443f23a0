//go:build !unix

package atomicfile

import (
	"os"
	"testing"
)

// special makes what is no regular file, by what an error must call it.
var special = map[string]func(*testing.T, string){
	"a folder": func(t *testing.T, path string) {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	},
}
