package gateway

import (
	"slices"
	"strings"
	"testing"
)

func TestOfARequestThatNothingTakesTheNearestMatchesSayAllThatDiffers(t *testing.T) {
	secure := strings.NewReplacer("name: web,", "name: secure,", "port: 8000", "port: 8443", "protocol: HTTP", "protocol: HTTPS").Replace(web)
	gateways := gatewaysOf(t, web, strings.Replace(secure, "name: gw,", "name: gw2,", 1))
	table := Compile(routes(t,
		on("shop.localhost", "{path: {value: /v1}}, {path: {type: Exact, value: /x}}, {path: {type: RegularExpression, value: '/r[0-9]'}}"),
		on("'*.case.localhost'", "{path: {value: /}, method: HEAD, headers: [{name: X-Kind, value: k}]}")), gateways, Order{})
	get := Request{Scheme: "http", Listener: 8000, Port: 80, Method: "GET", Host: "shop.localhost", Path: "/v1"}
	with := func(change func(*Request)) Request { request := get; change(&request); return request }
	for _, test := range []struct {
		name    string
		request Request
		want    []string // all that differs in the nearest; none where nothing is near
	}{
		{"upper case in the path", with(func(r *Request) { r.Path = "/V1" }), []string{"its path is PathPrefix /v1, and upper and lower case differ"}},
		{"a prefix in the midst of a segment", with(func(r *Request) { r.Path = "/v1x" }), []string{"its path is PathPrefix /v1, which takes /v1 and what is below /v1/"}},
		{"a slash at the end", with(func(r *Request) { r.Path = "/x/" }), []string{"its path is Exact /x, and a slash at the end counts"}},
		{"below an exact path", with(func(r *Request) { r.Path = "/x/y" }), []string{"its path is Exact /x, which takes nothing below it"}},
		{"another path", with(func(r *Request) { r.Path = "/other" }), nil},
		{"another listener", with(func(r *Request) { r.Scheme, r.Listener, r.Port = "https", 8443, 443 }), []string{"its listener takes http at port 8000: http://shop.localhost:8080/v1"}},
		{"one label too many", with(func(r *Request) { r.Host = "a.shop.localhost" }),
			[]string{"its host is shop.localhost, and the request's has one label more, which *.shop.localhost would take"}},
		{"one label too few", with(func(r *Request) {
			r.Host, r.Path, r.Method, r.Header = "case.localhost", "/", "HEAD", map[string]string{"x-kind": "k"}
		}),
			[]string{"its host is *.case.localhost, which does not stand for case.localhost itself"}},
		{"a letter", with(func(r *Request) { r.Host = "shob.localhost" }), []string{"its host is shop.localhost, which shob.localhost differs from by a letter or two"}},
		{"two letters, and the path", with(func(r *Request) { r.Host, r.Path = "hops.localhost", "/V1" }),
			[]string{"its host is shop.localhost, which hops.localhost differs from by a letter or two", "its path is PathPrefix /v1, and upper and lower case differ"}},
		{"another host of the same length", with(func(r *Request) { r.Host = "else.localhost" }), nil},
		{"another host", with(func(r *Request) { r.Host = "somewhere.example.com" }), nil},
		{"a method", with(func(r *Request) { r.Host, r.Path = "a.case.localhost", "/" }), []string{"its method is HEAD"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			nearest := table.Nearest(test.request, 1, func(int32) (int, bool) { return 8080, true })
			switch {
			case len(test.want) == 0 && len(nearest) != 0:
				t.Errorf("near is %s: %q", nearest[0].Match, nearest[0].Differs)
			case len(test.want) > 0 && (len(nearest) != 1 || !slices.Equal(nearest[0].Differs, test.want)):
				t.Errorf("%+v", nearest)
			}
		})
	}
}

func TestEachListenerSaysWhyItDoesNotTakeARequest(t *testing.T) {
	gateways := gatewaysOf(t, `{metadata: {name: gw, namespace: traefik}, spec: {listeners: [{name: web, port: 8000, protocol: HTTP}, {name: shop, port: 8000, protocol: HTTP, hostname: "*.shop.x"},
		{name: secure, port: 8000, protocol: HTTPS}, {name: other, port: 8443, protocol: HTTPS}]}}`)
	got := Hear(Request{Scheme: "http", Listener: 8000, Host: "a.x"}, append(gateways, gateways...))
	var said []string
	for _, h := range got {
		said = append(said, h.Listener.Part+": "+h.Why)
	}
	if !slices.Equal(said, []string{"listener web: ", "listener shop: its hostname is *.shop.x", "listener secure: its protocol is HTTPS",
		"listener other: its port is 8443, and the request comes to 8000"}) {
		t.Errorf("%q", said)
	}
}
