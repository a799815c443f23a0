package kube

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/result"
)

// writing returns a client of an API server that has ConfigMaps and Secrets, and gives the answer to every other request.
func writing(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		case "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": true},
				{"name": "secrets", "kind": "Secret", "namespaced": true}]}`)
		default:
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	client, err := New(&rest.Config{Host: server.URL}, Options{Kubectl: "kubectl"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const configMap = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}, "data": {"a": "mine"}}`

func TestAnObjectThatSomebodyMakesBetweenTheLookAndTheWriteIsNotOverwritten(t *testing.T) {
	client := writing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPatch || r.URL.Query().Get("force") == "true" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "details": {"causes": [
			{"reason": "FieldManagerConflict", "message": "conflict with \"kubectl\" using v1", "field": ".data.a"}]}}`)
	})
	_, err := client.ApplyTo(t.Context(), []Object{manifest(t, configMap)}, []*unstructured.Unstructured{nil})
	if !errors.As(err, new(*ConflictError)) {
		t.Error(err)
	}
}

func TestWhatIsRestoredIsNotDeletedAndKeepsWhatItHasBesides(t *testing.T) {
	status, sent := http.StatusOK, ""
	client := writing(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = fmt.Sprintf("%s %s %s %s", r.Method, r.Header.Get("Content-Type"), r.URL, strings.TrimSpace(string(body)))
		w.WriteHeader(status)
		if status == http.StatusOK {
			fmt.Fprint(w, configMap)
			return
		}
		fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": %q, "code": %d, "details": {"causes": [
			{"reason": "FieldValueInvalid", "message": "field is immutable", "field": "data"}]}}`, map[int]string{404: "NotFound", 422: "Invalid"}[status], status)
	})
	restore := func() error { return client.Restore(t.Context(), manifest(t, configMap), "helm") }
	if err := restore(); err != nil || !strings.HasPrefix(sent, "PATCH application/merge-patch+json /api/v1/namespaces/ns/configmaps/c?fieldManager=helm") ||
		!strings.Contains(sent, `"data":{"a":"mine"}`) {
		t.Error(sent, err)
	}
	if status = http.StatusNotFound; restore() != nil {
		t.Error("what is not there is Helm's to make")
	}
	status = http.StatusUnprocessableEntity
	if err := restore(); !errors.As(err, new(*FixedError)) || !strings.Contains(err.Error(), "To replace it, delete it") || !strings.Contains(err.Error(), "kubectl delete configmap -n ns c") {
		t.Error(err)
	}
	unknown := manifest(t, `{"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "c"}}`)
	if err := client.Restore(t.Context(), unknown, "helm"); err == nil {
		t.Error("a kind that the cluster has not")
	}
}

func TestASecretsValuesAreNotSaidThoughTheClusterAlteredThem(t *testing.T) {
	client := writing(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c", "namespace": "ns"}, "data": {"key": "b3RoZXJz"}}`)
	})
	secret := manifest(t, `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c", "namespace": "ns"}, "stringData": {"key": "mine"}}`)
	changes, err := client.ApplyTo(t.Context(), []Object{secret}, []*unstructured.Unstructured{nil})
	if err != nil || changes[0].Result != result.Created || changes[0].Altered != "data.key has another value" {
		t.Errorf("%+v, %v", changes, err)
	}
}

func TestALongValueIsCutInWhatIsSaidOfIt(t *testing.T) {
	if got := altered(map[string]any{"a": "x"}, map[string]any{"a": strings.Repeat("é", 100)}, ""); got != "a is "+strings.Repeat("é", 60)+"…, not x" {
		t.Error(got)
	}
}
