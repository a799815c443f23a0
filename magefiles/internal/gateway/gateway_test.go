package gateway

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

const web = `{metadata: {namespace: traefik, name: gw}, spec: {gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP}]}}`

func route(t *testing.T, spec string) gatewayv1.HTTPRoute {
	return parse[gatewayv1.HTTPRoute](t, "{metadata: {namespace: demo, name: r, generation: 2}, spec: {parentRefs: [{name: gw, namespace: traefik}], "+spec+"}}")
}

func TestEachHostAndMatchGetsARequestThatOnlyItAnswers(t *testing.T) {
	gateways := []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, web)}
	const to = "backendRefs: [{name: s, port: 80}]"
	for _, test := range []struct{ name, spec, want string }{
		{"hosts", "hostnames: [a.x, b.x], rules: [{" + to + "}]", "http://a.x/ http://b.x/"},
		{"paths", "hostnames: [a.x], rules: [{matches: [{path: {value: /v1}}, {path: {type: Exact, value: /v2}}], " + to + "}]", "http://a.x/v1 http://a.x/v2"},
		{"no host", "rules: [{" + to + "}]", "http://any-host.localhost/"},
		{"a wildcard", "hostnames: ['*.x'], rules: [{" + to + "}]", "http://any.x/"},
		{"header, query and method", "hostnames: [a.x], rules: [{matches: [{method: HEAD, headers: [{name: h, value: v}], queryParams: [{name: q, value: w}]}], " + to + "}]", "HEAD http://a.x/?q=w [h: v]"},
		{"a prefix whose path is taken by an exact match", "hostnames: [a.x], rules: [{matches: [{path: {value: /p}}, {path: {type: Exact, value: /p}}], " + to + "}]", "http://a.x/p/kindgate-probe http://a.x/p"},
		{"a match that is wholly taken", "hostnames: [a.x], rules: [{matches: [{path: {type: Exact, value: /p}}, {path: {type: Exact, value: /p}}], " + to + "}]", "http://a.x/p -"},
		{"a regular expression", "hostnames: [a.x], rules: [{matches: [{path: {type: RegularExpression, value: /p.*}}], " + to + "}]", "-"},
		{"a method that changes something", "hostnames: [a.x], rules: [{matches: [{method: DELETE}], " + to + "}]", "-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lines []string
			for _, request := range Requests([]gatewayv1.HTTPRoute{route(t, test.spec)}, gateways) {
				if request.Unproven != "" {
					lines = append(lines, "-")
				} else {
					lines = append(lines, request.Line(80))
				}
			}
			if got := strings.Join(lines, " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestARequestKnowsItsBackendsItsRedirectAndItsWeights(t *testing.T) {
	gateways := []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, web)}
	spec := `hostnames: [a.x], rules: [{backendRefs: [{name: s, port: 80, weight: 9}, {name: o, namespace: other, port: 81, weight: 1}, {name: none, port: 80, weight: 0}]},
		{matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301}}]}]`
	requests := Requests([]gatewayv1.HTTPRoute{route(t, spec)}, gateways)
	if b := requests[0].Backends; len(b) != 2 || b[0].String() != "Service/demo/s" || b[1].String() != "Service/other/o" || !requests[0].Weighted {
		t.Errorf("%+v", requests[0])
	}
	if requests[1].Redirect != 301 || len(requests[1].Backends) != 0 {
		t.Errorf("%+v", requests[1])
	}
}

func TestTheControlsHostIsOneThatNoRouteHas(t *testing.T) {
	gateways := []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, web)}
	for spec, want := range map[string]bool{"hostnames: [a.localhost]": true, "hostnames: ['*.localhost']": false, "rules: []": false} {
		if _, ok := Unrouted([]gatewayv1.HTTPRoute{route(t, spec)}, gateways); ok != want {
			t.Errorf("%s: %v", spec, ok)
		}
	}
}

func TestAListenersHostnameBoundsItsRoutes(t *testing.T) {
	gateways := []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, strings.Replace(web, "name: web,", "name: web, hostname: '*.x',", 1))}
	got := Hostnames([]gatewayv1.HTTPRoute{route(t, "hostnames: [a.x, a.y, x]")}, gateways)
	if strings.Join(got, " ") != "a.x" {
		t.Error(got)
	}
}

func TestAConditionCountsOnlyAtTheCurrentGeneration(t *testing.T) {
	gateways := []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, web)}
	condition := func(name, status string, generation int64) metav1.Condition {
		return metav1.Condition{Type: name, Status: metav1.ConditionStatus(status), ObservedGeneration: generation, Reason: "Why"}
	}
	for _, test := range []struct {
		name        string
		conditions  []metav1.Condition
		ok, pending bool
	}{
		{"none", nil, false, true},
		{"both", []metav1.Condition{condition("Accepted", "True", 2), condition("ResolvedRefs", "True", 2)}, true, false},
		{"of an older generation", []metav1.Condition{condition("Accepted", "True", 1), condition("ResolvedRefs", "True", 1)}, false, true},
		{"not resolved", []metav1.Condition{condition("Accepted", "True", 2), condition("ResolvedRefs", "False", 2)}, false, false},
		{"unknown", []metav1.Condition{condition("Accepted", "Unknown", 2)}, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := route(t, "hostnames: [a.x]")
			r.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: r.Spec.ParentRefs[0], Conditions: test.conditions}}
			if got := Attached(&r, gateways); got.OK != test.ok || got.Pending != test.pending {
				t.Errorf("%+v", got)
			}
		})
	}
	r := route(t, "hostnames: [a.x]")
	r.Spec.ParentRefs[0].Name = "nowhere"
	if got := Attached(&r, gateways); got.OK || got.Pending || !strings.Contains(got.Message, "Gateway/traefik/nowhere does not exist") {
		t.Errorf("%+v", got)
	}
}
