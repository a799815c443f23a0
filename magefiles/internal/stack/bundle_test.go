package stack

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/bundle"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/ui"
)

// inACopy has the test run in a copy of the project's folder.
func inACopy(t *testing.T) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, folder := range []string{"kind", "manifests"} {
		if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABundleWithoutAClusterHasTheFilesAndNoneOfTheirSecrets(t *testing.T) {
	inACopy(t)
	t.Setenv("PATH", t.TempDir()) // no engine
	const value = "opensesame-opensesame"
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: demo}\nstringData: {password: " + value + "}\ndata: {other: " + base64.StdEncoding.EncodeToString([]byte("second-secret-value")) + "}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: demo}\ndata: {url: planted-in-data}\n---\n" +
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: demo, annotations: {a: planted-in-annotation}, labels: {l: second-secret-value}}\nspec:\n  containers:\n" +
		"  - {name: c, image: x, env: [{name: X, value: planted-in-env}], args: [planted-in-args], command: [planted-in-command]}\n"
	if err := os.WriteFile("manifests/secret.yaml", []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New([]string{"KINDGATE_CLUSTER=never", "KINDGATE_TRAEFIK_REPO=http://user:planted-in-url@127.0.0.1:1", "KINDGATE_TRAEFIK_VERSION=0.0.1", "KINDGATE_SOAK_RESTART=echo " + value,
		"KINDGATE_KUBECONFIG=" + filepath.Join(t.TempDir(), "config"), "HOME=/home/planted"})
	s.ui.Check(ui.Check{What: "a check", Finding: check.Finding{Found: "it answers " + value}, Hint: "Authorization: planted-in-hint"})
	if err := s.Target(t.Context(), s.Bundle); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(bundleFile)
	if err != nil {
		t.Fatal(err)
	}
	files, err := bundle.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{value, "second-secret", "planted-in", base64.StdEncoding.EncodeToString([]byte(value))} {
		if strings.Contains(string(all), planted) {
			t.Errorf("%s is in the bundle", planted)
		}
	}
	for file, want := range map[string]string{"about.json": `"KINDGATE_CLUSTER": "never"`, "manifests.json": "whoami-host", "values.json": "hostPort", "kind-cluster.yaml": "control-plane", "said.json": "a check",
		"doctor.json": "no container engine is installed", bundle.LeftOut: "everything of the cluster: no container engine is installed"} {
		if !strings.Contains(string(files[file]), want) {
			t.Errorf("%s has no %q:\n%s", file, want, files[file])
		}
	}
	if !strings.Contains(string(files[bundle.LeftOut]), "manifests.json: Secret/demo/s, as it is a Secret\n") {
		t.Errorf("%s", files[bundle.LeftOut])
	}
	if info, err := os.Stat(bundleFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := readBundle(bundleFile); err == nil || !strings.Contains(err.Error(), "it has no snapshot of a cluster") {
		t.Error(err)
	}
}

func parsed[T any](t *testing.T, text string) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// broken is a bundle of a cluster in which a route is not accepted, and its request was answered with a 404.
func brokenBundle(t *testing.T) string {
	t.Helper()
	judged := `conditions: [{type: Accepted, status: "True", reason: r, message: "", lastTransitionTime: null}, {type: Programmed, status: "True", reason: r, message: "", lastTransitionTime: null}, {type: ResolvedRefs, status: "True", reason: r, message: "", lastTransitionTime: null}]`
	s := &proof.Snapshot{Taken: time.Now(),
		Classes: []gatewayv1.GatewayClass{parsed[gatewayv1.GatewayClass](t, "{metadata: {name: traefik}, spec: {controllerName: traefik.io/gateway-controller}, status: {"+judged+"}}")},
		Gateways: []gatewayv1.Gateway{parsed[gatewayv1.Gateway](t, `{metadata: {name: gw, namespace: traefik}, spec: {gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP}]},
			status: {`+judged+`, addresses: [{value: 127.0.0.1}], listeners: [{name: web, attachedRoutes: 0, supportedKinds: [], `+judged+`}]}}`)},
		HTTPRoutes: []gatewayv1.HTTPRoute{parsed[gatewayv1.HTTPRoute](t, `{metadata: {name: shop, namespace: demo}, spec: {hostnames: [shop.localhost], parentRefs: [{name: gw, namespace: traefik}], rules: [{backendRefs: [{name: shop, port: 80}]}]},
			status: {parents: [{parentRef: {name: gw, namespace: traefik}, controllerName: x, conditions: [{type: Accepted, status: "False", reason: NoMatchingListenerHostname, message: "no listener", lastTransitionTime: null}]}]}}`)},
		Pods: []corev1.Pod{parsed[corev1.Pod](t, "{metadata: {name: traefik-x, namespace: traefik, ownerReferences: [{kind: DaemonSet, name: traefik, apiVersion: apps/v1, uid: u}]}, spec: {containers: [{name: traefik}]}, status: {phase: Running, containerStatuses: [{name: traefik, ready: true, restartCount: 0, image: x, imageID: x}], conditions: [{type: Ready, status: 'True', lastProbeTime: null, lastTransitionTime: null}]}}")}}
	b := bundle.New()
	for name, value := range map[string]any{snapshotFile: s, aboutFile: about{Cluster: "ready", Kubectl: "kubectl --context kind-x", Ports: map[int32]int{8000: 8080}, Settings: map[string]string{"KINDGATE_CLUSTER": "x"}},
		provenFile: []proven{{What: "http://shop.localhost:8080/", Request: true, Finding: check.Finding{Verdict: check.Broken, Found: "404 from Traefik"}, Hint: "The hop that is broken: HTTPRoute/demo/shop", At: "manifests/shop.yaml:3"}, {What: "Gateway/traefik/gw"}}} {
		if err := b.JSON(name, value); err != nil {
			t.Fatal(err)
		}
	}
	b.Text(bundle.Routers("traefik", "traefik-x"), []byte(`[]`))
	data, err := b.Archive(time.Now())
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// saying is a run that looks at a bundle, and what it says.
func saying(t *testing.T, path string) (*Stack, *bytes.Buffer) {
	t.Helper()
	s := New([]string{"KINDGATE_BUNDLE_FILE=" + path})
	var out bytes.Buffer
	s.session.ui = ui.New(&out, ui.Options{Width: func() int { return 80 }})
	return s, &out
}

func TestVerifyReadsABundleInPlaceOfACluster(t *testing.T) {
	path := brokenBundle(t)
	t.Chdir(t.TempDir()) // no files of kindgate's are needed
	s, out := saying(t, path)
	err := s.Target(t.Context(), s.Routes.Verify)
	if err == nil || !strings.Contains(err.Error(), "2 of 4 checks failed") {
		t.Error(err)
	}
	for _, want := range []string{"By the bundle of x, made ", "✓ GatewayClass/traefik  Accepted\n", "✓ Gateway/traefik/gw  Accepted, Programmed, at 127.0.0.1\n",
		"✗ HTTPRoute/demo/shop  ", "look at: kubectl --context kind-x describe httproute -n demo shop\n", "✗ http://shop.localhost:8080/  404 from Traefik\n    The hop that is broken: HTTPRoute/demo/shop\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if text := s.pageDrawing(); !strings.Contains(text, `http://shop.localhost:8080/<br>404 from Traefik"]:::broken`) {
		t.Error(text)
	}
}

func TestTheBundleThatIsLookedAtIsNotOverwritten(t *testing.T) {
	path := brokenBundle(t)
	t.Chdir(filepath.Dir(path))
	if err := os.Rename(path, bundleFile); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(bundleFile)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := saying(t, bundleFile)
	s.config.Bundle = "failure"
	if err := s.Target(t.Context(), s.Routes.Verify); err == nil {
		t.Error("it holds")
	}
	if err := s.Target(t.Context(), s.Bundle); err == nil || !strings.Contains(err.Error(), "KINDGATE_BUNDLE_FILE is set") {
		t.Error(err)
	}
	if after, err := os.ReadFile(bundleFile); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it is another: %v", err)
	}
}

func TestExplainReadsABundleAndSendsNothing(t *testing.T) {
	s, out := saying(t, brokenBundle(t))
	err := s.Target(t.Context(), func(ctx context.Context) error {
		return s.Explainer.Explain(ctx, "http://shop.localhost:8080/", "GET", "", false)
	})
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{"http://shop.localhost:8080/, by the bundle of x, made ", "✓ HTTPRoute/demo/shop, rule 1, match 1  takes it to Service/demo/shop\n", "The request is not sent: a bundle stands for the cluster\n",
		"own list of routers  no router for the match"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestWhatIsNoBundleIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, path + "-absent", t.TempDir()} {
		s, _ := saying(t, path)
		if err := s.Target(t.Context(), s.Routes.Verify); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Traefik's list of routers is one line: a rule that names a header which authorizes took the others with it.
func TestOfJSONInOneLineOnlyTheFieldsThatMayBeSecretAreLeftOut(t *testing.T) {
	c := &collector{Bundle: bundle.New()}
	c.said("routers.json", []byte(`[{"name":"a","rule":"Header(\"Authorization\", \"planted\")"},{"name":"b","rule":"Host(\"b\")"}]`))
	c.said("broken.json", []byte("Authorization: planted\nother\n"))
	data, err := c.Archive(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files, err := bundle.Read(data)
	if got := string(files["routers.json"]) + string(files["broken.json"]); err != nil || strings.Contains(got, "planted") ||
		!strings.Contains(got, `"name": "a"`) || !strings.Contains(got, `Host(\"b\")`) || !strings.HasSuffix(got, "\nother\n") {
		t.Errorf("%v\n%s", err, got)
	}
}
