//go:build !linux && !darwin

package atomicfile

// keepAttributes does nothing: this system's files have no extended attributes that matter here.
func keepAttributes(from, to string) {}
