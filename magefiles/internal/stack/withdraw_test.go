package stack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/ui"
)

// A namespace that is no longer in the manifests goes with all that is in it, a definition with all objects of its kind: also with those of others.
func TestANamespaceOrDefinitionWithObjectsOfOthersIsNotDeleted(t *testing.T) {
	const ours = `"managedFields": [{"manager": "kindgate", "operation": "Apply", "apiVersion": "v1"}]`
	gone := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		path := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/")
		switch {
		case r.Method == http.MethodDelete:
			gone[path] = true
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Success"}`)
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "namespaces", "kind": "Namespace", "verbs": ["list", "delete"]},
				{"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": ["list", "delete"]}]}`)
		case strings.HasSuffix(path, "/configmaps"):
			items := `{"metadata": {"name": "kube-root-ca.crt"}}`
			if strings.HasPrefix(path, "full/") {
				items += `, {"metadata": {"name": "theirs", "namespace": "full"}}`
			}
			fmt.Fprintf(w, `{"kind": "ConfigMapList", "apiVersion": "v1", "items": [%s]}`, items)
		case path == "full" || path == "empty" && !gone[path]:
			fmt.Fprintf(w, `{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": %q, "uid": "u", %s}}`, path, ours)
		default:
			fmt.Fprint(w, `{"kind": "NamespaceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}`)
		}
	}))
	defer server.Close()
	client, err := kube.New(&rest.Config{Host: server.URL}, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := &session{run: run.New(run.Options{UI: ui.New(&out, ui.Options{}), Limit: time.Minute, Advise: advised})}
	entry := func(name string) inventory.Entry { return inventory.EntryOf(namespaceObject(name)) }
	deleted, err := s.removeAll(t.Context(), client, inventory.List{entry("full"), entry("empty")}, func(string) {})
	if err != nil || !slices.Equal(deleted, inventory.List{entry("empty")}) || gone["full"] || !gone["empty"] {
		t.Errorf("deleted %v (%v), %v", deleted, gone, err)
	}
	if !strings.Contains(out.String(), "Namespace/full stays, as it is not empty: ConfigMap/full/theirs.") {
		t.Error(out.String())
	}
}

// someCluster is an API server with namespaces and ConfigMaps, by their paths, that keeps what it is sent. kindgate has applied what is in ours.
func someCluster(t *testing.T, ours ...string) (objects map[string]map[string]any, cfg *rest.Config) {
	t.Helper()
	objects = map[string]map[string]any{}
	add := func(path string, object map[string]any) {
		metadata, _ := object["metadata"].(map[string]any)
		metadata["uid"], metadata["managedFields"] = path, []any{map[string]any{"manager": kube.Manager, "operation": "Apply", "apiVersion": "v1"}}
		objects[path] = object
	}
	for _, path := range ours {
		kind := map[bool]string{true: "ConfigMap", false: "Namespace"}[strings.Contains(path, "/configmaps/")]
		add(path, map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": filepath.Base(path)}})
	}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		path := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces")
		switch {
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "namespaces", "kind": "Namespace", "verbs": ["list", "delete"]},
				{"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": ["list", "delete"]}]}`)
		case r.Method == http.MethodDelete:
			maps.DeleteFunc(objects, func(other string, _ map[string]any) bool { return other == path || strings.HasPrefix(other, path+"/") })
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Success"}`)
		case r.Method == http.MethodPatch:
			var object map[string]any
			if err := json.NewDecoder(r.Body).Decode(&object); err != nil {
				t.Error(err)
			}
			add(path, object)
			_ = json.NewEncoder(w).Encode(object)
		case path == "" || strings.HasSuffix(path, "/configmaps"):
			list := map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}}
			items := []any{}
			for _, other := range slices.Sorted(maps.Keys(objects)) {
				if filepath.Dir(other) == cmp.Or(path, "/") {
					items = append(items, objects[other])
				}
			}
			list["items"] = items
			_ = json.NewEncoder(w).Encode(list)
		case objects[path] == nil:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`)
		default:
			_ = json.NewEncoder(w).Encode(objects[path])
		}
	}))
	t.Cleanup(server.Close)
	return objects, &rest.Config{Host: server.URL}
}

func TestTeardownRemembersWhatItHadToLeave(t *testing.T) {
	objects, cfg := someCluster(t, "/shop", "/shop/configmaps/ours", "/traefik", "/shop/configmaps/theirs")
	delete(objects["/shop/configmaps/theirs"]["metadata"].(map[string]any), "managedFields")
	client, err := kube.New(cfg, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	teardown := func() string {
		t.Helper()
		var out bytes.Buffer
		s := &session{run: run.New(run.Options{UI: ui.New(&out, ui.Options{}), Limit: time.Minute, Advise: advised})}
		w := &withdrawal{session: s, client: client, cfg: cfg, store: inventory.NewStore(client, serving.Namespace)}
		list, err := w.store.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.run(t.Context(), list.Created(), func(string) {}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const kept = "/traefik/configmaps/" + inventory.Name
	ours := inventory.Entry{Kind: schema.FromAPIVersionAndKind("v1", "ConfigMap"), Namespace: "shop", Name: "ours"}
	if err := inventory.NewStore(client, serving.Namespace).Record(t.Context(), []kube.First{{Object: namespaceObject("shop")}, {Object: ours.Object()}, {Object: namespaceObject("traefik")}}); err != nil {
		t.Fatal(err)
	}
	if said := teardown(); !strings.Contains(said, "Namespace/shop stays") || objects["/shop/configmaps/theirs"] == nil || objects["/shop/configmaps/ours"] != nil {
		t.Error(said, objects)
	}
	if text, _, _ := unstructured.NestedString(objects[kept], "data", inventory.Key); text != "created v1 Namespace - shop\ncreated v1 Namespace - traefik\n" {
		t.Errorf("the next teardown knows of %q", text)
	}
	delete(objects, "/shop/configmaps/theirs")
	if said := teardown(); len(objects) > 0 {
		t.Error(said, objects)
	}
}
