package kube

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/text/encoding/unicode"
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
		"ConfigMap/c manifests/b.yml:4|Thing/t manifests/sub/c.yaml:1"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestReadDirNamesEverythingThatIsWrong(t *testing.T) {
	_, err := read(t, map[string]string{
		"syntax.yaml":  namespace + "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: [unclosed\n",
		"field.yaml":   "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replica: 2\n  templat: {}\n",
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

func utf16(t *testing.T, order unicode.Endianness, mark unicode.BOMPolicy, text string) string {
	t.Helper()
	data, err := unicode.UTF16(order, mark).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"

func TestEveryDocumentOfAFileIsReadInAnyEncodingThatKubectlKnows(t *testing.T) {
	const inJSON = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"face":"\ud83d\ude00"}}`
	two := namespace + "---\n" + settings
	for name, text := range map[string]string{
		"UTF-8": two, "UTF-8 with a mark": "\uFEFF" + two, "CRLF": strings.ReplaceAll(two, "\n", "\r\n"),
		"UTF-16 LE":            utf16(t, unicode.LittleEndian, unicode.UseBOM, two),
		"UTF-16 BE":            utf16(t, unicode.BigEndian, unicode.UseBOM, two),
		"JSON after JSON":      inJSON + "\n" + strings.Replace(inJSON, `"c"`, `"d"`, 1),
		"JSON at once":         inJSON + strings.Replace(inJSON, `"c"`, `"d"`, 1),
		"YAML after JSON":      inJSON + "\n---\n" + namespace,
		"a document's end":     namespace + "...\n---\n" + settings + "...\n# the end\n",
		"comments":             "# one\n---\n# two\n" + namespace + "--- # three\n" + settings + "---\n# four\n",
		"--- in a block":       namespace + "---\n" + settings + "data:\n  text: |\n    a\n    ---\n    b\n",
		"a list":               "apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: a}}, {metadata: {name: b}}]\n",
		"a list without items": two + "---\napiVersion: v1\nkind: List\nitems: null\n",
		"merge keys":           namespace + "---\n" + settings + "data: &d {a: b}\nbinaryData:\n  <<: *d\n  a: Yg==\n",
	} {
		objects, err := Decode([]byte(text), "f")
		if err != nil || len(objects) != 2 {
			t.Errorf("%s: %v %v", name, objects, err)
		}
		asKubectl(t, []byte(text))
	}
}

func TestWhatKubectlWouldDropOrReadOtherwiseIsRefusedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		namespace + "...\n" + settings:                                     "f:5: did not find expected <document start>: kubectl drops what follows",
		strings.ReplaceAll(namespace+"---\n"+settings, "\n", "\r"):         "f:5: there is text after the document's end: kubectl drops",
		utf16(t, unicode.LittleEndian, unicode.IgnoreBOM, namespace):       "f:1: neither UTF-8 nor UTF-16 with a byte order mark",
		utf16(t, unicode.LittleEndian, unicode.UseBOM, namespace) + "\x00": "f:5: neither UTF-8 nor UTF-16",
		namespace + "\xff":                                                                "f:5: neither UTF-8 nor UTF-16",
		namespace + "# \x00\n":                                                            "f:5: neither UTF-8 nor UTF-16",
		"---\n\uFEFF" + namespace:                                                         "f:2: an invisible byte order mark (U+FEFF)",
		namespace + "--- {apiVersion: v1, kind: Namespace}\n":                             "f:5: after --- only a comment may follow",
		settings + "data: {a: b,\n  a: c}\n":                                              `f:5: key "a" already set in map`,
		settings + "data: {1: b,\n  '1': c}\n":                                            `f:5: key "1" already set in map`,
		settings + "x: {yes: b,\n  true: c}\n":                                            `f:5: key "true" already set in map`,
		settings + "x: &x {a: b}\ny:\n  <<: *x\n  <<: *x\n":                               `f:7: key "<<" already set in map`,
		`{"apiVersion":"v1","kind":"Namespace","metadata":{},"metadata":{}}`:              `f:1: duplicate field "metadata"`,
		"{\"a\":1}\n{\"a\":1}\n{":                                                         "f:3: unexpected EOF",
		settings + "items: []\n":                                                          "f:1: ConfigMap has a field items, which only a List has",
		"apiVersion: v1\nkind: List\nitems: []\nitem: []\n":                               `f:1: List: unknown field "item"`,
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n": "f:4: List in a list",
		"apiVersion: a/v1\nkind: Thing\nmetadata: {name: t, labels: {a: 1}}\n":            "f:1: Thing/t: json: cannot unmarshal number",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: 1}\n":                          "f:1: Namespace/: json: cannot unmarshal number",
	} {
		if _, err := Decode([]byte(text), "f"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		asKubectl(t, []byte(text))
	}
}

func TestEachItemOfAListHasItsLineAndEachThatIsWrongIsNamed(t *testing.T) {
	const list = "# a dump\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n" +
		"- apiVersion: v1\n  kind: Namespace\n  metadata: {}\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: b}\n  spc: {}\n"
	objects, err := Decode([]byte("---\n"+list), "f")
	want := "f:9: Namespace: metadata.name is missing\nf:12: Namespace/b: strict decoding error: unknown field \"spc\""
	if err == nil || err.Error() != want || len(objects) != 3 || objects[0].Source != "f:6" {
		t.Errorf("%v\n%v", objects, err)
	}
}

func TestAFileThatHasOneDocumentHasNoOther(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "# nothing\n": "", "a: b\n": "a: b\n", "---\n# x\n---\na: b\n": "\n\n\na: b\n",
		utf16(t, unicode.BigEndian, unicode.UseBOM, "a: b\n"): "a: b\n",
		"a: b\n---\nc: d\n":                    "f:3: a second document: this file has only one",
		"a: b\n...\nc: d\n":                    "f:2: did not find expected <document start>: kubectl drops what follows",
		"a: b\na: c\n":                         `f:2: key "a" already set in map`,
		"a: &a {b: c}\nd:\n  <<: *a\n  b: e\n": "a: &a {b: c}\nd:\n  <<: *a\n  b: e\n",
	} {
		data, err := OneDocument([]byte(text), "f")
		if err != nil {
			data = []byte(err.Error())
		}
		if got := string(data); got != want && (err == nil || !strings.HasPrefix(got, want)) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAKustomizeTreeIsNamedAsOne(t *testing.T) {
	route := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: shop}\n"
	objects, err := read(t, map[string]string{"shop/base/kustomization.yaml": "resources: [a.yaml, more/b.yaml]\n", "shop/base/a.yaml": route,
		"shop/base/more/b.yaml": "patch: true\n", "shop/overlays/dev/kustomization.yml": "{}", "shop/overlays/dev/patch.yaml": route, "shop/basement/other.yaml": route})
	if err == nil || !strings.Contains(err.Error(), "manifests/shop/base/kustomization.yaml:1: kindgate does not run kustomize") || strings.Count(err.Error(), "\n") != 1 {
		t.Error(err)
	}
	if len(objects) != 1 || objects[0].Source != "manifests/shop/basement/other.yaml:1" {
		t.Errorf("%v", objects)
	}
	if objects, err := read(t, map[string]string{"Kustomization": "{}", "a.yaml": route}); len(objects) != 0 || err == nil {
		t.Errorf("%v %v", objects, err)
	}
}

func TestAChartIsNamedAsOne(t *testing.T) {
	objects, err := read(t, map[string]string{"shop/Chart.yaml": "apiVersion: v2\nname: shop\n", "shop/values.yaml": "a: 1\n", "shop/templates/a.yaml": "{{ .Values.a }}\n"})
	const want = "manifests/shop/Chart.yaml:1: kindgate does not render charts: move the tree out of manifests, and write what it makes into it (helm template FOLDER > manifests/NAME.yaml)"
	if len(objects) != 0 || err == nil || err.Error() != want {
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

func TestAnImageIsAlwaysPulledByItsPolicyOrByTheTagLatest(t *testing.T) {
	objects := []Object{manifest(t, `spec: {template: {spec: {initContainers: [{image: a:1, imagePullPolicy: Always}], containers: [{image: b}, {image: "c:latest"}, {image: b},
		{image: d, imagePullPolicy: IfNotPresent}, {image: "e:1"}, {image: "f:latest", imagePullPolicy: Never}, {image: "UPPER"},
		{image: "g@sha256:`+strings.Repeat("0", 64)+`"}]}}}`)}
	got := AlwaysPulled(objects)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"a:1", "b", "c:latest"}) || !slices.Equal(got["b"], []string{objects[0].Name()}) {
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

func TestALinkToAFolderIsRefusedAsItsFilesWouldBePassedOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "more")); err != nil {
		t.Skip("this system has no links: ", err)
	}
	if _, err := ReadDir(os.DirFS(dir), "manifests", func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), "manifests/more is a link to a folder") {
		t.Error(err)
	}
}

func TestAnObjectWithoutNamespacesIsTheSameInAnyOfThem(t *testing.T) {
	const role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r%s}\n---\n"
	files := fstest.MapFS{"a.yaml": {Data: []byte(fmt.Sprintf(role, "") + fmt.Sprintf(role, ", namespace: demo"))}}
	if _, err := ReadDir(files, "manifests", func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), "is already defined at manifests/a.yaml:1") {
		t.Error(err)
	}
}
