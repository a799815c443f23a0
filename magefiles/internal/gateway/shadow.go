package gateway

import (
	"fmt"
	"net/http"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A Shadow is a match of which another one, of another rule, takes every request, or may take it.
type Shadow struct {
	Match, Taker *Match
	// Tied: nothing gives either precedence, so that which of the two takes a request is the Gateway's choice.
	Tied bool
	// Why says what gives the taker precedence, or that nothing does.
	Why string
	// On is a host for which it is so, with the scheme and the listener's port; empty where it is so on every host of the match.
	On string
}

// Shadows returns the matches that get no request by the table's order, each once: another match holds for all that they hold for, and is not
// behind them. That several others together take all of a match's requests is not seen. Of two that hold for the same requests and are tied,
// only the later one is returned.
func (t *Table) Shadows() []Shadow {
	var shadows []Shadow
	hosts, shadowed := map[string]int{}, map[string]int{}
	first := map[string]int{}
	for i := range t.matches {
		m := &t.matches[i]
		name := m.String()
		hosts[name]++
		taker, tied := t.shadowing(m)
		if taker == nil {
			continue
		}
		shadowed[name]++
		if _, ok := first[name]; !ok {
			first[name] = len(shadows)
			why := t.by.ahead(taker, m)
			if tied {
				why = t.unproven(m, taker)
			}
			shadows = append(shadows, Shadow{Match: m, Taker: taker, Tied: tied, Why: why, On: m.on()})
		}
	}
	for name, i := range first {
		if shadowed[name] == hosts[name] {
			shadows[i].On = ""
		}
	}
	return shadows
}

// on says on which host the match is, and on which listeners.
func (m *Match) on() string {
	host := m.host
	if host == anyHost {
		host = "*"
	}
	return fmt.Sprintf("%s://%s at port %d", m.request.Scheme, host, m.request.Listener)
}

// shadowing returns the first match that shadows another, one that has precedence before one that is tied with it; nil where none does.
func (t *Table) shadowing(m *Match) (taker *Match, tied bool) {
	for _, others := range [][]*Match{t.byHost[m.host], t.wildcards} {
		for _, other := range others {
			if other.Route == m.Route && other.Rule == m.Rule || !other.includes(m) {
				continue
			}
			switch contested := t.by.contests(other, m); {
			case !contested && t.by.before(other, m):
				return other, false
			case contested && taker == nil && (other.order < m.order || !m.includes(other)):
				taker, tied = other, true
			}
		}
	}
	return taker, tied
}

// includes tells whether a match holds for every request that another holds for; of regular expressions, only where they are the same. Listeners
// with different hostnames may keep their requests apart, see https://gateway-api.sigs.k8s.io/reference/spec/#gatewayspec on listeners.
func (m *Match) includes(other *Match) bool {
	return m.listens == other.listens && m.request.Scheme == other.request.Scheme && m.request.Listener == other.request.Listener && m.includesHost(other.host) &&
		(m.Method == "" || m.Method == other.Method) && m.includesPath(other) && asksNoMore(m.Headers, other.Headers) && asksNoMoreOf(m.Params, other.Params)
}

func (m *Match) includesHost(host string) bool {
	return m.host == anyHost || host != anyHost && covers(m.host, host)
}

func (m *Match) includesPath(other *Match) bool {
	kind, its := *m.Path.Type, *other.Path.Type
	switch {
	case kind == its && *m.Path.Value == *other.Path.Value, kind == gatewayv1.PathMatchPathPrefix && *m.Path.Value == "/":
		return true
	case kind == gatewayv1.PathMatchRegularExpression || its == gatewayv1.PathMatchRegularExpression || kind == gatewayv1.PathMatchExact:
		return false
	}
	return m.takesPath(*m.Path.Value, *other.Path.Value)
}

// asksNoMore tells whether all of some headers are among others.
func asksNoMore(headers, others []gatewayv1.HTTPHeaderMatch) bool {
	for _, h := range headers {
		if !slices.ContainsFunc(others, func(o gatewayv1.HTTPHeaderMatch) bool {
			return http.CanonicalHeaderKey(string(h.Name)) == http.CanonicalHeaderKey(string(o.Name)) && h.Value == o.Value && isExact(h.Type) == isExact(o.Type)
		}) {
			return false
		}
	}
	return true
}

// asksNoMoreOf tells whether all of some query parameters are among others.
func asksNoMoreOf(params, others []gatewayv1.HTTPQueryParamMatch) bool {
	for _, p := range params {
		if !slices.ContainsFunc(others, func(o gatewayv1.HTTPQueryParamMatch) bool {
			return p.Name == o.Name && p.Value == o.Value && isExact(p.Type) == isExact(o.Type)
		}) {
			return false
		}
	}
	return true
}

// isExact tells whether the type of a match of a header or a query parameter is Exact, as it is where it has none.
func isExact[T ~string](kind *T) bool { return kind == nil || *kind == "Exact" }
