package gateway

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

const grpcRoute = "GRPCRoute"

// anyName is the regular expression of a service or a method that a match leaves open.
const anyName = "[^/]+"

// FromGRPC makes a Route of a GRPCRoute: a call is a POST of the path /service/method. See
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. Its matches ask for no method of HTTP: Traefik does not look at it.
func FromGRPC(r *gatewayv1.GRPCRoute) Route {
	spec := gatewayv1.HTTPRouteSpec{CommonRouteSpec: r.Spec.CommonRouteSpec, Hostnames: r.Spec.Hostnames}
	for _, rule := range r.Spec.Rules {
		spec.Rules = append(spec.Rules, ruleOfCalls(rule))
	}
	return Route{check.ID{Kind: grpcRoute, Namespace: r.Namespace, Name: r.Name}, r.Generation, spec, r.Status.RouteStatus,
		r.Annotations[ProbeAnnotation], r}
}

func ruleOfCalls(rule gatewayv1.GRPCRouteRule) gatewayv1.HTTPRouteRule {
	all := gatewayv1.HTTPRouteRule{Name: rule.Name, Filters: filtersOfCalls(rule.Filters), SessionPersistence: rule.SessionPersistence}
	for _, match := range rule.Matches {
		path := pathOfCalls(match.Method)
		calls := gatewayv1.HTTPRouteMatch{Path: &path}
		for _, header := range match.Headers {
			calls.Headers = append(calls.Headers, gatewayv1.HTTPHeaderMatch{Name: gatewayv1.HTTPHeaderName(header.Name), Value: header.Value,
				Type: (*gatewayv1.HeaderMatchType)(header.Type)})
		}
		all.Matches = append(all.Matches, calls)
	}
	for _, ref := range rule.BackendRefs {
		all.BackendRefs = append(all.BackendRefs, gatewayv1.HTTPBackendRef{BackendRef: ref.BackendRef, Filters: filtersOfCalls(ref.Filters)})
	}
	return all
}

// filtersOfCalls are those of a GRPCRoute, whose types have the names of an HTTPRoute's.
func filtersOfCalls(filters []gatewayv1.GRPCRouteFilter) []gatewayv1.HTTPRouteFilter {
	var all []gatewayv1.HTTPRouteFilter
	for _, f := range filters {
		all = append(all, gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier,
			ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef})
	}
	return all
}

// pathOfCalls is the path of the calls that a match of a service and a method asks for. See
// https://gateway-api.sigs.k8s.io/reference/spec/#grpcmethodmatch.
func pathOfCalls(m *gatewayv1.GRPCMethodMatch) gatewayv1.HTTPPathMatch {
	if m == nil {
		return gatewayv1.HTTPPathMatch{Type: ptr.To(gatewayv1.PathMatchPathPrefix), Value: ptr.To("/")}
	}
	service, method := ptr.Deref(m.Service, ""), ptr.Deref(m.Method, "")
	kind, path := gatewayv1.PathMatchExact, "/"+service+"/"+method
	switch {
	case ptr.Deref(m.Type, gatewayv1.GRPCMethodMatchExact) == gatewayv1.GRPCMethodMatchRegularExpression || service == "":
		kind, path = gatewayv1.PathMatchRegularExpression, "/"+cmp.Or(service, anyName)+"/"+cmp.Or(method, anyName)
	case method == "":
		kind, path = gatewayv1.PathMatchPathPrefix, "/"+service
	}
	return gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}
}

// called returns the service and the method that a match of a GRPCRoute asks for, empty where it leaves them open, and whether one of them is a
// regular expression.
func (m *Match) called() (service, method string, expression bool) {
	regular := *m.Path.Type == gatewayv1.PathMatchRegularExpression
	if method, ok := strings.CutPrefix(*m.Path.Value, "/"+anyName+"/"); ok && regular {
		return "", method, !isName(method)
	}
	service, method, _ = strings.Cut(strings.TrimPrefix(*m.Path.Value, "/"), "/")
	return service, method, regular
}

// isName tells whether a method's name is no regular expression.
func isName(method string) bool {
	return !strings.ContainsFunc(method, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// The services that kindgate calls where it may: calls that change nothing, and of which the second's answer says who gave it. See
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md and
// https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/echo-basic.
const (
	healthService, healthCall = "/grpc.health.v1.Health", "/grpc.health.v1.Health/Check"
	echoService, EchoCall     = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho", "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"
)

// Answerable tells whether a call of gRPC is one that any server may answer, as it changes nothing: another is only made such that the server
// refuses it.
func Answerable(path string) bool {
	return path == healthCall || slices.Contains([]string{EchoCall, echoService + "/EchoTwo", echoService + "/EchoThree"}, path)
}

// GRPC tells whether a request is a call of gRPC.
func (r Request) GRPC() bool { return r.Route.Kind == grpcRoute && r.Method == "POST" }

// Harmless tells whether a request can be sent without changing anything: of a call of gRPC, what is sent is refused where it would.
func (r Request) Harmless() bool { return Safe(r.Method) || r.GRPC() }

// calls are paths that a match of a GRPCRoute may take, the best to prove it by first.
func (m *Match) calls() []string {
	service, method, expression := m.called()
	const none = "kindgate.Probe"
	switch {
	case expression:
		return []string{*m.Path.Value}
	case service == "" && method == "":
		return []string{healthCall, EchoCall, "/" + none + "/Probe"}
	case service == "":
		return []string{"/" + none + "/" + method}
	case method == "" && "/"+service == healthService:
		return []string{healthCall, "/" + service + "/Probe"}
	case method == "" && "/"+service == echoService:
		return []string{EchoCall, "/" + service + "/Probe"}
	case method == "":
		return []string{"/" + service + "/Probe"}
	}
	return []string{*m.Path.Value}
}

// call returns a path that two matches of GRPCRoutes take if there is any; empty where an expression keeps it from being known.
func (m *Match) call(other *Match) string {
	service, method, expression := m.called()
	its, itsMethod, itsExpression := other.called()
	switch service, method = cmp.Or(service, its), cmp.Or(method, itsMethod); {
	case expression || itsExpression:
		return ""
	case service != "" && method != "":
		return "/" + service + "/" + method
	case service == its:
		return other.calls()[0]
	}
	return m.calls()[0]
}

// rankOfCalls is what gives a match of a GRPCRoute precedence among those on a host. See
// https://gateway-api.sigs.k8s.io/reference/spec/#grpcrouterule on matches.
func (m *Match) rankOfCalls() []int {
	service, method, expression := m.called()
	kind := 0
	if expression {
		kind = 2 // as of an HTTPRoute's path
	}
	return []int{kind, len(service), len(method), len(m.Headers), 0}
}
