package manifest

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

// Features returns a problem for each feature that the routes among objects use and that an implementation lacks: a warning where it ignores the
// feature or may be set up for it, else an error. A route that cannot be read, or that no Gateway serves, is left out, and so is a feature that
// what the chart renders, provided, sets the implementation up for.
func Features(routes, provided []kube.Object, by *implementation.Implementation) []Problem {
	var problems []Problem
	for _, object := range routes {
		route, ok, err := gateway.ReadRoute(object.Unstructured)
		if !ok || err != nil || !slices.ContainsFunc(route.Spec.ParentRefs, isGateway) {
			continue
		}
		for _, lack := range by.Lacking(gateway.Features(route), nil) {
			if lack.Outcome == implementation.Optional && runWith(provided, by.Reads(lack.Use)) {
				continue
			}
			say := wrong
			if lack.Outcome == implementation.Ignored || lack.Outcome == implementation.Optional {
				say = warning
			}
			problems = append(problems, say(object, lack.Field, lack.Remedy, "%s", lack.Says))
		}
	}
	return problems
}

func runWith(provided []kube.Object, option string) bool {
	return slices.ContainsFunc(provided, func(o kube.Object) bool { return RunsWith(o, option) })
}

func isGateway(ref gatewayv1.ParentReference) bool { return ref.Kind == nil || *ref.Kind == "Gateway" }
