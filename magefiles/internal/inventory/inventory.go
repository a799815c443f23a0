// Package inventory keeps the list of the objects that kindgate has applied to a cluster, in a ConfigMap of that cluster: what teardown may
// delete, and what manifests no longer have. It serves as kubectl's ApplySets do, see
// https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/#alternative-kubectl-apply-f-directory-prune.
package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/kube"
)

// An Entry is an object that kindgate has applied.
type Entry struct {
	Kind            schema.GroupVersionKind
	Namespace, Name string
	// Before: the object was there before kindgate applied it, and is never deleted.
	Before bool
}

// Object returns an object that has the entry's identity and nothing else.
func (e Entry) Object() kube.Object {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(e.Kind)
	u.SetNamespace(e.Namespace)
	u.SetName(e.Name)
	return kube.Object{Unstructured: u}
}

// identity is what tells objects apart: a kind has one object of a name, whichever version it is read in.
type identity struct {
	kind            schema.GroupKind
	namespace, name string
}

func (e Entry) identity() identity { return identity{e.Kind.GroupKind(), e.Namespace, e.Name} }

// EntryOf is the entry of an object. One without a namespace is in "default", where its kind has namespaces.
func EntryOf(object kube.Object) Entry {
	e := Entry{Kind: object.GroupVersionKind(), Namespace: cmp.Or(object.GetNamespace(), metav1.NamespaceDefault), Name: object.GetName()}
	if kube.ClusterScoped(e.Kind.GroupKind()) {
		e.Namespace = ""
	}
	return e
}

// A List has an entry for each object, in the order in which they were applied first.
type List []Entry

// Objects are what the entries are of, each with its identity and nothing else.
func (l List) Objects() []kube.Object {
	objects := make([]kube.Object, len(l))
	for i, e := range l {
		objects[i] = e.Object()
	}
	return objects
}

// words say in the text of a List what an entry's Before means.
var words = map[bool]string{false: "created", true: "before"}

// Text is the list as the ConfigMap has it: a line for each entry, of what it is, its apiVersion, kind, namespace ("-" for none) and name.
func (l List) Text() string {
	var text strings.Builder
	for _, e := range l {
		namespace := e.Namespace
		if namespace == "" {
			namespace = "-"
		}
		fmt.Fprintln(&text, words[e.Before], e.Kind.GroupVersion(), e.Kind.Kind, namespace, e.Name)
	}
	return text.String()
}

// Read takes what Text returned. The error names a line that is not as Text writes it.
func Read(text string) (List, error) {
	var l List
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Fields(line)
		if len(fields) != 5 || fields[0] != words[true] && fields[0] != words[false] {
			return nil, fmt.Errorf("the inventory has a line that kindgate did not write: %q", line)
		}
		e := Entry{Kind: schema.FromAPIVersionAndKind(fields[1], fields[2]), Namespace: fields[3], Name: fields[4], Before: fields[0] == words[true]}
		if e.Namespace == "-" {
			e.Namespace = ""
		}
		l = append(l, e)
	}
	return l, nil
}

// With returns the list with more entries. One of an object that it has takes the place of that: the object was deleted since it was applied for
// the first time, and is created now, or somebody has made another of its name.
func (l List) With(more ...Entry) List {
	all := slices.Clone(l)
	for _, e := range more {
		at := slices.IndexFunc(all, func(known Entry) bool { return known.identity() == e.identity() })
		if at < 0 {
			all = append(all, e)
		} else {
			all[at] = e
		}
	}
	return all
}

// Without returns the entries of objects that are not among the given ones.
func (l List) Without(objects []kube.Object) List {
	among := map[identity]bool{}
	for _, o := range objects {
		among[EntryOf(o).identity()] = true
	}
	return slices.DeleteFunc(slices.Clone(l), func(e Entry) bool { return among[e.identity()] })
}

// Created returns the entries of objects that were not there before kindgate applied them.
func (l List) Created() List {
	return slices.DeleteFunc(slices.Clone(l), func(e Entry) bool { return e.Before })
}
