package proof

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
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
