package proof

import (
	"fmt"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/gateway"
)

// Unasked are a promise for each class, Gateway, route and match of the manifests, of which nothing was found out.
func (p *Proof) Unasked() []Promise {
	all := p.Conditions(newSnapshot())
	for _, request := range p.Planned() {
		all = append(all, p.promise(request, nil))
	}
	return all
}

// Draw adds to a drawing each Gateway with its listeners, the routes that these take, the requests that prove the routes' matches, and the
// Services that answer them. s is the cluster's state, nil where there is none. found is what was found of promises, the zero Finding where nothing was.
// It returns those of the promises that are in no graph: of classes, policies and controls.
func (p *Proof) Draw(d *drawing.Drawing, s *Snapshot, promises []Promise, found func(Promise) check.Finding) (others []Promise) {
	gateways, nodes := map[check.ID]*gatewayv1.Gateway{}, map[check.ID]int{}
	for i := range p.Gateways {
		gateways[idOf(&p.Gateways[i])] = &p.Gateways[i]
	}
	for _, promise := range promises {
		switch id := promise.ID; {
		case promise.Request != nil && promise.Request.Route != (check.ID{}):
		case promise.Request == nil && id.Part == "" && (id.Kind == HTTPRouteKind.Kind || id.Kind == GRPCRouteKind.Kind || gateways[id] != nil):
			nodes[id] = d.Node(drawing.Node{What: id.Kind, Name: id.Path(), Finding: found(promise)})
			if gw := gateways[id]; gw != nil {
				for i := range gw.Spec.Listeners {
					d.Edge(nodes[id], d.Node(listenerNode(id, gw, i, s)), "")
				}
			}
		default:
			others = append(others, promise)
		}
	}
	for _, promise := range promises {
		if promise.Request == nil || promise.Request.Route == (check.ID{}) {
			continue
		}
		request := promise.Request
		route := d.Node(drawing.Node{What: request.Route.Kind, Name: request.Route.Path()})
		for _, entry := range request.Through {
			gw := gateways[entry.Gateway]
			if gw == nil {
				continue
			}
			for i := range gw.Spec.Listeners {
				for _, name := range entry.Listeners {
					if gw.Spec.Listeners[i].Name == name {
						d.Edge(d.Node(listenerNode(entry.Gateway, gw, i, s)), route, "")
					}
				}
			}
		}
		at := d.Node(drawing.Node{What: "URL", Name: promise.String(), Key: promise.ID.Part, Finding: found(promise)})
		d.Edge(route, at, "")
		for _, b := range backing(*request, s) {
			share := ""
			if len(request.Backends) > 1 {
				share = fmt.Sprintf("%d of %d", b.Weight, b.Sum)
			}
			d.Edge(at, d.Node(serviceNode(b, s)), share)
		}
	}
	return others
}

// listenerNode is a listener of a Gateway, by its index, with what the cluster says of it.
func listenerNode(id check.ID, gw *gatewayv1.Gateway, i int, s *Snapshot) drawing.Node {
	l := gw.Spec.Listeners[i]
	n := drawing.Node{What: "listener", Name: fmt.Sprintf("%s, %s, port %d", l.Name, l.Protocol, l.Port), Key: id.String()}
	if s != nil {
		for j := range s.Gateways {
			if live := &s.Gateways[j]; idOf(live) == id {
				n.Finding = gateway.Listener(live, l.Name)
				n.Found = strings.TrimPrefix(n.Found, fmt.Sprintf("listener %s: ", l.Name))
			}
		}
	}
	return n
}

// serviceNode is a Service, with its ready endpoints where there is a cluster.
func serviceNode(b Backing, s *Snapshot) drawing.Node {
	n := drawing.Node{What: drawing.Service, Name: b.ID().Path()}
	switch {
	case s == nil:
	case s.behind(b.Backend).unread:
		n.Finding = unread(sliceKind.Kind, b.Namespace)
	case b.Ready == 0:
		n.Finding = broken("no ready endpoint")
	case b.Ready == 1:
		n.Finding = holds("1 ready endpoint")
	default:
		n.Finding = holds("%d ready endpoints", b.Ready)
	}
	return n
}
