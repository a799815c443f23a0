package gateway

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// A Request is one that a route's match must answer.
type Request struct {
	// Route is the HTTPRoute; the zero ID for a request that no route takes.
	Route check.ID
	// Rule is the index of the rule in the route, and Match that of the match in the rule.
	Rule, Match int
	// Scheme is http or https, as the listener speaks it.
	Scheme, Method, Host, Path string
	// Listener is the port of the listeners that take the request, and Port that of this machine which leads there.
	Listener int32
	Port     int
	// Query and Header are those that the match asks for, by name.
	Query, Header map[string]string
	// Backends are the Services one of which must answer; none where the rule answers itself, or names something else than Services.
	Backends []Backend
	// Weighted: the Services get unequal shares, so that some requests need not meet all of them. Enough is how many meet each of them, if the
	// shares are kept evenly.
	Weighted bool
	Enough   int
	// Redirect is the status of the rule's redirection, 0 where it has none.
	Redirect int
	// Through are the Gateways that take the request.
	Through []Entry
	// Unproven says why no request can prove this match; empty when the request can be sent.
	Unproven string
}

// An Entry is a Gateway, and those of its listeners that take a request.
type Entry struct {
	Gateway   check.ID
	Listeners []gatewayv1.SectionName
}

// A Backend is a Service that a rule sends requests to.
type Backend struct {
	Namespace, Name string
	Port            int32
}

// ID returns the Service.
func (b Backend) ID() check.ID {
	return check.ID{Kind: "Service", Namespace: b.Namespace, Name: b.Name}
}

// String returns Service/namespace/name.
func (b Backend) String() string { return b.ID().String() }

// URL is the request as a user would type it; the scheme's own port is left out.
func (r Request) URL() string {
	host := r.Host
	if !(r.Scheme == "http" && r.Port == 80 || r.Scheme == "https" && r.Port == 443) {
		host = fmt.Sprintf("%s:%d", host, r.Port)
	}
	u := url.URL{Scheme: r.Scheme, Host: host, Path: r.Path}
	query := url.Values{}
	for name, value := range r.Query {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// String is the request in a line, method and headers included.
func (r Request) String() string {
	text := r.URL()
	if r.Method != "GET" {
		text = r.Method + " " + text
	}
	for _, name := range slices.Sorted(keys(r.Header)) {
		text += fmt.Sprintf(" [%s: %s]", name, r.Header[name])
	}
	return text
}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

// Requests returns a request for each host and match of each route, such that this match and no other answers it: where a more specific
// match of any of the routes would take a match's own path, a path below it is taken. reach returns the port of this machine that leads to
// a listener's, and false where none does; the listener of a Gateway that is not there has port 0.
func Requests(routes []gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway, reach func(listener int32) (int, bool)) []Request {
	table := Compile(routes, gateways)
	requests := make([]Request, len(table.matches))
	for i := range table.matches {
		requests[i] = table.aim(&table.matches[i])
		r, ok := &requests[i], false
		if r.Port, ok = reach(r.Listener); !ok {
			r.Port = int(r.Listener)
			r.Unproven = fmt.Sprintf("no port of this machine leads to its listener's port %d", r.Listener)
		}
	}
	return requests
}

// aim returns a request that a match takes and no other, or says that there is none.
func (t *Table) aim(m *Match) Request {
	r := m.request
	if r.Unproven != "" {
		return r
	}
	paths := []string{*m.path.Value}
	if *m.path.Type == gatewayv1.PathMatchPathPrefix {
		paths = append(paths, strings.TrimSuffix(*m.path.Value, "/")+"/kindgate-probe")
	}
	var taker *Match
	for _, path := range paths {
		r.Path = path
		winner, tied := first(t.on(r.Host), r)
		if winner == m && !tied {
			return r
		}
		if taker = winner; winner == m {
			taker = t.rival(m, r)
		}
	}
	r.Path = *m.path.Value
	if taker.contests(m) {
		r.Unproven = taker.Route.String() + " has the same match: which of the two takes the requests is the Gateway's choice"
	} else {
		r.Unproven = "a more specific match of " + taker.Route.String() + " takes its requests"
	}
	return r
}

// rival returns the match of another route that ties with the given one for a request.
func (t *Table) rival(m *Match, r Request) *Match {
	for _, other := range t.on(r.Host) {
		if other.contests(m) && other.differs(r) == "" {
			return other
		}
	}
	return m
}

// RouteID returns an HTTPRoute's identity.
func RouteID(route *gatewayv1.HTTPRoute) check.ID {
	return check.ID{Kind: "HTTPRoute", Namespace: route.Namespace, Name: route.Name}
}

// plan returns a match of a rule on a host, with the request that asks for it.
func plan(route *gatewayv1.HTTPRoute, on host, rule gatewayv1.HTTPRouteRule, match gatewayv1.HTTPRouteMatch) Match {
	c := Match{Route: RouteID(route), host: on.name, headers: match.Headers, params: match.QueryParams}
	if match.Path != nil {
		c.path = *match.Path
	}
	if c.path.Type == nil {
		prefix := gatewayv1.PathMatchPathPrefix
		c.path.Type = &prefix
	}
	if c.path.Value == nil {
		root := "/"
		c.path.Value = &root
	}
	if match.Method != nil {
		c.method = string(*match.Method)
	}
	r := Request{
		Route: c.Route, Scheme: on.scheme, Listener: on.listener, Through: on.through,
		Method: cmp.Or(c.method, "GET"), Host: strings.Replace(on.name, "*", "any", 1), Path: *c.path.Value,
		Query: map[string]string{}, Header: map[string]string{},
	}
	if *c.path.Type == gatewayv1.PathMatchRegularExpression {
		r.Unproven = "its path is a regular expression"
	}
	for _, header := range match.Headers {
		r.Header[string(header.Name)] = header.Value
		if header.Type != nil && *header.Type != gatewayv1.HeaderMatchExact {
			r.Unproven = "it matches a header by a regular expression"
		}
	}
	for _, param := range match.QueryParams {
		r.Query[string(param.Name)] = param.Value
		if param.Type != nil && *param.Type != gatewayv1.QueryParamMatchExact {
			r.Unproven = "it matches a query parameter by a regular expression"
		}
	}
	for _, filter := range rule.Filters {
		if filter.Type == gatewayv1.HTTPRouteFilterRequestRedirect {
			r.Redirect = 302
			if filter.RequestRedirect != nil && filter.RequestRedirect.StatusCode != nil {
				r.Redirect = *filter.RequestRedirect.StatusCode
			}
		}
	}
	var weights []int32
	for _, ref := range rule.BackendRefs {
		if weight(ref) == 0 || ref.Kind != nil && *ref.Kind != "Service" {
			continue
		}
		backend := Backend{Namespace: route.Namespace, Name: string(ref.Name)}
		if ref.Namespace != nil {
			backend.Namespace = string(*ref.Namespace)
		}
		if ref.Port != nil {
			backend.Port = int32(*ref.Port)
		}
		r.Backends = append(r.Backends, backend)
		weights = append(weights, weight(ref))
	}
	r.Weighted = len(slices.Compact(slices.Clone(weights))) > 1
	if len(weights) > 0 {
		sum := int32(0)
		for _, w := range weights {
			sum += w
		}
		r.Enough = int((sum + slices.Min(weights) - 1) / slices.Min(weights))
	}
	if !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, r.Method) {
		r.Unproven = "a " + r.Method + " might change something in the application"
	}
	if len(rule.BackendRefs) > 0 && !slices.ContainsFunc(rule.BackendRefs, func(ref gatewayv1.HTTPBackendRef) bool { return weight(ref) > 0 }) {
		r.Unproven = "all its backends have the weight 0"
	}
	if len(rule.BackendRefs) == 0 && r.Redirect == 0 {
		r.Unproven = "its rule has neither a backend nor a redirect"
	}
	c.request = r
	return c
}

// weight is a backendRef's share, 1 where it has none.
func weight(ref gatewayv1.HTTPBackendRef) int32 {
	if ref.Weight == nil {
		return 1
	}
	return *ref.Weight
}
