package readiness

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/kube"
)

func TestARefusalOfPodsIsFinalUnlessTheRunMayEndIt(t *testing.T) {
	forbidden := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New(text))
	}
	for _, test := range []struct {
		err    error
		said   bool
		weight weight
	}{
		{nil, false, 0},
		{errors.New("connection refused"), false, 0},
		{apierrors.NewBadRequest("admission webhook x does not support dry run"), false, 0},
		{forbidden(`violates PodSecurity "restricted:latest": x`), true, lasting},
		{forbidden("no PriorityClass with name x was found"), true, lasting},
		{forbidden(`pod rejected: RuntimeClass "x" not found`), true, lasting},
		{forbidden("exceeded quota: q"), true, mayPass},
		{forbidden(`error looking up service account ns/x: serviceaccount "x" not found`), true, mayPass},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "x": refused`)), true, mayPass},
		{errors.New(`admission webhook "x" denied the request: no`), true, lasting},
		{errors.New("ValidatingAdmissionPolicy 'x' denied request: no"), true, lasting},
	} {
		if got := Refused(test.err); (got != nil) != test.said || got != nil && got.weight != test.weight {
			t.Errorf("%v: %+v", test.err, got)
		}
	}
}

func TestAWorkloadThatLacksPodsIsKnownByItsStatus(t *testing.T) {
	for text, lacks := range map[string]bool{
		"{kind: Deployment, status: {conditions: [{type: ReplicaFailure, status: 'True'}]}}":  true,
		"{kind: ReplicaSet, status: {conditions: [{type: ReplicaFailure, status: 'False'}]}}": false,
		"{kind: DaemonSet, status: {desiredNumberScheduled: 2, currentNumberScheduled: 1}}":   true,
		"{kind: DaemonSet, status: {desiredNumberScheduled: 1, currentNumberScheduled: 1}}":   false,
		"{kind: StatefulSet}":                                             true, // one is the default
		"{kind: StatefulSet, spec: {replicas: 0}}":                        false,
		"{kind: StatefulSet, spec: {replicas: 2}, status: {replicas: 1}}": true,
		"{kind: Job}":                      true,
		"{kind: Job, status: {active: 1}}": false,
		"{kind: Pod}":                      false,
	} {
		if got := LacksPods(&unstructured.Unstructured{Object: whole(t, text)}); got != lacks {
			t.Errorf("%s: %t", text, got)
		}
	}
}

// whole is an object whose numbers are whole ones, as a cluster's are.
func whole(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	u.Object = content
	return u.Object
}

func TestThePodThatIsTriedIsTheTemplatesWithAStatefulSetsVolumes(t *testing.T) {
	live := func(text string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: object(t, "{metadata: {name: w, namespace: ns}, spec: "+text+"}")}
	}
	pod, err := PodOf(live("{template: {metadata: {labels: {app: a}}, spec: {volumes: [{name: v}]}}}"))
	if err != nil || kube.Name(pod) != "Pod/ns/w" || pod.GetLabels()["app"] != "a" {
		t.Errorf("%v, %v", pod, err)
	}
	pod, err = PodOf(live("{template: {spec: {volumes: [{name: v}]}}, volumeClaimTemplates: [{metadata: {name: data}}]}"))
	volumes, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	if err != nil || len(volumes) != 2 {
		t.Errorf("%v, %v", volumes, err)
	}
	if name, _, _ := unstructured.NestedString(volumes[1].(map[string]any), "persistentVolumeClaim", "claimName"); name != "data" {
		t.Error(volumes)
	}
	if _, err := PodOf(live("{template: wrong}")); err == nil {
		t.Error("a template that is none")
	}
}
