package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/kube"
)

// A listener is one of a Gateway's.
type listener struct {
	gatewayv1.Listener
	folder  *folder
	gateway kube.Object
	field   string
	hosts   []string // those of the routes on it
}

func listenersOf(f *folder, o kube.Object) []*listener {
	gw, ok := read[gatewayv1.Gateway](o)
	if !ok {
		return nil
	}
	var all []*listener
	for i, l := range gw.Spec.Listeners {
		all = append(all, &listener{Listener: l, folder: f, gateway: o, field: fmt.Sprintf("spec.listeners[%d]", i)})
	}
	return all
}

// hostname is the listener's, empty for every host.
func (l *listener) hostname() string {
	if l.Hostname == nil {
		return ""
	}
	return string(*l.Hostname)
}

// listeners names some, each with what is said of it.
func listeners(all []*listener, say func(*listener) string) string {
	var names []string
	for _, l := range all {
		names = append(names, strings.TrimSpace(string(l.Name)+" "+say(l)))
	}
	return strings.Join(names, ", ")
}

// gateway judges a Gateway: its class, its listeners' ports and certificates.
func (f *folder) gateway(o kube.Object) []Problem {
	var problems []Problem
	class := classOf(o)
	_, known := f.has(class)
	ours := f.ours(o)
	switch {
	case known && !ours:
		problems = append(problems, warning(o, "spec.gatewayClassName", f.classes(), "%s does not serve it: %s is of another controller", f.by.Name, class))
	case !known && f.rendered && class.name != "":
		problems = append(problems, wrong(o, "spec.gatewayClassName", f.classes(), "there is no %s %s or the chart of %s", class, f.where, f.by.Name))
		ours = true // with whatever class it gets
	}
	for _, l := range f.gateways[keyOf(o)] {
		if ours {
			problems = append(problems, l.misplaced()...)
			problems = append(problems, l.untaken()...)
		}
		// See https://gateway-api.sigs.k8s.io/reference/spec/#listener on tls: the field is required; that a tls has certificates is in the schema.
		if l.Protocol == gatewayv1.HTTPSProtocolType && l.TLS == nil {
			problems = append(problems, wrong(o, l.field, "write tls: {certificateRefs: [{name: SECRET}]}, with a Secret of type kubernetes.io/tls",
				"listener %s has the protocol HTTPS and no certificate", l.Name))
		}
		problems = append(problems, l.certificateRefs()...)
	}
	return problems
}

func classOf(o kube.Object) key {
	name, _, _ := unstructured.NestedString(o.Object, "spec", "gatewayClassName")
	return key{gatewayv1.GroupName, "GatewayClass", "", name}
}

// ours tells whether a Gateway is of one of the implementation's classes: of any, where it is not known which implementation it is.
func (f *folder) ours(o kube.Object) bool {
	class, ok := f.has(classOf(o))
	return ok && f.controls(class)
}

func (f *folder) controls(class kube.Object) bool {
	controller, _, _ := unstructured.NestedString(class.Object, "spec", "controllerName")
	return controller == f.by.Controller || f.by.Controller == ""
}

// classes says what to write for the class of a Gateway.
func (f *folder) classes() string {
	for _, k := range f.byKind["GatewayClass"] {
		if f.controls(f.byKey[k]) {
			return "write gatewayClassName: " + k.name
		}
	}
	return "name a GatewayClass with controllerName: " + f.by.Controller
}

// misplaced judges a listener's port: the implementation listens at its entry points, and nowhere else.
func (l *listener) misplaced() []Problem {
	port := int64(l.Port)
	if len(l.folder.ports) == 0 || slices.ContainsFunc(l.folder.ports, func(e entryPoint) bool { return e.port == port }) {
		return nil
	}
	var names []string
	for _, e := range l.folder.ports {
		names = append(names, strings.TrimSpace(fmt.Sprintf("%d %s", e.port, e.name)))
	}
	remedy := "write the port of one of them, or add an entry point to the chart's values"
	for _, door := range l.folder.by.Doors {
		if door.OnNode == l.Port {
			remedy = fmt.Sprintf("write port: %d, which clients reach at port %d", door.EntryPoint, door.OnNode)
		}
	}
	return []Problem{wrong(l.gateway, l.field+".port", remedy, "listener %s: %s has no entry point at port %d; its entry points are %s",
		l.Name, l.folder.by.Name, l.Port, strings.Join(names, ", "))}
}

// untaken judges a listener's protocol: the implementation need not take it, or only with an argument that the chart's values set. Of
// one that is not known, nothing is.
func (l *listener) untaken() []Problem {
	f := l.folder
	needs, takes := f.by.Protocols[l.Protocol]
	switch {
	case !f.rendered || f.by.Unfamiliar || !standard(l.Protocol) || takes && (needs == "" || len(f.provided) == 0 || runWith(f.provided, needs)):
		return nil
	case !takes:
		return []Problem{wrong(l.gateway, l.field+".protocol", "take the listener out", "listener %s: %s takes no listeners of the protocol %s", l.Name, f.by.Name, l.Protocol)}
	}
	return []Problem{wrong(l.gateway, l.field+".protocol", "take the listener out, or set that in the chart's values",
		"listener %s: %s takes listeners of the protocol %s only with %s", l.Name, f.by.Name, l.Protocol, needs)}
}

// An entryPoint is a port at which the implementation listens, and what is known of it.
type entryPoint struct {
	port int64
	name string
}

// entryPoints returns the ports of the workloads that a chart renders, by what they declare and by the addresses among their arguments.
func entryPoints(provided []kube.Object) []entryPoint {
	var all []entryPoint
	for _, o := range provided {
		pod, ok := podOf(o)
		if !ok {
			continue
		}
		for _, c := range pod.containers {
			for _, p := range listOf(c, "ports") {
				port, _ := p["containerPort"].(int64)
				name, _ := p["name"].(string)
				all = append(all, entryPoint{port, "(" + name + ")"})
			}
			args, _, _ := unstructured.NestedStringSlice(c, "args")
			for _, arg := range args {
				if at := address.FindStringSubmatch(arg); at != nil {
					port, _ := strconv.ParseInt(at[1], 10, 64)
					all = append(all, entryPoint{port: port})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entryPoint) int { return cmp.Compare(a.port, b.port) })
	return slices.CompactFunc(all, func(a, b entryPoint) bool { return a.port == b.port })
}

// address matches an argument with the address of an entry point: --entryPoints.web.address=:8000/tcp.
var address = regexp.MustCompile(`(?i)\.address=[^=]*:(\d+)(?:/\w+)?$`)
