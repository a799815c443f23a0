package implementation

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/probe"
)

var shop = check.ID{Kind: "HTTPRoute", Namespace: "my-demo", Name: "shop.v1"}

func TestARoutersRuleIsReadFromTraefiksList(t *testing.T) {
	const mine, other = "httproute-my-demo-shop-v1-gw-traefik-gw-ep-web-11-0123abc@kubernetesgateway", "httproute-my-demo-shop-gw-traefik-gw-ep-web-0-0123abc@kubernetesgateway"
	got, err := Traefik.Lists.Read([]byte(`[{"name": "` + mine + `", "rule": "Host(\"a\")", "priority": 18, "tls": {}}, {"name": "` + other + `", "error": ["why"]}, {"name": "ping@internal"}]`))
	if want := []Router{{mine, `Host("a")`, 18, true, nil}, {other, "", 0, false, []string{"why"}}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	if rule, ours := Traefik.Lists.Rule(mine, shop); rule != 11 || !ours {
		t.Error(rule, ours)
	}
	for _, name := range []string{other, "ping@internal", strings.Replace(mine, "11", "99999999999999999999", 1)} {
		if _, ours := Traefik.Lists.Rule(name, shop); ours {
			t.Error(name)
		}
	}
	if _, err := Traefik.Lists.Read([]byte("<html>")); err == nil {
		t.Error("a page is a list")
	}
}

func TestTheLastTroubleWithARouteIsReadFromTraefiksLog(t *testing.T) {
	const (
		filters = "\x1b[90m2026-01-01T00:00:00Z\x1b[0m \x1b[31mERR\x1b[0m \x1b[1mUnable to load HTTPRoute filters\x1b[0m \x1b[36merror=\x1b[0m\x1b[31m\x1b[1m\"unsupported \\\"filter\\\"\"\x1b[0m\x1b[0m " +
			"\x1b[36mhttp_route=\x1b[0mshop.v1 \x1b[36mnamespace=\x1b[0mmy-demo\n"
		router = "2026-01-01T00:00:00Z ERR error=\"cannot parse\" entryPointName=web routerName=httproute-my-demo-shop-v1-gw-traefik-gw-ep-web-1-0123abc@kubernetesgateway\n"
	)
	for _, test := range []struct{ name, log, want string }{
		{"an empty log", "", ""},
		{"a message and an error", filters, `Unable to load HTTPRoute filters: unsupported "filter"`},
		{"the last of two", filters + router, "cannot parse"},
		{"JSON", `{"level":"warn","http_route":"shop.v1","namespace":"my-demo","message":"x","error":"y","n":1}` + "\n", "x: y"},
		{"a message alone", "2026-01-01T00:00:00Z WRN something http_route=shop.v1 namespace=my-demo\n", "something"},
		{"what is no trouble", "2026-01-01T00:00:00Z DBG something http_route=shop.v1 namespace=my-demo\n", ""},
		{"another namespace", "2026-01-01T00:00:00Z ERR something http_route=shop.v1 namespace=other\n", ""},
		{"another rule's router", "2026-01-01T00:00:00Z ERR x routerName=httproute-my-demo-shop-v1-gw-traefik-gw-ep-web-0-0123abc@kubernetesgateway\n", ""},
		{"lines of other forms", "{\n10.0.0.1 - - [01/Jan/2026] \"GET / HTTP/1.1\" 404\nI0101 k8s\n2026-01-01T00:00:00Z ERR alone\n", ""},
	} {
		if got := Traefik.Logged(test.log, shop, 1); got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

func TestWhyTraefikHasAnsweredInThePlaceOfABackendIsReadFromItsLog(t *testing.T) {
	const (
		wrong = "2026-01-01T00:00:00Z ERR 500 Internal Server Error error=\"tls: failed to verify certificate\"\n"
		plain = `{"level":"error","error":"tls: first record does not look like a TLS handshake","message":"500 Internal Server Error"}` + "\n"
		other = "2026-01-01T00:00:00Z DBG 502 Bad Gateway error=\"connection refused\"\n2026-01-01T00:00:00Z ERR 500 things\nERR\n"
	)
	for log, want := range map[string]string{"": "", wrong: "tls: failed to verify certificate", wrong + plain + other: "tls: first record does not look like a TLS handshake", other: ""} {
		if got := Traefik.Answered(log, 500); got != want {
			t.Errorf("%q: %q", log, got)
		}
	}
}

// The orders are those of answers of Traefik 3.6.12.
func TestAnAnswerOfTraefiksOwnIsKnownByTheOrderOfItsHeader(t *testing.T) {
	for _, test := range []struct {
		name     string
		status   int
		order    []string
		own, not bool
	}{
		{"its 404", 404, []string{"Content-Type", "X-Content-Type-Options", "Date", "Content-Length"}, true, true},
		{"its 502", 502, []string{"Date", "Content-Length"}, true, false},
		{"the 404 of a backend in Go", 404, []string{"Content-Length", "Content-Type", "Date", "X-Content-Type-Options"}, false, false},
		{"a stream of a backend", 200, []string{"Content-Type", "Date", "Transfer-Encoding"}, false, false},
		{"a backend that says no length", 404, []string{"Content-Type", "Date", "Content-Length"}, false, false},
		{"a backend without a Date", 404, []string{"Content-Length", "Content-Type", "Date"}, false, false},
		{"a header that is not known", 404, nil, false, false},
	} {
		answer := &probe.Answer{Status: test.status, Order: test.order, Header: http.Header{}}
		if Traefik.Own(answer) != test.own || Traefik.Unrouted(answer) != test.not {
			t.Errorf("%s: own %t, no route %t", test.name, Traefik.Own(answer), Traefik.Unrouted(answer))
		}
	}
	// A server of gRPC sends neither a Date nor a length where it refuses a request of HTTP.
	refusal := &probe.Answer{Status: 415, Order: []string{"Content-Type", "Grpc-Message", "Grpc-Status", "Date", "Content-Length"}, Header: http.Header{"Content-Type": {"application/grpc"}}}
	if Traefik.Own(refusal) {
		t.Error("the answer of a server of gRPC is taken for Traefik's own")
	}
}
