package rollout

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/readiness"
)

func decoded(t *testing.T, text string) kube.Object {
	t.Helper()
	objects, err := kube.Decode([]byte(text), "")
	if err != nil {
		t.Fatal(err)
	}
	return objects[0]
}

// A watch may show a pod for a while that was deleted for a new one: what it could not do says nothing of the new one.
func TestAPodThatWasDeletedForBeingStuckIsNotJudgedAgain(t *testing.T) {
	set := decoded(t, `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: d, namespace: ns, uid: v},
		spec: {replicas: 1, selector: {matchLabels: {app: d}}}}`)
	stuck := decoded(t, `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns, uid: u, labels: {app: d},
		ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: d, uid: v, controller: true}]},
		status: {containerStatuses: [{name: c, restartCount: 9, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1}}}]}}`)
	w := newWait(nil, []kube.Object{set}, nil, nil)
	w.looked = true
	w.seen = map[source][]*unstructured.Unstructured{sourceOf(set): {set.Unstructured}, {readiness.PodKind, "ns"}: {stuck.Unstructured}}
	for _, deleted := range []bool{false, true} {
		w.deleted = map[types.UID]bool{"u": deleted}
		states, err := w.states(t.Context(), time.Now())
		if err != nil || len(states) != 1 || (states[0].Trouble == nil) != deleted {
			t.Errorf("deleted %v: %+v, %v", deleted, states, err)
		}
	}
}

// A clock that is set back, or a virtual machine's that is ahead, must not have a container start in the future for ever.
func TestAContainerRunsAtLeastSinceItWasSeenToWhateverTheClocksSay(t *testing.T) {
	set := decoded(t, `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: d, namespace: ns, uid: v}, spec: {selector: {matchLabels: {app: d}}}, status: {readyReplicas: 1}}`)
	pod := decoded(t, `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns, uid: u, labels: {app: d},
		ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: d, uid: v, controller: true}]}, spec: {containers: [{name: c}]},
		status: {conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: c, containerID: x, state: {running: {startedAt: "2026-01-01T01:00:00Z"}}}]}}`)
	w := newWait(nil, []kube.Object{set}, nil, nil)
	w.looked = true
	w.seen = map[source][]*unstructured.Unstructured{sourceOf(set): {set.Unstructured}, {readiness.PodKind, "ns"}: {pod.Unstructured}}
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for after, done := range map[time.Duration]bool{0: false, limits.Steady: true} {
		w.running["x"] = begun
		states, err := w.states(t.Context(), begun.Add(after))
		if err != nil || states[0].Done != done {
			t.Errorf("after %s: %+v, %v", after, states, err)
		}
	}
	delete(w.running, "x")
	if states, err := w.states(t.Context(), begun); err != nil || states[0].Done || !w.running["x"].Equal(begun) {
		t.Errorf("%+v, %v", states, err)
	}
}
