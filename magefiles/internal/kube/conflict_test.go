package kube

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

func TestWhetherOthersHaveOtherValuesIsAskedWithoutWriting(t *testing.T) {
	status, answer := http.StatusOK, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "services", "kind": "Service", "namespaced": true}]}`)
		case r.URL.Query().Get("dryRun") != "All" || r.URL.Query().Get("force") == "true":
			t.Errorf("%s %s", r.Method, r.URL)
		default:
			w.WriteHeader(status)
			fmt.Fprint(w, answer)
		}
	}))
	defer server.Close()
	client, err := New(&rest.Config{Host: server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "ns"}}`
	service := Object{Unstructured: &unstructured.Unstructured{Object: object(t, text)}}
	ask := func(code int, said string) error {
		status, answer = code, said
		return Conflict(t.Context(), client, service, service.DeepCopy())
	}
	if err := ask(http.StatusOK, text); err != nil {
		t.Error(err)
	}
	if err := ask(http.StatusUnprocessableEntity, `{"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422}`); err != nil {
		t.Errorf("what writing it would tell: %v", err)
	}
	err = ask(http.StatusConflict, `{"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "details": {"causes": [
		{"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\" using v1", "field": ".spec.selector"}]}}`)
	if !errors.As(err, new(*ConflictError)) || err.Error() != "Service/ns/s: it was there before, and kubectl set .spec.selector to something else" {
		t.Error(err)
	}
}

func TestWhoHasWrittenAnObjectIsInItsManagedFields(t *testing.T) {
	live := &unstructured.Unstructured{Object: object(t, `{metadata: {managedFields: [{manager: kubectl, operation: Apply}, {manager: helm, operation: Update}]}}`)}
	for manager, want := range map[string]bool{"helm": true, "kubectl": true, Manager: false} {
		if got := WrittenBy(live, manager); got != want {
			t.Errorf("%s: %v", manager, got)
		}
	}
}
