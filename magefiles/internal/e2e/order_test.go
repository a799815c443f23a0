package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
)

// routerName is how Traefik names the router of a route's rule.
var routerName = regexp.MustCompile(`^httproute-demo-(random-\d+)-.*-(\d+)-[0-9a-f]+@`)

func TestThePrioritiesOfTraefiksRoutersAreAsStated(t *testing.T) {
	enterShared(t)
	w := up(t)
	random := rand.New(rand.NewPCG(1, 2))
	var documents []string
	want := map[string][]int{} // by the route and the rule
	for n := range 12 {
		route := randomRoute(random, fmt.Sprint("random-", n))
		for r, rule := range route.Spec.Rules {
			key := fmt.Sprintf("%s, rule %d", route.Name, r)
			for _, match := range rule.Matches {
				m := gateway.Match{Rule: r, Rules: len(route.Spec.Rules), Path: *match.Path, Headers: match.Headers, Params: match.QueryParams}
				if match.Method != nil {
					m.Method = string(*match.Method)
				}
				for _, name := range route.Spec.Hostnames {
					m.Longest = max(m.Longest, len(name))
				}
				want[key] = append(want[key], implementation.Traefik.Order.Priority(&m))
			}
		}
		document, err := yaml.Marshal(route)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(document))
	}
	w.feed(t, strings.Join(documents, "---\n"))
	distinct := func(priorities map[string][]int) { // two matches of a rule that are the same have one router
		for key := range priorities {
			slices.Sort(priorities[key])
			priorities[key] = slices.Compact(priorities[key])
		}
	}
	distinct(want)
	var got map[string][]int
	eventually(t, func() bool {
		got = map[string][]int{}
		for _, router := range w.routers() {
			if found := routerName.FindStringSubmatch(router.Name); found != nil {
				key := found[1] + ", rule " + found[2]
				got[key] = append(got[key], router.Priority)
			}
		}
		return len(got) == len(want)
	})
	distinct(got)
	for key := range want {
		if !slices.Equal(got[key], want[key]) {
			t.Errorf("%s: Traefik has %v, stated are %v", key, got[key], want[key])
		}
	}
}

func TestExplainGoesAlongTheHopsOrByTheManifestsAlone(t *testing.T) {
	enterShared(t)
	w := up(t)
	url := fmt.Sprintf("http://demo.localhost:%d/v1", w.httpPort)
	contains(t, w.mage(t, "explain", url), url+", by the routes of cluster "+w.name, "HTTPRoute/demo/whoami-path, rule 1, match 1",
		"takes it to Service/demo/whoami-v1", "HTTPRoute/demo/whoami-path, rule 2, match 1 does not: its path is PathPrefix /v2",
		"the port on this machine", "the backend answers", "Service/demo/whoami-v1: 2 of 2 pods")
	w.fails(t, []string{"no match", "its path is PathPrefix /v1, and upper and lower case differ", "no match takes "}, "explain", strings.Replace(url, "/v1", "/V1", 1))
	name := w.env["KINDGATE_CLUSTER"]
	t.Cleanup(func() { w.env["KINDGATE_CLUSTER"] = name })
	w.env["KINDGATE_CLUSTER"] = "kindgate-e2e-none"
	contains(t, w.mage(t, "explain", url), "by the manifests alone", "takes it to Service/demo/whoami-v1")
}

// randomRoute is a route of up to twelve rules with up to four matches each.
func randomRoute(random *rand.Rand, name string) *gatewayv1.HTTPRoute {
	namespace := gatewayv1.Namespace("traefik")
	route := &gatewayv1.HTTPRoute{}
	route.APIVersion, route.Kind, route.Name, route.Namespace = gatewayv1.GroupVersion.String(), "HTTPRoute", name, "demo"
	listener := gatewayv1.SectionName("web")
	route.Spec.ParentRefs = []gatewayv1.ParentReference{{Name: "traefik-gateway", Namespace: &namespace, SectionName: &listener}}
	for i := range random.IntN(3) {
		host := strings.Repeat("h", 1+random.IntN(9)) + fmt.Sprint(i) + ".random.test"
		if random.IntN(3) == 0 {
			host = "*." + host
		}
		route.Spec.Hostnames = append(route.Spec.Hostnames, gatewayv1.Hostname(host))
	}
	service, port := gatewayv1.ObjectName("whoami-v1"), gatewayv1.PortNumber(80)
	for range 1 + random.IntN(12) {
		rule := gatewayv1.HTTPRouteRule{BackendRefs: []gatewayv1.HTTPBackendRef{{}}}
		rule.BackendRefs[0].Name, rule.BackendRefs[0].Port = service, &port
		for range 1 + random.IntN(4) {
			rule.Matches = append(rule.Matches, randomMatch(random))
		}
		route.Spec.Rules = append(route.Spec.Rules, rule)
	}
	return route
}

func randomMatch(random *rand.Rand) gatewayv1.HTTPRouteMatch {
	kinds := []gatewayv1.PathMatchType{gatewayv1.PathMatchPathPrefix, gatewayv1.PathMatchExact, gatewayv1.PathMatchRegularExpression}
	kind, path := kinds[random.IntN(len(kinds))], "/"+strings.Repeat("p", random.IntN(12))
	match := gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}
	if method := gatewayv1.HTTPMethodGet; random.IntN(3) == 0 {
		match.Method = &method
	}
	for i := range random.IntN(4) {
		match.Headers = append(match.Headers, gatewayv1.HTTPHeaderMatch{Name: gatewayv1.HTTPHeaderName(fmt.Sprint("x-", i)), Value: "v"})
	}
	for i := range random.IntN(4) {
		match.QueryParams = append(match.QueryParams, gatewayv1.HTTPQueryParamMatch{Name: gatewayv1.HTTPHeaderName(fmt.Sprint("q", i)), Value: "v"})
	}
	return match
}
