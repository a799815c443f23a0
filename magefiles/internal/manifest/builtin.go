package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
	baseversion "k8s.io/component-base/version"

	"kindgate/magefiles/internal/kube"
)

// kubernetes has the kinds that Kubernetes itself serves, or once did.
var kubernetes = runtime.NewScheme()

func init() {
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme, apiextensionsv1beta1.AddToScheme} {
		if err := add(kubernetes); err != nil {
			panic(err) // a scheme that contradicts itself: nothing a user could mend
		}
	}
}

// builtin judges objects of one of Kubernetes' own groups, which are of one kind and version. Package kube has decoded them strictly.
func (s Schemas) builtin(gvk schema.GroupVersionKind, objects []kube.Object) [][]Problem {
	return each(objects, func(o kube.Object) []Problem {
		if node, err := version.ParseGeneric(s.Kubernetes); err == nil && notServed(gvk, node) {
			return []Problem{otherVersion(o, fmt.Sprintf("Kubernetes %d.%d", node.Major(), node.Minor()), serving(gvk, node))}
		}
		var problems []Problem
		for _, err := range checkMetadata(o, func(name string, _ bool) []string { return content.IsPathSegmentName(name) }) {
			found, remedy := (&schemaOf{}).words(err)
			problems = append(problems, wrong(o, err.Field, remedy, "%s", found))
		}
		return sorted(append(problems, doubled(o)...))
	})
}

// notServed tells whether Kubernetes of a version does not serve a kind of its own groups as it is written. Alpha and beta versions that it
// has are taken for served, as the cluster's configuration decides. The source is the release in which each type came and went; see
// https://kubernetes.io/docs/reference/using-api/deprecation-guide/.
func notServed(gvk schema.GroupVersionKind, node *version.Version) bool {
	object, err := kubernetes.New(gvk)
	if err != nil {
		// Not even the libraries know it. What newer releases brought they cannot know, nor which previews an older one had.
		ours := version.MustParseGeneric(baseversion.DefaultKubeBinaryVersion)
		same := node.Major() == ours.Major() && node.Minor() == ours.Minor()
		return same || node.LessThan(ours) && !preview(gvk)
	}
	if came, ok := object.(interface{ APILifecycleIntroduced() (int, int) }); ok && !reached(node)(came.APILifecycleIntroduced()) {
		return true
	}
	gone, ok := object.(interface{ APILifecycleRemoved() (int, int) })
	return ok && reached(node)(gone.APILifecycleRemoved())
}

func preview(gvk schema.GroupVersionKind) bool {
	return strings.Contains(gvk.Version, "alpha") || strings.Contains(gvk.Version, "beta")
}

// reached tells whether a version is that of a release, or a later one.
func reached(node *version.Version) func(major, minor int) bool {
	return func(major, minor int) bool { return node.AtLeast(version.MajorMinor(uint(major), uint(minor))) }
}

// serving returns what Kubernetes of a version serves a kind as, the best first: in its own group before others, as the newest version.
// Previews are named only where there is nothing else.
func serving(gvk schema.GroupVersionKind, node *version.Version) []string {
	var found []schema.GroupVersionKind
	for known := range kubernetes.AllKnownTypes() {
		if known.Kind == gvk.Kind && known.Version != runtime.APIVersionInternal && !notServed(known, node) {
			found = append(found, known)
		}
	}
	if slices.ContainsFunc(found, func(k schema.GroupVersionKind) bool { return !preview(k) }) {
		found = slices.DeleteFunc(found, preview)
	}
	slices.SortFunc(found, func(a, b schema.GroupVersionKind) int {
		if own := a.Group == gvk.Group; own != (b.Group == gvk.Group) {
			return map[bool]int{true: -1, false: 1}[own]
		}
		return cmp.Or(strings.Compare(a.Group, b.Group), apimachineryversion.CompareKubeAwareVersionStrings(b.Version, a.Version))
	})
	var names []string
	for _, k := range found {
		names = append(names, k.GroupVersion().String())
	}
	return names
}
