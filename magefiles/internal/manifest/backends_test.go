package manifest

import (
	"fmt"
	"testing"
)

func grant(kind, from, to string) string {
	return object("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "other", "g",
		fmt.Sprintf("from: [{group: gateway.networking.k8s.io, kind: %s, namespace: %s}], to: [%s]", kind, from, to))
}

func TestABackendIsAServiceWithThePort(t *testing.T) {
	backend := func(ref string) string {
		return httpRoute("r", toEdge+", rules: [{matches: [{path: {value: /a}}]}, {backendRefs: [{"+ref+"}]}]")
	}
	for _, test := range []struct {
		name, folder, want string
	}{
		{"it has", web + backend("name: web, port: 80"), ""},
		{"it has not", web + backend("name: web, port: 8080"),
			"broken: m.yaml:*: HTTPRoute/demo/r: spec.rules[1].backendRefs[0].port: Service/demo/web has no port 8080: it has 80 http; write port: 80"},
		{"the target's port of two", object("v1", "Service", "demo", "two", "ports: [{name: a, port: 81, targetPort: 8081}, {name: b, port: 82, targetPort: 8082}]") +
			backend("name: two, port: 8082"), "it has 81 a, 82 b; write port: 82"},
		{"neither of two", object("v1", "Service", "demo", "two", "ports: [{name: a, port: 81}, {name: b, port: 82}]") + backend("name: two, port: 80"), "give the Service this port"},
		{"a Service without ports", object("v1", "Service", "demo", "none", "clusterIP: None") + backend("name: none, port: 80"), "broken*Service/demo/none has no ports"},
		{"a name outside", object("v1", "Service", "demo", "out", "type: ExternalName, externalName: a.x") + backend("name: out, port: 80"), ""},
		{"the chart's", backend("name: traefik, namespace: traefik, port: 9000") + "\n---\n{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, " +
			"metadata: {name: g, namespace: traefik}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: demo}], to: [{group: '', kind: Service}]}}", ""},
		{"no port of the chart's", httpRoute("r", toEdge+", rules: [{backendRefs: [{name: traefik, port: 9001}]}]") + object("v1", "Service", "demo", "traefik", "ports: [{port: 9000}]"),
			"Service/demo/traefik has no port 9001: it has 9000; write port: 9000"},
		{"of another kind", backend("group: traefik.io, kind: TraefikService, name: web"), ""},
		{"nothing is known of it", web + backend("name: elsewhere, port: 80"), ""},
		{"in another namespace", object("v1", "Service", "other", "app", "ports: [{port: 80}]") + backend("name: app, port: 80"),
			"warns*spec.rules[1].backendRefs[0].name: there is no Service/demo/app in the manifests, but there is Service/other/app; write namespace: other"},
		{"nearly the name", web + backend("name: wbe, port: 80"), "warns*there is Service/demo/web; write name: web"},
		{"a mirror's", web + httpRoute("r", toEdge+", rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 81}}}]}]"),
			"broken*spec.rules[0].filters[0].requestMirror.backendRef.port: Service/demo/web has no port 81"},
		{"a backend's mirror's", web + httpRoute("r", toEdge+", rules: [{backendRefs: [{name: web, port: 80, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 81}}}]}]}]"),
			"spec.rules[0].backendRefs[0].filters[0].requestMirror.backendRef.port"},
		{"of a GRPCRoute", web + object("gateway.networking.k8s.io/v1", "GRPCRoute", "demo", "r", toEdge+", rules: [{backendRefs: [{name: web, port: 81}]}]"), "broken*GRPCRoute/demo/r*has no port 81"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expect(t, judged(t, edge+test.folder, chart), want...)
		})
	}
}

func TestABackendOfAnotherNamespaceNeedsAReferenceGrant(t *testing.T) {
	there := object("v1", "Service", "other", "app", "ports: [{port: 80}]")
	r := httpRoute("r", toEdge+", rules: [{backendRefs: [{name: app, namespace: other, port: 80}]}]")
	const service = "{group: '', kind: Service}"
	missing := "broken*spec.rules[0].backendRefs[0]: no ReferenceGrant in namespace other permits it to name Service/other/app; write a ReferenceGrant into namespace other " +
		`with spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: demo}], to: [{group: "", kind: Service, name: app}]}`
	for _, test := range []struct {
		name, folder string
		want         []string
	}{
		{"none", there + r, []string{missing}},
		{"none, and nothing is known of the target", r, []string{"warns*no ReferenceGrant"}},
		{"for all Services", there + r + grant("HTTPRoute", "demo", service), nil},
		{"for this one", there + r + grant("HTTPRoute", "demo", "{group: '', kind: Service, name: app}"), nil},
		{"for another one", there + r + grant("HTTPRoute", "demo", "{group: '', kind: Service, name: else}"), []string{missing}},
		{"for another kind", there + r + grant("HTTPRoute", "demo", "{group: '', kind: Secret}"), []string{missing}},
		{"from another kind", there + r + grant("GRPCRoute", "demo", service), []string{missing}},
		{"from another namespace", there + r + grant("HTTPRoute", "infra", service), []string{missing}},
	} {
		t.Run(test.name, func(t *testing.T) {
			expect(t, judged(t, edge+test.folder, chart), test.want...)
		})
	}
	t.Run("in the namespace of the route", func(t *testing.T) {
		objects := object("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "demo", "g",
			"from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: demo}], to: ["+service+"]")
		expect(t, judged(t, edge+there+r+objects, chart), missing)
	})
}
