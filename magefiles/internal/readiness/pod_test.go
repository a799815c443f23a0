package readiness

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/gotype"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var content map[string]any
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	return content
}

func pod(t *testing.T, statuses string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	text := "{metadata: {name: p, namespace: ns, creationTimestamp: \"2026-01-01T00:00:00Z\"}, spec: {restartPolicy: Always, " +
		"initContainers: [{name: init}], containers: [{name: c, imagePullPolicy: Always}]}, status: {" + statuses + "}}"
	if err := gotype.Decode(object(t, text), &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

func TestWhatCannotStartIsSaidInTheKubeletsWordsInitContainersFirst(t *testing.T) {
	waiting := func(name, reason string) string {
		return `{name: ` + name + `, image: "r/i:1", state: {waiting: {reason: ` + reason + `, message: why}}}`
	}
	for _, test := range []struct {
		statuses, want, look string
		weight               weight
	}{
		{"initContainerStatuses: [" + waiting("init", "CreateContainerConfigError") + "], containerStatuses: [" + waiting("c", "ImagePullBackOff") + "]",
			"Pod/ns/p, container init: CreateContainerConfigError: why", "describe pod -n ns p", mayPass},
		{"containerStatuses: [" + waiting("a", "PodInitializing") + ", " + waiting("c", "InvalidImageName") + "]",
			"Pod/ns/p cannot have image r/i:1: InvalidImageName: why", "", lasting},
		{"containerStatuses: [" + waiting("c", "CreateContainerError") + "]",
			"Pod/ns/p, container c: CreateContainerError: why", "describe pod -n ns p", lasting},
		{"containerStatuses: [{name: c, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {reason: StartError, message: no file}}}]",
			"Pod/ns/p, container c: RunContainerError: no file", "describe pod -n ns p", lasting},
		{"containerStatuses: [{name: c, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, lastState: {terminated: {exitCode: 3}}}]",
			"Pod/ns/p, container c: CrashLoopBackOff: restarted 1 time (exit code 3)", "logs -n ns p", crashing},
		{"containerStatuses: [{name: c, restartCount: 2, state: {terminated: {exitCode: 137, reason: OOMKilled}}}]",
			"Pod/ns/p, container c: CrashLoopBackOff: restarted 2 times (OOMKilled, exit code 137)", "logs -n ns p", crashing},
		{"containerStatuses: [" + waiting("c", "ContainerCreating") + "]", "", "", 0},
		{"containerStatuses: [{name: c, state: {running: {}}}]", "", "", 0},
		{"phase: Pending", "", "", 0},
		{"phase: Failed, containerStatuses: [{name: c, restartCount: 2, state: {terminated: {exitCode: 1}}}]", "", "", 0},
		{"initContainerStatuses: [{name: init, restartCount: 1, state: {terminated: {exitCode: 0}}}]", "", "", 0}, // it has done its work
	} {
		got := podTrouble(pod(t, test.statuses))
		if got == nil {
			got = &Trouble{}
		}
		if got.message != test.want || got.look != test.look || got.weight != test.weight {
			t.Errorf("%s: %+v", test.statuses, got)
		}
	}
}

func TestACrashLoopIsTriedUntilTheKubeletPausesForLong(t *testing.T) {
	crash := func(restarts, at string) bool {
		return podTrouble(pod(t, "containerStatuses: [{name: c, restartCount: "+restarts+", state: {terminated: {exitCode: 1, finishedAt: \"2026-01-01T00:"+at+"Z\"}}}]")).tried
	}
	if crash("2", "00:40") || crash("3", "00:10") || !crash("3", "00:40") {
		t.Error("what counts are four runs over 25 s")
	}
}

func TestAPodThatHasBegunIsTriedFromThenOn(t *testing.T) {
	p := pod(t, `startTime: "2026-01-01T00:00:30Z", containerStatuses: [{name: c, restartCount: 3, state: {terminated: {exitCode: 1, finishedAt: "2026-01-01T00:00:40Z"}}}]`)
	if podTrouble(p).tried {
		t.Error("ten seconds of tries are not enough, however long it has waited for a node")
	}
}

func TestOnlyAControllersPodsThatNeverRanAreStuck(t *testing.T) {
	crashing := *pod(t, "containerStatuses: [{name: c, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3}}}]")
	beside := *pod(t, "containerStatuses: [{name: c, state: {waiting: {reason: ImagePullBackOff}}}, {name: d, state: {running: {}}}]")
	pods := []corev1.Pod{crashing, beside, *pod(t, "containerStatuses: [{name: c, state: {running: {}}}]")}
	for kind, stuck := range map[string]int{"Deployment": 1, "Job": 0, "Pod": 0} {
		if got := Stuck(&unstructured.Unstructured{Object: map[string]any{"kind": kind}}, pods); len(got) != stuck {
			t.Errorf("%s: %d", kind, len(got))
		}
	}
	if got := Stuck(nil, pods); got != nil {
		t.Error(got)
	}
}

// A database in an emptyDir that crashes for want of something goes on with its data when that is there; a new pod would begin without.
func TestAPodThatMayHaveWrittenIntoVolumesOfItsOwnIsNotStuck(t *testing.T) {
	const (
		crashed = "containerStatuses: [{name: c, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3}}}]"
		over    = "containerStatuses: [{name: c, restartCount: 2, state: {terminated: {exitCode: 3}}}]"
		never   = "containerStatuses: [{name: c, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {reason: StartError}}}]"
		noImage = "initContainerStatuses: [{name: init, state: {terminated: {exitCode: 0}}}], containerStatuses: [{name: c, state: {waiting: {reason: ErrImagePull}}}]"
	)
	own := []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	claimed := []corev1.Volume{{VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	others := []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}}}
	for _, test := range []struct {
		statuses string
		volumes  []corev1.Volume
		stuck    bool
	}{
		{crashed, own, false}, {crashed, claimed, false}, {over, own, false},
		{crashed, others, true}, {crashed, nil, true}, {never, own, true}, {noImage, own, true},
	} {
		p := *pod(t, test.statuses)
		p.Spec.Volumes = test.volumes
		got := Stuck(&unstructured.Unstructured{Object: map[string]any{"kind": "Deployment"}}, []corev1.Pod{p})
		if (len(got) == 1) != test.stuck {
			t.Errorf("%s with %v: %t", test.statuses, test.volumes, !test.stuck)
		}
	}
}
