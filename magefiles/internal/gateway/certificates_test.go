package gateway

import (
	"slices"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

func TestACertificateHasTheNamesOfTheListenersThatNameItAndOfTheirRoutes(t *testing.T) {
	gateways := []gatewayv1.Gateway{parse[gatewayv1.Gateway](t, `{metadata: {name: edge, namespace: infra}, spec: {gatewayClassName: traefik, listeners: [
		{name: web, port: 8000, protocol: HTTP},
		{name: secure, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: ours}]}},
		{name: own, port: 8443, protocol: HTTPS, hostname: own.x, tls: {certificateRefs: [{name: theirs, namespace: shop}]}},
		{name: wild, port: 8443, protocol: HTTPS, hostname: '*.w.x', tls: {certificateRefs: [{group: example.com, kind: Vault, name: ours}, {name: ours}]}},
		{name: named, port: 8443, protocol: HTTPS, hostname: n.y, tls: {certificateRefs: [{kind: Secret, group: '', name: ours}]}},
		{name: passed, port: 8444, protocol: TLS, hostname: p.x, tls: {mode: Passthrough, certificateRefs: [{name: ours}]}}]}}`)}
	route := func(section, hostnames string) Route {
		r := parse[gatewayv1.HTTPRoute](t, "{metadata: {name: r, namespace: infra}, spec: {parentRefs: [{name: edge"+section+"}]"+hostnames+"}}")
		return FromHTTP(&r)
	}
	for name, test := range map[string]struct {
		routes           []Route
		secret           string
		names, wildcards []string
		named            bool
	}{
		"no routes":             {nil, "ours", []string{"n.y"}, nil, true},
		"of a route":            {[]Route{route(", sectionName: secure", ", hostnames: [b.x, a.x]")}, "ours", []string{"a.x", "b.x", "n.y"}, nil, true},
		"of one on another":     {[]Route{route(", sectionName: web", ", hostnames: [a.x]"), route(", sectionName: own", "")}, "ours", []string{"n.y"}, nil, true},
		"on all":                {[]Route{route("", ", hostnames: [a.x, own.x, a.w.x]")}, "ours", []string{"a.w.x", "a.x", "n.y", "own.x"}, nil, true},
		"a wildcard":            {[]Route{route(", sectionName: secure", ", hostnames: ['*.x', a.x]")}, "ours", []string{"a.x", "n.y"}, []string{"*.x"}, true},
		"every name":            {[]Route{route(", sectionName: secure", "")}, "ours", []string{"n.y"}, []string{"*"}, true},
		"a listener's wildcard": {[]Route{route(", sectionName: wild", "")}, "ours", []string{"n.y"}, []string{"*.w.x"}, true},
		"that none names":       {[]Route{route("", ", hostnames: [a.x]")}, "other", nil, nil, false},
	} {
		names, wildcards, named := CertificateNames(check.ID{Kind: "Secret", Namespace: "infra", Name: test.secret}, test.routes, gateways)
		if !slices.Equal(names, test.names) || !slices.Equal(wildcards, test.wildcards) || named != test.named {
			t.Errorf("%s: %q, %q, %t", name, names, wildcards, named)
		}
	}
	if got := SecretsOf(&gateways[0], gateways[0].Spec.Listeners[2]); !slices.Equal(got, []check.ID{{Kind: "Secret", Namespace: "shop", Name: "theirs"}}) {
		t.Error(got)
	}
}
