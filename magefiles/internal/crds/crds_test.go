package crds

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/modfile"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// release is the one that go.mod pins. A test has no build information to ask Version for.
func release(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash("../../../go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == modulePath })
	return mod.Require[i].Mod.Version
}

// pinned are the definitions in the module cache, where they are as this test was built from the module.
func pinned(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	files := os.DirFS(filepath.Join(cached(release(t)), "config", "crd", "standard"))
	var all []*unstructured.Unstructured
	names, _ := fs.Glob(files, "*.yaml")
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		crd := &unstructured.Unstructured{}
		if err == nil {
			err = yaml.Unmarshal(data, &crd.Object)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		if crd.GetKind() == "CustomResourceDefinition" {
			all = append(all, crd)
		}
	}
	return all
}

func TestThePinnedReleasesFilesSayThatTheyAreOfIt(t *testing.T) {
	version := release(t)
	kinds := map[string]bool{}
	for _, crd := range pinned(t) {
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		kinds[kind] = true
		if bundle, ok := BundleOf(crd); !ok || bundle != (Bundle{version, "standard"}) {
			t.Errorf("%s is of %s, %s is pinned", crd.GetName(), bundle, version)
		}
	}
	for _, kind := range []string{"GatewayClass", "Gateway", "HTTPRoute", "ReferenceGrant"} {
		if !kinds[kind] {
			t.Errorf("%s is missing", kind)
		}
	}
}

func TestThePinnedDefinitionsMayReplaceThemselves(t *testing.T) {
	wanted, live := pinned(t), pinned(t)
	for _, crd := range live {
		_ = unstructured.SetNestedStringSlice(crd.Object, []string{"v1"}, "status", "storedVersions")
		if crd.GetName() == "referencegrants."+Group {
			_ = unstructured.SetNestedStringSlice(crd.Object, []string{"v1beta1"}, "status", "storedVersions")
		}
	}
	if err := CheckReplace(wanted, live); err != nil {
		t.Error(err)
	}
	live[0] = nil
	if err := CheckReplace(wanted, live); err != nil {
		t.Error(err)
	}
}

func definition(version, channel string, served []any, stored ...string) *unstructured.Unstructured {
	crd := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"versions": served}}}
	crd.SetName("httproutes." + Group)
	if version != "" {
		crd.SetAnnotations(map[string]string{versionAnnotation: version, channelAnnotation: channel})
	}
	_ = unstructured.SetNestedStringSlice(crd.Object, stored, "status", "storedVersions")
	return crd
}

func TestDefinitionsAreNeverReplacedByOlderOrLesserOnes(t *testing.T) {
	v1 := []any{map[string]any{"name": "v1"}}
	wanted := definition("v1.4.0", "standard", v1)
	for _, test := range []struct {
		name  string
		live  *unstructured.Unstructured
		words []string // of the error, none where replacing is right
	}{
		{"none", nil, nil},
		{"the same", definition("v1.4.0", "standard", v1, "v1"), nil},
		{"older", definition("v1.3.0", "standard", v1, "v1"), nil},
		{"of unknown origin", definition("", "", v1, "v1"), nil},
		{"newer", definition("v1.5.1", "standard", v1, "v1"), []string{"v1.5.1 (standard)", "v1.4.0 (standard)", "teardown"}},
		{"newer by two digits", definition("v1.10.0", "standard", v1, "v1"), []string{"v1.10.0"}},
		{"experimental", definition("v1.4.0", "experimental", v1, "v1"), []string{"v1.4.0 (experimental)", "fields"}},
		{"stored in a version that is gone", definition("v1.3.0", "standard", v1, "v1beta1"), []string{"httproutes." + Group, "v1beta1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckReplace([]*unstructured.Unstructured{wanted}, []*unstructured.Unstructured{test.live})
			if (err == nil) != (test.words == nil) {
				t.Fatal(err)
			}
			for _, word := range test.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is missing in: %v", word, err)
				}
			}
		})
	}
}

func TestWhatSeveralDefinitionsShareIsSaidOnce(t *testing.T) {
	v1 := []any{map[string]any{"name": "v1"}}
	wanted, newer := definition("v1.4.0", "standard", v1), definition("v1.5.0", "experimental", v1, "v1")
	dropped := definition("v1.3.0", "standard", v1, "v1", "v1alpha2")
	err := CheckReplace([]*unstructured.Unstructured{wanted, wanted, wanted}, []*unstructured.Unstructured{newer, newer, dropped})
	if err == nil || strings.Count(err.Error(), "v1.5.0 (experimental), newer than the v1.4.0 (standard)") != 1 ||
		!strings.Contains(err.Error(), "stored as v1alpha2, which") {
		t.Error(err)
	}
}

func TestTheModuleCacheIsWhereTheGoCommandHasIt(t *testing.T) {
	t.Setenv("GOMODCACHE", filepath.FromSlash("/cache"))
	if got := cached("v1.4.0"); got != filepath.FromSlash("/cache/sigs.k8s.io/gateway-api@v1.4.0") {
		t.Error(got)
	}
	t.Setenv("GOMODCACHE", "")
	if got := cached("v1.4.0"); !strings.HasSuffix(got, filepath.FromSlash("/pkg/mod/sigs.k8s.io/gateway-api@v1.4.0")) {
		t.Error(got)
	}
}

func TestTheDefinitionsNeedAReleaseOfKubernetes(t *testing.T) {
	for version, taken := range map[string]bool{"v1.25.16": false, "v1.25.16-gke.1": false, "v1.26.0": true, "v1.26.0-rc.1": true, "v1.37.2+k3s1": true, "": true, "latest": true} {
		if got := TakenBy(version); got != taken {
			t.Errorf("%q: %t", version, got)
		}
	}
}

func TestAFolderWithoutDefinitionsIsAnError(t *testing.T) {
	for name, folder := range map[string]fs.FS{"none": os.DirFS(filepath.Join(t.TempDir(), "none")), "an empty one": fstest.MapFS{}} {
		if objects, err := Read(folder); err == nil {
			t.Errorf("%s: %d objects", name, len(objects))
		}
	}
}
