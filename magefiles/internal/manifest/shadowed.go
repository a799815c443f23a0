package manifest

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
)

// compile finds the matches that get no request, and the annotations that prove nothing, of the routes on the implementation's Gateways: each only
// on the listeners that take it.
func (f *folder) compile() {
	var routes []gateway.Route
	var gateways []gatewayv1.Gateway
	for _, o := range f.objects {
		r, ok, err := gateway.ReadRoute(o.Unstructured)
		if !ok || err != nil || f.routes[keyOf(o)] == nil {
			continue
		}
		r.ID.Namespace, r.Spec.ParentRefs = keyOf(o).namespace, f.routes[keyOf(o)].sections()
		routes = append(routes, r)
	}
	for _, o := range of(f.objects, gatewayv1.GroupName, "Gateway") {
		if gw, ok := read[gatewayv1.Gateway](o); ok {
			gw.Namespace = keyOf(o).namespace
			gateways = append(gateways, *gw)
		}
	}
	table := gateway.Compile(routes, gateways, f.by.Order)
	for _, s := range table.Shadows() {
		f.shadows[s.Match.Route] = append(f.shadows[s.Match.Route], s)
	}
	for _, s := range table.Strays() {
		f.strays[s.Route] = append(f.strays[s.Route], s)
	}
}

// sections returns a parentRef for each listener of the implementation's Gateways that takes a route.
func (r *route) sections() []gatewayv1.ParentReference {
	var refs []gatewayv1.ParentReference
	for _, l := range r.listeners {
		if r.folder.ours(l.gateway) {
			namespace := gatewayv1.Namespace(keyOf(l.gateway).namespace)
			refs = append(refs, gatewayv1.ParentReference{Namespace: &namespace, Name: gatewayv1.ObjectName(l.gateway.GetName()), SectionName: &l.Name})
		}
	}
	return refs
}

func (r *route) id() check.ID {
	return check.ID{Kind: r.object.GetKind(), Namespace: keyOf(r.object).namespace, Name: r.object.GetName()}
}

// provesNothing judges the annotation that says by which requests the route is proven.
func (r *route) provesNothing() []Problem {
	var problems []Problem
	for _, s := range r.folder.strays[r.id()] {
		problems = append(problems, wrong(r.object, "metadata.annotations["+gateway.ProbeAnnotation+"]",
			"write a line for each request that a match of the route takes, as POST /orders 201, and below it its headers, as X-Tenant: a", "%s", s.Why))
	}
	return problems
}

// neverTaken warns of a route's matches that get no request.
func (r *route) neverTaken() []Problem {
	var problems []Problem
	for _, s := range r.folder.shadows[r.id()] {
		where := ""
		if s.On != "" {
			where = " for " + s.On
		}
		found, remedy := "this match gets no request"+where, "take it out, or make it more specific than the other"
		if s.Tied {
			found, remedy = "this match may get no request"+where, "take one of the two out, or make it more specific than the other"
		}
		taker := r.folder.byKey[key{gatewayv1.GroupName, s.Taker.Route.Kind, s.Taker.Route.Namespace, s.Taker.Route.Name}]
		place := ""
		if at := taker.At(matchField(s.Taker)); at != "" {
			place = " (" + at + ")"
		}
		problems = append(problems, warning(r.object, matchField(s.Match), remedy, "%s: %s%s", found, s.Why, place))
	}
	return problems
}

// takingAll warns of a route that takes all requests of a match which the cluster has.
func (r *route) takingAll() []Problem {
	var problems []Problem
	for of, shadows := range r.folder.shadows {
		for _, s := range shadows {
			if s.Taker.Route != r.id() || !r.folder.live[key{gatewayv1.GroupName, of.Kind, of.Namespace, of.Name}] {
				continue
			}
			takes := "takes all requests"
			if s.Tied {
				takes = "may take the requests"
			}
			problems = append(problems, warning(r.object, matchField(s.Taker), "make it more specific, or see that this is meant",
				"it %s of %s, which is in the cluster: %s", takes, s.Match, s.Why))
		}
	}
	return sorted(problems)
}

func matchField(m *gateway.Match) string {
	return fmt.Sprintf("spec.rules[%d].matches[%d]", m.Rule, m.Index)
}
