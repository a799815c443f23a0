package gateway

import (
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// SecretOf returns the Secret that a Gateway's listener refers to, and false where that is something else. See
// https://gateway-api.sigs.k8s.io/reference/spec/#secretobjectreference.
func SecretOf(namespace string, ref gatewayv1.SecretObjectReference) (check.ID, bool) {
	if ref.Group != nil && *ref.Group != "" || ref.Kind != nil && *ref.Kind != "Secret" {
		return check.ID{}, false
	}
	if ref.Namespace != nil {
		namespace = string(*ref.Namespace)
	}
	return check.ID{Kind: "Secret", Namespace: namespace, Name: string(ref.Name)}, true
}

// SecretsOf returns the Secrets that a listener of a Gateway names as its certificates; none for one that does not end TLS.
func SecretsOf(gw *gatewayv1.Gateway, listener gatewayv1.Listener) []check.ID {
	if listener.TLS == nil || listener.TLS.Mode != nil && *listener.TLS.Mode != gatewayv1.TLSModeTerminate {
		return nil
	}
	var all []check.ID
	for _, ref := range listener.TLS.CertificateRefs {
		if id, ok := SecretOf(gw.Namespace, ref); ok {
			all = append(all, id)
		}
	}
	return all
}

// CertificateNames returns the names that a certificate in a Secret must have: those of the HTTPS listeners which name it, and of the routes on
// them. wildcards are those among them that stand for others, "*" for every name. Both are sorted. named tells whether any listener names it.
func CertificateNames(secret check.ID, routes []Route, gateways []gatewayv1.Gateway) (names, wildcards []string, named bool) {
	add := func(name string) {
		switch {
		case name == anyHost:
			wildcards = append(wildcards, "*")
		case strings.HasPrefix(name, "*"):
			wildcards = append(wildcards, name)
		default:
			names = append(names, name)
		}
	}
	on := map[check.ID][]gatewayv1.SectionName{} // the listeners that name it
	for i := range gateways {
		gw := &gateways[i]
		for _, listener := range gw.Spec.Listeners {
			if listener.Protocol != gatewayv1.HTTPSProtocolType || !slices.Contains(SecretsOf(gw, listener), secret) {
				continue
			}
			id := check.ID{Kind: "Gateway", Namespace: gw.Namespace, Name: gw.Name}
			on[id], named = append(on[id], listener.Name), true
			if listener.Hostname != nil && !strings.HasPrefix(string(*listener.Hostname), "*") {
				add(string(*listener.Hostname))
			}
		}
	}
	for i := range routes {
		for _, host := range hosts(&routes[i], gateways) {
			if slices.ContainsFunc(host.through, func(e Entry) bool {
				return slices.ContainsFunc(e.Listeners, func(name gatewayv1.SectionName) bool { return slices.Contains(on[e.Gateway], name) })
			}) {
				add(host.name)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(wildcards)
	return slices.Compact(names), slices.Compact(wildcards), named
}
