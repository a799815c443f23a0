package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fakeNodes answers as a container engine does: lists gives the lines of each turn of ps, mounts those of inspect.
func fakeNodes(t *testing.T, list, mounts string) nodes {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	path := filepath.Join(t.TempDir(), "engine")
	script := "#!/bin/sh\ncase $1 in\nps) cat <<'END'\n" + list + "END\n;;\ncontainer) " + mounts + " ;;\nesac\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return nodes{engine(path), "k"}
}

func TestAClusterIsOursOnlyIfAllOfItsNodesHaveOneMark(t *testing.T) {
	const list = "k-worker\tUp 2 minutes\nk-control-plane\tUp 2 minutes\nk-external-load-balancer\tUp 2 minutes\n"
	const a, b = "/AAAAAAAAAAAAAAAAAAAAAAAAAA", "/BBBBBBBBBBBBBBBBBBBBBBBBBB"
	marked := func(m string) string { return "/var\t" + marksFolder + "/" + m + "\t/lib/modules\t\n" }
	for name, test := range map[string]struct {
		list, mounts string
		want         mark
	}{
		"marked":                                {list, marked("k"+a) + marked("k"+a), "k" + a},
		"not marked":                            {list, "/var\t\n/var\t\n", ""},
		"a node of somebody":                    {list, marked("k"+a) + "/var\t\n", ""},
		"of two clusters":                       {list, marked("k"+a) + marked("k"+b), ""},
		"another's mark":                        {list, marked("other"+a) + marked("other"+a), ""},
		"no identity":                           {list, marked("k/notes") + marked("k/notes"), ""},
		"no cluster":                            {"", "", ""},
		"a load balancer":                       {"k-external-load-balancer\tUp 2 minutes\n", "", ""},
		"a stranger's container of a like name": {"k-control-plane\tUp\nmydb-external-load-balancer\tUp\n", marked("k"+a) + "/var\t\n", ""},
		"no mounts at all":                      {list, "\n\n", ""},
	} {
		n := fakeNodes(t, test.list, "cat <<'END'\n"+test.mounts+"END\n")
		found, owner, err := n.owned(t.Context())
		if err != nil || owner != test.want || len(found) != strings.Count(test.list, "\n") {
			t.Errorf("%s: %d nodes of %q: %v", name, len(found), owner, err)
		}
	}
	broken := fakeNodes(t, list, "echo broken >&2; exit 1")
	if _, _, err := broken.owned(t.Context()); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Error(err)
	}
}

// Deleting asks once more: what was looked at may have been replaced.
func TestNodesOfAnotherClusterThanTheMeantOneAreNotDeleted(t *testing.T) {
	c := New(Options{Name: "k", Kubeconfig: "/none"})
	for _, mounts := range []string{"/var\t\n", marksFolder + "/k/other\t\n"} {
		n := fakeNodes(t, "k-control-plane\tUp 2 minutes\n", "cat <<'END'\n"+mounts+"END\n")
		if err := n.delete(t.Context(), "k/meant"); err == nil || !strings.Contains(err.Error(), "left as it is") {
			t.Error(err)
		}
		c.making.owner = "k/meant"
		if err := c.making.deleteFailed(t.Context(), n); err != nil {
			t.Errorf("what made a creation fail is no error of its clean-up: %v", err)
		}
	}
}

// The control plane's container has the data: without it there is nothing to keep, under another name there may be.
func TestAClusterIsOnlyRemadeForItsControlPlaneWhereNoContainerMayHaveItsData(t *testing.T) {
	for list, want := range map[string]struct {
		there bool
		words string
	}{
		"k-worker\tUp\nk-control-plane\tUp\n":                  {true, ""},
		"k-worker\tUp\nk-worker2\tUp\n":                        {false, ""},
		"k-external-load-balancer\tUp\nk-worker\tExited (0)\n": {false, ""},
		"k-worker\tUp\nmoved\tUp\n":                            {false, "k-control-plane is not there, but moved"},
		"k-control-plane2\tUp\nk-external-load-balancer\tUp\n": {false, "k-control-plane is not there, but k-control-plane2"},
	} {
		there, err := fakeNodes(t, list, "").hasControlPlane(t.Context())
		if there != want.there || (err != nil) != (want.words != "") || err != nil && !strings.Contains(err.Error(), want.words) {
			t.Errorf("%q: %v, %v", list, there, err)
		}
	}
}

func TestOnlyTheNodeOfTheMarkedClusterCounts(t *testing.T) {
	node := func(annotations map[string]string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
	}
	for name, test := range map[string]struct {
		node  *corev1.Node
		owner mark
		want  bool
	}{
		"complete":                  {node(map[string]string{madeFromAnnotation: "{}", ownerAnnotation: "k/A"}), "k/A", true},
		"of an earlier release":     {node(map[string]string{madeFromAnnotation: "{}"}), "", true},
		"another's":                 {node(map[string]string{madeFromAnnotation: "{}", ownerAnnotation: "k/B"}), "k/A", false},
		"marked, containers not":    {node(map[string]string{madeFromAnnotation: "{}", ownerAnnotation: "k/A"}), "", false},
		"containers marked, it not": {node(map[string]string{madeFromAnnotation: "{}"}), "k/A", false},
		"not complete":              {node(map[string]string{ownerAnnotation: "k/A"}), "k/A", false},
		"plain":                     {node(nil), "", false},
		"unknown":                   {nil, "", false},
	} {
		if got := madeBy(test.owner, test.node); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOnlyAHalfMadeClusterMayBeAdopted(t *testing.T) {
	for _, test := range []struct{ adopt, halfMade, want bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		c := New(Options{Name: "k", Kubeconfig: "/none", Adopt: test.adopt})
		if got := c.mayDelete(&ForeignError{HalfMade: test.halfMade}); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestEveryMarkIsItsOwn(t *testing.T) {
	a, b := newMark("k"), newMark("k")
	if a == b || !strings.HasPrefix(string(a), "k/") {
		t.Error(a, b)
	}
	mounts := []string{"/var", a.mount().ContainerPath, b.mount().ContainerPath}
	if found := markAmong("k", mounts); found != a {
		t.Error(found)
	}
	if found := markOf(a.extensions()); found != a {
		t.Error(found)
	}
	if mark("").extensions() != nil || markAmong("k", []string{"/var", marksFolder}) != "" {
		t.Error("there is a mark where there is none")
	}
}

func TestAContainerThatIsGoneIsKnownByAllEnginesWords(t *testing.T) {
	for words, want := range map[string]bool{
		"Error response from daemon: No such container: k": true, `Error: no such container "k"`: true, "1 errors: [no such container: k]": true,
		"permission denied": false,
	} {
		if got := isGone(errors.New(words)); got != want {
			t.Errorf("%s: %v", words, got)
		}
	}
	if isGone(nil) {
		t.Error("no error")
	}
}

func TestANodeSaysWhichClusterOfKindgatesItIsOf(t *testing.T) {
	for want, annotations := range map[string]map[string]string{
		"k":     {ownerAnnotation: "k/A", madeFromAnnotation: "{}"},
		"older": {madeFromAnnotation: "{}"},
		"":      {"other": "k/A"},
	} {
		if got := MadeAs(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "older-control-plane", Annotations: annotations}}); got != want {
			t.Errorf("%v: %q", annotations, got)
		}
	}
}

func TestNodesThatSomebodyHasRemovedMeanwhileAreNoneThatAreLeft(t *testing.T) {
	for list, want := range map[string]bool{"k-control-plane\tUp 2 minutes\n": true, "k-worker\tExited (137) 1 second ago\n": true, "": false} {
		left, err := fakeNodes(t, list, "").awaitRemoval(t.Context(), func(string) {})
		if err != nil || left != want {
			t.Errorf("%q: %v, %v", list, left, err)
		}
	}
}
