package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

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
	got, err := client.PodGet(t.Context(), "demo", "shop", 9000, "/api?a=b")
	if want := "/api/v1/namespaces/demo/pods/shop:9000/proxy/api?a=b"; err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
	if _, err := client.PodGet(t.Context(), "demo", "shop", 9000, "/none"); err == nil {
		t.Error("a 404 is no error")
	}
	got, err = client.PodLog(t.Context(), "demo", "shop", "c", 2)
	if want := "/api/v1/namespaces/demo/pods/shop/log?container=c&tailLines=2"; err != nil || string(got) != want {
		t.Errorf("%s %v", got, err)
	}
}
