// Package kube brings a cluster's objects to the state that manifests ask for: it decodes manifests, applies them on the
// server's side under one field manager, tells what changed, and waits for what was applied.
package kube

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// Manager is the field manager under which objects are applied.
const Manager = "kindgate"

// An Object is one Kubernetes object as a manifest has it.
type Object struct {
	*unstructured.Unstructured
	// Source is where the object was read, as file:line; empty for objects from elsewhere.
	Source string

	written *part // where it is in its file; nil for objects from elsewhere
}

// Name returns the object's name as every message has it: Kind/namespace/name, or Kind/name where there is no namespace.
func (o Object) Name() string { return Name(o.Unstructured) }

// Name returns Kind/namespace/name, or Kind/name for an object without a namespace.
func Name(u *unstructured.Unstructured) string {
	if u.GetNamespace() == "" {
		return u.GetKind() + "/" + u.GetName()
	}
	return u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
}

// failed is an error of the object's, with its name and where it was read.
func (o Object) failed(err error) error {
	if o.Source != "" {
		return fmt.Errorf("%s (%s): %w", o.Name(), o.Source, err)
	}
	return fmt.Errorf("%s: %w", o.Name(), err)
}

// Custom tells whether a CustomResourceDefinition defines the object's kind, as far as can be told from its group.
func (o Object) Custom() bool {
	return !clientscheme.Scheme.IsGroupRegistered(o.GroupVersionKind().Group)
}

func (o Object) groupKind() schema.GroupKind { return o.GroupVersionKind().GroupKind() }

// Images returns the images that the pods of objects run, sorted and once each.
func Images(objects []Object) []string {
	var images []string
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, child := range value {
				if containers, ok := child.([]any); ok && (key == "containers" || key == "initContainers") {
					for _, container := range containers {
						fields, _ := container.(map[string]any)
						if image, ok := fields["image"].(string); ok && image != "" {
							images = append(images, image)
						}
					}
				}
				walk(child)
			}
		case []any:
			for _, child := range value {
				walk(child)
			}
		}
	}
	for _, object := range objects {
		walk(object.Object)
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// As converts live objects to a Go type of their kind.
func As[T any](objects []unstructured.Unstructured) ([]T, error) {
	typed := make([]T, len(objects))
	for i := range objects {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[i].Object, &typed[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", Name(&objects[i]), err)
		}
	}
	return typed, nil
}
