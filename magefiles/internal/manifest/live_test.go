package manifest

import (
	"fmt"
	"strings"
	"testing"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

// running is a cluster that has the chart's objects, edge and web.
const running = chart + edge + web

func TestFilesAreJudgedOnTopOfWhatAClusterHas(t *testing.T) {
	on := func(name, host, rules string) string {
		return httpRoute(name, toEdge+", hostnames: ["+host+"], rules: ["+rules+"]")
	}
	const root, below = "{backendRefs: [{name: web, port: 80}]}", "{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}"
	foreign := strings.ReplaceAll(running, "traefik.io/gateway-controller", "example.com/c")
	for _, test := range []struct {
		name, live, folder string
		want               []string
	}{
		{"a route to what is there", running, on("a", "a.x", root), nil},
		{"no such Gateway", running, strings.Replace(on("a", "a.x", root), "name: edge", "name: egde", 1),
			[]string{"broken*there is no Gateway/infra/egde in the manifests or the cluster, but there is Gateway/infra/edge; write name: edge"}},
		{"no such Service, and nothing near", running, on("a", "a.x", "{backendRefs: [{name: shop-frontend, port: 80}]}"),
			[]string{"broken*there is no Service/demo/shop-frontend in the manifests or the cluster; write the Service"}},
		{"no such Service, and one that is near", running, on("a", "a.x", "{backendRefs: [{name: wbe, port: 80}]}"),
			[]string{"broken*there is no Service/demo/wbe in the manifests or the cluster, but there is Service/demo/web"}},
		{"no such port", running, on("a", "a.x", "{backendRefs: [{name: web, port: 81}]}"), []string{"broken*Service/demo/web has no port 81: it has 80 http"}},
		{"the cluster's route takes its requests", running + on("theirs", "a.x", root), on("ours", "a.x", root),
			[]string{"warns*HTTPRoute/demo/ours: spec.rules[0].matches[0]: this match may get no request: HTTPRoute/demo/theirs has the same match"}},
		{"it takes those of the cluster's route", running + on("theirs", "a.x", below), on("ours", "a.x", below+", {matches: [{path: {type: Exact, value: /b}}], backendRefs: [{name: web, port: 80}]}") +
			on("apart", "b.x", root), []string{"warns*HTTPRoute/demo/ours"}},
		{"a route that is there already", running + on("a", "a.x", root), on("a", "a.x", below+", "+root), nil},
		{"no such class", running, strings.Replace(edge, "traefik", "treafik", 1), []string{"broken*there is no GatewayClass/treafik in the manifests or the cluster or the chart of"}},
		{"a Gateway of another controller", foreign, strings.Replace(edge, "name: edge", "name: other", 1), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			by := implementation.Traefik
			if strings.Contains(test.live, "example.com/c") {
				by = implementation.Of("")
			}
			var got []string
			for _, p := range ReferencesOn(decoded(t, test.live, "context staging"), decoded(t, test.folder, "m.yaml"), nil, by, now) {
				got = append(got, fmt.Sprintf("%s: %s; %s", p.Verdict, p, p.Remedy))
			}
			expect(t, got, test.want...)
		})
	}
}

func TestARouteOfTheFilesThatTakesAllRequestsOfTheClustersIsNamed(t *testing.T) {
	const rules = "rules: [{backendRefs: [{name: web, port: 80}]}]"
	live := running + httpRoute("theirs", toEdge+", hostnames: [a.x], "+rules)
	folder := httpRoute("ours", toEdge+", hostnames: ['*.x', '*.a-long-name.x'], "+rules)
	var got []string
	for _, p := range ReferencesOn(decoded(t, live, "context staging"), decoded(t, folder, "m.yaml"), nil, implementation.Traefik, now) {
		got = append(got, fmt.Sprintf("%s: %s; %s", p.Verdict, p, p.Remedy))
	}
	expect(t, got, "warns: m.yaml:*HTTPRoute/demo/ours: spec.rules[0]*it takes all requests of HTTPRoute/demo/theirs, rule 1, match 1, which is in the cluster: HTTPRoute/demo/ours, rule 1, match 1 has precedence: Traefik gives*")
}

func TestObjectsAreJudgedByTheDefinitionsThatAClusterHas(t *testing.T) {
	route := decoded(t, httpRoute("a", toEdge+", hostnames: [a.x], "+toWeb), "m.yaml")
	definition := func(kind, version string) kube.Object {
		return decoded(t, fmt.Sprintf(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}, spec: {group: gateway.networking.k8s.io, names: {kind: %s},
			versions: [{name: %s, served: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}`, kind, version), "context staging")[0]
	}
	for _, test := range []struct {
		name string
		live []kube.Object
		want []string
	}{
		{"the version is served", []kube.Object{definition("HTTPRoute", "v1")}, nil},
		{"another version is", []kube.Object{definition("HTTPRoute", "v1beta1")}, []string{"the definition at context staging*does not serve HTTPRoute as gateway.networking.k8s.io/v1"}},
		{"another kind is defined", []kube.Object{definition("Gateway", "v1")}, []string{"the cluster has no definition of the kind HTTPRoute"}},
	} {
		var got []string
		for _, p := range (Schemas{Live: test.live, Kubernetes: "v1.37.2"}).Problems(t.Context(), route) {
			got = append(got, p.String())
		}
		t.Run(test.name, func(t *testing.T) { expect(t, got, test.want...) })
	}
}
