package implementation

import (
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/gateway"
)

// What becomes of each was measured on Traefik 3.6.12.
func TestWhatTraefikLacksIsWhatItRefusedOrIgnoredWhenMeasured(t *testing.T) {
	const mirror = "filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}}}]"
	for _, test := range []struct {
		rule, supported string
		outcome         Outcome
		says            string
	}{
		{mirror, "", Refused, "Traefik does not implement the filter RequestMirror"},
		{mirror, "HTTPRouteRequestMirror", "", ""},
		{strings.Replace(mirror, "requestMirror: {", "requestMirror: {percent: 5, ", 1), "HTTPRouteRequestMirror", Refused, "the filter RequestMirror"},
		{"filters: [{type: CORS}]", "", Refused, "the filter CORS"},
		{"filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: m}}]", "", Optional, "Traefik does not implement the filter ExtensionRef traefik.io/Middleware as it is set up here"},
		{"filters: [{type: ExtensionRef, extensionRef: {group: example.com, kind: Thing, name: m}}]", "", Refused, "the filter ExtensionRef example.com/Thing"},
		{"backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: a}]", "", Refused, "backendRefs of the kind multicluster.x-k8s.io/ServiceImport"},
		{"backendRefs: [{group: traefik.io, kind: TraefikService, name: api@internal}]", "", "", ""},
		{"timeouts: {request: 1s}", "", Ignored, "timeouts are accepted and ignored by Traefik"},
		{"timeouts: {request: 1s}", "HTTPRouteRequestTimeout", "", ""},
		{"retry: {attempts: 2}", "", Ignored, "retries are accepted and ignored by Traefik"},
		{"sessionPersistence: {sessionName: s}", "", Ignored, "persistent sessions are accepted and ignored by Traefik"},
		{"backendRefs: [{name: a, port: 80, filters: [{type: URLRewrite}]}]", "", Ignored, "filters of backendRefs are accepted and ignored by Traefik"},
		{"matches: [{headers: [{name: Host, value: a}]}]", "", Unmet, "matches of the header Host take no requests in Traefik"},
		{"filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [Host]}}]", "", Ignored, "changes of the header Host by RequestHeaderModifier"},
		{"filters: [{type: RequestHeaderModifier}, {type: ResponseHeaderModifier}, {type: RequestRedirect}, {type: URLRewrite}]", "", "", ""},
	} {
		var route gatewayv1.HTTPRoute
		if err := yaml.UnmarshalStrict([]byte("spec: {rules: [{"+test.rule+"}]}"), &route); err != nil {
			t.Fatal(err)
		}
		got := append(Traefik.Lacking(gateway.Features(gateway.FromHTTP(&route)), []features.FeatureName{features.FeatureName(test.supported)}), Lack{})
		if got[0].Outcome != test.outcome || !strings.Contains(got[0].Says, test.says) || test.outcome != "" && got[0].Remedy == "" {
			t.Errorf("%s: %+v", test.rule, got)
		}
	}
}

func TestWhatAnotherControllersClassSupportsIsNotTraefiks(t *testing.T) {
	class := func(controller gatewayv1.GatewayController, feature gatewayv1.FeatureName) gatewayv1.GatewayClass {
		return gatewayv1.GatewayClass{Spec: gatewayv1.GatewayClassSpec{ControllerName: controller},
			Status: gatewayv1.GatewayClassStatus{SupportedFeatures: []gatewayv1.SupportedFeature{{Name: feature}}}}
	}
	got := Traefik.Supported([]gatewayv1.GatewayClass{class("example.com/other", "HTTPRouteCORS"), class("traefik.io/gateway-controller", "HTTPRouteRequestMirror")})
	if len(got) != 1 || got[0] != features.SupportHTTPRouteRequestMirror {
		t.Error(got)
	}
}
