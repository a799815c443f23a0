package kube

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"
)

func TestAReadOnlyClientSendsNothingThatMightWrite(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = append(sent, r.Method+" "+r.URL.Path) }))
	defer server.Close()
	client, err := rest.HTTPClientFor(ReadOnly(&rest.Config{Host: server.URL}))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	pod := "/api/v1/namespaces/shop/pods/web-1"
	for _, refused := range [][2]string{{"POST", "/api/v1/namespaces"}, {"PUT", pod}, {"PATCH", pod}, {"DELETE", pod}, {"OPTIONS", pod},
		{"POST", pod + "/exec"}, {"GET", pod + "/exec"}, {"GET", pod + "/attach"}, {"POST", pod + "/proxy"}, {"POST", pod + "/eviction"},
		{"GET", "/api/v1/namespaces/shop/services/web:80/proxy/"}, {"GET", "/api/v1/nodes/n/proxy/run"}, {"POST", "/x" + pod + "/portforward/more"},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}, {"DELETE", "/apis/gateway.networking.k8s.io/v1/httproutes"}} {
		if err := ask(refused[0], refused[1]); !errors.As(err, new(*RefusedError)) {
			t.Errorf("%v: %v", refused, err)
		}
	}
	if len(sent) != 0 {
		t.Errorf("sent: %v", sent)
	}
	for _, allowed := range [][2]string{{"GET", pod}, {"HEAD", pod}, {"GET", "/api/v1/pods?watch=true"}, {"GET", pod + "/log"},
		{"GET", "/api/v1/namespaces/shop/pods/web-1:9000/proxy/api"}, {"POST", pod + "/portforward"}, {"GET", pod + "/portforward"}} {
		if err := ask(allowed[0], allowed[1]); err != nil {
			t.Errorf("%v: %v", allowed, err)
		}
	}
}
