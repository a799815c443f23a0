package kube

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
)

// known holds the kinds whose values can be written as the API server writes them: Kubernetes' own and the Gateway API's.
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
// with its file and line: syntax, an object without apiVersion, kind or name, a misspelt field, an object defined twice. Of a kustomize tree and
// of a chart, the file that begins it is named alone: the others are parts of what it makes.
func ReadDir(fsys fs.FS, dir string, skip func(path string) bool) ([]Object, error) {
	var paths, trees []string
	err := fs.WalkDir(fsys, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&fs.ModeSymlink != 0 {
			if info, err := fs.Stat(fsys, path); err == nil && info.IsDir() {
				return fmt.Errorf("%s/%s is a link to a folder, whose files would be passed over: put them here, or take the link away", dir, path)
			}
		}
		if err == nil && !entry.IsDir() && (isSource(path) || slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path)))) && !skip(path) {
			paths = append(paths, path)
			if isSource(path) {
				trees = append(trees, folderOf(path))
			}
		}
		return err
	})
	paths = slices.DeleteFunc(paths, func(path string) bool { return !isSource(path) && inOneOf(trees, folderOf(path)) })
	decoded, problems := make([][]Object, len(paths)), make([]error, len(paths))
	var files errgroup.Group
	files.SetLimit(goruntime.GOMAXPROCS(0))
	for i, path := range paths {
		files.Go(func() error {
			decoded[i], problems[i] = readFile(fsys, dir, path)
			return nil
		})
	}
	_ = files.Wait()
	objects := slices.Concat(decoded...)
	return objects, errors.Join(err, errors.Join(problems...), duplicates(objects))
}

// sourceOf says of what a file of its name is the beginning that is not applied as it is, and what makes manifests of it; both are empty for other
// files. See https://kubectl.docs.kubernetes.io/references/kustomize/glossary/#kustomization-root and https://helm.sh/docs/topics/charts/.
func sourceOf(path string) (what, rendering string) {
	switch base := strings.ToLower(filepath.Base(path)); {
	case base == "kustomization" || strings.HasPrefix(base, "kustomization."):
		return "run kustomize", "kubectl kustomize FOLDER"
	case base == "chart.yaml":
		return "render charts", "helm template FOLDER"
	}
	return "", ""
}

func isSource(path string) bool { what, _ := sourceOf(path); return what != "" }

func folderOf(path string) string { return filepath.ToSlash(filepath.Dir(path)) }

// inOneOf tells whether a folder is one of some trees, or below it.
func inOneOf(trees []string, folder string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool {
		return tree == "." || folder == tree || strings.HasPrefix(folder, tree+"/")
	})
}

func readFile(fsys fs.FS, dir, path string) ([]Object, error) {
	source := dir + "/" + path
	if what, rendering := sourceOf(path); what != "" {
		return nil, fmt.Errorf("%s:1: kindgate does not %s: move the tree out of %s, and write what it makes into it (%s > %s/NAME.yaml)",
			source, what, dir, rendering, dir)
	}
	data, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return Decode(data, source)
}

// Decode returns the objects of a YAML or JSON stream, those of a List one by one; documents without content are passed over. source
// names the stream in the messages. What it returns is what kubectl would create from the stream. What kubectl would drop without a word,
// or what reads differently in YAML than it does in kubectl, is an error. Objects of kinds that Kubernetes defines are checked
// strictly: an unknown field is an error, as with kubectl apply. The error joins all that is wrong, each with its line.
func Decode(data []byte, source string) ([]Object, error) {
	docs, err := documents(data, source)
	var objects []Object
	problems := []error{err}
	for _, doc := range docs {
		decoded, err := doc.objects(source)
		objects = append(objects, decoded...)
		problems = append(problems, err)
	}
	return objects, errors.Join(problems...)
}

// objects returns the document's object, or those of a list, each with its own line.
func (d document) objects(source string) ([]Object, error) {
	decoded, _, err := unstructured.UnstructuredJSONScheme.Decode(d.json, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: no Kubernetes object: apiVersion, kind and metadata are needed, in each item of a list too", source, d.line)
	}
	place := d.place(source)
	list, ok := decoded.(*unstructured.UnstructuredList)
	if !ok {
		object := Object{decoded.(*unstructured.Unstructured), place(d.node), newPart(d.node, place)}
		return []Object{object}, check(object)
	}
	objects := make([]Object, len(list.Items))
	problems := []error{checkList(list, place(d.node))}
	_, nodes := child(d.node, "items")
	for i := range list.Items {
		node := d.node
		if nodes != nil && i < len(nodes.Content) {
			node = nodes.Content[i]
		}
		objects[i] = Object{&list.Items[i], place(node), newPart(node, place)}
		problems = append(problems, check(objects[i]))
	}
	return objects, errors.Join(problems...)
}

// checkList finds what kubectl would drop: it takes every object with items for a list, and of a list nothing but the items.
func checkList(list *unstructured.UnstructuredList, place string) error {
	kind := list.GetKind()
	if !strings.HasSuffix(kind, "List") {
		return fmt.Errorf("%s: %s has a field items, which only a List has", place, kind)
	}
	for name := range list.Object {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata"}, name) {
			return fmt.Errorf("%s: %s: unknown field %q", place, kind, name)
		}
	}
	return nil
}

// check finds what is wrong with an object without asking a cluster.
func check(o Object) error {
	problem := func(format string, args ...any) error {
		return fmt.Errorf("%s: "+format, append([]any{o.Source}, args...)...)
	}
	content, err := o.MarshalJSON()
	switch {
	case o.GetKind() == "":
		return problem("kind is missing")
	case err != nil:
		return problem("%s: %w", o.Name(), err)
	case o.GetAPIVersion() == "":
		return problem("%s: apiVersion is missing", o.Name())
	case o.IsList():
		return problem("%s in a list: kubectl takes no lists in lists", o.GetKind())
	}
	if err := json.Unmarshal(content, &metav1.PartialObjectMetadata{}); err != nil {
		return problem("%s: %w", o.Name(), err)
	}
	if o.GetName() == "" {
		return problem("%s: metadata.name is missing", o.GetKind())
	}
	if !scheme.Scheme.Recognizes(o.GroupVersionKind()) {
		return nil // its definition knows its fields
	}
	strict := serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, serializer.SerializerOptions{Strict: true})
	if _, _, err := strict.Decode(content, nil, nil); err != nil {
		return problem("%s: %w", o.Name(), err)
	}
	return nil
}

func duplicates(objects []Object) error {
	first := map[string]Object{}
	var problems []error
	for _, o := range objects {
		namespace := cmp.Or(o.GetNamespace(), metav1.NamespaceDefault)
		if ClusterScoped(o.groupKind()) {
			namespace = ""
		}
		key := o.groupKind().String() + "/" + namespace + "/" + o.GetName()
		if other, ok := first[key]; ok {
			problems = append(problems, fmt.Errorf("%s: %s is already defined at %s", o.Source, o.Name(), other.Source))
			continue
		}
		first[key] = o
	}
	return errors.Join(problems...)
}
