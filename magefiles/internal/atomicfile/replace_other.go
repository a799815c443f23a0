//go:build !linux

package atomicfile

import "os"

// replace gives file the name path, and returns whether it did.
func replace(file, path string, _ []byte) (bool, error) {
	err := os.Rename(file, path)
	return err == nil, err
}
