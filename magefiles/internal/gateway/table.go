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
	by        Order
	matches   []Match
	byHost    map[string][]*Match // those of a host without a wildcard
	wildcards []*Match
	probing   []*Route // those whose annotation has requests
}

// A Match is one of a rule's matches on one host.
type Match struct {
	Route check.ID
	// Rule is the rule's index in the route, and Index the match's in the rule.
	Rule, Index int

	// Rules is how many rules the route has, and Longest how many characters the longest of its hostnames on the listener, 0 for none.
	Rules, Longest int
	// Path has a type and a value; Method is empty where the match asks for none.
	Path    gatewayv1.HTTPPathMatch
	Method  string
	Headers []gatewayv1.HTTPHeaderMatch
	Params  []gatewayv1.HTTPQueryParamMatch

	request Request // one that asks for it
	idle    string  // why nothing can answer, whatever is asked; empty where something can
	host    string  // as the route has it
	listens string  // the listener's
	order   int
}

// String says which match of which route it is.
func (m *Match) String() string {
	return fmt.Sprintf("%s, rule %d, match %d", m.Route, m.Rule+1, m.Index+1)
}

// Compile returns the table of routes, as gateways serve them in an order.
func Compile(routes []Route, gateways []gatewayv1.Gateway, by Order) *Table {
	t := &Table{by: by, byHost: map[string][]*Match{}}
	for i := range routes {
		on := hosts(&routes[i], gateways)
		if routes[i].Probe != "" {
			t.probing = append(t.probing, &routes[i])
		}
		rules := routes[i].Spec.Rules
		if len(rules) == 0 {
			rules = []gatewayv1.HTTPRouteRule{{}} // which the API server makes of none
		}
		for _, host := range on {
			for r, rule := range rules {
				uses := featuresOf(routes[i].ID.Kind, &rules[r], r)
				matches := rule.Matches
				if len(matches) == 0 {
					matches = []gatewayv1.HTTPRouteMatch{{}}
				}
				for j, match := range matches {
					m := plan(&routes[i], host, rule, r, match)
					m.Index, m.order = j, len(t.matches)
					m.Rules, m.Longest = len(rules), longest(on, host)
					m.request.Rule, m.request.Match, m.request.Uses = r, j, usedBy(uses, j)
					t.matches = append(t.matches, m)
				}
			}
		}
	}
	for i := range t.matches {
		m := &t.matches[i]
		if m.wildcard() {
			t.wildcards = append(t.wildcards, m)
		} else {
			t.byHost[m.host] = append(t.byHost[m.host], m)
		}
	}
	return t
}

// usedBy returns those of a rule's uses that are the whole rule's or one match's.
func usedBy(uses []Use, match int) []Use {
	return slices.DeleteFunc(slices.Clone(uses), func(use Use) bool { return use.Match >= 0 && use.Match != match })
}

// on returns the matches that may take requests for a host.
func (t *Table) on(host string) []*Match { return append(slices.Clone(t.byHost[host]), t.wildcards...) }

// Serves tells whether some match is for requests to a host.
func (t *Table) Serves(host string) bool {
	return slices.ContainsFunc(t.on(host), func(m *Match) bool { return m.takesHost(host) })
}

// A Loss says why a match does not take a request.
type Loss struct {
	Match *Match
	Why   string
	// Host: the match is for the request's host.
	Host bool
}

// Match returns the match that takes a request by the table's order, nil where none does, and for each other match of the table why it does
// not. Where another rule's match is equal, tied is true: which of the two takes the request is the Gateway's choice.
func (t *Table) Match(r Request) (winner *Match, tied bool, losses []Loss) {
	holding := t.holding(r)
	winner, tied = t.by.first(holding)
	for i := range t.matches {
		m := &t.matches[i]
		if m == winner {
			continue
		}
		why := m.differs(r)
		if why == "" {
			why = t.by.ahead(winner, m)
		}
		losses = append(losses, Loss{m, why, m.takesHost(r.Host)})
	}
	return winner, tied, losses
}

// Takes returns the match that takes a request by the table's order, nil where none does.
func (t *Table) Takes(r Request) *Match {
	winner, _ := t.by.first(t.holding(r))
	return winner
}

// holding returns the matches that hold for a request.
func (t *Table) holding(r Request) []*Match {
	return slices.DeleteFunc(t.on(r.Host), func(m *Match) bool { return !m.holds(r) })
}

// Sending returns the first match that has a backend for which is holds, and that backend; nil where none has.
func (t *Table) Sending(is func(Backend) bool) (*Match, Backend) {
	for i := range t.matches {
		backends := t.matches[i].request.Backends
		if at := slices.IndexFunc(backends, is); at >= 0 {
			return &t.matches[i], backends[at]
		}
	}
	return nil, Backend{}
}

// differs says why a match does not hold for a request; it is empty where it does.
func (m *Match) differs(r Request) string {
	switch at, i := m.differsIn(r); at {
	case inHost:
		return "its host is " + m.host
	case inListener:
		return fmt.Sprintf("its listener takes %s at port %d", m.request.Scheme, m.request.Listener)
	case inMethod:
		return "its method is " + m.Method
	case inPath:
		why := fmt.Sprintf("its path is %s %s", *m.Path.Type, *m.Path.Value)
		if m.takesPath(strings.ToLower(*m.Path.Value), strings.ToLower(r.Path)) {
			why += ", and upper and lower case differ"
		}
		return why
	case inHeader:
		return fmt.Sprintf("it asks for the header %s: %s", m.Headers[i].Name, m.Headers[i].Value)
	case inParam:
		return fmt.Sprintf("it asks for the query parameter %s=%s", m.Params[i].Name, m.Params[i].Value)
	}
	return ""
}

// The parts of a request in which it may differ from a match.
const (
	inNothing = iota
	inHost
	inListener
	inMethod
	inPath
	inHeader
	inParam
)

// differsIn returns the first part in which a request differs from a match, and which of the match's headers or parameters it is. Each request is
// compared with all matches of its host: it makes no text.
func (m *Match) differsIn(r Request) (part, index int) {
	switch {
	case !m.takesHost(r.Host):
		return inHost, 0
	case m.request.Scheme != r.Scheme || m.request.Listener != r.Listener:
		return inListener, 0
	case m.Method != "" && m.Method != r.Method:
		return inMethod, 0
	case !m.takesPath(*m.Path.Value, r.Path):
		return inPath, 0
	}
	for i, header := range m.Headers {
		if value, ok := headerOf(r, string(header.Name)); !ok || !takes(header.Type != nil && *header.Type == gatewayv1.HeaderMatchRegularExpression, header.Value, value) {
			return inHeader, i
		}
	}
	for i, param := range m.Params {
		if value, ok := r.Query[string(param.Name)]; !ok || !takes(param.Type != nil && *param.Type == gatewayv1.QueryParamMatchRegularExpression, param.Value, value) {
			return inParam, i
		}
	}
	return inNothing, 0
}

// holds tells whether a match holds for a request.
func (m *Match) holds(r Request) bool {
	part, _ := m.differsIn(r)
	return part == inNothing
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

func (m *Match) takesHost(host string) bool { return m.host == anyHost || covers(m.host, host) }

// Taking returns a request as one that the match takes: with what must answer it.
func (m *Match) Taking(r Request) Request {
	taken := m.request
	taken.Method, taken.Host, taken.Path, taken.Query, taken.Header, taken.Port = r.Method, r.Host, r.Path, r.Query, r.Header, r.Port
	return taken
}

// takesPath tells whether a match would take a path if its value were the given one.
func (m *Match) takesPath(value, path string) bool {
	switch *m.Path.Type {
	case gatewayv1.PathMatchExact:
		return path == value
	case gatewayv1.PathMatchPathPrefix:
		below, ok := strings.CutPrefix(path, strings.TrimSuffix(value, "/"))
		return ok && (below == "" || below[0] == '/')
	}
	return takes(true, value, path)
}
