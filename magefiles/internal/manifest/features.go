package manifest

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

// Features returns a problem for each feature that the routes among objects use and that an implementation lacks: a warning where it ignores the
// feature or may be set up for it, else an error. A route that cannot be read, or that no Gateway serves, is left out.
func Features(routes []kube.Object, by *implementation.Implementation) []Problem {
	var problems []Problem
	for _, object := range routes {
		route, ok, err := gateway.ReadRoute(object.Unstructured)
		if !ok || err != nil || !slices.ContainsFunc(route.Spec.ParentRefs, isGateway) {
			continue
		}
		for _, lack := range by.Lacking(gateway.Features(route), nil) {
			say := wrong
			if lack.Outcome == implementation.Ignored || lack.Outcome == implementation.Optional {
				say = warning
			}
			problems = append(problems, say(object, lack.Field, lack.Remedy, "%s", lack.Says))
		}
	}
	return problems
}

func isGateway(ref gatewayv1.ParentReference) bool { return ref.Kind == nil || *ref.Kind == "Gateway" }
