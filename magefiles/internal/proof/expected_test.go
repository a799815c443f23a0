package proof

import (
	"strings"
	"testing"
	"testing/synctest"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/probe"
)

// probing gives the route shop, in the manifests and in the cluster, other rules and an annotation.
func (w *world) probing(t *testing.T, rules, probes string) {
	t.Helper()
	w.ruled(t, rules)
	w.proof.Routes[0].Probe = probes
}

// upgraded is an answer that begins a websocket.
func upgraded(accept string) *probe.Answer {
	answer := passedOn(status(101))
	answer.Header.Set("Sec-Websocket-Accept", accept)
	return answer
}

func TestARequestOfARoutesAnnotationMustGetTheStatusThatItExpects(t *testing.T) {
	forbidden := func() *probe.Answer { return passedOn(status(403)) }
	const one, two = "{" + toShop + "}", "{backendRefs: [{name: shop, port: 80}, {name: cart, port: 80}]}"
	for _, test := range []struct {
		name, rules, probes string
		answers             []*probe.Answer
		request             string
		verdict             check.Verdict
		found               string
		hop                 string
		asked               int // how often; 0 for often enough
	}{
		{"a status of the application's", one, "GET /me 403", []*probe.Answer{forbidden()}, shop + "me", check.Holds, "answered: 403, the application's own; 403, as kindgate/probe expects", "", 1},
		{"another one", one, "GET /me 200", []*probe.Answer{forbidden()}, shop + "me", check.Broken, "403, where kindgate/probe expects 200", "the backend answers", 0},
		{"any", one, "GET /me", []*probe.Answer{forbidden()}, shop + "me", check.Holds, "answered: 403, the application's own", "", 1},
		{"a server's error that is expected", one, "GET /down 503", []*probe.Answer{passedOn(status(503))}, shop + "down", check.Holds, "answered: 503, the application's own; 503, as kindgate/probe expects", "", 1},
		{"a server's error that is not", one, "GET /down 200", []*probe.Answer{passedOn(status(503))}, shop + "down", check.Broken, "503, where kindgate/probe expects 200", "the backend answers", 0},
		{"a redirect of the application's", one, "GET / 302", []*probe.Answer{passedOn(redirecting("/login"))}, shop, check.Holds, "302, as kindgate/probe expects", "", 1},
		{"a refusal of Traefik's own that is expected", one, "GET /me 401", []*probe.Answer{status(401)}, shop + "me", check.Holds,
			"401 Unauthorized from Traefik itself, in the place of Service/demo/shop; 401, as kindgate/probe expects", "", 1},
		{"a refusal of Traefik's own that is not", one, "GET /me 200", []*probe.Answer{status(401)}, shop + "me", check.Broken, "401, where kindgate/probe expects 200", "the backend answers", 0},
		{"a 404 of Traefik's own is no answer", one, "GET /me 404", []*probe.Answer{notFound()}, shop + "me", check.Broken, "404 from Traefik: it has no such route", "Traefik's routes", 0},
		{"a 502 of Traefik's own is no answer", one, "GET /me 502", []*probe.Answer{status(502)}, shop + "me", check.Broken, "502 Bad Gateway instead of an answer of Service/demo/shop", "the backend answers", 0},
		{"one that changes something is sent once", one, "POST /orders 200", []*probe.Answer{whoami("shop-1"), whoami("shop-2")}, "POST " + shop + "orders", check.Holds,
			`Service/demo/shop: answered by its pod "shop-1", one of 2; 200, as kindgate/probe expects`, "", 1},
		{"and to several Services, too", two, "POST /orders 200", []*probe.Answer{whoami("shop-1")}, "POST " + shop + "orders", check.Holds,
			"answered by one of Service/demo/shop or Service/demo/cart; that each of them answers was not tried; 200, as kindgate/probe expects", "", 1},
		{"by the wrong pod", one, "POST /orders 200", []*probe.Answer{whoami("cart-1")}, "POST " + shop + "orders", check.Broken, `answered by pod "cart-1" of Service/demo/cart`, "the backend answers", 0},
		{"each pod must answer so", one, "GET / 200", []*probe.Answer{whoami("shop-1"), whoami("shop-2"), whoami("shop-1"), forbidden()}, shop, check.Broken,
			"403, where kindgate/probe expects 200 (request 4)", "the backend answers", 0},
		{"a match by a regular expression", "{matches: [{path: {type: RegularExpression, value: '/[0-9]+'}}], " + toShop + "}", "GET /7 403", []*probe.Answer{forbidden()}, shop + "7", check.Holds, "403, as kindgate/probe expects", "", 1},
		{"a redirect of the rule's", "{filters: [{type: RequestRedirect, requestRedirect: {hostname: example.com}}]}", "GET / 302", []*probe.Answer{redirecting("http://example.com/")}, shop, check.Holds, "302, as kindgate/probe expects", "", 1},
		{"a websocket", one, "GET /chat 101", []*probe.Answer{upgraded("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")}, shop + "chat [Upgrade: websocket]", check.Holds, "101, as kindgate/probe expects", "", 1},
		{"no websocket", one, "GET /chat 101", []*probe.Answer{forbidden()}, shop + "chat [Upgrade: websocket]", check.Broken, "403, where kindgate/probe expects 101", "the backend answers", 0},
		{"a websocket that nobody has asked for", one, "GET /chat 101", []*probe.Answer{upgraded("other")}, shop + "chat [Upgrade: websocket]", check.Broken,
			`101 Switching Protocols, but its Sec-WebSocket-Accept "other" is not what the request's key asks for`, "the backend answers", 0},
		{"a request that no match takes", "{matches: [{method: GET}], " + toShop + "}", "POST /orders", nil, "POST " + shop + "orders", check.Unknown,
			"not proven: its annotation kindgate/probe: POST /orders: no match of the route takes it", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := whole(t)
				w.probing(t, test.rules, test.probes)
				w.gateway.answers["shop.localhost"] = test.answers
				if test.answers == nil {
					w.gateway.answers["shop.localhost"] = []*probe.Answer{forbidden()}
				}
				r, ok := w.verify(t)[test.request]
				if !ok || r.Verdict != test.verdict || !strings.HasPrefix(r.Found, test.found) && !strings.HasSuffix(r.Found, test.found) {
					t.Errorf("%t %+v", ok, r.Finding)
				}
				if r.Hop != nil && r.Hop.Title != test.hop || r.Hop == nil && test.hop != "" {
					t.Errorf("%+v", r.Hop)
				}
				if test.asked > 0 && w.gateway.asked["shop.localhost"] != test.asked {
					t.Errorf("it was sent %d times", w.gateway.asked["shop.localhost"])
				}
			})
		})
	}
}

func TestARequestOfAnAnnotationThatMayChangeSomethingIsNotSentToAnExistingCluster(t *testing.T) {
	w := whole(t)
	w.probing(t, "{"+toShop+"}", "POST /orders 200\nGET /orders 200")
	w.proof.Careful = true
	results := w.verify(t)
	if r := results["POST "+shop+"orders"]; r.Verdict != check.Unknown || !strings.Contains(r.Found, "only GET and HEAD are sent") {
		t.Errorf("%+v", r.Finding)
	}
	if r := results[shop+"orders"]; r.Verdict != check.Holds {
		t.Errorf("%+v", r.Finding)
	}
}
