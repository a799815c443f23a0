package implementation

import (
	"fmt"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/gateway"
)

// routed is a route of one or more rules on some hosts; each rule has one match.
func routed(t *testing.T, name, hosts string, rules ...string) gateway.Route {
	t.Helper()
	var list []string
	for _, match := range rules {
		list = append(list, "{matches: [{"+match+"}], backendRefs: [{name: "+name+", port: 80}]}")
	}
	var route gatewayv1.HTTPRoute
	text := fmt.Sprintf("{metadata: {name: %s, namespace: demo}, spec: {parentRefs: [{name: gw}], hostnames: [%s], rules: [%s]}}", name, hosts, strings.Join(list, ", "))
	if err := yaml.UnmarshalStrict([]byte(text), &route); err != nil {
		t.Fatal(err)
	}
	return gateway.FromHTTP(&route)
}

func prefix(path string) string { return "path: {type: PathPrefix, value: '" + path + "'}" }

func exact(path string) string { return "path: {type: Exact, value: '" + path + "'}" }

func headers(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("{name: x%d, value: v}", i))
	}
	return "headers: [" + strings.Join(list, ", ") + "]"
}

func params(n int) string {
	return strings.ReplaceAll(headers(n), "headers", "queryParams")
}

// What took each request was measured on Traefik 3.6.12, as was the order of equal sums: it changed from one configuration to the next.
func TestTraefikGivesARequestToTheMatchThatTookItWhenMeasured(t *testing.T) {
	const wild, host = "'*.case.localhost'", "a.case.localhost"
	for _, test := range []struct {
		name       string
		spec, deep gateway.Route // spec's is the specification's winner
		takes      string        // empty for either
	}{
		{"a wildcard's exact path before a host's prefix", routed(t, "spec", host, prefix("/")), routed(t, "other", wild, exact("/x")), "other"},
		{"a wildcard's longer prefix", routed(t, "spec", host, prefix("/")), routed(t, "other", wild, prefix("/x")), "other"},
		{"a wildcard's method", routed(t, "spec", host, prefix("/")), routed(t, "other", wild, "method: GET"), "other"},
		{"a wildcard's header", routed(t, "spec", host, prefix("/")), routed(t, "other", wild, headers(1)), "other"},
		{"a wildcard as long as the host", routed(t, "spec", host, prefix("/")), routed(t, "other", wild, prefix("/")), ""},
		{"a wildcard of a route with more rules", routed(t, "spec", host, prefix("/")), routed(t, "other", wild, prefix("/"), exact("/none")), "other"},
		{"a longer host", routed(t, "spec", "long-name.case.localhost", prefix("/")), routed(t, "other", wild, prefix("/")), "spec"},
		{"three headers before a longer prefix", routed(t, "spec", host, prefix("/x/b")), routed(t, "other", host, prefix("/x")+", "+headers(3)), "other"},
		{"two headers are as much as two characters", routed(t, "spec", host, prefix("/x/b")), routed(t, "other", host, prefix("/x")+", "+headers(2)), ""},
		{"one header", routed(t, "spec", host, prefix("/x/b")), routed(t, "other", host, prefix("/x")+", "+headers(1)), "spec"},
		{"a method before a longer prefix", routed(t, "spec", host, prefix("/x/admin")), routed(t, "other", host, prefix("/x")+", method: GET"), "other"},
		{"a much longer prefix", routed(t, "spec", host, prefix("/x/administration")), routed(t, "other", host, prefix("/x")+", method: GET"), "spec"},
		{"eleven headers before a method", routed(t, "spec", host, "method: GET"), routed(t, "other", host, headers(11)), "other"},
		{"nine headers", routed(t, "spec", host, "method: GET"), routed(t, "other", host, headers(9)), "spec"},
		{"eleven parameters before a header", routed(t, "spec", host, headers(1)), routed(t, "other", host, params(11)), "other"},
		{"a long second hostname before a parameter", routed(t, "spec", host, params(1)), routed(t, "other", host+", a-very-long-name-of-a-host.case.localhost", prefix("/")), "other"},
		{"twelve rules before a parameter", routed(t, "spec", host, params(1)), routed(t, "other", host, prefix("/"), exact("/1"), exact("/2"), exact("/3"),
			exact("/4"), exact("/5"), exact("/6"), exact("/7"), exact("/8"), exact("/9"), exact("/10"), exact("/11")), "other"},
		{"a prefix of 951 characters before its exact path", routed(t, "spec", host, exact("/"+strings.Repeat("x", 950))), routed(t, "other", host, prefix("/"+strings.Repeat("x", 950))), "other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gw := gatewayv1.Gateway{Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{{Name: "web", Port: 8000, Protocol: gatewayv1.HTTPProtocolType}}}}
			gw.Namespace, gw.Name = "demo", "gw"
			both := []gateway.Route{test.spec, test.deep}
			reach := func(int32) (int, bool) { return 80, true }
			table := gateway.Compile(both, []gatewayv1.Gateway{gw}, Traefik.Order)
			overlaps, _ := table.Overlaps(nil, 100, reach)
			var met *gateway.Request
			for i := range overlaps {
				if overlaps[i].Route.Name == "spec" {
					met = &overlaps[i]
				}
			}
			if met == nil {
				t.Fatal("no request that both hold for is the specification's winner's")
			}
			winner, tied, _ := table.Match(*met)
			switch {
			case test.takes == "" && (!tied || !strings.Contains(met.Unproven, "changes with each new configuration")):
				t.Errorf("%s is not said to be anybody's: %v, %q", met, winner, met.Unproven)
			case test.takes != "" && (tied || winner.Route.Name != test.takes || (met.Taker != nil) != (test.takes == "other")):
				t.Errorf("%s: %v takes it, tied %t, taker %v", met, winner, tied, met.Taker)
			case test.takes == "other" && !strings.Contains(met.Taker.Why, "Traefik gives it the priority "):
				t.Error(met.Taker.Why)
			}
		})
	}
}
