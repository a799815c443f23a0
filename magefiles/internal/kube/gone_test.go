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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

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

func TestAnAPIServerThatWasOnlySlowIsNotSaidToBeOutOfReach(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer server.Close()
	defer close(over)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("gave up"))
	defer cancel()
	client, err := dynamic.NewForConfig(Patient(ctx, &rest.Config{Host: server.URL}, func(string) {}))
	if err != nil {
		t.Fatal(err)
	}
	pods := client.Resource(corev1.SchemeGroupVersion.WithResource("pods"))
	if _, err := pods.List(context.Background(), metav1.ListOptions{}); err == nil || !strings.HasSuffix(err.Error(), "gave up") || strings.Contains(err.Error(), "reached") {
		t.Error(err)
	}
	err = Watch(ctx, pods, func([]*unstructured.Unstructured) (string, bool, error) { return "", true, nil })
	if err == nil || err.Error() != "gave up while waiting for a first look" {
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
