package manifest

import (
	"io/fs"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
)

// Owned returns a problem for each object that kindgate writes itself, so that two steps would write it in turn: the definitions in the folder
// standard, and its inventory in a namespace, which a dump of the cluster has.
func Owned(objects []kube.Object, standard fs.FS, namespace string) []Problem {
	var problems []Problem
	for _, o := range of(objects, "", "ConfigMap") {
		if o.GetNamespace() == namespace && o.GetName() == inventory.Name {
			problems = append(problems, wrong(o, "", "take it out of the manifests", "kindgate itself records in it what it has applied: it would forget that"))
		}
	}
	for _, o := range of(objects, apiextensions.GroupName, "CustomResourceDefinition") {
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		plural, _, _ := unstructured.NestedString(o.Object, "spec", "names", "plural")
		if _, err := fs.Stat(standard, group+"_"+plural+".yaml"); err == nil {
			problems = append(problems, wrong(o, "", "take it out of the manifests", "kindgate installs this definition itself, in the release that go.mod pins"))
		}
	}
	return problems
}
