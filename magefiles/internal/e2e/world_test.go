// Package e2e runs kindgate's targets as a user does, on real clusters with a name and ports of their own.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/machine"
	"kindgate/magefiles/internal/sandbox"
	"kindgate/magefiles/internal/stack"
)

// root is the project's folder, seen from this package's.
const root = "../../.."

// binary is kindgate's targets, compiled once for all tests.
var binary string

func TestMain(m *testing.M) {
	skipped, err := stack.SkipSuite(context.Background(), os.Environ())
	switch {
	case err != nil:
		fmt.Println(err)
		os.Exit(1)
	case skipped == "":
		os.Exit(run(m))
	}
	fmt.Println("SKIPPED: the end-to-end suite:", skipped)
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kindgate-e2e-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "kindgate")
	compile := exec.Command("go", "tool", "mage", "-compile", binary)
	compile.Dir = root
	if out, err := compile.CombinedOutput(); err != nil {
		fmt.Printf("compile: %v\n%s", err, out)
		return 1
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "1000"); err != nil { // the lanes bound what runs at once
		fmt.Println(err)
		return 1
	}
	code := m.Run()
	for _, l := range lanes {
		if l.world != nil {
			l.world.remove()
		}
	}
	return code
}

// A lane has one test at a time, on the lane's cluster or on one of the test's own. The lanes run beside each other: clusters mostly wait.
type lane struct {
	cluster string
	turn    chan struct{} // has an element while a test is in the lane
	world   *world        // of its cluster, which the lane's tests have in common: each makes it right by up before it begins, and none needs another
}

// The first lane has its cluster for all of the suite, the second has one only when no test is left that makes clusters of its own.
var lanes = []*lane{{cluster: "kindgate-e2e", turn: make(chan struct{}, 1)}, {cluster: "kindgate-e2e-second", turn: make(chan struct{}, 1)}}

var (
	own    sync.WaitGroup // the tests that make clusters of their own, until they end
	inLane sync.Map       // the lane of each test that has one, by the test's name
)

// enterOwn waits for the turn of a test that makes clusters of its own.
func enterOwn(t *testing.T) {
	t.Helper()
	own.Add(1)
	t.Cleanup(own.Done)
	t.Parallel()
	lanes[1].turn <- struct{}{}
	lanes[1].entered(t)
}

// enterShared waits for the turn of a test that needs a lane's cluster.
func enterShared(t *testing.T) {
	t.Helper()
	t.Parallel()
	over := make(chan struct{})
	go func() {
		own.Wait()
		close(over)
	}()
	select {
	case lanes[0].turn <- struct{}{}:
		lanes[0].entered(t)
		return
	case <-over:
	}
	select {
	case lanes[0].turn <- struct{}{}:
		lanes[0].entered(t)
	case lanes[1].turn <- struct{}{}:
		lanes[1].entered(t)
	}
}

// entered has a test leave the lane when it ends.
func (l *lane) entered(t *testing.T) {
	t.Helper()
	inLane.Store(t.Name(), l)
	began := time.Now()
	t.Cleanup(func() {
		t.Logf("in its lane for %.1f s", time.Since(began).Seconds()) // what go test prints includes the wait for it
		<-l.turn
	})
}

// A world is a copy of the project's folder, a cluster of its own, and the files that a run writes. A test may change the copy and env.
type world struct {
	box           *sandbox.Sandbox
	name, dir     string
	httpPort      int
	env, settings map[string]string
}

// up returns the cluster of the test's lane, up and as the project's own manifests have it.
func up(t *testing.T) *world {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	in, _ := inLane.Load(test)
	l := in.(*lane)
	if l.world == nil {
		l.world = newWorld(t, l.cluster)
	}
	l.world.reset(t)
	l.world.mage(t, "up")
	return l.world
}

// newWorld makes a folder and chooses ports. No cluster is there yet: one that a suite has left which was killed, on ports of its own, is
// taken away.
func newWorld(t *testing.T, name string) *world {
	t.Helper()
	box, err := sandbox.New(name, root, binary)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{box: box, name: name, dir: box.Dir, httpPort: box.HTTPPort, settings: maps.Clone(box.Env)}
	w.reset(t)
	w.mage(t, "teardown")
	return w
}

// ownWorld is a world for one test, gone after it.
func ownWorld(t *testing.T, name string) *world {
	t.Helper()
	w := newWorld(t, name)
	t.Cleanup(w.remove)
	return w
}

// reset makes the folder a fresh copy and forgets what a test has set.
func (w *world) reset(t *testing.T) {
	t.Helper()
	if err := w.box.Reset(); err != nil {
		t.Fatal(err)
	}
	w.env = maps.Clone(w.settings)
}

// remove takes the cluster away, also one that a test has left in a bad state.
func (w *world) remove() {
	w.box.Env = w.settings
	if err := w.box.Remove(); err != nil {
		_ = exec.Command("docker", "rm", "--force", "--volumes", w.box.Node()).Run()
		_ = os.RemoveAll(w.dir)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := sandbox.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// command is a run of targets in the world's folder.
func (w *world) command(targets ...string) *exec.Cmd {
	w.box.Env = w.env
	return w.box.Command(context.Background(), targets...)
}

// run returns all that the targets print, and whether they succeeded.
func (w *world) run(targets ...string) (string, bool) {
	out, err := w.command(targets...).CombinedOutput()
	return string(out), err == nil
}

// mage runs targets that must succeed.
func (w *world) mage(t *testing.T, targets ...string) string {
	t.Helper()
	out, ok := w.run(targets...)
	if !ok {
		t.Fatalf("mage %s failed:\n%s", strings.Join(targets, " "), out)
	}
	return out
}

// fails runs targets that must fail, and whose output must have all of the given words.
func (w *world) fails(t *testing.T, words []string, targets ...string) string {
	t.Helper()
	out, ok := w.run(targets...)
	if ok {
		t.Fatalf("mage %s succeeded:\n%s", strings.Join(targets, " "), out)
	}
	contains(t, out, words...)
	return out
}

// interrupted runs targets as somebody does who presses Ctrl-C when they print a line with word. They must end at once, and say so.
func (w *world) interrupted(t *testing.T, word string, targets ...string) {
	t.Helper()
	cmd := w.command(targets...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	var at time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if at.IsZero() && strings.Contains(lines.Text(), word) {
			at = time.Now()
			if err := machine.Interrupt(cmd); err != nil {
				t.Error(err)
			}
		}
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || at.IsZero() || !strings.Contains(said.String(), "interrupted; the next run goes on") {
		t.Errorf("mage %s, to be interrupted at %q: exit status %d\n%s", strings.Join(targets, " "), word, cmd.ProcessState.ExitCode(), said.String())
	} else if took := time.Since(at); took > time.Second {
		t.Errorf("mage %s, interrupted at %q, took %s to end", strings.Join(targets, " "), word, took)
	}
}

func contains(t *testing.T, out string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(out, word) {
			t.Errorf("%q is missing in:\n%s", word, out)
		}
	}
}

// step is what a step prints for machines.
type step struct{ Step, Result, Detail, Error string }

// steps runs targets that must succeed, and returns what each step found.
func (w *world) steps(t *testing.T, targets ...string) map[string]step {
	t.Helper()
	w.env["KINDGATE_OUTPUT"] = "json"
	defer delete(w.env, "KINDGATE_OUTPUT")
	cmd := w.command(targets...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mage %s failed: %s\n%s", strings.Join(targets, " "), complaint.String(), out)
	}
	found := map[string]step{}
	for line := range bytes.Lines(out) {
		decoded(t, string(line))
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("no JSON: %s", line)
		}
		if s.Step != "" {
			found[s.Step] = s
		}
	}
	return found
}

// get sends a request through the gateway.
func (w *world) get(host, path string) (int, string, error) {
	req, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d%s", w.httpPort, path), nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = host
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// routers are Traefik's routers of routes, by its own list through the dashboard's route; none where it cannot be read.
func (w *world) routers() []implementation.Router {
	_, body, _ := w.get("traefik.localhost", "/api/http/routers?per_page=10000")
	routers, _ := implementation.Traefik.Lists.Read([]byte(body))
	return routers
}

// answeredBy fails the test unless host and path are answered by a pod of the deployment.
func (w *world) answeredBy(t *testing.T, host, path, deployment string) {
	t.Helper()
	status, body, err := w.get(host, path)
	if err != nil || status != http.StatusOK || !strings.Contains(body, "Hostname: "+deployment) {
		t.Errorf("%s%s: %d %v, not answered by %s:\n%s", host, path, status, err, deployment, body)
	}
}

func (w *world) clients(t *testing.T) (dynamic.Interface, kubernetes.Interface) {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", w.env["KINDGATE_KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	cfg.WarningHandler = rest.NoWarnings{}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	typed, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dyn, typed
}

func (w *world) edit(t *testing.T, file, old, new string) {
	t.Helper()
	path := filepath.Join(w.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	w.write(t, file, strings.Replace(string(text), old, new, 1))
}

func (w *world) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *world) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// adminKubectl is how a shell in the node asks the cluster.
const adminKubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf "

func (w *world) kubectl(t *testing.T, command string) {
	t.Helper()
	w.docker(t, "exec", w.node(), "sh", "-c", adminKubectl+command)
}

func (w *world) node() string { return w.name + "-control-plane" }

// The kinds that tests look at.
var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	daemonSets  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	secrets     = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	classes     = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	gateways    = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	routes      = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// versions returns the resource versions of our objects, which every write changes.
func versions(t *testing.T, dyn dynamic.Interface) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, in := range []struct {
		resource  schema.GroupVersionResource
		namespace string
	}{
		{deployments, "demo"}, {services, "demo"}, {routes, "demo"}, {daemonSets, "traefik"}, {services, "traefik"}, {gateways, "traefik"},
		{routes, "traefik"}, {secrets, "traefik"}, {classes, ""}, {definitions, ""}, {namespaces, ""},
	} {
		list, err := dyn.Resource(in.resource).Namespace(in.namespace).List(context.Background(), listAll)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range list.Items {
			found[in.resource.Resource+"/"+object.GetNamespace()+"/"+object.GetName()] = object.GetResourceVersion()
		}
	}
	return found
}

func changed(before, after map[string]string) []string {
	var names []string
	for name, version := range after {
		if before[name] != version {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			names = append(names, name+" is gone")
		}
	}
	return names
}
