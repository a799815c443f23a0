package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// Podman takes a short name for one of localhost, which is what it calls an image that was built or loaded by that name, and copies that.
func TestTheEngineIsAskedForImagesByTheNameTheNodeLooksFor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	dir := t.TempDir()
	script := `#!/bin/sh
case "$*" in
"image inspect docker.io/traefik/whoami:v1"|"image inspect localhost/mine:dev") echo '[{"Id": "abc", "Size": 7}]';;
*) exit 1;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	local := engine("podman").localImages(t.Context(), []string{"traefik/whoami:v1", "localhost/mine:dev", "mine:dev"})
	have := localImage{ID: "sha256:abc", Size: 7}
	if want := map[string]localImage{"traefik/whoami:v1": have, "localhost/mine:dev": have}; !reflect.DeepEqual(local, want) {
		t.Errorf("local are %v", local)
	}
}

// engineOf is an engine whose command is a shell script, which runs in a folder of its own.
func engineOf(t *testing.T, script string) (e engine, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\ncd "+dir+"\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return "docker", dir
}

// Each import waits for the others to have begun: it would wait in vain if the nodes had their turns.
func TestImagesArePackedOnceAndGoToAllNodesAtOnce(t *testing.T) {
	e, dir := engineOf(t, `case "$1" in
save) echo saved >>saves; printf 'the images'; exit;;
exec) node=$3; touch began.$node
  n=0; until [ -e began.a ] && [ -e began.b ] && [ -e began.c ]; do n=$((n+1)); [ $n -lt 200 ] || exit 1; sleep 0.05; done
  cat >got.$node;;
esac
`)
	var copied int64
	if err := e.copyImages(t.Context(), Info{}, map[string]string{"traefik:v3": "sha256:1"}, nil, []string{"a", "b", "c"}, func(n int64) { copied = n }); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"a", "b", "c"} {
		if got, err := os.ReadFile(filepath.Join(dir, "got."+node)); err != nil || string(got) != "the images" {
			t.Errorf("node %s got %q, %v", node, got, err)
		}
	}
	if saves, _ := os.ReadFile(filepath.Join(dir, "saves")); string(saves) != "saved\n" || copied != int64(len("the images")) {
		t.Errorf("%q, and %d bytes", saves, copied)
	}
}

// Docker's ID of an image is what the kubelet calls it, too, unless containerd keeps the engine's images.
func TestACopyOfARebuiltImageIsWaitedForUntilTheKubeletGetsIt(t *testing.T) {
	const wait = "until crictl inspecti docker.io/library/mine:dev 2>/dev/null | grep -q sha256:1 "
	for _, test := range []struct {
		rebuilt []string
		info    Info
		waits   bool
	}{{nil, Info{}, false}, {[]string{"mine:dev"}, Info{}, true}, {[]string{"mine:dev"}, Info{containerd: true}, false}} {
		e, dir := engineOf(t, "case \"$1\" in exec) echo \"$6\" >script; cat >/dev/null;; esac\n")
		if err := e.copyImages(t.Context(), test.info, map[string]string{"mine:dev": "sha256:1"}, test.rebuilt, []string{"a"}, func(int64) {}); err != nil {
			t.Fatal(err)
		}
		if script, err := os.ReadFile(filepath.Join(dir, "script")); err != nil || strings.Contains(string(script), wait) != test.waits {
			t.Errorf("%+v: %s, %v", test, script, err)
		}
	}
}

func TestAFailedCopyEndsTheOthersAndIsTheErrorThatIsSaid(t *testing.T) {
	const imports = "exec) case $3 in broken) echo the disk is full >&2; exit 1;; *) cat >/dev/null;; esac;;\n"
	for name, test := range map[string]struct{ save, want string }{
		"a node that takes nothing":  {"save) while :; do echo more; done;;\n", "images into node broken: docker exec: the disk is full"},
		"an engine that cannot pack": {"save) echo no such image >&2; exit 1;;\nexec) cat >/dev/null;;\n", "docker save: no such image"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := engineOf(t, "case \"$1\" in\n"+test.save+imports+"esac\n")
			err := e.copyImages(t.Context(), Info{}, map[string]string{"traefik:v3": "sha256:1"}, nil, []string{"well", "broken"}, func(int64) {})
			if err == nil || err.Error() != test.want {
				t.Errorf("%v", err)
			}
		})
	}
}

// listing is a stand-in for docker whose engine has three images, and whose nodes have others: node a has copies of all that are up to date, node b
// lacks one and has another of which somebody has imported an older one over the copy, with the labels of that; a third, of the same content, it has pulled itself.
const listing = `case "$1 $2" in
"ps "*) printf 'a-control-plane\tUp 2 hours\nb-control-plane\tUp 2 hours\n'; exit;;
"image inspect") case $3 in
  */traefik:v3) echo '[{"Id": "sha256:aaa", "Size": 1, "RepoDigests": ["traefik@sha256:1"]}]';;
  */whoami:v1) echo '[{"Id": "sha256:bbb", "Size": 2}]';;
  */mine:dev) echo '[{"Id": "sha256:ccc", "Size": 3}]';;
  *) exit 1;; esac; exit;;
esac
echo 'REF TYPE DIGEST SIZE PLATFORMS LABELS'
echo 'docker.io/library/theirs:v1 application/x sha256:d9 1.0 MiB linux/amd64 -'
case $2 in
a-*) echo 'docker.io/library/traefik:v3 application/x sha256:d1 1.0 MiB linux/amd64 io.cri-containerd.image=managed,kindgate/digest=sha256:d1,kindgate/id=sha256:aaa'
  echo 'docker.io/traefik/whoami:v1 application/x sha256:d2 1.0 MiB linux/amd64 -'
  echo 'sha256:bbb application/x sha256:d2 1.0 MiB linux/amd64 -'
  echo 'docker.io/library/mine:dev application/x sha256:ccc 1.0 MiB linux/amd64 -';;
b-*) echo 'docker.io/traefik/whoami:v1 application/x sha256:d2 1.0 MiB linux/amd64 -'
  echo 'sha256:bbb application/x sha256:d2 1.0 MiB linux/amd64 -'
  echo 'docker.io/library/mine:dev application/x sha256:d0 1.0 MiB linux/amd64 kindgate/digest=sha256:d3,kindgate/id=sha256:ccc'
  echo 'sha256:old application/x sha256:d0 1.0 MiB linux/amd64 -';;
esac
`

func looked(t *testing.T, script string, pulled ...string) *Images {
	t.Helper()
	return lookedInto(t, nil, script, pulled...)
}

func lookedInto(t *testing.T, names []string, script string, pulled ...string) *Images {
	t.Helper()
	var known []corev1.Node
	for _, name := range names {
		known = append(known, corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	e, _ := engineOf(t, script)
	images, err := nodes{e, "x"}.lookAtImages(t.Context(), known, []string{"mine:dev", "theirs:v1", "traefik:v3", "traefik/whoami:v1"},
		func(ref string) bool { return slices.Contains(pulled, ref) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

func TestEachNodeSaysWhichImagesItLacks(t *testing.T) {
	images := looked(t, listing)
	if a, b := images.lacking("a-control-plane"), images.lacking("b-control-plane"); len(a) != 0 || !slices.Equal(b, []string{"traefik:v3"}) {
		t.Errorf("%v, %v", a, b)
	}
	e, _ := engineOf(t, "echo no such container >&2; exit 1\n")
	if err := images.lookInto(t.Context(), e, []string{"c"}, ""); err == nil || !strings.Contains(err.Error(), "images of node c") {
		t.Errorf("%v", err)
	}
}

// Kubernetes may know a node of which the container was removed.
func TestTheNodesThatAreKnownAreAskedAndWhereOneIsGoneThoseThatTheEngineLists(t *testing.T) {
	const gone = `case "$1 $2" in "exec c-control-plane") echo no such container >&2; exit 1;; esac
`
	for known, want := range map[string]int{"a-control-plane": 1, "a-control-plane c-control-plane": 2} {
		if images := lookedInto(t, strings.Fields(known), gone+listing); len(images.nodes) != want || images.nodes["a-control-plane"] == nil {
			t.Errorf("%s: %v", known, images.nodes)
		}
	}
}

func TestTheNodesAreNotLookedIntoWhereTheySayThatTheyHaveWhatTheEngineHasAndNoPodRunsAnother(t *testing.T) {
	all := []string{"docker.io/library/mine:dev", "docker.io/library/theirs:v1", "docker.io/library/traefik:v3", "docker.io/traefik/whoami:v1"}
	const known = `{"mine:dev":{"id":"sha256:ccc","running":["sha256:k1","x@sha256:k2"]},"traefik:v3":{"id":"sha256:aaa"},"traefik/whoami:v1":{"id":"sha256:bbb"}}`
	const older = `{"mine:dev":"sha256:ccc","traefik:v3":"sha256:aaa","traefik/whoami:v1":"sha256:bbb"}` // as earlier releases wrote it
	runs := func(ids ...string) map[string][]string { return map[string][]string{"docker.io/library/mine:dev": ids} }
	for _, test := range []struct {
		recorded string
		has      []string
		running  map[string][]string
		settled  bool
	}{
		{known, all, nil, true}, {known, all, runs("x@sha256:k2"), true}, {known, all, map[string][]string{"docker.io/library/theirs:v1": {"sha256:any"}}, true},
		{known, all, runs("sha256:k1", "sha256:foreign"), false}, {known, all, map[string][]string{"docker.io/library/traefik:v3": {"sha256:aaa"}}, false},
		{"", all, nil, false}, {older, all, nil, false}, {known, all[1:], nil, false}, {strings.Replace(known, "ccc", "c00", 1), all, nil, false},
		{`{"mine:dev":{"id":"sha256:ccc"}}`, all, nil, false},
	} {
		node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a-control-plane", Annotations: map[string]string{imagesAnnotation: test.recorded}},
			Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: test.has}}}}
		e, _ := engineOf(t, listing)
		refs := []string{"mine:dev", "theirs:v1", "traefik:v3", "traefik/whoami:v1"}
		look := func(running func() (map[string][]string, error)) *Images {
			images, err := nodes{e, "x"}.lookAtImages(t.Context(), []corev1.Node{node}, refs, func(string) bool { return false }, running)
			if err != nil {
				t.Fatal(err)
			}
			return images
		}
		images := look(func() (map[string][]string, error) { return test.running, nil })
		if images.Settled() != test.settled {
			t.Errorf("%+v", test)
		}
		if test.settled && (len(images.Rebuilt()) > 0 || images.Outdated("mine:dev", "sha256:old")) {
			t.Error("what was not looked at is judged")
		}
		if look(func() (map[string][]string, error) { return nil, errors.New("refused") }).Settled() {
			t.Error("settled although nobody knows what the pods run")
		}
	}
}

func TestWhatThePodsRunIsKnownByTheImagesTheyName(t *testing.T) {
	pod := func(name string, edit func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: name}, Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "i", Image: "mine:dev"}}, Containers: []corev1.Container{{Name: "c", Image: "docker.io/traefik/whoami:v1"}}},
			Status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "i", Image: "sha256:1", ImageID: "sha256:1"}},
				ContainerStatuses: []corev1.ContainerStatus{{Name: "c", ImageID: "sha256:" + name}}}}
		edit(p)
		return p
	}
	now := metav1.Now()
	found, err := running(t.Context(), fake.NewClientset(pod("a", func(*corev1.Pod) {}), pod("b", func(*corev1.Pod) {}),
		pod("waits", func(p *corev1.Pod) { p.Status = corev1.PodStatus{} }), pod("goes", func(p *corev1.Pod) { p.DeletionTimestamp, p.Finalizers = &now, []string{"x/y"} })))
	want := map[string][]string{"docker.io/library/mine:dev": {"sha256:1"}, "docker.io/traefik/whoami:v1": {"sha256:a", "sha256:b"}}
	if err != nil || !reflect.DeepEqual(found, want) {
		t.Error(found, err)
	}
}

// Docker's ID of an image is the digest of its configuration, or with containerd's store that of its index, and a copy's may be neither.
func TestAnImageIsRebuiltWhereANodeHasAnotherThanTheEngineUnderItsName(t *testing.T) {
	if rebuilt := looked(t, listing).Rebuilt(); !slices.Equal(rebuilt, []string{"mine:dev"}) {
		t.Errorf("%v", rebuilt)
	}
	if rebuilt := looked(t, listing, "mine:dev").Rebuilt(); len(rebuilt) != 0 {
		t.Errorf("held against the engine's although the registry's counts: %v", rebuilt)
	}
}

func TestAContainerIsOutdatedWhereItRunsAnotherImageThanTheEngineHas(t *testing.T) {
	for _, test := range []struct {
		ref, running string
		want         bool
	}{
		{"traefik/whoami:v1", "sha256:bbb", false}, {"traefik/whoami:v1", "docker.io/traefik/whoami@sha256:d2", false},
		{"traefik/whoami:v1", "sha256:older", true}, {"traefik/whoami:v1", "", false},
		{"traefik:v3", "sha256:aaa", false}, {"traefik:v3", "docker.io/library/traefik@sha256:d1", false}, {"traefik:v3", "sha256:bbb", true},
		{"mine:dev", "sha256:ccc", false}, {"mine:dev", "sha256:old", true}, {"mine:dev", "docker.io/library/mine@sha256:d0", true},
		{"theirs:v1", "sha256:anything", false}, {"unknown:v1", "sha256:anything", false},
	} {
		if got := looked(t, listing).Outdated(test.ref, test.running); got != test.want {
			t.Errorf("%s as %s: %v", test.ref, test.running, got)
		}
	}
	if looked(t, listing, "mine:dev").Outdated("mine:dev", "sha256:old") {
		t.Error("held against the engine's although the registry's counts")
	}
}

func TestOnlyAnImageThatNoRegistryIsKnownOfIsUnpushed(t *testing.T) {
	for ref, want := range map[string]bool{"mine:dev": true, "traefik:v3": false, "theirs:v1": false} {
		if got := looked(t, listing).Unpushed(ref); got != want {
			t.Errorf("%s: %v", ref, got)
		}
	}
}

func TestANodePullsAnImageThatItHasNot(t *testing.T) {
	e, dir := engineOf(t, `case "$3" in sh) echo docker.io/library/here:1;; crictl) echo "$2 $5" >>pulled; case "$5" in
*none*) echo "rpc error: code = NotFound desc = not found" >&2; exit 1;; *private*) echo "401 Unauthorized" >&2; exit 1;; esac;; esac
`)
	for ref, want := range map[string]string{"here:1": "", "away:1": "", "private:1": "", "none:1": "docker exec: rpc error: code = NotFound desc = not found"} {
		if err := e.pull(t.Context(), "node", ref); (err != nil) != (want != "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if pulled, _ := os.ReadFile(filepath.Join(dir, "pulled")); strings.Count(string(pulled), "node docker.io/library/") != 3 || strings.Contains(string(pulled), "here") {
		t.Errorf("%q", pulled)
	}
}

func TestAnImageIsMissingUnlessEveryNodeSaysThatItHasIt(t *testing.T) {
	node := func(names ...string) corev1.Node {
		return corev1.Node{Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: names}}}}
	}
	refs := []string{"traefik:v3", "traefik/whoami:v1"}
	both := node("docker.io/library/traefik:v3", "docker.io/traefik/whoami:v1")
	for _, test := range []struct {
		nodes []corev1.Node
		want  []string
	}{
		{nil, refs}, {[]corev1.Node{both}, nil}, {[]corev1.Node{both, both}, nil}, {[]corev1.Node{both, node()}, refs},
		{[]corev1.Node{node("docker.io/traefik/whoami:v1"), both}, refs[:1]},
	} {
		if got := MissingImages(test.nodes, refs); !slices.Equal(got, test.want) {
			t.Errorf("%d nodes: %v instead of %v", len(test.nodes), got, test.want)
		}
	}
}
