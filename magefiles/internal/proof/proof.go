// Package proof judges whether a cluster serves the routes of the manifests: by the conditions of the objects in a Snapshot, and by real
// requests. For a request that fails it names the first hop on its way that is broken. Who sends the requests, and where the cluster is, are
// interfaces: every verdict can be had without a cluster.
package proof

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/probe"
)

// Manifests are the objects whose service is proven.
type Manifests struct {
	// Classes are the names of the GatewayClasses that the Gateways name.
	Classes  []string
	Gateways []gatewayv1.Gateway
	Routes   []gateway.Route
	// Objects are the same as they were read, for a comparison with what was applied.
	Objects []kube.Object
}

// A Place is where the cluster is, and how it is reached from this machine.
type Place interface {
	// Node is the name of the node to which the requests whose URL has a port are to come; empty where they reach the data plane without one.
	Node(port int) string
	// Down says what keeps a node from running, as stopped; it is empty for one that runs, and for one of which nobody knows.
	Down(ctx context.Context, node string) string
	// Port returns the port that a URL has which leads to a listener's, and false where none does.
	Port(listener int32) (int, bool)
	// Entry is the first hop of the requests whose URL has a port: what leads from this machine into the cluster.
	Entry(port int) check.Check
	// PodAnswers tells whether a pod answers at a port of its own, asked past the ports of this machine and of the node.
	PodAnswers(ctx context.Context, namespace, pod, scheme string, port int32) bool
	// PodGet returns what a pod answers over http at a port of its own, asked in the same way, and PodLog the last lines of a container's log.
	PodGet(ctx context.Context, namespace, pod string, port int32, path string) ([]byte, error)
	PodLog(ctx context.Context, namespace, pod, container string, lines int64) ([]byte, error)
	// Kubectl is a command for the cluster, of kubectl's arguments.
	Kubectl(arguments string) string
}

// A Prober sends a request to this machine's port that the URL names, whatever its host is. *probe.Client is one.
type Prober interface {
	Get(ctx context.Context, method, url string, header map[string]string, follow bool) (*probe.Answer, error)
	// Call makes a call of gRPC; any server refuses it, before anything is done, unless it is answerable.
	Call(ctx context.Context, url string, header map[string]string, answerable bool) (*probe.Answer, error)
}

// A Proof is of some manifests, on a cluster at a place.
type Proof struct {
	Manifests
	*implementation.Implementation
	Place  Place
	Prober Prober

	// Authority are the certificates of this user's authority; nil for none. Made is the Secret whose certificate kindgate makes with it, the zero ID
	// where there is none.
	Authority func() []*x509.Certificate
	Made      check.ID

	// Apart: the Gateways have an address of their own, so that those of others take none of their requests.
	Apart bool
	// Careful: the cluster is somebody's. Each promise is proven by as few requests as can be, and none but GET and HEAD.
	Careful bool
	// Silent says why no request is sent, as where a bundle stands for the cluster; empty where they are.
	Silent string
	// Via tells the requests from those of the same URL to other Gateways; empty where there are none.
	Via string
}

// A Promise is something that must hold: what an object's conditions say, or who answers a request.
type Promise struct {
	check.Check
	// Request is the one that proves it; nil for conditions.
	Request *gateway.Request
	// Control: the request is one that only the implementation itself can answer. When it does not, all the others prove nothing.
	Control bool

	by *Proof // whose request it is
}

// Conditions are the promises of the manifests' classes, Gateways and routes, whatever else the cluster has.
func (p *Proof) Conditions(s *Snapshot) []Promise {
	var all []Promise
	add := func(id check.ID, judge func() check.Finding) {
		all = append(all, Promise{Check: check.Check{ID: id, Look: p.Place.Kubectl("describe " + id.Resource()),
			Judge: func(context.Context) check.Finding { return judge() }}})
	}
	for _, name := range p.Classes {
		add(classID(name), func() check.Finding { return p.judgeClass(s, name) })
	}
	for i := range p.Gateways {
		gw := &p.Gateways[i]
		id := check.ID{Kind: GatewayKind.Kind, Namespace: gw.Namespace, Name: gw.Name}
		add(id, func() check.Finding { return judgeGateway(p, s, id, gateway.ListenerNames(gw)) })
	}
	for i := range p.Routes {
		id := p.Routes[i].ID
		add(id, func() check.Finding { return judgeRoute(s, id) })
		for _, gw := range p.Routes[i].Gateways() {
			if !s.has(GatewayKind.Kind, gw.Namespace) {
				all = append(all, Promise{Check: check.Check{ID: check.ID{Kind: id.Kind, Namespace: id.Namespace, Name: id.Name, Part: "through " + gw.String()},
					Title: fmt.Sprintf("the requests of %s through %s", id, gw), Judge: given(unread(gw.Kind, gw.Namespace))}})
			}
		}
	}
	for _, object := range p.Objects {
		id := check.ID{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
		switch id.Kind {
		case ClassKind.Kind, GatewayKind.Kind, HTTPRouteKind.Kind, GRPCRouteKind.Kind, "ReferenceGrant": // the last shows in what it permits
		case "BackendTLSPolicy":
			add(id, func() check.Finding { return judgePolicy(s, object) })
		default:
			add(id, func() check.Finding {
				return check.Finding{Verdict: check.Unknown, Found: "not proven: requests are sent for HTTPRoutes and GRPCRoutes alone"}
			})
		}
	}
	return all
}

func classID(name string) check.ID { return check.ID{Kind: ClassKind.Kind, Name: name} }

func absent() check.Finding { return broken("it is not there") }

func broken(format string, args ...any) check.Finding {
	return check.Finding{Verdict: check.Broken, Found: fmt.Sprintf(format, args...)}
}

func holds(format string, args ...any) check.Finding {
	return check.Finding{Verdict: check.Holds, Found: fmt.Sprintf(format, args...)}
}

func (p *Proof) judgeClass(s *Snapshot, name string) check.Finding {
	for i := range s.Classes {
		if s.Classes[i].Name != name {
			continue
		}
		if controller := string(s.Classes[i].Spec.ControllerName); controller != p.Controller && p.Controller != "" {
			return broken("it belongs to the controller %s, not to %s's %s", controller, p.Name, p.Controller)
		}
		return gateway.Class(&s.Classes[i])
	}
	if !s.has(ClassKind.Kind, "") {
		return unread(ClassKind.Kind, "")
	}
	return absent()
}

// judgeGateway judges a Gateway and those of its listeners that are named; what others have added to it is theirs. On a cluster that is somebody's,
// no request of ours needs its address.
func judgeGateway(p *Proof, s *Snapshot, id check.ID, listeners []gatewayv1.SectionName) check.Finding {
	for i := range s.Gateways {
		if gw := &s.Gateways[i]; gw.Namespace == id.Namespace && gw.Name == id.Name {
			finding := gateway.Programmed(gw, listeners)
			if p.Careful && finding.Cause == gateway.NoAddress {
				finding.Verdict = check.Warns
			}
			if problems := s.secretProblems(gw, listeners); problems != "" {
				finding.Found += problems
				if finding.Verdict == check.Holds {
					finding.Verdict = check.Warns
				}
			}
			return finding
		}
	}
	if !s.has(GatewayKind.Kind, id.Namespace) {
		return unread(GatewayKind.Kind, id.Namespace)
	}
	return absent()
}

func judgeRoute(s *Snapshot, id check.ID) check.Finding {
	route := s.route(id)
	if route == nil {
		return absent()
	}
	finding := gateway.Attached(route, s.withUnread(route))
	if finding.Cause == check.Cause(gatewayv1.RouteReasonNotAllowedByListeners) {
		finding.Found += s.notAdmitted(route)
	}
	return finding
}

// Planned are the requests of the manifests alone, before there is a cluster.
func (p *Proof) Planned() []gateway.Request {
	return gateway.Compile(p.Routes, p.Gateways, p.Order).Requests(p.reach)
}

// reach returns the port of a URL that leads to a listener's. Port 0, of a listener that is not there, is taken for that of the first door.
func (p *Proof) reach(listener int32) (int, bool) {
	if listener == 0 && len(p.Doors) > 0 {
		listener = p.Doors[0].EntryPoint
	}
	return p.Place.Port(listener)
}

// A port is one of URLs, and the listeners' that it leads to. usual is the node's port in between, 0 where there is none.
type port struct {
	scheme   string
	listener int32
	here     int
	usual    int32
}

// ports are those of URLs that lead to the implementation's doors, and to the listeners of some Gateways.
func (p *Proof) ports(gateways []gatewayv1.Gateway) []port {
	var all []port
	add := func(scheme string, listener, usual int32) {
		here, ok := p.reach(listener)
		if ok && !slices.ContainsFunc(all, func(other port) bool { return other.listener == listener }) {
			all = append(all, port{scheme, listener, here, usual})
		}
	}
	for _, door := range p.Doors {
		add(door.Scheme, door.EntryPoint, door.OnNode)
	}
	for _, gw := range gateways {
		for _, listener := range gw.Spec.Listeners {
			if scheme, ok := gateway.Scheme(listener.Protocol); ok {
				add(scheme, int32(listener.Port), 0)
			}
		}
	}
	return all
}

// served are the manifests' routes, and those of others which the Gateways serve besides, and which may take requests.
func (p *Proof) served(s *Snapshot) []gateway.Route {
	ours, routes := p.ours(), slices.Clone(p.Routes)
	for _, live := range s.routes() {
		if ours[live.ID] || gateway.Attached(&live, s.withUnread(&live)).Fails() {
			continue
		}
		if p.Apart {
			here := false
			if live, here = live.Within(p.Gateways); !here {
				continue
			}
		}
		routes = append(routes, live)
	}
	return routes
}

func (m *Manifests) ours() map[check.ID]bool {
	ours := map[check.ID]bool{}
	for i := range m.Routes {
		ours[m.Routes[i].ID] = true
	}
	return ours
}

// known are the manifests' Gateways, and those that the cluster has besides.
func (p *Proof) known(s *Snapshot) []gatewayv1.Gateway {
	if p.Apart {
		return p.Gateways
	}
	return append(slices.Clone(p.Gateways), s.Gateways...)
}

// table returns the route table of what the Gateways serve, compiled once for each snapshot.
func (p *Proof) table(s *Snapshot) *gateway.Table {
	v := s.view(p)
	v.compile.Do(func() { v.table = gateway.Compile(p.served(s), p.known(s), p.Order) })
	return v.table
}

// mostOverlaps bounds the requests that two matches hold for.
const mostOverlaps = 200

// Requests are the promises that real requests prove: one for each host and match of each route of the manifests, those that two matches
// hold for, and for each port the control. Routes of others are not proven.
func (p *Proof) Requests(s *Snapshot) []Promise {
	ours, routes, gateways := p.ours(), p.served(s), p.known(s)
	var all []Promise
	var ports []gateway.Request // one for each port that is asked
	table := p.table(s)
	requests := table.Requests(p.reach)
	overlaps, skipped := table.Overlaps(requests, mostOverlaps, p.reach)
	for _, request := range append(requests, overlaps...) {
		if !ours[request.Route] {
			continue
		}
		request = p.permitted(request)
		all = append(all, p.promise(request, func(ctx context.Context) check.Finding {
			finding := trial{p, request, s}.prove(ctx)
			if other := request.Elsewhere; other != nil && !ours[other.Route] && finding.Verdict == check.Holds {
				finding.Verdict = check.Warns
				finding.Found += fmt.Sprintf("; requests for the match's own path go to %s, which is not in the manifests", other)
			}
			return finding
		}))
		if request.Unproven == "" && !slices.ContainsFunc(ports, func(other gateway.Request) bool { return other.Port == request.Port }) {
			ports = append(ports, request)
		}
	}
	if skipped > 0 {
		all = append(all, Promise{Check: check.Check{ID: check.ID{Kind: "Overlaps"}, Title: "overlapping matches", Judge: given(check.Finding{Verdict: check.Unknown,
			Found: fmt.Sprintf("%d requests that two matches hold for are sent; %d pairs of matches that meet are left out", len(overlaps), skipped)})}})
	}
	if p.Careful { // the address is the Gateways' own by their status: nobody else answers there
		return all
	}
	for _, on := range ports {
		request := p.itself(on, routes, gateways)
		control := p.promise(request, func(ctx context.Context) check.Finding { return trial{p, request, s}.proveItself(ctx) })
		control.Control = true
		all = append(all, control)
	}
	return all
}

// itself returns a request to the port of another that only the implementation itself can answer: one that no route takes, or where some
// route takes every host, one that it answers before it looks at routes.
func (p *Proof) itself(on gateway.Request, routes []gateway.Route, gateways []gatewayv1.Gateway) gateway.Request {
	host, free := gateway.Unrouted(routes, gateways)
	request := gateway.Request{Scheme: on.Scheme, Method: "GET", Host: host, Path: "/", Listener: on.Listener, Port: on.Port}
	if !free {
		request.Host, request.Header = "localhost", p.Ping
	}
	return request
}

// permitted returns a request that may be sent to the cluster, or one that says why none may.
func (p *Proof) permitted(request gateway.Request) gateway.Request {
	if p.Silent != "" && request.Unproven == "" {
		request.Unproven = p.Silent
	}
	if p.Careful && request.Unproven == "" && request.Method != http.MethodGet && request.Method != http.MethodHead {
		request.Unproven = "only GET and HEAD are sent to a cluster that kindgate did not make"
	}
	return request
}

func (p *Proof) promise(request gateway.Request, judge func(context.Context) check.Finding) Promise {
	id, title := check.ID{Kind: "URL", Name: request.String()}, request.String()
	if request.Route != (check.ID{}) { // two matches may have the same request
		id.Part = fmt.Sprintf("%s, rule %d, match %d", request.Route, request.Rule+1, request.Match+1)
	}
	if p.Via != "" {
		id.Part, title = id.Part+", through "+p.Via, title+" through "+p.Via
	}
	return Promise{Request: &request, by: p, Check: check.Check{ID: id, Title: title,
		Look: p.Place.Kubectl(p.Logs()), Judge: judge}}
}
