package kube

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func read(t *testing.T, files map[string]string) ([]Object, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return ReadDir(fsys, "manifests", func(path string) bool { return path == "values.yaml" })
}

const namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"

func TestReadDirReturnsEveryObjectWithItsPlace(t *testing.T) {
	objects, err := read(t, map[string]string{
		"a.yaml": "# first\n" + namespace +
			"---\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: shop}\nspec:\n  ports:\n  - port: 80\n",
		"b.yml":       "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n",
		"sub/c.yaml":  "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\nanything: goes\n",
		"values.yaml": "deployment: {kind: DaemonSet}\n",
		"notes.txt":   "not: yaml: at all",
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.Name()+" "+o.Source)
	}
	want := "Namespace/shop manifests/a.yaml:2|Service/shop/shop manifests/a.yaml:8|" +
		"ConfigMap/c manifests/b.yml:1|Thing/t manifests/sub/c.yaml:1"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestReadDirNamesEverythingThatIsWrong(t *testing.T) {
	_, err := read(t, map[string]string{
		"syntax.yaml":  namespace + "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: [unclosed\n",
		"field.yaml":   "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replica: 2\n  templat: {}\n",
		"route.yaml":   "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  hostname: [a.localhost]\n",
		"kind.yaml":    "apiVersion: v1\nmetadata: {name: x}\n",
		"name.yaml":    "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
		"twice.yaml":   namespace,
		"scalar.yaml":  "just text\n",
		"J.YML":        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: j, namespace: default}\n",
		"j.json":       `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "j"}}`,
		"doubled.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\ndata: {c: d}\n",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"manifests/syntax.yaml:9: did not",
		`manifests/field.yaml:1: Deployment/d: strict decoding error: unknown field "spec.replica", unknown field "spec.templat"`,
		`unknown field "spec.hostname"`,
		"manifests/kind.yaml:1: no Kubernetes object",
		"manifests/name.yaml:1: Pod: metadata.name is missing",
		"manifests/twice.yaml:1: Namespace/shop is already defined at manifests/syntax.yaml:1",
		"manifests/scalar.yaml:1",
		"manifests/j.json:1: ConfigMap/j is already defined at manifests/J.YML:1",
		`manifests/doubled.yaml:5: key "data" already set in map`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in:\n%v", want, err)
		}
	}
}

func TestTheLineIsTheObjectsWhateverStandsBeforeIt(t *testing.T) {
	for name, before := range map[string]string{
		"manifests/f.yaml:1": "", "manifests/f.yaml:2": "---\n", "manifests/f.yaml:4": "# a comment\n\n---\n",
		"manifests/f.yaml:3": "--- # the first\n# a comment\n",
		"manifests/f.yaml:6": namespace + "---\n", "manifests/f.yaml:8": "---\n" + namespace + "---\n# x\n",
	} {
		for _, end := range []string{"\n", "\r\n"} {
			text := strings.ReplaceAll(before+strings.Replace(namespace, "shop", "other", 1), "\n", end)
			objects, err := Decode([]byte(text), "manifests/f.yaml")
			if err != nil || len(objects) == 0 || objects[len(objects)-1].Source != name {
				t.Errorf("%q: %v %v, want %s", text, objects, err, name)
			}
			broken := strings.Replace(text, "name: other", "nam: other", 1)
			if _, err := Decode([]byte(broken), "manifests/f.yaml"); err == nil || !strings.Contains(err.Error(), name+": ") {
				t.Errorf("%q: %v, want %s", broken, err, name)
			}
		}
	}
}

func TestAByteOrderMarkDoesNoHarm(t *testing.T) {
	if objects, err := Decode([]byte("\uFEFF"+namespace), "f"); err != nil || len(objects) != 1 || objects[0].GetAPIVersion() != "v1" {
		t.Errorf("%v %v", objects, err)
	}
}

func TestImagesAreTheContainersOfAnyWorkloadOnceEach(t *testing.T) {
	pods := `spec: {template: {spec: {initContainers: [{image: b}], containers: [{image: a}, {image: b}, {name: none}]}}}`
	objects := []Object{
		manifest(t, pods),
		manifest(t, "spec: {jobTemplate: {"+pods+"}}"),
		manifest(t, "{data: {image: x}, containers: text, spec: {containers: [text, {image: 3}, {image: c}]}}"),
	}
	if got := Images(objects); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(namespace + "---\n" + deployment))
	f.Add([]byte("kind: List\napiVersion: v1\nitems: [1]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := Decode(data, "f")
		for _, o := range objects {
			if err == nil && (o.GetKind() == "" || o.GetName() == "") {
				t.Errorf("%q gave an object without kind or name", data)
			}
		}
		Images(objects)
	})
}
