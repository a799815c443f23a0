package gateway

import (
	"slices"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// lines are the requests of routes with the given specs, "-" for one that cannot be proven.
func lines(t *testing.T, gateway string, specs ...string) string {
	t.Helper()
	var routes []gatewayv1.HTTPRoute
	for _, spec := range specs {
		routes = append(routes, route(t, spec))
	}
	var all []string
	for _, request := range Requests(routes, []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, gateway)}) {
		line := request.Line(map[string]int{"http": 80, "https": 443}[request.Scheme])
		if request.Unproven != "" {
			line = "-"
		}
		all = append(all, line)
	}
	return strings.Join(all, " ")
}

const to = "backendRefs: [{name: s, port: 80}]"

// on is a route's spec of one rule with the given matches.
func on(hostnames, matches string) string {
	return "hostnames: [" + hostnames + "], rules: [{matches: [" + matches + "], " + to + "}]"
}

// many has a listener of every sort.
const many = `{metadata: {namespace: traefik, name: gw}, spec: {gatewayClassName: traefik, listeners: [
	{name: web, port: 8000, protocol: HTTP}, {name: websecure, port: 8443, protocol: HTTPS, hostname: '*.x'},
	{name: web2, port: 8001, protocol: HTTP}, {name: tls, port: 8444, protocol: TLS, hostname: t.y}]}}`

func TestARequestIsNotTakenByAnotherRoutesMatch(t *testing.T) {
	for _, test := range []struct {
		name  string
		specs []string
		want  string
	}{
		{"a longer prefix", []string{on("a.x", "{}"), on("a.x", "{path: {value: /v1}}")}, "http://a.x/ http://a.x/v1"},
		{"an exact root", []string{on("a.x", "{}"), on("a.x", "{path: {type: Exact, value: /}}")}, "http://a.x/kindgate-probe http://a.x/"},
		{"the same match of an earlier route", []string{on("a.x", "{}"), on("a.x", "{}")}, "http://a.x/ -"},
		{"a wildcard beside a name", []string{on("'*.x'", "{}"), on("any.x", "{}")}, "- http://any.x/"},
		{"any host beside a name", []string{on("", "{}"), on("a.x", "{}")}, "http://any-host.localhost/ http://a.x/"},
		{"a prefix is one of whole segments", []string{on("a.x", "{path: {value: /p}}, {path: {type: Exact, value: /p}}, {path: {value: /p/kindgate}}")},
			"http://a.x/p/kindgate-probe http://a.x/p http://a.x/p/kindgate"},
		{"a header more", []string{on("a.x", "{headers: [{name: h, value: v}]}, {headers: [{name: h, value: v}, {name: i, value: w}]}")},
			"http://a.x/ [h: v] http://a.x/ [h: v] [i: w]"},
		{"a method", []string{on("a.x", "{method: GET}, {}")}, "http://a.x/ -"},
		{"a regular expression that takes the root", []string{on("a.x", "{path: {type: RegularExpression, value: '^/$'}}, {path: {value: /}}")},
			"- http://a.x/kindgate-probe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(t, web, test.specs...); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestARouteIsServedByTheListenersThatTakeHTTPAndItsNames(t *testing.T) {
	for _, test := range []struct{ name, parents, spec, want string }{
		{"each scheme once", "{name: gw, namespace: traefik}", "hostnames: [a.x, b.y]", "http://a.x/ https://a.x/ http://b.y/"},
		{"a listener by its name", "{name: gw, namespace: traefik, sectionName: websecure}", "hostnames: [a.x, b.y]", "https://a.x/"},
		{"a listener by its port", "{name: gw, namespace: traefik, port: 8001}", "hostnames: [a.x]", "http://a.x/"},
		{"the listener's name is the narrower one", "{name: gw, namespace: traefik, sectionName: websecure}", "hostnames: ['*.x', '*.b.x']",
			"https://any.x/ https://any.b.x/"},
		{"no names", "{name: gw, namespace: traefik}", "hostnames: []", "http://any-host.localhost/ https://any.x/"},
		{"two parents, one Gateway", "{name: gw, namespace: traefik, sectionName: web}, {name: gw, namespace: traefik, sectionName: web2}",
			"hostnames: [a.x]", "http://a.x/"},
		{"a parent of another kind", "{kind: Service, group: '', name: s}", "hostnames: [a.x]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := route(t, test.spec+", rules: [{"+to+"}]")
			r.Spec.ParentRefs = parse[[]gatewayv1.ParentReference](t, "["+test.parents+"]")
			var urls []string
			for _, request := range Requests([]gatewayv1.HTTPRoute{r}, []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, many)}) {
				urls = append(urls, request.URL(map[string]int{"http": 80, "https": 443}[request.Scheme]))
			}
			want := strings.Fields(test.want)
			slices.Sort(urls)
			slices.Sort(want)
			if !slices.Equal(urls, want) {
				t.Errorf("got  %v\nwant %v", urls, want)
			}
		})
	}
}

func TestTheNamesOfARouteAreKnownBeforeItsGatewayIsThere(t *testing.T) {
	routes := []gatewayv1.HTTPRoute{route(t, "hostnames: [b.x, a.x, '*.x']"), route(t, "hostnames: [a.x]"), route(t, "rules: []")}
	if got := strings.Join(Hostnames(routes, nil), " "); got != "a.x b.x" {
		t.Error(got)
	}
}

func TestAURLHasThePortOnlyWhereItIsNotTheSchemes(t *testing.T) {
	for _, test := range []struct {
		request Request
		port    int
		want    string
	}{
		{Request{Scheme: "http", Host: "a.x", Path: "/"}, 80, "http://a.x/"},
		{Request{Scheme: "http", Host: "a.x", Path: "/"}, 8080, "http://a.x:8080/"},
		{Request{Scheme: "https", Host: "a.x", Path: "/"}, 443, "https://a.x/"},
		{Request{Scheme: "https", Host: "a.x", Path: "/"}, 80, "https://a.x:80/"},
		{Request{Scheme: "http", Host: "a.x", Path: "/a b?", Query: map[string]string{"q": "1&2", "p": "ü"}}, 80, "http://a.x/a%20b%3F?p=%C3%BC&q=1%262"},
	} {
		if got := test.request.URL(test.port); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestAMatchThatNoRequestCanProveSaysWhy(t *testing.T) {
	for match, want := range map[string]string{
		"matches: [{headers: [{type: RegularExpression, name: h, value: v}]}], " + to:     "a header by a regular expression",
		"matches: [{queryParams: [{type: RegularExpression, name: q, value: v}]}], " + to: "a query parameter by a regular expression",
		"matches: [{method: POST}], " + to:                                                "a POST might change something",
		"matches: [{}]":                                                                   "neither a backend nor a redirect",
	} {
		routes := []gatewayv1.HTTPRoute{route(t, "hostnames: [a.x], rules: [{"+match+"}]")}
		request := Requests(routes, []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, web)})[0]
		if !strings.Contains(request.Unproven, want) {
			t.Errorf("%s: %q", match, request.Unproven)
		}
	}
}
