package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func pod(t *testing.T, statuses string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	text := "{metadata: {name: p, namespace: ns, creationTimestamp: \"2026-01-01T00:00:00Z\"}, spec: {restartPolicy: Always, " +
		"containers: [{name: c, imagePullPolicy: Always}]}, status: {" + statuses + "}}"
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object(t, text), &pod); err != nil {
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
	} {
		got := podTrouble(pod(t, test.statuses))
		if got == nil {
			got = &trouble{}
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

func TestTheVerdictOfAWait(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	up, starting := sight{name: "up", done: true}, sight{name: "starting", waitingFor: "x"}
	in := func(w weight, since int) sight {
		return sight{name: "bad", trouble: &trouble{weight: w, started: ago(10), tried: true}, since: ago(since)}
	}
	untried := in(crashing, 30)
	untried.trouble.tried = false
	for name, test := range map[string]struct {
		sights   []sight
		progress time.Time
		done     bool
		broken   int
	}{
		"all are up":                                            {[]sight{up, up}, now, true, 0},
		"one is on its way":                                     {[]sight{up, starting}, now, false, 0},
		"a first sign of trouble":                               {[]sight{up, in(lasting, 1)}, time.Time{}, false, 0},
		"trouble that lasts":                                    {[]sight{up, in(lasting, 4)}, time.Time{}, false, 1},
		"trouble that lasts beside one on its way":              {[]sight{starting, in(lasting, 4)}, time.Time{}, false, 0},
		"trouble that lasts for long beside one on its way":     {[]sight{starting, in(lasting, 12)}, time.Time{}, false, 1},
		"the last word":                                         {[]sight{up, in(certain, 0)}, now, false, 1},
		"the last word beside one that crashes":                 {[]sight{untried, in(certain, 12)}, now, false, 2},
		"what is gone":                                          {[]sight{in(gone, 5)}, time.Time{}, false, 1},
		"what another may bring, which is on its way":           {[]sight{starting, in(mayPass, 60)}, time.Time{}, false, 0},
		"what another may bring, and none is on its way":        {[]sight{up, in(mayPass, 4)}, time.Time{}, false, 1},
		"what another may have brought a moment ago":            {[]sight{up, in(mayPass, 50)}, ago(10), false, 0},
		"what another has not brought":                          {[]sight{up, in(mayPass, 50)}, ago(20), false, 1},
		"a crash loop that is young":                            {[]sight{up, untried}, time.Time{}, false, 0},
		"a crash loop, tried since everything else is up":       {[]sight{up, in(crashing, 30)}, ago(11), false, 1},
		"a crash loop, not tried since everything else is up":   {[]sight{up, in(crashing, 30)}, ago(9), false, 0},
		"a crash loop beside one on its way":                    {[]sight{starting, in(crashing, 300)}, time.Time{}, false, 0},
		"two crash loops that may wait for each other":          {[]sight{in(crashing, 60), in(crashing, 60)}, time.Time{}, false, 2},
		"a crash loop beside one that is not tried long enough": {[]sight{untried, in(crashing, 60)}, time.Time{}, false, 0},
	} {
		v := judge(test.sights, test.progress, now, 4*time.Second)
		if v.done != test.done || len(v.broken) != test.broken {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

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
	} {
		live := &unstructured.Unstructured{Object: object(t, test.live)}
		live.SetName("p")
		live.SetNamespace("ns")
		s, err := look(Object{Unstructured: live}, live, []corev1.Pod{*pod(t, test.pod)}, now)
		if err != nil {
			t.Fatal(err)
		}
		if s.trouble == nil {
			s.trouble = &trouble{}
		}
		if s.done != test.done || s.trouble.weight != test.weight || !strings.Contains(s.waitingFor+s.trouble.message, test.words) {
			t.Errorf("%s: %+v %+v", test.live, s, s.trouble)
		}
	}
}

func TestAJobThatIsGoneIsJudgedByItsLastEvent(t *testing.T) {
	event := func(kind, reason, at string) corev1.Event {
		when, _ := time.Parse(time.DateTime, "2026-01-01 "+at)
		e := corev1.Event{Type: kind, Reason: reason, Message: "m"}
		e.LastTimestamp.Time = when
		return e
	}
	completed, made := event("Normal", "Completed", "00:00:02"), event("Normal", "SuccessfulCreate", "00:00:01")
	again, failed := event("Normal", "SuccessfulCreate", "00:00:03"), event("Warning", "BackoffLimitExceeded", "00:00:02")
	for _, test := range []struct {
		events []corev1.Event
		done   bool
		words  string
	}{
		{[]corev1.Event{completed, made}, true, ""},
		{[]corev1.Event{made, failed}, false, "BackoffLimitExceeded: m"},
		{[]corev1.Event{made, completed, again}, false, "no event says"},
		{nil, false, "no event says"},
	} {
		s := sight{trouble: &trouble{weight: gone}}
		s.jobGone(test.events)
		if s.done != test.done || !s.done && !strings.Contains(s.trouble.message, test.words) {
			t.Errorf("%+v", s)
		}
	}
}

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
		if got := refused(test.err); (got != nil) != test.said || got != nil && got.weight != test.weight {
			t.Errorf("%v: %+v", test.err, got)
		}
	}
}

func TestAnImageThatIsAlwaysPulledIsSaidToBeInTheNode(t *testing.T) {
	nodes := []corev1.Node{{Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: []string{"docker.io/library/myapp:latest"}}}}}}
	for image, want := range map[string]string{"myapp": "; the image in the node is not used", "other": "; an image in the node is not used"} {
		if got := (pulled{image, corev1.PullAlways}).always(nodes); !strings.HasPrefix(got, want) || !strings.Contains(got, "imagePullPolicy: IfNotPresent") {
			t.Errorf("%s: %s", image, got)
		}
	}
}

func TestObjectsThatAWebhookMustSeeComeAfterItsPods(t *testing.T) {
	objects, err := Decode([]byte(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
- name: a.b.c
  clientConfig: {service: {namespace: hooks, name: hook}}
  rules:
  - {apiGroups: [case.test], operations: [CREATE], resources: [things]}
  - {apiGroups: [""], operations: ["*"], resources: [pods]}
  namespaceSelector: {matchExpressions: [{key: free, operator: DoesNotExist}]}
---
{apiVersion: v1, kind: Service, metadata: {name: hook, namespace: hooks}, spec: {selector: {app: hook}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: hook, namespace: hooks}, spec: {template: {metadata: {labels: {app: hook}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: another, namespace: hooks}, spec: {template: {metadata: {labels: {app: another}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: app, namespace: apps}, spec: {template: {metadata: {labels: {app: app}}}}}
---
{apiVersion: case.test/v1, kind: Thing, metadata: {name: t, namespace: hooks}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: unseen, namespace: apps}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: free, labels: {free: "yes"}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: free, namespace: free}}
`), "")
	if err != nil {
		t.Fatal(err)
	}
	servers, after := webhookOrder(objects)
	if !slices.Equal(servers[0], []int{2}) {
		t.Errorf("served by %v", servers[0])
	}
	for i, before := range after {
		name := objects[i].Name()
		if held := len(before) > 0; held != (name == "Deployment/apps/app" || name == "Thing/hooks/t") {
			t.Errorf("%s: %v", name, before)
		}
	}
}

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
	if got := unschedulable(waiting); got != "no node" {
		t.Errorf("%q", got)
	}
	if got := unschedulable(pod(t, "conditions: [{type: PodScheduled, status: \"True\"}]")); got != "" {
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
	if got := claimsOf(waiting); !slices.Equal(got, []string{"data", "p-b"}) {
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
		got := unbound(&unstructured.Unstructured{Object: test.claim}, test.events)
		if (got != nil) != test.want || got != nil && (got.weight != mayPass || got.message != "PersistentVolumeClaim/ns/data: why") {
			t.Errorf("%v: %+v", test.events, got)
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
		if !waitedFor(live) {
			t.Fatal(live.GetKind() + " is not waited for")
		}
		s, err := look(Object{Unstructured: live}, live, nil, time.Now())
		if err != nil || s.done != test.done || s.waitingFor != test.waitingFor || (s.trouble != nil) != (test.look != "") {
			t.Errorf("%s %s: %+v, %v", live.GetKind(), test.conditions, s, err)
		}
		if s.trouble != nil && s.trouble.look != test.look {
			t.Error(s.trouble.look)
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
	got := ofRevision(live, sets, []corev1.Pod{owned("old"), owned("new"), owned("other"), *pod(t, "phase: Pending")})
	if len(got) != 1 || ownerOf(&got[0]) != "new" {
		t.Error(got)
	}
}
