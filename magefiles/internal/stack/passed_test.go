package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/manifest"
)

func TestWhatHasPassedIsRememberedForTheSameProgramAlone(t *testing.T) {
	objects, err := kube.Decode([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"), "a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := remembered{filepath.Join(t.TempDir(), "kindgate", "passed")}
	anew := func() bool {
		passed := file.read()
		if problems := (manifest.Schemas{Passed: passed}).Problems(t.Context(), objects); len(problems) > 0 {
			t.Fatal(problems)
		}
		_, changed := passed.Digests()
		file.write(passed)
		return changed
	}
	if !anew() {
		t.Error("passed before it was judged")
	}
	if anew() {
		t.Error("judged again")
	}
	data, err := os.ReadFile(file.path)
	if err != nil {
		t.Fatal(err)
	}
	_, digests, _ := bytes.Cut(data, []byte("\n"))
	for _, by := range []string{program() + "0", ""} {
		if err := os.WriteFile(file.path, append([]byte(by+"\n"), digests...), 0o600); err != nil {
			t.Fatal(err)
		}
		if !anew() {
			t.Errorf("passed by the verdict of %q", by)
		}
	}
	file.path = ""
	if first, second := anew(), anew(); !first || !second {
		t.Error("remembered without a file")
	}
}
