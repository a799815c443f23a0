package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/probe"
	"kindgate/magefiles/internal/readiness"
	"kindgate/magefiles/internal/shipped"
)

// A way is that of a request, and what became of it.
type way struct {
	trial
	finding check.Finding
}

// hops are those of a request, from this machine's port to the pods of its backend, in their order. The last is the answer.
func (w way) hops() []check.Check {
	logs := w.Place.Kubectl(w.Logs())
	hops := []check.Check{w.Place.Entry(w.request.Port)}
	if w.Place.Node(w.request.Port) != "" {
		hops = append(hops, check.Check{Title: w.Name + "'s pod", ID: w.Workload,
			Expect: fmt.Sprintf("a ready pod of %s that takes the node's port %d", w.Workload, w.Through(w.request.Scheme).OnNode), Look: w.Place.Kubectl("describe pods -n " + w.Workload.Namespace),
			Judge: func(ctx context.Context) check.Finding { return w.DataPlane(ctx, w.s, w.request.Scheme) }})
	}
	hops = append(hops, check.Check{Title: w.Name + "'s answer", ID: w.Workload,
		Expect: "an answer from " + w.Name + " over " + w.request.Scheme + ", be it a 404", Look: logs,
		Judge: func(ctx context.Context) check.Finding { return w.answers(ctx) }})
	if w.request.Route == (check.ID{}) {
		return append(hops, check.Check{Title: "the backend answers", Expect: "an answer of " + backends(w.request), Look: logs, Judge: given(w.finding)})
	}
	for _, entry := range w.request.Through {
		hops = append(hops, w.gatewayHops(entry)...)
	}
	if w.request.Scheme == "https" && len(w.request.Through) > 0 && !gateway.AnyHost(w.request.Host) {
		hops = append(hops, w.certificateHop())
	}
	route := w.request.Route
	hops = append(hops, check.Check{ID: route, Expect: "attached to its Gateway, accepted, its references resolved", Look: w.Place.Kubectl("describe " + route.Resource()),
		Judge: given(judgeRoute(w.s, route))})
	if len(w.Objects) > 0 {
		hops = append(hops, check.Check{ID: route, Title: route.String() + " in the cluster", Expect: "as its manifest has it", Look: shipped.Command("routes") + " applies it",
			Judge: func(context.Context) check.Finding { return w.asWritten(w.s, route) }})
	}
	if w.finding.Cause == Precedence {
		return append(hops, check.Check{ID: route, Title: "the precedence of routes", Expect: fmt.Sprintf("%s, rule %d takes the request, by the specification's order", route, w.request.Rule+1),
			Look: w.Place.Kubectl("describe " + w.request.Taker.Route.Resource()), Judge: given(w.finding)})
	}
	if hop, ok := w.promised(); ok {
		return append(hops, hop)
	}
	if w.finding.Cause == NoRoute {
		return append(hops, check.Check{ID: route, Title: w.Name + "'s routes", Expect: "those whose status says that they are accepted", Look: logs,
			Judge: func(ctx context.Context) check.Finding { return w.unserved(ctx) }})
	}
	for _, backend := range w.request.Backends {
		hops = append(hops, check.Check{ID: backend.ID(), Expect: "at least one ready pod behind it, all of them on nodes that run", Look: w.Place.Kubectl("get endpointslices,pods -n " + backend.Namespace),
			Judge: func(ctx context.Context) check.Finding { return w.judgeBackend(ctx, backend) }})
	}
	hops = append(hops, w.policyHops()...)
	expect := "an answer of " + w.s.reached(w.request)
	if w.request.Status > 0 {
		expect += fmt.Sprintf(", with the status %d", w.request.Status)
	}
	return append(hops, check.Check{Title: "the backend answers", ID: check.ID{Kind: "URL", Name: w.request.String()}, Expect: expect,
		Look: w.lookAtBackend(), Judge: w.quoting()})
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
func (w way) lookAtBackend() string {
	if len(w.request.Backends) == 0 {
		return w.Place.Kubectl(w.Logs())
	}
	id := w.request.Backends[0].ID()
	if w.finding.Cause == Failure {
		return w.Place.Kubectl(fmt.Sprintf("logs -n %s service/%s --all-pods", id.Namespace, id.Name))
	}
	all := "describe " + id.Resource()
	for _, other := range w.request.Backends[1:] {
		if other.Namespace == id.Namespace {
			all += " " + other.Name
		}
	}
	return w.Place.Kubectl(all)
}

// promised returns the hop at which a request fails that reaches the route, and does not come to what the rule promises; false where it fails
// elsewhere.
func (w way) promised() (check.Check, bool) {
	rule := fmt.Sprintf("rule %d of %s", w.request.Rule+1, w.request.Route)
	hop := check.Check{ID: w.request.Route, Look: w.Place.Kubectl("describe " + w.request.Route.Resource()), Judge: given(w.finding)}
	switch {
	case w.finding.Cause == Unsupported:
		hop.Title, hop.Expect, hop.Look = "what "+w.Name+" implements", "all that "+rule+" uses", w.Place.Kubectl(w.Logs())
		hop.Judge = w.quoting()
	case w.finding.Cause == Filtered:
		hop.Title, hop.Expect = "the rule's filters", "what the filters of "+rule+" say"
	case w.finding.Cause == RedirectLoop:
		hop.Title = "where the redirect leads"
		hop.Expect = "a backend in the end: attach a redirect from one listener to another only to the first, by the parentRef's sectionName"
	case w.finding.Cause == WrongAnswer && w.request.Redirect != nil:
		hop.Title, hop.Expect = "the redirect", "as "+rule+" has it"
	default:
		return hop, false
	}
	return hop, true
}

// quoting is a check of what is known already, to which the log of the data plane may add why.
func (w way) quoting() func(context.Context) check.Finding {
	return func(ctx context.Context) check.Finding {
		if !w.finding.Fails() {
			return w.finding
		}
		why := dataPlane{w.trial}.logged(ctx)
		if why == "" && w.finding.Cause == ServerError {
			why = dataPlane{w.trial}.answered(ctx)
		}
		w.finding.Found += why
		return w.finding
	}
}

// given is a check of what is known already.
func given(finding check.Finding) func(context.Context) check.Finding {
	return func(context.Context) check.Finding { return finding }
}

// judgeBackend looks for ready endpoints of a Service, and whether their nodes run; what an endpoint does not say counts only where finding, of
// the request, has no answer.
func (w way) judgeBackend(ctx context.Context, backend gateway.Backend) check.Finding {
	behind := w.s.behind(backend)
	ready := len(behind.ready) + behind.others
	silent := slices.Contains([]check.Cause{NoAnswer, ServerError, PodMissing}, w.finding.Cause)
	for _, pod := range behind.pods {
		if silent && (pod.ready || ready == 0) {
			if state := w.Place.Down(ctx, pod.node); state != "" {
				return because(PodMissing, "Pod/%s is on the node %s, which is %s: up starts it again", pod.name, pod.node, state)
			}
		}
	}
	switch {
	case behind.unread:
		return unread(sliceKind.Kind, backend.Namespace)
	case ready == 0 && !behind.listed:
		return because(PodMissing, "it has no EndpointSlice: does it exist, and has it a selector?")
	case ready == 0:
		return because(PodMissing, "no ready pod: does its selector match, have the pods its targetPort, and are they ready?")
	case ready == behind.unsaid && w.finding.Cause == ServerError:
		return because(PodMissing, "its EndpointSlice does not say that an endpoint is ready, which %s asks for: write conditions: {ready: true}", w.Name)
	}
	return holds("%d ready endpoints", ready)
}

// asWritten tells whether a route in the cluster is as its manifest has it.
func (p *Proof) asWritten(s *Snapshot, id check.ID) check.Finding {
	route := s.route(id)
	for _, object := range p.Objects {
		if route == nil || object.GetKind() != id.Kind || object.GetNamespace() != id.Namespace || object.GetName() != id.Name {
			continue
		}
		live, err := gotype.Encode(route.Source)
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
	return holds("as its manifest has it")
}

// DataPlane looks for a ready pod of the implementation on the node whose ports are this machine's, to which the node's port for a scheme
// leads.
func (p *Proof) DataPlane(ctx context.Context, s *Snapshot, scheme string) check.Finding {
	onNode := p.Through(scheme).OnNode
	here, _ := p.Place.Port(p.Through(scheme).EntryPoint)
	node := p.Place.Node(here)
	problem := broken("no pod of it on the node %s", node)
	for i := range s.Pods {
		pod := &s.Pods[i]
		if !p.Runs(pod) || pod.Spec.NodeName != node {
			continue
		}
		if pod.DeletionTimestamp != nil || !readiness.PodReady(pod) {
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
	here, ok := p.Place.Port(p.Through(scheme).EntryPoint)
	if !ok {
		return broken("no port of this machine leads to the node's port %d", onNode)
	}
	answers := func(ctx context.Context) bool {
		url := gateway.Request{Scheme: scheme, Host: "localhost", Path: "/", Port: here}.URL()
		_, err := p.Prober.Get(ctx, "GET", url, p.Ping, false)
		return err == nil || errors.Is(err, probe.ErrNoTLS) || errors.Is(err, probe.ErrNotSent) || errors.As(err, new(*probe.UnreadableError))
	}
	direct := func(ctx context.Context) bool {
		return p.Place.PodAnswers(ctx, pod.Namespace, pod.Name, scheme, port)
	}
	leads := func(ctx context.Context) bool { return !p.Place.Entry(here).Judge(ctx).Fails() }
	if within(answers) || !within(leads) || !within(direct) || within(answers) { // asked again, as it may only have been slow
		return holds("Pod/%s/%s takes the node's port %d", pod.Namespace, pod.Name, onNode)
	}
	return because(NotLed, "Pod/%s/%s answers at its own port %d, but the node's port %d does not lead there", pod.Namespace, pod.Name, port, onNode)
}

// answers asks for a host that nobody has, so that only the implementation itself can answer.
func (w way) answers(ctx context.Context) check.Finding {
	host, free := gateway.Unrouted(w.served(w.s), w.known(w.s))
	control := gateway.Request{Scheme: w.request.Scheme, Method: "GET", Host: host, Path: "/", Port: w.request.Port}
	if !free {
		control.Host = w.request.Host
	}
	answer, err := w.Prober.Get(ctx, "GET", control.URL(), nil, false)
	switch {
	case errors.Is(err, probe.ErrNoTLS) && w.finding.Cause == Uncertified: // which is another hop's
		return holds("%v", err)
	case errors.Is(err, probe.ErrNotSent):
		return unanswered(err)
	case err != nil:
		return because(NoAnswer, "%v", err)
	case free && w.diverted(control, answer):
		return holds("%d: its entry point redirects every request to %s", answer.Status, answer.Header.Get("Location"))
	case free && w.Careful && !w.Unfamiliar && !w.Unrouted(answer): // a proxy in front of it may have answered
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("%d for a host that no route has, where %s would say 404: its own answers cannot be told from others' here", answer.Status, w.Name)}
	case free && !w.Unfamiliar && !w.Unrouted(answer):
		return because(Stranger, "%d for a host that no route has, where %s would say 404", answer.Status, w.Name)
	}
	return holds("%d", answer.Status)
}

// gatewayHops are a Gateway's class, and the Gateway with the listeners that take the request.
func (w way) gatewayHops(entry gateway.Entry) []check.Check {
	var hops []check.Check
	for _, gw := range w.known(w.s) {
		if class := classID(string(gw.Spec.GatewayClassName)); gw.Namespace == entry.Gateway.Namespace && gw.Name == entry.Gateway.Name {
			hops = append(hops, check.Check{ID: class, Expect: "accepted by " + w.Name, Look: w.Place.Kubectl("describe " + class.Resource()),
				Judge: given(w.judgeClass(w.s, class.Name))})
			break
		}
	}
	on := ""
	if !w.Unfamiliar {
		on = " on the port of an entry point of " + w.Name + "'s"
	}
	return append(hops, check.Check{ID: entry.Gateway,
		Expect: fmt.Sprintf("accepted and programmed, with %s%s", listeners(entry.Listeners), on),
		Look:   w.Place.Kubectl("describe " + entry.Gateway.Resource()), Judge: given(judgeGateway(w.Proof, w.s, entry.Gateway, entry.Listeners))})
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
