package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
)

// A hop is one station on a request's way. It holds when found is as expected.
type hop struct {
	name     string
	expected string
	look     string // the command that shows more
	find     func() (found string, ok bool)
}

// diagnosis is the first hop that does not hold, in lines for the user.
func (h hop) diagnosis(found string) string { return "The hop that is broken: " + h.lines(found) }

func (h hop) lines(found string) string {
	return fmt.Sprintf("%s\n  expected: %s\n  found:    %s\n  look at:  %s", h.name, h.expected, found, h.look)
}

// A walk has been along the ways of requests, and has looked at each hop once.
type walk struct {
	d     *Demo
	state *state
	found map[string]gateway.Finding // by the hop's name and what is expected of it
}

// firstBroken walks a request's way from the outside in, and returns what to say about the first hop that does not hold. finding is
// what became of the request; it stands for the last hop, the backend's answer.
func (w *walk) firstBroken(ctx context.Context, request gateway.Request, finding gateway.Finding) string {
	d := w.d
	for _, h := range d.hops(ctx, request, finding, w.state) {
		known, ok := w.found[h.name+h.expected]
		if !ok {
			known.Message, known.OK = h.find()
			w.found[h.name+h.expected] = known
		}
		if ctx.Err() != nil {
			return fmt.Sprintf("The hop that is broken is not known: %s, before all were looked at.", context.Cause(ctx))
		}
		if !known.OK {
			return h.diagnosis(known.Message)
		}
	}
	service := backends(request)
	look := d.kubectl("logs -n %s daemonset/%s", namespace, release)
	if len(request.Backends) > 0 {
		look = d.kubectl("describe service -n %s %s", request.Backends[0].Namespace, request.Backends[0].Name)
	}
	return hop{name: "the backend answers", expected: "an answer of " + service, look: look}.diagnosis(finding.Message)
}

// onNode are the node's ports that Traefik's pod takes, by scheme.
var onNode = map[string]int32{"http": 80, "https": 443}

func (d *Demo) kubectl(format string, args ...any) string {
	command := "kubectl"
	if file := d.config.Kubeconfig; file != "" && !atomicfile.IsNull(file) {
		command += " --kubeconfig " + quoted(file)
	}
	return command + " --context " + cluster.Context(d.config.Cluster) + " " + fmt.Sprintf(format, args...)
}

// hops are the stations of a request from this machine's port to the pods of its backend. finding is what became of the request.
func (d *Demo) hops(ctx context.Context, request gateway.Request, finding gateway.Finding, s *state) []hop {
	port := d.port(request.Scheme)
	hops := []hop{
		{"the port on this machine", fmt.Sprintf("127.0.0.1:%d is published by the node %s", port, d.cluster.NodeName()), d.cluster.EngineName() + " port " + d.cluster.NodeName(),
			func() (string, bool) { return d.findPort(ctx, port) }},
		{"Traefik's pod", fmt.Sprintf("a ready pod of DaemonSet/%s/%s that takes the node's port %d", namespace, release, onNode[request.Scheme]),
			d.kubectl("describe pods -n %s", namespace), func() (string, bool) { return d.findTraefik(ctx, request.Scheme) }},
		{"Traefik's answer", "an answer from Traefik over " + request.Scheme + ", be it a 404", d.kubectl("logs -n %s daemonset/%s", namespace, release),
			func() (string, bool) { return d.findAnswer(ctx, request, s) }},
	}
	if request.Route == "" {
		return hops
	}
	for _, entry := range request.Through {
		hops = append(hops, d.gatewayHops(entry, s)...)
	}
	route := strings.Split(request.Route, "/")
	hops = append(hops, hop{request.Route, "attached to its Gateway, accepted, its references resolved", d.kubectl("describe httproute -n %s %s", route[1], route[2]),
		found(func() gateway.Finding { return judgeRoute(s, route[1], route[2]) })},
		hop{request.Route + " in the cluster", "as its manifest has it", "go tool mage routes applies it",
			func() (string, bool) {
				return "somebody has changed it, or its manifest, since it was applied", d.asWritten(ctx, route[1], route[2])
			}})
	if strings.HasPrefix(finding.Message, unrouted) {
		return append(hops, hop{"Traefik's routes", "those whose status says that they are accepted", d.kubectl("logs -n %s daemonset/%s", namespace, release),
			func() (string, bool) {
				return finding.Message + "; does it reach the API server? (An application in Go may answer the same.)", false
			}})
	}
	for _, backend := range request.Backends {
		hops = append(hops, hop{backend.String(), "at least one ready pod behind it", d.kubectl("get endpointslices,pods -n %s", backend.Namespace),
			func() (string, bool) {
				return "no ready pod: does its selector match, have the pods its targetPort, and are they ready?", len(s.pods[backend.String()]) > 0
			}})
	}
	return hops
}

// asWritten tells whether a route in the cluster is as its manifest has it.
func (d *Demo) asWritten(ctx context.Context, ns, name string) bool {
	client, err := d.kube()
	if err != nil {
		return true
	}
	for _, object := range d.inputs.routes {
		if object.GetKind() == "HTTPRoute" && object.GetNamespace() == ns && object.GetName() == name {
			applied, err := client.IsApplied(ctx, object)
			return err != nil || applied
		}
	}
	return true
}

func found(judge func() gateway.Finding) func() (string, bool) {
	return func() (string, bool) { f := judge(); return f.Message, f.OK }
}

func (d *Demo) findPort(ctx context.Context, port int) (string, bool) {
	published, err := d.cluster.Published(ctx)
	if err != nil {
		return err.Error(), false
	}
	if published[port] {
		return "", true
	}
	holder, taken := d.cluster.PortHolder(ctx, port)
	if taken {
		return fmt.Sprintf("%s listens there, not the node", holder), false
	}
	return "nothing listens there: the cluster was made with other ports, see kind/cluster.yaml and KINDGATE_HTTP_PORT", false
}

// findTraefik looks for a ready pod of the release on the node whose ports are this machine's, and to which the port leads.
func (d *Demo) findTraefik(ctx context.Context, scheme string) (string, bool) {
	nodePort := onNode[scheme]
	client, err := d.kube()
	if err != nil {
		return err.Error(), false
	}
	pods, err := list[corev1.Pod](ctx, client, podKind)
	if err != nil {
		return err.Error(), false
	}
	problem := "no pod of it on the node " + d.cluster.NodeName()
	for _, pod := range pods {
		owner := pod.OwnerReferences
		if pod.Namespace != namespace || len(owner) == 0 || owner[0].Name != release || pod.Spec.NodeName != d.cluster.NodeName() {
			continue
		}
		if pod.DeletionTimestamp != nil || !kube.PodReady(&pod) {
			problem = fmt.Sprintf("Pod/%s/%s is not ready (%s)", pod.Namespace, pod.Name, pod.Status.Phase)
			continue
		}
		if port, ok := taking(pod, nodePort); ok {
			return d.findWay(ctx, client, scheme, pod.Name, port, nodePort)
		}
		problem = fmt.Sprintf("Pod/%s/%s is ready, but does not take the node's port %d", pod.Namespace, pod.Name, nodePort)
	}
	return problem, false
}

// taking returns the port of the pod that the node's leads to.
func taking(pod corev1.Pod, nodePort int32) (int32, bool) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.HostPort == nodePort {
				return port.ContainerPort, true
			}
		}
	}
	return 0, false
}

// aMoment is enough for an answer of Traefik's own.
const aMoment = 2 * time.Second

// findWay tells a pod that does not answer from one to which the node's port does not lead, as where the network's rules were lost.
func (d *Demo) findWay(ctx context.Context, client *kube.Client, scheme, pod string, port, nodePort int32) (string, bool) {
	within := func(ask func(context.Context) bool) bool {
		ctx, cancel := context.WithTimeout(ctx, aMoment)
		defer cancel()
		return ask(ctx)
	}
	answers := func(ctx context.Context) bool {
		// Traefik's HTTP server refuses this itself, with a 417, whatever routes there are and whether their backends answer.
		// See https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1.
		_, err := d.probe.Get(ctx, "GET", control(scheme, "localhost").URL(d.port(scheme)), map[string]string{"Expect": "an answer"}, false)
		return err == nil
	}
	direct := func(ctx context.Context) bool { return client.PodAnswers(ctx, namespace, pod, scheme, port) }
	ours := func(ctx context.Context) bool { _, ok := d.findPort(ctx, d.port(scheme)); return ok }
	if within(answers) || !within(ours) || !within(direct) || within(answers) { // asked again, as it may only have been slow
		return "", true
	}
	return fmt.Sprintf("Pod/%s/%s answers at its own port %d, but the node's port %d does not lead there", namespace, pod, port, nodePort), false
}

// findAnswer asks for a host that nobody has, so that only Traefik itself can answer.
func (d *Demo) findAnswer(ctx context.Context, request gateway.Request, s *state) (string, bool) {
	host, ok := gateway.Unrouted(d.servedRoutes(s), d.knownGateways(s))
	if !ok {
		host = request.Host
	}
	answer, err := d.probe.Get(ctx, "GET", control(request.Scheme, host).URL(d.port(request.Scheme)), nil, false)
	switch {
	case err != nil:
		return err.Error(), false
	case ok && !answer.Unrouted():
		return fmt.Sprintf("%d for a host that no route has, where Traefik would say 404", answer.Status), false
	}
	return "", true
}

// gatewayHops are a Gateway's class, and the Gateway with the listeners that take the request.
func (d *Demo) gatewayHops(entry gateway.Entry, s *state) []hop {
	ns, name, _ := strings.Cut(entry.Gateway, "/")
	var hops []hop
	for _, gw := range d.knownGateways(s) {
		if class := string(gw.Spec.GatewayClassName); gw.Namespace == ns && gw.Name == name {
			hops = append(hops, hop{"GatewayClass/" + class, "accepted by Traefik", d.kubectl("describe gatewayclass %s", class),
				found(func() gateway.Finding { return judgeClass(s, class) })})
			break
		}
	}
	return append(hops, hop{"Gateway/" + entry.Gateway, fmt.Sprintf("accepted and programmed, with %s on the port of an entry point of Traefik's", listeners(entry.Listeners)),
		d.kubectl("describe gateway -n %s %s", ns, name), found(func() gateway.Finding { return judgeGateway(s, ns, name, entry.Listeners) })})
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
