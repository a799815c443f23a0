package proof

import (
	"slices"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// explained explains a GET in a world; by the manifests alone where alone is true.
func (w *world) explained(t *testing.T, url string, alone bool) Explanation {
	t.Helper()
	request, err := w.proof.Asked(url, "get", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := w.take(t.Context())
	if alone {
		s = nil
	}
	return w.proof.Explain(t.Context(), request, s)
}

func TestARequestIsExplainedByTheMatchThatTakesItAndTheHopsOnItsWay(t *testing.T) {
	w := whole(t)
	e := w.explained(t, "http://shop.localhost:8080", false)
	if e.Winner == nil || e.Winner.Route.Name != "shop" || e.Tied || e.Specified != nil || e.Request.String() != shop {
		t.Fatalf("%+v", e)
	}
	if len(e.Losses) != 1 || e.Losses[0].Host || e.Losses[0].Why != "its host is cart.localhost" {
		t.Errorf("%+v", e.Losses)
	}
	for _, hop := range e.Hops {
		if hop.Verdict != check.Holds {
			t.Errorf("%s: %+v", hop, hop.Finding)
		}
	}
	if last := e.Hops[len(e.Hops)-1]; last.Title != "the backend answers" || last.Found != "Service/demo/shop: 2 of 2 pods in 4 requests" {
		t.Errorf("%+v", last.Finding)
	}
}

func TestAnExplanationEndsAtTheHopThatIsBroken(t *testing.T) {
	w := whole(t)
	w.gateway.answers["shop.localhost"] = []*probe.Answer{status(503)}
	w.snapshot.Slices[0] = slice("demo", "shop")
	e := w.explained(t, shop, false)
	if last := e.Hops[len(e.Hops)-1]; last.String() != "Service/demo/shop" || !last.Fails() {
		t.Errorf("%s: %+v", last, last.Finding)
	}
}

func TestWithoutAClusterTheManifestsExplainAndNothingIsSent(t *testing.T) {
	w := whole(t)
	w.silent()
	if e := w.explained(t, shop, true); e.Winner == nil || len(e.Hops) != 0 || len(w.gateway.asked) != 0 {
		t.Errorf("%+v, asked %v", e, w.gateway.asked)
	}
	e := w.explained(t, "http://none.localhost:8080/", true)
	if e.Winner != nil || len(e.Losses) != 2 {
		t.Errorf("%+v", e)
	}
}

func TestWhereTheSpecificationGivesTheRequestToAnotherMatchBothAreNamed(t *testing.T) {
	w := crowded(t, "{method: GET}")
	e := w.explained(t, shop, false)
	if e.Winner == nil || e.Winner.Route.Name != "wild" || e.Specified == nil || e.Specified.Route.Name != "shop" || !e.Losses[0].Host || e.Losses[1].Host {
		t.Errorf("%+v", e)
	}
	wild := gateway.FromHTTP(&w.snapshot.HTTPRoutes[2])
	w.proof.Routes = append(w.proof.Routes, wild, wild)
	w.proof.Routes[3].ID.Name = "twin"
	if e := w.explained(t, shop, true); !e.Tied {
		t.Errorf("%+v", e)
	}
}

func TestAMethodThatMayChangeSomethingIsNotSent(t *testing.T) {
	w := whole(t)
	request, err := w.proof.Asked(shop, "POST", []string{"X-Kind: a: b"})
	if err != nil || request.Header["X-Kind"] != "a: b" {
		t.Fatal(request, err)
	}
	s, _ := w.take(t.Context())
	if e := w.proof.Explain(t.Context(), request, s); e.Winner == nil || len(e.Hops) != 0 || len(w.gateway.asked) != 0 ||
		e.Unsent != "a POST might change something in the application" {
		t.Errorf("%+v", e)
	}
}

func TestWhatIsNoRequestToTheGatewayIsSaid(t *testing.T) {
	w := whole(t)
	for url, want := range map[string]string{
		"shop.localhost": "is no URL of a request", "http://": "is no URL of a request", "http://a b/": "invalid character",
		"http://shop.localhost:1/": "no listener is reached at port 1 of this machine: http at 8080, https at 8443",
	} {
		if _, err := w.proof.Asked(url, "GET", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if r, err := w.proof.Asked("http://SHOP.localhost:8080/A", "GET", nil); err != nil || r.Host != "shop.localhost" || r.Path != "/A" {
		t.Errorf("a name has no case: %+v, %v", r, err)
	}
	if _, err := w.proof.Asked(shop, "GET", []string{"X-Kind"}); err == nil || !strings.Contains(err.Error(), "write it as Name: value") {
		t.Error(err)
	}
	delete(w.place.ports, 8443)
	if r, err := w.proof.Asked("http://shop.localhost:8080/a%20b?q=1&q=2", "GET", nil); err != nil || r.Query["q"] != "1" || r.Listener != 8000 {
		t.Error(r, err)
	}
	if _, err := w.proof.Asked("https://shop.localhost/", "GET", nil); err == nil {
		t.Error("nothing leads to HTTPS")
	}
}

func TestAnExplanationHasTheListenersFiltersAndBackendsOfTheRequest(t *testing.T) {
	w := whole(t)
	rule := &w.proof.Routes[0].Spec.Rules[0]
	*rule = parse[gatewayv1.HTTPRouteRule](t, `{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: v}]}}],
		backendRefs: [{name: shop, port: 80, weight: 9}, {name: cart, port: 81}]}`)
	shop9 := gateway.Backend{Namespace: "demo", Name: "shop", Port: 80}
	cart1 := gateway.Backend{Namespace: "demo", Name: "cart", Port: 81}
	for alone, ready := range map[bool][]int{true: {-1, -1}, false: {2, 1}} {
		e := w.explained(t, shop, alone)
		if !slices.Equal(e.Backends, []Backing{{shop9, 9, 10, ready[0]}, {cart1, 1, 10, ready[1]}}) || !slices.Equal(e.Filters, []string{"RequestHeaderModifier"}) ||
			len(e.Listeners) != 1 || e.Listeners[0].Listener.String() != "Gateway/traefik/gw, listener web" || e.Listeners[0].Why != "" {
			t.Errorf("%+v", e)
		}
	}
}

func TestTheDataPlanesOwnChoiceIsComparedWithTheMatchThatIsSaidToTakeTheRequest(t *testing.T) {
	for routers, want := range map[string]struct {
		verdict check.Verdict
		found   string
	}{
		router("shop", 0, 16, ""):                            {check.Holds, "httproute-demo-shop-gw-traefik-gw-ep-web-0-0abc@kubernetesgateway, priority 16: Host(x)"},
		router("shop", 0, 17, ""):                            {check.Warns, "no router for the match with the priority 16; of its rule it has: httproute-demo-shop-gw-traefik-gw-ep-web-0-0abc@kubernetesgateway has the priority 17"},
		router("shop", 0, 16, `, "error": ["bad"]`):          {check.Warns, "@kubernetesgateway does not work: bad"},
		router("shop", 1, 16, ""):                            {check.Warns, "of its rule it has: none at all"},
		router("shop", 0, 16, `, "tls": {"options": "x"}`):   {check.Warns, "none at all"},
		router("shop-gw-other", 0, 16, "") + "no more of it": {check.Unknown, "no list of routers"},
		"": {check.Unknown, "its list of routers cannot be read: connection refused"},
	} {
		w := whole(t)
		w.place.routers = routers
		if e := w.explained(t, shop, false); e.Choice == nil || e.Choice.Verdict != want.verdict || !strings.Contains(e.Choice.Found, want.found) {
			t.Errorf("%s: %+v", routers, e.Choice)
		}
	}
}

func TestForARequestThatNothingTakesTheNearestMatchesAreSaid(t *testing.T) {
	w := whole(t)
	e := w.explained(t, "http://shob.localhost:8080/", true)
	if len(e.Nearest) != 1 || e.Nearest[0].Match.Route.Name != "shop" {
		t.Errorf("%+v", e.Nearest)
	}
}
