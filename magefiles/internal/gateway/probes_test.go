package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAnAnnotationHasALineForEachRequestAndOneForEachOfItsHeaders(t *testing.T) {
	got, err := ReadProbes("\nPOST /orders?full=yes 201\nx-tenant: a: b\nX-Empty:\n\n  GET /healthz  \n")
	if err != nil {
		t.Fatal(err)
	}
	if said := fmt.Sprint(got); said != "[POST /orders GET /healthz]" || got[0].Status != 201 || got[1].Status != 0 {
		t.Error(said, got)
	}
	if fmt.Sprint(got[0].Query, got[0].Header, got[1].Header) != "map[full:yes] map[X-Empty: X-Tenant:a: b] map[]" {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		"  \n":                           "it has no request",
		"GET":                            `line 1: "GET" is no request: a method, a path and perhaps a status are needed`,
		"GET / 200 OK":                   "is no request",
		"get /":                          `line 1: "get" is no method: write one of GET, HEAD, POST`,
		"CONNECT /":                      "is no method",
		"GET healthz":                    `"healthz" is no path: it begins with /`,
		"GET http://a/b":                 "is no path",
		"GET /%zz":                       "is no path",
		"GET /?a=1&a=2":                  "the query parameter a is there twice",
		"GET / ok":                       `"ok" is no status of an answer`,
		"GET / 100":                      "is no status",
		"POST / 101":                     "a websocket begins with GET",
		"GET / 799":                      "is no status",
		"X-Tenant: a":                    "the header X-Tenant has no request above it",
		"GET /\nHost: b":                 "line 2: the host is that of the route",
		"GET / 200\nGET / 404":           "GET / is there twice",
		"GET\n\nPOST":                    "line 1: \"GET\" is no request: a method, a path and perhaps a status are needed\nline 3: \"POST\"",
		"GET /\nX-A: 1\nGET /\nX-A: 1\n": "GET / is there twice",
	} {
		if _, err := ReadProbes(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ReadProbes("GET /\nX-A: 1\nGET /\nX-A: 2\nGET /?a=1\n"); err != nil {
		t.Error(err)
	}
}

func TestTheRequestsOfARoutesAnnotationProveTheMatchesThatTakeThem(t *testing.T) {
	shop := route(t, "rules: [{matches: [{path: {value: /orders}, method: POST}, {path: {type: RegularExpression, value: '/v[0-9]+'}}, {path: {value: /web}}], "+to+"}, "+
		"{matches: [{path: {value: /none}}], backendRefs: [{name: s, port: 80, weight: 0}]}], hostnames: [a.x, b.x]")
	shop.Probe = "POST /orders 201\nX-Tenant: a\nGET /v2 404\nGET /v3\nGET /none 503"
	requests := Compile([]Route{shop}, gatewaysOf(t, web), Order{}).Requests(reach)
	var got []string
	for _, r := range requests {
		if r.Host == "a.x" {
			got = append(got, fmt.Sprintf("%d.%d %s %d %s", r.Rule, r.Match, r, r.Status, r.Unproven))
		}
	}
	want := []string{"0.0 POST http://a.x/orders [X-Tenant: a] 201 ", "0.1 http://a.x/v2 404 ", "0.1 http://a.x/v3 0 ", "0.2 http://a.x/web 0 ",
		"1.0 http://a.x/none 503 all its backends have the weight 0"}
	if !slices.Equal(got, want) || len(requests) != 10 {
		t.Errorf("%d %q", len(requests), got)
	}
}

func TestWhatARoutesAnnotationHasThatProvesNothingIsSaid(t *testing.T) {
	shop := route(t, "rules: [{matches: [{path: {value: /a}, method: GET}], "+to+"}], hostnames: [a.x, b.x]")
	other := route(t, "rules: [{matches: [{path: {type: Exact, value: /a/b}, method: GET}, {path: {type: Exact, value: /a/c}, method: GET}], "+to+"}], hostnames: [a.x]")
	other.ID.Name = "other"
	same := route(t, "rules: [{matches: [{path: {value: /a}, method: GET}], "+to+"}], hostnames: [b.x]")
	same.ID.Name = "same"
	called := calls(t, "calls", "{"+to+"}")
	for _, test := range []struct {
		probe   string
		others  []Route
		of      *Route
		strays  []string
		reasons []string // of requests of the route that are not sent
	}{
		{"GET /a", nil, &shop, nil, nil},
		{"POST /a 201", nil, &shop, []string{"POST /a: no match of the route takes it, as of HTTPRoute/demo/r, rule 1, match 1, its method is GET"},
			[]string{"its annotation kindgate/probe: POST /a: no match of the route takes it, as of HTTPRoute/demo/r, rule 1, match 1, its method is GET"}},
		{"GET /a/b", []Route{other}, &shop, nil, nil}, // on b.x it does
		{"GET /a/b\nGET /b", []Route{other}, &shop, []string{"GET /b: no match of the route takes it, as of HTTPRoute/demo/r, rule 1, match 1, its path is PathPrefix /a"},
			[]string{"its annotation kindgate/probe: GET /b: no match"}},
		{"GET /a", []Route{same}, &shop, nil, []string{"HTTPRoute/demo/same has the same match"}},
		{"GET", nil, &shop, []string{`line 1: "GET" is no request: a method, a path and perhaps a status are needed`}, []string{"its annotation kindgate/probe: line 1:"}},
		{"GET /a", nil, &called, []string{"it is for HTTPRoutes: what a GRPCRoute serves is proven by calls"}, []string{"its annotation kindgate/probe: it is for HTTPRoutes"}},
	} {
		probing := *test.of
		probing.Probe = test.probe
		table := Compile(append([]Route{probing}, test.others...), gatewaysOf(t, web), Order{})
		var strays, reasons []string
		for _, s := range table.Strays() {
			strays = append(strays, s.Why)
		}
		for _, r := range table.Requests(reach) {
			if r.Route == probing.ID && r.Unproven != "" {
				reasons = append(reasons, r.Unproven)
			}
		}
		if !slices.Equal(strays, test.strays) || !slices.EqualFunc(reasons, test.reasons, strings.HasPrefix) {
			t.Errorf("%q: %q %q", test.probe, strays, reasons)
		}
	}
	unserved := shop
	unserved.Probe = "nothing"
	if strays := Compile([]Route{unserved}, nil, Order{}).Strays(); len(strays) != 1 { // its Gateway is not there yet
		t.Errorf("%v", strays)
	}
	unserved.Spec.ParentRefs = nil
	if strays := Compile([]Route{unserved}, nil, Order{}).Strays(); len(strays) != 0 {
		t.Errorf("a route that no Gateway serves: %v", strays)
	}
}

func TestAProbeThatExpectsToSwitchProtocolsAsksForAWebsocket(t *testing.T) {
	probes, err := ReadProbes("GET /echo 101\nSec-WebSocket-Protocol: chat\nGET /plain 200")
	if err != nil {
		t.Fatal(err)
	}
	header := probes[0].Header
	if header["Connection"] != "Upgrade" || header["Upgrade"] != "websocket" || header["Sec-Websocket-Protocol"] != "chat" || len(probes[1].Header) != 0 {
		t.Errorf("%v", probes)
	}
	r := Request{Header: header}
	// The specification's own example: https://www.rfc-editor.org/rfc/rfc6455#section-1.3.
	for accept, want := range map[string]bool{"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=": true, "": false, "dGhlIHNhbXBsZSBub25jZQ==": false} {
		if got := r.AcceptsWebsocket(http.Header{"Sec-Websocket-Accept": {accept}}); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}
