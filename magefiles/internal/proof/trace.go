package proof

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// Trace returns the hops of a request, from this machine's port to the pods of its backend, in their order. The last is the answer: finding,
// which is what became of the request.
func (p *Proof) Trace(request gateway.Request, finding check.Finding, s *Snapshot) []check.Check {
	logs := p.Place.Kubectl(p.Logs())
	onNode, _ := p.NodePort(request.Listener)
	hops := []check.Check{
		{Title: "the port on this machine", ID: check.ID{Kind: "Port", Name: fmt.Sprint(request.Port)},
			Expect: fmt.Sprintf("127.0.0.1:%d is published by the node %s", request.Port, p.Place.Node()), Look: p.Place.LookAtPorts(),
			Judge: func(ctx context.Context) check.Finding { return p.Place.Leads(ctx, request.Port) }},
		{Title: p.Name + "'s pod", ID: p.Workload,
			Expect: fmt.Sprintf("a ready pod of %s that takes the node's port %d", p.Workload, onNode), Look: p.Place.Kubectl("describe pods -n " + p.Workload.Namespace),
			Judge: func(ctx context.Context) check.Finding { return p.DataPlane(ctx, s, request.Scheme) }},
		{Title: p.Name + "'s answer", ID: p.Workload,
			Expect: "an answer from " + p.Name + " over " + request.Scheme + ", be it a 404", Look: logs,
			Judge: func(ctx context.Context) check.Finding { return p.answers(ctx, request, s) }},
	}
	if request.Route == (check.ID{}) {
		return append(hops, check.Check{Title: "the backend answers", Expect: "an answer of " + backends(request), Look: logs, Judge: given(finding)})
	}
	for _, entry := range request.Through {
		hops = append(hops, p.gatewayHops(entry, s)...)
	}
	route := request.Route
	hops = append(hops,
		check.Check{ID: route, Expect: "attached to its Gateway, accepted, its references resolved", Look: p.Place.Kubectl("describe " + route.Resource()),
			Judge: given(judgeRoute(s, route))},
		check.Check{ID: route, Title: route.String() + " in the cluster", Expect: "as its manifest has it", Look: "go tool mage routes applies it",
			Judge: func(context.Context) check.Finding { return p.asWritten(s, route) }})
	if finding.Cause == Precedence {
		return append(hops, check.Check{ID: route, Title: "the precedence of routes", Expect: fmt.Sprintf("%s, rule %d takes the request, by the specification's order", route, request.Rule+1),
			Look: p.Place.Kubectl("describe " + request.Taker.Route.Resource()), Judge: given(finding)})
	}
	if hop, ok := p.promised(request, finding, s); ok {
		return append(hops, hop)
	}
	if finding.Cause == NoRoute {
		return append(hops, check.Check{ID: route, Title: p.Name + "'s routes", Expect: "those whose status says that they are accepted", Look: logs,
			Judge: func(ctx context.Context) check.Finding { return p.unserved(ctx, request, finding, s) }})
	}
	for _, backend := range request.Backends {
		hops = append(hops, check.Check{ID: backend.ID(), Expect: "at least one ready pod behind it", Look: p.Place.Kubectl("get endpointslices,pods -n " + backend.Namespace),
			Judge: given(p.judgeBackend(s, backend, finding))})
	}
	return append(hops, check.Check{Title: "the backend answers", ID: check.ID{Kind: "URL", Name: request.String()}, Expect: "an answer of " + s.reached(request),
		Look: p.lookAtBackend(request, finding), Judge: p.quoting(request, finding, s)})
}

// reached are a request's backends, and where they are asked.
func (s *Snapshot) reached(request gateway.Request) string {
	var at []string
	for _, backend := range request.Backends {
		at = append(at, s.behind(backend).at...)
	}
	switch {
	case len(at) == 0:
		return backends(request)
	case len(at) > 3:
		at = append(at[:3], "others")
	}
	return backends(request) + ", asked at " + strings.Join(at, ", ")
}

// lookAtBackend is the command that shows more of a request that fails at its backend: the log of an application that answers, else its Service.
func (p *Proof) lookAtBackend(request gateway.Request, finding check.Finding) string {
	if len(request.Backends) == 0 {
		return p.Place.Kubectl(p.Logs())
	}
	id := request.Backends[0].ID()
	if finding.Cause == Failure {
		return p.Place.Kubectl(fmt.Sprintf("logs -n %s service/%s --all-pods", id.Namespace, id.Name))
	}
	return p.Place.Kubectl("describe " + id.Resource())
}

// promised returns the hop at which a request fails that reaches the route, and does not come to what the rule promises; false where it fails
// elsewhere.
func (p *Proof) promised(request gateway.Request, finding check.Finding, s *Snapshot) (check.Check, bool) {
	rule := fmt.Sprintf("rule %d of %s", request.Rule+1, request.Route)
	hop := check.Check{ID: request.Route, Look: p.Place.Kubectl("describe " + request.Route.Resource()), Judge: given(finding)}
	switch {
	case finding.Cause == Unsupported:
		hop.Title, hop.Expect, hop.Look = "what "+p.Name+" implements", "all that "+rule+" uses", p.Place.Kubectl(p.Logs())
		hop.Judge = p.quoting(request, finding, s)
	case finding.Cause == Filtered:
		hop.Title, hop.Expect = "the rule's filters", "what the filters of "+rule+" say"
	case finding.Cause == RedirectLoop:
		hop.Title = "where the redirect leads"
		hop.Expect = "a backend in the end: attach a redirect from one listener to another only to the first, by the parentRef's sectionName"
	case finding.Cause == WrongAnswer && request.Redirect != nil:
		hop.Title, hop.Expect = "the redirect", "as "+rule+" has it"
	default:
		return hop, false
	}
	return hop, true
}

// quoting is a check of what is known already, to which the log of the data plane may add why.
func (p *Proof) quoting(request gateway.Request, finding check.Finding, s *Snapshot) func(context.Context) check.Finding {
	return func(ctx context.Context) check.Finding {
		if finding.Fails() {
			finding.Found += p.logged(ctx, request, s)
		}
		return finding
	}
}

// given is a check of what is known already.
func given(finding check.Finding) func(context.Context) check.Finding {
	return func(context.Context) check.Finding { return finding }
}

// judgeBackend looks for ready endpoints of a Service; what an endpoint does not say counts only where finding, of the request, has no answer.
func (p *Proof) judgeBackend(s *Snapshot, backend gateway.Backend, finding check.Finding) check.Finding {
	behind := s.behind(backend)
	ready := len(behind.ready) + behind.others
	switch {
	case ready == 0 && !behind.listed:
		return because(PodMissing, "it has no EndpointSlice: does it exist, and has it a selector?")
	case ready == 0:
		return because(PodMissing, "no ready pod: does its selector match, have the pods its targetPort, and are they ready?")
	case ready == behind.unsaid && finding.Cause == ServerError:
		return because(PodMissing, "its EndpointSlice does not say that an endpoint is ready, which %s asks for: write conditions: {ready: true}", p.Name)
	}
	return holds("%d ready endpoints", ready)
}

// asWritten tells whether a route in the cluster is as its manifest has it.
func (p *Proof) asWritten(s *Snapshot, id check.ID) check.Finding {
	for _, route := range s.routes() {
		for _, object := range p.Objects {
			if route.ID != id || object.GetKind() != id.Kind || object.GetNamespace() != id.Namespace || object.GetName() != id.Name {
				continue
			}
			live, err := runtime.DefaultUnstructuredConverter.ToUnstructured(route.Source)
			if err != nil {
				return check.Finding{Verdict: check.Unknown, Found: err.Error()}
			}
			applied, err := kube.AsWritten(object, &unstructured.Unstructured{Object: live})
			switch {
			case err != nil:
				return check.Finding{Verdict: check.Unknown, Found: err.Error()}
			case !applied:
				return broken("somebody has changed it, or its manifest, since it was applied")
			}
		}
	}
	return holds("as its manifest has it")
}

// DataPlane looks for a ready pod of the implementation on the node whose ports are this machine's, to which the node's port for a scheme
// leads.
func (p *Proof) DataPlane(ctx context.Context, s *Snapshot, scheme string) check.Finding {
	onNode := p.doorOf(scheme)
	problem := broken("no pod of it on the node %s", p.Place.Node())
	for i := range s.Pods {
		pod := &s.Pods[i]
		if !p.Runs(pod) || pod.Spec.NodeName != p.Place.Node() {
			continue
		}
		if pod.DeletionTimestamp != nil || !kube.PodReady(pod) {
			problem = check.Finding{Verdict: check.Pending, Found: fmt.Sprintf("Pod/%s/%s is not ready (%s)", pod.Namespace, pod.Name, pod.Status.Phase)}
			continue
		}
		if port, ok := taking(pod, onNode); ok {
			return p.leadsTo(ctx, scheme, pod, port, onNode)
		}
		problem = broken("Pod/%s/%s is ready, but does not take the node's port %d", pod.Namespace, pod.Name, onNode)
	}
	return problem
}

// doorOf returns the node's port for a scheme.
func (p *Proof) doorOf(scheme string) int32 {
	for _, door := range p.Doors {
		if door.Scheme == scheme {
			return door.OnNode
		}
	}
	return 0
}

// taking returns the port of the pod that the node's leads to.
func taking(pod *corev1.Pod, onNode int32) (int32, bool) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.HostPort == onNode {
				return port.ContainerPort, true
			}
		}
	}
	return 0, false
}

// leadsTo tells a pod that does not answer, or only slowly, from one to which the node's port does not lead, as where the network's rules
// were lost. The first is not this hop's fault.
func (p *Proof) leadsTo(ctx context.Context, scheme string, pod *corev1.Pod, port, onNode int32) check.Finding {
	within := func(ask func(context.Context) bool) bool {
		ctx, cancel := context.WithTimeout(ctx, limits.OwnAnswer)
		defer cancel()
		return ask(ctx)
	}
	here, ok := p.Place.Port(onNode)
	if !ok {
		return broken("no port of this machine leads to the node's port %d", onNode)
	}
	answers := func(ctx context.Context) bool {
		url := gateway.Request{Scheme: scheme, Host: "localhost", Path: "/", Port: here}.URL()
		_, err := p.Prober.Get(ctx, "GET", url, p.Ping, false)
		return err == nil
	}
	direct := func(ctx context.Context) bool {
		return p.Place.PodAnswers(ctx, pod.Namespace, pod.Name, scheme, port)
	}
	leads := func(ctx context.Context) bool { return !p.Place.Leads(ctx, here).Fails() }
	if within(answers) || !within(leads) || !within(direct) || within(answers) { // asked again, as it may only have been slow
		return holds("Pod/%s/%s takes the node's port %d", pod.Namespace, pod.Name, onNode)
	}
	return because(NotLed, "Pod/%s/%s answers at its own port %d, but the node's port %d does not lead there", pod.Namespace, pod.Name, port, onNode)
}

// answers asks for a host that nobody has, so that only the implementation itself can answer.
func (p *Proof) answers(ctx context.Context, request gateway.Request, s *Snapshot) check.Finding {
	host, free := gateway.Unrouted(p.served(s), p.known(s))
	control := gateway.Request{Scheme: request.Scheme, Method: "GET", Host: host, Path: "/", Port: request.Port}
	if !free {
		control.Host = request.Host
	}
	answer, err := p.Prober.Get(ctx, "GET", control.URL(), nil, false)
	switch {
	case err != nil:
		return because(NoAnswer, "%v", err)
	case free && !p.Unrouted(answer):
		return because(Stranger, "%d for a host that no route has, where %s would say 404", answer.Status, p.Name)
	}
	return holds("%d", answer.Status)
}

// gatewayHops are a Gateway's class, and the Gateway with the listeners that take the request.
func (p *Proof) gatewayHops(entry gateway.Entry, s *Snapshot) []check.Check {
	var hops []check.Check
	for _, gw := range p.known(s) {
		if class := classID(string(gw.Spec.GatewayClassName)); gw.Namespace == entry.Gateway.Namespace && gw.Name == entry.Gateway.Name {
			hops = append(hops, check.Check{ID: class, Expect: "accepted by " + p.Name, Look: p.Place.Kubectl("describe " + class.Resource()),
				Judge: given(p.judgeClass(s, class.Name))})
			break
		}
	}
	return append(hops, check.Check{ID: entry.Gateway,
		Expect: fmt.Sprintf("accepted and programmed, with %s on the port of an entry point of %s's", listeners(entry.Listeners), p.Name),
		Look:   p.Place.Kubectl("describe " + entry.Gateway.Resource()), Judge: given(judgeGateway(s, entry.Gateway, entry.Listeners))})
}

func listeners(names []gatewayv1.SectionName) string {
	words := []string{"the listener"}
	if len(names) > 1 {
		words[0] = "the listeners"
	}
	for _, name := range names {
		words = append(words, string(name))
	}
	return strings.Join(words, " ")
}
