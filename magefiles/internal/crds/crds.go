// Package crds has the Gateway API's CustomResourceDefinitions, as the sigs.k8s.io/gateway-api module that go.mod pins brings them,
// and decides whether they may replace those that a cluster has.
package crds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/shipped"
)

const modulePath = "sigs.k8s.io/gateway-api"

// Group is the API group of the Gateway API.
const Group = gatewayv1.GroupName

// Every CustomResourceDefinition of the Gateway API says by these annotations which release and channel it is from;
// see https://gateway-api.sigs.k8s.io/concepts/versioning/.
const (
	versionAnnotation = Group + "/bundle-version"
	channelAnnotation = Group + "/channel"
)

// Kubernetes is the oldest release that takes the definitions; see https://kubernetes.io/blog/2025/11/06/gateway-api-v1-4/.
const Kubernetes = "v1.26"

// TakenBy tells whether Kubernetes of a version, as v1.37.2, takes the definitions. Of a version that is not known, it may.
func TakenBy(kubernetes string) bool {
	minor := semver.MajorMinor(kubernetes)
	return minor == "" || semver.Compare(minor, Kubernetes) >= 0
}

// Version returns the release that go.mod pins, as v1.4.0.
func Version() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == modulePath {
				if dep.Replace != nil {
					return dep.Replace.Version, nil
				}
				return dep.Version, nil
			}
		}
	}
	return "", errors.New(modulePath + " is not among the modules that this program was built from")
}

// Files returns the folder of the standard channel's definitions, as Channel does.
func Files(ctx context.Context) (fs.FS, error) { return Channel(ctx, "standard") }

// Channels are those of the Gateway API's definitions.
var Channels = []string{"standard", "experimental"}

// Channel returns the folder of a channel's definitions: what the program was shipped with, or else that in the module cache.
func Channel(ctx context.Context, channel string) (fs.FS, error) {
	if files := shipped.Files(); files != nil {
		return fs.Sub(files, path.Join(shipped.Definitions, channel))
	}
	dir, err := Folder(ctx, channel)
	if err != nil {
		return nil, err
	}
	return os.DirFS(dir), nil
}

// Folder returns the path of a channel's folder in the module cache. Where the cache is at its usual place no command is run; else the go command is
// asked, which also downloads what is missing and checks it against go.sum.
func Folder(ctx context.Context, channel string) (string, error) {
	version, err := Version()
	if err != nil {
		return "", err
	}
	dir := cached(version)
	if _, err := os.Stat(dir); err != nil {
		out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", modulePath+"@"+version).Output()
		if err != nil {
			return "", fmt.Errorf("go mod download %s@%s: %w%s\nIs the network there, and GOPROXY right?", modulePath, version, err, complaint(err))
		}
		var downloaded struct{ Dir string }
		if err := json.Unmarshal(out, &downloaded); err != nil {
			return "", fmt.Errorf("go mod download %s@%s: %w", modulePath, version, err)
		}
		dir = downloaded.Dir
	}
	return filepath.Join(dir, "config", "crd", channel), nil
}

// Read returns the objects of a channel's folder, in the order of its files. They are read as kubectl reads them: the module's checksum vouches
// for the rest of what is asked of a manifest that somebody writes, which takes as long again.
func Read(folder fs.FS) ([]*unstructured.Unstructured, error) {
	entries, err := fs.ReadDir(folder, ".") // fs.Glob would find nothing in a folder that cannot be read
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if path.Ext(entry.Name()) == ".yaml" {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the folder of the Gateway API's definitions is empty")
	}
	objects := make([][]*unstructured.Unstructured, len(names))
	var files errgroup.Group
	for i, name := range names {
		files.Go(func() (err error) {
			objects[i], err = read(folder, name)
			return err
		})
	}
	err = files.Wait()
	return slices.Concat(objects...), err
}

func read(folder fs.FS, name string) ([]*unstructured.Unstructured, error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, object)
	}
}

func cached(version string) string {
	modcache := os.Getenv("GOMODCACHE")
	if modcache == "" {
		modcache = filepath.Join(filepath.SplitList(build.Default.GOPATH + string(filepath.ListSeparator))[0], "pkg", "mod")
	}
	escaped, err := module.EscapePath(modulePath)
	if err != nil {
		return ""
	}
	return filepath.Join(modcache, filepath.FromSlash(escaped)+"@"+version)
}

func complaint(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return ": " + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}

// A Bundle is the release and channel that definitions are from.
type Bundle struct {
	Version, Channel string
}

func (b Bundle) String() string { return b.Version + " (" + b.Channel + ")" }

// BundleOf returns what a definition says it is from, and false for one that says nothing.
func BundleOf(crd *unstructured.Unstructured) (Bundle, bool) {
	annotations := crd.GetAnnotations()
	bundle := Bundle{annotations[versionAnnotation], annotations[channelAnnotation]}
	return bundle, bundle.Version != ""
}

// CheckReplace tells whether the definitions in a cluster may be replaced by the wanted ones, which all are from one bundle: not by an
// older release, not from the experimental channel by the standard one, which has fewer fields, and not when objects may be stored in
// a version that the wanted definition no longer has. live may have gaps where a definition is not there. The error names both
// bundles and the way out.
func CheckReplace(wanted, live []*unstructured.Unstructured) error {
	var problems []error
	for i, now := range live {
		if now == nil {
			continue
		}
		want, _ := BundleOf(wanted[i])
		have, known := BundleOf(now)
		switch {
		case known && semver.Compare(have.Version, want.Version) > 0:
			problems = append(problems, fmt.Errorf("the cluster has the Gateway API %s, newer than the %s that go.mod pins", have, want))
		case known && have.Channel == "experimental" && want.Channel != have.Channel:
			problems = append(problems, fmt.Errorf("the cluster has the Gateway API %s, whose kinds have fields that %s lacks", have, want))
		default:
			if gone := dropped(wanted[i], now); len(gone) > 0 {
				problems = append(problems, fmt.Errorf("%s may have objects stored as %s, which the Gateway API %s no longer has",
					now.GetName(), strings.Join(gone, ", "), want))
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	problems = slices.CompactFunc(problems, func(a, b error) bool { return a.Error() == b.Error() })
	return fmt.Errorf("%w\nNothing was replaced: routes are still served with the definitions that are there. Either pin that release (go get %s@VERSION), or, where nothing in the cluster matters, teardown and up make a new one.",
		errors.Join(problems...), modulePath)
}

// dropped returns the versions in which objects may be stored that the wanted definition no longer has.
func dropped(want, have *unstructured.Unstructured) []string {
	stored, _, _ := unstructured.NestedStringSlice(have.Object, "status", "storedVersions")
	versions, _, _ := unstructured.NestedSlice(want.Object, "spec", "versions")
	return slices.DeleteFunc(stored, func(version string) bool {
		return slices.ContainsFunc(versions, func(v any) bool {
			fields, _ := v.(map[string]any)
			return fields["name"] == version
		})
	})
}
