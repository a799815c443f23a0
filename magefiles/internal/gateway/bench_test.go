package gateway

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// manyRoutes are n routes of n hosts at one Gateway, each with two matches, accepted and resolved.
func manyRoutes(n int) ([]Route, []gatewayv1.Gateway) {
	gateways := []gatewayv1.Gateway{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "traefik", Name: "gateway"},
		Spec:       gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{{Name: "web", Port: 8000, Protocol: gatewayv1.HTTPProtocolType}}},
	}}
	namespace := gatewayv1.Namespace("traefik")
	parent := gatewayv1.ParentReference{Name: "gateway", Namespace: &namespace}
	true_ := func(name string) metav1.Condition { return metav1.Condition{Type: name, Status: metav1.ConditionTrue} }
	routes := make([]Route, n)
	for i := range routes {
		root, deeper := "/", "/deeper"
		routes[i] = FromHTTP(&gatewayv1.HTTPRoute{
			ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: fmt.Sprint("route-", i)},
			Spec: gatewayv1.HTTPRouteSpec{
				CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{parent}},
				Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(fmt.Sprintf("host-%d.localhost", i))},
				Rules: []gatewayv1.HTTPRouteRule{{
					Matches:     []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: &root}}, {Path: &gatewayv1.HTTPPathMatch{Value: &deeper}}},
					BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: gatewayv1.BackendObjectReference{Name: "whoami"}}}},
				}},
			},
			Status: gatewayv1.HTTPRouteStatus{RouteStatus: gatewayv1.RouteStatus{Parents: []gatewayv1.RouteParentStatus{{
				ParentRef: parent, Conditions: []metav1.Condition{true_("Accepted"), true_("ResolvedRefs")},
			}}}},
		})
	}
	return routes, gateways
}

func BenchmarkRequestsOf200Routes(b *testing.B) {
	routes, gateways := manyRoutes(200)
	for b.Loop() {
		if got := len(Compile(routes, gateways, Order{}).Requests(reach)); got != 400 {
			b.Fatal(got)
		}
	}
}

func BenchmarkConditionsOf200Routes(b *testing.B) {
	routes, gateways := manyRoutes(200)
	for b.Loop() {
		for i := range routes {
			if finding := Attached(&routes[i], gateways); finding.Fails() {
				b.Fatal(finding.Found)
			}
		}
	}
}

func BenchmarkOverlapsOf1000RoutesBesideOneThatTakesEveryHost(b *testing.B) {
	routes, gateways := manyRoutes(1000)
	every := routes[0]
	every.ID.Name, every.Spec.Hostnames = "every", nil
	table := Compile(append(routes, every), gateways, Order{})
	asked := table.Requests(reach)
	for b.Loop() {
		if got, _ := table.Overlaps(asked, 200, reach); len(got) > 200 {
			b.Fatal(len(got))
		}
	}
}
