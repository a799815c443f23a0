package implementation

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// Traefik is Traefik as manifests/traefik-values.yaml sets it up.
var Traefik = &Implementation{
	Name: "Traefik", Controller: "traefik.io/gateway-controller",
	Namespace: "traefik", Release: "traefik", Chart: "traefik", TriedChart: "39.0.7", Tried: "v3.6",
	Workload: check.ID{Kind: "DaemonSet", Namespace: "traefik", Name: "traefik"},
	Labels:   map[string]string{"app.kubernetes.io/name": "traefik"},
	Doors:    []Door{{"http", 8000, 80}, {"https", 8443, 443}},
	Refuses:  refuses,
	Own:      writtenByItself,
	// See https://doc.traefik.io/traefik/reference/routing-configuration/http/tls/tls-certificates/#default-certificate.
	IsDefault: func(c *x509.Certificate) bool { return c.Subject.CommonName == "TRAEFIK DEFAULT CERT" },
	Order:     gateway.Order{Name: "Traefik", Priority: priority},
	Lacks:     lacks,
	Lists:     traefikLists,
	Logged:    loggedByTraefik,
	Answered:  answeredByTraefik,
	// See https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1: Go's HTTP library refuses what it does not know before any route is looked at.
	Ping: map[string]string{"Expect": "an answer"},
	Pong: func(a *probe.Answer) bool { return a.Status == http.StatusExpectationFailed },
	// The dashboard's root only redirects.
	Pages: map[gateway.Backend]string{{Namespace: "traefik", Name: "traefik", Port: 9000}: "/dashboard/"},
	// Measured: others are Conflicted, with the reason ProtocolConflict or UnsupportedProtocol.
	Protocols: map[gatewayv1.ProtocolType]string{gatewayv1.HTTPProtocolType: "", gatewayv1.HTTPSProtocolType: "",
		gatewayv1.TCPProtocolType: experimentalChannel, gatewayv1.TLSProtocolType: experimentalChannel},
	Provider: "--providers.kubernetesgateway",
	// See https://github.com/traefik/traefik/issues/13622: a provider that cannot list one of its kinds has none of its routers.
	Needs: map[string]schema.GroupVersionKind{
		experimentalChannel:         {Group: gatewayv1.GroupName, Version: "v1alpha2", Kind: "TLSRoute"},
		"--providers.kubernetescrd": {Group: "traefik.io", Version: "v1alpha1", Kind: "IngressRoute"},
	},
	GatewayAPI: map[string]string{"v38": "v1.4", "v39": "v1.4", "v40": "v1.5", "v41": "v1.5"},
}

const experimentalChannel = "--providers.kubernetesgateway.experimentalchannel"

// priority is the priority of the router that Traefik 3.6 and 3.7 make of a match, measured on its own router list; it is not the
// specification's order, see https://github.com/traefik/traefik/issues/9681.
func priority(m *gateway.Match) int {
	if m.Route.Kind == "GRPCRoute" {
		return m.Longest + len(ruleOfCalls(m))
	}
	path := 10_000 + 100*len(*m.Path.Value)
	switch {
	case *m.Path.Type == gatewayv1.PathMatchExact:
		path = 100_000
	case *m.Path.Type == gatewayv1.PathMatchPathPrefix && *m.Path.Value == "/":
		path = 1
	}
	method := 0
	if m.Method != "" {
		method = 1000
	}
	return m.Longest + path + method + 100*len(m.Headers) + 10*len(m.Params) + m.Rules - m.Rule
}

// lacks has what Traefik 3.6.12 does not do, each measured. All conditions of such routes are True, but for those of a backendRef of another
// kind. See https://github.com/traefik/traefik/issues/11902 for the timeouts.
func lacks(use gateway.Use) (Outcome, string) {
	switch use.Feature {
	case gateway.Timeouts, gateway.Retries, gateway.Sessions:
		return Ignored, "remove the field: it has no effect"
	case gateway.BackendFilters:
		return Ignored, "write the filter into the rule's filters: it then holds for all backends of the rule"
	case gateway.HostChange:
		return Ignored, "change the host by the filter URLRewrite, with a hostname"
	case gateway.HostMatch:
		return Unmet, "write the name into the route's hostnames"
	case gateway.BackendKind:
		if strings.HasPrefix(use.Of, "traefik.io/") {
			return "", "" // the condition ResolvedRefs says whether there is such a one
		}
		return Refused, "name a Service"
	}
	switch of, kind, _ := strings.Cut(use.Of, " "); gatewayv1.HTTPRouteFilterType(of) {
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		if use.Kind == "GRPCRoute" {
			return Refused, "remove the filter"
		}
		return "", ""
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier, gatewayv1.HTTPRouteFilterRequestRedirect, gatewayv1.HTTPRouteFilterURLRewrite:
		return "", ""
	case gatewayv1.HTTPRouteFilterExtensionRef:
		if kind == "traefik.io/Middleware" {
			return Optional, "remove the filter, or enable Traefik's provider kubernetesCRD in its values and install its CRDs"
		}
	}
	return Refused, "remove the filter"
}

// ruleOfCalls is the rule of the router that Traefik 3.6 makes of a GRPCRoute's match, without the part about hosts: its length counts.
func ruleOfCalls(m *gateway.Match) string {
	path, rule := *m.Path.Value, fmt.Sprintf("PathPrefix(%q)", "/")
	switch {
	case *m.Path.Type == gatewayv1.PathMatchPathPrefix && path != "/":
		rule = fmt.Sprintf("PathRegexp(%q)", path+"/[^/]+")
	case path != "/":
		rule = fmt.Sprintf("PathRegexp(%q)", path)
	}
	for _, header := range m.Headers {
		function := "Header"
		if header.Type != nil && *header.Type == gatewayv1.HeaderMatchRegularExpression {
			function = "HeaderRegexp"
		}
		rule += fmt.Sprintf(" && %s(%q,%q)", function, header.Name, header.Value)
	}
	return rule
}

// writtenByItself recognises by the order of its header an answer that Go's HTTP library has finished, as that of Traefik's own answers: the
// library writes a Date and a Content-Length after what the handler has set, which it sorts. In an answer that is passed on the backend's are
// among those. Measured on Traefik 3.6.12 for its 404, 500, 502 and 503.
func writtenByItself(a *probe.Answer) bool {
	switch {
	case a.GRPC(): // whose server sends neither a Date nor a length with a refusal
		return false
	case a.HTTP2: // a call, which a server of gRPC would answer as one
		return a.Status >= http.StatusBadRequest
	}
	at := slices.Index(a.Order, "Date")
	return at >= 0 && at+1 < len(a.Order) && a.Order[at+1] == "Content-Length" && (at == 0 || a.Order[at-1] > "Date")
}

// refuses recognises the 500 that Traefik gives for an HTTPRoute, and for a GRPCRoute its status 14 of gRPC, written as JSON.
func refuses(a *probe.Answer) bool {
	return a.Status == http.StatusInternalServerError || a.Status == http.StatusOK && a.Header.Get("Content-Type") == "application/json" &&
		strings.HasPrefix(a.Body, `{"code":14,`)
}
