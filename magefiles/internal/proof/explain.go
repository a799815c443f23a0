package proof

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
)

// An Explanation says which match takes a request, and why the others do not.
type Explanation struct {
	// Request is the one that is explained.
	Request gateway.Request
	// Winner takes it, by the implementation's order of precedence; nil where nothing does. Tied: another may as well.
	Winner *gateway.Match
	Tied   bool
	// Losses are the other matches: first those that are for the request's host.
	Losses []gateway.Loss
	// Specified is the match that the specification gives the request to, nil where that is the winner.
	Specified *gateway.Match
	// Listeners are those of the Gateways, with why they do not take it.
	Listeners []gateway.Hearing
	// Filters are the types of those of the winner's rule, and Backends where it sends the request.
	Filters  []string
	Backends []Backing
	// Choice is what the data plane's own list of routers says of the winner; nil without a cluster.
	Choice *check.Finding
	// Nearest are the matches that miss the request by the least, where none takes it.
	Nearest []gateway.Miss
	// Unsent says why the request is not sent, though there is a cluster; empty where it is.
	Unsent string
	// Hops is what was found of its way through the cluster, as far as the first hop that is broken; none without a cluster.
	Hops []check.Result
}

// A Backing is a Service that a rule sends requests to.
type Backing struct {
	gateway.Backend
	// Weight is its share, of Sum.
	Weight, Sum int32
	// Ready is how many ready endpoints it has, -1 without a cluster.
	Ready int
}

// mostNear bounds the matches that are said to be near.
const mostNear = 3

// Explain says what becomes of a request, of which Method, Header and the URL's parts count. s is the cluster's state, nil where there is
// none: then the manifests alone decide, and nothing is sent. Nor is a request whose method may change something.
func (p *Proof) Explain(ctx context.Context, request gateway.Request, s *Snapshot) Explanation {
	routes, gateways := p.Routes, p.Gateways
	var table *gateway.Table
	if s != nil {
		routes, gateways, table = p.served(s), p.known(s), p.table(s)
	} else {
		table = gateway.Compile(routes, gateways, p.Order)
	}
	e := Explanation{Request: request, Listeners: gateway.Hear(request, gateways)}
	e.Winner, e.Tied, e.Losses = table.Match(request)
	slices.SortStableFunc(e.Losses, func(a, b gateway.Loss) int { return rankOf(a) - rankOf(b) })
	if e.Winner == nil {
		e.Nearest = table.Nearest(request, mostNear, p.reach)
		return e
	}
	specified, disputed, _ := gateway.Compile(routes, gateways, gateway.Order{}).Match(request)
	if !disputed && specified.String() != e.Winner.String() {
		e.Specified = specified
	}
	taken := e.Winner.Taking(request)
	taken.Unproven = ""
	e.Filters, e.Backends = filterTypes(routes, e.Winner), backing(taken, s)
	if s == nil {
		return e
	}
	taken = p.permitted(taken)
	t := trial{p, taken, s}
	if p.Lists.Read != nil {
		choice := dataPlane{t}.chosen(ctx, e.Winner)
		e.Choice = &choice
	}
	if taken.Unproven != "" {
		e.Unsent = taken.Unproven
		return e
	}
	if !taken.Harmless() {
		e.Unsent = "a " + request.Method + " might change something in the application"
		return e
	}
	for _, hop := range (way{t, t.prove(ctx)}).hops() {
		e.Hops = append(e.Hops, check.Result{Check: hop, Finding: hop.Judge(ctx)})
		if e.Hops[len(e.Hops)-1].Fails() {
			break
		}
	}
	return e
}

// filterTypes are those of the rule of a match, in their order.
func filterTypes(routes []gateway.Route, m *gateway.Match) []string {
	var types []string
	for i := range routes {
		if routes[i].ID != m.Route || m.Rule >= len(routes[i].Spec.Rules) {
			continue
		}
		for _, filter := range routes[i].Spec.Rules[m.Rule].Filters {
			types = append(types, string(filter.Type))
		}
	}
	return types
}

// backing are the Services of a request with their shares, and as far as s is given, with their endpoints.
func backing(request gateway.Request, s *Snapshot) []Backing {
	sum := int32(0)
	for _, weight := range request.Weights {
		sum += weight
	}
	var all []Backing
	for i, backend := range request.Backends {
		b := Backing{backend, request.Weights[i], sum, -1}
		if s != nil {
			behind := s.behind(backend)
			b.Ready = len(behind.ready) + behind.others
		}
		all = append(all, b)
	}
	return all
}

func rankOf(loss gateway.Loss) int {
	if loss.Host {
		return 0
	}
	return 1
}

// Asked returns the request for a URL, of a method and with header lines "Name: value". The error says what is wrong with them, or that no
// listener's port is reached at the URL's.
func (p *Proof) Asked(rawURL, method string, headers []string) (gateway.Request, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return gateway.Request{}, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return gateway.Request{}, fmt.Errorf("%q is no URL of a request: it begins with http:// or https:// and a hostname", rawURL)
	}
	r := gateway.Request{Scheme: u.Scheme, Method: strings.ToUpper(method), Host: strings.ToLower(u.Hostname()), Path: cmp.Or(gateway.PathOf(u), "/"),
		Query: map[string]string{}, Header: map[string]string{}}
	for name, values := range u.Query() {
		r.Query[name] = values[0]
	}
	for _, line := range headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return r, fmt.Errorf("%q is no header: write it as Name: value", line)
		}
		r.Header[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	var reached []string
	for _, port := range p.ports(p.Gateways) {
		if u.Port() == strconv.Itoa(port.here) || u.Port() == "" && port.scheme == u.Scheme {
			r.Listener, r.Port = port.listener, port.here
			return r, nil
		}
		reached = append(reached, fmt.Sprintf("%s at %d", port.scheme, port.here))
	}
	where := ""
	if p.Place.Node(r.Port) != "" {
		where = " of this machine"
	}
	return r, fmt.Errorf("no listener is reached at port %s%s: %s",
		cmp.Or(u.Port(), gateway.DefaultPort(u.Scheme)), where, cmp.Or(strings.Join(reached, ", "), "there is none"))
}
