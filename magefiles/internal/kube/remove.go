package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ErrOthers is the error of an object that is not deleted, as kindgate has not applied it: somebody has made another of its name.
var ErrOthers = errors.New("it is not the one that kindgate has applied")

// Remove deletes an object that kindgate has applied, with what depends on it, and returns when it is gone; false for one that is not there. The
// error has the object's name. It is ErrOthers for an object of others; a deadline's says what keeps it.
func (c *Client) Remove(ctx context.Context, object Object) (bool, error) {
	live, err := c.Get(ctx, object.GroupVersionKind(), object.GetNamespace(), object.GetName())
	if err != nil || live == nil {
		return false, named(object, err)
	}
	if !IsOurs(live) {
		return false, named(object, ErrOthers)
	}
	client, err := c.Resource(ctx, object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return false, named(object, err)
	}
	foreground, uid := metav1.DeletePropagationForeground, live.GetUID()
	err = client.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, named(object, err)
	}
	return true, named(object, waitGone(ctx, client, live))
}

func named(object Object, err error) error {
	if err == nil {
		return nil
	}
	return object.Failed(err)
}

// Instances returns the names of the objects of the kind that a CustomResourceDefinition of a name defines; none where it is not there.
func (c *Client) Instances(ctx context.Context, definition string) ([]string, error) {
	crd, err := c.Get(ctx, apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"), "", definition)
	if err != nil || crd == nil {
		return nil, err
	}
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	mapping, err := c.mapper.RESTMapping(schema.GroupKind{Group: group, Kind: kind})
	if err != nil {
		return nil, err
	}
	found, err := c.dynamic.Resource(mapping.Resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range found.Items {
		names = append(names, Name(&found.Items[i]))
	}
	return names, nil
}

// automatic are the objects that a namespace has by itself, or that say only what has happened in it.
func automatic(o *unstructured.Unstructured) bool {
	switch o.GetKind() {
	case "Event":
		return true
	case "ServiceAccount":
		return o.GetName() == "default"
	case "ConfigMap":
		return o.GetName() == "kube-root-ca.crt"
	case "Endpoints": // of a Service with a selector they are Kubernetes' own, and go a moment after it; only Kubernetes 1.33 and later label them
		return WrittenBy(o, "kube-controller-manager")
	}
	return false
}

// Contents returns the names of the objects that a namespace has, apart from what each has by itself. Kinds that cannot be listed, as the metrics of
// pods, are passed over where they are not stored; what may not be read is an error.
func (c *Client) Contents(ctx context.Context, namespace string) ([]string, error) {
	lists, err := c.discovery.ServerPreferredNamespacedResources()
	if err != nil { // also where one group does not answer: what it has in the namespace is not known
		return nil, err
	}
	var names []string
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, resource := range list.APIResources {
			if strings.HasSuffix(version.Group, "metrics.k8s.io") || !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "delete") {
				continue
			}
			found, err := c.everyKind.Resource(version.WithResource(resource.Name)).Namespace(namespace).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s in namespace %s: %w", resource.Kind, namespace, err)
			}
			for i := range found.Items {
				if o := &found.Items[i]; !automatic(o) {
					names = append(names, Name(o))
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
