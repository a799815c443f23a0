package gateway

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// A Request is one that a route's match must answer.
type Request struct {
	// Route is the HTTPRoute; the zero ID for a request that no route takes.
	Route check.ID
	// Scheme is http or https, as the listener speaks it.
	Scheme, Method, Host, Path string
	// Listener is the port of the listeners that take the request, and Port that of this machine which leads there.
	Listener int32
	Port     int
	// Query and Header are those that the match asks for, by name.
	Query, Header map[string]string
	// Backends are the Services one of which must answer; none where the rule answers itself, or names something else than Services.
	Backends []Backend
	// Weighted: the Services get unequal shares, so that some requests need not meet all of them.
	Weighted bool
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

// Hostnames returns the names that the routes are served under, sorted and once each; wildcards are left out, as no name of theirs is
// better than another.
func Hostnames(routes []gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway) []string {
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

// Unrouted returns a host that no route answers, to see that the gateway refuses it, and false where some route answers every host.
func Unrouted(routes []gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway) (string, bool) {
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
func hosts(route *gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway) []host {
	var found []host
	add := func(name string, listener gatewayv1.Listener, key parentKey) {
		scheme := "http"
		if listener.Protocol == gatewayv1.HTTPSProtocolType {
			scheme = "https"
		}
		i := slices.IndexFunc(found, func(h host) bool {
			return h.name == name && h.scheme == scheme && h.listener == int32(listener.Port)
		})
		if i < 0 {
			found = append(found, host{name: name, scheme: scheme, listener: int32(listener.Port)})
			i = len(found) - 1
		}
		found[i].enter(check.ID{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name}, listener.Name)
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
			if listener.Protocol != gatewayv1.HTTPProtocolType && listener.Protocol != gatewayv1.HTTPSProtocolType {
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

// covers tells whether a hostname, perhaps a wildcard, stands for another: *.a covers b.a, c.b.a and *.b.a, not a.
func covers(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(strings.TrimPrefix(name, "*"), suffix)
	}
	return pattern == name
}

// candidate is one match of one rule on one host.
type candidate struct {
	request Request
	host    string // as the route has it
	path    gatewayv1.HTTPPathMatch
	method  string
	order   int
}

// Requests returns a request for each host and match of each route, such that this match and no other answers it: where a more specific
// match of any of the routes would take a match's own path, a path below it is taken. reach returns the port of this machine that leads to
// a listener's, and false where none does; the listener of a Gateway that is not there has port 0.
func Requests(routes []gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway, reach func(listener int32) (int, bool)) []Request {
	var all []candidate
	for i := range routes {
		all = append(all, candidates(&routes[i], gateways)...)
	}
	byHost := map[string][]*candidate{}
	var wildcards []*candidate
	for i := range all {
		request, ok := &all[i].request, false
		if request.Port, ok = reach(request.Listener); !ok {
			request.Port = int(request.Listener)
			request.Unproven = fmt.Sprintf("no port of this machine leads to its listener's port %d", request.Listener)
		}
		all[i].order = i
		if strings.HasPrefix(all[i].host, "*") || all[i].host == anyHost {
			wildcards = append(wildcards, &all[i])
		} else {
			byHost[all[i].host] = append(byHost[all[i].host], &all[i])
		}
	}
	requests := make([]Request, len(all))
	for i := range all {
		own := &all[i]
		if own.request.Unproven == "" {
			aim(own, append(slices.Clone(byHost[own.request.Host]), wildcards...))
		}
		requests[i] = own.request
	}
	return requests
}

// RouteID returns an HTTPRoute's identity.
func RouteID(route *gatewayv1.HTTPRoute) check.ID {
	return check.ID{Kind: "HTTPRoute", Namespace: route.Namespace, Name: route.Name}
}

func candidates(route *gatewayv1.HTTPRoute, gateways []gatewayv1.Gateway) []candidate {
	var found []candidate
	for _, host := range hosts(route, gateways) {
		for _, rule := range route.Spec.Rules {
			matches := rule.Matches
			if len(matches) == 0 {
				matches = []gatewayv1.HTTPRouteMatch{{}}
			}
			for _, match := range matches {
				found = append(found, plan(route, host, rule, match))
			}
		}
	}
	return found
}

func plan(route *gatewayv1.HTTPRoute, on host, rule gatewayv1.HTTPRouteRule, match gatewayv1.HTTPRouteMatch) candidate {
	c := candidate{host: on.name, path: gatewayv1.HTTPPathMatch{}}
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
		Route: RouteID(route), Scheme: on.scheme, Listener: on.listener, Through: on.through,
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
	r.Weighted = len(slices.Compact(weights)) > 1
	if !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, r.Method) {
		r.Unproven = "a " + r.Method + " might change something in the application"
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

// aim chooses a path for a candidate's request that no rival takes.
func aim(own *candidate, rivals []*candidate) {
	paths := []string{*own.path.Value}
	if *own.path.Type == gatewayv1.PathMatchPathPrefix {
		paths = append(paths, strings.TrimSuffix(*own.path.Value, "/")+"/kindgate-probe")
	}
	var taker *candidate
	for _, path := range paths {
		request := own.request
		request.Path = path
		winner := own
		for _, rival := range rivals {
			if rival.answers(request) && (rival.before(winner) || winner == own && rival.contests(own)) {
				winner = rival
			}
		}
		if winner == own {
			own.request.Path = path
			return
		}
		taker = winner
	}
	if taker.contests(own) {
		own.request.Unproven = taker.request.Route.String() + " has the same match: which of the two takes the requests is the Gateway's choice"
		return
	}
	own.request.Unproven = "a more specific match of " + taker.request.Route.String() + " takes its requests"
}

// answers tells whether a candidate's match holds for a request.
func (c *candidate) answers(r Request) bool {
	if c.host != anyHost && !covers(c.host, r.Host) || c.request.Scheme != r.Scheme || c.request.Listener != r.Listener || c.method != "" && c.method != r.Method {
		return false
	}
	value := *c.path.Value
	switch *c.path.Type {
	case gatewayv1.PathMatchExact:
		if r.Path != value {
			return false
		}
	case gatewayv1.PathMatchPathPrefix:
		prefix := strings.TrimSuffix(value, "/")
		if r.Path != prefix && !strings.HasPrefix(r.Path, prefix+"/") {
			return false
		}
	default:
		if matches, err := regexp.MatchString(value, r.Path); err != nil || !matches {
			return false
		}
	}
	return subset(c.request.Header, r.Header) && subset(c.request.Query, r.Query)
}

func subset(of, all map[string]string) bool {
	for name, value := range of {
		if all[name] != value {
			return false
		}
	}
	return true
}

// before tells whether a candidate's match has precedence over another's, among equals the first rule's of the first route.
func (c *candidate) before(other *candidate) bool {
	rank := slices.Compare(c.rank(), other.rank())
	return rank > 0 || rank == 0 && c.order < other.order
}

// contests tells whether a candidate is another route's of the same rank. The specification gives precedence to the older route, Traefik
// does not.
func (c *candidate) contests(other *candidate) bool {
	return c.request.Route != other.request.Route && slices.Equal(c.rank(), other.rank())
}

// rank is what gives a match precedence: the more specific host, then an exact path, the longer prefix, a method, more headers, more
// query parameters. See https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule on matches.
func (c *candidate) rank() []int {
	host := len(c.host)
	if c.host == anyHost {
		host = 0
	} else if !strings.HasPrefix(c.host, "*") {
		host += 1000
	}
	exact, method := 0, 0
	switch *c.path.Type {
	case gatewayv1.PathMatchExact:
		exact = 1
	case gatewayv1.PathMatchRegularExpression:
		exact = 2 // its rank is the implementation's: what it might take proves nothing
	}
	if c.method != "" {
		method = 1
	}
	return []int{host, exact, len(*c.path.Value), method, len(c.request.Header), len(c.request.Query)}
}
