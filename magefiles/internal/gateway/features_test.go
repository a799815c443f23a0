package gateway

import (
	"fmt"
	"slices"
	"testing"
)

func TestEachFeatureThatARuleUsesIsFoundWithItsFieldAndItsName(t *testing.T) {
	const to = "backendRefs: [{name: a, port: 80}]"
	for _, test := range []struct {
		rule string
		want []string
	}{
		{to, nil},
		{"filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}}}, {type: RequestMirror, requestMirror: {percent: 5, backendRef: {name: a, port: 80}}}]", []string{
			"the filter RequestMirror|spec.rules[1].filters[0]|[HTTPRouteRequestMirror]",
			"the filter RequestMirror|spec.rules[1].filters[1]|[HTTPRouteRequestMirror HTTPRouteRequestMultipleMirrors HTTPRouteRequestPercentageMirror]"}},
		{"filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: m}}]", []string{"the filter ExtensionRef traefik.io/Middleware|spec.rules[1].filters[0]|[]"}},
		{"filters: [{type: CORS}, {type: ResponseHeaderModifier}, {type: URLRewrite, urlRewrite: {hostname: b.x, path: {type: ReplaceFullPath, replaceFullPath: /}}}, {type: URLRewrite}]", []string{
			"the filter CORS|spec.rules[1].filters[0]|[HTTPRouteCORS]", "the filter ResponseHeaderModifier|spec.rules[1].filters[1]|[HTTPRouteResponseHeaderModification]",
			"the filter URLRewrite|spec.rules[1].filters[2]|[HTTPRouteHostRewrite HTTPRoutePathRewrite]", "the filter URLRewrite|spec.rules[1].filters[3]|[]"}},
		{"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X, value: y}], remove: [HOST]}}]", []string{
			"the filter RequestHeaderModifier|spec.rules[1].filters[0]|[]", "changes of the header Host by RequestHeaderModifier|spec.rules[1].filters[0].requestHeaderModifier|[]"}},
		{"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: host, value: y}]}}]", []string{
			"the filter RequestHeaderModifier|spec.rules[1].filters[0]|[]", "changes of the header Host by RequestHeaderModifier|spec.rules[1].filters[0].requestHeaderModifier|[]"}},
		{"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [X]}}]", []string{"the filter RequestHeaderModifier|spec.rules[1].filters[0]|[]"}},
		{"timeouts: {request: 1s, backendRequest: 1s}", []string{"timeouts|spec.rules[1].timeouts.request|[HTTPRouteRequestTimeout]",
			"timeouts|spec.rules[1].timeouts.backendRequest|[HTTPRouteBackendTimeout]"}},
		{"timeouts: {request: 0s}", nil},
		{"timeouts: {}", nil},
		{"retry: {attempts: 2}, sessionPersistence: {sessionName: s}", []string{"retries|spec.rules[1].retry|[]", "persistent sessions|spec.rules[1].sessionPersistence|[]"}},
		{"backendRefs: [{name: a, port: 80, filters: [{type: RequestHeaderModifier}, {type: URLRewrite}]}, {group: example.com, kind: Thing, name: b}]", []string{
			"filters of backendRefs|spec.rules[1].backendRefs[0].filters[0]|[HTTPRouteBackendRequestHeaderModification]", "filters of backendRefs|spec.rules[1].backendRefs[0].filters[1]|[]",
			"backendRefs of the kind example.com/Thing|spec.rules[1].backendRefs[1]|[]"}},
		{"matches: [{}, {headers: [{name: x, value: y}, {name: host, value: a.x}]}]", []string{"matches of the header Host|spec.rules[1].matches[1].headers[1]|[]"}},
	} {
		r := route(t, "rules: [{"+to+"}, {"+test.rule+"}]")
		var got []string
		for _, use := range Features(r) {
			got = append(got, fmt.Sprintf("%s|%s|%v", use, use.Field, use.Names))
			if use.Rule != 1 {
				t.Errorf("%s is of rule %d", use, use.Rule)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s\n got %q\nwant %q", test.rule, got, test.want)
		}
	}
}

func TestARequestHasTheFeaturesOfItsRuleAndOfItsMatchAlone(t *testing.T) {
	all := routes(t, "hostnames: [a.x], rules: [{timeouts: {request: 1s}, matches: [{path: {value: /a}}, {path: {value: /b}, headers: [{name: Host, value: a.x}]}], backendRefs: [{name: a, port: 80}]}]")
	requests := Compile(all, gatewaysOf(t, web), Order{}).Requests(reach)
	if len(requests[0].Uses) != 1 || len(requests[1].Uses) != 2 {
		t.Errorf("%v, %v", requests[0].Uses, requests[1].Uses)
	}
}
