//go:build !linux && !darwin

package atomicfile

import "io/fs"

// keepAttributes does nothing: this system's files have no extended attributes that matter here.
func keepAttributes(_, _ string, _, mode fs.FileMode) fs.FileMode { return mode }
