package kube

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/limits"
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

type tripper func() (*http.Response, error)

func (f tripper) RoundTrip(*http.Request) (*http.Response, error) { return f() }

// An API server that starts has not read yet whom it allows what.
func TestWhatAnAPIServerRefusesThatWasOutOfReachAMomentAgoIsAskedAgainForAWhile(t *testing.T) {
	const gone = 0
	for name, test := range map[string]struct {
		answers []int // the last one again and again
		want    int
		least   time.Duration
	}{
		"it never was out of reach": {[]int{http.StatusForbidden, http.StatusOK}, http.StatusForbidden, 0},
		"it has read its rules":     {[]int{gone, http.StatusForbidden, http.StatusForbidden, http.StatusOK}, http.StatusOK, 0},
		"it goes on refusing":       {[]int{gone, http.StatusForbidden}, http.StatusForbidden, limits.Refusing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				p := patient{t.Context(), tripper(func() (*http.Response, error) {
					status := test.answers[min(asked, len(test.answers)-1)]
					if asked++; status == gone {
						return nil, syscall.ECONNREFUSED
					}
					return &http.Response{StatusCode: status, Body: http.NoBody}, nil
				}), func(string) {}, &atomic.Int64{}}
				began := time.Now()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://server", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := p.RoundTrip(req)
				if took := time.Since(began); err != nil || resp.StatusCode != test.want || took < test.least || took > test.least+2*time.Second {
					t.Errorf("%v, %v after %s and %d requests", resp, err, took, asked)
				}
				_ = resp.Body.Close()
			})
		})
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
