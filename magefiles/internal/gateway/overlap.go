package gateway

import (
	"maps"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// mostPairs bounds the pairs of matches that are looked at: each costs a look at all matches of the host.
const mostPairs = 5000

// Overlaps returns requests that two matches of different rules hold for, each for the match that the specification gives it to. asked are
// the requests that are sent anyway. No more than most are returned, and skipped is how many pairs of matches that meet are left out. For
// reach see Requests.
func (t *Table) Overlaps(asked []Request, most int, reach func(listener int32) (int, bool)) (requests []Request, skipped int) {
	type key struct {
		match   string
		request string
	}
	keyOf := func(r Request) key {
		return key{(&Match{Route: r.Route, Rule: r.Rule, Index: r.Match}).String(), r.String()}
	}
	seen := map[key]bool{}
	for _, r := range asked {
		seen[keyOf(r)] = true
	}
	looked := 0
	for i := range t.matches {
		m := &t.matches[i]
		for _, other := range t.on(m.host) {
			if m.Route.Kind != other.Route.Kind || m.Route == other.Route && m.Rule == other.Rule || m.wildcard() == other.wildcard() && m.order <= other.order {
				continue
			}
			r, ok := m.meets(other)
			switch {
			case !ok:
				continue
			case len(requests) == most || looked == mostPairs:
				skipped++
				continue
			}
			looked++
			r, ok = t.between(r)
			if r = t.carrying(r).at(reach); ok && !seen[keyOf(r)] {
				requests = append(requests, r)
				seen[keyOf(r)] = true
			}
		}
	}
	return requests, skipped
}

// between returns a request that several matches hold for, as that of the match that the specification gives it to; false where that cannot
// be proven.
func (t *Table) between(r Request) (Request, bool) {
	holding := t.holding(r)
	specified, disputed := Order{}.first(holding)
	winner, tied := t.by.first(holding)
	if specified == nil || disputed || specified.request.Unproven != "" {
		return r, false
	}
	sent := specified.Taking(r)
	switch {
	case tied && (winner == specified || t.by.contests(winner, specified)):
		if winner == specified {
			winner = t.rival(specified, holding)
		}
		sent.Unproven = t.unproven(specified, winner)
	case winner.Route != specified.Route || winner.Rule != specified.Rule:
		sent.Taker = t.by.taker(winner, specified)
	}
	return sent, true
}

// meets returns a request that both matches hold for, false where none does, or where an expression keeps it from being known.
func (m *Match) meets(other *Match) (Request, bool) {
	r := m.request
	if m.wildcard() && !other.wildcard() || len(other.host) > len(m.host) && m.wildcard() {
		r.Host = other.request.Host
	}
	if r.Path = m.path(other); r.Path == "" || !m.takesPath(*m.Path.Value, r.Path) || !other.takesPath(*other.Path.Value, r.Path) {
		return r, false // most pairs, at no cost
	}
	if m.Method == "" {
		r.Method = other.request.Method
	}
	r.Query, r.Header = maps.Clone(m.request.Query), maps.Clone(m.request.Header)
	maps.Copy(r.Query, other.request.Query)
	for name, value := range other.request.Header {
		if have, ok := headerOf(r, name); !ok {
			r.Header[name] = value
		} else if have != value {
			return r, false
		}
	}
	return r, m.holds(r) && other.holds(r)
}

// path returns one that two matches take if there is any; empty where an expression keeps it from being known.
func (m *Match) path(other *Match) string {
	regular := *m.Path.Type == gatewayv1.PathMatchRegularExpression || *other.Path.Type == gatewayv1.PathMatchRegularExpression
	switch {
	case m.Route.Kind == grpcRoute:
		return m.call(other)
	case regular:
		return ""
	case deeper(*other.Path.Value, *m.Path.Value) || *other.Path.Type == gatewayv1.PathMatchExact:
		return *other.Path.Value
	}
	return m.request.Path
}

// deeper tells whether one prefix is below another.
func deeper(path, prefix string) bool {
	below, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && strings.HasPrefix(below, "/")
}

// wildcard tells whether a match is for many hosts.
func (m *Match) wildcard() bool { return strings.HasPrefix(m.host, "*") || m.host == anyHost }
