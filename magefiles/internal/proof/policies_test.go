package proof

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/probe"
)

func TestAPolicyWithoutItsServiceIsSaidToHaveNoEffect(t *testing.T) {
	for targets, want := range map[string]check.Finding{
		`[{kind: Service, group: "", name: shop}]`:                                               holds("for Service/demo/shop"),
		`[{kind: Service, group: "", name: shop, sectionName: http}]`:                            holds("for Service/demo/shop"),
		`[{kind: Service, group: "", name: shop}, {kind: Service, group: "", name: none}]`:       {Verdict: check.Warns, Found: "Service/demo/none is not there: for that it has no effect"},
		`[{kind: Service, group: "", name: shop, sectionName: https}]`:                           {Verdict: check.Warns, Found: "Service/demo/shop has no port of the name https: for that it has no effect"},
		`[{kind: Backend, group: example.com, name: shop}]`:                                      {Verdict: check.Unknown, Found: "what it is for is not known"},
		`[{kind: Service, group: "", name: shop}, {kind: Backend, group: example.com, name: b}]`: holds("for Service/demo/shop"),
	} {
		w := whole(t)
		policy := parse[map[string]any](t, "{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p, namespace: demo}, spec: {targetRefs: "+targets+"}}")
		w.proof.Objects = []kube.Object{{Unstructured: &unstructured.Unstructured{Object: policy}}}
		w.snapshot.Services = []corev1.Service{parse[corev1.Service](t, "{metadata: {name: shop, namespace: demo}, spec: {ports: [{name: http, port: 80}]}}")}
		live := parse[gatewayv1.BackendTLSPolicy](t, "{metadata: {name: p, namespace: demo}, spec: {targetRefs: "+targets+"}}")
		w.snapshot.Policies = []gatewayv1.BackendTLSPolicy{live}
		if r := w.verify(t)["BackendTLSPolicy/demo/p"]; r.Verdict != want.Verdict || r.Found != want.Found {
			t.Errorf("%s: %+v", targets, r.Finding)
		}
		w.snapshot.Partial = map[string][]string{"Service": nil}
		if f := judgePolicy(w.snapshot, w.proof.Objects[0]); f.Verdict != check.Unknown {
			t.Errorf("%s, and Services cannot be read: %+v", targets, f)
		}
		w.proof.Objects[0].Object["spec"] = "none"
		if f := judgePolicy(w.snapshot, w.proof.Objects[0]); f.Verdict != check.Unknown {
			t.Errorf("a policy that cannot be read: %+v", f)
		}
	}
}

// secured is a world in which a policy is for the connection to shop.
func secured(t *testing.T) *world {
	t.Helper()
	w := whole(t)
	const policy = "{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p, namespace: demo, generation: 2}, spec: {targetRefs: [{kind: Service, group: '', name: shop}], validation: {hostname: shop.test}}}"
	w.proof.Objects = []kube.Object{{Unstructured: &unstructured.Unstructured{Object: parse[map[string]any](t, policy)}}}
	w.snapshot.Policies = []gatewayv1.BackendTLSPolicy{parse[gatewayv1.BackendTLSPolicy](t, policy)}
	w.snapshot.Services = []corev1.Service{parse[corev1.Service](t, "{metadata: {name: shop, namespace: demo}, spec: {ports: [{name: http, port: 80}]}}")}
	return w
}

func TestAPolicysConditionsAreJudgedAsFarAsAnyGatewayHasSetThem(t *testing.T) {
	const name = "BackendTLSPolicy/demo/p"
	for _, test := range []struct {
		conditions []metav1.Condition
		verdict    check.Verdict
	}{
		{nil, check.Holds}, {judged(2, "Accepted", "ResolvedRefs"), check.Holds}, {judged(2, "Accepted", "ResolvedRefs=False"), check.Broken},
		{judged(2, "Accepted=False"), check.Broken}, {judged(1, "Accepted=False"), check.Holds},
	} {
		w := secured(t)
		w.snapshot.Policies[0].Status.Ancestors = []gatewayv1.PolicyAncestorStatus{{Conditions: test.conditions}}
		if r := w.verifyAtOnce(t)[name]; r.Verdict != test.verdict {
			t.Errorf("%+v: %+v", test.conditions, r.Finding)
		}
	}
	w := secured(t)
	w.snapshot.Policies = nil
	if r := w.verifyAtOnce(t)[name]; r.Verdict != check.Broken || r.Found != "it is not there" {
		t.Errorf("%+v", r.Finding)
	}
}

func TestABackendWhoseCertificateIsRefusedIsTheHopOfItsPolicy(t *testing.T) {
	const line = "2026-01-01T00:00:00Z ERR 502 Bad Gateway error=\"tls: failed to verify certificate: x509: certificate is valid for a, not shop.test\"\n"
	for _, test := range []struct{ log, hop, found string }{
		{line, "BackendTLSPolicy/demo/p", "Traefik refuses the certificate of Service/demo/shop; Traefik's log says of it: tls: failed to verify certificate"},
		{"", "the backend answers", "502 Bad Gateway"},
	} {
		w := secured(t)
		w.gateway.answers["shop.localhost"] = []*probe.Answer{status(502)}
		refuses := *w.proof.Implementation
		refuses.Refuses = func(a *probe.Answer) bool { return a.Status == 502 }
		w.proof.Implementation = &refuses
		w.place.logs = []string{"", "", "", ""}
		if test.log != "" {
			w.place.logs = []string{"", test.log}
		}
		if r := w.verifyAtOnce(t)[shop]; r.Hop == nil || r.Hop.String() != test.hop || !strings.Contains(r.AtHop.Found, test.found) {
			t.Errorf("%v: %+v", r.Hop, r.AtHop)
		}
	}
}

func TestARouteOfWhichNoRequestsAreSentIsSaidNotToBeProven(t *testing.T) {
	w := whole(t)
	for _, kind := range []string{"TLSRoute", "ReferenceGrant"} {
		object := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "metadata": map[string]any{"name": "r", "namespace": "demo"}}}
		w.proof.Objects = append(w.proof.Objects, kube.Object{Unstructured: object})
	}
	results := w.verify(t)
	if r := results["TLSRoute/demo/r"]; r.Verdict != check.Unknown || r.Found != "not proven: requests are sent for HTTPRoutes and GRPCRoutes alone" {
		t.Errorf("%+v", r.Finding)
	}
	if _, ok := results["ReferenceGrant/demo/r"]; ok {
		t.Error("a grant shows in what it permits")
	}
}
