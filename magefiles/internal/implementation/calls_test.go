package implementation

import (
	"net/http"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// The priorities are those of Traefik 3.6.12's own router list, for a GRPCRoute whose longest hostname has 18 characters.
func TestThePriorityOfAGRPCRoutesMatchIsTheOneThatWasMeasured(t *testing.T) {
	for match, want := range map[string]int{
		"{}":                                    33,
		"{method: {service: a.B, method: Get}}": 40,
		"{method: {service: a.B}}":              42,
		"{method: {method: Get}}":               42,
		"{method: {service: a.C, method: Get}, headers: [{name: x-a, value: b}, {name: x-c, value: dd, type: RegularExpression}]}": 89,
		"{method: {service: 'a[.]D', method: 'G.*', type: RegularExpression}}":                                                     42,
	} {
		var grpc gatewayv1.GRPCRoute
		if err := yaml.UnmarshalStrict([]byte("{spec: {rules: [{matches: ["+match+"]}]}}"), &grpc); err != nil {
			t.Fatal(err)
		}
		route := gateway.FromGRPC(&grpc)
		asked := route.Spec.Rules[0].Matches[0]
		if got := priority(&gateway.Match{Route: route.ID, Longest: 18, Path: *asked.Path, Headers: asked.Headers}); got != want {
			t.Errorf("%s: %d, Traefik has %d", match, got, want)
		}
	}
}

func TestWhatTraefikAnswersInThePlaceOfABackendIsKnown(t *testing.T) {
	answer := func(status int, kind, body string) *probe.Answer {
		return &probe.Answer{Status: status, Header: http.Header{"Content-Type": {kind}}, Body: body}
	}
	for _, test := range []struct {
		answer *probe.Answer
		want   bool
	}{
		{answer(500, "", "Internal Server Error"), true},
		{answer(200, "application/json", `{"code":14,"message":"Service Unavailable"}`), true},
		{answer(200, "application/json", `{"code":15}`), false},
		{answer(200, "application/grpc", ""), false},
	} {
		if refuses(test.answer) != test.want {
			t.Errorf("%+v", test.answer)
		}
	}
}

func TestTraefikLacksTheFiltersOfAGRPCRouteThatItRefusedWhenMeasured(t *testing.T) {
	for filter, want := range map[gatewayv1.HTTPRouteFilterType]Outcome{"RequestHeaderModifier": "", "ResponseHeaderModifier": Refused, "RequestMirror": Refused} {
		if got, _ := lacks(gateway.Use{Feature: gateway.Filter, Kind: "GRPCRoute", Of: string(filter)}); got != want {
			t.Errorf("%s: %s", filter, got)
		}
	}
}
