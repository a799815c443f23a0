package gateway

import (
	"cmp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// Hostnames returns the names that the routes are served under, sorted and once each; wildcards are left out, as no name of theirs is
// better than another.
func Hostnames(routes []Route, gateways []gatewayv1.Gateway) []string {
	var names []string
	for i := range routes {
		for _, host := range hosts(&routes[i], gateways) {
			if !strings.HasPrefix(host.name, "*") && host.name != anyHost {
				names = append(names, host.name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// anyHost stands for a route that takes every name.
const anyHost = "any-host.localhost"

// AnyHost tells whether a request's host stands for every name.
func AnyHost(host string) bool { return host == anyHost }

// Unrouted returns a host that no route answers, to see that the gateway refuses it, and false where some route answers every host.
func Unrouted(routes []Route, gateways []gatewayv1.Gateway) (string, bool) {
	const host = "no-such-route.localhost"
	for i := range routes {
		for _, h := range hosts(&routes[i], gateways) {
			if h.name == anyHost || covers(h.name, host) {
				return "", false
			}
		}
	}
	return host, true
}

// host is a name under which a route is served, and how.
type host struct {
	name, scheme string
	listener     int32
	listens      string // the hostname of the most specific of the listeners
	through      []Entry
}

// enter adds the entry by a listener.
func (h *host) enter(gateway check.ID, listener gatewayv1.SectionName) {
	i := slices.IndexFunc(h.through, func(e Entry) bool { return e.Gateway == gateway })
	if i < 0 {
		h.through = append(h.through, Entry{Gateway: gateway})
		i = len(h.through) - 1
	}
	if !slices.Contains(h.through[i].Listeners, listener) {
		h.through[i].Listeners = append(h.through[i].Listeners, listener)
	}
}

// hosts returns the names a route is served under: its own as far as its listeners allow them, or the listeners' where it has none.
// See https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec on hostnames.
func hosts(route *Route, gateways []gatewayv1.Gateway) []host {
	var found []host
	add := func(name string, listener gatewayv1.Listener, key parentKey) {
		scheme, _ := Scheme(listener.Protocol)
		i := slices.IndexFunc(found, func(h host) bool {
			return h.name == name && h.scheme == scheme && h.listener == int32(listener.Port)
		})
		if i < 0 {
			found = append(found, host{name: name, scheme: scheme, listener: int32(listener.Port)})
			i = len(found) - 1
		}
		if listener.Hostname != nil && (found[i].listens == "" || covers(found[i].listens, string(*listener.Hostname))) {
			found[i].listens = string(*listener.Hostname)
		}
		found[i].enter(key.gateway(), listener.Name)
	}
	for _, ref := range route.Spec.ParentRefs {
		key := parent(route, ref)
		if key.Kind != "Gateway" {
			continue
		}
		gw := find(gateways, key)
		if gw == nil {
			gw = &gatewayv1.Gateway{Spec: gatewayv1.GatewaySpec{Listeners: []gatewayv1.Listener{{Protocol: gatewayv1.HTTPProtocolType}}}} // what the names would be
			key.Section = ""
		}
		for _, listener := range gw.Spec.Listeners {
			if _, ok := Scheme(listener.Protocol); !ok {
				continue
			}
			if key.Section != "" && string(listener.Name) != key.Section || key.Port != 0 && int32(listener.Port) != key.Port {
				continue
			}
			listens := ""
			if listener.Hostname != nil {
				listens = string(*listener.Hostname)
			}
			if len(route.Spec.Hostnames) == 0 {
				add(cmp.Or(listens, anyHost), listener, key)
			}
			for _, name := range route.Spec.Hostnames {
				switch {
				case listens == "" || covers(listens, string(name)):
					add(string(name), listener, key)
				case covers(string(name), listens):
					add(listens, listener, key)
				}
			}
		}
	}
	return found
}

// Scheme returns that of the URLs for a listener of a protocol, and false for one that takes no requests of HTTP.
func Scheme(protocol gatewayv1.ProtocolType) (string, bool) {
	switch protocol {
	case gatewayv1.HTTPProtocolType:
		return "http", true
	case gatewayv1.HTTPSProtocolType:
		return "https", true
	}
	return "", false
}

// longest returns how many characters the longest of the names has that are served as one of them is; the one that stands for every name has
// none.
func longest(all []host, as host) int {
	most := 0
	for _, h := range all {
		if h.name != anyHost && h.scheme == as.scheme && h.listener == as.listener {
			most = max(most, len(h.name))
		}
	}
	return most
}

// covers tells whether a hostname, perhaps a wildcard, stands for another: *.a covers b.a, c.b.a and *.b.a, not a.
func covers(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(strings.TrimPrefix(name, "*"), suffix)
	}
	return pattern == name
}

// Meet tells whether there is a host for which two hostnames both stand, an empty one for every host. See
// https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec on hostnames.
func Meet(a, b string) bool { return a == "" || b == "" || covers(a, b) || covers(b, a) }
