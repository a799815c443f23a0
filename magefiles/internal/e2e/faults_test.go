package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kindgate/magefiles/internal/machine"
)

// One that is stopped is TestACompleteClusterIsNotRemadeWhateverItsOwnerTookOutOfIt's.
func TestANodeThatDoesNotRunIsStartedAgainNotRemade(t *testing.T) {
	enterShared(t)
	for _, verb := range []string{"pause", "kill"} {
		t.Run(verb, func(t *testing.T) {
			w := up(t)
			id := w.docker(t, "inspect", "--format", "{{.Id}}", w.node())
			w.docker(t, verb, w.node())
			if steps := w.steps(t, "up"); steps["cluster"].Result != "repaired" {
				t.Errorf("%+v, expected repaired", steps["cluster"])
			}
			if now := w.docker(t, "inspect", "--format", "{{.Id}}", w.node()); now != id {
				t.Errorf("the node %s was remade as %s", id, now)
			}
			w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
			w.answeredBy(t, "demo.localhost", "/v2", "whoami-v2")
		})
	}
}

// One cluster on its way: each run is cut off later than the one before it, and its node is taken away in the end.
func TestARunThatIsCutOffIsTakenUpByTheNextWhichHasTheClusterForItself(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-cut-off")
	other := newWorld(t, w.name)
	defer os.RemoveAll(other.dir)
	report := filepath.Join(t.TempDir(), "junit.xml")
	w.env["KINDGATE_JUNIT"] = report
	interrupted := func(at string) {
		t.Helper()
		w.interrupted(t, at, "up")
		if failures, cases := junit(t, report); cases == 0 || !strings.Contains(strings.Join(failures, "\n"), "interrupted; the next run goes on from here") {
			t.Errorf("%d cases, %q", cases, failures)
		}
	}
	interrupted("preparing nodes")
	interrupted("starting control-plane")

	killed := w.command("up")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return exec.Command("docker", "exec", w.node(), "test", "-s", "/etc/kubernetes/admin.conf").Run() == nil
	})
	if err := machine.Kill(killed); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	w.docker(t, "restart", "--time=5", w.node()) // else kubeadm would go on in it
	half := w.id(t)
	interrupted("✓ cluster")
	whole := w.id(t)
	if whole == half {
		t.Error("a node that is half made was not made anew")
	}
	w.mage(t, "up")
	if w.id(t) != whole {
		t.Error("the node of a whole cluster was made anew")
	}
	if failures, cases := junit(t, report); len(failures) > 0 || cases < 15 {
		t.Errorf("success: %d cases, %q", cases, failures)
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")

	w.docker(t, "rm", "--force", "--volumes", w.node())
	madeByOneOfTwoRuns(t, w, other)
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
	w.interrupted(t, "deleting the nodes", "teardown")
	w.mage(t, "teardown")
}

// madeByOneOfTwoRuns has two folders of one cluster run up from nothing at once, and fails the test unless the second run waits for the first, says
// so, and changes nothing.
func madeByOneOfTwoRuns(t *testing.T, w, other *world) {
	t.Helper()
	other.env = maps.Clone(w.env)
	delete(other.env, "KINDGATE_JUNIT")
	for _, variable := range []string{"HOME", "XDG_CACHE_HOME", "TMPDIR"} {
		other.env[variable] = other.dir // as another user of the engine would have them
	}
	first := w.command("up")
	var said bytes.Buffer
	first.Stdout, first.Stderr = &said, &said
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return w.docker(t, "ps", "--quiet", "--filter", "name=^"+w.node()+"$") != "" })
	out := other.mage(t, "up")
	if err := first.Wait(); err != nil {
		t.Fatalf("the first run: %v\n%s", err, said.String())
	}
	contains(t, said.String(), "cluster      created")
	contains(t, out, "Waiting for another run", fmt.Sprintf("process %d", first.Process.Pid), w.dir, "cluster      unchanged", "apps         unchanged")
}

// It answers as one whose making was interrupted, and yet has what users have put into it.
func TestACompleteClusterThatRefusesItsAdministratorIsNotRemade(t *testing.T) {
	enterShared(t)
	w := up(t)
	id := w.docker(t, "inspect", "--format", "{{.Id}}", w.node())
	_, typed := w.clients(t)
	if err := typed.RbacV1().ClusterRoleBindings().Delete(context.Background(), "kubeadm:cluster-admins", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	out := w.fails(t, []string{"kubeadm:cluster-admins", "puts it back"}, "up")
	remedy := regexp.MustCompile(`\S+ exec .*`).FindString(out)
	if out, err := exec.Command("sh", "-c", remedy).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", remedy, err, out)
	}
	w.mage(t, "up")
	if now := w.docker(t, "inspect", "--format", "{{.Id}}", w.node()); now != id {
		t.Errorf("the node %s was remade as %s", id, now)
	}
}

func TestNothingOfTheUsersKubeconfigIsLost(t *testing.T) {
	enterShared(t)
	const theirs = "apiVersion: v1\nkind: Config\nusers: [{name: theirs, user: {token: secret}}]\n"
	// use has the next runs take another kubeconfig, with the given content.
	use := func(t *testing.T, w *world, name, content string) string {
		w.write(t, name, content)
		w.env["KINDGATE_KUBECONFIG"] = filepath.Join(w.dir, name)
		return w.env["KINDGATE_KUBECONFIG"]
	}
	has := func(t *testing.T, path, content string) {
		t.Helper()
		if text, err := os.ReadFile(path); err != nil || string(text) != content {
			t.Errorf("%v, expected %q, found:\n%s", err, content, text)
		}
	}
	t.Run("missing", func(t *testing.T) {
		w := up(t)
		path := w.env["KINDGATE_KUBECONFIG"]
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.mage(t, "up")
		w.mage(t, "verify")
		if config := load(t, path); config.Contexts["kind-"+w.name] == nil || config.CurrentContext != "kind-"+w.name {
			t.Errorf("the context is not back: %+v", config)
		}
	})
	t.Run("unparsable", func(t *testing.T) {
		w := up(t)
		path := use(t, w, "unparsable", "clusters: [\n")
		w.fails(t, []string{path, "left as it is", "KINDGATE_KUBECONFIG"}, "up")
		has(t, path, "clusters: [\n")
	})
	t.Run("read-only", func(t *testing.T) {
		w := up(t)
		path := use(t, w, "read-only", theirs)
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
		contains(t, w.mage(t, "up"), "was not written")
		has(t, path, theirs)
	})
	for _, server := range []string{"https://127.0.0.1:1", "https://another.invalid:6443"} {
		t.Run("another cluster under our name at "+server, func(t *testing.T) {
			w := up(t)
			ours, name := load(t, w.env["KINDGATE_KUBECONFIG"]), "kind-"+w.name
			path := use(t, w, "other", theirs)
			other, tls := load(t, path), httptest.NewTLSServer(nil)
			defer tls.Close()
			certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw})
			other.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: certificate}
			other.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: "another"}
			other.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
			if err := clientcmd.WriteToFile(*other, path); err != nil {
				t.Fatal(err)
			}
			w.mage(t, "up")
			now := load(t, path)
			if now.Clusters[name].Server != ours.Clusters[name].Server || now.AuthInfos[name].Token != "" {
				t.Errorf("the context is not ours: %+v", now.Clusters[name])
			}
			if user := now.AuthInfos["theirs"]; user == nil || user.Token != "secret" {
				t.Errorf("the user's own entry is lost: %+v", now.AuthInfos)
			}
			if kept := now.AuthInfos[name+"-kept"]; kept == nil || kept.Token != "another" {
				t.Errorf("the other cluster's entry is lost: %+v", now.AuthInfos)
			}
			w.mage(t, "verify")
		})
	}
}

func load(t *testing.T, path string) *clientcmdapi.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestTheHostsFileIsCorrectOrUntouched(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-hosts")
	w.edit(t, "manifests/httproute-host.yaml", "- whoami.localhost", "- whoami.kindgate.test") // which no system resolves
	opened, closed := "# BEGIN kindgate "+w.name, "# END kindgate "+w.name
	use := func(name string) string {
		w.env["KINDGATE_HOSTS_FILE"] = filepath.Join(w.dir, name)
		return w.env["KINDGATE_HOSTS_FILE"]
	}
	read := func(t *testing.T, path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	t.Run("CRLF", func(t *testing.T) {
		path := use("crlf")
		w.write(t, "crlf", "127.0.0.1 localhost\r\n10.0.0.1 theirs\r\n")
		w.mage(t, "hosts")
		text := read(t, path)
		contains(t, text, "127.0.0.1 localhost\r\n10.0.0.1 theirs\r\n"+opened+"\r\n", "127.0.0.1 whoami.kindgate.test\r\n", closed+"\r\n")
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
			t.Errorf("line ends are mixed: %q", text)
		}
		if steps := w.steps(t, "hosts"); steps["hosts"].Result != "unchanged" {
			t.Errorf("a second time: %+v", steps["hosts"])
		}
	})
	t.Run("missing", func(t *testing.T) {
		path := use("missing")
		w.mage(t, "hosts")
		contains(t, read(t, path), opened+"\n", "127.0.0.1 whoami.kindgate.test\n", closed+"\n")
	})
	t.Run("symlink", func(t *testing.T) {
		path := use("link")
		w.write(t, "real", "127.0.0.1 localhost\n")
		if err := os.Symlink("real", path); err != nil {
			t.Fatal(err)
		}
		w.mage(t, "hosts")
		if target, err := os.Readlink(path); err != nil || target != "real" {
			t.Errorf("the link is %q now: %v", target, err)
		}
		contains(t, read(t, filepath.Join(w.dir, "real")), "127.0.0.1 localhost\n"+opened+"\n", closed+"\n")
	})
	t.Run("a device", func(t *testing.T) {
		path := use("device")
		if err := os.Symlink("/dev/zero", path); err != nil {
			t.Fatal(err)
		}
		w.fails(t, []string{path + " is a device", "KINDGATE_HOSTS_FILE"}, "hosts")
		if target, err := os.Readlink(path); err != nil || target != "/dev/zero" {
			t.Errorf("the link is %q now: %v", target, err)
		}
	})
	t.Run("null device", func(t *testing.T) {
		if err := os.Symlink(os.DevNull, use("null")); err != nil {
			t.Fatal(err)
		}
		if steps := w.steps(t, "hosts"); steps["hosts"].Result != "unchanged" || !strings.Contains(steps["hosts"].Detail, "not written") {
			t.Errorf("%+v", steps["hosts"])
		}
		if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeDevice == 0 {
			t.Errorf("%v: it was replaced", err)
		}
	})
	t.Run("a name that may be somebody's", func(t *testing.T) {
		path := use("public")
		w.edit(t, "manifests/httproute-host.yaml", "- whoami.kindgate.test", "- whoami.kindgate.test\n    - www.example.com")
		contains(t, w.mage(t, "hosts"), "Not led to this machine", "www.example.com: ", "KINDGATE_HOSTS=all")
		if text := read(t, path); strings.Contains(text, "example.com") || !strings.Contains(text, "127.0.0.1 whoami.kindgate.test\n") {
			t.Errorf("the file:\n%s", text)
		}
		w.env["KINDGATE_HOSTS"] = "all"
		w.mage(t, "hosts")
		contains(t, read(t, path), "127.0.0.1 www.example.com\n")
		delete(w.env, "KINDGATE_HOSTS")
		contains(t, w.mage(t, "hosts"), "no longer www.example.com")
	})
	t.Run("unclosed fence", func(t *testing.T) {
		path := use("unclosed")
		text := "127.0.0.1 localhost\n" + opened + "\n10.0.0.1 theirs\n"
		w.write(t, "unclosed", text)
		w.fails(t, []string{path, "line 2", "never closed", "by hand"}, "hosts")
		if now := read(t, path); now != text {
			t.Errorf("it was changed:\n%s", now)
		}
	})
}

func TestDefinitionsAreUpgradedButNeverDowngraded(t *testing.T) {
	enterShared(t)
	const group = "gateway.networking.k8s.io"
	w := up(t)
	dyn, _ := w.clients(t)
	// annotations returns the values of an annotation that the Gateway API's definitions have, each once.
	annotations := func(name string) []string {
		t.Helper()
		list, err := dyn.Resource(definitions).List(context.Background(), listAll)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, definition := range list.Items {
			if strings.HasSuffix(definition.GetName(), "."+group) {
				values = append(values, definition.GetAnnotations()[name])
			}
		}
		return slices.Compact(values)
	}
	annotate := func(t *testing.T, name, value string) {
		for _, kind := range []string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"} {
			patched(definitions, "", kind+"."+group, `{"metadata":{"annotations":{"`+name+`":"`+value+`"}}}`)(t, w)
		}
	}
	const version, channel = group + "/bundle-version", group + "/channel"
	pinned := annotations(version)[0]
	t.Run("older", func(t *testing.T) {
		w.reset(t)
		annotate(t, version, "v1.3.0")
		if steps := w.steps(t, "up"); steps["crds"].Result == "unchanged" {
			t.Errorf("%+v", steps["crds"])
		}
		if now := annotations(version); !slices.Equal(now, []string{pinned}) {
			t.Errorf("they are of %s now, expected %s", now, pinned)
		}
	})
	for _, test := range []struct{ name, annotation, value, ours string }{
		{"newer", version, "v1.5.1", pinned},
		{"experimental", channel, "experimental", "standard"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.reset(t)
			annotate(t, test.annotation, test.value)
			t.Cleanup(func() { annotate(t, test.annotation, test.ours) })
			w.fails(t, []string{test.value, pinned + " (standard)", "Nothing was replaced", "teardown"}, "up")
			if now := annotations(test.annotation); !slices.Equal(now, []string{test.value}) {
				t.Errorf("they are of %s now, expected %s as before", now, test.value)
			}
			w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
		})
	}
}

func TestANamespaceStuckInTerminatingIsNamedWithWhatKeepsIt(t *testing.T) {
	enterShared(t)
	w := up(t)
	_, typed := w.clients(t)
	ctx, maps := context.Background(), typed.CoreV1().ConfigMaps("demo")
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Finalizers: []string{"example.com/keep"}}}
	if _, err := maps.Create(ctx, kept, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	release := func() {
		_, _ = maps.Patch(ctx, "kept", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	}
	t.Cleanup(release)
	if err := typed.CoreV1().Namespaces().Delete(ctx, "demo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { // the namespace says what it waits for, and nothing else is left
		pods, err := typed.CoreV1().Pods("demo").List(ctx, listAll)
		namespace, namespaceErr := typed.CoreV1().Namespaces().Get(ctx, "demo", metav1.GetOptions{})
		return err == nil && namespaceErr == nil && len(pods.Items) == 0 &&
			slices.ContainsFunc(namespace.Status.Conditions, func(c corev1.NamespaceCondition) bool {
				return c.Type == corev1.NamespaceFinalizersRemaining && c.Status == corev1.ConditionTrue
			})
	})
	w.env["KINDGATE_TIMEOUT"] = "8s"
	w.fails(t, []string{"Namespace/demo", "being deleted", "example.com/keep", "KINDGATE_TIMEOUT"}, "up")
	release()
	w.reset(t)
	w.mage(t, "up")
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
}

func TestAnAPIServerThatPausesCostsTimeNotTheRun(t *testing.T) {
	enterShared(t)
	const pause = 15 * time.Second
	w := up(t)
	_, typed := w.clients(t)
	if err := typed.AppsV1().Deployments("demo").Delete(context.Background(), "whoami-v1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	cmd := w.command("up")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	unpause := func() { _ = exec.Command("docker", "unpause", w.node()).Run() }
	t.Cleanup(unpause)
	var said strings.Builder
	var paused time.Time
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if paused.IsZero() && strings.HasPrefix(lines.Text(), "✓ images") { // from here on the run only talks to the API server
			w.docker(t, "pause", w.node())
			paused = time.Now()
			time.AfterFunc(pause, unpause)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if paused.IsZero() || time.Since(paused) < pause {
		t.Errorf("the run did not last until the API server was back:\n%s", said.String())
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
}

// A job that does not run still needs its image.
const filler = `apiVersion: batch/v1
kind: CronJob
metadata: {name: filler, namespace: demo}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: filler, image: "kindgate.test/filler:1", command: [none]}]
`

func TestADiskThatIsFullWhileImagesAreCopiedIsNamedAndTheNextRunGoesOn(t *testing.T) {
	enterShared(t)
	w := up(t)
	random := exec.Command("sh", "-c", `dir=$(mktemp -d) && head -c 8388608 /dev/urandom >$dir/f && tar -C $dir -c f | docker import - kindgate.test/filler:1; rm -r $dir`)
	if out, err := random.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { w.docker(t, "image", "rm", "kindgate.test/filler:1") })
	const content = "/var/lib/containerd/io.containerd.content.v1.content" // where containerd puts what it takes in
	w.docker(t, "exec", w.node(), "sh", "-c", "mount -t tmpfs -o size=1m tmpfs "+content+" && mkdir -p "+content+"/ingest "+content+"/blobs/sha256")
	unmount := sync.OnceFunc(func() { w.docker(t, "exec", w.node(), "umount", content) })
	t.Cleanup(unmount)
	w.write(t, "manifests/filler.yaml", filler)
	w.fails(t, []string{"images", w.node(), "no space left on device", "system prune"}, "up")
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
	unmount()
	if steps := w.steps(t, "up"); steps["images"].Result != "created" {
		t.Errorf("%+v, expected created", steps["images"])
	}
}

func TestARegistryThatHangsIsNamedAtTheTimeLimit(t *testing.T) {
	enterShared(t)
	w := up(t)
	// An address for documentation (RFC 5737), to which the node now sends nothing.
	drop := []string{"exec", w.node(), "iptables", "-A", "OUTPUT", "-d", "192.0.2.1", "-j", "DROP"}
	w.docker(t, drop...)
	t.Cleanup(func() {
		drop[3] = "-D"
		w.docker(t, drop...)
	})
	w.edit(t, "manifests/whoami-v2.yaml", "traefik/whoami:v1.11.0", "192.0.2.1/whoami:1")
	w.env["KINDGATE_TIMEOUT"] = "10s"
	w.fails(t, []string{"KINDGATE_TIMEOUT", "Deployment/demo/whoami-v2", "Pod/demo/whoami-v2-", `Pulling image "192.0.2.1/whoami:1"`}, "up")
	w.answeredBy(t, "demo.localhost", "/v2", "whoami-v2") // the old pods go on
}

func TestAChartRepositoryThatHangsIsNamedAtTheTimeLimit(t *testing.T) {
	enterShared(t)
	w := up(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // connections are taken, and never answered
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	w.env["KINDGATE_TRAEFIK_CHART"], w.env["KINDGATE_TRAEFIK_REPO"] = "", "http://"+listener.Addr().String()
	w.edit(t, "manifests/traefik-values.yaml", "memory: 64Mi", "memory: 65Mi")
	w.env["KINDGATE_TIMEOUT"] = "5s"
	w.fails(t, []string{"traefik", listener.Addr().String(), "cannot be fetched", "KINDGATE_TIMEOUT", "KINDGATE_TRAEFIK_CHART"}, "up")
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
}

func TestAChangedConfigurationIsSaidAndTheClusterStays(t *testing.T) {
	enterShared(t)
	w := up(t)
	id := w.docker(t, "inspect", "--format", "{{.Id}}", w.node())
	w.edit(t, "kind/cluster.yaml", "- role: control-plane\n", "- role: control-plane\n    labels: {tier: front}\n")
	port := freePort(t)
	w.edit(t, "kind/cluster.yaml", "extraPortMappings:\n", fmt.Sprintf("extraPortMappings:\n      - {containerPort: 9999, hostPort: %d, listenAddress: 127.0.0.1, protocol: TCP}\n", port))
	difference := []string{"kind/cluster.yaml has changed",
		fmt.Sprintf("127.0.0.1:%d→443, are now", w.box.HTTPSPort), fmt.Sprintf("127.0.0.1:%d→9999", port)}
	contains(t, w.mage(t, "up"), append(difference, "not as it would be made now", "teardown")...)
	contains(t, w.mage(t, "status"), difference...)
	if now := w.docker(t, "inspect", "--format", "{{.Id}}", w.node()); now != id {
		t.Error("the node was remade")
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
}
