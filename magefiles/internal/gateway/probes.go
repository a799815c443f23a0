package gateway

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kindgate/magefiles/internal/check"
)

// ProbeAnnotation is the annotation of an HTTPRoute that says by which requests its matches are proven.
const ProbeAnnotation = "kindgate/probe"

// A Probe is a request that proves the match which takes it, as the author of the route has written it.
type Probe struct {
	Method, Path  string
	Query, Header map[string]string
	// Status is the one that is expected, 0 for any.
	Status int
}

// String is what a Probe asks for, without the host.
func (p Probe) String() string { return p.Method + " " + p.Path }

// probeMethods are those that a probe may have: the Gateway API's that are requests to an application, see
// https://gateway-api.sigs.k8s.io/reference/spec/#httpmethod.
var probeMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// ReadProbes reads the value of the annotation: a line for each request, as POST /orders 201, the status being optional, and below it a line for
// each of its headers, as X-Tenant: a. The error joins all that is wrong, each with its line.
func ReadProbes(text string) ([]Probe, error) {
	var probes []Probe
	var problems []error
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("line %d: %s", i+1, fmt.Sprintf(format, args...)))
		}
		line = strings.TrimSpace(line)
		header := headerLine.FindStringSubmatch(line)
		switch {
		case line == "":
		case header == nil:
			probe, err := readProbe(line)
			if err != nil {
				problem("%v", err)
			}
			probes = append(probes, probe)
		case len(probes) == 0:
			problem("the header %s has no request above it", header[1])
		case canonical(header[1]) == "Host":
			problem("the host is that of the route: a header Host has no effect")
		default:
			probes[len(probes)-1].Header[canonical(header[1])] = header[2]
		}
	}
	for _, p := range probes {
		r := Request{Method: p.Method, Path: p.Path, Query: p.Query, Header: p.Header}
		if seen[r.String()] {
			problems = append(problems, fmt.Errorf("%s is there twice", p))
		}
		seen[r.String()] = true
	}
	if len(probes) == 0 && len(problems) == 0 {
		problems = append(problems, errors.New("it has no request"))
	}
	return probes, errors.Join(problems...)
}

// headerLine is a line with a header. See https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 for its name.
var headerLine = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*(.*)$")

// readProbe reads the line of a request.
func readProbe(line string) (Probe, error) {
	p := Probe{Query: map[string]string{}, Header: map[string]string{}}
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields) > 3 {
		return p, fmt.Errorf("%q is no request: a method, a path and perhaps a status are needed", line)
	}
	p.Method, p.Path = fields[0], fields[1]
	if !slices.Contains(probeMethods, p.Method) {
		return p, fmt.Errorf("%q is no method: write one of %s", p.Method, strings.Join(probeMethods, ", "))
	}
	u, err := url.ParseRequestURI(p.Path)
	if err != nil || !strings.HasPrefix(p.Path, "/") {
		return p, fmt.Errorf("%q is no path: it begins with /, and may end in a query", p.Path)
	}
	for name, values := range u.Query() {
		if p.Query[name] = values[0]; len(values) > 1 {
			return p, fmt.Errorf("the query parameter %s is there twice", name)
		}
	}
	p.Path = PathOf(u)
	if len(fields) == 3 {
		if p.Status, err = strconv.Atoi(fields[2]); err != nil || http.StatusText(p.Status) == "" || p.Status < 200 && p.Status != http.StatusSwitchingProtocols {
			return p, fmt.Errorf("%q is no status of an answer", fields[2])
		}
	}
	if p.Status == http.StatusSwitchingProtocols {
		if p.Method != http.MethodGet {
			return p, fmt.Errorf("a websocket begins with GET, not with %s", p.Method)
		}
		maps.Copy(p.Header, handshake)
	}
	return p, nil
}

// handshake is the header with which a client asks for a websocket, with the key of the specification's example. See
// https://www.rfc-editor.org/rfc/rfc6455#section-4.1.
var handshake = map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

// AcceptsWebsocket tells whether an answer's header is that of a server which has understood a request for a websocket. See
// https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2.
func (r *Request) AcceptsWebsocket(answer http.Header) bool {
	sum := sha1.Sum([]byte(r.Header["Sec-Websocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return answer.Get("Sec-Websocket-Accept") == base64.StdEncoding.EncodeToString(sum[:])
}

// A Stray is what a route's annotation has that proves nothing, and why.
type Stray struct {
	Route check.ID
	Why   string
	as    Request // that is not sent
}

// probed returns the requests of the routes' annotations by the match that takes each, and what of them proves nothing: an annotation that cannot
// be read, and a request that no match of its route takes. Of a route that no Gateway serves there are none.
func (t *Table) probed() (by map[*Match][]Request, strays []Stray) {
	by = map[*Match][]Request{}
	for _, route := range t.probing {
		own := t.of(route.ID)
		if len(own) == 0 {
			continue
		}
		stray := func(r Request, why string) {
			r.Unproven = "its annotation " + ProbeAnnotation + ": " + why
			strays = append(strays, Stray{route.ID, why, r})
		}
		probes, err := ReadProbes(route.Probe)
		if route.ID.Kind == grpcRoute {
			err = errors.New("it is for HTTPRoutes: what a GRPCRoute serves is proven by calls")
		}
		if err != nil {
			stray(own[0].request, strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		for _, probe := range probes {
			if lost, why := t.put(probe, own, by); why != "" {
				stray(lost, probe.String()+": "+why)
			}
		}
	}
	return by, strays
}

// of returns the matches of a route.
func (t *Table) of(route check.ID) []*Match {
	var own []*Match
	for i := range t.matches {
		if t.matches[i].Route == route {
			own = append(own, &t.matches[i])
		}
	}
	return own
}

// put adds a probe to the requests of the match that takes it, on each host of a route, which has the given matches. Where none of them takes it
// on any host, lost is it, and why says why.
func (t *Table) put(probe Probe, own []*Match, by map[*Match][]Request) (lost Request, why string) {
	asked, found := map[string]bool{}, false
	for _, m := range own {
		r := m.request
		r.Method, r.Path, r.Query, r.Header = probe.Method, probe.Path, probe.Query, probe.Header
		on := fmt.Sprint(r.Scheme, r.Host, r.Listener)
		if asked[on] {
			continue
		}
		asked[on] = true
		holding := t.holding(r)
		winner, tied := t.by.first(holding)
		switch {
		case winner == nil:
			lost, why = r, "no match of the route takes it, as of "+m.String()+", "+m.differs(r)
			continue
		case winner.Route != m.Route:
			lost, why = r, winner.String()+" takes it"
			continue
		}
		found = true
		r = winner.Taking(r)
		if r.Status, r.Unproven = probe.Status, winner.idle; tied && r.Unproven == "" {
			r.Unproven = t.unproven(winner, t.rival(winner, holding))
		}
		by[winner] = append(by[winner], r)
	}
	if found {
		why = ""
	}
	return lost, why
}

// Strays returns what of the routes' annotations proves nothing.
func (t *Table) Strays() []Stray {
	_, strays := t.probed()
	return strays
}
