package kube

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"
)

// asking returns what sends a request to the server of cfg.
func asking(t *testing.T, cfg *rest.Config) func(method, path string) error {
	t.Helper()
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return func(method, path string) error {
		req, err := http.NewRequestWithContext(t.Context(), method, cfg.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
}

func TestADryRunSendsNothingThatWrites(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ask := asking(t, DryRunOnly(&rest.Config{Host: server.URL}))
	routes := "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/web"
	for _, refused := range [][2]string{{"PATCH", routes}, {"PATCH", routes + "?dryRun="}, {"PATCH", routes + "?dryRun=all"}, {"DELETE", routes},
		{"PATCH", routes + "?dryRun=All&dryRun=None"}, {"POST", "/api/v1/namespaces/shop/pods/web-1/exec?dryRun=All"}} {
		if err := ask(refused[0], refused[1]); !errors.As(err, new(*RefusedError)) {
			t.Errorf("%v: %v", refused, err)
		}
	}
	for _, allowed := range [][2]string{{"PATCH", routes + "?dryRun=All&fieldManager=kindgate"}, {"GET", routes}} {
		if err := ask(allowed[0], allowed[1]); err != nil {
			t.Errorf("%v: %v", allowed, err)
		}
	}
}

func TestAReadOnlyClientSendsNothingThatMightWrite(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = append(sent, r.Method+" "+r.URL.Path) }))
	defer server.Close()
	ask := asking(t, ReadOnly(&rest.Config{Host: server.URL}))
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
