package proof

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/probe"
)

// ruled gives the route shop, in the manifests and in the cluster, other rules.
func (w *world) ruled(t *testing.T, rules string) {
	t.Helper()
	spec := parse[gatewayv1.HTTPRouteSpec](t, "{rules: ["+rules+"]}")
	w.proof.Routes[0].Spec.Rules, w.snapshot.HTTPRoutes[0].Spec.Rules = spec.Rules, spec.Rules
}

const toShop = "backendRefs: [{name: shop, port: 80}]"

// echoing is a pod's answer that repeats the request as it got it.
func echoing(pod, path, host, headers string) *probe.Answer {
	return &probe.Answer{Status: 200, Header: http.Header{}, Body: "Hostname: " + pod + "\nIP: 10.0.0.1\nRemoteAddr: 10.0.0.2:1\nGET " + path + " HTTP/1.1\nHost: " + host +
		"\nX-Forwarded-For: 127.0.0.1\n" + headers}
}

func redirecting(to string) *probe.Answer {
	return &probe.Answer{Status: 302, Header: http.Header{"Location": {to}}}
}

func TestARuleThatTraefikDoesNotImplementFailsForThatReason(t *testing.T) {
	const mirror = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}}}]"
	for _, test := range []struct {
		name, rule string
		answer     *probe.Answer
		request    string
		verdict    check.Verdict
		hop, found string
	}{
		{"a mirror", mirror + ", " + toShop, status(500), shop, check.Broken, "what Traefik implements", "HTTPRoute/demo/shop, rule 1: Traefik does not implement the filter RequestMirror"},
		{"a mirror of a redirect", strings.Replace(mirror, "}]", "}, {type: RequestRedirect}]", 1), status(500), shop, check.Broken, "what Traefik implements",
			"HTTPRoute/demo/shop, rule 1: Traefik does not implement the filter RequestMirror"},
		{"an extension that is not set up", "filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: m}}], " + toShop, status(500), shop, check.Broken,
			"what Traefik implements", "the filter ExtensionRef traefik.io/Middleware as it is set up here"},
		{"an extension that is", "filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: m}}], " + toShop, status(200), shop, check.Holds,
			"", "200; what the filter ExtensionRef traefik.io/Middleware does cannot be seen"},
		{"a backend that is down behind a mirror that is refused no more", mirror + ", " + toShop, status(502), shop, check.Broken, "the backend answers", "502 Bad Gateway"},
		{"a mirror that is refused no more", mirror + ", " + toShop, status(200), shop, check.Warns, "", "200; Traefik does not implement the filter RequestMirror"},
		{"the header Host", "matches: [{headers: [{name: Host, value: shop.localhost}]}], " + toShop, notFound(), shop + " [Host: shop.localhost]", check.Broken,
			"what Traefik implements", "matches of the header Host take no requests in Traefik"},
		{"timeouts", "timeouts: {request: 2s, backendRequest: 1s}, " + toShop, status(200), shop, check.Warns, "", "200; timeouts are accepted and ignored by Traefik"},
		{"timeouts of a backend that fails", "timeouts: {request: 1s}, " + toShop, status(500), shop, check.Broken, "the backend answers", "500 Internal Server Error"},
		{"a request that is not sent", mirror + ", matches: [{method: POST}], " + toShop, status(200), "POST " + shop, check.Unknown, "",
			"not proven: a POST might change something in the application; Traefik does not implement the filter RequestMirror"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := whole(t)
				w.ruled(t, "{"+test.rule+"}")
				w.gateway.answers["shop.localhost"] = []*probe.Answer{test.answer}
				r := w.verify(t)[test.request]
				if r.Verdict != test.verdict || !strings.HasPrefix(r.Found, test.found) && !strings.HasSuffix(r.Found, test.found) {
					t.Errorf("%+v", r.Finding)
				}
				if r.Hop != nil && r.Hop.String() != test.hop || r.Hop == nil && test.hop != "" {
					t.Errorf("%+v", r.Hop)
				}
			})
		})
	}
}

func TestAFeatureThatTheLiveClassListsIsNotCalledUnsupported(t *testing.T) {
	w := whole(t)
	w.ruled(t, "{timeouts: {request: 1s}, "+toShop+"}")
	w.snapshot.Classes[0].Status.SupportedFeatures = []gatewayv1.SupportedFeature{{Name: "HTTPRouteRequestTimeout"}}
	if r := w.verify(t)[shop]; r.Verdict != check.Holds {
		t.Errorf("%+v", r.Finding)
	}
}

func TestWhatNoTimeChangesIsNotWaitedFor(t *testing.T) {
	for _, cause := range []check.Cause{Precedence, Unsupported, RedirectLoop} {
		if !(Round{Findings: []check.Finding{because(cause, "x")}}).Final() {
			t.Error(cause)
		}
	}
}

func TestWhatTheFiltersOfARuleMakeOfARequestIsProvenWhereTheApplicationRepeatsIt(t *testing.T) {
	const rewrite = "filters: [{type: URLRewrite, urlRewrite: {hostname: in.x, path: {type: ReplaceFullPath, replaceFullPath: /new}}}], " + toShop
	const remove = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: a}, {name: Date, value: d}], remove: [X-Gone]}}], " + toShop
	const answered = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-A, value: a}]}}], " + toShop
	const each = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [X-A]}}, {type: URLRewrite, urlRewrite: {hostname: in.x}}], " + toShop
	both := func(path, host, headers string) []*probe.Answer {
		return []*probe.Answer{echoing("shop-1", path, host, headers), echoing("shop-2", path, host, headers)}
	}
	for _, test := range []struct {
		name, rule string
		answers    []*probe.Answer
		verdict    check.Verdict
		found      string
	}{
		{"a rewrite", rewrite, both("/new", "in.x", ""), check.Holds, "4 requests; URLRewrite as the rule says"},
		{"no rewrite", rewrite, both("/", "in.x", ""), check.Broken, "the backend got the path /, expected /new: URLRewrite of rule 1"},
		{"an application that repeats nothing", rewrite, []*probe.Answer{status(204)}, check.Holds, "204; what URLRewrite made of the request cannot be seen"},
		{"headers", remove, both("/", "x", "X-A: a\n"), check.Holds, "4 requests; RequestHeaderModifier as the rule says, but what becomes of Date cannot be seen"},
		{"a header that is still there", remove, both("/", "x", "X-A: a\nX-Gone: y\n"), check.Broken, "the backend got the header X-Gone: y, expected none"},
		{"an answer without its header", answered, []*probe.Answer{status(204)}, check.Broken, "the answer has no header X-A, expected a: ResponseHeaderModifier of rule 1"},
		{"an answer with it", answered, []*probe.Answer{{Status: 204, Header: http.Header{"X-A": {"a"}}}}, check.Holds, "204; ResponseHeaderModifier as the rule says"},
		{"both sides", each, both("/", "in.x", ""), check.Holds, "; ResponseHeaderModifier and URLRewrite as the rule says"},
		{"both sides of an application that repeats nothing", each, []*probe.Answer{status(204)}, check.Holds,
			"204; ResponseHeaderModifier as the rule says; what URLRewrite made of the request cannot be seen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := whole(t)
				w.ruled(t, "{"+test.rule+"}")
				w.gateway.answers["shop.localhost"] = test.answers
				r := w.verify(t)[shop]
				if r.Verdict != test.verdict || !strings.HasSuffix(r.Found, test.found) && !strings.HasPrefix(r.Found, test.found) {
					t.Errorf("%+v", r.Finding)
				}
				if r.Fails() && (r.Cause != Filtered || r.Hop == nil || r.Hop.Title != "the rule's filters") {
					t.Errorf("%s at %+v", r.Cause, r.Hop)
				}
			})
		})
	}
}

func TestOfAnAnswerFromWhereTheApplicationRedirectsTheFiltersAreNotJudged(t *testing.T) {
	w := whole(t)
	w.ruled(t, "{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-A, value: a}]}}], "+toShop+"}")
	request := w.proof.Planned()[0]
	answer := &probe.Answer{Status: 200, URL: request.URL() + "login"}
	got := filtered(request, answer, holds("200"))
	if got.Verdict != check.Holds || !strings.Contains(got.Found, "cannot be seen, as the application redirects to "+answer.URL) {
		t.Errorf("%+v", got)
	}
}

func TestAHeaderThatARuleRemovesIsSent(t *testing.T) {
	w := whole(t)
	w.ruled(t, "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [X-Gone]}}], "+toShop+"}")
	trial{w.proof, w.proof.Planned()[0], w.snapshot}.prove(t.Context())
	if w.gateway.sent["X-Gone"] == "" {
		t.Errorf("sent %v", w.gateway.sent)
	}
}

// leading is a rule of shop that redirects an exact path.
func leading(path, filter string) string {
	return "{matches: [{path: {type: Exact, value: " + path + "}}], filters: [{type: RequestRedirect, requestRedirect: {" + filter + "}}]}"
}

func TestARedirectIsFollowedToWhereItEnds(t *testing.T) {
	to := func(path string) string { return "path: {type: ReplaceFullPath, replaceFullPath: " + path + "}" }
	chain := []string{leading("/a", to("/1")), leading("/1", to("/2")), leading("/2", to("/3")), leading("/3", to("/4")), leading("/4", to("/5")), leading("/5", to("/6"))}
	for _, test := range []struct {
		name    string
		rules   []string
		answers map[string]*probe.Answer
		verdict check.Verdict
		found   string
	}{
		{"to an application", []string{leading("/a", "hostname: cart.localhost")}, map[string]*probe.Answer{"/a": redirecting("//cart.localhost:8080/a")}, check.Holds, "redirected with 302 to //cart.localhost:8080/a"},
		{"to a port that is not published", []string{leading("/a", "hostname: cart.localhost")}, map[string]*probe.Answer{"/a": redirecting("http://cart.localhost/a")}, check.Warns,
			"port 80 is not published here: what it stands for is at port 8080; set KINDGATE_HTTP_PORT=80, or write port: 8080 into the redirect"},
		{"to an application that fails", []string{leading("/a", "hostname: cart.localhost, "+to("/bad"))}, map[string]*probe.Answer{"/a": redirecting("//cart.localhost:8080/bad")}, check.Broken,
			"redirected with 302 to //cart.localhost:8080/bad; there: 502 Bad Gateway instead of an answer of Service/demo/cart"},
		{"to itself", []string{leading("/a", "statusCode: 302")}, map[string]*probe.Answer{"/a": redirecting("/a")}, check.Broken, "redirected with 302 to /a: it redirects to itself"},
		{"in a circle", []string{leading("/a", to("/b")), leading("/b", to("/a"))}, map[string]*probe.Answer{"/a": redirecting("/b"), "/b": redirecting("http://shop.localhost:80/a")}, check.Broken,
			"in a circle: http://shop.localhost:8080/a → http://shop.localhost:8080/b → http://shop.localhost:8080/a"},
		{"to one that redirects to itself", []string{leading("/a", to("/b")), leading("/b", "statusCode: 302")}, map[string]*probe.Answer{"/a": redirecting("/b"), "/b": redirecting("/b")}, check.Broken,
			"redirected with 302 to /b, and so to http://shop.localhost:8080/b, which redirects to itself"},
		{"to a host without a route", []string{leading("/a", "hostname: no.localhost")}, map[string]*probe.Answer{"/a": redirecting("http://no.localhost/a?b=c")}, check.Warns, "no route here serves http://no.localhost:8080/a?b=c"},
		{"to a public host", []string{leading("/a", "scheme: https, hostname: example.com")}, map[string]*probe.Answer{"/a": redirecting("https://example.com/a")}, check.Holds,
			"redirected with 302 to https://example.com/a, which is not among the hosts here"},
		{"to a listener that is not there", []string{leading("/a", "scheme: https")}, map[string]*probe.Answer{"/a": redirecting("https://shop.localhost/a")}, check.Warns, "no route here serves https://shop.localhost:8443/a"},
		{"to a port that leads nowhere", []string{leading("/a", "port: 9000")}, map[string]*probe.Answer{"/a": redirecting("//shop.localhost:9000/a")}, check.Warns, "no port of this machine leads to that of http://shop.localhost:9000/a"},
		{"to one without an answer", []string{leading("/a", to("/b")), leading("/b", to("/c"))}, map[string]*probe.Answer{"/a": redirecting("/b"), "/b": nil}, check.Warns, "http://shop.localhost:8080/b: no answer: connection refused"},
		{"to one that does not redirect", []string{leading("/a", to("/b")), leading("/b", to("/c"))}, map[string]*probe.Answer{"/a": redirecting("/b"), "/b": status(200)}, check.Holds, "redirected with 302 to /b"},
		{"to one that redirects to nonsense", []string{leading("/a", to("/b")), leading("/b", to("/c"))}, map[string]*probe.Answer{"/a": redirecting("/b"), "/b": redirecting("%zz")}, check.Holds, "redirected with 302 to /b"},
		{"from one to the next", chain, map[string]*probe.Answer{"/a": redirecting("/1"), "/1": redirecting("/2"), "/2": redirecting("/3"), "/3": redirecting("/4"), "/4": redirecting("/5"), "/5": redirecting("/6")},
			check.Warns, "that leads through more than 5 redirects"},
		{"to a host alone", []string{leading("/a", "hostname: cart.localhost, "+to("/"))}, map[string]*probe.Answer{"/a": redirecting("http://cart.localhost:8080")}, check.Holds, "redirected with 302"},
		{"nowhere", []string{leading("/a", "statusCode: 302")}, map[string]*probe.Answer{"/a": status(200)}, check.Broken, "200 OK instead of a redirect with 302"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := whole(t)
				w.gateway.answers["cart.localhost/bad"] = []*probe.Answer{status(502)}
				w.ruled(t, strings.Join(test.rules, ", "))
				for path, answer := range test.answers {
					w.gateway.answers["shop.localhost"+path] = []*probe.Answer{answer}
				}
				r := w.verify(t)[shop+"a"]
				if r.Verdict != test.verdict || !strings.HasSuffix(r.Found, test.found) && !strings.HasPrefix(r.Found, test.found) {
					t.Errorf("%+v", r.Finding)
				}
				if r.Fails() && (r.Hop == nil || r.Hop.Title != "where the redirect leads" && r.Hop.Title != "the redirect") {
					t.Errorf("%+v", r.Hop)
				}
			})
		})
	}
}
