package readiness

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rebuilt are images by their references, each with its ID.
type rebuilt map[string]string

func (r rebuilt) ID(ref string) string { return r[ref] }

func (r rebuilt) Outdated(ref, running string) bool { return r[ref] != "" && r[ref] != running }

func TestTheImagesOfPodsThatAreOthersByNowAreOutdated(t *testing.T) {
	one := pod(t, "containerStatuses: [{name: a, imageID: old}, {name: b, imageID: old}, {name: c, imageID: new}, {name: d, imageID: old}], initContainerStatuses: [{name: i, imageID: old}]")
	one.Spec = corev1.PodSpec{InitContainers: []corev1.Container{{Name: "i", Image: "i:1"}}, Containers: []corev1.Container{{Name: "a", Image: "a:1"},
		{Name: "b", Image: "b:1", ImagePullPolicy: corev1.PullAlways}, {Name: "c", Image: "c:1"}, {Name: "d", Image: "d:1"}, {Name: "e", Image: "a:1"}}}
	got := Outdated([]corev1.Pod{*one, *one}, rebuilt{"a:1": "new", "b:1": "new", "c:1": "new", "i:1": "new"})
	if want := map[string]string{"a:1": "new", "i:1": "new"}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestAWorkloadThatWasRestartedForTheSameImagesIsNotOnceMore(t *testing.T) {
	live := func(value string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: object(t, "{spec: {template: {metadata: {annotations: {kindgate/images: '"+value+"'}}}}}")}
	}
	images := map[string]string{"b:1": "y", "a:1": "x"}
	for now, want := range map[string]string{"": "a:1=x,b:1=y", "a:1=x": "a:1=x,b:1=y", "a:1=x,b:1=y": ""} {
		if name, value := RestartFor(live(now), images); name != "kindgate/images" || value != want {
			t.Errorf("%s: %s=%s", now, name, value)
		}
	}
}

func TestOnlyWhatReplacesItsPodsByItselfIsRestarted(t *testing.T) {
	for text, want := range map[string]bool{
		"{kind: Deployment}": true, "{kind: DaemonSet}": true, "{kind: StatefulSet, spec: {updateStrategy: {type: RollingUpdate}}}": true,
		"{kind: StatefulSet, spec: {updateStrategy: {type: OnDelete}}}": false, "{kind: Pod}": false, "{kind: Deployment, spec: {paused: true}}": false, "{kind: Deployment, spec: {paused: false}}": true,
		"{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 1}}}}": false, "{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 0}}}}": true, "{kind: ReplicaSet}": false,
	} {
		if got := Restarts(&unstructured.Unstructured{Object: object(t, strings.Replace(text, "{", "{apiVersion: v1, ", 1))}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestPodsAreReplacedWhenAllAreOfTheNewestTemplate(t *testing.T) {
	for text, want := range map[string]bool{
		"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}":                         true,
		"{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}":                         false,
		"{apiVersion: apps/v1, kind: DaemonSet, metadata: {generation: 2}, spec: {updateStrategy: {type: RollingUpdate}}, status: {observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 1}}": false,
	} {
		if got, err := Replaced(&unstructured.Unstructured{Object: object(t, text)}); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
