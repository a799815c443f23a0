package gateway

import (
	"fmt"
	"slices"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// longestFirst is an order of precedence that is not the specification's: by the longest hostname, and nothing else.
var longestFirst = Order{Name: "Longer", Priority: func(m *Match) int { return m.Longest }}

func TestAMatchIsShadowedWhereAnotherTakesAllOfItsRequests(t *testing.T) {
	prefix := func(path string) string { return "{path: {value: " + path + "}}" }
	rules := func(hosts string, matches ...string) string {
		text := "hostnames: [" + hosts + "], rules: ["
		for _, m := range matches {
			text += "{matches: [" + m + "], " + to + "},"
		}
		return text + "]"
	}
	for _, test := range []struct {
		name   string
		order  Order
		routes []string
		want   []string // rule by rule: who takes what
	}{
		{"different paths", Order{}, []string{rules("a.x", prefix("/a"), prefix("/b"))}, nil},
		{"the same match in a later rule", Order{}, []string{rules("a.x", prefix("/a"), prefix("/a"))}, []string{"r0/1 by r0/0"}},
		{"the same match twice in one rule", Order{}, []string{rules("a.x", prefix("/a")+", "+prefix("/a"))}, nil},
		{"the same match in two routes", Order{}, []string{rules("a.x", prefix("/a")), rules("a.x", prefix("/a"))}, []string{"r1/0 tied with r0/0"}},
		{"the same on one of two hosts", Order{}, []string{rules("a.x", prefix("/a")), rules("a.x, b.x", prefix("/a"))},
			[]string{"r1/0 tied with r0/0 on http://a.x at port 8000"}},
		{"the same for every host", Order{}, []string{"rules: [{" + to + "}]", "rules: [{" + to + "}]"}, []string{"r1/0 tied with r0/0"}},
		{"every host on the way to another host", longestFirst, []string{"rules: [{" + to + "}]", rules("a.x", prefix("/"))}, nil},
		{"a longer path behind a shorter", Order{}, []string{rules("a.x", prefix("/a"), prefix("/a/b"))}, nil},
		{"a wildcard before a host", longestFirst, []string{rules("'*.x', long.name.y", prefix("/")), rules("a.x", prefix("/a/b"))}, []string{"r1/0 by r0/0"}},
		{"a wildcard that is tied with a host", longestFirst, []string{rules("a.x", prefix("/a")), rules("'*.x'", prefix("/"))}, []string{"r0/0 tied with r1/0"}},
		{"one that has precedence before one that is tied", longestFirst,
			[]string{rules("a.x", prefix("/a")), rules("a.x", prefix("/")), rules("'*.x', b.x.y", prefix("/"))}, []string{"r0/0 by r2/0", "r1/0 by r2/0"}},
		{"a wildcard for another wildcard", longestFirst, []string{rules("'*.x', long.name.y", prefix("/")), rules("'*.a.x'", prefix("/"))}, []string{"r1/0 by r0/0"}},
		{"a host is not for a wildcard", longestFirst, []string{rules("long.x", prefix("/")), rules("'*.x'", prefix("/"))}, nil},
		{"an exact path below a prefix", longestFirst, []string{rules("a.x, long.name.y", prefix("/a")), rules("a.x", "{path: {type: Exact, value: /a/b}}")}, []string{"r1/0 by r0/0"}},
		{"a prefix is more than an exact path", longestFirst, []string{rules("a.x, long.name.y", "{path: {type: Exact, value: /a}}"), rules("a.x", prefix("/a"))}, nil},
		{"an expression below the root", longestFirst, []string{rules("a.x, long.name.y", prefix("/")), rules("a.x", "{path: {type: RegularExpression, value: /a.*}}")}, []string{"r1/0 by r0/0"}},
		{"an expression is not looked into", longestFirst, []string{rules("a.x, long.name.y", "{path: {type: RegularExpression, value: /.*}}"), rules("a.x", prefix("/a"))}, nil},
		{"a path below an expression's", longestFirst, []string{rules("a.x, long.name.y", prefix("/a")), rules("a.x", "{path: {type: RegularExpression, value: /a/.*}}")}, nil},
		{"a method of all", longestFirst, []string{rules("a.x, long.name.y", prefix("/")), rules("a.x", "{method: GET}")}, []string{"r1/0 by r0/0"}},
		{"all methods of one", longestFirst, []string{rules("a.x, long.name.y", "{method: GET}"), rules("a.x", prefix("/"))}, nil},
		{"a header more", longestFirst, []string{rules("a.x, long.name.y", "{headers: [{name: X-A, value: v}]}"), rules("a.x", "{headers: [{name: x-a, value: v}, {name: b, value: v}]}")},
			[]string{"r1/0 by r0/0"}},
		{"another value of a header", longestFirst, []string{rules("a.x, long.name.y", "{headers: [{name: a, value: v}]}"), rules("a.x", "{headers: [{name: a, value: w}]}")}, nil},
		{"an expression of a header", longestFirst, []string{rules("a.x, long.name.y", "{headers: [{name: a, value: v}]}"),
			rules("a.x", "{headers: [{name: a, value: v, type: RegularExpression}]}")}, nil},
		{"a parameter more", longestFirst, []string{rules("a.x, long.name.y", prefix("/")), rules("a.x", "{queryParams: [{name: a, value: v}]}")}, []string{"r1/0 by r0/0"}},
		{"another parameter", longestFirst, []string{rules("a.x, long.name.y", "{queryParams: [{name: b, value: v}]}"), rules("a.x", "{queryParams: [{name: a, value: v}]}")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := routes(t, test.routes...)
			for i := range all {
				all[i].ID.Name = fmt.Sprintf("r%d", i)
			}
			var got []string
			for _, s := range Compile(all, gatewaysOf(t, web), test.order).Shadows() {
				how := " by "
				if s.Tied {
					how = " tied with "
				}
				text := fmt.Sprintf("%s/%d%s%s/%d", s.Match.Route.Name, s.Match.Rule, how, s.Taker.Route.Name, s.Taker.Rule)
				if s.On != "" {
					text += " on " + s.On
				}
				if s.Why == "" {
					t.Error("nothing says why")
				}
				got = append(got, text)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestListenersOfDifferentHostnamesMayKeepTheirRequestsApart(t *testing.T) {
	gws := gatewaysOf(t, `{metadata: {namespace: traefik, name: gw}, spec: {gatewayClassName: traefik, listeners: [
	{name: all, port: 8000, protocol: HTTP}, {name: wild, port: 8000, protocol: HTTP, hostname: '*.x'}, {name: one, port: 8000, protocol: HTTP, hostname: a.x}]}}`)
	all := routes(t, "hostnames: ['*.x', long.name.y], rules: [{"+to+"}]", "hostnames: [a.x], rules: [{"+to+"}]")
	all[1].ID.Name = "one"
	attach := func(i int, sections ...gatewayv1.SectionName) {
		refs := []gatewayv1.ParentReference{}
		for _, section := range sections {
			ref := all[i].Spec.ParentRefs[0]
			ref.SectionName = &section
			refs = append(refs, ref)
		}
		all[i].Spec.ParentRefs = refs
	}
	attach(0, "all")
	for _, test := range []struct {
		section  []gatewayv1.SectionName
		shadowed bool
	}{{[]gatewayv1.SectionName{"all"}, true}, {[]gatewayv1.SectionName{"one"}, false}, {[]gatewayv1.SectionName{"all", "wild", "one"}, false}} {
		one := all[1].Spec.ParentRefs
		attach(1, test.section...)
		if got := Compile(all, gws, longestFirst).Shadows(); (len(got) > 0) != test.shadowed {
			t.Errorf("on %v: %v", test.section, got)
		}
		all[1].Spec.ParentRefs = one
	}
}

func TestHostnamesMeetWhereAHostIsOfBoth(t *testing.T) {
	for _, test := range []struct {
		a, b string
		meet bool
	}{{"", "a.x", true}, {"a.x", "", true}, {"a.x", "a.x", true}, {"*.x", "a.x", true}, {"b.a.x", "*.x", true}, {"*.a.x", "*.x", true}, {"a.x", "b.x", false}, {"*.x", "x", false}} {
		if Meet(test.a, test.b) != test.meet {
			t.Errorf("%q and %q", test.a, test.b)
		}
	}
}
