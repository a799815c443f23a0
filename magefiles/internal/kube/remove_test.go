package kube

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// beside returns a client of an API server that has ConfigMaps of its own, and the group others.test by another server, which
// answers what is asked of that group.
func beside(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "others.test", "versions": [{"groupVersion": "others.test/v1", "version": "v1"}],
				"preferredVersion": {"groupVersion": "others.test/v1", "version": "v1"}}]}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": ["list", "delete"]},
				{"name": "endpoints", "kind": "Endpoints", "namespaced": true, "verbs": ["list", "delete"]}]}`)
		case strings.HasSuffix(r.URL.Path, "/endpoints"):
			fmt.Fprint(w, `{"kind": "EndpointsList", "apiVersion": "v1", "items": [{"metadata": {"name": "byhand", "namespace": "ns"}},
				{"metadata": {"name": "going", "namespace": "ns", "managedFields": [{"manager": "kube-controller-manager", "operation": "Update"}]}}]}`)
		case strings.HasPrefix(r.URL.Path, "/apis/others.test/v1"):
			answer(w, r)
		default:
			fmt.Fprint(w, `{"kind": "ConfigMapList", "apiVersion": "v1", "items": [{"metadata": {"name": "theirs", "namespace": "ns"}}]}`)
		}
	}))
	t.Cleanup(server.Close)
	client, err := New(&rest.Config{Host: server.URL}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func away(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, `{"kind": "Status", "status": "Failure", "code": 503}`, http.StatusServiceUnavailable)
}

func things(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/apis/others.test/v1" {
		fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "others.test/v1", "resources": [{"name": "things", "kind": "Thing", "namespaced": true, "verbs": ["list", "delete"]}]}`)
		return
	}
	fmt.Fprint(w, `{"kind": "ThingList", "apiVersion": "others.test/v1", "items": [{"metadata": {"name": "one", "namespace": "ns"}}]}`)
}

func TestANamespaceWithKindsThatCannotBeListedIsNotTakenForEmpty(t *testing.T) {
	if held, err := beside(t, things).Contents(t.Context(), "ns"); err != nil || !slices.Equal(held, []string{"ConfigMap/ns/theirs", "Endpoints/ns/byhand", "Thing/ns/one"}) {
		t.Error(held, err)
	}
	unlisted := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/things") {
			away(w, r)
			return
		}
		things(w, r)
	}
	for name, answer := range map[string]http.HandlerFunc{"their kinds are not known": away, "they are not listed": unlisted} {
		if held, err := beside(t, answer).Contents(t.Context(), "ns"); err == nil {
			t.Errorf("%s: %v", name, held)
		}
	}
}

func TestAnObjectWhoseKindCouldNotBeLookedUpIsNotTakenForMissing(t *testing.T) {
	kind := schema.GroupVersionKind{Group: "others.test", Version: "v1", Kind: "Thing"}
	client := beside(t, away)
	client.Options.DryRun = true // which does not wait for a kind that was defined a moment ago
	if found, err := client.Get(t.Context(), kind, "ns", "one"); err == nil {
		t.Error(found)
	}
	if known, err := client.Known(kind); err == nil {
		t.Error(known)
	}
	kind.Group = "nobodys.test"
	if found, err := client.Get(t.Context(), kind, "ns", "one"); err != nil || found != nil {
		t.Errorf("a kind of a group that the cluster does not have: %v, %v", found, err)
	}
}

func TestAnObjectThatSomebodyHasMadeSinceTheLookIsNotDeleted(t *testing.T) {
	sent := ""
	client := writing(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			fmt.Fprint(w, `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns", "uid": "ours",
				"managedFields": [{"manager": "kindgate", "operation": "Apply", "apiVersion": "v1"}]}}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind": "Status", "status": "Failure", "reason": "Conflict", "code": 409, "message": "the UID in the precondition: ours, the UID in the object: theirs"}`)
	})
	if removed, err := client.Remove(t.Context(), manifest(t, configMap)); removed || err == nil || !strings.Contains(sent, `"uid":"ours"`) {
		t.Error(sent, removed, err)
	}
}
