//go:build !unix

package atomicfile

import "io/fs"

// keepOwner has nothing to do where files inherit their access from the folder.
func keepOwner(string, fs.FileInfo) {}

func busy(error) bool { return false }

// Names is how many names a file has in its file system, 1 where that is not known, as here.
func Names(fs.FileInfo) int { return 1 }
