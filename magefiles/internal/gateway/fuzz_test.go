package gateway

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// FuzzPrecedence compares the table with the specification's words, written down once more and as plainly as can be.
func FuzzPrecedence(f *testing.F) {
	for seed := range uint64(2000) {
		f.Add(seed)
	}
	gateways := []gatewayv1.Gateway{{Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{{Name: "web", Port: 8000, Protocol: gatewayv1.HTTPProtocolType}}}}}
	gateways[0].Namespace, gateways[0].Name = "traefik", "gw"
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		all := make([]Route, 1+random.IntN(3))
		for i := range all {
			all[i] = anyRoute(random, fmt.Sprint(i))
		}
		table := Compile(all, gateways, Order{})
		for range 20 {
			r := anyRequest(random)
			winner, tied, _ := table.Match(r)
			want, wantTied := bySpecification(all, r)
			got := ""
			if winner != nil {
				got = winner.String()
			}
			if got != want && !(tied && wantTied) || tied != wantTied {
				t.Fatalf("seed %d, %s: %q, tied %t; the specification says %q, tied %t", seed, r, got, tied, want, wantTied)
			}
		}
	})
}

func pick(random *rand.Rand, values ...string) string { return values[random.IntN(len(values))] }

func anyRoute(random *rand.Rand, name string) Route {
	route := FromHTTP(&gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name}})
	namespace := gatewayv1.Namespace("traefik")
	route.Spec.ParentRefs = []gatewayv1.ParentReference{{Name: "gw", Namespace: &namespace}}
	if host := pick(random, "a.x", "b.a.x", "*.x", "*.a.x", ""); host != "" {
		route.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(host)}
	}
	for range 1 + random.IntN(3) {
		rule := gatewayv1.HTTPRouteRule{}
		for range 1 + random.IntN(2) {
			kind := gatewayv1.PathMatchType(pick(random, "PathPrefix", "Exact"))
			path := pick(random, "/", "/p", "/p/q", "/pq")
			match := gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}
			if method := gatewayv1.HTTPMethod(pick(random, "", "", "GET", "HEAD")); method != "" {
				match.Method = &method
			}
			for _, name := range []gatewayv1.HTTPHeaderName{"g", "h"} {
				if random.IntN(3) == 0 {
					match.Headers = append(match.Headers, gatewayv1.HTTPHeaderMatch{Name: name, Value: "v"})
				}
				if random.IntN(3) == 0 {
					match.QueryParams = append(match.QueryParams, gatewayv1.HTTPQueryParamMatch{Name: name, Value: "v"})
				}
			}
			rule.Matches = append(rule.Matches, match)
		}
		route.Spec.Rules = append(route.Spec.Rules, rule)
	}
	return route
}

func anyRequest(random *rand.Rand) Request {
	r := Request{Scheme: "http", Listener: 8000, Method: pick(random, "GET", "HEAD", "POST"), Host: pick(random, "a.x", "b.a.x", "c.a.x", "x", "y"),
		Path: pick(random, "/", "/p", "/p/", "/p/q", "/p/q/r", "/pq"), Header: map[string]string{}, Query: map[string]string{}}
	for _, name := range []string{"g", "h"} {
		for _, fields := range []map[string]string{r.Header, r.Query} {
			if random.IntN(2) == 0 {
				maps.Copy(fields, map[string]string{name: pick(random, "v", "v", "w")})
			}
		}
	}
	return r
}

// bySpecification goes through all matches of all routes, and keeps the one that the specification's list prefers: the most characters in a
// hostname without a wildcard, the most in any hostname, an exact path, the longest prefix, a method, the most headers, the most query
// parameters, and within a route the first.
func bySpecification(all []Route, r Request) (winner string, tied bool) {
	var best [7]int
	var from int
	for n, route := range all {
		for i, rule := range route.Spec.Rules {
			for j, match := range rule.Matches {
				host := ""
				if len(route.Spec.Hostnames) > 0 {
					host = string(route.Spec.Hostnames[0])
				}
				suffix, wildcard := strings.CutPrefix(host, "*")
				value, prefix := *match.Path.Value, *match.Path.Type == gatewayv1.PathMatchPathPrefix
				takes := (host == "" || host == r.Host || wildcard && strings.HasSuffix(r.Host, suffix)) &&
					(match.Method == nil || string(*match.Method) == r.Method) &&
					(r.Path == value || prefix && (value == "/" || strings.HasPrefix(r.Path, value+"/")))
				for _, header := range match.Headers {
					takes = takes && r.Header[string(header.Name)] == header.Value
				}
				for _, param := range match.QueryParams {
					takes = takes && r.Query[string(param.Name)] == param.Value
				}
				if !takes {
					continue
				}
				var rank [7]int
				if !wildcard {
					rank[0] = len(host)
				}
				rank[1] = len(host)
				if prefix {
					rank[3] = len(value)
				} else {
					rank[2] = 1
				}
				if match.Method != nil {
					rank[4] = 1
				}
				rank[5], rank[6] = len(match.Headers), len(match.QueryParams)
				name := fmt.Sprintf("HTTPRoute/demo/%s, rule %d, match %d", route.ID.Name, i+1, j+1)
				switch order := compare(rank, best); {
				case winner == "" || order > 0:
					winner, tied, best, from = name, false, rank, n
				case order == 0 && n != from:
					tied = true
				}
			}
		}
	}
	return winner, tied
}

func compare(a, b [7]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}
