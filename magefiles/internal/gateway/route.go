package gateway

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// A Route is a route of a kind that listeners of HTTP and HTTPS serve, in the terms of an HTTPRoute.
type Route struct {
	ID         check.ID
	Generation int64
	Spec       gatewayv1.HTTPRouteSpec
	Status     gatewayv1.RouteStatus
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
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &typed)
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

// FromHTTP makes a Route of an HTTPRoute.
func FromHTTP(r *gatewayv1.HTTPRoute) Route {
	return Route{check.ID{Kind: "HTTPRoute", Namespace: r.Namespace, Name: r.Name}, r.Generation, r.Spec, r.Status.RouteStatus, r}
}
