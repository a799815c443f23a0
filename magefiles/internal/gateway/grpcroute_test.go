package gateway

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// calls is a GRPCRoute of the name r with some rules on g.x.
func calls(t *testing.T, name, rules string) Route {
	t.Helper()
	r := parse[gatewayv1.GRPCRoute](t, "{metadata: {namespace: demo, name: "+name+", generation: 2}, spec: {parentRefs: [{name: gw, namespace: traefik}], "+
		"hostnames: [g.x], rules: ["+rules+"]}}")
	return FromGRPC(&r)
}

func TestEveryMatchOfAGRPCRouteIsProvenByACallThatItTakes(t *testing.T) {
	const health, echo = "POST http://g.x/grpc.health.v1.Health/Check", "POST http://g.x/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"
	for match, want := range map[string][]string{
		"{matches: [{}], TO}": {health},
		"{TO}":                {health},
		"{matches: [{method: {service: a.B, method: Get}}], TO}":                                                                 {"POST http://g.x/a.B/Get"},
		"{matches: [{method: {service: a.B}}], TO}":                                                                              {"POST http://g.x/a.B/Probe"},
		"{matches: [{method: {service: grpc.health.v1.Health}}], TO}":                                                            {health},
		"{matches: [{method: {service: gateway_api_conformance.echo_basic.grpcecho.GrpcEcho}}], TO}":                             {echo},
		"{matches: [{method: {method: Get}}], TO}":                                                                               {"POST http://g.x/kindgate.Probe/Get"},
		"{matches: [{method: {method: Get, type: RegularExpression}}], TO}":                                                      {"POST http://g.x/kindgate.Probe/Get"},
		"{matches: [{method: {service: a.B, type: RegularExpression}}], TO}":                                                     {"-"},
		"{matches: [{method: {service: 'a.*', method: G, type: RegularExpression}}], TO}":                                        {"-"},
		"{matches: [{method: {method: 'G.*', type: RegularExpression}}], TO}":                                                    {"-"},
		"{matches: [{method: {service: a.B, method: Get}, headers: [{name: x, value: v}]}], TO}":                                 {"POST http://g.x/a.B/Get [x: v]"},
		"{matches: [{headers: [{name: x, value: v, type: RegularExpression}]}], TO}":                                             {"-"},
		"{matches: [{method: {service: a.B, method: Get}}], backendRefs: [{name: s, port: 80, weight: 0}]}":                      {"-"},
		"{matches: [{method: {service: a.B, method: Get}}]}":                                                                     {"-"},
		"{TO}, {matches: [{method: {service: grpc.health.v1.Health}}], TO}":                                                      {echo, health},
		"{matches: [{method: {service: a.B}}], TO}, {matches: [{method: {service: a.B, method: Probe}}], TO}":                    {"-", "POST http://g.x/a.B/Probe"},
		"{matches: [{method: {service: grpc.health.v1.Health}}, {method: {service: grpc.health.v1.Health, method: Check}}], TO}": {"POST http://g.x/grpc.health.v1.Health/Probe", health},
	} {
		if got := lines(t, web, calls(t, "r", strings.ReplaceAll(match, "TO", to))); !slices.Equal(got, want) {
			t.Errorf("%s: %q", match, got)
		}
	}
}

func TestAGRPCRouteIsReadAsARouteWithAllThatItsRulesHave(t *testing.T) {
	var object unstructured.Unstructured
	text, err := yaml.YAMLToJSON([]byte(`{apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, metadata: {namespace: demo, name: r}, spec: {rules: [{
		filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: v}]}}, {type: RequestMirror, requestMirror: {backendRef: {name: m}}}],
		matches: [{headers: [{name: Host, value: h}]}],
		backendRefs: [{name: s, port: 80, weight: 3, filters: [{type: ExtensionRef, extensionRef: {group: g, kind: K, name: e}}]}]}]}}`))
	if err != nil || object.UnmarshalJSON(text) != nil {
		t.Fatal(err)
	}
	r, ok, err := ReadRoute(&object)
	if !ok || err != nil || r.ID.String() != "GRPCRoute/demo/r" || *r.Spec.Rules[0].BackendRefs[0].Weight != 3 || r.Source.(*gatewayv1.GRPCRoute).Name != "r" {
		t.Errorf("%t %v %+v", ok, err, r)
	}
	var got []string
	for _, use := range Features(r) {
		if use.Kind != "GRPCRoute" || use.Names != nil {
			t.Errorf("%+v", use)
		}
		got = append(got, use.String()+" at "+use.Field)
	}
	if want := []string{"matches of the header Host at spec.rules[0].matches[0].headers[0]", "the filter RequestHeaderModifier at spec.rules[0].filters[0]",
		"the filter RequestMirror at spec.rules[0].filters[1]", "filters of backendRefs at spec.rules[0].backendRefs[0].filters[0]"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	object.Object["spec"] = "none"
	if _, ok, err := ReadRoute(&object); !ok || err == nil {
		t.Error("a spec that is a string was read")
	}
	object.SetKind("TLSRoute")
	if _, ok, err := ReadRoute(&object); ok || err != nil {
		t.Error("a kind that no table takes was read")
	}
}

func TestOfTwoMatchesOfGRPCRoutesTheSpecificationPrefersTheLongerServiceThenTheMethodThenHeaders(t *testing.T) {
	for _, test := range []struct{ first, second, path, taker, by string }{
		{"{}", "{method: {service: a.B}}", "/a.B/Get", "second", "service"},
		{"{method: {method: Get}}", "{method: {service: a.B}}", "/a.B/Get", "second", "service"},
		{"{method: {service: a.B}}", "{method: {service: a.B, method: Get}}", "/a.B/Get", "second", "method"},
		{"{method: {service: a.B}}", "{method: {service: a.B}, headers: [{name: x, value: v}]}", "/a.B/Get", "second", "headers"},
		{"{method: {service: a.B}, headers: [{name: x, value: v}]}", "{method: {service: a.B, method: Get}}", "/a.B/Get", "second", "method"},
		{"{method: {service: a.B}}", "{method: {service: 'a.*', type: RegularExpression}}", "/a.B/Get", "second", "kind of path"}, // which proves nothing
	} {
		table := Compile([]Route{calls(t, "first", "{matches: ["+test.first+"], "+to+"}"), calls(t, "second", "{matches: ["+test.second+"], "+to+"}")}, gatewaysOf(t, web), Order{})
		r := Request{Scheme: "http", Method: "POST", Host: "g.x", Path: test.path, Listener: 8000, Header: map[string]string{"x": "v"}}
		winner, tied, losses := table.Match(r)
		if winner == nil || tied || winner.Route.Name != test.taker || !strings.HasSuffix(losses[0].Why, "has precedence by its "+test.by) {
			t.Errorf("%s, %s: %v, tied %t, %+v", test.first, test.second, winner, tied, losses)
		}
	}
}

func TestCallsThatTwoMatchesTakeAreSentOnceEachPairMeets(t *testing.T) {
	for _, test := range []struct{ first, second, want string }{
		{"{method: {service: a.B}}", "{method: {method: Get}}", "/a.B/Get"},
		{"{method: {service: a.B}}", "{headers: [{name: x, value: v}]}", "/a.B/Probe"},
		{"{headers: [{name: x, value: v}]}", "{method: {service: a.B}}", "/a.B/Probe"},
		{"{method: {service: a.B, method: Get}}", "{headers: [{name: x, value: v}]}", "/a.B/Get"},
		{"{headers: [{name: y, value: v}]}", "{headers: [{name: x, value: v}]}", "/grpc.health.v1.Health/Check"},
		{"{method: {service: a.B}}", "{method: {service: a.C}}", ""},
		{"{method: {service: 'a.*', type: RegularExpression}}", "{headers: [{name: x, value: v}]}", ""},
	} {
		table := Compile([]Route{calls(t, "first", "{matches: ["+test.first+"], "+to+"}"), calls(t, "second", "{matches: ["+test.second+"], "+to+"}")}, gatewaysOf(t, web), Order{})
		m, other := &table.matches[0], &table.matches[1]
		if r, ok := m.meets(other); ok != (test.want != "") || ok && r.Path != test.want {
			t.Errorf("%s, %s: %t %s", test.first, test.second, ok, r.Path)
		}
	}
}

func TestNothingButTheHostDecidesBetweenAnHTTPRouteAndAGRPCRoute(t *testing.T) {
	http := route(t, "hostnames: [g.x], rules: [{"+to+"}]")
	by := Order{Name: "Longer", Priority: func(m *Match) int { return len(m.Route.Kind) - len(m.Route.Name) }}
	table := Compile([]Route{http, calls(t, "calls", "{"+to+"}")}, gatewaysOf(t, web), Order{})
	if _, tied, _ := table.Match(Request{Scheme: "http", Method: "GET", Host: "g.x", Path: "/", Listener: 8000}); !tied {
		t.Error("one of them has precedence")
	}
	table = Compile([]Route{http, calls(t, "calls", "{"+to+"}")}, gatewaysOf(t, web), by)
	requests := table.Requests(reach)
	if requests[0].Unproven != "" || !strings.Contains(requests[1].Unproven, "the specification lets a listener have either an HTTPRoute or a GRPCRoute for a hostname") {
		t.Errorf("%q %q", requests[0].Unproven, requests[1].Unproven)
	}
	if overlaps, skipped := table.Overlaps(nil, 10, reach); len(overlaps)+skipped > 0 {
		t.Error(overlaps, skipped)
	}
	wild := route(t, "hostnames: ['*.x'], rules: [{"+to+"}]")
	table = Compile([]Route{wild, calls(t, "calls", "{"+to+"}")}, gatewaysOf(t, web), by)
	if r := table.Requests(reach)[1]; r.Taker != nil || !strings.HasPrefix(r.Unproven, "a match of HTTPRoute/demo/r takes its requests") {
		t.Errorf("a call is sent to what an HTTPRoute leads to: %+v", r)
	}
	every := calls(t, "c", "{"+to+"}")
	every.Spec.Hostnames = nil
	if host, free := Unrouted([]Route{every}, gatewaysOf(t, web)); free {
		t.Errorf("%s is said to be nobody's", host)
	}
}

func TestOnlyCallsThatChangeNothingAreAnswerable(t *testing.T) {
	for path, want := range map[string]bool{"/grpc.health.v1.Health/Check": true, EchoCall: true, "/grpc.health.v1.Health/Watch": false, "/a.B/Get": false, "/": false} {
		if Answerable(path) != want {
			t.Error(path)
		}
	}
	call := Request{Method: "POST", Route: FromGRPC(&gatewayv1.GRPCRoute{}).ID}
	if !call.Harmless() || (Request{Method: "POST"}).Harmless() {
		t.Error("a POST is harmless where it is a call alone")
	}
}
