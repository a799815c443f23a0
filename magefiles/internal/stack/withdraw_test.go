package stack

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

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
