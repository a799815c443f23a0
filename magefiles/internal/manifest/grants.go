package manifest

import (
	"cmp"
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"

	"kindgate/magefiles/internal/kube"
)

// permitted judges a reference from an object to one of another namespace, which needs a ReferenceGrant there. Where the target is in the
// folder, its grant would be, too. See https://gateway-api.sigs.k8s.io/api-types/referencegrant/.
func (f *folder) permitted(o kube.Object, field string, to key) []Problem {
	from := keyOf(o)
	if from.namespace == to.namespace || slices.ContainsFunc(f.grants, func(g gatewayv1beta1.ReferenceGrant) bool {
		return cmp.Or(g.Namespace, "default") == to.namespace && grants(g.Spec, from, to)
	}) {
		return nil
	}
	say := warning
	if _, ok := f.has(to); ok {
		say = wrong
	}
	remedy := fmt.Sprintf("write a ReferenceGrant into namespace %s with spec: {from: [{group: %s, kind: %s, namespace: %s}], "+
		"to: [{group: %q, kind: %s, name: %s}]}", to.namespace, from.group, from.kind, from.namespace, to.group, to.kind, to.name)
	return []Problem{say(o, field, remedy, "no ReferenceGrant in namespace %s permits it to name %s", to.namespace, to)}
}

func grants(spec gatewayv1beta1.ReferenceGrantSpec, from, to key) bool {
	return slices.ContainsFunc(spec.From, func(f gatewayv1beta1.ReferenceGrantFrom) bool {
		return f.Group == gatewayv1.Group(from.group) && f.Kind == gatewayv1.Kind(from.kind) && f.Namespace == gatewayv1.Namespace(from.namespace)
	}) && slices.ContainsFunc(spec.To, func(t gatewayv1beta1.ReferenceGrantTo) bool {
		return t.Group == gatewayv1.Group(to.group) && t.Kind == gatewayv1.Kind(to.kind) && (t.Name == nil || *t.Name == "" || *t.Name == gatewayv1.ObjectName(to.name))
	})
}
