package proof

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/probe"
)

// A world is a cluster that serves shop.localhost and cart.localhost, as a snapshot and as what answers requests. A test damages it.
type world struct {
	proof    *Proof
	snapshot *Snapshot
	place    *fakePlace
	gateway  *fakeGateway
}

type fakePlace struct {
	node       string
	ports      map[int32]int
	leads      check.Finding
	podAnswers bool
	nodes      map[int]string    // those of ports of this machine; "node" for the others
	down       map[string]string // the states of nodes that do not run
	routers    string            // what the data plane's API answers; empty for nothing
	log        string
	logs       []string // what its log gets, at one look after the other
	asked      int      // how often it was asked for either
}

func (p *fakePlace) Node(port int) string {
	if p.node == "" {
		return ""
	}
	return cmp.Or(p.nodes[port], p.node)
}

func (p *fakePlace) Down(_ context.Context, node string) string { return p.down[node] }

func (p *fakePlace) Port(listener int32) (int, bool) { port, ok := p.ports[listener]; return port, ok }

func (p *fakePlace) Entry(port int) check.Check {
	return check.Check{Title: "the port on this machine", ID: check.ID{Kind: "Port", Name: strconv.Itoa(port)}, Expect: "published by the node", Look: "docker port node",
		Judge: func(context.Context) check.Finding { return p.leads }}
}

func (p *fakePlace) PodAnswers(context.Context, string, string, string, int32) bool {
	return p.podAnswers
}

func (p *fakePlace) PodGet(context.Context, string, string, int32, string) ([]byte, error) {
	p.asked++
	if p.routers == "" {
		return nil, errRefused
	}
	return []byte(p.routers), nil
}

func (p *fakePlace) PodLog(context.Context, string, string, string, int64) ([]byte, error) {
	p.asked++
	if len(p.logs) > 0 {
		p.log, p.logs = p.log+p.logs[0], p.logs[1:]
	}
	return []byte(p.log), nil
}

func (p *fakePlace) Kubectl(arguments string) string { return "kubectl " + arguments }

// A fakeGateway answers by host and path, else by host; each of these answers in turn. It is Traefik's 404 that others get.
type fakeGateway struct {
	mu      sync.Mutex
	answers map[string][]*probe.Answer // a nil one is none
	failure error                      // of those, errRefused for nil
	asked   map[string]int
	sent    map[string]string // the last request's header
	ping    *probe.Answer
	tls     func(host string) *tls.ConnectionState // what is presented; nil for no TLS
}

var errRefused = errors.New("connection refused")

func (g *fakeGateway) Get(ctx context.Context, method, url string, header map[string]string, follow bool) (*probe.Answer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	host, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(url, "http://"), "https://"), ":")
	if at := strings.IndexByte(path, '/'); at >= 0 && g.answers[host+path[at:]] != nil {
		host += path[at:]
	}
	answers, known := g.answers[host]
	g.sent = header
	var secured *tls.ConnectionState
	if secure := strings.HasPrefix(url, "https:"); secure && g.tls == nil {
		return nil, probe.ErrNoTLS
	} else if name, _, _ := strings.Cut(host, "/"); secure {
		secured = g.tls(name)
	}
	switch {
	case header["Expect"] != "":
		answers = []*probe.Answer{g.ping}
	case !known && g.answers["*"] != nil:
		answers = g.answers["*"]
	case !known:
		none := notFound()
		none.TLS = secured
		return none, nil
	}
	answer := answers[g.asked[host]%len(answers)]
	g.asked[host]++
	if answer == nil {
		return nil, cmp.Or(g.failure, errRefused)
	}
	with := *answer
	with.URL, with.TLS, with.HTTP2 = url, secured, secured != nil
	return &with, nil
}

// Call answers as Get does, and the calls that are made to be refused as a server of gRPC.
func (g *fakeGateway) Call(ctx context.Context, url string, header map[string]string, answerable bool) (*probe.Answer, error) {
	answer, err := g.Get(ctx, "POST", url, header, false)
	if err != nil {
		return nil, err
	}
	if _, ok := answer.GRPCStatus(); ok && !answerable {
		return call(unimplemented), nil
	}
	return answer, nil
}

// call is an answer of a server of gRPC.
func call(status int) *probe.Answer {
	return &probe.Answer{Status: 200, Header: http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {strconv.Itoa(status)}}}
}

// notFound is Traefik's own 404, which looks the same as an application's in Go but for the order of its header.
func notFound() *probe.Answer {
	return &probe.Answer{Status: 404, Body: "404 page not found\n", Header: http.Header{"Content-Type": {"text/plain"}, "X-Content-Type-Options": {"nosniff"}},
		Order: []string{"Content-Type", "X-Content-Type-Options", "Date", "Content-Length"}}
}

// passedOn is an answer of a backend.
func passedOn(answer *probe.Answer) *probe.Answer {
	answer.Order = []string{"Content-Length", "Content-Type", "Date", "X-Content-Type-Options"}
	return answer
}

// status is an answer of Traefik's own.
func status(code int) *probe.Answer {
	return &probe.Answer{Status: code, Header: http.Header{}, Order: []string{"Date", "Content-Length"}}
}

func page(body string) *probe.Answer {
	return passedOn(&probe.Answer{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: body})
}

// whoami is an answer of a pod that says who it is.
func whoami(pod string) *probe.Answer {
	return passedOn(&probe.Answer{Status: 200, Header: http.Header{},
		Body: "Hostname: " + pod + "\nRemoteAddr: 10.0.0.1:5000\nGET / HTTP/1.1\nHost: x\nX-Forwarded-For: 127.0.0.1\n"})
}

// router is a list with one router of a route in namespace demo.
func router(route string, rule, priority int, more string) string {
	return fmt.Sprintf(`[{"name": "httproute-demo-%s-gw-traefik-gw-ep-web-%d-0abc@kubernetesgateway", "rule": "Host(x)", "priority": %d%s}]`, route, rule, priority, more)
}

func parse[T any](t testing.TB, text string) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func judged(generation int64, types ...string) []metav1.Condition {
	var all []metav1.Condition
	for _, name := range types {
		name, status, _ := strings.Cut(name, "=")
		if status == "" {
			status = "True"
		}
		all = append(all, metav1.Condition{Type: name, Status: metav1.ConditionStatus(status), ObservedGeneration: generation, Reason: "Why", Message: "because"})
	}
	return all
}

func route(t testing.TB, name, backend string) gateway.Route {
	t.Helper()
	r := parse[gatewayv1.HTTPRoute](t, fmt.Sprintf(`{metadata: {name: %s, namespace: demo, generation: 1}, spec: {hostnames: [%[1]s.localhost],
		parentRefs: [{name: gw, namespace: traefik}], rules: [{backendRefs: [{name: %s, port: 80}]}]}}`, name, backend))
	return gateway.FromHTTP(&r)
}

// attached is the HTTPRoute that a route was made of, accepted.
func attached(route gateway.Route) gatewayv1.HTTPRoute {
	r := *route.Source.(*gatewayv1.HTTPRoute).DeepCopy()
	r.Spec = *route.Spec.DeepCopy()
	r.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: r.Spec.ParentRefs[0], Conditions: judged(1, "Accepted", "ResolvedRefs")}}
	return r
}

func readyPod(namespace, name string) corev1.Pod {
	var pod corev1.Pod
	pod.Namespace, pod.Name, pod.Spec.NodeName = namespace, name, "node"
	pod.Spec.Containers = []corev1.Container{{Name: "c", ReadinessProbe: &corev1.Probe{}}}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	return pod
}

func slice(namespace, service string, pods ...string) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Ports: []discoveryv1.EndpointPort{{}}}
	for _, pod := range pods {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod}})
	}
	return s
}

// whole is a world in which everything holds.
func whole(t testing.TB) *world {
	t.Helper()
	gw := parse[gatewayv1.Gateway](t, `{metadata: {name: gw, namespace: traefik, generation: 1}, spec: {gatewayClassName: traefik,
		listeners: [{name: web, port: 8000, protocol: HTTP}]}}`)
	class := parse[gatewayv1.GatewayClass](t, "{metadata: {name: traefik, generation: 1}, spec: {controllerName: traefik.io/gateway-controller}}")
	w := &world{
		place: &fakePlace{node: "node", ports: map[int32]int{8000: 8080, 8443: 8443}, podAnswers: true, leads: check.Finding{Verdict: check.Holds}},
		gateway: &fakeGateway{asked: map[string]int{}, ping: status(417), answers: map[string][]*probe.Answer{
			"shop.localhost": {whoami("shop-1"), whoami("shop-2")}, "cart.localhost": {whoami("cart-1")}}},
	}
	w.proof = &Proof{Implementation: implementation.Traefik, Place: w.place, Prober: w.gateway, Manifests: Manifests{
		Classes: []string{"traefik"}, Gateways: []gatewayv1.Gateway{gw}, Routes: []gateway.Route{route(t, "shop", "shop"), route(t, "cart", "cart")}}}
	live := *gw.DeepCopy()
	live.Status = gatewayv1.GatewayStatus{Conditions: judged(1, "Accepted", "Programmed"), Addresses: []gatewayv1.GatewayStatusAddress{{Value: "127.0.0.1"}},
		Listeners: []gatewayv1.ListenerStatus{{Name: "web", Conditions: judged(1, "Accepted", "ResolvedRefs", "Programmed")}}}
	class.Status.Conditions = judged(1, "Accepted")
	traefik := readyPod("traefik", "traefik-x")
	traefik.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "traefik"}}
	traefik.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8000, HostPort: 80}}
	w.snapshot = &Snapshot{Taken: time.Now(), Classes: []gatewayv1.GatewayClass{class}, Gateways: []gatewayv1.Gateway{live},
		HTTPRoutes: []gatewayv1.HTTPRoute{attached(w.proof.Routes[0]), attached(w.proof.Routes[1])},
		Pods:       []corev1.Pod{traefik, readyPod("demo", "shop-1"), readyPod("demo", "shop-2"), readyPod("demo", "cart-1")},
		Slices:     []discoveryv1.EndpointSlice{slice("demo", "shop", "shop-1", "shop-2"), slice("demo", "cart", "cart-1")}}
	return w
}

func (w *world) take(context.Context) (*Snapshot, error) {
	s := w.snapshot // without what was read from it before the test changed it
	return &Snapshot{Taken: s.Taken, Classes: s.Classes, Gateways: s.Gateways, HTTPRoutes: s.HTTPRoutes, GRPCRoutes: s.GRPCRoutes, Pods: s.Pods, Slices: s.Slices, Namespaces: s.Namespaces, Services: s.Services,
		Certificates: s.Certificates, Policies: s.Policies}, nil
}

func (w *world) judged(ctx context.Context, take func(context.Context) (*Snapshot, error), report func(string)) (Found, error) {
	return Verify(ctx, w.proof, []*Proof{w.proof}, take, SettlesSoon, report)
}

// verify returns the results by what they are about.
func (w *world) verify(t *testing.T) map[string]Result {
	t.Helper()
	found, err := w.judged(t.Context(), w.take, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Result{}
	for _, r := range found.Results {
		byName[r.String()] = r
	}
	return byName
}

// verifyAtOnce is verify whose pauses take no time.
func (w *world) verifyAtOnce(t *testing.T) (byName map[string]Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { byName = w.verify(t) })
	return byName
}
