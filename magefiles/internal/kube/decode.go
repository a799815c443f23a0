package kube

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	"sigs.k8s.io/yaml"
)

// known holds the kinds whose fields can be checked before there is a cluster to ask: Kubernetes' own and the Gateway API's.
var known = runtime.NewScheme()

func init() {
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, gatewayv1.Install, gatewayv1beta1.Install} {
		if err := add(known); err != nil {
			panic(err) // a scheme that contradicts itself: nothing a user could mend
		}
	}
}

// ReadDir decodes every object of the .yaml, .yml and .json files below the root of fsys, in the order of the files' names, except the
// files for which skip returns true. dir is what the messages call that root. The error joins everything that is wrong, each
// with its file and line: syntax, an object without apiVersion, kind or name, a misspelt field, an object defined twice.
func ReadDir(fsys fs.FS, dir string, skip func(path string) bool) ([]Object, error) {
	var objects []Object
	var problems []error
	err := fs.WalkDir(fsys, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || skip(path) || !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path))) {
			return nil
		}
		data, err := fs.ReadFile(fsys, path)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", dir, path, err)
		}
		decoded, err := Decode(data, dir+"/"+path)
		objects = append(objects, decoded...)
		problems = append(problems, err)
		return nil
	})
	return objects, errors.Join(err, errors.Join(problems...), duplicates(objects))
}

// Decode returns the objects of a YAML stream, those of a List one by one; documents without content are passed over. source names
// the stream in the messages. Objects of kinds that Kubernetes or the Gateway API define are checked strictly: an unknown or
// doubled field is an error, as with kubectl apply. The error joins all that is wrong.
func Decode(data []byte, source string) ([]Object, error) {
	var objects []Object
	var problems []error
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for line := 1; ; {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, errors.Join(problems...)
		}
		if err != nil {
			return objects, errors.Join(append(problems, fmt.Errorf("%s: %w", source, err))...)
		}
		start := line + blankLines(doc)
		decoded, err := decodeDocument(doc, fmt.Sprintf("%s:%d", source, start))
		if err != nil {
			problems = append(problems, atLine(err, source, line, start))
		}
		objects = append(objects, decoded...)
		line += bytes.Count(doc, []byte("\n")) + 1 // the reader drops the separator's line
	}
}

func decodeDocument(doc []byte, source string) ([]Object, error) {
	content, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return nil, err
	}
	if string(content) == "null" {
		return nil, nil
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(content); err != nil {
		return nil, errors.New("no Kubernetes object: apiVersion, kind and metadata are needed")
	}
	if u.IsList() {
		var objects []Object
		err := u.EachListItem(func(item runtime.Object) error {
			object := Object{item.(*unstructured.Unstructured), source}
			objects = append(objects, object)
			return check(object)
		})
		return objects, err
	}
	object := Object{u, source}
	return []Object{object}, check(object)
}

// check finds what is wrong with an object without asking a cluster.
func check(o Object) error {
	switch {
	case o.GetAPIVersion() == "":
		return fmt.Errorf("%s: apiVersion is missing", o.Name())
	case o.GetName() == "":
		return fmt.Errorf("%s: metadata.name is missing", o.GetKind())
	}
	if !known.Recognizes(o.GroupVersionKind()) {
		return nil
	}
	content, err := o.MarshalJSON()
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name(), err)
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, known, known, json.SerializerOptions{Strict: true})
	if _, _, err := strict.Decode(content, nil, nil); err != nil {
		return fmt.Errorf("%s: %w", o.Name(), err)
	}
	return nil
}

func duplicates(objects []Object) error {
	first := map[string]Object{}
	var problems []error
	for _, o := range objects {
		key := o.groupKind().String() + "/" + cmp.Or(o.GetNamespace(), metav1.NamespaceDefault) + "/" + o.GetName()
		if other, ok := first[key]; ok {
			problems = append(problems, fmt.Errorf("%s: %s is already defined at %s", o.Source, o.Name(), other.Source))
			continue
		}
		first[key] = o
	}
	return errors.Join(problems...)
}

var yamlLine = regexp.MustCompile(`(?:error converting YAML to JSON: )?yaml: (?:unmarshal errors:\s+)?line (\d+): `)

// atLine puts file:line in front of the message: the line that the parser names, counted from the document's first, or else the
// document's own.
func atLine(err error, source string, first, start int) error {
	message := err.Error()
	at := start
	if found := yamlLine.FindStringSubmatchIndex(message); found != nil {
		n, _ := strconv.Atoi(message[found[2]:found[3]])
		at = first + n - 1
		message = message[:found[0]] + message[found[1]:]
	}
	return fmt.Errorf("%s:%d: %s", source, at, message)
}

func blankLines(doc []byte) int {
	lines := bytes.Split(doc, []byte("\n"))
	content := slices.IndexFunc(lines, func(line []byte) bool {
		line = bytes.TrimSpace(line)
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("---")))
		return len(line) > 0 && line[0] != '#'
	})
	return max(content, 0)
}
