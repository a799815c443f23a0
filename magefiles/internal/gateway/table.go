package gateway

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// A Table has every match of every rule of some routes, on each host on which a listener serves it.
type Table struct {
	matches   []Match
	byHost    map[string][]*Match // those of a host without a wildcard
	wildcards []*Match
}

// A Match is one of a rule's matches on one host.
type Match struct {
	Route check.ID
	// Rule is the rule's index in the route, and Index the match's in the rule.
	Rule, Index int

	request Request // one that asks for it
	host    string  // as the route has it
	path    gatewayv1.HTTPPathMatch
	method  string
	headers []gatewayv1.HTTPHeaderMatch
	params  []gatewayv1.HTTPQueryParamMatch
	order   int
}

// String says which match of which route it is.
func (m *Match) String() string {
	return fmt.Sprintf("%s, rule %d, match %d", m.Route, m.Rule+1, m.Index+1)
}

// Compile returns the table of routes, as gateways serve them.
func Compile(routes []gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway) *Table {
	t := &Table{byHost: map[string][]*Match{}}
	for i := range routes {
		for _, host := range hosts(&routes[i], gateways) {
			for r, rule := range routes[i].Spec.Rules {
				matches := rule.Matches
				if len(matches) == 0 {
					matches = []gatewayv1.HTTPRouteMatch{{}}
				}
				for j, match := range matches {
					m := plan(&routes[i], host, rule, match)
					m.Rule, m.Index, m.order = r, j, len(t.matches)
					m.request.Rule, m.request.Match = r, j
					t.matches = append(t.matches, m)
				}
			}
		}
	}
	for i := range t.matches {
		m := &t.matches[i]
		if strings.HasPrefix(m.host, "*") || m.host == anyHost {
			t.wildcards = append(t.wildcards, m)
		} else {
			t.byHost[m.host] = append(t.byHost[m.host], m)
		}
	}
	return t
}

// on returns the matches that may take requests for a host.
func (t *Table) on(host string) []*Match { return append(slices.Clone(t.byHost[host]), t.wildcards...) }

// A Loss says why a match does not take a request.
type Loss struct {
	Match *Match
	Why   string
}

// Match returns the match that takes a request by the specification's order of precedence, nil where none does, and for each other match of
// the table why it does not. Where a match of another route is the same, tied is true: which of the two takes the request is the Gateway's
// choice. See https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule on matches.
func (t *Table) Match(r Request) (winner *Match, tied bool, losses []Loss) {
	winner, tied = first(t.on(r.Host), r)
	for i := range t.matches {
		m := &t.matches[i]
		if m == winner {
			continue
		}
		why := m.differs(r)
		if why == "" {
			why = winner.ahead(m)
		}
		losses = append(losses, Loss{m, why})
	}
	return winner, tied, losses
}

// first returns the match that has precedence among those that hold for a request, and whether another route has the same.
func first(matches []*Match, r Request) (winner *Match, tied bool) {
	for _, m := range matches {
		if m.differs(r) != "" {
			continue
		}
		switch {
		case winner == nil || m.before(winner):
			tied = winner != nil && m.contests(winner)
			winner = m
		case m.contests(winner):
			tied = true
		}
	}
	return winner, tied
}

// differs says why a match does not hold for a request; it is empty where it does.
func (m *Match) differs(r Request) string {
	switch {
	case m.host != anyHost && !covers(m.host, r.Host):
		return "its host is " + m.host
	case m.request.Scheme != r.Scheme || m.request.Listener != r.Listener:
		return fmt.Sprintf("its listener takes %s at port %d", m.request.Scheme, m.request.Listener)
	case m.method != "" && m.method != r.Method:
		return "its method is " + m.method
	case !m.takesPath(r.Path):
		return fmt.Sprintf("its path is %s %s", *m.path.Type, *m.path.Value)
	}
	for _, header := range m.headers {
		if value, ok := headerOf(r, string(header.Name)); !ok || !takes(header.Type != nil && *header.Type == gatewayv1.HeaderMatchRegularExpression, header.Value, value) {
			return fmt.Sprintf("it asks for the header %s: %s", header.Name, header.Value)
		}
	}
	for _, param := range m.params {
		if value, ok := r.Query[string(param.Name)]; !ok || !takes(param.Type != nil && *param.Type == gatewayv1.QueryParamMatchRegularExpression, param.Value, value) {
			return fmt.Sprintf("it asks for the query parameter %s=%s", param.Name, param.Value)
		}
	}
	return ""
}

// headerOf returns a request's header, whose name has no case.
func headerOf(r Request, name string) (string, bool) {
	for have, value := range r.Header {
		if http.CanonicalHeaderKey(have) == http.CanonicalHeaderKey(name) {
			return value, true
		}
	}
	return "", false
}

// takes tells whether a value is the wanted one, or matches it as a regular expression.
func takes(expression bool, want, value string) bool {
	if !expression {
		return want == value
	}
	matches, err := regexp.MatchString(want, value)
	return err == nil && matches
}

func (m *Match) takesPath(path string) bool {
	value := *m.path.Value
	switch *m.path.Type {
	case gatewayv1.PathMatchExact:
		return path == value
	case gatewayv1.PathMatchPathPrefix:
		prefix := strings.TrimSuffix(value, "/")
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return takes(true, value, path)
}

// before tells whether a match has precedence over another, among equals the first rule's of the first route.
func (m *Match) before(other *Match) bool {
	rank := slices.Compare(m.rank(), other.rank())
	return rank > 0 || rank == 0 && m.order < other.order
}

// contests tells whether a match is another route's of the same rank. The specification gives precedence to the older route, Traefik
// does not.
func (m *Match) contests(other *Match) bool {
	return m.Route != other.Route && slices.Equal(m.rank(), other.rank())
}

// ahead says by what a match has precedence over another that holds, too.
func (m *Match) ahead(other *Match) string {
	for i, rank := range m.rank() {
		if rank != other.rank()[i] {
			return m.String() + " has precedence by its " + ranked[i]
		}
	}
	if m.Route != other.Route {
		return m.String() + " is the same: which of the two takes the request is the Gateway's choice"
	}
	return m.String() + " is the same, and comes first"
}

// ranked are what rank compares.
var ranked = []string{"host", "kind of path", "path", "method", "headers", "query parameters"}

// rank is what gives a match precedence: the more specific host, then an exact path, the longer prefix, a method, more headers, more
// query parameters.
func (m *Match) rank() []int {
	host := len(m.host)
	if m.host == anyHost {
		host = 0
	} else if !strings.HasPrefix(m.host, "*") {
		host += 1000
	}
	exact, method := 0, 0
	switch *m.path.Type {
	case gatewayv1.PathMatchExact:
		exact = 1
	case gatewayv1.PathMatchRegularExpression:
		exact = 2 // its rank is the implementation's: what it might take proves nothing
	}
	if m.method != "" {
		method = 1
	}
	return []int{host, exact, len(*m.path.Value), method, len(m.headers), len(m.params)}
}
