package kube

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

func TestAPodIsAskedAndItsLogReadThroughTheAPIServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/namespaces/demo/pods/shop:9000/proxy/none" {
			http.NotFound(w, r)
		}
		fmt.Fprint(w, r.URL)
	}))
	defer server.Close()
	client, err := New(&rest.Config{Host: server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Pods().Get(t.Context(), "demo", "shop", 9000, "/api?a=b")
	if want := "/api/v1/namespaces/demo/pods/shop:9000/proxy/api?a=b"; err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
	if _, err := client.Pods().Get(t.Context(), "demo", "shop", 9000, "/none"); err == nil {
		t.Error("a 404 is no error")
	}
	got, err = client.Pods().Log(t.Context(), "demo", "shop", &corev1.PodLogOptions{Container: "c", TailLines: new(int64(2))})
	if want := "/api/v1/namespaces/demo/pods/shop/log?container=c&tailLines=2"; err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
}

func TestAPodAnswersWithWhateverButAServersError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/demo/pods/http:text:80/proxy":
			fmt.Fprint(w, "Hostname: text")
		case "/api/v1/namespaces/demo/pods/https:none:443/proxy":
			http.NotFound(w, r)
		default:
			http.Error(w, "no endpoint", http.StatusBadGateway)
		}
	}))
	defer server.Close()
	client, err := New(&rest.Config{Host: server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !client.Pods().Answers(t.Context(), "demo", "text", "http", 80) {
		t.Error("text is an answer")
	}
	if !client.Pods().Answers(t.Context(), "demo", "none", "https", 443) {
		t.Error("404 is an answer")
	}
	if client.Pods().Answers(t.Context(), "demo", "away", "http", 80) {
		t.Error("502 is the API server's, which does not reach the pod")
	}
}

func TestWhatTheAPIServersStoreDoesNotAnswerIsAskedAgain(t *testing.T) {
	for said, tries := range map[string]int{"etcdserver: request timed out": 2, "etcdserver: leader changed": 2, "etcdserver: mvcc: database space exceeded": 1, "another fault": 1} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if asked++; string(body) != "wanted" || asked == 1 {
				http.Error(w, said, http.StatusInternalServerError)
			}
		}))
		rt, err := rest.TransportFor(Patient(t.Context(), &rest.Config{Host: server.URL}, func(string) {}))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, server.URL, strings.NewReader("wanted"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(resp.Body); asked != tries || tries == 1 && strings.TrimSpace(string(text)) != said {
			t.Errorf("%s: asked %d times, %q", said, asked, text)
		}
		server.Close()
	}
}

func TestAServerThatDoesNotSayWhichKindsItHasIsNamed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "forbidden", "reason": "Forbidden", "code": 403}`)
	}))
	defer server.Close()
	client, err := New(&rest.Config{Host: server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "cannot discover which kinds the cluster has: Forbidden"
	if known, err := client.Known(corev1.SchemeGroupVersion.WithKind("Pod")); known || err == nil || err.Error() != want {
		t.Errorf("%v %v", known, err)
	}
}
