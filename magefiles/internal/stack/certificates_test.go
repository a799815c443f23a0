package stack

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/authority"
	"kindgate/magefiles/internal/gateway"
)

const secureGateway = `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: edge, namespace: traefik}, spec: {gatewayClassName: traefik,
	listeners: [{name: websecure, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: kindgate-tls}]}}]}}`

// inputsOf are the inputs of manifests.
func inputsOf(t *testing.T, documents ...string) (in inputs) {
	t.Helper()
	for _, o := range decoded(t, documents...) {
		route, ok, err := gateway.ReadRoute(o.Unstructured)
		switch {
		case err != nil:
			t.Fatal(err)
		case ok:
			in.served = append(in.served, route)
		case o.GetKind() == "Gateway":
			in.routes = append(in.routes, o)
		default:
			in.apps = append(in.apps, o)
		}
	}
	in.objects = slices.Concat(in.apps, in.routes)
	var err error
	if in.gateways, err = ofKind[gatewayv1.Gateway](in.routes, "Gateway"); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestTheSecretIsMadeForTheNamesThatTheAuthorityCanSignUnlessItIsInTheManifests(t *testing.T) {
	route := func(names string) string {
		return "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: traefik}, spec: {parentRefs: [{name: edge}], hostnames: [" + names + "]}}"
	}
	for name, test := range map[string]struct {
		documents     []string
		names, others []string
		made          int
	}{
		"names of the authority's": {[]string{secureGateway, route("b.test, a.localhost")}, []string{"a.localhost", "b.test"}, nil, 1},
		"others":                   {[]string{secureGateway, route("www.example.com, a.localhost, '*.localhost'")}, []string{"a.localhost"}, []string{"www.example.com", "*.localhost"}, 1},
		"others alone":             {[]string{secureGateway, route("www.example.com")}, []string{"localhost"}, []string{"www.example.com"}, 1},
		"no listener names it":     {[]string{strings.Replace(secureGateway, "kindgate-tls", "mine", 1), route("a.localhost")}, []string{"localhost"}, nil, 0},
		"the user's own":           {[]string{secureGateway, route("a.localhost"), "{apiVersion: v1, kind: Secret, metadata: {name: kindgate-tls, namespace: traefik}}"}, nil, nil, 0},
	} {
		in := inputsOf(t, test.documents...)
		names, others, ok := in.certificateNames()
		if !slices.Equal(names, test.names) || !slices.Equal(others, test.others) || len(in.made()) != test.made || ok != (test.made > 0) {
			t.Errorf("%s: %q, %q, %t", name, names, others, ok)
		}
	}
}

func TestACertificateThatIsGoodIsKeptAndOneThatIsNotIsMadeAnew(t *testing.T) {
	now := time.Now()
	a, err := authority.New("me@here", now)
	if err != nil {
		t.Fatal(err)
	}
	first, until, err := certificate(a, []string{"a.localhost"}, nil, now)
	if err != nil || until.Sub(now) < 89*24*time.Hour {
		t.Fatal(err, until)
	}
	if pair, err := tls.X509KeyPair(secretData(first.Unstructured)); err != nil || !slices.Equal(pair.Leaf.DNSNames, []string{"a.localhost"}) {
		t.Error(err)
	}
	again, _, err := certificate(a, []string{"a.localhost"}, first.Unstructured, now)
	if err != nil || again.Object["data"].(map[string]any)["tls.key"] != first.Object["data"].(map[string]any)["tls.key"] {
		t.Error("made anew", err)
	}
	damaged := first.DeepCopy()
	damaged.Object["data"].(map[string]any)["tls.key"] = "bm9uZQ=="
	for name, live := range map[string]struct {
		names []string
		at    time.Time
	}{"a new name": {[]string{"a.localhost", "b.localhost"}, now}, "an old one": {[]string{"a.localhost"}, now.Add(61 * 24 * time.Hour)}} {
		if anew, _, err := certificate(a, live.names, first.Unstructured, live.at); err != nil || anew.Object["data"].(map[string]any)["tls.crt"] == first.Object["data"].(map[string]any)["tls.crt"] {
			t.Errorf("%s: kept, %v", name, err)
		}
	}
	if anew, _, err := certificate(a, []string{"a.localhost"}, damaged, now); err != nil || anew.Object["data"].(map[string]any)["tls.key"] == "bm9uZQ==" {
		t.Error("a key that does not fit is kept", err)
	}
}
