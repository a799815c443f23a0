package manifest

import (
	"strings"
	"testing"
	"testing/fstest"

	"kindgate/magefiles/internal/kube"
)

func TestWhatHasPassedIsNotJudgedAgainUnlessAnythingIsAnother(t *testing.T) {
	decode := func(text string) []kube.Object {
		objects, err := kube.Decode([]byte(text), "a.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	const class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: example.test/c}\n"
	objects := decode(class)
	first := NewPassed(nil)
	// A folder without definitions makes a problem of every object that is judged.
	judged := func(passed *Passed, objects []kube.Object, kubernetes string, live ...kube.Object) bool {
		t.Helper()
		return len(Schemas{Standard: fstest.MapFS{}, Passed: passed, Kubernetes: kubernetes, Live: live}.Problems(t.Context(), objects)) > 0
	}
	released := pinned(t)
	released.Passed, released.Kubernetes = first, ""
	if problems := released.Problems(t.Context(), objects); len(problems) > 0 {
		t.Fatal(problems)
	}
	digests, changed := first.Digests()
	if len(digests) != 1 || !changed {
		t.Fatalf("%v %t", digests, changed)
	}
	second := NewPassed(digests)
	if judged(second, objects, "") {
		t.Error("judged once more")
	}
	if again, changed := second.Digests(); changed || len(again) != 1 {
		t.Errorf("%v %t", again, changed)
	}
	other := decode(strings.Replace(class, "name: c", "name: d", 1))
	switch {
	case !judged(NewPassed(nil), objects, ""), !judged(nil, objects, ""):
		t.Error("not judged, though nothing has passed")
	case !judged(second, other, ""), !judged(second, append(other, objects...), ""):
		t.Error("another object has passed")
	case !judged(second, objects, "v1.37.0"):
		t.Error("passed for another Kubernetes")
	case !judged(second, objects, "", other...):
		t.Error("passed for the definitions of another cluster")
	}
	if again, _ := second.Digests(); len(again) != 1 {
		t.Errorf("what has problems has passed: %v", again)
	}
}
