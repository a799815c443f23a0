package proof

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/probe"
)

const shop, cart, control = "http://shop.localhost:8080/", "http://cart.localhost:8080/", "http://no-such-route.localhost:8080/"

func TestAClusterThatServesEveryRouteIsProven(t *testing.T) {
	w := whole(t)
	results := w.verify(t)
	for name, found := range map[string]string{
		"GatewayClass/traefik": "Accepted", "Gateway/traefik/gw": "Accepted, Programmed, at 127.0.0.1", "HTTPRoute/demo/shop": "Accepted, ResolvedRefs",
		"HTTPRoute/demo/cart": "Accepted, ResolvedRefs", shop: "Service/demo/shop: 2 of 2 pods in 4 requests",
		cart: "Service/demo/cart: 1 of 1 pods in 2 requests", control: "404 from Traefik, as no route has this host",
	} {
		if r, ok := results[name]; !ok || r.Verdict != check.Holds || r.Found != found {
			t.Errorf("%s: %t %+v", name, ok, r.Finding)
		}
	}
	if len(results) != 7 {
		t.Errorf("%d results", len(results))
	}
}

// patchedPod changes one of the snapshot's pods.
func (w *world) patchedPod(name string, change func(*corev1.Pod)) {
	for i := range w.snapshot.Pods {
		if w.snapshot.Pods[i].Name == name {
			change(&w.snapshot.Pods[i])
		}
	}
}

// silent lets nobody answer.
func (w *world) silent() {
	w.gateway.ping = nil
	for _, host := range []string{"shop.localhost", "cart.localhost", "*"} {
		w.gateway.answers[host] = []*probe.Answer{nil}
	}
}

// onNode puts an endpoint on another node, which does not run.
func (w *world) onNode(slice, endpoint int, node, state string) {
	w.snapshot.Slices[slice].Endpoints[endpoint].NodeName = &node
	w.place.down = map[string]string{node: state}
}

func TestTheFirstHopThatIsBrokenIsNamed(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(*world)
		failed string // a request that fails
		hop    string
		found  string
	}{
		{"the port is not published", func(w *world) { w.silent(); w.place.leads = broken("nothing listens there") },
			shop, "the port on this machine", "nothing listens there"},
		{"no pod on the node", func(w *world) {
			w.silent()
			w.patchedPod("traefik-x", func(p *corev1.Pod) { p.Spec.NodeName = "other" })
		},
			shop, "Traefik's pod", "no pod of it on the node node"},
		{"no pod on the worker that has the port", func(w *world) { w.silent(); w.place.nodes = map[int]string{8080: "worker"} },
			shop, "Traefik's pod", "no pod of it on the node worker"},
		{"the node of a pod is stopped", func(w *world) {
			w.gateway.answers["shop.localhost"] = []*probe.Answer{whoami("shop-1"), nil}
			w.onNode(0, 1, "worker", "stopped")
		}, shop, "Service/demo/shop", "Pod/demo/shop-2 is on the node worker, which is stopped: up starts it again"},
		{"the node of the only pod is stopped, and its endpoint is not ready", func(w *world) {
			w.gateway.answers["cart.localhost"] = []*probe.Answer{status(503)}
			w.onNode(1, 0, "worker", "paused")
			w.snapshot.Slices[1].Endpoints[0].Conditions.Ready = ptr.To(false)
		}, cart, "Service/demo/cart", "Pod/demo/cart-1 is on the node worker, which is paused: up starts it again"},
		{"a pod of which the Service knows that its node is stopped", func(w *world) {
			w.gateway.answers["shop.localhost"] = []*probe.Answer{status(502)}
			w.onNode(0, 1, "worker", "stopped")
			w.snapshot.Slices[0].Endpoints[1].Conditions.Ready = ptr.To(false)
		}, shop, "the backend answers", "502 Bad Gateway"},
		{"an error of the application's own, beside a node that is stopped", func(w *world) {
			w.gateway.answers["shop.localhost"] = []*probe.Answer{passedOn(status(500))}
			w.onNode(0, 1, "worker", "stopped")
		}, shop, "the backend answers", "500 Internal Server Error"},
		{"a pod that is not ready", func(w *world) {
			w.silent()
			w.patchedPod("traefik-x", func(p *corev1.Pod) { p.Status.Conditions = nil })
		}, shop, "Traefik's pod", "Pod/traefik/traefik-x is not ready (Running)"},
		{"a pod that is being deleted", func(w *world) {
			w.silent()
			w.patchedPod("traefik-x", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} })
		}, shop, "Traefik's pod", "is not ready"},
		{"a pod without the node's port", func(w *world) {
			w.silent()
			w.patchedPod("traefik-x", func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].HostPort = 0 })
		}, shop, "Traefik's pod", "does not take the node's port 80"},
		{"somebody else's pods only", func(w *world) {
			w.silent()
			w.patchedPod("traefik-x", func(p *corev1.Pod) { p.OwnerReferences = nil })
		}, shop, "Traefik's pod", "no pod of it"},
		{"the node's port leads nowhere", func(w *world) { w.silent() }, shop, "Traefik's pod",
			"Pod/traefik/traefik-x answers at its own port 8000, but the node's port 80 does not lead there"},
		{"Traefik does not answer", func(w *world) { w.silent(); w.place.podAnswers = false }, shop, "Traefik's answer", "connection refused"},
		{"a stranger answers everything", func(w *world) {
			for _, host := range []string{"shop.localhost", "cart.localhost", "*"} {
				w.gateway.answers[host] = []*probe.Answer{status(500)}
			}
		}, shop, "Traefik's answer", "500 for a host that no route has, where Traefik would say 404"},
		{"the class is another controller's", func(w *world) {
			w.gateway.answers = nil
			w.snapshot.Classes[0].Spec.ControllerName = "example.com/other"
		}, shop, "GatewayClass/traefik", "it belongs to the controller example.com/other, not to Traefik's"},
		{"the class is not there", func(w *world) { w.gateway.answers, w.snapshot.Classes = nil, nil }, shop, "GatewayClass/traefik", "it is not there"},
		{"the listener is not programmed", func(w *world) {
			w.gateway.answers = nil
			w.snapshot.Gateways[0].Status.Listeners[0].Conditions = judged(1, "Accepted=False")
		}, shop, "Gateway/traefik/gw", "listener web: Accepted is False"},
		{"the Gateway is not there", func(w *world) { w.gateway.answers, w.snapshot.Gateways = nil, nil }, shop, "Gateway/traefik/gw", "it is not there"},
		{"the route's references are not resolved", func(w *world) {
			w.gateway.answers["shop.localhost"] = []*probe.Answer{status(500)}
			w.snapshot.HTTPRoutes[0].Status.Parents[0].Conditions = judged(1, "Accepted", "ResolvedRefs=False")
		}, shop, "HTTPRoute/demo/shop", "ResolvedRefs is False"},
		{"the route is not there", func(w *world) { w.gateway.answers = nil; w.snapshot.HTTPRoutes = nil }, shop, "HTTPRoute/demo/shop", "it is not there"},
		{"somebody has changed the route", func(w *world) {
			w.gateway.answers["shop.localhost"] = []*probe.Answer{whoami("cart-1")}
			object := kube.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{"apiVersion": "gateway.networking.k8s.io/v1",
				"kind": "HTTPRoute", "metadata": map[string]any{"name": "shop", "namespace": "demo"}, "spec": map[string]any{}}}}
			w.proof.Objects = []kube.Object{object}
		}, shop, "HTTPRoute/demo/shop in the cluster", "somebody has changed it, or its manifest"},
		{"Traefik does not know the route", func(w *world) { delete(w.gateway.answers, "shop.localhost") }, shop, "Traefik's routes", "does it reach the API server?"},
		{"no ready pod", func(w *world) {
			w.gateway.answers["cart.localhost"] = []*probe.Answer{status(503)}
			w.snapshot.Slices[1].Endpoints[0].Conditions = discoveryv1.EndpointConditions{Ready: new(bool)}
		}, cart, "Service/demo/cart", "no ready pod"},
		{"a targetPort that no pod has", func(w *world) {
			w.gateway.answers["cart.localhost"] = []*probe.Answer{status(503)}
			w.snapshot.Slices[1].Ports = nil
		}, cart, "Service/demo/cart", "no ready pod"},
		{"the backend does not answer", func(w *world) { w.gateway.answers["cart.localhost"] = []*probe.Answer{status(502)} }, cart,
			"the backend answers", "502 Bad Gateway instead of an answer of Service/demo/cart"},
		{"the backend does not answer, and Traefik's log says why", func(w *world) {
			w.gateway.answers["cart.localhost"] = []*probe.Answer{status(502)}
			w.place.log = `{"level":"error","http_route":"cart","namespace":"demo","error":"bad","message":"Unable to load"}` + "\n"
		}, cart, "the backend answers", "; Traefik's log says of the route: Unable to load: bad"},
		{"Traefik has no router for the rule", func(w *world) {
			delete(w.gateway.answers, "shop.localhost")
			w.place.routers = router("cart", 0, 1, "")
		}, shop, "Traefik's routes", "its list of routers has none for rule 1 of HTTPRoute/demo/shop"},
		{"Traefik has no router for any route", func(w *world) {
			delete(w.gateway.answers, "shop.localhost")
			w.place.routers = "[]"
		}, shop, "Traefik's routes", "its list of routers has none for any route: does it reach the API server?"},
		{"Traefik's router does not work", func(w *world) {
			delete(w.gateway.answers, "shop.localhost")
			w.place.routers = router("shop", 0, 1, `, "error": ["cannot parse"]`)
		}, shop, "Traefik's routes", "its router httproute-demo-shop-gw-traefik-gw-ep-web-0-0abc@kubernetesgateway does not work: cannot parse"},
		{"Traefik's router is for something else", func(w *world) {
			delete(w.gateway.answers, "shop.localhost")
			w.place.routers = router("shop", 0, 1, "")
		}, shop, "Traefik's routes", "has one for the rule, which did not take the request: httproute-demo-shop-gw-traefik-gw-ep-web-0-0abc@kubernetesgateway, Host(x)"},
		{"endpoints that nobody says are ready", func(w *world) {
			w.gateway.answers["cart.localhost"] = []*probe.Answer{status(503)}
			w.snapshot.Slices[1].Endpoints[0].Conditions.Ready = nil
		}, cart, "Service/demo/cart", "write conditions: {ready: true}"},
		{"a Service without an EndpointSlice", func(w *world) {
			w.gateway.answers["cart.localhost"] = []*probe.Answer{status(503)}
			w.snapshot.Slices = w.snapshot.Slices[:1]
		}, cart, "Service/demo/cart", "it has no EndpointSlice"},
		{"no listener allows the route", func(w *world) {
			w.gateway.answers = nil
			conditions := w.snapshot.HTTPRoutes[0].Status.Parents[0].Conditions
			conditions[0].Status, conditions[0].Reason, conditions[0].Message = "False", "NotAllowedByListeners", ""
			w.snapshot.Namespaces = []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "demo", Labels: map[string]string{"tenant": "no"}}}}
		}, shop, "HTTPRoute/demo/shop", "Accepted is False (NotAllowedByListeners) (parent Gateway/traefik/gw): listener web takes routes from its own namespace traefik only; " +
			"Namespace/demo has the labels tenant=no"},
		{"the control alone is answered", func(w *world) { w.gateway.answers["*"] = []*probe.Answer{status(200)} }, control,
			"Traefik's answer", "200 for a host that no route has"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := whole(t)
			test.damage(w)
			synctest.Test(t, func(t *testing.T) {
				r := w.verify(t)[test.failed]
				if !r.Fails() || r.Hop == nil || r.Hop.String() != test.hop || !strings.Contains(r.AtHop.Found, test.found) {
					t.Errorf("%+v\nat %v: %+v", r.Finding, r.Hop, r.AtHop)
				}
				if r.Hop != nil && (r.Hop.Expect == "" || r.Hop.Look == "") {
					t.Errorf("%+v", r.Hop)
				}
			})
		})
	}
}

func TestEachWayInWhichARequestFailsHasItsCause(t *testing.T) {
	dashboard := gateway.Backend{Namespace: "traefik", Name: "traefik", Port: 9000}
	ask := gateway.Request{Scheme: "http", Method: "GET", Host: "shop.localhost", Path: "/", Port: 8080, Backends: []gateway.Backend{{Namespace: "demo", Name: "shop", Port: 80}}}
	both := ask
	both.Backends = append(slices.Clone(ask.Backends), gateway.Backend{Namespace: "demo", Name: "canary", Port: 80})
	both.Weighted = true
	redirect, dash, unproven, direct := ask, ask, ask, ask
	both.Enough, both.Weights = 10, []int32{9, 1}
	rare, equal := both, both
	rare.Enough, rare.Weights = 1000, []int32{999, 1}
	equal.Weighted, equal.Enough = false, 2
	redirect.Redirect = &gateway.Redirect{Status: 301}
	api := ask
	api.Backends, api.Path = []gateway.Backend{dashboard}, "/api"
	dash.Backends = []gateway.Backend{dashboard}
	unproven.Unproven = "why"
	direct.Backends = nil
	head, bodiless := ask, notFound()
	head.Method, bodiless.Body = "HEAD", ""
	moved := status(301)
	moved.Header.Set("Location", "/new")
	plain := status(200)
	plain.Header.Set("Content-Type", "text/plain")
	strange, named, own := whoami("shop-1"), page(""), passedOn(notFound())
	strange.Body, named.Body = strings.Replace(strange.Body, "X-Forwarded-For", "X-Other", 1), "Hello, world!\nHostname: other\n"
	basic := page(`{"path": "/", "host": "x", "method": "GET", "proto": "HTTP/1.1", "headers": {"X-Forwarded-For": ["1"]}, "namespace": "demo", "pod": "shop-1"}`)
	canary := func(w *world) {
		w.snapshot.Pods = append(w.snapshot.Pods, readyPod("demo", "canary-1"))
		w.snapshot.Slices = append(w.snapshot.Slices, slice("demo", "canary", "canary-1"))
	}
	for _, test := range []struct {
		name    string
		request gateway.Request
		answers []*probe.Answer
		change  func(*world)
		verdict check.Verdict
		cause   check.Cause
		found   string
	}{
		{"both pods", ask, []*probe.Answer{whoami("shop-1"), whoami("shop-2")}, nil, check.Holds, "", "2 of 2 pods in 4 requests"},
		{"one of two pods", ask, []*probe.Answer{whoami("shop-1")}, nil, check.Broken, PodMissing, "only 1 of 2 pods answered 20 requests"},
		{"the turn of one that is gone", ask, []*probe.Answer{whoami("shop-1"), whoami("shop-2"), status(502)}, nil, check.Broken, ServerError, "502 Bad Gateway instead of an answer of Service/demo/shop (request 3)"},
		{"the turn of a stranger", ask, []*probe.Answer{whoami("shop-1"), whoami("shop-2"), whoami("old")}, nil, check.Broken, WrongPod, `pod "old", which is none of`},
		{"not through Traefik", ask, []*probe.Answer{strange}, nil, check.Broken, Stranger, "did not come through Traefik"},
		{"a canary without pods", both, []*probe.Answer{whoami("shop-1")}, nil, check.Broken, PodMissing, "Service/demo/canary has no ready pod"},
		{"a canary with a small share", both, []*probe.Answer{whoami("shop-1"), whoami("shop-1"), whoami("shop-1"), whoami("canary-1")}, canary, check.Holds, "", "2 of 3 pods in 20 requests"},
		{"a canary that nobody sees", both, []*probe.Answer{whoami("shop-1")}, canary, check.Broken, PodMissing, "Service/demo/canary answered none of 200 requests"},
		{"a canary with too small a share", rare, []*probe.Answer{whoami("shop-1")}, canary, check.Unknown, "", "weight 1 of 1000, of Service/demo/canary, was not seen in 200 requests"},
		{"a canary that does not say who it is, with too small a share", rare, []*probe.Answer{plain}, canary, check.Unknown, "", "200 in 200 requests, which need not have met weight 1 of 1000"},
		{"a canary that fails", both, []*probe.Answer{whoami("shop-1"), whoami("shop-2"), whoami("shop-1"), status(502)}, canary, check.Broken, ServerError, "5 of 20 requests answered 502 Bad Gateway"},
		{"a canary that fails at first", both, []*probe.Answer{status(502), plain, plain, status(503)}, canary, check.Broken, ServerError, "5 of 20 requests answered 502 Bad Gateway, 5 of 20 requests answered 503"},
		{"a share without an answer", both, []*probe.Answer{plain, nil}, canary, check.Broken, NoAnswer, "connection refused (request 2)"},
		{"a share of a stranger's", both, []*probe.Answer{whoami("shop-1"), whoami("old")}, canary, check.Broken, WrongPod, `pod "old"`},
		{"a share that did not come through Traefik", both, []*probe.Answer{strange}, canary, check.Broken, Stranger, "did not come through Traefik"},
		{"applications that do not say who they are", both, []*probe.Answer{plain}, canary, check.Holds, "", "200 text/plain in 20 requests"},
		{"shares of endpoints that are no pods", both, []*probe.Answer{whoami("outside")}, func(w *world) {
			canary(w)
			w.snapshot.Slices[0].Endpoints = append(w.snapshot.Slices[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}})
		}, check.Holds, "", "200 in 20 requests"},
		{"equal shares of pods, all of which must be seen", equal, []*probe.Answer{whoami("shop-1"), whoami("canary-1")}, canary, check.Broken, PodMissing, "only 2 of 3 pods answered 20 requests"},
		{"two Services of the same pods", equal, []*probe.Answer{whoami("shop-1"), whoami("shop-2")}, func(w *world) {
			w.snapshot.Slices = append(w.snapshot.Slices, slice("demo", "canary", "shop-1", "shop-2"))
		}, check.Holds, "", "2 of 2 pods in 4 requests"},
		{"a pod of a Service that has none", ask, []*probe.Answer{whoami("shop-1")}, func(w *world) { w.snapshot.Slices[0].Ports = nil }, check.Broken, PodMissing, "Service/demo/shop has no ready pod, and yet"},
		{"an endpoint that is no pod", ask, []*probe.Answer{whoami("outside")}, func(w *world) {
			w.snapshot.Slices[0].Endpoints = append(w.snapshot.Slices[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.1"}})
		}, check.Holds, "", `answered by "outside"; not all of its endpoints are pods`},
		{"a pod that names itself", ask, []*probe.Answer{whoami("one"), whoami("shop-2")}, func(w *world) {
			w.patchedPod("shop-1", func(p *corev1.Pod) { p.Spec.HostnameOverride = ptr.To("one") })
		}, check.Holds, "", "2 of 2 pods"},
		{"a path that the dashboard does not know", api, []*probe.Answer{own}, nil, check.Holds, "", "answered: 404 text/plain, the application's own"},
		{"an application in Go that has nothing there", ask, []*probe.Answer{own}, nil, check.Holds, "", "answered: 404 text/plain, the application's own"},
		{"Traefik's 404 to a HEAD", head, []*probe.Answer{bodiless}, nil, check.Broken, NoRoute, "404 from Traefik"},
		{"a filter of Traefik's that refuses", ask, []*probe.Answer{status(401)}, nil, check.Unknown, "", "401 Unauthorized from Traefik itself: what Service/demo/shop answers is not known"},
		{"a redirect of Traefik's entry point", ask, []*probe.Answer{diverting("https://shop.localhost:8443/")}, nil, check.Unknown, "",
			"301 Moved Permanently to https://shop.localhost:8443/ from Traefik itself: what Service/demo/shop answers is not known"},
		{"an error of the application's own", ask, []*probe.Answer{passedOn(status(500))}, nil, check.Broken, Failure, "500 Internal Server Error: an answer of Service/demo/shop, not Traefik's own"},
		{"an error of a canary's own", both, []*probe.Answer{plain, passedOn(status(500))}, canary, check.Broken, Failure, "10 of 20 requests answered 500 Internal Server Error, by Service/demo/shop or"},
		{"a page with a line Hostname", ask, []*probe.Answer{named}, nil, check.Holds, "", "answered: 200 text/html"},
		{"an application that does not always say who it is", ask, []*probe.Answer{whoami("shop-1"), named}, nil, check.Holds, "", "not every answer says which pod it is from"},
		{"echo-basic, whose pod has another hostname", ask, []*probe.Answer{basic, whoami("shop-2")}, func(w *world) {
			w.patchedPod("shop-1", func(p *corev1.Pod) { p.Spec.Hostname = "one" })
		}, check.Holds, "", "2 of 2 pods"},
		{"the dashboard's API", api, []*probe.Answer{plain}, nil, check.Holds, "", "200 text/plain"},
		{"a redirect to itself", redirect, []*probe.Answer{{Status: 301, Header: http.Header{"Location": {"//shop.localhost:8080/"}}}}, nil, check.Broken, RedirectLoop, "it redirects to itself"},
		{"a redirect to another place", redirect, []*probe.Answer{moved}, nil, check.Broken, WrongAnswer, "redirected with 301 to /new, but its path is not /"},
		{"another redirect", redirect, []*probe.Answer{{Status: 302, Header: http.Header{"Location": {"/"}}}}, nil, check.Broken, WrongAnswer, "expected 301"},
		{"no redirect", redirect, []*probe.Answer{status(200)}, nil, check.Broken, WrongAnswer, "200 OK instead of a redirect with 301"},
		{"a page", dash, []*probe.Answer{page("<html>")}, nil, check.Holds, "", "200 text/html"},
		{"no page", dash, []*probe.Answer{plain}, nil, check.Broken, WrongAnswer, "expected 200 and the dashboard's page"},
		{"no route", ask, []*probe.Answer{notFound()}, nil, check.Broken, NoRoute, "404 from Traefik"},
		{"nothing", direct, []*probe.Answer{nil}, nil, check.Broken, NoAnswer, "connection refused"},
		{"an error of a rule without a backend", direct, []*probe.Answer{status(500)}, nil, check.Broken, ServerError, "instead of an answer of the rule's backend"},
		{"any application", ask, []*probe.Answer{plain}, nil, check.Holds, "", "200 text/plain"},
		{"not to be sent", unproven, []*probe.Answer{nil}, nil, check.Unknown, "", "not proven: why"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := whole(t)
			if test.change != nil {
				test.change(w)
			}
			w.gateway.answers["shop.localhost"] = test.answers
			got := trial{w.proof, test.request, w.snapshot}.prove(t.Context())
			if got.Verdict != test.verdict || got.Cause != test.cause || !strings.Contains(got.Found, test.found) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAPodWithoutAReadinessProbeMayStillBeStarting(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name   string
		since  time.Duration
		change func(*corev1.Pod)
		answer *probe.Answer
		want   check.Verdict
	}{
		{"young", time.Second, nil, status(502), check.Pending},
		{"young, no answer", time.Second, nil, nil, check.Pending},
		{"old", 3 * time.Minute, nil, status(502), check.Broken},
		{"the application's own error", time.Second, nil, status(500), check.Broken},
		{"probed", time.Second, func(p *corev1.Pod) { p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{} }, status(502), check.Broken},
		{"not running", time.Second, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State.Running = nil }, status(502), check.Broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := whole(t)
			w.gateway.answers["cart.localhost"] = []*probe.Answer{test.answer}
			w.patchedPod("cart-1", func(p *corev1.Pod) {
				p.Spec.Containers[0].ReadinessProbe = nil
				p.Status.ContainerStatuses[0].State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-test.since))}
				if test.change != nil {
					test.change(p)
				}
			})
			request := w.proof.Planned()[1]
			if got := (trial{w.proof, request, w.snapshot}).prove(t.Context()); got.Verdict != test.want || test.want == check.Pending && !strings.Contains(got.Found, "it may still be starting") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAnAnswerThatCannotBeReadIsTheBackendsAndNoneOfAPodThatStarts(t *testing.T) {
	w := whole(t)
	w.patchedPod("cart-1", func(p *corev1.Pod) {
		p.Spec.Containers[0].ReadinessProbe = nil
		p.Status.ContainerStatuses[0].State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
	})
	w.gateway.answers["cart.localhost"] = []*probe.Answer{nil}
	w.gateway.failure = &probe.UnreadableError{Status: 200, Why: ", and its body cannot be read: gzip: invalid header"}
	got := trial{w.proof, w.proof.Planned()[1], w.snapshot}.prove(t.Context())
	if got.Verdict != check.Broken || got.Cause != WrongAnswer || got.Found != "200 OK, and its body cannot be read: gzip: invalid header" {
		t.Errorf("%+v", got)
	}
}

func TestWhatThisMachineCannotSendSaysNothingOfWhoWouldHaveAnswered(t *testing.T) {
	plain := &probe.Answer{Status: 200}
	for name, answers := range map[string][]*probe.Answer{"not one": {nil}, "all but the first": {whoami("shop-1"), nil}, "shares": {plain, nil}} {
		w := whole(t)
		w.gateway.failure = fmt.Errorf("%w: too many open files", probe.ErrNotSent)
		w.gateway.answers["shop.localhost"] = answers
		request := w.proof.Planned()[0]
		if name == "shares" {
			request.Backends = append(request.Backends, w.proof.Planned()[1].Backends...)
		}
		if got := (trial{w.proof, request, w.snapshot}).prove(t.Context()); got.Verdict != check.Unknown || !strings.Contains(got.Found, "not sent: too many open files") {
			t.Errorf("%s: %+v", name, got)
		}
		w.gateway.ping = nil
		if got := w.proof.DataPlane(t.Context(), w.snapshot, "http"); got.Fails() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// diverting is a redirect of Traefik's own.
func diverting(to string) *probe.Answer {
	answer := status(301)
	answer.Order = append([]string{"Location"}, answer.Order...)
	answer.Header.Set("Location", to)
	return answer
}

func TestAnEntryPointThatRedirectsEveryRequestIsNoStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.gateway.answers = map[string][]*probe.Answer{"no-such-route.localhost": {diverting("https://no-such-route.localhost:8443/")}}
		if r := w.verify(t)[control]; r.Verdict != check.Holds || !strings.Contains(r.Found, "its entry point redirects every request to https://no-such-route.localhost:8443/") {
			t.Errorf("%+v", r.Finding)
		}
		for name, other := range map[string]*probe.Answer{
			"to another host": diverting("https://other.localhost/"), "to another path": diverting("https://no-such-route.localhost/login"),
			"to the same scheme": diverting("http://no-such-route.localhost:8081/"), "within the host": diverting("/"), "not of Traefik's": passedOn(diverting("https://no-such-route.localhost:8443/")),
		} {
			w.gateway.answers = map[string][]*probe.Answer{"no-such-route.localhost": {other}}
			if r := w.verify(t)[control]; r.Cause != Stranger {
				t.Errorf("%s: %+v", name, r.Finding)
			}
		}
	})
}

func TestWhereARouteTakesEveryHostTheImplementationItselfIsTheControl(t *testing.T) {
	const aside = "http://localhost:8080/ [Expect: an answer]"
	w := whole(t)
	w.proof.Routes[0].Spec.Hostnames, w.snapshot.HTTPRoutes[0].Spec.Hostnames = nil, nil
	w.gateway.answers["any-host.localhost"] = w.gateway.answers["shop.localhost"]
	if r := w.verify(t)[aside]; r.Verdict != check.Holds || !strings.Contains(r.Found, "417 from Traefik itself") {
		t.Errorf("%+v", r.Finding)
	}
	// A stranger on the port who has a page for every name proves nothing.
	w.gateway.answers = map[string][]*probe.Answer{"*": {page("<html>")}}
	w.gateway.ping = page("<html>")
	w.place.leads = broken("process 1 listens there")
	synctest.Test(t, func(t *testing.T) {
		results := w.verify(t)
		for _, name := range []string{aside, cart, "http://any-host.localhost:8080/"} {
			if r := results[name]; !r.Fails() || r.Cause != Stranger || r.Hop == nil || r.Hop.Title != "the port on this machine" {
				t.Errorf("%s: %+v", name, r.Finding)
			}
		}
	})
	w.gateway.ping = nil
	request := gateway.Request{Scheme: "http", Method: "GET", Host: "localhost", Path: "/", Port: 8080, Header: w.proof.Ping}
	if got := (trial{w.proof, request, w.snapshot}).proveItself(t.Context()); got.Cause != NoAnswer {
		t.Errorf("%+v", got)
	}
}

func TestOnAPortThatDoesNotLeadToTheNodeNothingIsProvenWhoeverAnswers(t *testing.T) {
	w := whole(t) // another cluster's Traefik, say, which passes the control
	w.place.leads = broken("process 1 listens there, not the node")
	for name, r := range w.verify(t) {
		if r.Request != nil && (r.Cause != Stranger || r.Hop == nil || r.Hop.Title != "the port on this machine") {
			t.Errorf("%s: %+v", name, r.Finding)
		}
	}
}

func TestOfTwoMatchesWithTheSameRequestEachHasItsOwnVerdict(t *testing.T) {
	w := whole(t)
	rule := w.proof.Routes[1].Spec.Rules[0]
	w.proof.Routes[1].Spec.Rules = append(w.proof.Routes[1].Spec.Rules, rule) // the second can never be reached
	w.gateway.answers["cart.localhost"] = []*probe.Answer{status(502)}
	synctest.Test(t, func(t *testing.T) {
		found, err := w.judged(t.Context(), w.take, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		var verdicts []check.Verdict
		for _, r := range found.Results {
			if r.String() == cart || r.String() == cart+"kindgate-probe" {
				verdicts = append(verdicts, r.Verdict)
			}
		}
		if !slices.Equal(verdicts, []check.Verdict{check.Broken, check.Unknown}) {
			t.Error(verdicts)
		}
	})
}

func TestTheNameOfAPodIsCutAsTheKubeletDoes(t *testing.T) {
	pod := readyPod("demo", strings.Repeat("a", 62)+"-b")
	if got := hostname(&pod); got != strings.Repeat("a", 62) {
		t.Error(got)
	}
}

func TestAListenerThatThisMachineDoesNotReachIsSaidAndNotAsked(t *testing.T) {
	w := whole(t)
	w.proof.Gateways[0].Spec.Listeners[0].Port = 9999
	results := w.verify(t)
	r := results["http://shop.localhost:9999/"]
	if r.Verdict != check.Unknown || !strings.Contains(r.Found, "no port of this machine leads to its listener's port 9999") {
		t.Errorf("%+v", r.Finding)
	}
	w.place.ports = nil
	if got := w.proof.DataPlane(t.Context(), w.snapshot, "http"); !got.Fails() || !strings.Contains(got.Found, "no port of this machine") {
		t.Errorf("%+v", got)
	}
	if got := w.proof.DataPlane(t.Context(), w.snapshot, "gopher"); !strings.Contains(got.Found, "does not take the node's port 0") {
		t.Errorf("%+v", got)
	}
}

func TestRoutesOfOthersAreKnownAndNotProven(t *testing.T) {
	w := whole(t)
	w.snapshot.HTTPRoutes = append(w.snapshot.HTTPRoutes, attached(route(t, "theirs", "theirs")))
	if results := w.verify(t); len(results) != 7 {
		t.Errorf("%d results", len(results))
	}
}

func TestAChangeUnderWayIsWaitedForAndWhatStaysBrokenIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.gateway.answers["cart.localhost"] = []*probe.Answer{status(502), status(502), whoami("cart-1"), whoami("cart-1"), whoami("cart-1"), whoami("cart-1")}
		var reports []string
		found, err := w.judged(t.Context(), w.take, func(text string) { reports = append(reports, text) })
		if err != nil || found.Failed() > 0 || len(reports) != 2 {
			t.Errorf("%v %q", err, reports)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.silent()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("gave up"))
		defer cancel()
		if _, err := w.judged(ctx, w.take, func(string) {}); err == nil || !strings.Contains(err.Error(), "gave up: "+shop) {
			t.Error(err)
		}
		failing := func(context.Context) (*Snapshot, error) { return nil, errRefused }
		if _, err := w.judged(t.Context(), failing, func(string) {}); !errors.Is(err, errRefused) {
			t.Error(err)
		}
	})
}

func TestAWalkThatTheTimeLimitEndsNamesNoHop(t *testing.T) {
	w := whole(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request := w.proof.Planned()[0]
	if hop, finding := (walk{}).firstBroken(ctx, (way{trial{w.proof, request, w.snapshot}, broken("x")}).hops()); hop != nil || finding.Verdict != check.Unknown {
		t.Errorf("%v %+v", hop, finding)
	}
	if hop, finding := (walk{}).firstBroken(t.Context(), (way{trial{w.proof, request, w.snapshot}, holds("x")}).hops()); hop != nil || finding.Verdict != check.Unknown {
		t.Errorf("%v %+v", hop, finding)
	}
}

func TestARoundMayComeToHoldWhileNothingIsBroken(t *testing.T) {
	r := Round{Findings: []check.Finding{{Verdict: check.Holds}, {Verdict: check.Pending}}}
	if !r.Pending() {
		t.Error("not pending")
	}
	if r.Findings = append(r.Findings, broken("x")); r.Pending() {
		t.Error("pending")
	}
	if got := WaitingFor([]string{"a", "b", "c"}); got != "waiting for a (and 2 more)" {
		t.Error(got)
	}
}

func TestOnlyWhatTheOrderOfPrecedenceDecidesIsFinal(t *testing.T) {
	order, pod := because(Precedence, "x"), because(WrongPod, "y")
	if !(Round{Findings: []check.Finding{holds("z"), order}}).Final() || (Round{Findings: []check.Finding{order, pod}}).Final() {
		t.Error("not only precedence is final")
	}
}

func TestTheDashboardIsOpenedAtItsPage(t *testing.T) {
	w := whole(t)
	request := gateway.Request{Scheme: "http", Host: "d.localhost", Path: "/", Port: 80, Backends: []gateway.Backend{{Namespace: "traefik", Name: "traefik", Port: 9000}}}
	if got := w.proof.Open(request); got != "http://d.localhost/dashboard/" {
		t.Error(got)
	}
	request.Path = "/api"
	if got := w.proof.Open(request); got != "http://d.localhost/api" {
		t.Error(got)
	}
}

func TestASnapshotIsReadAndWrittenAsJSON(t *testing.T) {
	w := whole(t)
	text, err := json.Marshal(w.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	var again Snapshot
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	w.snapshot = &again
	for name, r := range w.verify(t) {
		if r.Fails() {
			t.Errorf("%s: %+v", name, r.Finding)
		}
	}
}

// A lister has the snapshot's objects as a cluster would return them, and fails for one kind.
type lister struct {
	objects map[string][]any
	fails   string
	unknown string // a kind that the cluster does not have
}

func (l lister) Known(kind schema.GroupVersionKind) (bool, error) {
	if kind.Kind == l.fails {
		return false, errRefused
	}
	return kind.Kind != l.unknown, nil
}

func (l lister) Get(_ context.Context, kind schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	if kind.Kind == l.fails {
		return nil, errRefused
	}
	for _, object := range l.objects[kind.Kind] {
		raw, err := gotype.Encode(object)
		if u := (&unstructured.Unstructured{Object: raw}); err != nil || u.GetNamespace() == namespace && u.GetName() == name {
			return u, err
		}
	}
	return nil, nil
}

func (l lister) ListJSON(_ context.Context, kind schema.GroupVersionKind, _ string) ([]byte, error) {
	if kind.Kind == l.fails {
		return nil, errRefused
	}
	return json.Marshal(map[string]any{"items": l.objects[kind.Kind]})
}

func TestASnapshotIsTakenOfAllKindsAndSaysWhichCannotBeRead(t *testing.T) {
	w := whole(t)
	w.patchedPod("cart-1", func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	l := lister{objects: map[string][]any{"GatewayClass": {&w.snapshot.Classes[0]}, "Gateway": {&w.snapshot.Gateways[0]}, "HTTPRoute": {&w.snapshot.HTTPRoutes[0]}, "GRPCRoute": {&gatewayv1.GRPCRoute{}},
		"EndpointSlice": {&w.snapshot.Slices[1]}, "Pod": {&w.snapshot.Pods[3]}}}
	s, err := Take(t.Context(), l)
	if err != nil || len(s.Classes) != 1 || len(s.Gateways) != 1 || len(s.HTTPRoutes) != 1 || len(s.GRPCRoutes) != 1 || len(s.Pods) != 1 || s.Taken.IsZero() {
		t.Fatalf("%v %+v", err, s)
	}
	if got := s.behind(gateway.Backend{Namespace: "demo", Name: "cart"}).ready; !slices.Equal(got, []string{"node"}) {
		t.Error(got)
	}
	if pods, err := Pods(t.Context(), l); err != nil || len(pods.Pods) != 1 {
		t.Error(err)
	}
	for kind, object := range map[schema.GroupVersionKind]any{ClassKind: &gatewayv1.GatewayClass{}, GatewayKind: &gatewayv1.Gateway{}, HTTPRouteKind: &gatewayv1.HTTPRoute{},
		GRPCRouteKind: &gatewayv1.GRPCRoute{}} {
		raw, _ := gotype.Encode(object)
		if err := s.Replace(kind, []*unstructured.Unstructured{{Object: raw}, {Object: raw}}); err != nil {
			t.Error(err)
		}
	}
	if len(s.Classes) != 2 || len(s.Gateways) != 2 || len(s.HTTPRoutes) != 2 || len(s.GRPCRoutes) != 2 {
		t.Errorf("%+v", s)
	}
	for _, kind := range []string{"GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "EndpointSlice", "Pod", "Namespace", "Service"} {
		if _, err := Take(t.Context(), lister{fails: kind}); err == nil || !strings.Contains(err.Error(), "list "+kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	l.unknown = "GRPCRoute"
	if s, err := Take(t.Context(), l); err != nil || len(s.GRPCRoutes) != 0 {
		t.Errorf("a cluster without the kind GRPCRoute: %v", err)
	}
}

// crowded is whole, with a route of others that takes every host of localhost, and sends what asks for match to cart.
func crowded(t *testing.T, match string) *world {
	t.Helper()
	w := whole(t)
	wild := parse[gatewayv1.HTTPRoute](t, `{metadata: {name: wild, namespace: demo, generation: 1}, spec: {hostnames: ["*.localhost"],
		parentRefs: [{name: gw, namespace: traefik}], rules: [{matches: [`+match+`], backendRefs: [{name: cart, port: 80}]}]}}`)
	w.snapshot.HTTPRoutes = append(w.snapshot.HTTPRoutes, attached(gateway.FromHTTP(&wild)))
	return w
}

func TestARequestThatTheImplementationGivesToAnotherRouteThanTheSpecificationNamesThatRoute(t *testing.T) {
	const named = `answered by pod "cart-1" of Service/demo/cart, as HTTPRoute/demo/wild, rule 1 takes the request: Traefik gives it the priority 1013, ` +
		"and 16 to HTTPRoute/demo/shop, rule 1, match 1, where the specification goes by the host"
	synctest.Test(t, func(t *testing.T) {
		w := crowded(t, "{method: GET}") // takes all that is for shop
		w.gateway.answers["shop.localhost"] = []*probe.Answer{whoami("cart-1")}
		r := w.verify(t)[shop]
		if r.Cause != Precedence || r.Found != named || r.Hop == nil || r.Hop.Title != "the precedence of routes" ||
			r.Hop.Expect != "HTTPRoute/demo/shop, rule 1 takes the request, by the specification's order" {
			t.Errorf("%+v, hop %+v", r.Finding, r.Hop)
		}
		w.gateway.answers["shop.localhost"] = []*probe.Answer{page("a shop")}
		if r := w.verify(t)[shop]; r.Verdict != check.Unknown || !strings.Contains(r.Found, "whose answer that is cannot be seen: HTTPRoute/demo/wild, rule 1 may have taken") {
			t.Errorf("an application that does not name itself: %+v", r.Finding)
		}
	})
}

func TestARequestThatTwoRoutesHoldForIsSentBesideEachRoutesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := crowded(t, "{path: {value: /admin}}")
		results := w.verify(t)
		if r := results[shop]; r.Verdict != check.Holds {
			t.Errorf("shop's own request: %+v", r.Finding)
		}
		if r := results[shop+"admin"]; r.Verdict != check.Holds { // the world answers as the specification says
			t.Errorf("the request of both: %+v", r.Finding)
		}
		w.gateway.answers["shop.localhost"] = []*probe.Answer{whoami("cart-1")}
		if r := w.verify(t)[shop+"admin"]; r.Cause != Precedence {
			t.Errorf("the request of both, answered by the other: %+v", r.Finding)
		}
	})
}

func TestWhichOfTwoRoutesWithEqualPriorityTakesARequestIsUnknown(t *testing.T) {
	w := whole(t)
	wild := parse[gatewayv1.HTTPRoute](t, `{metadata: {name: wild, namespace: demo, generation: 1}, spec: {hostnames: ["*.localhost", "aa.localhost"],
		parentRefs: [{name: gw, namespace: traefik}], rules: [{backendRefs: [{name: cart, port: 80}]}]}}`)
	w.snapshot.HTTPRoutes = append(w.snapshot.HTTPRoutes, attached(gateway.FromHTTP(&wild)))
	w.proof.Routes[0].Spec.Hostnames = []gatewayv1.Hostname{"a2.localhost"} // as long as the other's longest
	w.snapshot.HTTPRoutes[0] = attached(w.proof.Routes[0])
	r := w.verify(t)["http://a2.localhost:8080/"]
	if r.Verdict != check.Unknown || !strings.Contains(r.Found, "Traefik gives HTTPRoute/demo/wild, rule 1, match 1 the same priority (14): which of the two takes "+
		"the requests changes with each new configuration") {
		t.Errorf("%+v", r.Finding)
	}
}

func TestAStrangersPodIsSaidToBeOfTheRouteThatNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.gateway.answers["shop.localhost"] = []*probe.Answer{whoami("cart-1")}
		if r := w.verify(t)[shop]; r.Cause != WrongPod || !strings.Contains(r.Found, `answered by pod "cart-1" of Service/demo/cart (HTTPRoute/demo/cart, rule 1), which is none of`) {
			t.Errorf("%+v", r.Finding)
		}
	})
}

func TestRequestsOfOverlappingMatchesAreBoundedAndTheBoundIsSaid(t *testing.T) {
	w := whole(t)
	rules := w.proof.Routes[0].Spec.Rules[0]
	w.proof.Routes[0].Spec.Rules = nil
	for range 30 { // each pair meets in a request with two headers
		rule := *rules.DeepCopy()
		name := gatewayv1.HTTPHeaderName("x" + strings.Repeat("y", len(w.proof.Routes[0].Spec.Rules)))
		rule.Matches = []gatewayv1.HTTPRouteMatch{{Headers: []gatewayv1.HTTPHeaderMatch{{Name: name, Value: "v"}}}}
		w.proof.Routes[0].Spec.Rules = append(w.proof.Routes[0].Spec.Rules, rule)
	}
	w.snapshot.HTTPRoutes[0] = attached(w.proof.Routes[0])
	r := w.verify(t)["overlapping matches"]
	if r.Verdict != check.Unknown || r.Found != "200 requests that two matches hold for are sent; 235 pairs of matches that meet are left out" {
		t.Errorf("%+v", r.Finding)
	}
}

func TestAServiceWithoutEndpointsShowsThoughOnlyTheOtherOnesPodsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		ref := w.proof.Routes[0].Spec.Rules[0].BackendRefs[0]
		ref.Name = "dead"
		w.proof.Routes[0].Spec.Rules[0].BackendRefs = append(w.proof.Routes[0].Spec.Rules[0].BackendRefs, ref)
		w.gateway.answers["shop.localhost"] = []*probe.Answer{page("a shop")}
		if r := w.verify(t)[shop]; r.Verdict != check.Holds {
			t.Errorf("nothing is known of the other: %+v", r.Finding)
		}
		w.snapshot.Slices = append(w.snapshot.Slices, slice("demo", "dead"))
		if r := w.verify(t)[shop]; r.Cause != PodMissing || r.Found != "Service/demo/dead has no ready pod, and yet a share of the requests" {
			t.Errorf("%+v", r.Finding)
		}
	})
}

func TestARouteThatTakesAMatchsOwnPathAndIsNotInTheManifestsIsNamed(t *testing.T) {
	w := whole(t)
	stranger := route(t, "stranger", "cart")
	stranger.Spec.Hostnames = []gatewayv1.Hostname{"shop.localhost"}
	kind, path := gatewayv1.PathMatchExact, "/"
	stranger.Spec.Rules[0].Matches = []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}}}
	w.snapshot.HTTPRoutes = append(w.snapshot.HTTPRoutes, attached(stranger))
	r := w.verifyAtOnce(t)[shop+"kindgate-probe"]
	if r.Verdict != check.Warns || !strings.HasSuffix(r.Found, "requests for the match's own path go to HTTPRoute/demo/stranger, rule 1, which is not in the manifests") {
		t.Errorf("%+v", r.Finding)
	}
	w.proof.Routes = append(w.proof.Routes, stranger)
	if r := w.verifyAtOnce(t)[shop+"kindgate-probe"]; r.Verdict != check.Holds {
		t.Errorf("one of ours: %+v", r.Finding)
	}
}

func TestTheDataPlaneIsAskedForItsRoutersAndLogOnlyWhereAHopFails(t *testing.T) {
	w := whole(t)
	if w.verify(t); w.place.asked != 0 {
		t.Errorf("asked %d times though all holds", w.place.asked)
	}
	w.gateway.answers = nil
	synctest.Test(t, func(t *testing.T) {
		if w.verify(t); w.place.asked != 2 {
			t.Errorf("asked %d times for two requests that fail", w.place.asked)
		}
	})
	w.patchedPod("traefik-x", func(p *corev1.Pod) { p.Status.Conditions = nil })
	request := w.proof.Planned()[0]
	if got := (way{trial{w.proof, request, w.snapshot}, because(NoRoute, "404")}).unserved(t.Context()); !strings.Contains(got.Found, "cannot be read: no pod of it is ready") {
		t.Errorf("%+v", got)
	}
}

func TestWhereABackendIsAskedIsSaidForAFewAddresses(t *testing.T) {
	w := whole(t)
	request := w.proof.Planned()[0]
	for i, want := range []string{"Service/demo/shop", "Service/demo/shop, asked at 10.0.0.0:80", "", "", "Service/demo/shop, asked at 10.0.0.0:80, 10.0.0.1:80, 10.0.0.2:80, others"} {
		s, _ := w.take(t.Context())
		endpoints := slice("demo", "shop", "a", "b", "c", "d")
		endpoints.Endpoints, endpoints.Ports[0].Port = endpoints.Endpoints[:i], ptr.To(int32(80))
		for j := range endpoints.Endpoints {
			endpoints.Endpoints[j].Addresses = []string{"10.0.0." + string(rune('0'+j))}
		}
		s.Slices = []discoveryv1.EndpointSlice{endpoints}
		if got := s.reached(request); want != "" && got != want {
			t.Errorf("%d: %s", i, got)
		}
	}
}

func TestWhereTheApplicationItselfFailsItsLogIsWhatToLookAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.gateway.answers["cart.localhost"] = []*probe.Answer{passedOn(status(500))}
		if r := w.verify(t)[cart]; r.Hop == nil || r.Hop.Look != "kubectl logs -n demo service/cart --all-pods" {
			t.Errorf("%+v", r)
		}
	})
}

func TestWhatWasFoundUntilTheEndOfTheRunIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.gateway.answers["cart.localhost"] = []*probe.Answer{status(502)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		found, err := w.judged(ctx, w.take, func(string) {})
		if err == nil || found.Failed() != 1 || found.Snapshot == nil {
			t.Errorf("%v: %+v", err, found.Results)
		}
		for _, r := range found.Results {
			if r.Hop != nil {
				t.Errorf("%s is not known to break", r.Hop)
			}
		}
	})
}

func TestServedInTimeGivesUpSoonerOnWhatNoTimeChanges(t *testing.T) {
	broken := Round{Findings: []check.Finding{{Verdict: check.Broken}}}
	final := Round{Findings: []check.Finding{{Verdict: check.Broken, Cause: RedirectLoop}}}
	pending := Round{Findings: []check.Finding{{Verdict: check.Pending}}}
	const slow = 2 * limits.RoutesServed
	for _, test := range []struct {
		last           Round
		before, waited time.Duration
		want           bool
	}{
		{broken, 0, limits.Settle + 1, false}, {broken, 0, limits.RoutesServed + 1, true}, {final, 0, limits.Settle, false}, {final, slow, limits.Settle + 1, true},
		{pending, 0, limits.RoutesServed + 1, false}, {broken, slow, limits.RoutesServed + 1, false}, {broken, slow, slow + 1, true},
	} {
		if got := ServedInTime(test.before)(test.last, test.waited); got != test.want {
			t.Errorf("%+v after %s, and %s before: %t", test.last.Findings, test.waited, test.before, got)
		}
	}
}

func TestAPortThatLeadsElsewhereIsNotWaitedFor(t *testing.T) {
	for name, test := range map[string]struct {
		leads check.Finding
		cart  *probe.Answer
		takes time.Duration
	}{
		"every request goes astray": {broken("nothing listens there"), nil, limits.Settle},
		"a backend does not answer": {check.Finding{Verdict: check.Holds}, status(502), limits.RoutesServed},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := whole(t)
			w.place.leads = test.leads
			w.gateway.answers["cart.localhost"] = []*probe.Answer{test.cart}
			began := time.Now()
			found, err := Verify(t.Context(), w.proof, []*Proof{w.proof}, w.take, ServedInTime(0), func(string) {})
			if took := time.Since(began); err != nil || found.Failed() == 0 || took < test.takes || took > test.takes+5*time.Second {
				t.Errorf("%s: %v after %s, %d failed", name, err, took, found.Failed())
			}
		})
	}
}
