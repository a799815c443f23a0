// Package kube brings a cluster's objects to the state that manifests ask for: it decodes manifests, applies them on the
// server's side under one field manager, tells what changed, and watches what becomes of them.
package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"kindgate/magefiles/internal/gotype"
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

// Failed returns an error of the object's, with its name and where it was read.
func (o Object) Failed(err error) error {
	if o.Source != "" {
		return &objectError{fmt.Errorf("%s (%s): %w", o.Name(), o.Source, err), o.Source}
	}
	return fmt.Errorf("%s: %w", o.Name(), err)
}

// An objectError is an error of an object in a file.
type objectError struct {
	error
	source string
}

func (e *objectError) Unwrap() error { return errors.Unwrap(e.error) }

// At is where the object was read, as file:line.
func (e *objectError) At() string { return e.source }

// Custom tells whether a CustomResourceDefinition defines the object's kind, as far as can be told from its group.
func (o Object) Custom() bool {
	return !clientscheme.Scheme.IsGroupRegistered(o.GroupVersionKind().Group)
}

// Arguments names an object as kubectl takes it: "deployment -n demo web".
func Arguments(u *unstructured.Unstructured) string {
	kind := strings.ToLower(u.GetKind())
	if (Object{Unstructured: u}).Custom() {
		kind += "." + u.GroupVersionKind().Group
	}
	if u.GetNamespace() != "" {
		kind += " -n " + u.GetNamespace()
	}
	return kind + " " + u.GetName()
}

// clusterScoped are the kinds without namespaces that Kubernetes, its extensions and the Gateway API define, by their groups.
var clusterScoped = map[string][]string{
	"": {"Namespace", "Node", "PersistentVolume"},
	"admissionregistration.k8s.io": {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration"},
	"apiextensions.k8s.io":         {"CustomResourceDefinition"},
	"apiregistration.k8s.io":       {"APIService"},
	"certificates.k8s.io":          {"CertificateSigningRequest", "ClusterTrustBundle"},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema", "PriorityLevelConfiguration"},
	"gateway.networking.k8s.io":    {"GatewayClass"},
	"networking.k8s.io":            {"IngressClass", "IPAddress", "ServiceCIDR"},
	"node.k8s.io":                  {"RuntimeClass"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
	"resource.k8s.io":              {"DeviceClass", "ResourceSlice"},
	"scheduling.k8s.io":            {"PriorityClass"},
	"storage.k8s.io":               {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"},
}

// ClusterScoped tells whether objects of a kind are known to have no namespace. A namespace that one of them names is dropped by the API
// server.
func ClusterScoped(kind schema.GroupKind) bool {
	return slices.Contains(clusterScoped[kind.Group], kind.Kind)
}

func (o Object) groupKind() schema.GroupKind { return o.GroupVersionKind().GroupKind() }

// Images returns the images that the pods of objects run, sorted and once each.
func Images(objects []Object) []string {
	var images []string
	for _, object := range objects {
		containers(object.Object, func(image, _ string) { images = append(images, image) })
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// AlwaysPulled returns the images that a node pulls whenever it starts a container of objects, whatever it has itself, and the names of those objects.
// See https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting.
func AlwaysPulled(objects []Object) map[string][]string {
	pulled := map[string][]string{}
	for _, object := range objects {
		containers(object.Object, func(image, policy string) {
			if (policy == "Always" || policy == "" && isLatest(image)) && !slices.Contains(pulled[image], object.Name()) {
				pulled[image] = append(pulled[image], object.Name())
			}
		})
	}
	return pulled
}

// isLatest tells whether an image has the tag latest, or neither a tag nor a digest, which means the same.
func isLatest(image string) bool {
	named, err := reference.ParseDockerRef(image) // which adds the tag
	tagged, ok := named.(reference.Tagged)
	return err == nil && ok && tagged.Tag() == "latest"
}

// containers tells visit the image and the pull policy of each container in a part of an object.
func containers(value any, visit func(image, policy string)) {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			if list, ok := child.([]any); ok && (key == "containers" || key == "initContainers") {
				for _, container := range list {
					fields, _ := container.(map[string]any)
					policy, _ := fields["imagePullPolicy"].(string)
					if image, ok := fields["image"].(string); ok && image != "" {
						visit(image, policy)
					}
				}
			}
			containers(child, visit)
		}
	case []any:
		for _, child := range value {
			containers(child, visit)
		}
	}
}

// As converts live objects to a Go type of their kind.
func As[T any](objects []unstructured.Unstructured) ([]T, error) {
	converted := make([]T, len(objects))
	for i := range objects {
		if err := gotype.Decode(objects[i].Object, &converted[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", Name(&objects[i]), err)
		}
	}
	return converted, nil
}
