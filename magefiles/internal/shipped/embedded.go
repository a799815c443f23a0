//go:build embedded

package shipped

import (
	"embed"
	"io/fs"
)

// The folder is there only while package binary builds.
//
//go:embed all:files
var embedded embed.FS

var files = below(embedded, "files")

func below(parent fs.FS, folder string) fs.FS {
	child, err := fs.Sub(parent, folder)
	if err != nil {
		panic(err) // a folder of no valid name
	}
	return child
}
