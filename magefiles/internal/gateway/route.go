package gateway

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gotype"
)

// A Route is a route of a kind that listeners of HTTP and HTTPS serve, in the terms of an HTTPRoute.
type Route struct {
	ID         check.ID
	Generation int64
	Spec       gatewayv1.HTTPRouteSpec
	Status     gatewayv1.RouteStatus
	// Probe is the value of its ProbeAnnotation, empty where it has none.
	Probe string
	// Source is a pointer to the object that the Route was made of.
	Source any
}

// kinds make a Route of an object, by its kind.
var kinds = map[string]func(*unstructured.Unstructured) (Route, error){
	"HTTPRoute": reading(FromHTTP),
	grpcRoute:   reading(FromGRPC),
}

func reading[T any](from func(*T) Route) func(*unstructured.Unstructured) (Route, error) {
	return func(o *unstructured.Unstructured) (Route, error) {
		var typed T
		err := gotype.Decode(o.Object, &typed)
		return from(&typed), err
	}
}

// ReadRoute makes a Route of an object, and returns false for one that is of no such kind. Its error is one of a field that has another type than
// the kind's.
func ReadRoute(o *unstructured.Unstructured) (Route, bool, error) {
	read := kinds[o.GetKind()]
	if o.GroupVersionKind().Group != gatewayv1.GroupName || read == nil {
		return Route{}, false, nil
	}
	route, err := read(o)
	return route, true, err
}

// Gateways are those that a route names as its parents, each once.
func (r *Route) Gateways() []check.ID {
	var all []check.ID
	for _, ref := range r.Spec.ParentRefs {
		if id := parent(r, ref).gateway(); id.Kind == "Gateway" && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Within returns the route with those of its parents alone that are among some Gateways, and false where none is.
func (r Route) Within(gateways []gatewayv1.Gateway) (Route, bool) {
	r.Spec.ParentRefs = slices.DeleteFunc(slices.Clone(r.Spec.ParentRefs), func(ref gatewayv1.ParentReference) bool {
		key := parent(&r, ref)
		return key.Kind != "Gateway" || find(gateways, key) == nil
	})
	return r, len(r.Spec.ParentRefs) > 0
}

// JudgedBy returns the name of the controller that has judged the route at a Gateway; empty where none has.
func (r *Route) JudgedBy(gateway check.ID) string {
	for _, status := range r.Status.Parents {
		if parent(r, status.ParentRef).gateway() == gateway {
			return string(status.ControllerName)
		}
	}
	return ""
}

// FromHTTP makes a Route of an HTTPRoute.
func FromHTTP(r *gatewayv1.HTTPRoute) Route {
	return Route{check.ID{Kind: "HTTPRoute", Namespace: r.Namespace, Name: r.Name}, r.Generation, r.Spec, r.Status.RouteStatus,
		r.Annotations[ProbeAnnotation], r}
}
