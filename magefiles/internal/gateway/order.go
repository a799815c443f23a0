package gateway

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// An Order decides which of several matches that hold for a request takes it. The zero Order is the specification's, see
// https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule on matches: the more specific hostname, then an exact path, the longer
// prefix, a method, more headers, more query parameters; and of GRPCRoutes #grpcrouterule: the more specific hostname, the longer service, the
// longer method, more headers.
type Order struct {
	// Name is whose order it is, and Priority what it gives a match: the most has precedence, of equals any. Matches of one rule may be equal.
	Name     string
	Priority func(*Match) int
}

// rank is what gives a match precedence, the first that differs deciding.
func (o Order) rank(m *Match) []int {
	if o.Priority != nil {
		return []int{o.Priority(m)}
	}
	host := len(m.host)
	if m.host == anyHost {
		host = 0
	} else if !strings.HasPrefix(m.host, "*") {
		host += 1000
	}
	if m.Route.Kind == grpcRoute {
		return append([]int{host}, m.rankOfCalls()...)
	}
	exact, method := 0, 0
	switch *m.Path.Type {
	case gatewayv1.PathMatchExact:
		exact = 1
	case gatewayv1.PathMatchRegularExpression:
		exact = 2 // its rank is the implementation's: what it might take proves nothing
	}
	if m.Method != "" {
		method = 1
	}
	return []int{host, exact, len(*m.Path.Value), method, len(m.Headers), len(m.Params)}
}

// ranked are what the specification's rank compares.
var ranked = []string{"host", "kind of path", "path", "method", "headers", "query parameters"}

// first returns the match that has precedence, nil of none, and whether it is tied with another.
func (o Order) first(matches []*Match) (winner *Match, tied bool) {
	for _, m := range matches {
		switch {
		case winner == nil || o.before(m, winner):
			tied = winner != nil && o.contests(m, winner)
			winner = m
		case o.contests(m, winner):
			tied = true
		}
	}
	return winner, tied
}

// before tells whether a match has precedence over another, among equals the first rule's of the first route.
func (o Order) before(m, other *Match) bool {
	rank := slices.Compare(o.rank(m), o.rank(other))
	return rank > 0 || rank == 0 && m.order < other.order
}

// contests tells whether nothing gives one of two matches precedence. In the specification the first rule of a route does, and an older
// route: no implementation that kindgate knows heeds its age.
func (o Order) contests(m, other *Match) bool {
	apart := m.Route != other.Route || o.Priority != nil && m.Rule != other.Rule
	mine, its := o.rank(m), o.rank(other)
	kinds := o.Priority == nil && m.Route.Kind != other.Route.Kind // of which the host alone gives precedence
	return apart && (slices.Equal(mine, its) || kinds && mine[0] == its[0])
}

// ahead says by what a match has precedence over another that holds, too.
func (o Order) ahead(m, other *Match) string {
	switch {
	case o.contests(m, other):
		return m.String() + " is the same: which of the two takes the request is the Gateway's choice"
	case slices.Equal(o.rank(m), o.rank(other)):
		return m.String() + " is the same, and comes first"
	case o.Priority != nil:
		return fmt.Sprintf("%s has precedence: %s gives it the priority %d, and %d to this one", m, o.Name, o.Priority(m), o.Priority(other))
	}
	return m.String() + " has precedence by its " + specified(m, other)
}

// sums says what priorities two matches have.
func (o Order) sums(m, other *Match) string {
	return fmt.Sprintf("%s gives it the priority %d, and %d to %s", o.Name, o.Priority(m), o.Priority(other), other)
}

// specified names what gives a match precedence over another in the specification: the first that differs of what it compares.
func specified(m, other *Match) string {
	mine, its := Order{}.rank(m), Order{}.rank(other)
	for i, name := range ranked {
		switch {
		case mine[i] != its[i] && name == "path" && m.Route.Kind == grpcRoute:
			return "service"
		case mine[i] != its[i]:
			return name
		}
	}
	return "place in the route"
}
