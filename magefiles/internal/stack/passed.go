package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/manifest"
)

// remembered is the file of what has passed check: the program that judged, then a digest a line. It holds for that program alone. Without a
// path, nothing is remembered.
type remembered struct{ path string }

// inUsersCache is in the user's own folder, or nowhere: what others may write must not decide what passes.
func inUsersCache() remembered {
	dir, err := os.UserCacheDir()
	if err != nil {
		return remembered{}
	}
	return remembered{filepath.Join(dir, "kindgate", "passed")}
}

// program tells this program from every other, also from one that is built in its place; it is empty where that is not known.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
}

func (r remembered) read() *manifest.Passed {
	data, _ := atomicfile.ReadIfThere(r.path) // without it, everything is judged
	by, digests, _ := strings.Cut(string(data), "\n")
	if by == "" || by != program() {
		digests = ""
	}
	return manifest.NewPassed(strings.Fields(digests))
}

func (r remembered) write(passed *manifest.Passed) {
	digests, changed := passed.Digests()
	if by := program(); changed && by != "" && r.path != "" {
		_ = os.MkdirAll(filepath.Dir(r.path), 0o700)
		text := strings.Join(append([]string{by}, digests...), "\n") + "\n"
		_ = atomicfile.Write(r.path, []byte(text), 0o600) // without it, the next run judges once more
	}
}
