package implementation

import (
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"

	"kindgate/magefiles/internal/gateway"
)

// An Outcome is what an implementation does with a rule that uses a feature it lacks.
type Outcome string

const (
	// Refused: it answers the rule's requests with a 500.
	Refused Outcome = "refused"
	// Optional: the same, unless its configuration provides for the feature.
	Optional Outcome = "optional"
	// Unmet: the match that uses the feature takes no request.
	Unmet Outcome = "unmet"
	// Ignored: it serves the rule as if the feature were not asked for.
	Ignored Outcome = "ignored"
)

// A Lack is a feature that a rule uses and that the implementation does not have.
type Lack struct {
	gateway.Use
	Outcome
	// Says is what the implementation does, in a sentence, and Remedy what to write instead.
	Says, Remedy string
}

// Lacking returns those of a route's uses that the implementation lacks. None of them is a feature that supported has, which are the names in the
// status of the live GatewayClass: another release may have more.
func (i *Implementation) Lacking(uses []gateway.Use, supported []features.FeatureName) []Lack {
	var all []Lack
	for _, use := range uses {
		outcome, remedy := i.Lacks(use)
		lacks := func(name features.FeatureName) bool { return !slices.Contains(supported, name) }
		if outcome == "" || len(use.Names) > 0 && !slices.ContainsFunc(use.Names, lacks) {
			continue
		}
		all = append(all, Lack{use, outcome, i.says(use, outcome), remedy})
	}
	return all
}

func (i *Implementation) says(use gateway.Use, outcome Outcome) string {
	switch outcome {
	case Ignored:
		return fmt.Sprintf("%s are accepted and ignored by %s", use, i.Name)
	case Unmet:
		return fmt.Sprintf("%s take no requests in %s", use, i.Name)
	case Optional:
		return fmt.Sprintf("%s does not implement %s as it is set up here", i.Name, use)
	}
	return fmt.Sprintf("%s does not implement %s", i.Name, use)
}

// Supported returns the names of the features that the GatewayClasses of the implementation list in their status. See
// https://gateway-api.sigs.k8s.io/reference/spec/#gatewayclassstatus.
func (i *Implementation) Supported(classes []gatewayv1.GatewayClass) []features.FeatureName {
	var names []features.FeatureName
	for _, class := range classes {
		if string(class.Spec.ControllerName) == i.Controller {
			for _, feature := range class.Status.SupportedFeatures {
				names = append(names, features.FeatureName(feature.Name))
			}
		}
	}
	return names
}
