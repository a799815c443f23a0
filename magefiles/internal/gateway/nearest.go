package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/spelling"
)

// A Miss is a match that a request comes near, and all that keeps the match from taking it.
type Miss struct {
	Match   *Match
	Differs []string
}

// Nearest returns the matches that miss a request by the least, no more than most: those whose host and path are the request's, or look like
// them. For reach see Requests.
func (t *Table) Nearest(r Request, most int, reach func(listener int32) (int, bool)) []Miss {
	var misses []Miss
	far := map[*Match]int{}
	for i := range t.matches {
		if differs, cost := t.matches[i].misses(r, reach); cost < unlike {
			misses = append(misses, Miss{&t.matches[i], differs})
			far[&t.matches[i]] = cost
		}
	}
	slices.SortStableFunc(misses, func(a, b Miss) int { return cmp.Compare(far[a.Match], far[b.Match]) })
	return misses[:min(most, len(misses))]
}

// unlike is the cost of a host or a path that has nothing to do with the request's: more than that of all else together.
const unlike = 10

// misses says in what a request differs from those that the match takes, and how much that is in all.
func (m *Match) misses(r Request, reach func(listener int32) (int, bool)) (differs []string, cost int) {
	add := func(why string, by int) { differs, cost = append(differs, why), cost+by }
	if !m.takesHost(r.Host) {
		add(missedHost(m.host, r.Host))
		r.Host = m.request.Host
	}
	if r.Scheme != m.request.Scheme || r.Listener != m.request.Listener {
		there := r
		there.Scheme, there.Listener = m.request.Scheme, m.request.Listener
		r = there.at(reach)
		add(fmt.Sprintf("its listener takes %s at port %d: %s", r.Scheme, r.Listener, r.URL()), 1)
	}
	if !m.takesPath(*m.Path.Value, r.Path) {
		add(missedPath(m, r.Path))
		r.Path = m.request.Path
	}
	if why := m.differs(r); why != "" { // the method, a header or a parameter
		add(why, 1)
	}
	return differs, cost
}

// missedHost says how a host differs from the one that a match is for.
func missedHost(host, asked string) (why string, cost int) {
	why, cost = "its host is "+host, unlike
	suffix, wild := strings.CutPrefix(host, "*.")
	_, below, _ := strings.Cut(asked, ".")
	switch {
	case wild && asked == suffix:
		return why + ", which does not stand for " + asked + " itself", 1
	case !wild && below == host:
		return why + ", and the request's has one label more, which *." + host + " would take", 2
	case spelling.Apart(host, asked, 2) <= min(2, len(host)/3):
		return why + ", which " + asked + " differs from by a letter or two", 2
	}
	return why, cost
}

// missedPath says how a path differs from those that a match takes.
func missedPath(m *Match, path string) (why string, cost int) {
	why, cost = fmt.Sprintf("its path is %s %s", *m.Path.Type, *m.Path.Value), unlike
	prefix := strings.TrimSuffix(*m.Path.Value, "/")
	switch kind := *m.Path.Type; {
	case m.takesPath(strings.ToLower(*m.Path.Value), strings.ToLower(path)):
		return why + ", and upper and lower case differ", 1
	case kind == gatewayv1.PathMatchPathPrefix && strings.HasPrefix(path, prefix):
		return fmt.Sprintf("%s, which takes %s and what is below %[2]s/", why, prefix), 1
	case kind == gatewayv1.PathMatchExact && strings.TrimSuffix(path, "/") == prefix:
		return why + ", and a slash at the end counts", 1
	case kind == gatewayv1.PathMatchExact && deeper(path, prefix):
		return why + ", which takes nothing below it", 2
	}
	return why, cost
}

// A Hearing is a listener with what keeps it from taking a request, empty where it takes it.
type Hearing struct {
	Listener check.ID
	Why      string
}

// Hear says of each listener of the Gateways whether it takes a request. See https://gateway-api.sigs.k8s.io/reference/spec/#listener.
func Hear(r Request, gateways []gatewayv1.Gateway) []Hearing {
	var all []Hearing
	for i := range gateways {
		for _, l := range gateways[i].Spec.Listeners {
			id := check.ID{Kind: "Gateway", Namespace: gateways[i].Namespace, Name: gateways[i].Name, Part: "listener " + string(l.Name)}
			if !slices.ContainsFunc(all, func(h Hearing) bool { return h.Listener == id }) {
				all = append(all, Hearing{id, deaf(l, r)})
			}
		}
	}
	return all
}

// deaf says why a listener does not take a request.
func deaf(l gatewayv1.Listener, r Request) string {
	scheme := map[gatewayv1.ProtocolType]string{gatewayv1.HTTPProtocolType: "http", gatewayv1.HTTPSProtocolType: "https"}[l.Protocol]
	switch {
	case int32(l.Port) != r.Listener:
		return fmt.Sprintf("its port is %d, and the request comes to %d", l.Port, r.Listener)
	case scheme != r.Scheme:
		return fmt.Sprintf("its protocol is %s", l.Protocol)
	case l.Hostname != nil && *l.Hostname != "" && !covers(string(*l.Hostname), r.Host):
		return fmt.Sprintf("its hostname is %s", *l.Hostname)
	}
	return ""
}
