//go:build !embedded

package shipped

import "io/fs"

var files fs.FS
