package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/implementation"
)

func TestAnAnnotationThatProvesNothingIsNamed(t *testing.T) {
	probing := func(probes string) string {
		return strings.Replace(httpRoute("r", toEdge+", hostnames: [a.x], rules: [{matches: [{method: POST}], backendRefs: [{name: web, port: 80}]}]"), "metadata: {",
			"metadata: {annotations: {kindgate/probe: \""+probes+"\"}, ", 1)
	}
	expect(t, judged(t, edge+web+probing(`POST /orders 201\nX-Tenant: a`), chart))
	expect(t, judged(t, edge+web+probing(`GET /orders 200\nPOST / 201`), chart),
		"broken: m.yaml:*HTTPRoute/demo/r: metadata.annotations[kindgate/probe]: GET /orders: no match of the route takes it, as of *its method is POST; write a line for each request")
	expect(t, judged(t, edge+web+probing(`POST`), chart), `broken*line 1: "POST" is no request`)
	expect(t, judged(t, web+probing(`POST`), ""))
}

func TestAMatchThatGetsNoRequestIsNamedWithTheOneThatTakesThem(t *testing.T) {
	on := func(name, host, rules string) string {
		return httpRoute(name, toEdge+", hostnames: ["+host+"], rules: ["+rules+"]")
	}
	const root, below = "{backendRefs: [{name: web, port: 80}]}", "{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}"
	for _, test := range []struct {
		name, folder string
		want         []string
	}{
		{"two routes with the same match", edge + web + on("a", "a.x", root) + on("b", "a.x", root),
			[]string{"warns*HTTPRoute/demo/b: spec.rules[0].matches[0]: this match may get no request: HTTPRoute/demo/a has the same match: which of the two*(m.yaml:24); take one of the two out"}},
		{"a rule behind the same one", edge + web + on("a", "a.x", root+", "+below+", "+below),
			[]string{"HTTPRoute/demo/a: spec.rules[2].matches[0]: this match gets no request: HTTPRoute/demo/a, rule 2, match 1 has precedence: Traefik gives it the priority*(m.yaml:24)"}},
		{"a longer wildcard in Traefik's order", edge + web + on("wild", "'*.x', '*.a-long-name.x'", root) + on("host", "a.x", root),
			[]string{"HTTPRoute/demo/host: spec.rules[0].matches[0]: this match gets no request: HTTPRoute/demo/wild"}},
		{"a wildcard of the same priority", edge + web + on("wild", "'*.x'", root) + on("host", "a.x", root),
			[]string{"HTTPRoute/demo/host: spec.rules[0].matches[0]: this match may get no request: Traefik gives HTTPRoute/demo/wild, rule 1, match 1 the same priority (5): which of the two takes the requests changes"}},
		{"two GRPCRoutes with the same match", edge + web + grpcRoute(on("a", "a.x", root)) + grpcRoute(on("b", "a.x", root)),
			[]string{"warns*GRPCRoute/demo/b: spec.rules[0].matches[0]: this match may get no request: GRPCRoute/demo/a has the same match"}},
		{"an HTTPRoute beside a GRPCRoute", edge + web + on("a", "a.x", root) + grpcRoute(on("b", "a.x", root)),
			[]string{"HTTPRoute/demo/a: spec.rules[0].matches[0]: this match gets no request: GRPCRoute/demo/b, rule 1, match 1 has precedence: Traefik gives it the priority 18, and 5 to this one"}},
		{"on one of two hosts", edge + web + on("a", "a.x", root) + on("b", "'a.x', b.x", root), []string{"this match may get no request for http://a.x at port 8000"}},
		{"of a route that the listener does not take", gatewayOf("{name: web, port: 8000, protocol: HTTP}") + web + on("a", "a.x", root) + on("b", "a.x", root),
			[]string{"HTTPRoute/demo/a: spec.parentRefs[0]", "HTTPRoute/demo/b: spec.parentRefs[0]"}},
		{"on a Gateway of another controller", strings.Replace(edge, "gatewayClassName: traefik", "gatewayClassName: other", 1) + web + on("a", "a.x", root) + on("b", "a.x", root) +
			"\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: other}, spec: {controllerName: example.com/c}}", []string{"spec.gatewayClassName"}},
	} {
		t.Run(test.name, func(t *testing.T) { expect(t, judged(t, test.folder, chart), test.want...) })
	}
}

// grpcRoute is an HTTPRoute without matches as a GRPCRoute.
func grpcRoute(httpRoute string) string {
	return strings.Replace(httpRoute, "kind: HTTPRoute", "kind: GRPCRoute", 1)
}

// many are routes on one Gateway, each with an application of its own, and each overlapping another.
func many(n int) string {
	var all strings.Builder
	all.WriteString(edge)
	for i := range n {
		app := strings.NewReplacer("name: web", fmt.Sprintf("name: web%d", i), "app: web", fmt.Sprintf("app: web%d", i)).Replace(web)
		all.WriteString(app + httpRoute(fmt.Sprintf("r%d", i), fmt.Sprintf("%s, hostnames: [h%d.x], rules: [{matches: [{path: {value: /%d}}], backendRefs: [{name: web%d, port: 80}]}]",
			toEdge, i/2, i, i)))
	}
	return all.String()
}

func BenchmarkReferences(b *testing.B) {
	for _, n := range []int{200, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			objects, provided := decoded(b, many(n), "m.yaml"), decoded(b, chart, "")
			for b.Loop() {
				if problems := References(objects, provided, implementation.Traefik, time.Now()); len(problems) > 0 {
					b.Fatal(problems[0])
				}
			}
		})
	}
	b.Run("1000 of one host", func(b *testing.B) {
		objects, provided := decoded(b, strings.ReplaceAll(many(1000), "hostnames: [h", "hostnames: [h.x, h"), "m.yaml"), decoded(b, chart, "")
		for b.Loop() {
			References(objects, provided, implementation.Traefik, time.Now())
		}
	})
}
