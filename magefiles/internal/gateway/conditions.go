// Package gateway knows the Gateway API's rules: what the conditions of its objects mean, and which requests a route must answer. It
// asks nobody: objects come in, findings go out.
package gateway

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// conditions judges those of the wanted types: each must be True and observed at the object's generation. One that is False says more
// than one that is not there yet. See https://gateway-api.sigs.k8s.io/geps/gep-1364/ for what they mean.
func conditions(have []metav1.Condition, generation int64, wanted ...string) check.Finding {
	for _, name := range wanted {
		condition := meta.FindStatusCondition(have, name)
		if condition != nil && condition.ObservedGeneration >= generation && condition.Status == metav1.ConditionFalse {
			return check.Finding{Verdict: check.Broken, Found: said(condition), Cause: check.Cause(condition.Reason)}
		}
	}
	for _, name := range wanted {
		condition := meta.FindStatusCondition(have, name)
		switch {
		case condition == nil:
			return check.Finding{Verdict: check.Pending, Found: "no condition " + name + " yet"}
		case condition.ObservedGeneration < generation && condition.Status != metav1.ConditionUnknown: // which says why, as that no controller has come
			return check.Finding{Verdict: check.Pending, Found: fmt.Sprintf("condition %s is of generation %d, the object is at %d", name, condition.ObservedGeneration, generation)}
		case condition.Status != metav1.ConditionTrue:
			return check.Finding{Verdict: check.Pending, Found: said(condition)}
		}
	}
	return check.Finding{Verdict: check.Holds, Found: strings.Join(wanted, ", ")}
}

func said(c *metav1.Condition) string {
	return strings.TrimSuffix(fmt.Sprintf("%s is %s (%s): %s", c.Type, c.Status, c.Reason, c.Message), ": ")
}

// Class judges a GatewayClass: Accepted.
func Class(class *gatewayv1.GatewayClass) check.Finding {
	return conditions(class.Status.Conditions, class.Generation, string(gatewayv1.GatewayClassConditionStatusAccepted))
}

// NoAddress is the cause of a Gateway that serves, and whose status has no address.
const NoAddress check.Cause = "no-address"

// Programmed judges a Gateway: Accepted and Programmed, with an address, and those of its listeners that are named. Where another
// listener is all that it is not accepted for, the finding warns of it: the named ones serve.
func Programmed(gw *gatewayv1.Gateway, listeners []gatewayv1.SectionName) check.Finding {
	finding := conditions(gw.Status.Conditions, gw.Generation, string(gatewayv1.GatewayConditionAccepted), string(gatewayv1.GatewayConditionProgrammed))
	for _, name := range listeners {
		// The Gateway's own condition only says that a listener is at fault; the listener's says why.
		if f := Listener(gw, name); f.Fails() && (!finding.Fails() || f.Verdict == check.Broken) {
			return f
		}
	}
	if finding.Fails() {
		if other := othersFault(gw, listeners); other != "" {
			return check.Finding{Verdict: check.Warns, Found: other}
		}
		return finding
	}
	var addresses []string
	for _, address := range gw.Status.Addresses {
		addresses = append(addresses, address.Value)
	}
	if len(addresses) == 0 {
		return check.Finding{Verdict: check.Pending, Found: "no address in the status yet", Cause: NoAddress}
	}
	finding.Found += ", at " + strings.Join(addresses, ", ")
	return finding
}

// othersFault tells of a Gateway that is not accepted whether this is only for a listener that is not among the named ones, and what is
// wrong with that; empty where it is not so. See
// https://gateway-api.sigs.k8s.io/reference/spec/#gatewayconditionreason on ListenersNotValid.
func othersFault(gw *gatewayv1.Gateway, listeners []gatewayv1.SectionName) string {
	accepted := meta.FindStatusCondition(gw.Status.Conditions, string(gatewayv1.GatewayConditionAccepted))
	if accepted == nil || accepted.ObservedGeneration < gw.Generation || accepted.Reason != string(gatewayv1.GatewayReasonListenersNotValid) {
		return ""
	}
	fault := ""
	for _, listener := range gw.Spec.Listeners {
		f := Listener(gw, listener.Name)
		switch named := slices.Contains(listeners, listener.Name); {
		case named && f.Fails():
			return ""
		case !named && f.Fails():
			fault = "its listeners serve, but for one of somebody else's: " + f.Found
		}
	}
	return fault
}

// Listener judges one listener of a Gateway: Accepted, ResolvedRefs and Programmed, which only says that another does not hold. Where one
// does not, a condition that is bad when it is True says more; Traefik 3.6 observes it at no generation. See https://gateway-api.sigs.k8s.io/reference/spec/#listenerconditiontype.
func Listener(gw *gatewayv1.Gateway, name gatewayv1.SectionName) check.Finding {
	for _, listener := range gw.Status.Listeners {
		if listener.Name != name {
			continue
		}
		finding := conditions(listener.Conditions, gw.Generation, string(gatewayv1.ListenerConditionAccepted),
			string(gatewayv1.ListenerConditionResolvedRefs), string(gatewayv1.ListenerConditionProgrammed))
		for _, bad := range []gatewayv1.ListenerConditionType{gatewayv1.ListenerConditionConflicted, gatewayv1.ListenerConditionOverlappingTLSConfig} {
			c := meta.FindStatusCondition(listener.Conditions, string(bad))
			if finding.Fails() && c != nil && c.Status == metav1.ConditionTrue && (c.ObservedGeneration == 0 || c.ObservedGeneration >= gw.Generation) {
				finding = check.Finding{Verdict: check.Broken, Found: said(c), Cause: check.Cause(c.Reason)}
			}
		}
		finding.Found = "listener " + string(name) + ": " + finding.Found
		return finding
	}
	if !slices.Contains(ListenerNames(gw), name) { // somebody has taken it out, or changed its manifest
		return check.Finding{Verdict: check.Broken, Found: "it has no listener " + string(name)}
	}
	return check.Finding{Verdict: check.Pending, Found: "no status of listener " + string(name) + " yet"}
}

// Attached judges a route: Accepted and ResolvedRefs at each of its parents that is a Gateway. gateways are those of the cluster: a parent that is
// not among them is named at once, as no controller would ever say so. A parent of another kind, as a Service, is a mesh's matter: where no
// controller has accepted the route there, the finding warns of it, and nothing is waited for. See
// https://gateway-api.sigs.k8s.io/mesh/service-facets/.
func Attached(route *Route, gateways []gatewayv1.Gateway) check.Finding {
	if len(route.Spec.ParentRefs) == 0 {
		return check.Finding{Verdict: check.Broken, Found: "it has no parentRefs, so no Gateway serves it"}
	}
	ok := check.Finding{Verdict: check.Holds}
	var elsewhere []string
	for _, ref := range route.Spec.ParentRefs {
		if problem := parentProblem(route, ref, gateways); problem != "" {
			return check.Finding{Verdict: check.Broken, Found: problem}
		}
		i := slices.IndexFunc(route.Status.Parents, func(status gatewayv1.RouteParentStatus) bool {
			return parent(route, status.ParentRef) == parent(route, ref)
		})
		mesh := parent(route, ref).Kind != "Gateway"
		if i < 0 && !mesh {
			return check.Finding{Verdict: check.Pending, Found: "no controller has judged its parent " + parent(route, ref).String() + " yet"}
		}
		var finding check.Finding
		if i >= 0 {
			finding = conditions(route.Status.Parents[i].Conditions, route.Generation,
				string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteConditionResolvedRefs))
		}
		if mesh && (i < 0 || finding.Fails()) {
			elsewhere = append(elsewhere, parent(route, ref).String())
			continue
		}
		if finding.Fails() {
			finding.Found += " (parent " + parent(route, ref).String() + ")"
			return finding
		}
		ok.Found = finding.Found
	}
	if len(elsewhere) > 0 {
		ok.Verdict = check.Warns
		ok.Found = strings.TrimPrefix(fmt.Sprintf("%s; its parent %s is no Gateway, and no controller has accepted it there", ok.Found, strings.Join(elsewhere, ", ")), "; ")
	}
	return ok
}

// Admits says of each listener that a route names in its parentRefs which namespaces it takes routes from, where that is not the route's, which
// has labels; it is empty where all do. It completes a condition NotAllowedByListeners, whose message may be empty. See
// https://gateway-api.sigs.k8s.io/reference/spec/#routenamespaces.
func Admits(route *Route, gateways []gatewayv1.Gateway, has map[string]string) string {
	var all []string
	for _, ref := range route.Spec.ParentRefs {
		key := parent(route, ref)
		gw := find(gateways, key)
		if key.Kind != "Gateway" || gw == nil {
			continue
		}
		for _, listener := range gw.Spec.Listeners {
			if key.Section != "" && string(listener.Name) != key.Section || key.Port != 0 && int32(listener.Port) != key.Port {
				continue
			}
			if from := admits(listener.AllowedRoutes, gw.Namespace, route.ID.Namespace, has); from != "" {
				all = append(all, fmt.Sprintf("listener %s takes routes from %s only", listener.Name, from))
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("%s; Namespace/%s has the labels %s", strings.Join(all, ", "), route.ID.Namespace, labels.Set(has))
}

// admits says which namespaces a listener takes routes from, empty where one of these is the route's.
func admits(allowed *gatewayv1.AllowedRoutes, own, namespace string, has map[string]string) string {
	from := gatewayv1.NamespacesFromSame
	if allowed != nil && allowed.Namespaces != nil && allowed.Namespaces.From != nil {
		from = *allowed.Namespaces.From
	}
	switch {
	case from == gatewayv1.NamespacesFromSame && namespace != own:
		return "its own namespace " + own
	case from == gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		if err == nil && !selector.Matches(labels.Set(has)) {
			return "namespaces with the labels " + selector.String()
		}
	}
	return ""
}

// Policy judges a BackendTLSPolicy: Accepted and ResolvedRefs at each Gateway that says anything of it. None need. See
// https://gateway-api.sigs.k8s.io/reference/spec/#policystatus.
func Policy(policy *gatewayv1.BackendTLSPolicy) check.Finding {
	for _, ancestor := range policy.Status.Ancestors {
		for _, c := range ancestor.Conditions {
			kind := gatewayv1.PolicyConditionType(c.Type)
			if (kind == gatewayv1.PolicyConditionAccepted || kind == gatewayv1.BackendTLSPolicyConditionResolvedRefs) && c.Status == metav1.ConditionFalse && c.ObservedGeneration >= policy.Generation {
				return check.Finding{Verdict: check.Broken, Found: said(&c), Cause: check.Cause(c.Reason)}
			}
		}
	}
	return check.Finding{Verdict: check.Holds, Found: "no Gateway says that it is not accepted"}
}

// parentKey is a parentRef with its defaults filled in.
type parentKey struct {
	Kind, Namespace, Name, Section string
	Port                           int32
}

func (p parentKey) gateway() check.ID {
	return check.ID{Kind: p.Kind, Namespace: p.Namespace, Name: p.Name}
}

func (p parentKey) String() string {
	text := p.Kind + "/" + p.Namespace + "/" + p.Name
	if p.Section != "" {
		text += ", listener " + p.Section
	}
	return text
}

func parent(route *Route, ref gatewayv1.ParentReference) parentKey {
	key := parentKey{Kind: "Gateway", Namespace: route.ID.Namespace, Name: string(ref.Name)}
	if ref.Kind != nil {
		key.Kind = string(*ref.Kind)
	}
	if ref.Namespace != nil {
		key.Namespace = string(*ref.Namespace)
	}
	if ref.SectionName != nil {
		key.Section = string(*ref.SectionName)
	}
	if ref.Port != nil {
		key.Port = int32(*ref.Port)
	}
	return key
}

func parentProblem(route *Route, ref gatewayv1.ParentReference, gateways []gatewayv1.Gateway) string {
	key := parent(route, ref)
	if key.Kind != "Gateway" {
		return ""
	}
	gw := find(gateways, key)
	if gw == nil {
		return fmt.Sprintf("its parent %s does not exist", key)
	}
	if key.Section != "" && !slices.ContainsFunc(gw.Spec.Listeners, func(l gatewayv1.Listener) bool { return string(l.Name) == key.Section }) {
		return fmt.Sprintf("its parent %s does not exist: the Gateway has the listeners %s", key, strings.Trim(fmt.Sprint(ListenerNames(gw)), "[]"))
	}
	return ""
}

func find(gateways []gatewayv1.Gateway, key parentKey) *gatewayv1.Gateway {
	for i := range gateways {
		if gateways[i].Namespace == key.Namespace && gateways[i].Name == key.Name {
			return &gateways[i]
		}
	}
	return nil
}

// ListenerNames returns the names of a Gateway's listeners, in their order.
func ListenerNames(gw *gatewayv1.Gateway) []gatewayv1.SectionName {
	var names []gatewayv1.SectionName
	for _, listener := range gw.Spec.Listeners {
		names = append(names, listener.Name)
	}
	return names
}
