package kube

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

func TestWhatCannotStartIsSaidInTheKubeletsWordsInitContainersFirst(t *testing.T) {
	waiting := func(name, reason string) string {
		return `{name: ` + name + `, image: "r/i:1", state: {waiting: {reason: ` + reason + `, message: why}}}`
	}
	for _, test := range []struct{ statuses, want string }{
		{"initContainerStatuses: [" + waiting("init", "CreateContainerConfigError") + "], containerStatuses: [" + waiting("c", "ImagePullBackOff") + "]",
			"Pod/ns/p, container init: CreateContainerConfigError: why; see kubectl describe pod -n ns p"},
		{"containerStatuses: [" + waiting("a", "PodInitializing") + ", " + waiting("c", "InvalidImageName") + "]",
			"Pod/ns/p cannot have image r/i:1: InvalidImageName: why"},
		{"containerStatuses: [{name: c, state: {waiting: {reason: CrashLoopBackOff, message: back-off}}, lastState: {terminated: {exitCode: 3}}}]",
			"Pod/ns/p, container c: CrashLoopBackOff: back-off (it ended with exit code 3); see kubectl logs -n ns p"},
		{"containerStatuses: [" + waiting("c", "ContainerCreating") + "]", ""},
		{"containerStatuses: [{name: c, state: {running: {}}}]", ""},
		{"phase: Pending", ""},
	} {
		if got := startTrouble(pod(t, test.statuses)); got != test.want {
			t.Errorf("%s: %q", test.statuses, got)
		}
	}
}

func pod(t *testing.T, statuses string) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	text := "{metadata: {name: p, namespace: ns}, status: {" + statuses + "}}"
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object(t, text), &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

func TestAWaitThatEndsWhileTheAPIServerIsGoneSaysSo(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("gave up"))
	defer cancel()
	client, err := dynamic.NewForConfig(Patient(ctx, &rest.Config{Host: server.URL}, func(string) {}))
	if err != nil {
		t.Fatal(err)
	}
	err = Watch(ctx, client.Resource(corev1.SchemeGroupVersion.WithResource("pods")), func([]*unstructured.Unstructured) (string, bool, error) {
		return "", true, nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "gave up while waiting for the API server, which cannot be reached: ") || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

func TestWhatKeepsAnObjectFromGoingIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "its contents",
		"{metadata: {finalizers: [a/b, c]}, status: {conditions: [{type: X, status: 'True', message: 2 pods remain}, {type: Y, status: 'False'}]}}": "the finalizers a/b, c; 2 pods remain",
	} {
		if got := keptBy(&unstructured.Unstructured{Object: object(t, text)}); got != want {
			t.Errorf("%q", got)
		}
	}
}
