package readiness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
)

func TestWhatIsSeenOfAWorkload(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC)
	failed := "phase: Failed, containerStatuses: [{name: c, state: {terminated: {exitCode: 7}}}]"
	ready := "phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: c, state: {running: {startedAt: \"2026-01-01T00:00:0"
	for _, test := range []struct {
		live, pod string
		done      bool
		weight    weight
		words     string
	}{
		{"{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Complete, status: 'True'}]}}", "phase: Succeeded", true, 0, ""},
		{"{apiVersion: batch/v1, kind: Job, spec: {suspend: true}}", "phase: Pending", true, 0, ""},
		{"{apiVersion: batch/v1, kind: Job, status: {active: 1}}", "phase: Running", false, 0, "0 succeeded, 0 failed, 1 active"},
		{"{apiVersion: batch/v1, kind: Job, status: {failed: 1, conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: m}]}}",
			failed, false, certain, "it has failed: BackoffLimitExceeded: m; Pod/ns/p, container c: exit code 7"},
		{"{apiVersion: batch/v1, kind: Job, status: {failed: 2}}", failed, false, crashing, "2 times so far; Pod/ns/p, container c: exit code 7"},
		{"{apiVersion: batch/v1, kind: Job, status: {failed: 2, succeeded: 1}}", failed, false, 0, "1 succeeded, 2 failed"},
		{"{apiVersion: v1, kind: Pod}", "phase: Succeeded", true, 0, ""},
		{"{apiVersion: v1, kind: Pod}", failed, false, certain, "it has failed: Pod/ns/p, container c: exit code 7"},
		{"{apiVersion: v1, kind: Pod}", "phase: Failed, reason: Evicted, message: disk", false, certain, "Evicted: disk"},
		{"{apiVersion: v1, kind: Pod}", "phase: Pending", false, 0, "its phase is Pending"},
		{"{apiVersion: v1, kind: Pod}", ready + "5Z\"}}}]", true, 0, ""},
		{"{apiVersion: apps/v1, kind: ReplicaSet, status: {readyReplicas: 1}}", ready + "5Z\"}}}]", true, 0, ""},
		{"{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 2}, status: {readyReplicas: 1}}", "phase: Pending", false, 0, "1 of 2 replicas"},
		{"{apiVersion: apps/v1, kind: ReplicaSet, status: {readyReplicas: 1}}", strings.Replace(ready, "00:00:0", "00:00:2", 1) + "9Z\"}}}]", false, 0, "it has just started"},
		{"{apiVersion: apps/v1, kind: ReplicaSet, status: {readyReplicas: 1}}", "containerStatuses: [{name: c, restartCount: 1, state: {terminated: {exitCode: 1}}}]",
			false, crashing, "restarted 1 time"},
		{"{apiVersion: apps/v1, kind: ReplicaSet, status: {readyReplicas: 1}}", "containerStatuses: [{name: c, state: {waiting: {reason: ContainerCreating}}}]",
			false, 0, "Pod/ns/p, container c, to run"},
		{"{apiVersion: apps/v1, kind: ReplicaSet, status: {readyReplicas: 1}}", "phase: Running, containerStatuses: [{name: c, restartCount: 1, " +
			"state: {running: {startedAt: \"2026-01-01T00:00:15Z\"}}, lastState: {terminated: {exitCode: 2, startedAt: \"2026-01-01T00:00:00Z\", finishedAt: \"2026-01-01T00:00:10Z\"}}}]",
			false, 0, "to go on running: it has just started, restarted 1 time (exit code 2)"},
		{"{apiVersion: apps/v1, kind: Deployment, spec: {paused: true}}", "phase: Pending", true, 0, ""},
		{"{apiVersion: apps/v1, kind: DaemonSet, spec: {updateStrategy: {type: OnDelete}}}", "phase: Pending", true, 0, ""},
		{"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1}, status: {updatedReplicas: 0}}", "phase: Pending", false, 0, "0 out of 1 new replicas"},
		{"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1}, status: {conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}}",
			"containerStatuses: [{name: c, state: {waiting: {reason: CreateContainerError, message: why}}}]", false, certain, "exceeded its progress deadline"},
	} {
		live := &unstructured.Unstructured{Object: object(t, test.live)}
		live.SetName("p")
		live.SetNamespace("ns")
		s, err := Look(kube.Object{Unstructured: live}, live, []corev1.Pod{*pod(t, test.pod)}, now)
		if err != nil {
			t.Fatal(err)
		}
		if s.Trouble == nil {
			s.Trouble = &Trouble{}
		}
		if s.Done != test.done || s.Trouble.weight != test.weight || !strings.Contains(s.WaitingFor+s.Trouble.message, test.words) {
			t.Errorf("%s: %+v %+v", test.live, s, s.Trouble)
		}
	}
}

func TestWhatDefinesAKindIsWaitedForUntilTheAPIServerServesIt(t *testing.T) {
	const crd = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: as.example.com}, status: {conditions: [%s]}}"
	const service = "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.example.com}, status: {conditions: [%s]}}"
	for _, test := range []struct {
		object, conditions string
		done               bool
		waitingFor, look   string // look where it is in trouble
	}{
		{crd, "", false, "it to be Established", ""},
		{crd, "{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}", true, "", ""},
		{crd, "{type: NamesAccepted, status: 'False', reason: KindConflict, message: 'kind A is taken'}, {type: Established, status: 'False'}", false,
			"NamesAccepted is False (KindConflict): kind A is taken", "describe customresourcedefinition.apiextensions.k8s.io as.example.com"},
		{service, "{type: Available, status: 'True'}", true, "", ""},
		{service, "{type: Available, status: 'False', reason: ServiceNotFound, message: 'no service'}", false,
			"Available is False (ServiceNotFound): no service", "describe apiservice.apiregistration.k8s.io v1.example.com"},
	} {
		live := &unstructured.Unstructured{Object: object(t, fmt.Sprintf(test.object, test.conditions))}
		if !WaitedFor(live) {
			t.Fatal(live.GetKind() + " is not waited for")
		}
		s, err := Look(kube.Object{Unstructured: live}, live, nil, time.Now())
		if err != nil || s.Done != test.done || s.WaitingFor != test.waitingFor || (s.Trouble != nil) != (test.look != "") {
			t.Errorf("%s %s: %+v, %v", live.GetKind(), test.conditions, s, err)
		}
		if s.Trouble != nil && s.Trouble.look != test.look {
			t.Error(s.Trouble.look)
		}
	}
}

func TestThePodsOfADeploymentsFormerTemplateAreLeftOut(t *testing.T) {
	owned := func(owner string) corev1.Pod {
		p := *pod(t, "phase: Pending")
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, Controller: new(true)}}
		return p
	}
	set := func(name, uid, number string) unstructured.Unstructured {
		return unstructured.Unstructured{Object: object(t, fmt.Sprintf("{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: %s, namespace: ns, "+
			"annotations: {deployment.kubernetes.io/revision: '%s'}, ownerReferences: [{kind: Deployment, name: d, uid: %s, controller: true}]}}", name, number, uid))}
	}
	live := &unstructured.Unstructured{Object: object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns, uid: u, "+
		"annotations: {deployment.kubernetes.io/revision: '2'}}}")}
	sets := []unstructured.Unstructured{set("old", "u", "1"), set("new", "u", "2"), set("other", "v", "2")}
	got := OfRevision(live, sets, []corev1.Pod{owned("old"), owned("new"), owned("other"), *pod(t, "phase: Pending")})
	if len(got) != 1 || ownerOf(&got[0]) != "new" {
		t.Error(got)
	}
}

func TestAWorkloadThatIsNotThereIsGone(t *testing.T) {
	wanted := kube.Object{Unstructured: &unstructured.Unstructured{Object: object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: ns}}")}}
	s, err := Look(wanted, nil, nil, time.Now())
	if err != nil || s.Done || s.Trouble.weight != gone || s.WaitingFor != "it to appear" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAWorkloadsPodsAreThoseThatItsControllerMadeAndThatStay(t *testing.T) {
	labelled := func(name, kind string) corev1.Pod {
		p := *pod(t, "phase: Running")
		p.Name, p.Labels = name, map[string]string{"app": name}
		if kind != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, UID: "u", Controller: new(true)}}
		}
		return p
	}
	leaving := labelled("a", "ReplicaSet")
	leaving.DeletionTimestamp = &metav1.Time{}
	pods := []corev1.Pod{labelled("a", "ReplicaSet"), labelled("b", "ReplicaSet"), leaving, labelled("a", ""), labelled("b", ""), labelled("a", "Job")}
	for text, want := range map[string]int{
		"{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchLabels: {app: a}}}}":                            1,
		"{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchExpressions: [{key: app, operator: Exists}]}}}": 2,
		"{apiVersion: apps/v1, kind: ReplicaSet, metadata: {uid: u}, spec: {selector: {matchLabels: {app: b}}}}":        1,
		"{apiVersion: apps/v1, kind: StatefulSet, metadata: {uid: v}, spec: {selector: {matchLabels: {app: a}}}}":       0,
		"{apiVersion: v1, kind: Pod, metadata: {name: b}}":                                                              2,
		"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}}":                    0,
		"{apiVersion: apps/v1, kind: Deployment, spec: {selector: wrong}}":                                              -1,
		"{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchLabels: wrong}}}":                               -1,
		"{apiVersion: apps/v1, kind: Deployment, spec: {selector: {matchExpressions: [{key: app, operator: Wrong}]}}}":  -1,
	} {
		got, err := PodsOf(&unstructured.Unstructured{Object: object(t, text)}, pods)
		if (err != nil) != (want < 0) || err == nil && len(got) != want {
			t.Errorf("%s: %d, %v", text, len(got), err)
		}
	}
	if got, err := PodsOf(nil, pods); got != nil || err != nil {
		t.Error(got, err)
	}
}

func TestAWorkloadThatCannotBeReadIsAnError(t *testing.T) {
	for _, text := range []string{
		"{apiVersion: batch/v1, kind: Job, status: {failed: many}}",
		"{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: many}}",
	} {
		live := &unstructured.Unstructured{Object: object(t, text)}
		if _, err := Look(kube.Object{Unstructured: live}, live, nil, time.Now()); err == nil {
			t.Error(text)
		}
	}
}

func TestOnlyADeploymentsPodsMayBeOfOtherTemplatesThanItsNewest(t *testing.T) {
	owned := func(owner, hash string) corev1.Pod {
		p := *pod(t, "phase: Pending")
		p.Labels = map[string]string{"pod-template-hash": hash}
		p.OwnerReferences = []metav1.OwnerReference{{Name: owner, Controller: new(true)}}
		return p
	}
	for kind, others := range map[string]bool{"Deployment": true, "DaemonSet": false} {
		live := &unstructured.Unstructured{Object: object(t, "{kind: "+kind+", metadata: {name: web}}")}
		for name, pods := range map[string][]corev1.Pod{
			"of two templates":         {owned("web-1", "1"), owned("web-2", "2")},
			"of a Deployment web-api":  {owned("web-api-1", "1")},
			"of an adopted ReplicaSet": {owned("old-1", "1")},
		} {
			if OfOthers(live, pods) != others || OfOthers(nil, pods) {
				t.Errorf("%s %s", kind, name)
			}
		}
		if OfOthers(live, []corev1.Pod{owned("web-1", "1"), owned("web-1", "1")}) || OfOthers(live, nil) {
			t.Error(kind)
		}
	}
}
