package gateway

import (
	"slices"
	"strings"
	"testing"
)

// longer gives precedence to the longer path, and nothing else.
var longer = Order{Name: "Longer", Priority: func(m *Match) int { return len(*m.Path.Value) }}

func TestForEachPairOfMatchesThatCanMeetThereIsTheRequestInWhichTheyDo(t *testing.T) {
	for _, test := range []struct {
		name  string
		order Order
		specs []string
		want  []string // the specification's winner by its route, rule and match, then the request
	}{
		{"a header and a parameter", Order{}, []string{on("a.x", "{headers: [{name: h, value: v}]}"), on("a.x", "{queryParams: [{name: q, value: w}]}")},
			[]string{"0/1/1 http://a.x/?q=w [h: v]"}},
		{"a method is taken over", Order{}, []string{on("a.x", "{method: HEAD}"), on("a.x", "{headers: [{name: h, value: v}]}")}, []string{"0/1/1 HEAD http://a.x/ [h: v]"}},
		{"two methods never meet", Order{}, []string{on("a.x", "{method: HEAD}"), on("a.x", "{method: GET}")}, nil},
		{"nor do two values of a header", Order{}, []string{on("a.x", "{headers: [{name: h, value: v}]}"), on("a.x", "{headers: [{name: H, value: w}]}")}, nil},
		{"nor two paths", Order{}, []string{on("a.x", "{path: {value: /a}}"), on("a.x", "{path: {value: /ab}}")}, nil},
		{"an expression may, and it is not known where", Order{}, []string{on("a.x", "{path: {type: RegularExpression, value: '/.*'}}"), on("a.x", "{}")}, nil},
		{"a request that is sent anyway", Order{}, []string{on("a.x", "{path: {value: /a}}"), on("a.x", "{}")}, nil},
		{"a wildcard's path on a host", Order{}, []string{on("'*.x'", "{path: {value: /a}}"), on("a.x", "{}")}, []string{"1/1/1 http://a.x/a"}},
		{"two wildcards", Order{}, []string{on("'*.x'", "{path: {value: /a}}"), on("'*.y.x'", "{}")}, []string{"1/1/1 http://any.y.x/a"}},
		{"two wildcards, the narrower first", Order{}, []string{on("'*.y.x'", "{}"), on("'*.x'", "{path: {value: /a}}")}, []string{"0/1/1 http://any.y.x/a"}},
		{"another order", longer, []string{on("'*.x'", "{path: {value: /a}}"), on("a.x", "{}")}, []string{"1/1/1 http://a.x/a taken by 0/1"}},
		{"equal in another order", longer, []string{on("'*.x'", "{headers: [{name: h, value: v}]}"), on("a.x", "{queryParams: [{name: q, value: w}]}")}, []string{"1/1/1 http://a.x/?q=w [h: v] -"}},
		{"the specification's winner may not be asked", Order{}, []string{on("a.x", "{method: POST}"), on("a.x", "{headers: [{name: h, value: v}]}")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := routes(t, test.specs...)
			for i := range all {
				all[i].ID.Name = string(rune('0' + i))
			}
			table := Compile(all, gatewaysOf(t, web), test.order)
			overlaps, skipped := table.Overlaps(table.Requests(reach), 10, reach)
			var got []string
			for _, r := range overlaps {
				line := strings.NewReplacer("HTTPRoute/demo/", "", ", rule ", "/", ", match ", "/").Replace((&Match{Route: r.Route, Rule: r.Rule, Index: r.Match}).String()) + " " + r.String()
				if r.Taker != nil {
					line += " taken by " + strings.NewReplacer("HTTPRoute/demo/", "", ", rule ", "/").Replace(r.Taker.String())
				}
				if r.Unproven != "" {
					line += " -"
				}
				got = append(got, line)
			}
			if !slices.Equal(got, test.want) || skipped != 0 {
				t.Errorf("%q, want %q; %d skipped", got, test.want, skipped)
			}
			if some, skipped := table.Overlaps(table.Requests(reach), 0, reach); len(some) != 0 || skipped < len(test.want) {
				t.Errorf("%v, %d skipped where none may be sent", some, skipped)
			}
		})
	}
}

func TestOfEqualPrioritiesTheUnprovenMatchSaysWhoseTheOtherIs(t *testing.T) {
	all := routes(t, on("'*.x'", "{}"), on("a.x", "{}"))
	all[1].ID.Name = "host"
	requests := Compile(all, gatewaysOf(t, web), Order{Name: "All", Priority: func(*Match) int { return 7 }}).Requests(reach)
	const want = "All gives HTTPRoute/demo/r, rule 1, match 1 the same priority (7): which of the two takes the requests changes with each new configuration"
	if requests[1].Unproven != want {
		t.Errorf("%q", requests[1].Unproven)
	}
}

func TestAMatchThatOnlyTheOrderGivesItsRequestsIsProven(t *testing.T) {
	all := routes(t, on("'*.x'", "{path: {value: /a}}"), on("any.x", "{path: {value: /}}"))
	all[1].ID.Name = "host"
	request := Compile(all, gatewaysOf(t, web), longer).Requests(reach)[0]
	if request.Unproven != "" || request.Taker != nil || request.Path != "/a" {
		t.Errorf("%+v", request)
	}
}

func TestAMatchThatLosesAllItsRequestsByTheOrderSaysToWhich(t *testing.T) {
	first := Order{Name: "First", Priority: func(m *Match) int { return -m.order }}
	all := routes(t, on("'*.x'", "{}"), on("a.x", "{}"))
	all[1].ID.Name = "host"
	request := Compile(all, gatewaysOf(t, web), first).Requests(reach)[1]
	if request.Taker == nil || request.Path != "/" || request.Taker.Why != "First gives it the priority 0, and -1 to HTTPRoute/demo/host, rule 1, match 1, where the specification goes by the host" {
		t.Errorf("%+v", request.Taker)
	}
	winner, _, losses := Compile(all, gatewaysOf(t, web), first).Match(request)
	if winner.Route.Name != "r" || losses[0].Why != "HTTPRoute/demo/r, rule 1, match 1 has precedence: First gives it the priority 0, and -1 to this one" {
		t.Errorf("%s: %+v", winner, losses)
	}
}

func TestARuleDoesNotLoseARequestToItselfOnAnotherOfItsHosts(t *testing.T) {
	spec := strings.Replace(on("a.x", "{}, {path: {value: /a}}"), "[a.x]", "['*.x', any.x]", 1)
	if !strings.Contains(spec, "any.x") {
		t.Fatal(spec)
	}
	table := Compile(append(routes(t, spec), routes(t, on("any.x", "{headers: [{name: h, value: v}]}"))...), gatewaysOf(t, web), longer)
	overlaps, _ := table.Overlaps(nil, 10, reach)
	for _, r := range append(table.Requests(reach), overlaps...) {
		if r.Taker != nil && r.Taker.Route == r.Route && r.Taker.Rule == r.Rule {
			t.Errorf("%s: taken by %s", r, r.Taker)
		}
	}
}
