// Package manifest finds what is wrong with manifests before there is a cluster. What is not known without one is not judged.
package manifest

import (
	"fmt"
	"slices"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
)

// A Problem is something that is wrong with an object of the manifests, or that warns.
type Problem struct {
	Object kube.Object
	// Field is the field that is meant, as in the API server's messages (spec.rules[0].matches[1].path); empty for the object as a whole.
	Field string
	check.Finding
}

// At returns where it is written, as file:line.
func (p Problem) At() string { return p.Object.At(p.Field) }

// Says names the object and the field, and what is wrong.
func (p Problem) Says() string {
	if p.Field == "" {
		return p.Object.Name() + ": " + p.Found
	}
	return p.Object.Name() + ": " + p.Field + ": " + p.Found
}

// String says where it is, and what is wrong.
func (p Problem) String() string { return p.At() + ": " + p.Says() }

// wrong is a problem with a field of an object that will not work as it is written.
func wrong(o kube.Object, field, remedy, found string, args ...any) Problem {
	return Problem{o, field, check.Finding{Verdict: check.Broken, Found: fmt.Sprintf(found, args...), Remedy: remedy}}
}

// warning is a problem with a field of an object that may not be meant as it is written.
func warning(o kube.Object, field, remedy, found string, args ...any) Problem {
	p := wrong(o, field, remedy, found, args...)
	p.Verdict = check.Warns
	return p
}

// of returns the objects of a kind, of a group.
func of(objects []kube.Object, group, kind string) []kube.Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o kube.Object) bool {
		gvk := o.GroupVersionKind()
		return gvk.Group != group || gvk.Kind != kind
	})
}
