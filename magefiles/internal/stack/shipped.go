package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/binary"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/ui"
)

// isShipped tells whether the files of a folder are those that the program brings with it: it brings some, and the current folder has none of the name.
func isShipped(dir string) bool {
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist) && shipped.Files() != nil
}

// readFile reads a file of kind/ or manifests/.
func readFile(name string) ([]byte, error) {
	if dir, _, _ := strings.Cut(name, "/"); isShipped(dir) {
		return fs.ReadFile(shipped.Files(), name)
	}
	return atomicfile.Read(filepath.FromSlash(name))
}

// folderOf is the folder kind or manifests.
func folderOf(dir string) fs.FS {
	if isShipped(dir) {
		if files, err := fs.Sub(shipped.Files(), dir); err == nil {
			return files
		}
	}
	return atomicfile.DirFS(dir)
}

// Init writes the files that the program brings with it into the current folder. Where it has one of the folders already, or they cannot be
// written, there is nothing of them.
func (s *Stack) Init(context.Context) error {
	return s.run.Step("init", func(*ui.Step) (result.Result, string, error) {
		return result.Created, shipped.Kind + "/, " + shipped.Manifests + "/", initFolder(".", shipped.Files())
	})
}

func initFolder(target string, files fs.FS) error {
	if files == nil {
		return errors.New("the files are here already: this is kindgate's source")
	}
	var there []string
	for _, dir := range []string{shipped.Kind, shipped.Manifests} {
		if _, err := os.Lstat(filepath.Join(target, dir)); err == nil {
			there = append(there, dir+"/")
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%s is here already; nothing was written: take it away, or run init in another folder", strings.Join(there, " and "))
	}
	var made []string
	for _, dir := range []string{shipped.Kind, shipped.Manifests} {
		from, err := fs.Sub(files, dir)
		if err == nil {
			err = os.Mkdir(filepath.Join(target, dir), 0o777)
		}
		if err == nil {
			made = append(made, filepath.Join(target, dir))
			err = os.CopyFS(filepath.Join(target, dir), from)
		}
		if err != nil { // a part of the files would be taken for all
			for _, dir := range made {
				err = errors.Join(err, os.RemoveAll(dir))
			}
			return err
		}
	}
	return nil
}

// Version prints what the program was built from. It reads no files.
func Version(environ []string) error {
	config, err := ReadConfig(environ)
	if err != nil {
		return err
	}
	line, out := versionOf(shipped.Version()), newUI(config)
	out.Object(line)
	out.Object(exitLine{})
	out.Print("kindgate "+line.Version, "Gateway API "+line.GatewayAPI, "Traefik chart "+line.Chart, "kind "+line.Kind, "Helm "+line.Helm, line.Go)
	return nil
}

func versionOf(revision string, modules map[string]string) versionLine {
	return versionLine{Version: revision, GatewayAPI: modules["sigs.k8s.io/gateway-api"], Chart: implementation.Traefik.TriedChart, Kind: modules["sigs.k8s.io/kind"],
		Helm: modules["helm.sh/helm/v3"], Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
}

// Binary builds kindgate as one file for this platform, or for all of them, without the time limit of a single run.
func (s *Stack) Binary(all bool) error {
	ctx := s.run.WithoutLimit()
	here := binary.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	if !all {
		return s.build(ctx, "kindgate"+here.Suffix(), here)
	}
	for _, platform := range binary.Platforms {
		if err := s.build(ctx, path.Join("dist", platform.File()), platform); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) build(ctx context.Context, file string, platform binary.Platform) error {
	return s.run.Step("binary", func(step *ui.Step) (result.Result, string, error) {
		step.Report("building " + file)
		return result.Created, file, binary.Build(ctx, ".", filepath.FromSlash(file), platform)
	})
}
