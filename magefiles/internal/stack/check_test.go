package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
)

func TestErrorsThatWereJoinedAreSaidOneByOneAndTheOthersAsAWhole(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b\nmore of b"), errors.New("c")
	whole := fmt.Errorf("whole: %w, %w", a, c)
	got := parts(errors.Join(errors.Join(a, b), nil, whole))
	if !slices.Equal(got, []error{a, b, whole}) || parts(nil) != nil {
		t.Errorf("%q", got)
	}
}

func TestFilesAreNotCalledWrongWhereTheClusterCouldNotBeRead(t *testing.T) {
	unread := fault{at: "context c", Finding: check.Finding{Verdict: check.Broken, Found: "the server has received too many requests"}}
	wrong, doubtful := fault{at: "manifests/a.yaml:1", Finding: check.Finding{Verdict: check.Broken}}, fault{at: "manifests/a.yaml:1", Finding: check.Finding{Verdict: check.Warns}}
	unread.cause = errors.New("throttled")
	for want, faults := range map[error][]fault{dueTo{errUnjudged, unread.cause}: {doubtful, unread}, errFiles: {unread, wrong}, nil: {doubtful}} {
		e := &examiner{session: &session{config: Config{Context: "c"}}, faults: func() []fault { return faults }}
		if err := e.checked(); err != want {
			t.Errorf("%+v: %v", faults, err)
		}
	}
}

// Nothing in the demo's own files is wrong, and what is put wrong is found in all of them at once.
func TestEveryFaultOfTheFilesIsFoundWithoutAClusterOrAChart(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, folder := range []string{"kind", "manifests"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	environ := []string{"KINDGATE_HTTP_PORT=8081", "KINDGATE_TRAEFIK_REPO=http://127.0.0.1:1", "KINDGATE_TRAEFIK_VERSION=0.0.1"}
	find := func() []fault {
		s := New(environ)
		s.run.Begin(t.Context())
		// A test's binary does not say from which modules it is built, so that the definitions are not found: the tests of manifest have them.
		return slices.DeleteFunc(s.Examiner.faults(), func(f fault) bool { return f.at == "schemas" })
	}
	if faults := find(); len(faults) > 0 {
		t.Fatalf("the demo's own files: %+v", faults)
	}
	ports := "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- {role: control-plane, extraPortMappings: [{containerPort: 443, hostPort: 8443}]}\n"
	if err := os.WriteFile("kind/cluster.yaml", []byte(ports), 0o600); err != nil {
		t.Fatal(err)
	}
	if faults := find(); len(faults) != 1 || faults[0].Verdict != check.Warns || faults[0].Found != "the hostPort 8443 of the mapping to port 443 has no effect: KINDGATE_HTTPS_PORT sets it" {
		t.Errorf("a port of the user's own: %+v", faults)
	}
	middleware := "apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: m, namespace: demo}\nspec: {}\n"
	if err := errors.Join(os.Remove("kind/cluster.yaml"), os.CopyFS("kind", os.DirFS(filepath.Join(root, "kind"))), os.WriteFile("manifests/m.yaml", []byte(middleware), 0o600)); err != nil {
		t.Fatal(err)
	}
	if faults := find(); len(faults) != 1 || faults[0].Verdict != check.Warns || faults[0].at != "manifests/m.yaml:2" {
		t.Errorf("a kind that only a cluster which is there may have: %+v", faults)
	}
	if err := undefined(New(environ).inputs.objects); err == nil || !strings.HasPrefix(err.Error(), "Middleware/demo/m (manifests/m.yaml:2): nothing defines Middleware of traefik.io/v1alpha1") {
		t.Errorf("in a cluster that is to be made: %v", err)
	}
	if err := os.Remove("manifests/m.yaml"); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"manifests/a.yaml": "kind: [\n",
		"manifests/b.yaml": "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: demo}\nspec:\n" +
			"  parentRefs: [{name: traefik-gateway, namespace: traefik}]\n  rules:\n  - backendRefs: [{name: whoami-v1, port: 81}]\n    timeouts: {request: 1s}\n" +
			"  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: whoami-v2, port: 80}}}]\n",
		"kind/cluster.yaml": "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n  extraPortMappings: [{containerPort: 1, hostPort: 8081}]\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, f := range find() {
		got = append(got, fmt.Sprintf("%s %s", f.Verdict, f.at))
	}
	// What Traefik lacks only warns: which release it is is not known without the chart.
	want := []string{"broken files", "broken files", "broken manifests/b.yaml:7", "warns manifests/b.yaml:8", "warns manifests/b.yaml:9"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
