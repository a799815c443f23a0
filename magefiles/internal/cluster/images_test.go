package cluster

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Podman takes a short name for one of localhost, which is what it calls an image that was built or loaded by that name, and copies that.
func TestTheEngineIsAskedForImagesByTheNameTheNodeLooksFor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	dir := t.TempDir()
	script := `#!/bin/sh
case "$*" in
"image inspect docker.io/traefik/whoami:v1"|"image inspect localhost/mine:dev") echo '[{"Size": 7}]';;
*) exit 1;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	local, total := engine("podman").localImages(t.Context(), []string{"traefik/whoami:v1", "localhost/mine:dev", "mine:dev"})
	if !slices.Equal(local, []string{"traefik/whoami:v1", "localhost/mine:dev"}) || total != 14 {
		t.Errorf("local are %v with %d bytes", local, total)
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
	if err := e.copyImages(t.Context(), Info{}, []string{"traefik:v3"}, []string{"a", "b", "c"}, func(n int64) { copied = n }); err != nil {
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

func TestAFailedCopyEndsTheOthersAndIsTheErrorThatIsSaid(t *testing.T) {
	const imports = "exec) case $3 in broken) echo the disk is full >&2; exit 1;; *) cat >/dev/null;; esac;;\n"
	for name, test := range map[string]struct{ save, want string }{
		"a node that takes nothing":  {"save) while :; do echo more; done;;\n", "images into node broken: docker exec: the disk is full"},
		"an engine that cannot pack": {"save) echo no such image >&2; exit 1;;\nexec) cat >/dev/null;;\n", "docker save: no such image"},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := engineOf(t, "case \"$1\" in\n"+test.save+imports+"esac\n")
			err := e.copyImages(t.Context(), Info{}, []string{"traefik:v3"}, []string{"well", "broken"}, func(int64) {})
			if err == nil || err.Error() != test.want {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestEachNodeSaysWhichImagesItLacks(t *testing.T) {
	e, _ := engineOf(t, `case "$2" in a) echo docker.io/library/traefik:v3; echo docker.io/traefik/whoami:v1;; b) echo docker.io/traefik/whoami:v1;; *) echo no such container >&2; exit 1;; esac
`)
	refs := []string{"traefik:v3", "traefik/whoami:v1"}
	got, err := e.lacking(t.Context(), []string{"a", "b"}, refs)
	if err != nil || len(got["a"]) != 0 || !slices.Equal(got["b"], refs[:1]) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := e.lacking(t.Context(), []string{"a", "c"}, refs); err == nil || !strings.Contains(err.Error(), "images of node c") {
		t.Errorf("%v", err)
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
