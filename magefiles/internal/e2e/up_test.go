package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/repo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var listAll = metav1.ListOptions{}

func TestUpFromNothingServesEveryRoute(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-new")
	w.edit(t, "manifests/httproute-host.yaml", "- whoami.localhost", "- whoami.localhost\n    - whoami.kindgate.test")
	w.write(t, "hosts", "127.0.0.1 localhost\n")
	steps := w.steps(t, "up")
	for _, name := range []string{"cluster", "images", "crds", "certificates", "traefik", "apps", "routes", "hosts"} {
		if steps[name].Result != "created" {
			t.Errorf("%s: %+v, expected created", name, steps[name])
		}
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
	w.answeredBy(t, "demo.localhost", "/v1", "whoami-v1")
	w.answeredBy(t, "demo.localhost", "/v2/deeper", "whoami-v2")
	w.certified(t, "whoami.kindgate.test")
	if status, body, err := w.get("traefik.localhost", "/dashboard/"); status != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the dashboard: %d %v\n%s", status, err, body)
	}
	if status, _, _ := w.get("elsewhere.localhost", "/"); status != http.StatusNotFound {
		t.Errorf("a host that nobody has is answered with %d", status)
	}
	// The system's resolver knows this name nowhere, *.localhost on some machines.
	hosts, err := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(hosts), "127.0.0.1 localhost\n# BEGIN kindgate kindgate-e2e-new\n", "127.0.0.1 whoami.kindgate.test\n", "# END kindgate kindgate-e2e-new\n")

	w.steps(t, "teardown")
	if nodes := w.docker(t, "ps", "--all", "--quiet", "--filter", "name=^"+w.node()+"$"); nodes != "" {
		t.Errorf("teardown left the node %s", nodes)
	}
	kubeconfig, err := os.ReadFile(w.env["KINDGATE_KUBECONFIG"])
	if err != nil || strings.Contains(string(kubeconfig), "kind-"+w.name) {
		t.Errorf("teardown left the context (%v):\n%s", err, kubeconfig)
	}
	if hosts, err := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"]); err != nil || string(hosts) != "127.0.0.1 localhost\n" {
		t.Errorf("teardown left in the hosts file (%v):\n%s", err, hosts)
	}
	contains(t, w.mage(t, "teardown"), "there was no cluster kindgate-e2e-new")
}

// certified fails the test unless a client that trusts the authority takes what is presented for a name, and one that does not refuses it.
func (w *world) certified(t *testing.T, name string) {
	t.Helper()
	config := w.env["XDG_CONFIG_HOME"]
	if runtime.GOOS != "linux" {
		config, _ = os.UserConfigDir()
	}
	file, err := os.ReadFile(filepath.Join(config, "kindgate", "authority.pem"))
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(file) {
		t.Fatal("the authority's certificate:", err)
	}
	for _, roots := range []*x509.CertPool{roots, x509.NewCertPool()} {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.box.HTTPSPort), &tls.Config{RootCAs: roots, ServerName: name})
		if err == nil {
			_ = conn.Close()
		}
		if trusted := !roots.Equal(x509.NewCertPool()); trusted != (err == nil) {
			t.Errorf("trusted %t: %v", trusted, err)
		}
	}
}

func TestASecondUpChangesNothing(t *testing.T) {
	enterShared(t)
	w := up(t)
	dyn, _ := w.clients(t)
	before := versions(t, dyn)
	for name, step := range w.steps(t, "up") {
		if step.Result != "unchanged" && name != "verify" && name != "check" {
			t.Errorf("%s: %+v, expected unchanged", name, step)
		}
	}
	contains(t, w.mage(t, "plan"), "Plan: nothing to do")
	if names := changed(before, versions(t, dyn)); len(names) > 0 {
		t.Errorf("changed: %v", names)
	}
}

func TestRoutesAppliesAnEditedRouteAndNothingElse(t *testing.T) {
	enterShared(t)
	w := up(t)
	dyn, _ := w.clients(t)
	before := versions(t, dyn)
	w.edit(t, "manifests/httproute-host.yaml", "whoami-v1\n          port", "whoami-v2\n          port")
	steps := w.steps(t, "routes")
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v2")
	if steps["routes"].Result != "updated" || steps["apps"].Result != "unchanged" || steps["traefik"].Result != "unchanged" {
		t.Errorf("steps: %+v", steps)
	}
	// Traefik writes the status of the routes on its own.
	names := slices.DeleteFunc(changed(before, versions(t, dyn)), func(name string) bool { return name == "httproutes/demo/whoami-host" })
	if len(names) > 0 {
		t.Errorf("also changed: %v", names)
	}
}

func TestASecretIsAsItsStringDataWhateverIsDoneToItsKeys(t *testing.T) {
	enterShared(t)
	w := up(t)
	const file = "manifests/secret.yaml"
	w.write(t, file, "apiVersion: v1\nkind: Secret\nmetadata: {name: settings, namespace: demo}\nstringData:\n  user: admin\n  key: text\n")
	dyn, _ := w.clients(t)
	secret := dyn.Resource(secrets).Namespace("demo")
	look := func(result string) map[string]any {
		if step := w.steps(t, "apps")["apps"]; step.Result != result {
			t.Errorf("%+v, expected %s", step, result)
		}
		live, err := secret.Get(context.Background(), "settings", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		again := w.steps(t, "apps")["apps"]
		if now, err := secret.Get(context.Background(), "settings", metav1.GetOptions{}); err != nil ||
			again.Result != "unchanged" || now.GetResourceVersion() != live.GetResourceVersion() {
			t.Errorf("a second run: %+v, %v", again, err)
		}
		return live.Object["data"].(map[string]any)
	}
	whole := map[string]any{"user": "YWRtaW4=", "key": "dGV4dA=="}
	if data := look("updated"); !maps.Equal(data, whole) { // one object was created beside others
		t.Error(data)
	}
	for _, damage := range []string{`{"data":{"key":"b3RoZXI="}}`, `{"data":{"user":null}}`, `{"data":null}`} {
		for _, manager := range []string{"somebody", "kindgate"} {
			options := metav1.PatchOptions{FieldManager: manager}
			if _, err := secret.Patch(context.Background(), "settings", types.MergePatchType, []byte(damage), options); err != nil {
				t.Fatal(err)
			}
			if data := look("repaired"); !maps.Equal(data, whole) {
				t.Errorf("%s by %s: %v", damage, manager, data)
			}
		}
	}
	w.edit(t, file, "  user: admin\n", "")
	if data := look("updated"); !maps.Equal(data, map[string]any{"key": "dGV4dA=="}) {
		t.Error(data)
	}
	if err := secret.Delete(context.Background(), "settings", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestUpPutsBackWhatSomebodyDeletedOrChanged(t *testing.T) {
	enterShared(t)
	w := up(t)
	remove := func(resource schema.GroupVersionResource, namespace, name string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			dyn, _ := w.clients(t)
			background := metav1.DeletePropagationBackground
			if err := dyn.Resource(resource).Namespace(namespace).Delete(context.Background(), name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
				t.Fatal(err)
			}
		}
	}
	patch := func(resource schema.GroupVersionResource, namespace, name, patch string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			dyn, _ := w.clients(t)
			_, err := dyn.Resource(resource).Namespace(namespace).Patch(context.Background(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	type damage struct {
		name string
		do   func(*testing.T, *world)
		step string // that makes it right
	}
	// What is damaged in one round is made right by different steps.
	for _, round := range [][]damage{
		{
			{"Deployment deleted", remove(deployments, "demo", "whoami-v1"), "apps"},
			{"HTTPRoute's backend changed", patch(routes, "demo", "whoami-host", `{"spec":{"rules":[{"backendRefs":[{"name":"whoami-v2","port":80}]}]}}`), "routes"},
			{"DaemonSet's value changed under Helm's name", func(t *testing.T, w *world) {
				w.kubectl(t, `-n traefik patch daemonset traefik --field-manager=helm --type=merge `+
					`-p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":61}}}}'`)
			}, "traefik"},
		}, {
			{"Deployment scaled to 0", patch(deployments, "demo", "whoami-v1", `{"spec":{"replicas":0}}`), "apps"},
			{"HTTPRoute deleted", remove(routes, "demo", "whoami-host"), "routes"},
			{"DaemonSet deleted", remove(daemonSets, "traefik", "traefik"), "traefik"},
		}, {
			{"Deployment's image changed", patch(deployments, "demo", "whoami-v2", `{"spec":{"template":{"spec":{"containers":[{"name":"whoami","image":"traefik:v3.6.12"}]}}}}`), "apps"},
			{"Gateway deleted", remove(gateways, "traefik", "traefik-gateway"), "routes"},
			{"Traefik's Service deleted", remove(services, "traefik", "traefik"), "traefik"},
		}, {
			{"Service deleted", remove(services, "demo", "whoami-v2"), "apps"},
			{"DaemonSet's image changed", patch(daemonSets, "traefik", "traefik", `{"spec":{"template":{"spec":{"containers":[{"name":"traefik","image":"traefik/whoami:v1.11.0"}]}}}}`), "traefik"},
		}, {
			{"Service's selector changed", patch(services, "demo", "whoami-v2", `{"spec":{"selector":{"app.kubernetes.io/version":"v1"}}}`), "apps"},
			{"GatewayClass deleted", remove(classes, "", "traefik"), "traefik"},
		}, {
			{"Namespace's label changed", patch(namespaces, "", "demo", `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`), "apps"},
			{"Traefik's namespace deleted", remove(namespaces, "", "traefik"), "traefik"},
		}, {
			{"Namespace deleted", remove(namespaces, "", "demo"), "apps"},
		}, {
			{"CustomResourceDefinition deleted", remove(definitions, "", "httproutes.gateway.networking.k8s.io"), "crds"},
		},
	} {
		for _, damage := range round {
			damage.do(t, w)
		}
		steps := w.steps(t, "up")
		for _, damage := range round {
			if result := steps[damage.step].Result; result == "unchanged" || result == "" {
				t.Errorf("%s: %s %+v, expected a repair", damage.name, damage.step, steps[damage.step])
			}
		}
		w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
		w.answeredBy(t, "demo.localhost", "/v2", "whoami-v2")
	}
}

func TestFieldsOfOthersAreLeftToThem(t *testing.T) {
	enterShared(t)
	w := up(t)
	_, typed := w.clients(t)
	ctx := context.Background()
	// An autoscaler writes through the scale subresource, as the controller manager.
	scale, err := typed.AppsV1().Deployments("demo").GetScale(ctx, "whoami-v1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 3
	if _, err := typed.AppsV1().Deployments("demo").UpdateScale(ctx, "whoami-v1", scale, metav1.UpdateOptions{FieldManager: "kube-controller-manager"}); err != nil {
		t.Fatal(err)
	}
	patch := `{"metadata":{"annotations":{"example.com/owner":"somebody"}}}`
	if _, err := typed.AppsV1().Deployments("demo").Patch(ctx, "whoami-v1", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.edit(t, "manifests/whoami-v1.yaml", "cpu: 10m", "cpu: 11m")
	w.mage(t, "up")
	deployment, err := typed.AppsV1().Deployments("demo").Get(ctx, "whoami-v1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *deployment.Spec.Replicas != 3 || deployment.Annotations["example.com/owner"] != "somebody" {
		t.Errorf("replicas %d, annotations %v", *deployment.Spec.Replicas, deployment.Annotations)
	}
	if err := typed.AppsV1().Deployments("demo").Delete(ctx, "whoami-v1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

const shop = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - {name: shop, image: "traefik/whoami:v1.11.0", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik}]
  hostnames: [shop.localhost]
  rules:
    - backendRefs: [{name: shop, port: 80}]
`

func TestADroppedInApplicationIsServed(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.write(t, "manifests/shop.yaml", strings.Replace(shop, "[shop.localhost]", "[shop.localhost, shop.kindgate.test, www.example.com]", 1))
	out := w.mage(t, "up")
	contains(t, out, "HTTPRoute/shop/shop", fmt.Sprintf("http://shop.localhost:%d/", w.httpPort),
		fmt.Sprintf("✓ http://www.example.com:%d/", w.httpPort), "curl --resolve www.example.com:")
	w.answeredBy(t, "shop.localhost", "/", "shop")
	hosts, err := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"])
	if err != nil || !strings.Contains(string(hosts), "127.0.0.1 shop.kindgate.test\n") || strings.Contains(string(hosts), "example.com") {
		t.Errorf("the hosts file (%v):\n%s", err, hosts)
	}
	contains(t, w.mage(t, "status"), "shop/shop")
}

func TestVerifyFailsForABrokenRouteAndChangesNothing(t *testing.T) {
	enterShared(t)
	w := up(t)
	dyn, _ := w.clients(t)
	break_ := func(backend string) {
		patch := fmt.Sprintf(`{"spec":{"rules":[{"backendRefs":[{"name":%q,"port":80}]}]}}`, backend)
		if _, err := dyn.Resource(routes).Namespace("demo").Patch(context.Background(), "whoami-host", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	break_("nowhere")
	eventually(t, func() bool {
		status, _, _ := w.get("whoami.localhost", "/")
		return status == http.StatusInternalServerError
	})
	w.fails(t, []string{"HTTPRoute/demo/whoami-host", "ResolvedRefs is False (BackendNotFound)", "kubectl"}, "verify")
	break_("whoami-v2")
	eventually(t, func() bool { _, body, _ := w.get("whoami.localhost", "/"); return strings.Contains(body, "whoami-v2") })
	w.fails(t, []string{"whoami.localhost", "none of Service/demo/whoami-v1"}, "verify")
	before := versions(t, dyn)
	w.run("verify")
	if names := changed(before, versions(t, dyn)); len(names) > 0 {
		t.Errorf("verify changed %v", names)
	}
}

// Traefik follows the pods of a Service with some delay, in which it still sends requests to those that are gone.
func TestVerifyRightAfterARolloutPasses(t *testing.T) {
	enterShared(t)
	w := up(t)
	patched(deployments, "demo", "whoami-v1", `{"spec":{"template":{"metadata":{"annotations":{"example.com/restarted":"now"}}}}}`)(t, w)
	_, typed := w.clients(t)
	eventually(t, func() bool {
		d, err := typed.AppsV1().Deployments("demo").Get(context.Background(), "whoami-v1", metav1.GetOptions{})
		return err == nil && d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas &&
			d.Status.Replicas == *d.Spec.Replicas && d.Status.AvailableReplicas == *d.Spec.Replicas
	})
	w.mage(t, "verify")
}

func TestTwoClustersLiveSideBySide(t *testing.T) {
	enterShared(t)
	first := up(t)
	second := ownWorld(t, "kindgate-e2e-two")
	second.env["KINDGATE_KUBECONFIG"] = first.env["KINDGATE_KUBECONFIG"]
	second.env["KINDGATE_HOSTS_FILE"] = first.env["KINDGATE_HOSTS_FILE"]
	first.edit(t, "manifests/httproute-host.yaml", "- whoami.localhost", "- whoami.kindgate.test")
	first.mage(t, "up")
	second.write(t, "kind/cluster.yaml", lan(t, second))
	second.mage(t, "up")
	first.mage(t, "verify")
	second.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
	second.mage(t, "teardown")
	if config := load(t, first.env["KINDGATE_KUBECONFIG"]); len(config.Contexts) != 1 || config.CurrentContext != "kind-"+first.name {
		t.Errorf("the kubeconfig has %d contexts, the current one is %q", len(config.Contexts), config.CurrentContext)
	}
	first.mage(t, "verify")
	hosts, err := os.ReadFile(first.env["KINDGATE_HOSTS_FILE"])
	if err != nil || !strings.Contains(string(hosts), "127.0.0.1 whoami.kindgate.test\n") || strings.Contains(string(hosts), second.name) {
		t.Errorf("the hosts file (%v):\n%s", err, hosts)
	}
}

// lan is the world's kind configuration with an API server that is reached at another address of this machine than loopback.
func lan(t *testing.T, w *world) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "kind", "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	bridge := w.docker(t, "network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
	return string(text) + "networking: {apiServerAddress: " + bridge + "}\n"
}

func TestTheChartIsInstalledFromARepository(t *testing.T) {
	enterShared(t)
	w := up(t)
	dir := t.TempDir()
	source := os.Getenv("KINDGATE_TRAEFIK_CHART")
	if source == "" {
		t.Log("the chart of this run is already from a repository: its copy in the cache is served again")
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		copies, err := filepath.Glob(filepath.Join(cache, "kindgate", "charts", "traefik-*.tgz"))
		if err != nil || len(copies) == 0 {
			t.Fatalf("no chart in the cache: %v", err)
		}
		source = copies[0]
	}
	chart, err := loader.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chartutil.Save(chart, dir); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	index, err := repo.IndexDirectory(dir, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := index.WriteFile(filepath.Join(dir, "index.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	dyn, _ := w.clients(t)
	if err := dyn.Resource(daemonSets).Namespace("traefik").Delete(context.Background(), "traefik", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.env["KINDGATE_TRAEFIK_CHART"] = ""
	w.env["KINDGATE_TRAEFIK_REPO"] = server.URL
	w.env["KINDGATE_TRAEFIK_VERSION"] = chart.Metadata.Version
	contains(t, w.mage(t, "up"), "chart "+chart.Metadata.Version)
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")

	server.Close()
	if steps := w.steps(t, "up"); steps["traefik"].Result != "unchanged" {
		t.Errorf("without the repository: %+v", steps["traefik"])
	}
	w.env["KINDGATE_TRAEFIK_VERSION"] = "39.0.99"
	w.fails(t, []string{"chart traefik 39.0.99", "cannot be fetched", "KINDGATE_TRAEFIK_CHART"}, "traefik")
}
