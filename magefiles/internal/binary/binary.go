// Package binary builds kindgate as one file, which needs no Go, no Git and no module cache. It is the same, byte for byte, wherever its source is.
package binary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/shipped"
)

// A Platform is what a binary runs on, in Go's words.
type Platform struct{ OS, Arch string }

// Platforms are those that kindgate is built for.
var Platforms = []Platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"}}

// File is the name of the binary for a platform, among those for others.
func (p Platform) File() string { return fmt.Sprintf("kindgate-%s-%s%s", p.OS, p.Arch, p.Suffix()) }

// Suffix ends the names of programs.
func (p Platform) Suffix() string {
	if p.OS == "windows" {
		return ".exe"
	}
	return ""
}

// Build builds the source in the folder root for a platform, as the file out.
func Build(ctx context.Context, root, out string, platform Platform) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	return WithOverlay(root, cached(ctx), func(root, overlay string) error {
		return goTool(ctx, root, append(platform.env(), alike...), "build", "-trimpath", "-buildvcs=false", "-tags=mage,embedded", "-overlay="+overlay,
			"-ldflags=-s -w -buildid= -X kindgate/magefiles/internal/shipped.revision="+revision(ctx, root), "-o", out, "./magefiles")
	})
}

// Vet has go vet look at what only the binary has.
func Vet(ctx context.Context, root string) error {
	return WithOverlay(root, cached(ctx), func(root, overlay string) error {
		return goTool(ctx, root, nil, "vet", "-tags=mage,embedded", "-overlay="+overlay, "./magefiles", "./magefiles/internal/shipped")
	})
}

// alike is what has the go command make the same of the same source, whoever runs it.
var alike = []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off"}

func (p Platform) env() []string { return []string{"GOOS=" + p.OS, "GOARCH=" + p.Arch} }

func goTool(ctx context.Context, root string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = root, os.Stderr, os.Stderr, append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	return nil
}

// cached returns a channel's folder in the module cache.
func cached(ctx context.Context) func(channel string) (string, error) {
	return func(channel string) (string, error) { return crds.Folder(ctx, channel) }
}

// WithOverlay calls f with the absolute path of root and with a file that tells the go command what to take for files in it: those that package
// shipped embeds, wherever they are. So no copy of them is in the source, and none can go stale. definitions returns the folder of those of a channel
// of the Gateway API. See https://pkg.go.dev/cmd/go, -overlay.
func WithOverlay(root string, definitions func(channel string) (string, error), f func(root, overlay string) error) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	replace, err := replaced(root, definitions)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kindgate-binary-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return err
	}
	return f(root, overlay)
}

// replaced are the files that package shipped embeds, by where it has them; definitions returns the folder of a channel's.
func replaced(root string, definitions func(channel string) (string, error)) (map[string]string, error) {
	all := map[string]string{}
	add := func(folder, from string) error {
		return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			below, err := filepath.Rel(from, path)
			all[filepath.Join(root, "magefiles", "internal", "shipped", "files", folder, below)] = path
			return err
		})
	}
	err := errors.Join(add(shipped.Kind, filepath.Join(root, shipped.Kind)), add(shipped.Manifests, filepath.Join(root, shipped.Manifests)))
	for _, channel := range crds.Channels {
		folder, problem := definitions(channel)
		if problem == nil {
			problem = add(filepath.Join(shipped.Definitions, channel), folder)
		}
		err = errors.Join(err, problem)
	}
	return all, err
}

// revision is the commit that the source in a folder is of, with -modified after it where files of it were changed; empty where Git does not know.
func revision(ctx context.Context, root string) string {
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	if changed, err := git("status", "--porcelain", "--untracked-files=no"); err != nil || changed != "" {
		commit += "-modified"
	}
	return commit
}
