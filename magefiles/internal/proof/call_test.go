package proof

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

const (
	healthURL = "http://rpc.localhost:8080/grpc.health.v1.Health/Check"
	health    = "POST " + healthURL
)

// serving is whole, with a GRPCRoute of some rules on a host, "" for every one. Its backend is the Service cart.
func serving(t *testing.T, host, rules string) *world {
	t.Helper()
	w := whole(t)
	hostnames := "hostnames: [" + host + "], "
	if host == "" {
		hostnames = ""
	}
	r := parse[gatewayv1.GRPCRoute](t, fmt.Sprintf(`{metadata: {name: rpc, namespace: demo, generation: 1}, spec: {%sparentRefs: [{name: gw, namespace: traefik}],
		rules: [%s]}}`, hostnames, strings.ReplaceAll(rules, "TO", "backendRefs: [{name: cart, port: 80}]")))
	w.proof.Routes = append(w.proof.Routes, gateway.FromGRPC(&r))
	live := *r.DeepCopy()
	live.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: r.Spec.ParentRefs[0], Conditions: judged(1, "Accepted", "ResolvedRefs")}}
	w.snapshot.GRPCRoutes = []gatewayv1.GRPCRoute{live}
	return w
}

// answering gives all requests of the GRPCRoute's host the same answers, in turn.
func (w *world) answering(answers ...*probe.Answer) { w.gateway.answers["rpc.localhost"] = answers }

// echo is the answer of a pod to the call that says who it is.
func echo(pod string) *probe.Answer {
	answer := call(0)
	answer.Body = whoami(pod).Body
	return answer
}

func text(status int, kind, body string) *probe.Answer {
	answer := page(body)
	answer.Status, answer.Header = status, map[string][]string{"Content-Type": {kind}}
	return answer
}

func TestACallThatAServerOfGRPCAnswersProvesAGRPCRoute(t *testing.T) {
	for _, test := range []struct {
		name, rules string
		answers     []*probe.Answer
		verdict     check.Verdict
		cause       check.Cause
		found       string
		hop         string
	}{
		{"a healthy server", "{TO}", []*probe.Answer{call(0)}, check.Holds, "", "grpc-status 0 (OK) from a server of gRPC", ""},
		{"a server that wants a password", "{TO}", []*probe.Answer{call(16)}, check.Holds, "", "grpc-status 16 from a server of gRPC", ""},
		{"a server without health checks", "{TO}", []*probe.Answer{call(unimplemented)}, check.Holds, "", "grpc-status 12 (UNIMPLEMENTED) from a server of gRPC", ""},
		{"a server that is overloaded", "{TO}", []*probe.Answer{call(unavailable)}, check.Broken, ServerError,
			"grpc-status 14 (UNAVAILABLE) from a server of gRPC instead of an answer of Service/demo/cart", "the backend answers"},
		{"a backend that the gateway cannot ask", "{TO}", []*probe.Answer{text(200, "application/json", `{"code":14,"message":"Service Unavailable"}`)}, check.Broken, ServerError,
			"Traefik's own UNAVAILABLE instead of an answer of Service/demo/cart", "the backend answers"},
		{"a backend that speaks no HTTP/2", "{TO}", []*probe.Answer{status(500)}, check.Broken, ServerError, "500 Internal Server Error instead of an answer of Service/demo/cart", "the backend answers"},
		{"a backend that is no server of gRPC", "{TO}", []*probe.Answer{page("a page")}, check.Broken, WrongAnswer,
			"200 text/html, which is no answer of gRPC, instead of one of Service/demo/cart", "the backend answers"},
		{"no route", "{TO}", []*probe.Answer{notFound()}, check.Broken, NoRoute, "404 from Traefik: it has no such route", "Traefik's routes"},
		{"no answer", "{TO}", []*probe.Answer{nil}, check.Broken, NoAnswer, "no answer: connection refused", "the backend answers"},
		{"a filter that Traefik does not have", "{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x, value: v}]}}], TO}",
			[]*probe.Answer{text(200, "application/json", `{"code":14,"message":"Service Unavailable"}`)}, check.Broken, Unsupported,
			"GRPCRoute/demo/rpc, rule 1: Traefik does not implement the filter ResponseHeaderModifier", "what Traefik implements"},
		{"two Services, one of which fails", "{backendRefs: [{name: cart, port: 80}, {name: shop, port: 80}]}", []*probe.Answer{call(0), call(unavailable)}, check.Broken, ServerError,
			"3 of 6 requests answered grpc-status 14 (UNAVAILABLE) instead of an answer of Service/demo/cart or Service/demo/shop", "the backend answers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := serving(t, "rpc.localhost", test.rules)
				w.answering(test.answers...)
				results := w.verify(t)
				r := results[health]
				if r.Verdict != test.verdict || r.Cause != test.cause || r.Found != test.found || (r.Hop == nil) != (test.hop == "") || r.Hop != nil && r.Hop.String() != test.hop {
					t.Errorf("%+v, hop %v", r.Finding, r.Hop)
				}
				if r := results["GRPCRoute/demo/rpc"]; r.Verdict != check.Holds || r.Found != "Accepted, ResolvedRefs" {
					t.Errorf("%+v", r.Finding)
				}
			})
		})
	}
}

func TestTheHopsOfACallNameTheGRPCRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serving(t, "rpc.localhost", "{TO}")
		w.answering(notFound())
		w.snapshot.GRPCRoutes[0].Status.Parents[0].Conditions = judged(1, "Accepted", "ResolvedRefs=False")
		if r := w.verify(t)[health]; r.Hop == nil || r.Hop.String() != "GRPCRoute/demo/rpc" {
			t.Errorf("%+v, hop %+v", r.Finding, r.Hop)
		}
		w.snapshot.GRPCRoutes = nil
		if r := w.verify(t)["GRPCRoute/demo/rpc"]; r.Found != "it is not there" {
			t.Errorf("%+v", r.Finding)
		}
	})
}

func TestAServerThatSaysWhichPodItIsIsHeldToItsService(t *testing.T) {
	for _, test := range []struct {
		name, rules, url, found string
		echoes                  []*probe.Answer
	}{
		{"all calls", "{TO}", health, "Service/demo/cart: 1 of 1 pods in 2 requests", []*probe.Answer{echo("cart-1")}},
		{"its own service", "{matches: [{method: {service: gateway_api_conformance.echo_basic.grpcecho.GrpcEcho}}], TO}",
			"POST http://rpc.localhost:8080" + gateway.EchoCall, "Service/demo/cart: 1 of 1 pods in 2 requests", []*probe.Answer{echo("cart-1")}},
		{"another Service's pod", "{TO}", health, `answered by pod "shop-1" of Service/demo/shop (HTTPRoute/demo/shop, rule 1), which is none of Service/demo/cart: cart-1`,
			[]*probe.Answer{echo("shop-1")}},
		{"no name", "{TO}", health, "grpc-status 12 (UNIMPLEMENTED) from a server of gRPC", []*probe.Answer{call(0)}},
		{"another match's", "{TO}, {matches: [{method: {service: gateway_api_conformance.echo_basic.grpcecho.GrpcEcho}}], backendRefs: [{name: shop, port: 80}]}",
			health, "grpc-status 12 (UNIMPLEMENTED) from a server of gRPC", []*probe.Answer{echo("shop-1"), echo("shop-2")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := serving(t, "rpc.localhost", test.rules)
				w.answering(call(unimplemented))
				w.gateway.answers["rpc.localhost"+gateway.EchoCall] = test.echoes
				if r := w.verify(t)[test.url]; r.Found != test.found {
					t.Errorf("%+v", r.Finding)
				}
			})
		})
	}
}

func TestAMethodThatMayChangeSomethingIsCalledSuchThatItIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serving(t, "rpc.localhost", "{matches: [{method: {service: a.B, method: Delete}}], TO}")
		w.answering(call(0)) // which only an answerable call gets
		r := w.verify(t)["POST http://rpc.localhost:8080/a.B/Delete"]
		if r.Verdict != check.Holds || r.Found != "grpc-status 12 (UNIMPLEMENTED) from a server of gRPC" {
			t.Errorf("%+v", r.Finding)
		}
	})
}

func TestAGRPCRouteThatTakesEveryHostTakesNeitherTheControlNorAnHTTPRoutesPlaceUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serving(t, "", "{TO}")
		w.proof.Routes[0].Spec.Hostnames = []gatewayv1.Hostname{"a.localhost"} // short enough for Traefik to prefer the GRPCRoute
		w.snapshot.HTTPRoutes[0] = attached(w.proof.Routes[0])
		w.gateway.answers["a.localhost"] = []*probe.Answer{text(415, "application/grpc", "")}
		w.gateway.answers["any-host.localhost"] = []*probe.Answer{call(0)}
		results := w.verify(t)
		const found = "415 application/grpc, as GRPCRoute/demo/rpc, rule 1 takes the request: Traefik gives it the priority 15, and 13 to HTTPRoute/demo/shop, rule 1, " +
			"match 1, where the specification goes by the host"
		if r := results["http://a.localhost:8080/"]; r.Cause != Precedence || r.Found != found || r.Hop == nil || r.Hop.Title != "the precedence of routes" {
			t.Errorf("%+v, hop %+v", r.Finding, r.Hop)
		}
		if _, ok := results[control]; ok {
			t.Error("the control is a request that the GRPCRoute takes")
		}
		if r := results["http://localhost:8080/ [Expect: an answer]"]; r.Verdict != check.Holds {
			t.Errorf("%+v", r.Finding)
		}
	})
}

func TestExplainGoesAlongTheHopsOfACall(t *testing.T) {
	w := serving(t, "rpc.localhost", "{matches: [{method: {service: a.B}}], TO}")
	w.answering(call(0))
	request, err := w.proof.Asked("http://rpc.localhost:8080/a.B/Delete", "post", nil)
	if err != nil {
		t.Fatal(err)
	}
	e := w.proof.Explain(t.Context(), request, w.snapshot)
	if e.Winner == nil || e.Winner.String() != "GRPCRoute/demo/rpc, rule 1, match 1" || len(e.Hops) == 0 || e.Hops[len(e.Hops)-1].Fails() {
		t.Errorf("%+v", e)
	}
}
