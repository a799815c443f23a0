package inventory

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/kube"
)

// serving returns the inventory of an API server that answers a read of it by read, and what was written to that server.
func serving(t *testing.T, read http.HandlerFunc) (store *Store, written *[]string) {
	t.Helper()
	written = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind": "APIVersions", "versions": ["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": []}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "namespaces", "kind": "Namespace"},
				{"name": "configmaps", "kind": "ConfigMap", "namespaced": true}]}`)
		case r.Method != http.MethodGet:
			body, _ := io.ReadAll(r.Body)
			*written = append(*written, string(body))
			_, _ = w.Write(body)
		case strings.HasSuffix(r.URL.Path, "/configmaps/"+Name):
			read(w, r)
		default:
			fmt.Fprint(w, `{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "traefik", "uid": "here"}}`)
		}
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL}, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return NewStore(client, "traefik"), written
}

// configMap is the inventory with a text as the API server has it.
func configMap(text string) string {
	return fmt.Sprintf(`{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": %q, "namespace": "traefik"}, "data": {%q: %q}}`, Name, Key, text)
}

func TestAnInventoryThatCouldNotBeReadIsNotOverwritten(t *testing.T) {
	answer := ""
	for name, broken := range map[string]string{
		"by an error of the API server": "",
		"with a line of somebody's":     configMap("created v1 Service shop web\nmine\n"),
	} {
		store, written := serving(t, func(w http.ResponseWriter, _ *http.Request) {
			if answer == "" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprint(w, answer)
		})
		first := []kube.First{{Object: namespace.Object()}}
		answer = broken
		for range 2 { // the second time, too
			if err := store.Record(t.Context(), first); err == nil {
				t.Errorf("%s: no error", name)
			}
			if err := store.Forget(t.Context(), List{namespace}); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if len(*written) > 0 {
			t.Errorf("%s: written %s", name, *written)
		}
		answer = configMap("created v1 Service shop web\n")
		if err := store.Record(t.Context(), first); err != nil || len(*written) != 1 || !strings.Contains((*written)[0], `created v1 Service shop web\ncreated v1 Namespace - shop\n`) {
			t.Errorf("%s: once it can be read, it has more than before: %s, %v", name, *written, err)
		}
	}
}

func TestAnInventoryThatSomebodyHasCopiedFromAnotherClusterIsNotGoneBy(t *testing.T) {
	for home, ours := range map[string]bool{"here": true, "there": false, "": true} { // an earlier release wrote none
		store, written := serving(t, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Replace(configMap("created v1 Service shop web\n"), `"data": {`, fmt.Sprintf(`"data": {%q: %q, `, Home, home), 1))
		})
		list, err := store.List(t.Context())
		if (err == nil) != ours || len(list) > 0 != ours || !ours && !strings.Contains(err.Error(), "copy from another cluster") {
			t.Errorf("%q: %v, %v", home, list, err)
		}
		err = store.Record(t.Context(), []kube.First{{Object: namespace.Object()}})
		if (err == nil) != ours || ours && !strings.Contains(strings.Join(*written, ""), `"namespace-uid":"here"`) || !ours && len(*written) > 0 {
			t.Errorf("%q: %s, %v", home, *written, err)
		}
	}
}
