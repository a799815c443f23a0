package readiness

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestASchedulersLastWordIsToldFromOneThatMayChange(t *testing.T) {
	ready := corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	joining, cordoned := corev1.Node{}, *ready.DeepCopy()
	cordoned.Spec.Unschedulable = true
	const never = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
	for _, test := range []struct {
		words string
		nodes []corev1.Node
		want  bool
	}{
		{never, []corev1.Node{ready, ready}, true},
		{never, []corev1.Node{ready, joining}, false},
		{never, []corev1.Node{ready, cordoned}, false},
		{never, []corev1.Node{ready, ready, ready}, false}, // one has joined since
		{strings.ReplaceAll(never, "2 Preemption", "1 No preemption victims found for incoming pod, 1 Preemption"), []corev1.Node{ready, ready}, true},
		{strings.ReplaceAll(never, "2 Preemption", "1 Preemption"), []corev1.Node{ready, ready}, false}, // on the other, pods would make room
		{"0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. preemption: 0/1 nodes are available: " +
			"1 No preemption victims found for incoming pods.", []corev1.Node{ready}, true},
		{"0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.", []corev1.Node{ready}, true},
		{never, nil, false}, // they cannot be read
		{"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", []corev1.Node{ready}, false},
	} {
		if got := fitsNowhere(test.words, test.nodes); got != test.want {
			t.Errorf("%s, %d nodes: %t", test.words, len(test.nodes), got)
		}
	}
	waiting := pod(t, "conditions: [{type: PodScheduled, status: \"False\", reason: Unschedulable, message: \"no node \"}]")
	if got := Unschedulable(waiting); got != "no node" {
		t.Errorf("%q", got)
	}
	if got := Unschedulable(pod(t, "conditions: [{type: PodScheduled, status: \"True\"}]")); got != "" {
		t.Errorf("%q", got)
	}
}

func TestAClaimThatIsNotBoundIsSaidAsItsLastEventHasIt(t *testing.T) {
	waiting := pod(t, "phase: Pending")
	waiting.Spec.Volumes = []corev1.Volume{
		{Name: "a", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
		{Name: "b", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		{Name: "c"},
	}
	if got := ClaimsOf(waiting); !slices.Equal(got, []string{"data", "p-b"}) {
		t.Error(got)
	}
	const claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: ns}, status: {phase: %s}}"
	pending, bound := object(t, strings.ReplaceAll(claim, "%s", "Pending")), object(t, strings.ReplaceAll(claim, "%s", "Bound"))
	event := func(kind, reason string) []corev1.Event {
		return []corev1.Event{{Type: kind, Reason: reason, Message: "why"}}
	}
	for _, test := range []struct {
		claim  map[string]any
		events []corev1.Event
		want   bool
	}{
		{pending, event("Warning", "ProvisioningFailed"), true},
		{pending, event("Normal", "FailedBinding"), true},
		{pending, event("Normal", "WaitForFirstConsumer"), false},
		{pending, nil, false},
		{bound, event("Warning", "ProvisioningFailed"), false},
	} {
		got := Unbound(&unstructured.Unstructured{Object: test.claim}, test.events)
		if (got != nil) != test.want || got != nil && (got.weight != mayPass || got.message != "PersistentVolumeClaim/ns/data: why") {
			t.Errorf("%v: %+v", test.events, got)
		}
	}
}

func TestAPodHasNoPlaceOnlyWhereNoneIsAboutToBeFree(t *testing.T) {
	nodes := []corev1.Node{{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}}
	const words = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
	leaving := unstructured.Unstructured{}
	leaving.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)})
	got := Unplaced(pod(t, "phase: Pending"), words, nodes, []unstructured.Unstructured{{}})
	if got == nil || got.weight != mayPass || got.message != "Pod/ns/p: "+words || got.look != "describe pod -n ns p" {
		t.Errorf("%+v", got)
	}
	if got := Unplaced(pod(t, "phase: Pending"), words, nodes, []unstructured.Unstructured{leaving}); got != nil {
		t.Errorf("while a pod is being deleted: %+v", got)
	}
	if got := Unplaced(pod(t, "phase: Pending"), "other words", nodes, nil); got != nil {
		t.Errorf("%+v", got)
	}
}
