package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"kindgate/magefiles/internal/implementation"
)

const (
	auditPolicy, auditLog = "/etc/kubernetes/audit-policy.yaml", "/var/log/kubernetes/audit.log"

	// application has a Gateway in namespace infra and a route to it in namespace shop; namespace closed has another route.
	application = `
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: closed}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: "traefik/whoami:v1.11.0", ports: [{containerPort: 80}], readinessProbe: {httpGet: {path: /health, port: 80}, periodSeconds: 1}}]}
---
{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: shop}, spec: {selector: {app: shop}, ports: [{port: 80}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec: {gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec: {hostnames: [shop.example], parentRefs: [{name: edge, namespace: infra}], rules: [{backendRefs: [{name: shop, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secret, namespace: closed}
spec:
  hostnames: [secret.example]
  parentRefs: [{name: edge, namespace: infra}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: shop.example, statusCode: 302}}]}]
`
	// reader may read everything in two namespaces, and nothing elsewhere.
	reader = `
{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader, namespace: shop}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: reader},
 rules: [{apiGroups: ["*"], resources: ["*"], verbs: [get, list, watch]}, {apiGroups: [""], resources: [pods/portforward], verbs: [create]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: reader, namespace: shop},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}, subjects: [{kind: ServiceAccount, name: reader, namespace: shop}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: reader, namespace: infra},
 roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}, subjects: [{kind: ServiceAccount, name: reader, namespace: shop}]}
`
	// ghost is of a controller that does not exist.
	ghost = `
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: ghost}, spec: {controllerName: example.com/ghost}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ghost, namespace: shop}
spec: {gatewayClassName: ghost, listeners: [{name: web, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ghost, namespace: shop}
spec: {hostnames: [ghost.example], parentRefs: [{name: ghost}], rules: [{backendRefs: [{name: shop, port: 80}]}]}
`
)

// audited has the API server log who writes and reads what, as an administrator.
func audited(t *testing.T, dir string) func(*v1alpha4.Cluster) {
	t.Helper()
	policy := filepath.Join(dir, "audit-policy.yaml")
	text := "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata, users: [kubernetes-admin]}, {level: None}]\n"
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return func(config *v1alpha4.Cluster) {
		node := &config.Nodes[0]
		node.ExtraMounts = append(node.ExtraMounts, v1alpha4.Mount{HostPath: policy, ContainerPath: auditPolicy, Readonly: true})
		config.KubeadmConfigPatchesJSON6902 = append(config.KubeadmConfigPatchesJSON6902, v1alpha4.PatchJSON6902{Group: "kubeadm.k8s.io", Version: "v1beta4", Kind: "ClusterConfiguration",
			Patch: `[{"op": "add", "path": "/apiServer/extraArgs/-", "value": {"name": "audit-policy-file", "value": "` + auditPolicy + `"}},
				{"op": "add", "path": "/apiServer/extraArgs/-", "value": {"name": "audit-log-path", "value": "` + auditLog + `"}},
				{"op": "add", "path": "/apiServer/extraVolumes", "value": [
					{"name": "policy", "hostPath": "` + auditPolicy + `", "mountPath": "` + auditPolicy + `", "readOnly": true, "pathType": "File"},
					{"name": "log", "hostPath": "` + filepath.Dir(auditLog) + `", "mountPath": "` + filepath.Dir(auditLog) + `", "pathType": "DirectoryOrCreate"}]}]`})
	}
}

// written are the requests of kindgate's that may write, by the API server's log, and asked is how many it has sent in all. A port-forward is
// one of those that read.
func (w *world) written(t *testing.T) (writes []string, asked int) {
	t.Helper()
	for line := range strings.Lines(w.docker(t, "exec", w.node(), "cat", auditLog)) {
		var event struct {
			Verb, UserAgent, RequestURI string
			ObjectRef                   struct{ Subresource string }
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if event.UserAgent != "kindgate" {
			continue
		}
		asked++
		if !slices.Contains([]string{"get", "list", "watch"}, event.Verb) && event.ObjectRef.Subresource != "portforward" {
			writes = append(writes, event.Verb+" "+event.RequestURI)
		}
	}
	return writes, asked
}

// apply hands manifests over as somebody does who has kubectl.
func (w *world) apply(t *testing.T, manifests string) {
	t.Helper()
	cmd := exec.Command("docker", "exec", "-i", w.node(), "sh", "-c", adminKubectl+"apply --server-side -f -")
	cmd.Stdin = strings.NewReader(manifests)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// definitionsOf are the Gateway API's, of the module that go.mod pins.
func definitionsOf(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
	cmd.Dir = root
	dir, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "standard", "gateway*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return strings.Join(all, "\n---\n")
}

// helmInstall installs Traefik as somebody does who has Helm only: as a Deployment, behind a Service of the type NodePort. It serves the
// Gateway API, or Ingresses.
func (w *world) helmInstall(t *testing.T, namespace string, gateway bool) {
	t.Helper()
	settings := cli.New()
	settings.KubeConfig = w.env["KINDGATE_KUBECONFIG"]
	settings.SetNamespace(namespace)
	configuration := new(action.Configuration)
	if err := configuration.Init(settings.RESTClientGetter(), namespace, "secret", func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace, install.CreateNamespace, install.SkipCRDs = "edge-proxy", namespace, true, true
	name := os.Getenv("KINDGATE_TRAEFIK_CHART")
	if name == "" {
		name, install.RepoURL = implementation.Traefik.Chart, cmp.Or(os.Getenv("KINDGATE_TRAEFIK_REPO"), "https://traefik.github.io/charts")
		install.Version = cmp.Or(os.Getenv("KINDGATE_TRAEFIK_VERSION"), implementation.Traefik.TriedChart)
	}
	path, err := install.LocateChart(name, settings)
	if err != nil {
		t.Fatal(err)
	}
	chart, err := loader.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	images := []string{"docker.io/traefik:" + chart.Metadata.AppVersion, "traefik/whoami:v1.11.0"}
	if err := loadImages(t, w.name, images); err != nil {
		t.Fatal(err)
	}
	enabled := func(on bool) map[string]any { return map[string]any{"enabled": on} }
	values := map[string]any{"deployment": map[string]any{"kind": "Deployment", "replicas": 2}, "service": map[string]any{"type": "NodePort"}, "gateway": enabled(false),
		"gatewayClass": enabled(gateway),
		"providers":    map[string]any{"kubernetesCRD": enabled(false), "kubernetesIngress": enabled(!gateway), "kubernetesGateway": enabled(gateway)}}
	if _, err := install.RunWithContext(t.Context(), chart, values); err != nil {
		t.Fatal(err)
	}
}

// everything has the resource versions of all objects of a cluster, but of those that Kubernetes itself writes all the time.
func (w *world) everything(t *testing.T) map[string]string {
	t.Helper()
	return w.objects(t, []string{"events", "leases", "nodes", "csinodes", "pods", "endpoints", "endpointslices"}, (*unstructured.Unstructured).GetResourceVersion)
}

// objects returns what is asked of all objects of a cluster, by their resources and names, but of some resources.
func (w *world) objects(t *testing.T, without []string, of func(*unstructured.Unstructured) string) map[string]string {
	t.Helper()
	dyn, typed := w.clients(t)
	lists, err := discovery.ServerPreferredResources(typed.Discovery())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || slices.Contains(without, resource.Name) {
				continue
			}
			objects, err := dyn.Resource(group.WithResource(resource.Name)).List(t.Context(), listAll)
			switch {
			case apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
				continue
			case err != nil:
				t.Fatal(err)
			}
			for i := range objects.Items {
				object := &objects.Items[i]
				found[resource.Name+"."+group.Group+"/"+object.GetNamespace()+"/"+object.GetName()] = of(object)
			}
		}
	}
	return found
}

// asReader adds a context to the kubeconfig, of the ServiceAccount that may read two namespaces only.
func (w *world) asReader(t *testing.T) {
	t.Helper()
	token := w.docker(t, "exec", w.node(), "sh", "-c", adminKubectl+"create token reader --namespace shop")
	path := w.env["KINDGATE_KUBECONFIG"]
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos["reader"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["reader"] = &clientcmdapi.Context{Cluster: "kind-" + w.name, AuthInfo: "reader"}
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
}

func TestAClusterOfSomebodysIsProvenByItsContextAndOnlyRead(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-context")
	w.kindCreate(t, audited(t, w.dir))
	w.apply(t, definitionsOf(t))
	w.helmInstall(t, "infra", true)
	w.apply(t, application)
	w.apply(t, reader)
	_, typed := w.clients(t)
	eventually(t, func() bool {
		for namespace, name := range map[string]string{"infra": "edge-proxy", "shop": "shop"} {
			deployment, err := typed.AppsV1().Deployments(namespace).Get(context.Background(), name, metav1.GetOptions{})
			if err != nil || deployment.Status.ReadyReplicas != 2 {
				return false
			}
		}
		return true
	})
	w.asReader(t)
	delete(w.env, "KINDGATE_CLUSTER")
	w.env["KINDGATE_CONTEXT"] = "kind-" + w.name
	for _, old := range w.manifests(t) { // the folder's own would be applied beside what there is
		if err := os.Remove(old); err != nil {
			t.Fatal(err)
		}
	}
	w.write(t, "manifests/more.yaml", `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: more, namespace: shop}
spec: {hostnames: [shop.example], parentRefs: [{name: edge, namespace: infra}], rules: [{matches: [{path: {value: /more}}], backendRefs: [{name: shop, port: 80}]}]}
`)
	dyn, _ := w.clients(t)
	var before map[string]string
	eventually(t, func() bool { // Traefik has written all statuses
		for namespace, name := range map[string]string{"shop": "shop", "closed": "secret"} {
			route, err := dyn.Resource(routes).Namespace(namespace).Get(context.Background(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if parents, _, _ := unstructured.NestedSlice(route.Object, "status", "parents"); len(parents) == 0 {
				return false
			}
		}
		last := before
		before = w.everything(t)
		return last != nil && maps.Equal(last, before)
	})

	contains(t, w.mage(t, "verify"), "Gateway/infra/edge  port 80 reached through a port-forward to Pod/infra/edge-proxy-", "GatewayClass/traefik  Accepted",
		"HTTPRoute/shop/shop  Accepted, ResolvedRefs", "http://shop.example/  Service/shop/shop: answered by its pod", "one of 2",
		"http://secret.example/  redirected with 302 to ", "passed")
	contains(t, w.mage(t, "explain", "http://shop.example/more"), "by the routes of context kind-"+w.name, "HTTPRoute/shop/shop, rule 1, match 1  takes it to Service/shop/shop",
		"2 ready endpoints", "the backend answers  Service/shop/shop: answered by its pod")
	contains(t, w.mage(t, "explain", "http://shop.example/more", "-files"), "with these files applied", "HTTPRoute/shop/more, rule 1, match 1  takes it to Service/shop/shop")
	contains(t, w.mage(t, "status"), "only read", "shop/shop", "Accepted, ResolvedRefs", "answered by its pod")
	contains(t, w.mage(t, "check"), "passed")
	w.edit(t, "manifests/more.yaml", "name: shop, port: 80", "name: shpo, port: 80")
	w.fails(t, []string{"there is no Service/shop/shpo in the manifests or the cluster, but there is Service/shop/shop"}, "check")

	w.env["KINDGATE_CONTEXT"] = "reader"
	w.fails(t, []string{"neither Gateways nor routes may be read", "cannot list httproutes in all namespaces: Forbidden", "KINDGATE_NAMESPACES"}, "verify")
	w.env["KINDGATE_NAMESPACES"] = "shop,infra,closed"
	out := w.mage(t, "verify")
	contains(t, out, "cannot list gatewayclasses: Forbidden", "cannot list httproutes in namespace closed: Forbidden", "GatewayClass/traefik  not known: a GatewayClass cannot be read",
		"http://shop.example/  Service/shop/shop: answered by its pod", "passed")
	if strings.Contains(out, "secret.example") {
		t.Errorf("what may not be read is said:\n%s", out)
	}
	delete(w.env, "KINDGATE_NAMESPACES")

	w.env["KINDGATE_CONTEXT"] = "kind-" + w.name[1:]
	w.fails(t, []string{"has no context", "is kind-" + w.name + " meant?"}, "verify")
	w.env["KINDGATE_CONTEXT"], w.env["KINDGATE_CLUSTER"] = "kind-"+w.name, w.name
	w.fails(t, []string{"KINDGATE_CONTEXT and KINDGATE_CLUSTER are both set"}, "verify")
	delete(w.env, "KINDGATE_CLUSTER")

	if differ := changed(before, w.everything(t)); len(differ) > 0 {
		t.Errorf("changed: %v", differ)
	}
	if writes, asked := w.written(t); len(writes) > 0 || asked < 20 {
		t.Errorf("of %d requests to the API server, these may write: %v", asked, writes)
	}

	w.apply(t, ghost)
	out = w.fails(t, []string{"✗ GatewayClass/ghost", "✗ Gateway/shop/ghost", "✗ HTTPRoute/shop/ghost", "✗ http://ghost.example/", "http://shop.example/ through Gateway/infra/edge  Service/shop/shop: answered by its pod"}, "verify")
	if strings.Contains(out, "✗ HTTPRoute/shop/shop") || strings.Contains(out, "✗ http://shop.example") {
		t.Errorf("one class that nobody serves is no fault of another's:\n%s", out)
	}

	before = w.everything(t)
	w.env["KINDGATE_APPROVE"] = "yes"
	w.edit(t, "manifests/more.yaml", "name: shpo, port: 80", "name: shop, port: 80")
	w.fails(t, []string{"GatewayClass/traefik is served already: another Traefik, which kindgate did not install", "go tool mage verify"}, "up")
	if differ := changed(before, w.everything(t)); len(differ) > 0 {
		t.Errorf("up changed %v beside a Traefik that is not its own", differ)
	}
}

// manifests are the files of the world's folder that are Kubernetes objects.
func (w *world) manifests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "manifests", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return strings.HasPrefix(filepath.Base(file), "traefik-values.") })
}
