package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/spelling"
)

// protocols are those of the listeners that a kind of route is for. See https://gateway-api.sigs.k8s.io/reference/spec/#protocoltype; an
// implementation may have further protocols of its own.
var protocols = map[string][]gatewayv1.ProtocolType{
	"HTTPRoute": {gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType},
	"GRPCRoute": {gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType},
	"TLSRoute":  {gatewayv1.TLSProtocolType},
	"TCPRoute":  {gatewayv1.TCPProtocolType, gatewayv1.TLSProtocolType},
	"UDPRoute":  {gatewayv1.UDPProtocolType},
}

// A route is one of whatever kind, and what became of its parents.
type route struct {
	folder *folder
	object kube.Object
	routeSpec
	listeners []*listener // that take it
	problems  []Problem   // with its parents
}

// A routeSpec is what the kinds of routes have in common.
type routeSpec struct {
	gatewayv1.CommonRouteSpec `json:",inline"`
	Hostnames                 []gatewayv1.Hostname `json:"hostnames"`
	Rules                     []routeRule          `json:"rules"`
}

type routeRule struct {
	BackendRefs []struct {
		gatewayv1.BackendRef `json:",inline"`
		Filters              []routeFilter `json:"filters"`
	} `json:"backendRefs"`
	Filters []routeFilter `json:"filters"`
}

type routeFilter struct {
	RequestMirror *gatewayv1.HTTPRequestMirrorFilter `json:"requestMirror"`
}

// attachRoutes finds out which listeners take each route, before anything is judged that depends on it.
func (f *folder) attachRoutes() {
	for _, o := range f.objects {
		if o.GroupVersionKind().Group != gatewayv1.GroupName || protocols[o.GetKind()] == nil {
			continue
		}
		type manifest struct {
			Spec routeSpec `json:"spec"`
		}
		if m, ok := read[manifest](o); ok {
			r := &route{folder: f, object: o, routeSpec: m.Spec}
			r.attach()
			f.routes[keyOf(o)] = r
		}
	}
}

// attach finds the listeners that take a route, and what is wrong with its parents.
func (r *route) attach() {
	if len(r.ParentRefs) == 0 {
		r.problems = append(r.problems, wrong(r.object, "spec.parentRefs", "write parentRefs: [{name: GATEWAY, namespace: NAMESPACE}]",
			"it has no parentRefs, so no Gateway serves it"))
	}
	unknown := false
	for i, ref := range r.ParentRefs {
		all, known := r.parent(i, ref)
		for _, l := range all {
			l.hosts = append(l.hosts, r.hostsOn(l)...)
		}
		r.listeners = append(r.listeners, all...)
		unknown = unknown || !known
	}
	if unknown || len(r.problems) > 0 {
		return
	}
	for i, host := range r.Hostnames {
		if !slices.ContainsFunc(r.listeners, func(l *listener) bool { return gateway.Meet(l.hostname(), string(host)) }) {
			r.problems = append(r.problems, warning(r.object, fmt.Sprintf("spec.hostnames[%d]", i), "write a hostname that a listener is for, or take it out",
				"no listener of its parents is for %s: %s", host, listeners(r.listeners, saysHost)))
		}
	}
}

// hostsOn returns the names under which a listener serves the route, as far as they are names and not wildcards' parts: its own, or the
// listener's.
func (r *route) hostsOn(l *listener) []string {
	if len(r.Hostnames) == 0 {
		return nil
	}
	var hosts []string
	for _, name := range r.Hostnames {
		switch host, listens := string(name), l.hostname(); {
		case !gateway.Meet(listens, host):
		case strings.HasPrefix(host, "*") && listens != "" && len(listens) >= len(host):
			hosts = append(hosts, listens) // the narrower of the two
		default:
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// parent returns the listeners of a parent that take the route; it adds what is wrong to the route's problems. known is false where not all
// is known that decides.
func (r *route) parent(i int, ref gatewayv1.ParentReference) (all []*listener, known bool) {
	field := fmt.Sprintf("spec.parentRefs[%d]", i)
	to := key{gatewayv1.GroupName, "Gateway", keyOf(r.object).namespace, string(ref.Name)}
	if ref.Group != nil {
		to.group = string(*ref.Group)
	}
	if ref.Kind != nil {
		to.kind = string(*ref.Kind)
	}
	if ref.Namespace != nil {
		to.namespace = string(*ref.Namespace)
	}
	switch {
	case to.kind == "Service" && to.group == "":
		r.problems = append(r.problems, warning(r.object, field, "name a Gateway, or take this parent out",
			"its parent %s is no Gateway: %s serves no mesh, and does nothing for it", to, r.folder.by.Name))
		return nil, false
	case to.kind != "Gateway" || to.group != gatewayv1.GroupName:
		return nil, false
	}
	if _, ok := r.folder.has(to); !ok {
		r.problems = append(r.problems, r.noGateway(field, to)...)
		return nil, false
	}
	all = r.folder.gateways[to]
	if len(all) == 0 {
		return nil, false
	}
	for _, s := range r.steps(keyOf(r.object), ref) {
		left := slices.DeleteFunc(slices.Clone(all), func(l *listener) bool { return !s.takes(l) })
		if len(left) == 0 {
			found, remedy := s.refusal(to, all)
			r.problems = append(r.problems, wrong(r.object, field+s.field, remedy, "%s", found))
			return nil, true
		}
		all = left
	}
	return all, true
}

func (r *route) noGateway(field string, to key) []Problem {
	found, remedy, say := fmt.Sprintf("there is no %s %s", to, r.folder.where), "", wrong
	meant, ok := r.folder.meant(to)
	switch all := r.folder.byKind["Gateway"]; {
	case ok:
		found, remedy = found+fmt.Sprintf(", but there is %s", meant), to.write(meant)
	case len(all) > 0:
		remedy = fmt.Sprintf("name one that there is: %s", all[0])
	default:
		remedy = "write the Gateway into the manifests"
	}
	if !r.folder.rendered { // the chart may have it
		if say = warning; !ok {
			return nil
		}
	}
	return []Problem{say(r.object, field+".name", remedy, "%s", found)}
}

// A step is one of the conditions under which a listener takes a route. See
// https://gateway-api.sigs.k8s.io/reference/spec/#parentreference and #allowedroutes.
type step struct {
	field string // of the parentRef
	takes func(*listener) bool
	// refusal says why none of some listeners takes the route, and what to write.
	refusal func(gw key, all []*listener) (found, remedy string)
}

func (r *route) steps(self key, ref gatewayv1.ParentReference) []step {
	return []step{
		{".sectionName", func(l *listener) bool {
			return ref.SectionName == nil || *ref.SectionName == "" || *ref.SectionName == l.Name
		},
			func(gw key, all []*listener) (string, string) {
				return fmt.Sprintf("%s has no listener %s: it has %s", gw, *ref.SectionName, listeners(all, saysNothing)),
					"write sectionName: " + nearest(string(*ref.SectionName), all)
			}},
		{".port", func(l *listener) bool { return ref.Port == nil || *ref.Port == l.Port },
			func(gw key, all []*listener) (string, string) {
				return fmt.Sprintf("%s has no such listener at port %d: it has %s", gw, *ref.Port, listeners(all, saysPort)), fmt.Sprintf("write port: %d", all[0].Port)
			}},
		{"", func(l *listener) bool { return takesKind(l, self.kind) },
			func(gw key, all []*listener) (string, string) {
				return fmt.Sprintf("no listener of %s takes a %s: %s", gw, self.kind, listeners(all, saysKinds)),
					fmt.Sprintf("name a listener for it, of the protocol %s and, where it has allowedRoutes.kinds, with {kind: %s}", protocols[self.kind][0], self.kind)
			}},
		{"", func(l *listener) bool { return l.admits(self.namespace) == "" },
			func(gw key, all []*listener) (string, string) {
				return fmt.Sprintf("no listener of %s takes routes from namespace %s: %s", gw, self.namespace,
						listeners(all, func(l *listener) string { return l.admits(self.namespace) })),
					fmt.Sprintf("write allowedRoutes: {namespaces: {from: All}} for listener %s of %s, or give the namespace what its selector asks for", all[0].Name, gw)
			}},
		{"", func(l *listener) bool {
			return len(r.Hostnames) == 0 || slices.ContainsFunc(r.Hostnames, func(h gatewayv1.Hostname) bool { return gateway.Meet(l.hostname(), string(h)) })
		},
			func(gw key, all []*listener) (string, string) {
				return fmt.Sprintf("none of its hostnames (%s) is one that %s has a listener for: %s", joined(r.Hostnames), gw, listeners(all, saysHost)),
					"write a hostname of the listener, or change the listener's"
			}},
	}
}

func saysNothing(*listener) string { return "" }

func saysPort(l *listener) string { return fmt.Sprintf("(%d)", l.Port) }

func saysHost(l *listener) string { return "(" + cmp.Or(l.hostname(), "every host") + ")" }

func saysKinds(l *listener) string {
	if l.AllowedRoutes == nil || len(l.AllowedRoutes.Kinds) == 0 {
		return fmt.Sprintf("(protocol %s)", l.Protocol)
	}
	var kinds []string
	for _, k := range l.AllowedRoutes.Kinds {
		kinds = append(kinds, string(k.Kind))
	}
	return fmt.Sprintf("(protocol %s, allowedRoutes.kinds %s)", l.Protocol, strings.Join(kinds, ", "))
}

// nearest returns the name of the listener that is probably meant by one that there is not.
func nearest(name string, all []*listener) string {
	at := slices.IndexFunc(all, func(l *listener) bool { return spelling.Near(string(l.Name), name) })
	return string(all[max(at, 0)].Name)
}

// standard tells whether a protocol is one of the specification's.
func standard(protocol gatewayv1.ProtocolType) bool {
	return slices.Contains(slices.Concat(protocols["HTTPRoute"], protocols["TCPRoute"], protocols["UDPRoute"]), protocol)
}

func takesKind(l *listener, kind string) bool {
	if standard(l.Protocol) && !slices.Contains(protocols[kind], l.Protocol) {
		return false
	}
	return l.AllowedRoutes == nil || len(l.AllowedRoutes.Kinds) == 0 || slices.ContainsFunc(l.AllowedRoutes.Kinds, func(k gatewayv1.RouteGroupKind) bool {
		return string(k.Kind) == kind && (k.Group == nil || *k.Group == gatewayv1.GroupName)
	})
}

// admits says why a listener takes no routes from a namespace; it is empty where it does, or where too little is known of the namespace.
func (l *listener) admits(namespace string) string {
	from, own := gatewayv1.NamespacesFromSame, keyOf(l.gateway).namespace
	var wanted *metav1.LabelSelector
	if l.AllowedRoutes != nil && l.AllowedRoutes.Namespaces != nil {
		wanted = l.AllowedRoutes.Namespaces.Selector
		if l.AllowedRoutes.Namespaces.From != nil {
			from = *l.AllowedRoutes.Namespaces.From
		}
	}
	switch from {
	case gatewayv1.NamespacesFromSame:
		if namespace != own {
			return fmt.Sprintf("(only from its own namespace %s)", own)
		}
	case gatewayv1.NamespacesFromSelector:
		if wanted == nil {
			return "(from: Selector, and no selector)"
		}
		selector, err := metav1.LabelSelectorAsSelector(wanted)
		if err == nil && !l.folder.selects(selector, namespace) {
			return fmt.Sprintf("(only from namespaces with the labels %s, and it has %s)", selector, labels.FormatLabels(l.folder.labelsOf(namespace)))
		}
	}
	return ""
}

// selects tells whether a selector may select a namespace. Of one that is not in the folder, only one label is known.
func (f *folder) selects(selector labels.Selector, namespace string) bool {
	_, known := f.has(key{"", "Namespace", "", namespace})
	requirements, _ := selector.Requirements()
	return !slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
		return (known || r.Key() == corev1.LabelMetadataName) && !r.Matches(f.labelsOf(namespace))
	})
}

// labelsOf returns what is known of a namespace's labels: those that it has in the folder, and the one that the API server gives it. See
// https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name.
func (f *folder) labelsOf(namespace string) labels.Set {
	have := labels.Set{corev1.LabelMetadataName: namespace}
	if o, ok := f.has(key{"", "Namespace", "", namespace}); ok {
		have = labels.Merge(o.GetLabels(), have)
	}
	return have
}

func joined[T any](items []T) string {
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprint(item))
	}
	return strings.Join(all, ", ")
}
