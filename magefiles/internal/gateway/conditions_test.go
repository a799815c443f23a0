package gateway

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
)

// judged are conditions that were observed at a generation: "Accepted" is True, "Programmed=False" has the reason Why.
func judged(generation int64, texts ...string) []metav1.Condition {
	var all []metav1.Condition
	for _, text := range texts {
		name, status, found := strings.Cut(text, "=")
		if !found {
			status = "True"
		}
		all = append(all, metav1.Condition{
			Type: name, Status: metav1.ConditionStatus(status), ObservedGeneration: generation, Reason: "Why", Message: "because",
		})
	}
	return all
}

func says(t *testing.T, got check.Finding, ok, pending bool, message string) {
	t.Helper()
	if got.Fails() == ok || (got.Verdict == check.Pending) != pending || !strings.Contains(got.Found, message) {
		t.Errorf("got %+v, want OK %v, Pending %v and %q", got, ok, pending, message)
	}
}

func TestAGatewayIsProgrammedWhenEachListenerIsAndItHasAnAddress(t *testing.T) {
	whole, listener := judged(3, "Accepted", "Programmed"), judged(3, "Accepted", "Programmed", "ResolvedRefs")
	for _, test := range []struct {
		name        string
		whole       []metav1.Condition
		listener    []metav1.Condition
		address     string
		ok, pending bool
		message     string
	}{
		{"all well", whole, listener, "10.0.0.1", true, false, "Accepted, Programmed, at 10.0.0.1"},
		{"no address", whole, listener, "", false, true, "no address"},
		{"nothing said", nil, nil, "", false, true, "no condition Accepted yet"},
		{"an older generation", judged(2, "Accepted", "Programmed"), listener, "a", false, true, "generation 2, the object is at 3"},
		{"unknown", judged(3, "Accepted=Unknown"), nil, "a", false, true, "Accepted is Unknown (Why): because"},
		{"refused", judged(3, "Accepted=False"), nil, "a", false, false, "Accepted is False (Why): because"},
		{"a listener's fault", judged(3, "Accepted=False"), judged(3, "Accepted=False"), "a", false, false,
			"listener web: Accepted is False (Why): because"},
		{"a listener's fault of an older generation", judged(3, "Accepted=False"), judged(2, "Accepted=False"), "a", false, false,
			"Accepted is False"},
		{"a listener's certificate", whole, judged(3, "Accepted", "Programmed", "ResolvedRefs=False"), "a", false, false,
			"listener web: ResolvedRefs is False"},
		{"a listener's certificate, for which nothing else is judged", judged(3, "Accepted=False"), judged(3, "Programmed=False", "ResolvedRefs=False"), "a",
			false, false, "listener web: ResolvedRefs is False"},
		{"a listener without a status", whole, nil, "a", false, true, "listener web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gw := parse[gatewayv1.Gateway](t, web)
			gw.Generation, gw.Status.Conditions = 3, test.whole
			if test.listener != nil {
				gw.Status.Listeners = []gatewayv1.ListenerStatus{{Name: "web", Conditions: test.listener}}
			}
			if test.address != "" {
				gw.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Value: test.address}}
			}
			says(t, Programmed(&gw, ListenerNames(&gw)), test.ok, test.pending, test.message)
		})
	}
}

func TestAListenerThatTheGatewayDoesNotHaveIsNotWaitedFor(t *testing.T) {
	gw := parse[gatewayv1.Gateway](t, web)
	gw.Generation = 3
	gw.Status.Conditions = judged(3, "Accepted=False")
	gw.Status.Conditions[0].Reason = string(gatewayv1.GatewayReasonListenersNotValid)
	gw.Status.Listeners = []gatewayv1.ListenerStatus{{Name: "web", Conditions: judged(3, "Accepted=False")}}
	says(t, Programmed(&gw, []gatewayv1.SectionName{"secure"}), false, false, "it has no listener secure")
}

func TestAListenerOfSomebodyElsesIsNoFaultOfOurs(t *testing.T) {
	gw := parse[gatewayv1.Gateway](t, web)
	ours := ListenerNames(&gw)
	gw.Generation = 3
	gw.Spec.Listeners = append(gw.Spec.Listeners, gatewayv1.Listener{Name: "extra", Port: 9999, Protocol: gatewayv1.HTTPProtocolType})
	gw.Status.Conditions = judged(3, "Accepted=False")
	gw.Status.Conditions[0].Reason = string(gatewayv1.GatewayReasonListenersNotValid)
	well, faulty := judged(3, "Accepted", "Programmed", "ResolvedRefs"), judged(3, "Accepted=False")
	gw.Status.Listeners = []gatewayv1.ListenerStatus{{Name: "web", Conditions: well}, {Name: "extra", Conditions: faulty}}
	says(t, Programmed(&gw, ours), true, false, "listener extra: Accepted is False")
	says(t, Programmed(&gw, ListenerNames(&gw)), false, false, "listener extra: Accepted is False")
	gw.Status.Listeners[0].Conditions = judged(2, "Accepted", "Programmed", "ResolvedRefs")
	says(t, Programmed(&gw, ours), false, false, "Accepted is False (ListenersNotValid)")
	gw.Status.Conditions[0].Reason = "Why"
	gw.Status.Listeners[0].Conditions = well
	says(t, Programmed(&gw, ours), false, false, "Accepted is False (Why)")
}

func TestAClassIsJudgedByItsAcceptance(t *testing.T) {
	class := gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	says(t, Class(&class), false, true, "no condition Accepted yet")
	class.Status.Conditions = judged(1, "Accepted")
	says(t, Class(&class), true, false, "Accepted")
}

func TestARoutesConditionsCountOnlyAtItsCurrentGeneration(t *testing.T) {
	for _, test := range []struct {
		name        string
		conditions  []metav1.Condition
		ok, pending bool
		message     string
	}{
		{"none", nil, false, true, "no condition Accepted yet"},
		{"both", judged(2, "Accepted", "ResolvedRefs"), true, false, "Accepted, ResolvedRefs"},
		{"of an older generation", judged(1, "Accepted", "ResolvedRefs"), false, true, "generation 1, the object is at 2"},
		{"not resolved", judged(2, "Accepted", "ResolvedRefs=False"), false, false,
			"ResolvedRefs is False (Why): because (parent Gateway/traefik/gw)"},
		{"unknown", judged(2, "Accepted=Unknown"), false, true, "Accepted is Unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := route(t, "hostnames: [a.x]")
			r.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: r.Spec.ParentRefs[0], Conditions: test.conditions}}
			says(t, Attached(&r, gatewaysOf(t, web)), test.ok, test.pending, test.message)
		})
	}
}

func TestARouteMustBeAcceptedByEachOfItsParents(t *testing.T) {
	own := strings.NewReplacer("namespace: traefik", "namespace: demo", "name: web,", "name: other,").Replace(web)
	gateways := gatewaysOf(t, web, own)
	good := judged(2, "Accepted", "ResolvedRefs")
	parents := func(refs string) []gatewayv1.ParentReference {
		return parse[[]gatewayv1.ParentReference](t, refs)
	}
	for _, test := range []struct {
		name, refs  string
		said        string // the parents that the controller has judged well
		ok, pending bool
		message     string
	}{
		{"none", "[]", "[]", false, false, "no parentRefs"},
		{"its own namespace's", "[{name: gw}]", "[{name: gw, namespace: demo, kind: Gateway, group: gateway.networking.k8s.io}]",
			true, false, "Accepted, ResolvedRefs"},
		{"both", "[{name: gw}, {name: gw, namespace: traefik}]", "[{name: gw}, {name: gw, namespace: traefik}]", true, false, "Accepted"},
		{"only one", "[{name: gw}, {name: gw, namespace: traefik}]", "[{name: gw}]", false, true, "Gateway/traefik/gw"},
		{"another listener", "[{name: gw, sectionName: other}]", "[{name: gw}]", false, true, "Gateway/demo/gw, listener other"},
		{"a listener that is not there", "[{name: gw, sectionName: web}]", "[{name: gw, sectionName: web}]", false, false,
			"does not exist: the Gateway has the listeners other"},
		{"a Gateway that is not there", "[{name: nowhere, namespace: traefik}]", "[]", false, false,
			"Gateway/traefik/nowhere does not exist"},
		{"another kind", "[{kind: Service, group: '', name: s}]", "[{kind: Service, group: '', name: s}]", true, false, "Accepted"},
		{"another kind, of which nobody says anything", "[{kind: Service, group: '', name: s}]", "[]", true, false,
			"its parent Service/demo/s is no Gateway, and no controller has accepted it there"},
		{"another kind beside a Gateway", "[{kind: Service, group: '', name: s}, {name: gw}]", "[{name: gw}]", true, false,
			"Accepted, ResolvedRefs; its parent Service/demo/s is no Gateway, and no controller has accepted it there"},
		{"another kind beside a Gateway that has not judged it", "[{kind: Service, group: '', name: s}, {name: gw}]", "[]", false, true, "no controller has judged its parent Gateway/demo/gw"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := route(t, "hostnames: [a.x]")
			r.Spec.ParentRefs = parents(test.refs)
			for _, ref := range parents(test.said) {
				r.Status.Parents = append(r.Status.Parents, gatewayv1.RouteParentStatus{ParentRef: ref, Conditions: good})
			}
			says(t, Attached(&r, gateways), test.ok, test.pending, test.message)
		})
	}
}

func TestAParentThatIsNoGatewayIsNoFailureWhateverIsSaidThere(t *testing.T) {
	r := route(t, "hostnames: [a.x]")
	r.Spec.ParentRefs = parse[[]gatewayv1.ParentReference](t, "[{name: gw, namespace: traefik}, {kind: Service, group: '', name: s}]")
	r.Status.Parents = []gatewayv1.RouteParentStatus{{ParentRef: r.Spec.ParentRefs[0], Conditions: judged(2, "Accepted", "ResolvedRefs")},
		{ParentRef: r.Spec.ParentRefs[1], Conditions: judged(2, "Accepted=False")}}
	if f := Attached(&r, gatewaysOf(t, web)); f.Verdict != check.Warns || f.Found != "Accepted, ResolvedRefs; its parent Service/demo/s is no Gateway, and no controller has accepted it there" {
		t.Errorf("%+v", f)
	}
}

func TestAListenerThatServesNothingSaysWithWhatItConflicts(t *testing.T) {
	gw := gatewaysOf(t, web)[0]
	gw.Generation = 2
	conflicted := judged(2, "Conflicted")
	for _, test := range []struct {
		name        string
		conditions  []metav1.Condition
		ok, pending bool
		message     string
	}{
		{"a conflict alone", conflicted, false, false, "listener web: Conflicted is True (Why): because"},
		{"a conflict beside what does not hold", append(judged(2, "Accepted=False"), conflicted...), false, false, "Conflicted is True"},
		{"a conflict of no generation", judged(0, "Conflicted"), false, false, "Conflicted is True"},
		{"a conflict of an older generation", judged(1, "Conflicted"), false, true, "no condition Accepted yet"},
		{"no conflict", judged(2, "Conflicted=False"), false, true, "no condition Accepted yet"},
		{"a conflict with one that gives way", append(judged(2, "Accepted", "ResolvedRefs", "Programmed"), judged(2, "Conflicted", "OverlappingTLSConfig")...), true, false, "Programmed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gw.Status.Listeners = []gatewayv1.ListenerStatus{{Name: "web", Conditions: test.conditions}}
			says(t, Listener(&gw, "web"), test.ok, test.pending, test.message)
		})
	}
}

func TestWhichNamespacesAListenerTakesRoutesFromIsSaidWhereItIsNotTheRoutes(t *testing.T) {
	for allowed, want := range map[string]string{
		"":                             "listener web takes routes from its own namespace traefik only; Namespace/demo has the labels tenant=no",
		"{namespaces: {from: All}}":    "",
		"{namespaces: {from: Same}}":   "listener web takes routes from its own namespace traefik only; Namespace/demo has the labels tenant=no",
		"{kinds: [{kind: GRPCRoute}]}": "listener web takes routes from its own namespace traefik only; Namespace/demo has the labels tenant=no",
		"{namespaces: {from: Selector, selector: {matchLabels: {tenant: 'yes'}}}}": "listener web takes routes from namespaces with the labels tenant=yes only; " +
			"Namespace/demo has the labels tenant=no",
		"{namespaces: {from: Selector, selector: {matchLabels: {tenant: 'no'}}}}": "",
		"{namespaces: {from: Selector, selector: {matchLabels: {'a b': 'no'}}}}":  "",
	} {
		gw := parse[gatewayv1.Gateway](t, "{metadata: {name: gw, namespace: traefik}, spec: {listeners: [{name: web, port: 8000, protocol: HTTP, allowedRoutes: "+allowed+
			"}, {name: other, port: 8001, protocol: HTTP}]}}")
		r := route(t, "hostnames: [a.x]")
		r.Spec.ParentRefs = parse[[]gatewayv1.ParentReference](t, "[{name: gw, namespace: traefik, sectionName: web}, {name: nowhere}, {kind: Service, group: '', name: s}]")
		if got := Admits(&r, []gatewayv1.Gateway{gw}, map[string]string{"tenant": "no"}); got != want {
			t.Errorf("%s: %q", allowed, got)
		}
	}
}
