package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// A Request is one that a route's match must answer.
type Request struct {
	// Route is the route that has the match; the zero ID for a request that no route takes.
	Route check.ID
	// Rule is the index of the rule in the route, and Match that of the match in the rule.
	Rule, Match int
	// Scheme is http or https, as the listener speaks it.
	Scheme, Method, Host string
	// Path is as it is sent: what a URL cannot have is percent-encoded, as in a match's value.
	Path string
	// Listener is the port of the listeners that take the request, and Port that of this machine which leads there.
	Listener int32
	Port     int
	// Query and Header are those that the match asks for, by name.
	Query, Header map[string]string
	// Carries are headers that the request has besides, for the rule's filters to remove.
	Carries map[string]string
	// Backends are the Services one of which must answer; none where the rule answers itself, or names something else than Services.
	Backends []Backend
	// Weighted: the Services get unequal shares, so that some requests need not meet all of them. Enough is how many meet each of them, if the
	// shares are kept evenly.
	Weighted bool
	Enough   int
	// Weights are the Services', in the order of Backends.
	Weights []int32
	// Redirect is the rule's, nil where it has none.
	Redirect *Redirect
	// Filters are the rule's that change the request or its answer, nil where it has none.
	Filters *Filters
	// Uses are the features that the rule uses, and this match of it.
	Uses []Use
	// Elsewhere is the match that takes requests for the match's own path, where this one is for a path below it; nil elsewhere.
	Elsewhere *Taker
	// Through are the Gateways that take the request.
	Through []Entry
	// Taker is the match that takes the request by the implementation's order, where the specification gives it to this one; nil elsewhere.
	Taker *Taker
	// Status is the one that the answer must have, as the route's annotation has it; 0 for any.
	Status int
	// Unproven says why no request can prove this match; empty when the request can be sent.
	Unproven string
}

// A Taker is a match that takes a request in the place of the one that the specification gives it to.
type Taker struct {
	Route    check.ID
	Rule     int // its index
	Backends []Backend
	// Why says what gives it precedence, and what the specification goes by.
	Why string
}

// String says which rule of which route it is.
func (t *Taker) String() string { return fmt.Sprintf("%s, rule %d", t.Route, t.Rule+1) }

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
	u := url.URL{Scheme: r.Scheme, Host: host, Path: decoded(r.Path), RawPath: r.Path}
	query := url.Values{}
	for name, value := range r.Query {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// PathOf is a URL's path as a Request has it, and the value of a match: as it is sent, but for characters that need not be encoded. See
// https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2.
func PathOf(u *url.URL) string {
	return encoded.ReplaceAllStringFunc(u.EscapedPath(), func(text string) string {
		if plain := decoded(text); unreserved.MatchString(plain) {
			return plain
		}
		return text
	})
}

var encoded, unreserved = regexp.MustCompile(`%[0-9A-Fa-f]{2}`), regexp.MustCompile(`^[A-Za-z0-9._~-]$`)

// decoded is a path without percent-encoding; one that is not encoded well stays as it is.
func decoded(path string) string {
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// samePath tells whether a path without percent-encoding is one as it is sent, but for a slash at the end.
func samePath(plain, sent string) bool {
	return strings.TrimSuffix(plain, "/") == strings.TrimSuffix(decoded(sent), "/")
}

// String is the request in a line, method and headers included; of a websocket's handshake, which is the same for each, the name alone.
func (r Request) String() string {
	text := r.URL()
	if r.Method != "GET" {
		text = r.Method + " " + text
	}
	for _, name := range slices.Sorted(keys(r.Header)) {
		if name == "Upgrade" || handshake[name] == "" || handshake[name] != r.Header[name] {
			text += fmt.Sprintf(" [%s: %s]", name, r.Header[name])
		}
	}
	return text
}

// framing are the headers that say how a body is sent. Go's client sets them itself, whatever a request has.
var framing = []string{"Content-Length", "Transfer-Encoding", "Trailer"}

func keys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

// Requests returns a request for each host and match of each route, such that this match and no other answers it: where another match of
// any of the routes would take a match's own path, a path below it is taken. Where the route's annotation has requests that the match takes, these
// are returned instead, and of what it has that proves nothing, one that says so. reach returns the port of this machine that leads to a
// listener's, and false where none does; the listener of a Gateway that is not there has port 0.
func (t *Table) Requests(reach func(listener int32) (int, bool)) []Request {
	requests := make([]Request, 0, len(t.matches))
	probed, strays := t.probed()
	for i := range t.matches {
		own := probed[&t.matches[i]]
		if len(own) == 0 {
			own = []Request{t.aim(&t.matches[i])}
		}
		for _, r := range own {
			requests = append(requests, t.carrying(r).at(reach))
		}
	}
	for _, stray := range strays {
		requests = append(requests, stray.as.at(reach))
	}
	return requests
}

// carrying returns a request with a value for each header that the rule's filters remove, as far as the same match takes it then.
func (t *Table) carrying(r Request) Request {
	if r.Unproven != "" || len(r.Filters.removes()) == 0 {
		return r
	}
	with := r
	with.Header, r.Carries = maps.Clone(r.Header), map[string]string{}
	winner := t.Takes(r)
	for _, name := range r.Filters.removes() {
		if _, has := headerOf(with, name); has {
			continue
		}
		if with.Header[name] = "kindgate-probe"; t.Takes(with) == winner {
			r.Carries[name] = with.Header[name]
		} else {
			delete(with.Header, name)
		}
	}
	return r
}

// at returns the request with the port of this machine that leads to its listener's.
func (r Request) at(reach func(listener int32) (int, bool)) Request {
	port, ok := reach(r.Listener)
	if !ok {
		port = int(r.Listener)
		r.Unproven = fmt.Sprintf("no port of this machine leads to its listener's port %d", r.Listener)
	}
	r.Port = port
	return r
}

// aim returns a request that a match takes and no other, or that the specification gives it, or says that there is none.
func (t *Table) aim(m *Match) Request {
	own := m.request
	if own.Unproven != "" {
		return own
	}
	var taken, lost *Request
	var elsewhere *Taker
	var why string
	for _, path := range m.paths() {
		r := own
		r.Path = path
		holding := t.holding(r)
		winner, tied := t.by.first(holding)
		specified, disputed := Order{}.first(holding)
		if specified == m && winner.Route == m.Route && winner.Rule == m.Rule { // on another of the route's hosts
			winner = m
		}
		switch {
		case winner == m && !tied && (specified == m || disputed):
			r.Elsewhere = elsewhere
			return r
		case winner == m && !tied && taken == nil:
			taken = &r
		case r.GRPC() && winner.Route.Kind != grpcRoute: // a POST to whatever that leads to is not harmless
		case specified == m && !disputed && !tied && lost == nil:
			r.Taker, lost = t.by.taker(winner, m), &r
		}
		if winner == m {
			winner = t.rival(m, holding)
		}
		if m.Route.Kind != grpcRoute { // whose paths are examples
			elsewhere = &Taker{Route: winner.Route, Rule: winner.Rule}
		}
		why = t.unproven(m, winner)
	}
	switch {
	case taken != nil:
		return *taken
	case lost != nil:
		return *lost
	}
	own.Unproven = why
	return own
}

// paths are those of the requests that may prove a match, the best first.
func (m *Match) paths() []string {
	switch {
	case m.Route.Kind == grpcRoute:
		return m.calls()
	case *m.Path.Type == gatewayv1.PathMatchPathPrefix:
		return []string{*m.Path.Value, strings.TrimSuffix(*m.Path.Value, "/") + "/kindgate-probe"}
	}
	return []string{*m.Path.Value}
}

// taker describes the match that takes a request, by the table's order, which the specification gives to another.
func (o Order) taker(winner, specifically *Match) *Taker {
	return &Taker{Route: winner.Route, Rule: winner.Rule, Backends: winner.request.Backends,
		Why: fmt.Sprintf("%s, where the specification goes by the %s", o.sums(winner, specifically), specified(specifically, winner))}
}

// unproven says why no request proves a match: another takes them all, or may.
func (t *Table) unproven(m, taker *Match) string {
	switch {
	case !t.by.contests(taker, m):
		why := "a match of " + taker.Route.String() + " takes its requests: " + t.by.ahead(taker, m)
		if taker.Route.Kind != m.Route.Kind { // see https://gateway-api.sigs.k8s.io/reference/spec/#grpcroutespec on hostnames
			why += "; the specification lets a listener have either an HTTPRoute or a GRPCRoute for a hostname"
		}
		return why
	case Order{}.contests(taker, m):
		return taker.Route.String() + " has the same match: which of the two takes the requests is the Gateway's choice"
	}
	return fmt.Sprintf("%s gives %s the same priority (%d): which of the two takes the requests changes with each new configuration",
		t.by.Name, taker, t.by.Priority(m))
}

// rival returns the match among those that hold for a request that ties with the given one.
func (t *Table) rival(m *Match, holding []*Match) *Match {
	for _, other := range holding {
		if t.by.contests(other, m) {
			return other
		}
	}
	return m
}

// plan returns a match of a rule on a host, with the request that asks for it.
func plan(route *Route, on host, rule gatewayv1.HTTPRouteRule, index int, match gatewayv1.HTTPRouteMatch) Match {
	c := Match{Route: route.ID, Rule: index, host: on.name, listens: on.listens, Headers: match.Headers, Params: match.QueryParams}
	if match.Path != nil {
		c.Path = *match.Path
	}
	if c.Path.Type == nil {
		prefix := gatewayv1.PathMatchPathPrefix
		c.Path.Type = &prefix
	}
	if c.Path.Value == nil {
		root := "/"
		c.Path.Value = &root
	}
	if match.Method != nil {
		c.Method = string(*match.Method)
	}
	r := Request{
		Route: c.Route, Scheme: on.scheme, Listener: on.listener, Through: on.through,
		Method: cmp.Or(c.Method, "GET"), Host: strings.Replace(on.name, "*", "any", 1), Path: *c.Path.Value,
		Query: map[string]string{}, Header: map[string]string{},
	}
	if c.Route.Kind == grpcRoute {
		r.Method, r.Path = "POST", c.calls()[0]
		if _, _, expression := c.called(); expression {
			r.Unproven = "its service or method is a regular expression"
		}
	} else if *c.Path.Type == gatewayv1.PathMatchRegularExpression {
		r.Unproven = "its path is a regular expression"
	}
	for _, header := range match.Headers {
		r.Header[string(header.Name)] = header.Value
		switch {
		case header.Type != nil && *header.Type != gatewayv1.HeaderMatchExact:
			r.Unproven = "it matches a header by a regular expression"
		case slices.Contains(framing, http.CanonicalHeaderKey(string(header.Name))):
			r.Unproven = "it matches the header " + string(header.Name) + ", which depends on a request's body: kindgate sends none"
		}
	}
	for _, param := range match.QueryParams {
		r.Query[string(param.Name)] = param.Value
		if param.Type != nil && *param.Type != gatewayv1.QueryParamMatchExact {
			r.Unproven = "it matches a query parameter by a regular expression"
		}
	}
	r.Redirect, r.Filters = redirectOf(rule, c.Path), filtersOf(rule, c.Rule, c.Path)
	var weights []int32
	for _, ref := range rule.BackendRefs {
		if weight(ref) == 0 || ref.Kind != nil && *ref.Kind != "Service" {
			continue
		}
		backend := Backend{Namespace: route.ID.Namespace, Name: string(ref.Name)}
		if ref.Namespace != nil {
			backend.Namespace = string(*ref.Namespace)
		}
		if ref.Port != nil {
			backend.Port = int32(*ref.Port)
		}
		r.Backends = append(r.Backends, backend)
		weights = append(weights, weight(ref))
	}
	r.Weights = weights
	r.Weighted = len(slices.Compact(slices.Clone(weights))) > 1
	if len(weights) > 0 {
		sum := int32(0)
		for _, w := range weights {
			sum += w
		}
		r.Enough = int((sum + slices.Min(weights) - 1) / slices.Min(weights))
	}
	if !r.Harmless() {
		r.Unproven = "a " + r.Method + " might change something in the application"
	}
	switch {
	case len(rule.BackendRefs) == 0 && r.Redirect == nil:
		c.idle = "its rule has neither a backend nor a redirect"
	case len(rule.BackendRefs) > 0 && !slices.ContainsFunc(rule.BackendRefs, func(ref gatewayv1.HTTPBackendRef) bool { return weight(ref) > 0 }):
		c.idle = "all its backends have the weight 0"
	}
	r.Unproven = cmp.Or(c.idle, r.Unproven)
	c.request = r
	return c
}

// Safe tells whether a request of a method may be sent without changing anything. See https://www.rfc-editor.org/rfc/rfc9110#section-9.2.1.
func Safe(method string) bool { return slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, method) }

// DefaultPort returns the port of a URL without one, by its scheme; empty for one that is neither http nor https.
func DefaultPort(scheme string) string {
	return map[string]string{"http": "80", "https": "443"}[scheme]
}

// weight is a backendRef's share, 1 where it has none.
func weight(ref gatewayv1.HTTPBackendRef) int32 {
	if ref.Weight == nil {
		return 1
	}
	return *ref.Weight
}
