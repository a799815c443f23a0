package stack

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kindgate/magefiles/internal/kube"
)

// An apiServer answers GETs by their paths with JSON, and forbids all others.
func apiServer(t *testing.T, answers map[string]string) (kubeconfig string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text, ok := answers[r.URL.Path]
		switch {
		case r.Method != http.MethodGet:
			t.Errorf("sent: %s %s", r.Method, r.URL)
		case !ok:
			w.WriteHeader(http.StatusForbidden)
			text = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403}`
		case text == "":
			w.WriteHeader(http.StatusNotFound)
			text = `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, contexts: [{name: staging, context: {cluster: a, user: a}}], clusters: [{name: a, cluster: {server: %q}}], users: [{name: a, user: {}}]}`, server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// discovered are an API server's answers about what it has, and empty lists of all of it.
func discovered(gatewayAPI bool) map[string]string {
	const group = "gateway.networking.k8s.io"
	answers := map[string]string{
		"/api":     `{"kind": "APIVersions", "versions": ["v1"]}`,
		"/version": `{"gitVersion": "v1.37.2"}`,
		"/api/v1":  `{"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "services", "kind": "Service", "namespaced": true}, {"name": "namespaces", "kind": "Namespace"}, {"name": "pods", "kind": "Pod", "namespaced": true}]}`,
		"/apis":    `{"kind": "APIGroupList", "groups": []}`,
	}
	for _, name := range []string{"/api/v1/services", "/api/v1/namespaces", "/api/v1/pods"} {
		answers[name] = `{"kind": "List", "apiVersion": "v1", "items": []}`
	}
	if !gatewayAPI {
		return answers
	}
	answers["/apis"] = `{"kind": "APIGroupList", "groups": [{"name": "` + group + `", "versions": [{"groupVersion": "` + group + `/v1", "version": "v1"}], "preferredVersion": {"groupVersion": "` + group + `/v1", "version": "v1"}},
		{"name": "apiextensions.k8s.io", "versions": [{"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"}], "preferredVersion": {"groupVersion": "apiextensions.k8s.io/v1", "version": "v1"}}]}`
	answers["/apis/apiextensions.k8s.io/v1"] = `{"kind": "APIResourceList", "groupVersion": "apiextensions.k8s.io/v1", "resources": [{"name": "customresourcedefinitions", "kind": "CustomResourceDefinition"}]}`
	answers["/apis/"+group+"/v1"] = `{"kind": "APIResourceList", "groupVersion": "` + group + `/v1", "resources": [{"name": "gatewayclasses", "kind": "GatewayClass"}, {"name": "gateways", "kind": "Gateway", "namespaced": true}, {"name": "httproutes", "kind": "HTTPRoute", "namespaced": true}]}`
	for _, name := range []string{"gateways", "httproutes"} {
		answers["/apis/"+group+"/v1/"+name] = `{"kind": "List", "apiVersion": "v1", "items": []}`
	}
	answers["/apis/"+group+"/v1/gatewayclasses"] = `{"kind": "List", "apiVersion": "v1", "items": [{"apiVersion": "` + group + `/v1", "kind": "GatewayClass", "metadata": {"name": "other"}, "spec": {"controllerName": "example.com/c"}}]}`
	for _, name := range []string{"gateways", "httproutes"} {
		answers["/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+name+"."+group] = ""
	}
	return answers
}

// dated are answers of a server with another version of Kubernetes.
func dated(answers map[string]string, version string) map[string]string {
	answers["/version"] = `{"gitVersion": "` + version + `"}`
	return answers
}

func TestFilesAreCheckedOnTopOfTheClusterOfAContext(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "kind"), os.DirFS(filepath.Join(root, "kind"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for file, text := range map[string]string{"traefik-values.yaml": "", "traefik-values.cluster.yaml": "", "gateway.yaml": `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: demo}
spec: {gatewayClassName: other, listeners: [{name: web, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: demo}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: shop, port: 80}]}]}
`} {
		if err := os.MkdirAll("manifests", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("manifests", file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := discovered(true)
	without := func(path string) map[string]string {
		some := discovered(true)
		delete(some, path)
		return some
	}
	for name, test := range map[string]struct {
		answers map[string]string
		want    []string
	}{
		"all of it":          {whole, []string{"there is no Service/demo/shop in the manifests or the cluster"}},
		"no Gateway API":     {discovered(false), []string{"the cluster does not have the Gateway API: it has no kind Gateway in gateway.networking.k8s.io/v1: the files are judged alone"}},
		"an old server":      {dated(discovered(false), "v1.25.16-gke.1"), []string{"have the Gateway API", "v1.25.16-gke.1 is older than v1.26, which the Gateway API's definitions need"}},
		"old, but served":    {dated(discovered(true), "v1.25.16"), []string{"there is no Service/demo/shop"}},
		"no right":           {without("/api/v1/services"), []string{"cannot list services in all namespaces: Forbidden: the files are judged alone"}},
		"not the definition": {without("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.gateway.networking.k8s.io"), []string{"cannot get customresourcedefinitions: Forbidden", "there is no Service/demo/shop"}},
		"nothing answers":    {without("/api"), []string{"cannot discover which kinds the cluster has: Forbidden"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := New([]string{"KINDGATE_CONTEXT=staging", "KINDGATE_KUBECONFIG=" + apiServer(t, test.answers), "KINDGATE_TRAEFIK_REPO=http://127.0.0.1:1", "KINDGATE_TRAEFIK_VERSION=0.0.1"})
			s.run.Begin(t.Context())
			var got []string
			for _, f := range slices.DeleteFunc(s.Examiner.faults(), func(f fault) bool { return f.at == "schemas" }) {
				got = append(got, f.Found)
			}
			if len(got) != len(test.want) {
				t.Fatalf("%q", got)
			}
			for i := range got {
				if !strings.Contains(got[i], test.want[i]) {
					t.Errorf("%q does not say %q", got[i], test.want[i])
				}
			}
		})
	}
}

func TestFilesAreJudgedByTheImplementationThatServesAllGateways(t *testing.T) {
	class := func(controller string) []kube.Object {
		return decoded(t, "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: c}, spec: {controllerName: "+controller+"}}")
	}
	ours, theirs := class("traefik.io/gateway-controller"), class("example.com/c")
	if b := (beneath{objects: theirs}); !b.provides(append(ours, class("x")...)) || (beneath{}).provides(nil) {
		t.Error("by their names, all classes are there")
	}
	other := decoded(t, "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: d}, spec: {controllerName: x}}")
	if (beneath{objects: theirs}).provides(other) {
		t.Error("a class is not there")
	}
	for name, test := range map[string]struct {
		live, files []kube.Object
		traefik     bool
	}{
		"none": {nil, nil, true}, "Traefik's": {ours, nil, true}, "of the files": {nil, ours, true}, "another's": {theirs, nil, false}, "both": {ours, theirs, false},
	} {
		if by := (beneath{objects: test.live}).by(test.files); (by == serving) != test.traefik {
			t.Errorf("%s: %s", name, by.Name)
		}
	}
}
