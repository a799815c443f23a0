package gateway

import (
	"maps"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Overlaps returns requests that two matches of different rules hold for, each for the match that the specification gives it to. asked are
// the requests that are sent anyway. Of most only these are returned, and skipped is how many are left out. For reach see Requests.
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
	for i := range t.matches {
		m := &t.matches[i]
		for _, other := range t.on(m.host) {
			if m.Route == other.Route && m.Rule == other.Rule || m.wildcard() == other.wildcard() && m.order <= other.order {
				continue
			}
			r, ok := t.between(m, other)
			if !ok {
				continue
			}
			r = r.at(reach)
			switch key := keyOf(r); {
			case seen[key]:
			case len(requests) == most:
				skipped++
				seen[key] = true
			default:
				requests = append(requests, r)
				seen[key] = true
			}
		}
	}
	return requests, skipped
}

// between returns a request that both matches hold for, as that of the match that the specification gives it to; false where there is none
// that can be proven.
func (t *Table) between(m, other *Match) (Request, bool) {
	r, ok := m.meets(other)
	if !ok {
		return r, false
	}
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
	case winner != specified:
		sent.Taker = t.taker(winner, specified)
	}
	return sent, true
}

// meets returns a request that both matches hold for, false where none does, or where an expression keeps it from being known.
func (m *Match) meets(other *Match) (Request, bool) {
	r := m.request
	if m.wildcard() && !other.wildcard() || len(other.host) > len(m.host) && m.wildcard() {
		r.Host = other.request.Host
	}
	if deeper(*other.Path.Value, *m.Path.Value) || *other.Path.Type == gatewayv1.PathMatchExact {
		r.Path = *other.Path.Value
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
	known := *m.Path.Type != gatewayv1.PathMatchRegularExpression && *other.Path.Type != gatewayv1.PathMatchRegularExpression
	return r, known && m.differs(r) == "" && other.differs(r) == ""
}

// deeper tells whether one prefix is below another.
func deeper(path, prefix string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

// wildcard tells whether a match is for many hosts.
func (m *Match) wildcard() bool { return strings.HasPrefix(m.host, "*") || m.host == anyHost }
