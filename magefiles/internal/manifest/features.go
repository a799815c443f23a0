package manifest

import (
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

// Features returns a problem for each feature that the routes among objects use and that an implementation lacks: a warning where it ignores the
// feature or may be set up for it, else an error. The caller passes the routes that the implementation is to serve. A route that cannot be read
// is left out.
func Features(routes []kube.Object, by *implementation.Implementation) []Problem {
	var problems []Problem
	for _, object := range routes {
		route, ok, err := gateway.ReadRoute(object.Unstructured)
		if !ok || err != nil {
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
