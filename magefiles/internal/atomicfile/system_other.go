//go:build !unix

package atomicfile

import "io/fs"

// keepOwner has nothing to do where files inherit their access from the folder.
func keepOwner(string, fs.FileInfo) {}

func busy(error) bool { return false }
