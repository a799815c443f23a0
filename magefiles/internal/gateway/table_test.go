package gateway

import (
	"strings"
	"testing"
)

func TestARequestIsTakenByTheMatchWithPrecedenceAndTheOthersSayWhyNot(t *testing.T) {
	table := Compile(routes(t,
		on("a.x", "{}, {path: {value: /v1}}, {path: {type: Exact, value: /v1}}, {method: HEAD}, {headers: [{name: X-Kind, value: k}]}, {queryParams: [{name: q, value: w}]}"),
		on("'*.x'", "{path: {type: RegularExpression, value: '^/[a-z]+$'}}, {headers: [{name: h, value: 'v.*', type: RegularExpression}]}"),
		on("b.y", "{}")), gatewaysOf(t, web), Order{})
	const r = "HTTPRoute/demo/r, rule 1, match "
	get := Request{Scheme: "http", Listener: 8000, Method: "GET", Host: "a.x", Path: "/v1"}
	with := func(change func(*Request)) Request { request := get; change(&request); return request }
	for _, test := range []struct {
		name    string
		request Request
		winner  int // its order in the table, -1 for none
		losses  map[int]string
	}{
		{"an exact path before its prefix", get, 2, map[int]string{
			0: r + "3 has precedence by its kind of path", 1: "kind of path", 3: "its method is HEAD", 4: "it asks for the header X-Kind: k",
			5: "it asks for the query parameter q=w", 6: "its path is RegularExpression ^/[a-z]+$", 7: "it asks for the header h: v.*", 8: "its host is b.y"}},
		{"a longer prefix", with(func(r *Request) { r.Path = "/v1/x" }), 1, map[int]string{0: "has precedence by its path", 2: "its path is Exact /v1"}},
		{"a header, in any case", with(func(r *Request) { r.Path, r.Header = "/", map[string]string{"x-kind": "k"} }), 4, map[int]string{0: "by its headers"}},
		{"a query parameter", with(func(r *Request) { r.Path, r.Query = "/", map[string]string{"q": "w"} }), 5, map[int]string{0: "by its query parameters"}},
		{"a method", with(func(r *Request) { r.Path, r.Method = "/", "HEAD" }), 3, map[int]string{0: "by its method"}},
		{"a wildcard's host", with(func(r *Request) { r.Host, r.Path = "c.x", "/abc" }), 6, map[int]string{0: "its host is a.x", 7: "it asks for the header h"}},
		{"a header by an expression", with(func(r *Request) { r.Host, r.Path, r.Header = "c.x", "/1", map[string]string{"h": "vw"} }), 7, map[int]string{6: "its path is"}},
		{"upper and lower case", with(func(r *Request) { r.Path = "/V1" }), 0, map[int]string{1: "its path is PathPrefix /v1, and upper and lower case differ"}},
		{"another port", with(func(r *Request) { r.Listener = 8443 }), -1, map[int]string{0: "its listener takes http at port 8000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			winner, tied, losses := table.Match(test.request)
			if test.winner < 0 && winner != nil || test.winner >= 0 && (winner == nil || winner.order != test.winner) || tied {
				t.Fatalf("%v %t", winner, tied)
			}
			why := map[int]string{}
			for _, loss := range losses {
				why[loss.Match.order] = loss.Why
			}
			for order, want := range test.losses {
				if !strings.Contains(why[order], want) {
					t.Errorf("%d: %q has no %q", order, why[order], want)
				}
			}
			if want := len(table.matches) - min(1, test.winner+1); len(losses) != want {
				t.Errorf("%d losses, want %d", len(losses), want)
			}
		})
	}
}

func TestOfMatchesThatAreTheSameOneRoutesFirstWinsAndTwoRoutesTie(t *testing.T) {
	all := routes(t, on("a.x", "{}, {}"), on("a.x", "{}"))
	all[1].ID.Name = "other"
	request := Request{Scheme: "http", Listener: 8000, Method: "GET", Host: "a.x", Path: "/"}
	winner, tied, losses := Compile(all[:1], gatewaysOf(t, web), Order{}).Match(request)
	if winner == nil || winner.Index != 0 || tied || !strings.Contains(losses[0].Why, "match 1 is the same, and comes first") {
		t.Errorf("%v %t %v", winner, tied, losses)
	}
	if _, tied, losses := Compile(all, gatewaysOf(t, web), Order{}).Match(request); !tied || !strings.Contains(losses[1].Why, "is the Gateway's choice") {
		t.Errorf("%t %v", tied, losses)
	}
}
