package crds

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
