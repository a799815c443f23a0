package readiness

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

const refusalByHook = `Internal error occurred: failed calling webhook "pods.hook.test": failed to call webhook: ` +
	`Post "https://hook.hooks.svc:443/?timeout=10s": dial tcp 10.96.0.9:443: connect: connection refused`

func TestARefusalNamesTheServiceThatWasCalled(t *testing.T) {
	for text, want := range map[string]string{
		refusalByHook: "hooks/hook",
		`conversion webhook for case.test/v1, Kind=Thing failed: Post "https://convert.other.svc:443/?timeout=30s": EOF`: "other/convert",
		`failed calling webhook "x": failed to call webhook: Post "https://hook.example.com/": refused`:                  "",
	} {
		name, ok := WebhookService(errors.New(text))
		if !Unanswered(errors.New(text)) || ok != (want != "") || ok && name.String() != want {
			t.Errorf("%s: %s", text, name)
		}
	}
	if Unanswered(nil) || Unanswered(errors.New(`admission webhook "x" denied the request: no`)) {
		t.Error("who denies has answered")
	}
}

func TestWhatIsWaitedForBehindAWebhooksService(t *testing.T) {
	service := &unstructured.Unstructured{Object: object(t, "{kind: Service, metadata: {name: hook, namespace: ns}, spec: {selector: {app: hook}}}")}
	blind := &unstructured.Unstructured{Object: object(t, "{kind: Service, metadata: {name: hook, namespace: ns}, spec: {}}")}
	labelled := func(app, statuses string) corev1.Pod {
		p := *pod(t, statuses)
		p.Labels = map[string]string{"app": app}
		return p
	}
	ready := labelled("hook", "conditions: [{type: Ready, status: 'True'}]")
	leaving := *ready.DeepCopy()
	leaving.DeletionTimestamp = &metav1.Time{}
	young := labelled("hook", "phase: Pending")
	stuck := labelled("hook", "containerStatuses: [{name: c, state: {waiting: {reason: CreateContainerConfigError, message: no Secret}}}]")
	other := labelled("other", "conditions: [{type: Ready, status: 'True'}]")
	begins := labelled("hook", "conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: c, state: {running: {startedAt: \"2026-01-01T00:00:00Z\"}}}]")
	probes := *begins.DeepCopy()
	probes.Spec.Containers[0].ReadinessProbe = &corev1.Probe{}
	for name, test := range map[string]struct {
		service  *unstructured.Unstructured
		pods     []corev1.Pod
		expected bool
		done     bool
		weight   weight // -1 for no trouble
		words    string
	}{
		"no Service":                         {nil, nil, false, false, lasting, "its webhook's Service/ns/hook, which is not there"},
		"a Service that the run brings":      {nil, nil, true, false, mayPass, "its webhook's Service/ns/hook, which is not there"},
		"a Service without a selector":       {blind, []corev1.Pod{ready}, false, false, lasting, "to have a ready pod: it has none at all"},
		"only pods of others":                {service, []corev1.Pod{other, leaving}, false, false, lasting, "it has none at all"},
		"pods that the run brings":           {service, nil, true, false, mayPass, "it has none at all"},
		"a pod that is on its way":           {service, []corev1.Pod{young}, false, false, -1, "Pod/ns/p is not ready yet"},
		"a pod that cannot start":            {service, []corev1.Pod{young, stuck}, false, false, mayPass, "CreateContainerConfigError: no Secret"},
		"a ready pod beside one that is not": {service, []corev1.Pod{stuck, ready}, false, true, -1, "to answer: its pods are ready"},
		"a pod that may not listen yet":      {service, []corev1.Pod{stuck, begins}, false, false, -1, "Pod/ns/p has no readiness probe, and may not listen yet"},
		"a pod whose probe says it listens":  {service, []corev1.Pod{probes}, false, true, -1, "to answer: its pods are ready"},
	} {
		now := time.Date(2026, 1, 1, 0, 1, 59, 0, time.UTC)
		s := Behind(kube.Object{}, types.NamespacedName{Namespace: "ns", Name: "hook"}, test.service, test.pods, test.expected, true, now)
		if s.Done != test.done || !strings.Contains(s.WaitingFor, test.words) || (s.Trouble == nil) != (test.weight < 0) || s.Trouble != nil && s.Trouble.weight != test.weight {
			t.Errorf("%s: %+v %+v", name, s, s.Trouble)
		}
	}
	for refusing, after := range map[bool]time.Duration{true: limits.PodStart, false: 0} {
		s := Behind(kube.Object{}, types.NamespacedName{}, service, []corev1.Pod{begins}, false, refusing, begun(&begins).Add(after))
		if !s.Done {
			t.Errorf("refusing %t, after %s: %+v", refusing, after, s)
		}
	}
	if Refusing(errors.New("x509: unknown authority")) || !Refusing(errors.New(refusalByHook)) {
		t.Error("only nobody refuses a connection")
	}
	if s := Outside(kube.Object{}); !s.Done || !strings.Contains(s.WaitingFor, "none of a Service in the cluster") {
		t.Errorf("%+v", s)
	}
}

func TestAWebhookWhosePodsItRefusesItselfIsSaidWithTheWaysOut(t *testing.T) {
	live := func(labels string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: object(t, "{kind: ReplicaSet, metadata: {name: hook-1, namespace: hooks}, spec: {template: {metadata: {labels: {"+labels+"}}}}}")}
	}
	service := &unstructured.Unstructured{Object: object(t, "{kind: Service, metadata: {name: hook, namespace: hooks}, spec: {selector: {app: hook}}}")}
	elsewhere := service.DeepCopy()
	elsewhere.SetNamespace("other")
	there := *pod(t, "phase: Pending")
	there.Labels = map[string]string{"app": "hook"}
	config := func(name, webhook string) unstructured.Unstructured {
		return unstructured.Unstructured{Object: object(t, "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: "+name+"}, webhooks: [{name: "+webhook+"}]}")}
	}
	configs := []unstructured.Unstructured{config("other", "other.test"), config("hook", "pods.hook.test")}
	refusal := errors.New(refusalByHook)
	got := SelfGuarded(live("app: hook"), refusal, service, nil, configs, "kubectl --context c")
	if got == nil || got.weight != lasting || got.message != "its pods are refused: "+refusalByHook+
		"; they serve this webhook themselves, so none can ever be made. Have its namespaceSelector leave out namespace hooks, "+
		"or delete it and run again: kubectl --context c delete validatingwebhookconfiguration hook" {
		t.Errorf("%+v", got)
	}
	for name, other := range map[string]*Trouble{
		"a webhook of another Service":      SelfGuarded(live("app: other"), refusal, service, nil, configs, ""),
		"a Service of another namespace":    SelfGuarded(live("app: hook"), refusal, elsewhere, nil, configs, ""),
		"no Service":                        SelfGuarded(live("app: hook"), refusal, nil, nil, configs, ""),
		"a pod that may still become ready": SelfGuarded(live("app: hook"), refusal, service, []corev1.Pod{there}, configs, ""),
		"another refusal":                   SelfGuarded(live("app: hook"), errors.New("exceeded quota: q"), service, nil, configs, ""),
	} {
		if other != nil {
			t.Errorf("%s: %+v", name, other)
		}
	}
	s := State{WaitingFor: "it"}
	s.Blame(live("app: hook"), nil)
	if s.WaitingFor != "it" || s.Trouble != nil {
		t.Errorf("%+v", s)
	}
	s.Blame(live("app: hook"), got)
	if !strings.HasPrefix(s.WaitingFor, "it; ReplicaSet/hooks/hook-1: its pods are refused: ") || s.Trouble != got {
		t.Errorf("%+v", s)
	}
}
