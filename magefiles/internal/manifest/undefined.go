package manifest

import (
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

// Undefined warns of objects of an implementation's own kinds that no definition among them defines: kindgate installs none of the chart's, so
// that only a cluster which has them already can take the objects.
func Undefined(objects []kube.Object, by *implementation.Implementation) []Problem {
	var problems []Problem
	for _, o := range objects {
		kind := o.GroupVersionKind()
		if by.Defines(kind.Group) && !Defines(objects, kind.Group, kind.Kind) {
			problems = append(problems, warning(o, "kind", "put the definition into the manifests, and enable the provider that reads it in the chart's values",
				"nothing defines %s of %s: kindgate installs no CustomResourceDefinitions of %s's chart", kind.Kind, kind.GroupVersion(), by.Name))
		}
	}
	return problems
}

// Defines tells whether a CustomResourceDefinition among objects is of a kind.
func Defines(objects []kube.Object, group, kind string) bool {
	for _, o := range of(objects, apiextensions.GroupName, "CustomResourceDefinition") {
		its, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		name, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		if its == group && name == kind {
			return true
		}
	}
	return false
}
