package gateway

import (
	"net/url"
	"slices"
	"strings"
	"testing"

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

// web has one listener, many one of every sort.
const (
	web = `{metadata: {namespace: traefik, name: gw}, spec: {gatewayClassName: traefik, listeners: [
	{name: web, port: 8000, protocol: HTTP}]}}`
	many = `{metadata: {namespace: traefik, name: gw}, spec: {gatewayClassName: traefik, listeners: [
	{name: web, port: 8000, protocol: HTTP}, {name: websecure, port: 8443, protocol: HTTPS, hostname: '*.x'},
	{name: web2, port: 8001, protocol: HTTP}, {name: tls, port: 8444, protocol: TLS, hostname: t.y}]}}`
)

func gatewaysOf(t *testing.T, texts ...string) []gatewayv1.Gateway {
	t.Helper()
	var gateways []gatewayv1.Gateway
	for _, text := range texts {
		gateways = append(gateways, parse[gatewayv1.Gateway](t, text))
	}
	return gateways
}

func route(t *testing.T, spec string) Route {
	t.Helper()
	const head = "{metadata: {namespace: demo, name: r, generation: 2}, spec: {parentRefs: [{name: gw, namespace: traefik}], "
	r := parse[gatewayv1.HTTPRoute](t, head+spec+"}}")
	return FromHTTP(&r)
}

func routes(t *testing.T, specs ...string) []Route {
	t.Helper()
	var all []Route
	for _, spec := range specs {
		all = append(all, route(t, spec))
	}
	return all
}

// reach is a machine whose ports 80 and 443 lead to the listeners' usual ones.
func reach(listener int32) (int, bool) {
	port, ok := map[int32]int{0: 80, 8000: 80, 8443: 443}[listener]
	return port, ok
}

// lines are the requests of routes, "-" for one that cannot be proven.
func lines(t *testing.T, gateway string, routes ...Route) []string {
	t.Helper()
	var all []string
	for _, request := range Compile(routes, gatewaysOf(t, gateway), Order{}).Requests(reach) {
		line := request.String()
		if request.Unproven != "" {
			line = "-"
		}
		all = append(all, line)
	}
	return all
}

const to = "backendRefs: [{name: s, port: 80}]"

// on is a route's spec of one rule with the given matches.
func on(hostnames, matches string) string {
	return "hostnames: [" + hostnames + "], rules: [{matches: [" + matches + "], " + to + "}]"
}

func TestEachHostAndMatchGetsARequestThatOnlyItAnswers(t *testing.T) {
	for _, test := range []struct {
		name  string
		specs []string
		want  string
	}{
		{"hosts", []string{"hostnames: [a.x, b.x], rules: [{" + to + "}]"}, "http://a.x/ http://b.x/"},
		{"paths", []string{on("a.x", "{path: {value: /v1}}, {path: {type: Exact, value: /v2}}")}, "http://a.x/v1 http://a.x/v2"},
		{"no host", []string{"rules: [{" + to + "}]"}, "http://any-host.localhost/"},
		{"a wildcard", []string{"hostnames: ['*.x'], rules: [{" + to + "}]"}, "http://any.x/"},
		{"header, query and method", []string{on("a.x", "{method: HEAD, headers: [{name: h, value: v}], queryParams: [{name: q, value: w}]}")},
			"HEAD http://a.x/?q=w [h: v]"},
		{"a match that is wholly taken", []string{on("a.x", "{path: {type: Exact, value: /p}}, {path: {type: Exact, value: /p}}")},
			"http://a.x/p -"},
		{"a longer prefix", []string{on("a.x", "{}"), on("a.x", "{path: {value: /v1}}")}, "http://a.x/ http://a.x/v1"},
		{"an exact root", []string{on("a.x", "{}"), on("a.x", "{path: {type: Exact, value: /}}")}, "http://a.x/kindgate-probe http://a.x/"},
		{"the same match of an earlier route", []string{on("a.x", "{}"), on("a.x", "{}")}, "http://a.x/ -"},
		{"a wildcard beside a name", []string{on("'*.x'", "{}"), on("any.x", "{}")}, "- http://any.x/"},
		{"any host beside a name", []string{on("", "{}"), on("a.x", "{}")}, "http://any-host.localhost/ http://a.x/"},
		{"a prefix is one of whole segments",
			[]string{on("a.x", "{path: {value: /p}}, {path: {type: Exact, value: /p}}, {path: {value: /p/kindgate}}")},
			"http://a.x/p/kindgate-probe http://a.x/p http://a.x/p/kindgate"},
		{"a header more", []string{on("a.x", "{headers: [{name: h, value: v}]}, {headers: [{name: h, value: v}, {name: i, value: w}]}")},
			"http://a.x/ [h: v] http://a.x/ [h: v] [i: w]"},
		{"a method", []string{on("a.x", "{method: GET}, {}")}, "http://a.x/ -"},
		{"a regular expression that takes the root", []string{on("a.x", "{path: {type: RegularExpression, value: '^/$'}}, {path: {value: /}}")},
			"- http://a.x/kindgate-probe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(lines(t, web, routes(t, test.specs...)...), " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestARouteIsServedByTheListenersThatTakeHTTPAndItsNames(t *testing.T) {
	for _, test := range []struct{ name, parents, spec, want string }{
		{"each scheme and port once", "{name: gw, namespace: traefik}", "hostnames: [a.x, b.y]", "http://a.x/ https://a.x/ - http://b.y/ -"},
		{"a listener by its name", "{name: gw, namespace: traefik, sectionName: websecure}", "hostnames: [a.x, b.y, x]", "https://a.x/"},
		{"a listener by its port", "{name: gw, namespace: traefik, port: 8443}", "hostnames: [a.x]", "https://a.x/"},
		{"the listener's name is the narrower one", "{name: gw, namespace: traefik, sectionName: websecure}", "hostnames: ['*.x', '*.b.x']",
			"https://any.x/ https://any.b.x/"},
		{"no names", "{name: gw, namespace: traefik}", "hostnames: []", "http://any-host.localhost/ https://any.x/ -"},
		{"two parents, one Gateway", "{name: gw, namespace: traefik, sectionName: web}, {name: gw, namespace: traefik, port: 8000}",
			"hostnames: [a.x]", "http://a.x/"},
		{"a parent of another kind", "{kind: Service, group: '', name: s}", "hostnames: [a.x]", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := route(t, test.spec+", rules: [{"+to+"}]")
			r.Spec.ParentRefs = parse[[]gatewayv1.ParentReference](t, "["+test.parents+"]")
			got := lines(t, many, r)
			want := strings.Fields(test.want)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestTheNamesOfARouteAreThoseItsListenersAllowAndAllBeforeItsGatewayIsThere(t *testing.T) {
	bounded := gatewaysOf(t, strings.Replace(web, "name: web,", "name: web, hostname: '*.x',", 1))
	all := routes(t, "hostnames: [b.x, a.x, '*.x']", "hostnames: [a.x, a.y, x]", "rules: []")
	if got := strings.Join(Hostnames(all, bounded), " "); got != "a.x b.x" {
		t.Error(got)
	}
	if got := strings.Join(Hostnames(all, nil), " "); got != "a.x a.y b.x x" {
		t.Error(got)
	}
}

func TestARequestKnowsItsBackendsItsRedirectAndItsWeights(t *testing.T) {
	spec := `hostnames: [a.x], rules: [
		{backendRefs: [{name: s, port: 80, weight: 9}, {name: o, namespace: other, port: 81, weight: 1}, {name: none, port: 80, weight: 0}]},
		{matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301}}]}]`
	requests := Compile(routes(t, spec), gatewaysOf(t, web), Order{}).Requests(reach)
	b := requests[0].Backends
	if len(b) != 2 || b[0].String() != "Service/demo/s" || b[1].String() != "Service/other/o" || !requests[0].Weighted || requests[0].Enough != 10 {
		t.Errorf("%+v", requests[0])
	}
	if requests[1].Redirect == nil || requests[1].Redirect.Status != 301 || len(requests[1].Backends) != 0 {
		t.Errorf("%+v", requests[1])
	}
}

func TestAMatchThatNoRequestCanProveSaysWhy(t *testing.T) {
	for match, want := range map[string]string{
		"matches: [{path: {type: RegularExpression, value: /p.*}}], " + to:                "its path is a regular expression",
		"matches: [{method: DELETE}], " + to:                                              "a DELETE might change something",
		"matches: [{headers: [{type: RegularExpression, name: h, value: v}]}], " + to:     "a header by a regular expression",
		"matches: [{headers: [{name: content-length, value: '0'}]}], " + to:               "the header content-length, which depends on a request's body",
		"matches: [{queryParams: [{type: RegularExpression, name: q, value: v}]}], " + to: "a query parameter by a regular expression",
		"matches: [{method: POST}], " + to:                                                "a POST might change something",
		"backendRefs: [{name: s, port: 80, weight: 0}]":                                   "all its backends have the weight 0",
		"matches: [{}]": "neither a backend nor a redirect",
	} {
		request := Compile(routes(t, "hostnames: [a.x], rules: [{"+match+"}]"), gatewaysOf(t, web), Order{}).Requests(reach)[0]
		if !strings.Contains(request.Unproven, want) {
			t.Errorf("%s: %q", match, request.Unproven)
		}
	}
}

func TestARouteWithoutRulesHasTheOneThatTheAPIServerGivesIt(t *testing.T) {
	requests := Compile(routes(t, "hostnames: [a.x]"), gatewaysOf(t, web), Order{}).Requests(reach)
	if len(requests) != 1 || requests[0].Path != "/" || requests[0].Unproven != "its rule has neither a backend nor a redirect" {
		t.Errorf("%+v", requests)
	}
}

func TestTheControlsHostIsOneThatNoRouteHas(t *testing.T) {
	for spec, want := range map[string]bool{"hostnames: [a.localhost]": true, "hostnames: ['*.localhost']": false, "rules: []": false} {
		if _, ok := Unrouted(routes(t, spec), gatewaysOf(t, web)); ok != want {
			t.Errorf("%s: %v", spec, ok)
		}
	}
}

func TestAURLHasThePortOnlyWhereItIsNotTheSchemes(t *testing.T) {
	for _, test := range []struct {
		request Request
		want    string
	}{
		{Request{Scheme: "http", Host: "a.x", Path: "/", Port: 80}, "http://a.x/"},
		{Request{Scheme: "http", Host: "a.x", Path: "/", Port: 8080}, "http://a.x:8080/"},
		{Request{Scheme: "https", Host: "a.x", Path: "/", Port: 443}, "https://a.x/"},
		{Request{Scheme: "https", Host: "a.x", Path: "/", Port: 80}, "https://a.x:80/"},
		{Request{Scheme: "http", Host: "a.x", Path: "/a b?", Port: 80, Query: map[string]string{"q": "1&2", "p": "ü"}},
			"http://a.x/a%20b%3F?p=%C3%BC&q=1%262"},
	} {
		if got := test.request.URL(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func TestAPathIsAskedForAsItsMatchHasIt(t *testing.T) {
	for value, want := range map[string]string{"/a.b(c)": "/a.b(c)", "/100%25": "/100%25", "/a%20b": "/a%20b", "/a%2Fb/c": "/a%2Fb/c", "/a;b=c,d": "/a;b=c,d", "/": "/"} {
		if got := lines(t, web, route(t, on("a.x", "{path: {type: Exact, value: '"+value+"'}}"))); !slices.Equal(got, []string{"http://a.x" + want}) {
			t.Errorf("%s: %s", value, got)
		}
	}
}

func TestAURLsPathIsThatOfTheMatchThatTakesItHoweverItIsEncoded(t *testing.T) {
	for path, want := range map[string]string{"/a.b(c)": "/a.b(c)", "/100%25": "/100%25", "/%61%7Eb": "/a~b", "/a b": "/a%20b", "/a%2fb": "/a%2fb", "": ""} {
		u, err := url.Parse("http://a.x" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := PathOf(u); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestOfTwoRoutesWithTheSameMatchNeitherIsProven(t *testing.T) {
	all := routes(t, on("a.x", "{}"), on("a.x", "{}, {path: {value: /own}}"), on("a.x", "{path: {type: Exact, value: /}}"))
	for i, name := range []string{"a", "b", "c"} {
		all[i].ID.Name = name
	}
	var unproven []string
	for _, request := range Compile(all, gatewaysOf(t, web), Order{}).Requests(reach) {
		unproven = append(unproven, request.Unproven)
	}
	if !strings.Contains(unproven[0], "/b has the same match") || !strings.Contains(unproven[1], "/a has the same match") ||
		unproven[2] != "" || unproven[3] != "" {
		t.Errorf("%q", unproven)
	}
}

func TestAListenerWhosePortNothingLeadsToIsSaid(t *testing.T) {
	var got []string
	r := route(t, "hostnames: [a.x], rules: [{"+to+"}]")
	for _, request := range Compile([]Route{r}, gatewaysOf(t, many), Order{}).Requests(reach) {
		got = append(got, strings.TrimSpace(request.URL()+" "+request.Unproven))
	}
	want := []string{"http://a.x/", "https://a.x/", "http://a.x:8001/ no port of this machine leads to its listener's port 8001"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
