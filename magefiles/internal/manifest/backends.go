package manifest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/kube"
)

// route judges a route of whatever kind: its parents, its backends, and its rules that never get a request.
func (f *folder) route(o kube.Object) []Problem {
	if r, ok := f.routes[keyOf(o)]; ok && r.object.Unstructured == o.Unstructured { // not another of the same name
		return r.judge()
	}
	return nil
}

func (r *route) judge() []Problem {
	problems := slices.Clone(r.problems)
	for i, rule := range r.Rules {
		field := fmt.Sprintf("spec.rules[%d]", i)
		problems = append(problems, r.mirrors(field, rule.Filters)...)
		for j, ref := range rule.BackendRefs {
			at := fmt.Sprintf("%s.backendRefs[%d]", field, j)
			problems = append(problems, r.backend(at, ref.BackendObjectReference)...)
			problems = append(problems, r.mirrors(at, ref.Filters)...)
		}
	}
	return slices.Concat(problems, r.neverTaken(), r.takingAll(), r.provesNothing())
}

func (r *route) mirrors(field string, filters []routeFilter) []Problem {
	var problems []Problem
	for i, filter := range filters {
		if filter.RequestMirror != nil {
			at := fmt.Sprintf("%s.filters[%d].requestMirror.backendRef", field, i)
			problems = append(problems, r.backend(at, filter.RequestMirror.BackendRef)...)
		}
	}
	return problems
}

// backend judges a reference to a Service. See https://gateway-api.sigs.k8s.io/reference/spec/#backendobjectreference; that it has a port is in
// the schema.
func (r *route) backend(field string, ref gatewayv1.BackendObjectReference) []Problem {
	if ref.Group != nil && *ref.Group != "" || ref.Kind != nil && *ref.Kind != "Service" {
		return nil
	}
	to := key{"", "Service", keyOf(r.object).namespace, string(ref.Name)}
	if ref.Namespace != nil {
		to.namespace = string(*ref.Namespace)
	}
	problems := r.folder.permitted(r.object, field, to)
	target, ok := r.folder.has(to)
	if !ok {
		return append(problems, r.folder.absent(r.object, field, to)...)
	}
	service, ok := read[corev1.Service](target)
	if !ok || ref.Port == nil || service.Spec.Type == corev1.ServiceTypeExternalName ||
		slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == int32(*ref.Port) }) {
		return problems
	}
	return append(problems, noPort(r.object, field+".port", to, service, int32(*ref.Port)))
}

func noPort(o kube.Object, field string, to key, service *corev1.Service, port int32) Problem {
	var ports []string
	remedy := "give the Service this port"
	for _, p := range service.Spec.Ports {
		ports = append(ports, strings.TrimSpace(fmt.Sprintf("%d %s", p.Port, p.Name)))
		if len(service.Spec.Ports) == 1 || p.TargetPort.IntVal == port {
			remedy = fmt.Sprintf("write port: %d", p.Port)
		}
	}
	if len(ports) == 0 {
		return wrong(o, field, remedy, "%s has no ports", to)
	}
	return wrong(o, field, remedy, "%s has no port %d: it has %s", to, port, strings.Join(ports, ", "))
}

// absent warns where an object that is not in the folder seems to be one that is; else nothing is known of it, unless all Services are.
func (f *folder) absent(o kube.Object, field string, to key) []Problem {
	say := warning
	if len(f.live) > 0 && to.kind == "Service" {
		say = wrong
	}
	switch meant, ok := f.meant(to); {
	case ok:
		return []Problem{say(o, field+".name", to.write(meant), "there is no %s %s, but there is %s", to, f.where, meant)}
	case len(f.live) > 0 && to.kind == "Service":
		return []Problem{say(o, field+".name", "write the Service into the manifests", "there is no %s %s", to, f.where)}
	}
	return nil
}
