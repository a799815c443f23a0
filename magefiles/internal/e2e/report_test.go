package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"kindgate/magefiles/internal/bundle"
	"kindgate/magefiles/internal/stack"
)

// ends runs targets and returns their standard output and the exit status.
func (w *world) ends(targets ...string) (string, int) {
	cmd := w.command(targets...)
	out, _ := cmd.Output()
	return string(out), cmd.ProcessState.ExitCode()
}

// decoded returns the value of a line of JSON, as the kind of object that its first field says.
func decoded(t *testing.T, line string) any {
	t.Helper()
	rest, versioned := strings.CutPrefix(line, `{"v":1,`)
	for _, object := range stack.JSONLines {
		name, _, _ := strings.Cut(reflect.TypeOf(object).Field(0).Tag.Get("json"), ",")
		if !versioned || !strings.HasPrefix(rest, `"`+name+`":`) {
			continue
		}
		value := reflect.New(reflect.TypeOf(object))
		decoder := json.NewDecoder(strings.NewReader("{" + rest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(value.Interface()); err != nil || decoder.More() {
			t.Errorf("%v: %s", err, line)
		}
		return value.Elem().Interface()
	}
	t.Errorf("no documented object: %s", line)
	return nil
}

func TestEveryTargetPrintsDocumentedObjectsAndItsExitStatus(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/httproute-host.yaml", "whoami-v1\n          port", "whoami-v2\n          port")
	w.env["KINDGATE_OUTPUT"] = "json"
	at := func(host string) string { return fmt.Sprintf("http://%s:%d/", host, w.httpPort) }
	for _, run := range []struct {
		targets []string
		status  int
	}{
		{[]string{"plan"}, 2}, {[]string{"up"}, 0}, {[]string{"cluster"}, 0}, {[]string{"crds"}, 0}, {[]string{"traefik"}, 0}, {[]string{"apps"}, 0},
		{[]string{"certificates"}, 0}, {[]string{"routes"}, 0}, {[]string{"hosts"}, 0}, {[]string{"check"}, 0}, {[]string{"plan"}, 0}, {[]string{"verify"}, 0}, {[]string{"explain", at("whoami.localhost")}, 0},
		{[]string{"explain", at("nowhere.localhost")}, 1}, {[]string{"status"}, 0}, {[]string{"graph"}, 0}, {[]string{"graph", "-dot"}, 0}, {[]string{"doctor"}, 0}, {[]string{"bundle"}, 0},
	} {
		out, status := w.ends(run.targets...)
		var last any
		for line := range strings.Lines(out) {
			last = decoded(t, line)
		}
		if end, err := json.Marshal(last); err != nil || status != run.status || !bytes.HasPrefix(end, []byte(`{"exit":`)) {
			t.Errorf("%v: exit status %d, expected %d\n%s", run.targets, status, run.status, out)
		}
	}
}

// junit returns the report of a run, as another program reads it: what failed, and how many cases there are.
func junit(t *testing.T, path string) (failures []string, cases int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	var report struct {
		Suites []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				File    string `xml:"file,attr"`
				Failure *struct {
					Text string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		t.Errorf("%v:\n%s", err, data)
	}
	for _, suite := range report.Suites {
		cases += len(suite.Cases)
		for _, c := range suite.Cases {
			if c.Failure != nil {
				failures = append(failures, c.Name+" "+c.File+" "+c.Failure.Text)
			}
		}
	}
	return failures, cases
}

func TestARunThatFailsLeavesAReportAndSaysWhyByItsExitStatus(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-report")
	path := filepath.Join(t.TempDir(), "junit.xml")
	w.env["KINDGATE_JUNIT"] = path
	for name, test := range map[string]struct {
		env    map[string]string
		status int
		says   string
	}{
		"wrong setting": {map[string]string{"KINDGATE_HTTP_PORT": "x"}, 3, "KINDGATE_HTTP_PORT"},
		"no engine":     {map[string]string{"PATH": t.TempDir()}, 4, "no container engine is installed"},
		"time limit":    {map[string]string{"KINDGATE_TIMEOUT": "3s"}, 1, "gave up after 3s"},
	} {
		before := w.env
		w.env = map[string]string{}
		for key, value := range before {
			w.env[key] = value
		}
		for key, value := range test.env {
			w.env[key] = value
		}
		out, status := w.ends("up")
		w.env = before
		if failures, _ := junit(t, path); status != test.status || !strings.Contains(strings.Join(failures, "\n"), test.says) {
			t.Errorf("%s: exit status %d, %q\n%s", name, status, failures, out)
		}
	}

	w.edit(t, "manifests/httproute-host.yaml", "whoami-v1\n          port: 80", "whoami-v1\n          port: 81")
	if out, status := w.ends("up"); status != 3 {
		t.Errorf("a manifest that is wrong: exit status %d\n%s", status, out)
	}
	if failures, _ := junit(t, path); len(failures) == 0 || !strings.Contains(failures[len(failures)-1], "manifests/httproute-host.yaml") {
		t.Errorf("%q", failures)
	}
}

func TestGoToolMageHandsTheExitStatusOn(t *testing.T) {
	enterOwn(t)
	cmd := ownWorld(t, "kindgate-e2e-status").command("status")
	tool := exec.Command("go", "tool", "mage", "status")
	tool.Dir, tool.Env = root, append(cmd.Env, "KINDGATE_X=1")
	if out, _ := tool.CombinedOutput(); tool.ProcessState.ExitCode() != 3 {
		t.Errorf("exit status %d\n%s", tool.ProcessState.ExitCode(), out)
	}
}

// leaky is an application that puts a Secret's value into its log, its arguments, its environment and an annotation, and does not start.
const leaky = `apiVersion: v1
kind: Secret
metadata: {name: leaky, namespace: demo}
stringData: {password: opensesame-of-the-secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: leaky, namespace: demo}
data: {password: planted-in-the-configmap}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: leaky, namespace: demo}
spec:
  selector: {matchLabels: {app: leaky}}
  template:
    metadata: {labels: {app: leaky}, annotations: {token: planted-in-an-annotation}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: leaky
          image: traefik/whoami:v1.11.0
          args: ["--opensesame-of-the-secret"]
          env: [{name: X, value: planted-in-the-environment}, {name: Z, valueFrom: {secretKeyRef: {name: leaky, key: password}}}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: leaky, namespace: demo}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik}]
  hostnames: [leaky.localhost]
  rules:
    - matches: [{headers: [{name: Authorization, value: planted-in-a-header}]}]
      backendRefs: [{name: whoami-v1, port: 80}]
`

func TestAFailedRunLeavesABundleWithoutSecretsThatIsLookedIntoWithoutTheCluster(t *testing.T) {
	enterShared(t)
	w := up(t)
	t.Cleanup(func() {
		w.kubectl(t, "delete --ignore-not-found -n demo deployment/leaky secret/leaky configmap/leaky httproute/leaky")
	})
	w.write(t, "manifests/leaky.yaml", leaky)
	w.env["KINDGATE_BUNDLE"] = "failure"
	if out, status := w.ends("up"); status != 1 || !strings.Contains(out, "kindgate-bundle.tar.gz") {
		t.Fatalf("exit status %d\n%s", status, out)
	}
	path := filepath.Join(w.dir, "kindgate-bundle.tar.gz")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := bundle.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := clientcmd.LoadFromFile(w.env["KINDGATE_KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"the Secret's value": "opensesame-of-the-secret", "it in base64": base64.StdEncoding.EncodeToString([]byte("opensesame-of-the-secret")),
		"what was planted": "planted-in-", "a private key": "PRIVATE KEY", "a user of a kubeconfig": "client-key-data"}
	for name, user := range kubeconfig.AuthInfos {
		secrets["the key of "+name] = base64.StdEncoding.EncodeToString(user.ClientKeyData)
	}
	for file, content := range files {
		for what, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s is in %s", what, file)
			}
		}
	}
	for _, want := range []string{"about.json", "said.json", "doctor.json", "snapshot.json", "proven.json", "events.json", "manifests.json", "pods/traefik/", "routers.json", "pods/demo/leaky-",
		"nodes/" + w.node() + "/kubelet.log", "nodes/" + w.node() + "/journal.log"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(name string) bool { return strings.Contains(name, want) }) {
			t.Errorf("%s is missing in %q", want, slices.Sorted(maps.Keys(files)))
		}
	}

	w.env["KINDGATE_BUNDLE"], w.env["KINDGATE_BUNDLE_FILE"] = "", path
	w.env["PATH"], w.env["KINDGATE_KUBECONFIG"], w.env["KINDGATE_CLUSTER"] = t.TempDir(), filepath.Join(t.TempDir(), "none"), "kindgate-e2e-elsewhere"
	w.mage(t, "verify")
	contains(t, w.mage(t, "explain", fmt.Sprintf("http://whoami.localhost:%d/", w.httpPort)), "takes it to Service/demo/whoami-v1", "2 ready endpoints", "✓ Traefik's own list of routers", "a bundle stands for the cluster")
}
