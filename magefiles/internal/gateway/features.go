package gateway

import (
	"fmt"
	"slices"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// A Feature is something that a rule may ask for and that an implementation need not have, or has in its own way.
type Feature string

const (
	// Filter is a filter of a rule; which one is in Use.Of.
	Filter Feature = "the filter"
	// BackendFilters are those of a backendRef, for the requests to this backend alone.
	BackendFilters Feature = "filters of backendRefs"
	// BackendKind is a backendRef to something else than a Service; what it is is in Use.Of.
	BackendKind Feature = "backendRefs of the kind"
	// Timeouts, Retries and Sessions are the rule's fields timeouts, retry and sessionPersistence.
	Timeouts Feature = "timeouts"
	Retries  Feature = "retries"
	Sessions Feature = "persistent sessions"
	// HostMatch is a match that asks for the header Host.
	HostMatch Feature = "matches of the header Host"
	// HostChange is a RequestHeaderModifier that names the header Host.
	HostChange Feature = "changes of the header Host by RequestHeaderModifier"
)

// A Use is a feature that a rule of a route uses.
type Use struct {
	Feature Feature
	// Kind is the route's.
	Kind string
	// Of says which one it is, where there are several: RequestMirror, example.com/Kind.
	Of string
	// Rule is the rule's index, and Match that of the match which uses it, -1 where the whole rule does.
	Rule, Match int
	// Field is the field that asks for it, as in the API server's messages: spec.rules[0].filters[1].
	Field string
	// Names are the Gateway API's own for it, which a GatewayClass lists in its status if its implementation has it; none where there is no
	// such name. See https://gateway-api.sigs.k8s.io/geps/gep-2162/.
	Names []features.FeatureName
}

// String is what people call it.
func (u Use) String() string {
	if u.Of == "" {
		return string(u.Feature)
	}
	return string(u.Feature) + " " + u.Of
}

// Features returns the features that a route's rules use, in the order of its fields.
func Features(route Route) []Use {
	var all []Use
	for i := range route.Spec.Rules {
		all = append(all, featuresOf(route.ID.Kind, &route.Spec.Rules[i], i)...)
	}
	return all
}

func featuresOf(kind string, rule *gatewayv1.HTTPRouteRule, index int) (uses []Use) {
	use := func(feature Feature, of string, names []features.FeatureName, field string, args ...any) {
		if kind == grpcRoute {
			names = nil // which are an HTTPRoute's
		}
		uses = append(uses, Use{feature, kind, of, index, -1, fmt.Sprintf("spec.rules[%d].", index) + fmt.Sprintf(field, args...), names})
	}
	for i, match := range rule.Matches {
		for j, header := range match.Headers {
			if isHost(header.Name) {
				use(HostMatch, "", nil, "matches[%d].headers[%d]", i, j)
				uses[len(uses)-1].Match = i
			}
		}
	}
	mirrors := 0
	for i, filter := range rule.Filters {
		if filter.Type == gatewayv1.HTTPRouteFilterRequestMirror {
			mirrors++
		}
		use(Filter, filterOf(filter), filterNames(filter, mirrors), "filters[%d]", i)
		if modifier := filter.RequestHeaderModifier; modifier != nil && changesHost(modifier) {
			use(HostChange, "", nil, "filters[%d].requestHeaderModifier", i)
		}
	}
	for i, ref := range rule.BackendRefs {
		if kind := kindOf(ref.BackendObjectReference); kind != "Service" {
			use(BackendKind, kind, nil, "backendRefs[%d]", i)
		}
		for j, filter := range ref.Filters {
			use(BackendFilters, "", backendFilterNames[filter.Type], "backendRefs[%d].filters[%d]", i, j)
		}
	}
	if timeouts := rule.Timeouts; timeouts != nil {
		if limits(timeouts.Request) {
			use(Timeouts, "", []features.FeatureName{features.SupportHTTPRouteRequestTimeout}, "timeouts.request")
		}
		if limits(timeouts.BackendRequest) {
			use(Timeouts, "", []features.FeatureName{features.SupportHTTPRouteBackendTimeout}, "timeouts.backendRequest")
		}
	}
	if rule.Retry != nil {
		use(Retries, "", nil, "retry")
	}
	if rule.SessionPersistence != nil {
		use(Sessions, "", nil, "sessionPersistence")
	}
	return uses
}

// limits tells whether a timeout is one: zero means none. See https://gateway-api.sigs.k8s.io/reference/spec/#httproutetimeouts.
func limits(timeout *gatewayv1.Duration) bool {
	if timeout == nil {
		return false
	}
	duration, err := time.ParseDuration(string(*timeout))
	return err != nil || duration > 0
}

// filterOf names a filter, and for an extension the kind of its object.
func filterOf(filter gatewayv1.HTTPRouteFilter) string {
	if ref := filter.ExtensionRef; ref != nil {
		return fmt.Sprintf("%s %s/%s", filter.Type, ref.Group, ref.Kind)
	}
	return string(filter.Type)
}

// filterNames are the Gateway API's names for what a filter does; mirrors is how many mirrors the rule has so far.
func filterNames(filter gatewayv1.HTTPRouteFilter, mirrors int) (names []features.FeatureName) {
	switch filter.Type {
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		names = append(names, features.SupportHTTPRouteResponseHeaderModification)
	case gatewayv1.HTTPRouteFilterCORS:
		names = append(names, features.SupportHTTPRouteCORS)
	case gatewayv1.HTTPRouteFilterRequestMirror:
		names = append(names, features.SupportHTTPRouteRequestMirror)
		if mirrors > 1 {
			names = append(names, features.SupportHTTPRouteRequestMultipleMirrors)
		}
		if mirror := filter.RequestMirror; mirror != nil && (mirror.Percent != nil || mirror.Fraction != nil) {
			names = append(names, features.SupportHTTPRouteRequestPercentageMirror)
		}
	case gatewayv1.HTTPRouteFilterURLRewrite:
		if rewrite := filter.URLRewrite; rewrite != nil && rewrite.Hostname != nil {
			names = append(names, features.SupportHTTPRouteHostRewrite)
		}
		if rewrite := filter.URLRewrite; rewrite != nil && rewrite.Path != nil {
			names = append(names, features.SupportHTTPRoutePathRewrite)
		}
	}
	return names
}

// backendFilterNames are the Gateway API's names for filters of a backendRef; it has one for one of them.
var backendFilterNames = map[gatewayv1.HTTPRouteFilterType][]features.FeatureName{
	gatewayv1.HTTPRouteFilterRequestHeaderModifier: {features.SupportHTTPRouteBackendRequestHeaderModification},
}

// kindOf returns the kind of what a backendRef names, with its group unless that is the core one.
func kindOf(ref gatewayv1.BackendObjectReference) string {
	kind := "Service"
	if ref.Kind != nil {
		kind = string(*ref.Kind)
	}
	if ref.Group != nil && *ref.Group != "" {
		return string(*ref.Group) + "/" + kind
	}
	return kind
}

func changesHost(modifier *gatewayv1.HTTPHeaderFilter) bool {
	for _, header := range append(slices.Clone(modifier.Set), modifier.Add...) {
		if isHost(header.Name) {
			return true
		}
	}
	for _, name := range modifier.Remove {
		if isHost(gatewayv1.HTTPHeaderName(name)) {
			return true
		}
	}
	return false
}

func isHost(name gatewayv1.HTTPHeaderName) bool {
	return canonical(string(name)) == "Host"
}
