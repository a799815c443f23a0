package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"

	kindgate "kindgate/magefiles/internal/cluster"
)

func (w *world) id(t *testing.T) string {
	t.Helper()
	return w.docker(t, "inspect", "--format", "{{.Id}}", w.node())
}

// kindCreate makes a cluster of the world's name as somebody does who has kind only, with a configuration that each change has been made to.
func (w *world) kindCreate(t *testing.T, changes ...func(*v1alpha4.Cluster)) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "kind", "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := kindgate.ParseConfig(data, "kind/cluster.yaml", w.httpPort, freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(config)
	}
	image := os.Getenv("KINDGATE_NODE_IMAGE")
	provider, forKind, err := kindgate.New(kindgate.Options{Name: w.name, Config: config, NodeImage: image, Kubeconfig: w.env["KINDGATE_KUBECONFIG"]}).ForKind()
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Create(w.name, cluster.CreateWithV1Alpha4Config(forKind), cluster.CreateWithNodeImage(image),
		cluster.CreateWithKubeconfigPath(w.env["KINDGATE_KUBECONFIG"])); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", "--volumes", w.node()).Run() })
}

// leftAsItIs fails the test unless a cluster that kind has made is left as it is by whoever takes it for kindgate's own.
func leftAsItIs(t *testing.T, w *world) {
	t.Helper()
	id := w.id(t)
	// left fails the test unless the targets refuse the cluster, and nothing in it has changed.
	left := func(t *testing.T, words ...string) {
		t.Helper()
		kubeconfig, err := os.ReadFile(w.env["KINDGATE_KUBECONFIG"])
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, "kind cluster "+w.name+" that kindgate did not make", "left as it is", "KINDGATE_CLUSTER", "docker rm --force --volumes "+w.node())
		for _, target := range []string{"up", "cluster", "teardown", "verify", "doctor"} {
			w.fails(t, words, target)
		}
		contains(t, w.mage(t, "status"), "not made by kindgate")
		if hosts, err := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"]); err == nil && len(hosts) > 0 {
			t.Errorf("names were written:\n%s", hosts)
		}
		if now := w.id(t); now != id {
			t.Fatalf("the node %s was remade as %s", id, now)
		}
		if now, err := os.ReadFile(w.env["KINDGATE_KUBECONFIG"]); err != nil || string(now) != string(kubeconfig) {
			t.Errorf("its kubeconfig was changed (%v):\n%s", err, now)
		}
	}
	w.kubectl(t, "delete storageclass --all") // as people do who install another provisioner
	left(t)
	w.env["KINDGATE_ADOPT"] = "yes"
	left(t)
	delete(w.env, "KINDGATE_ADOPT")
	_, typed := w.clients(t)
	node, err := typed.CoreV1().Nodes().Get(context.Background(), w.node(), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range node.Annotations {
		if strings.HasPrefix(name, "kindgate/") {
			t.Errorf("its Node was annotated: %v", node.Annotations)
		}
	}
	w.docker(t, "stop", "--time=2", w.node())
	left(t, "docker start "+w.node())
	w.docker(t, "start", w.node())

	// Earlier releases of kindgate left this annotation, and no mark on the container.
	eventually(t, func() bool {
		_, err := typed.CoreV1().Nodes().Patch(context.Background(), w.node(), types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"kindgate/made-from":"{}"}}}`), metav1.PatchOptions{})
		return err == nil
	})
	if steps := w.steps(t, "cluster"); steps["cluster"].Result != "unchanged" || w.id(t) != id {
		t.Errorf("the cluster of an earlier release: %+v", steps["cluster"])
	}
	contains(t, w.mage(t, "teardown"), "deleted")
}

func TestAHalfMadeClusterWithoutAMarkIsOnlyDeletedWhenAskedTo(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-adopt")
	image := w.docker(t, "images", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node")
	w.docker(t, "run", "--detach", "--name", w.node(), "--label", "io.x-k8s.kind.cluster="+w.name, "--label", "io.x-k8s.kind.role=control-plane",
		"--entrypoint", "sleep", strings.Fields(image)[0], "600")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", w.node()).Run() })
	id := w.id(t)
	for _, target := range []string{"up", "teardown"} {
		w.fails(t, []string{"kindgate did not make", "was never set up", "KINDGATE_ADOPT=yes"}, target)
	}
	w.env["KINDGATE_ADOPT"] = "yes"
	w.docker(t, "exec", w.node(), "mkdir", "-p", "/var/lib/etcd/member") // as where somebody has stopped the control plane for a while
	for _, target := range []string{"up", "teardown"} {
		w.fails(t, []string{"kindgate did not make", "does not answer"}, target)
	}
	if w.id(t) != id {
		t.Error("it was remade")
	}
	w.docker(t, "exec", w.node(), "rm", "-r", "/var/lib/etcd/member")
	contains(t, w.mage(t, "teardown"), "deleted")
}

func TestACompleteClusterIsNotRemadeWhateverItsOwnerTookOutOfIt(t *testing.T) {
	enterShared(t)
	w := up(t)
	id := w.id(t)
	w.kubectl(t, "delete storageclass --all")
	w.kubectl(t, "annotate node "+w.node()+" kindgate/made-from- kindgate/owner-")
	if err := os.Remove(w.env["KINDGATE_KUBECONFIG"]); err != nil {
		t.Fatal(err)
	}
	w.docker(t, "stop", "--time=2", w.node())
	if steps := w.steps(t, "up"); steps["cluster"].Result != "repaired" {
		t.Errorf("%+v, expected repaired", steps["cluster"])
	}
	if now := w.id(t); now != id {
		t.Fatalf("the node %s was remade as %s", id, now)
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
	w.docker(t, "exec", w.node(), "rm", "/kind/kindgate/"+w.name+"/made-from")
	w.mage(t, "up")
	w.kubectl(t, "annotate node "+w.node()+" kindgate/owner=someone/else --overwrite")
	if steps := w.steps(t, "up"); steps["cluster"].Result == "created" || w.id(t) != id {
		t.Errorf("%+v", steps["cluster"])
	}
	if steps := w.steps(t, "up"); steps["cluster"].Result != "unchanged" {
		t.Errorf("%+v, expected unchanged", steps["cluster"])
	}
}

func TestAnObjectThatWasThereBeforeIsNotOverwrittenInSilence(t *testing.T) {
	enterShared(t)
	w := up(t)
	_, typed := w.clients(t)
	maps, ctx := typed.CoreV1().ConfigMaps("demo"), context.Background()
	made := func(name, value string) {
		t.Helper()
		before := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"key": value}}
		if _, err := maps.Create(ctx, before, metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = maps.Delete(ctx, name, metav1.DeleteOptions{}) })
	}
	made("other", "theirs")
	made("same", "ours")
	manifest := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: demo}\ndata: {key: ours}\n"
	}
	w.write(t, "manifests/before.yaml", manifest("other")+"---\n"+manifest("same"))
	value := func() string {
		t.Helper()
		found, err := maps.Get(ctx, "other", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return found.Data["key"]
	}
	out := w.fails(t, []string{"ConfigMap/demo/other (manifests/before.yaml:1)", "somebody set .data.key", "KINDGATE_ADOPT=yes"}, "apps")
	contains(t, out, "ConfigMap/demo/same was there before (somebody)")
	if got := value(); got != "theirs" {
		t.Errorf("it was overwritten: %s", got)
	}
	w.env["KINDGATE_ADOPT"] = "yes"
	contains(t, w.mage(t, "apps"), "ConfigMap/demo/other was there before (somebody)")
	delete(w.env, "KINDGATE_ADOPT")
	if steps := w.steps(t, "apps"); value() != "ours" || steps["apps"].Result != "unchanged" {
		t.Errorf("%s, %+v", value(), steps["apps"])
	}
}

func TestAReleaseThatKindgateDidNotInstallIsLeftAsItIs(t *testing.T) {
	enterShared(t)
	w := up(t)
	_, typed := w.clients(t)
	revisions, ctx := typed.CoreV1().Secrets("traefik"), context.Background()
	records, err := revisions.List(ctx, metav1.ListOptions{LabelSelector: "owner=helm,status=deployed"})
	if err != nil || len(records.Items) != 1 {
		t.Fatal(err, len(records.Items))
	}
	last := records.Items[0].Name
	if _, err := revisions.Patch(ctx, last, types.MergePatchType, []byte(`{"metadata":{"labels":{"kindgate":null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.mage(t, "traefik") // as it is wanted: nothing is to be changed
	w.edit(t, "manifests/traefik-values.yaml", "cpu: 50m", "cpu: 51m")
	w.fails(t, []string{"Helm release traefik/traefik", "was not installed by kindgate", "KINDGATE_ADOPT=yes"}, "traefik")
	w.env["KINDGATE_ADOPT"] = "yes"
	if steps := w.steps(t, "traefik"); steps["traefik"].Result != "updated" {
		t.Errorf("taken over: %+v", steps["traefik"])
	}
	delete(w.env, "KINDGATE_ADOPT")
	w.edit(t, "manifests/traefik-values.yaml", "cpu: 51m", "cpu: 50m")
	w.mage(t, "traefik") // it is ours from then on
}

func TestAClusterOfAnotherUserIsLeftAsItIs(t *testing.T) {
	enterShared(t)
	w := up(t)
	path := w.env["KINDGATE_KUBECONFIG"]
	ours, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Two users of one engine: this one's kubeconfig knows a cluster that was there before the other's.
	before := regexp.MustCompile(`owner: (\S+)/\w+`).ReplaceAll(ours, []byte("owner: ${1}/"+strings.Repeat("A", 26)))
	write := func() {
		t.Helper()
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	for _, target := range []string{"up", "verify", "teardown"} {
		w.fails(t, []string{"another user, or a run with another kubeconfig, has made", "KINDGATE_ADOPT=yes"}, target)
	}
	w.env["KINDGATE_ADOPT"] = "yes"
	w.mage(t, "cluster")
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, ours) {
		t.Errorf("%v: the entries are not the cluster's:\n%s", err, now)
	}
}
