// Package shipped has what the one binary brings with it, in the place of a folder with kindgate's source: the files of kind/ and manifests/, and
// the Gateway API's definitions. What mage compiles brings nothing.
package shipped

import (
	"io/fs"
	"runtime/debug"
)

// The folders of Files.
const (
	// Kind and Manifests are those of the source.
	Kind, Manifests = "kind", "manifests"
	// Definitions has a folder for each channel of the Gateway API.
	Definitions = "crds"
)

// Files are the files of the one binary; nil in what mage compiles.
func Files() fs.FS { return files }

// Name is what the user calls the program by.
func Name() string {
	if files != nil {
		return "kindgate"
	}
	return "go tool mage"
}

// Command is how the user runs a target, with its arguments.
func Command(target string) string { return Name() + " " + target }

// revision is the commit that the one binary was built from; the linker sets it.
var revision string

// Version is what the program was built from: a commit, or the word devel where that is not known; and the versions of modules, by their paths.
func Version() (string, map[string]string) {
	modules := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			modules[m.Path] = m.Version
		}
	}
	if revision == "" {
		return "devel", modules
	}
	return revision, modules
}
