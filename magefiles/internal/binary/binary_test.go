package binary

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheBinaryBringsTheFilesOfTheSourceAndTheDefinitionsOfEachChannel(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	definitions := func(channel string) (string, error) {
		dir := t.TempDir()
		return dir, os.WriteFile(filepath.Join(dir, channel+".yaml"), nil, 0o600)
	}
	all, err := replaced(root, definitions)
	if err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(root, "magefiles", "internal", "shipped", "files") + string(filepath.Separator)
	var names []string
	for name, path := range all {
		name, ok := strings.CutPrefix(name, below)
		if _, err := os.Stat(path); err != nil || !ok {
			t.Errorf("%s is %s: %v", name, path, err)
		}
		names = append(names, filepath.ToSlash(name))
	}
	for _, want := range []string{"kind/cluster.yaml", "manifests/gateway.yaml", "manifests/traefik-values.yaml", "crds/standard/standard.yaml", "crds/experimental/experimental.yaml"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing in %v", want, names)
		}
	}
}

func TestARevisionIsTheCommitAndSaysWhereTheSourceIsAnother(t *testing.T) {
	dir := t.TempDir()
	if got := revision(t.Context(), dir); got != "" {
		t.Errorf("without a repository: %s", got)
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=e"}, args...)...).CombinedOutput()
		if err != nil {
			t.Skipf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	file := filepath.Join(dir, "f")
	for _, text := range []string{"a", "b"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text == "a" {
			git("add", "f")
			git("commit", "-q", "-m", "m")
			if got := revision(t.Context(), dir); got != git("rev-parse", "HEAD") {
				t.Errorf("unchanged: %s", got)
			}
		}
	}
	if got := revision(t.Context(), dir); got != git("rev-parse", "HEAD")+"-modified" {
		t.Errorf("changed: %s", got)
	}
}
