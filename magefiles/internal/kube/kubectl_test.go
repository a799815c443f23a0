package kube

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
	"k8s.io/cli-runtime/pkg/resource"
)

// kubectlReads returns the objects that kubectl reads from a file, as JSON.
func kubectlReads(t *testing.T, data []byte) ([]string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	files := &resource.FilenameOptions{Filenames: []string{file}}
	infos, err := resource.NewLocalBuilder().Unstructured().ContinueOnError().FilenameParam(false, files).Flatten().Do().Infos()
	if err != nil {
		return nil, err
	}
	objects := make([]any, len(infos))
	for i, info := range infos {
		objects[i] = info.Object
	}
	return texts(t, objects), nil
}

func texts(t *testing.T, objects []any) []string {
	t.Helper()
	var all []string
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimSpace(string(text)))
	}
	slices.Sort(all)
	return all
}

// stricter are the reasons for which we refuse what kubectl takes.
var stricter = regexp.MustCompile(`already set in map|duplicate field|kubectl drops what follows|unknown field|has a field items|` +
	`(apiVersion|metadata\.name|kind) is missing|no Kubernetes object|save the file as UTF-8|byte order mark|json: cannot unmarshal|strict decoding|illegal base64|unsupported value`)

// asKubectl fails the test unless we read from a file what kubectl reads, or refuse it, with a line and a reason.
// It tells whether the file was taken.
func asKubectl(t *testing.T, data []byte) bool {
	t.Helper()
	objects, err := Decode(data, "f.yaml")
	theirs, theirErr := kubectlReads(t, data)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			if !regexp.MustCompile(`^f\.yaml:\d+: .`).MatchString(line) {
				t.Errorf("no line in %q, of %v\n%q", line, err, data)
			}
		}
		if theirErr == nil && len(theirs) > 0 && !stricter.MatchString(err.Error()) {
			t.Errorf("kubectl takes this, we say %v\n%q\n%s", err, data, data)
		}
		return false
	}
	if theirErr != nil {
		t.Errorf("kubectl says %v, we take it\n%q\n%s", theirErr, data, data)
		return true
	}
	all := make([]any, len(objects))
	for i, object := range objects {
		all[i] = object.Object
	}
	if ours := texts(t, all); !slices.Equal(ours, theirs) {
		t.Errorf("ours   %s\ntheirs %s\n%q\n%s", ours, theirs, data, data)
	}
	return true
}

// A writer writes random files, of what people write and of what they do wrong.
type writer struct {
	*rand.Rand
	names int
}

func (w *writer) of(choices ...string) string { return choices[w.IntN(len(choices))] }

func (w *writer) name() string {
	w.names++
	return fmt.Sprintf("n%d", w.names)
}

func (w *writer) value() string {
	return w.of("yes", "no", "On", "off", "y", "true", "~", "null", "", `""`, "0777", "0o17", "0x1F", "0b11", "1e3", "1E3", "1_000", "1.0", "-0",
		".5", ".inf", ".nan", "9007199254740993", "123456789012345678901234567890", "1:20", "2001-01-01", "2001-12-14t21:59:43.10-05:00",
		"!!str 5", `!!int "5"`, "!!float 1", "!!binary aGVsbG8=", "'it''s'", `"a\u0041\n\x41"`, "é", "😀", "=", "<<", "a # b", "a#b",
		"|\n    ---\n    text\n", ">-\n    two\n    lines\n", "|+\n    --- # x\n\n", "[1, yes, {a: b}]", "{a: 1, b: [x]}", "{}", "[]",
		"\"over\n    two lines\"", "plain over\n    two lines", "'---'", "a: b", "*x", "&y z", "- 1", "`x`", "@x", "%x", "\ta", "a\u2028b", "\u0085",
		"\"\\ud83d\\ude00\"", "\uFEFFa", "? a")
}

func (w *writer) key() string {
	return w.of("a", "b", "c", "data", "1", `"1"`, "0x1", "1.0", "yes", "on", "true", "y", "~", `"a"`, "'b'", "<<", "? d", "2001-01-01", "!!str 1", "!!int \"1\"",
		"é", "a b", "[a]")
}

func (w *writer) block() string {
	if w.IntN(8) > 0 {
		header := w.of("apiVersion: v1\nkind: ConfigMap\n", "apiVersion: example.com/v1\nkind: Thing\n", "kind: Thing\napiVersion: a/v1\n")
		text := header + "metadata: {name: " + w.name() + ", namespace: default}\ndata:\n  plain: text\n"
		if strings.Contains(header, "ConfigMap") {
			return text + "  more: " + w.of("|\n    ---\n    text", `"yes"`, "'1'", ">\n    a\n\n    b", `"\u00e9"`, "text", "2001-01-01") + "\n"
		}
		for range w.IntN(3) {
			text += "  " + w.key() + ": " + w.value() + "\n"
		}
		return text
	}
	return w.of(
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+w.name()+", labels: &l {a: b}, annotations: *l}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+w.name()+"}\ndata: &d\n  a: YQ==\nbinaryData:\n  <<: *d\n",
		"apiVersion: a/v1\nkind: Thing\nmetadata: {name: "+w.name()+"}\nx: &x {a: 1, b: 2}\ny:\n  <<: *x\n  a: 3\nz:\n  a: 4\n  <<: [*x, {c: 5}]\n",
		"apiVersion: a/v1\nkind: Thing\nmetadata: {name: "+w.name()+"}\nx: &x\n- <<: &y {p: 1}\n- <<: *y\n  p: 2\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+w.name()+"}\ndata: {a: b}\ndata: {c: d}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1, labels: {a: 1}}\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {}\n", "just text\n", "- a\n- b\n", "kind: [\n", "a: b\n", "apiVersion: a/b/c\nkind: T\nmetadata: {name: t}\n")
}

func (w *writer) inJSON() string {
	name := w.name()
	return w.of(
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"`+name+`"},"data":{"a":"\ud83d\ude00 \/ \u00e9"}}`,
		"{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \""+name+"\"}\n}",
		`{"apiVersion":"a/v1","kind":"Thing","metadata":{"name":"`+name+`"},"n":[1e3,1.0,-0,9007199254740993,12345678901234567890,"<<"]}`,
		`{"apiVersion":"a/v1","kind":"Thing","metadata":{"name":"`+name+`"},"x":{"a":1,"a":2}}`,
		`{"apiVersion":"a/v1","kind":"Thing","metadata":{"name":"`+name+`"},"x":{"a":1,"A":2},}`,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: `+name+`}}`, "{}", "null", "[]", "{") + w.of("\n", "", " ", "\n\n", " # comment\n")
}

func (w *writer) list() string {
	kind := w.of("apiVersion: v1\nkind: List\n", "apiVersion: v1\nkind: ConfigMapList\nmetadata: {resourceVersion: ''}\n", "kind: Thing\napiVersion: a/v1\n")
	item := func() string {
		return w.of("{apiVersion: v1, kind: ConfigMap, metadata: {name: "+w.name()+"}}", "{metadata: {name: "+w.name()+"}}",
			"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Namespace, metadata: {name: "+w.name()+"}}]}",
			"{apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: "+w.name()+"}}]}", "3", "null", "{}", "*x",
			"\n  apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: "+w.name())
	}
	switch w.IntN(5) {
	case 0:
		return kind + w.of("items: null\n", "items: []\n", "items: {}\n", "items:\n", "Items: []\n", "items: [x]\n", "item: []\n", "items: []\nmore: 1\n")
	case 1:
		return kind + "x: &x " + item() + "\nitems:\n- " + item() + "\n"
	}
	text := kind + "items:\n"
	for range w.IntN(4) + 1 {
		text += "- " + item() + "\n"
	}
	return text
}

func (w *writer) separator() string {
	if w.IntN(6) > 0 {
		return "---\n"
	}
	return w.of("--- # comment\n", "--- \n", "---\t\n", "---\r\n", "...\n---\n", "...\n", "---\n---\n", "# c\n---\n# d\n", "\n", "", "----\n", " ---\n",
		"--- {a: b}\n", "--- |\n", "%YAML 1.1\n---\n", "---\n\uFEFF", "\uFEFF---\n", "---\n%TAG ! x\n", "---\n...\n", "---\u00a0\n", "--- #\n", "---#\n")
}

// file returns a random file.
func (w *writer) file() []byte {
	var text string
	if w.IntN(5) == 0 {
		text = w.separator()
	}
	for i := range w.IntN(4) + 1 {
		if i > 0 {
			text += w.separator()
		}
		switch w.IntN(8) {
		case 0:
			text += w.of("# only a comment\n", "", "\n\n", "null\n", "~ # nothing\n")
		case 1:
			text += w.inJSON()
		case 2:
			text += w.list()
		default:
			text += w.block()
		}
	}
	if w.IntN(6) == 0 {
		text += w.of("---", "...", "--- ", "...\nmore", "...\n# c", "\n\x00", "---\n---\n", "#", "\t", "---x")
	}
	switch w.IntN(6) {
	case 0:
		text = strings.ReplaceAll(text, "\n", "\r\n")
	case 1:
		text = strings.TrimSuffix(text, "\n")
	}
	data := []byte(text)
	switch w.IntN(12) {
	case 0:
		data = append([]byte("\uFEFF"), data...)
	case 1, 2:
		order := []unicode.Endianness{unicode.LittleEndian, unicode.BigEndian}[w.IntN(2)]
		mark := []unicode.BOMPolicy{unicode.UseBOM, unicode.UseBOM, unicode.IgnoreBOM}[w.IntN(3)]
		data, _ = unicode.UTF16(order, mark).NewEncoder().Bytes(data)
	}
	if len(data) > 0 && w.IntN(8) == 0 {
		at := w.IntN(len(data))
		switch w.IntN(3) {
		case 0:
			data = slices.Delete(data, at, at+1)
		case 1:
			data[at] = byte(w.IntN(256))
		case 2:
			data = slices.Insert(data, at, "\t\n\r -:{}[]#&*!|>'\"%\x00\xff"[w.IntN(21)])
		}
	}
	return data
}

// The files are the same in every run; the fuzz target below has others.
func TestWhatIsReadIsWhatKubectlReadsOrTheFileIsRefused(t *testing.T) {
	const files = 1500
	taken := 0
	for seed := range uint64(files) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 15))}
		if asKubectl(t, w.file()) {
			taken++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if taken < files/4 {
		t.Errorf("only %d of %d files were taken: the comparison says little", taken, files)
	}
}

func FuzzWhatIsReadIsWhatKubectlReads(f *testing.F) {
	for seed := range uint64(200) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 16))}
		f.Add(w.file())
	}
	f.Fuzz(func(t *testing.T, data []byte) { asKubectl(t, data) })
}
