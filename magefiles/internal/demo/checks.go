package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// A check is one line of verify: what must hold, and how it is found out.
type check struct {
	what    string
	judge   func() gateway.Finding
	request *gateway.Request // nil for a check of conditions
}

// conditionChecks are those of the classes, gateways and routes of the manifests, whatever else the cluster has.
func (d *Demo) conditionChecks(s *state) []check {
	var checks []check
	for _, name := range d.inputs.classes {
		checks = append(checks, check{"GatewayClass/" + name, func() gateway.Finding { return judgeClass(s, name) }, nil})
	}
	for i := range d.inputs.gateways {
		gw := &d.inputs.gateways[i]
		checks = append(checks, check{"Gateway/" + gw.Namespace + "/" + gw.Name, func() gateway.Finding {
			return judgeGateway(s, gw.Namespace, gw.Name, gateway.ListenerNames(gw))
		}, nil})
	}
	for i := range d.inputs.httpRoutes {
		route := &d.inputs.httpRoutes[i]
		checks = append(checks, check{routeName(route), func() gateway.Finding { return judgeRoute(s, route.Namespace, route.Name) }, nil})
	}
	return checks
}

func judgeClass(s *state, name string) gateway.Finding {
	for i := range s.classes {
		if s.classes[i].Name != name {
			continue
		}
		if controller := string(s.classes[i].Spec.ControllerName); controller != gatewayClassURL {
			return gateway.Finding{Message: fmt.Sprintf("it belongs to the controller %s, not to Traefik's %s", controller, gatewayClassURL)}
		}
		return gateway.Class(&s.classes[i])
	}
	return gateway.Finding{Message: "it is not there"}
}

// judgeGateway judges a Gateway and those of its listeners that are named; what others have added to it is theirs.
func judgeGateway(s *state, namespace, name string, listeners []gatewayv1.SectionName) gateway.Finding {
	return judgeLive(s.gateways, namespace, name, func(live *gatewayv1.Gateway) gateway.Finding { return gateway.Programmed(live, listeners) })
}

func judgeRoute(s *state, namespace, name string) gateway.Finding {
	return judgeLive(s.routes, namespace, name, func(live *gatewayv1.HTTPRoute) gateway.Finding { return gateway.Attached(live, s.gateways) })
}

// judgeLive judges one live object, which must be there.
func judgeLive[T any, P interface {
	*T
	GetNamespace() string
	GetName() string
}](live []T, namespace, name string, judge func(P) gateway.Finding) gateway.Finding {
	for i := range live {
		if p := P(&live[i]); p.GetNamespace() == namespace && p.GetName() == name {
			return judge(p)
		}
	}
	return gateway.Finding{Message: "it is not there"}
}

func routeName(route *gatewayv1.HTTPRoute) string {
	return "HTTPRoute/" + route.Namespace + "/" + route.Name
}

// servedRoutes are those of the manifests, and those of others which the Gateways serve besides, and which may take requests.
func (d *Demo) servedRoutes(s *state) []gatewayv1.HTTPRoute {
	ours, routes := d.ours(), slices.Clone(d.inputs.httpRoutes)
	for _, live := range s.routes {
		if !ours[routeName(&live)] && gateway.Attached(&live, s.gateways).OK {
			routes = append(routes, live)
		}
	}
	return routes
}

// ours are the names of the manifests' routes, HTTPRoute/namespace/name.
func (d *Demo) ours() map[string]bool {
	ours := map[string]bool{}
	for i := range d.inputs.httpRoutes {
		ours[routeName(&d.inputs.httpRoutes[i])] = true
	}
	return ours
}

// requestChecks are those that send real requests: one for each host and match of each route, and one for a host that no route has.
// Routes of others are not proven.
func (d *Demo) requestChecks(ctx context.Context, s *state) []check {
	ours, routes := d.ours(), d.servedRoutes(s)
	var checks []check
	for _, request := range gateway.Requests(routes, d.knownGateways(s)) {
		if !ours[request.Route] {
			continue
		}
		checks = append(checks, check{request.Line(d.port(request.Scheme)), func() gateway.Finding {
			return mayStart(d.prove(ctx, request, s.pods), request, s.starting, time.Now())
		}, &request})
	}
	if host, ok := gateway.Unrouted(routes, d.knownGateways(s)); ok {
		request := control("http", host)
		checks = append(checks, check{request.Line(d.config.HTTPPort), func() gateway.Finding { return d.proveUnrouted(ctx, host) }, &request})
	}
	return checks
}

// knownGateways are those of the manifests, and those the cluster has besides.
func (d *Demo) knownGateways(s *state) []gatewayv1.Gateway {
	return append(slices.Clone(d.inputs.gateways), s.gateways...)
}

// prove sends a request and judges who answers it.
func (d *Demo) prove(ctx context.Context, request gateway.Request, pods map[string][]string) gateway.Finding {
	if request.Unproven != "" {
		return gateway.Finding{OK: true, Message: "not proven: " + request.Unproven}
	}
	answer, problem := d.ask(ctx, request)
	switch {
	case problem != "":
		return gateway.Finding{Message: problem, Pending: answer == nil || answer.Status > http.StatusInternalServerError}
	case request.Redirect != 0:
		return gateway.Finding{OK: answer.Status == request.Redirect, Message: fmt.Sprintf("redirected with %d to %s, expected %d", answer.Status, answer.Header.Get("Location"), request.Redirect)}
	case answer.Field("Hostname") == "":
		return gateway.Finding{OK: true, Message: strings.TrimSpace(fmt.Sprintf("%d %s", answer.Status, answer.Header.Get("Content-Type")))}
	}
	return d.provePods(ctx, request, answer, pods)
}

// mayStart says of a request that nobody has answered which pod may still be starting. Where none is, it stays unanswered.
func mayStart(finding gateway.Finding, request gateway.Request, starting map[string]startup, now time.Time) gateway.Finding {
	if !finding.Pending {
		return finding
	}
	finding.Pending = false
	for _, backend := range request.Backends {
		if young, ok := starting[backend.String()]; ok && now.Sub(young.since) < startsWithin {
			finding.Pending = true
			finding.Message += fmt.Sprintf("; Pod/%s has no readiness probe and was started at %s: it may not listen yet",
				young.pod, young.since.Local().Format(time.TimeOnly))
			return finding
		}
	}
	return finding
}

// unrouted is what is found of a request that Traefik has no route for.
const unrouted = "404 from Traefik: it has no such route"

// ask sends a request. What is returned beside the answer says why it is not one of the rule's backend.
func (d *Demo) ask(ctx context.Context, request gateway.Request) (answer *probe.Answer, problem string) {
	answer, err := d.probe.Get(ctx, request.Method, request.URL(d.port(request.Scheme)), request.Header, request.Redirect == 0)
	switch {
	case err != nil:
		problem = "no answer: " + err.Error()
	case request.Redirect != 0:
	case answer.Unrouted():
		problem = unrouted
	case answer.Status >= 500:
		problem = fmt.Sprintf("%d %s instead of an answer of %s", answer.Status, http.StatusText(answer.Status), backends(request))
	case slices.Contains(request.Backends, gateway.Backend{Namespace: namespace, Name: release, Port: dashboardPort}) && (answer.Status != http.StatusOK || !answer.HTML()):
		problem = fmt.Sprintf("%d %s from %s, expected 200 and the dashboard's page", answer.Status, answer.Header.Get("Content-Type"), answer.URL)
	}
	return answer, problem
}

// dashboardPort is the port of Traefik's Service behind which its dashboard is.
const dashboardPort = 9000

// enoughRequests is how many must do to see every pod of a Service once.
func enoughRequests(pods int) int { return max(20, 2*pods) }

// provePods goes on with an application that says which pod it is, as whoami does: each must be one of the rule's Services', and all of
// these must be seen. Traefik takes them in turn, so as many requests again show whether it still sends some to a pod that is gone.
func (d *Demo) provePods(ctx context.Context, request gateway.Request, answer *probe.Answer, pods map[string][]string) gateway.Finding {
	var expected []string
	for _, backend := range request.Backends {
		if len(pods[backend.String()]) == 0 {
			return gateway.Finding{Message: backend.String() + " has no ready pod, and yet a share of the requests"}
		}
		expected = append(expected, pods[backend.String()]...)
	}
	if !slices.ContainsFunc([]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}, func(header string) bool { return answer.Field(header) != "" }) {
		return gateway.Finding{Message: "the request arrived without any header X-Forwarded-For, -Host or -Proto: it did not come through Traefik"}
	}
	seen := map[string]bool{}
	for sent := 1; ; sent++ {
		pod := answer.Field("Hostname")
		if !slices.Contains(expected, pod) {
			return gateway.Finding{Message: fmt.Sprintf("answered by pod %q, which is none of %s: %s", pod, backends(request), strings.Join(expected, ", "))}
		}
		seen[pod] = true
		if request.Weighted || len(seen) == len(expected) && sent >= 2*len(expected) {
			return gateway.Finding{OK: true, Message: fmt.Sprintf("%s: %d of %d pods in %d requests", backends(request), len(seen), len(expected), sent)}
		}
		if sent == enoughRequests(len(expected)) {
			return gateway.Finding{Message: fmt.Sprintf("%s: only %d of %d pods answered %d requests", backends(request), len(seen), len(expected), sent)}
		}
		var problem string
		if answer, problem = d.ask(ctx, request); problem != "" {
			return gateway.Finding{Message: fmt.Sprintf("%s (request %d)", problem, sent+1)}
		}
	}
}

func backends(request gateway.Request) string {
	var names []string
	for _, backend := range request.Backends {
		names = append(names, backend.String())
	}
	if len(names) == 0 {
		return "the rule's backend"
	}
	return strings.Join(names, " or ")
}

func control(scheme, host string) gateway.Request {
	return gateway.Request{Scheme: scheme, Method: "GET", Host: host, Path: "/"}
}

// proveUnrouted is the negative control: another server on the port would not give Traefik's 404.
func (d *Demo) proveUnrouted(ctx context.Context, host string) gateway.Finding {
	answer, err := d.probe.Get(ctx, "GET", control("http", host).URL(d.config.HTTPPort), nil, false)
	switch {
	case err != nil:
		return gateway.Finding{Message: "no answer: " + err.Error()}
	case !answer.Unrouted():
		return gateway.Finding{Message: fmt.Sprintf("%d where Traefik answers 404: something else listens on the port, or a route nobody knows of takes every host", answer.Status)}
	}
	return gateway.Finding{OK: true, Message: "404 from Traefik, as no route has this host"}
}

func (d *Demo) port(scheme string) int {
	if scheme == "https" {
		return d.config.HTTPSPort
	}
	return d.config.HTTPPort
}
