package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	kindgate "kindgate/magefiles/internal/binary"
)

// one builds the one binary as it is released, but for what makes it the same everywhere: with that, all libraries are compiled anew.
func one(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "kindgate")
	definitions := func(channel string) (string, error) {
		list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api")
		list.Dir = root
		dir, err := list.Output()
		return filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", channel), err
	}
	err := kindgate.WithOverlay(root, definitions, func(root, overlay string) error {
		build := exec.Command("go", "build", "-tags=mage,embedded", "-overlay="+overlay, "-o", out, "./magefiles")
		build.Dir = root
		said, err := build.CombinedOutput()
		t.Log(string(said))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheOneBinaryNeedsNothingButTheEnginesCommand(t *testing.T) {
	enterShared(t)
	if runtime.GOOS == "windows" {
		t.Skip("the path of a program is made with a link")
	}
	w := up(t)
	kindgate, path, empty := one(t), t.TempDir(), t.TempDir()
	docker, err := exec.LookPath("docker")
	if err == nil {
		err = os.Symlink(docker, filepath.Join(path, "docker"))
	}
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + path, "HOME=" + t.TempDir()}
	for _, name := range []string{"DOCKER_HOST", "KINDGATE_NODE_IMAGE", "KINDGATE_TRAEFIK_CHART", "KINDGATE_TRAEFIK_REPO", "KINDGATE_TRAEFIK_VERSION"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range w.env {
		env = append(env, name+"="+value)
	}
	run := func(status int, args ...string) string {
		t.Helper()
		cmd := exec.Command(kindgate, args...)
		cmd.Dir, cmd.Env = empty, append(env, "KINDGATE_OUTPUT=json")
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != status {
			t.Fatalf("kindgate %v: exit status %d, expected %d\n%s", args, got, status, out)
		}
		return string(out)
	}
	contains(t, run(0, "help"), "Basic Commands:", "\n  up ", "\n  explain ", "Use \"kindgate COMMAND --help\"")
	version := run(0, "version")
	contains(t, version, `"version":"devel"`, `"gatewayapi":"v`)
	for line := range strings.Lines(version) {
		decoded(t, line)
	}

	// The files that it brings are those that the cluster is of.
	steps := 0
	for line := range strings.Lines(run(0, "up")) {
		var s step
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if s.Step != "" {
			steps++
		}
		if s.Step != "" && s.Result != "unchanged" && s.Step != "check" && s.Step != "verify" {
			t.Errorf("%+v, expected unchanged", s)
		}
	}
	if steps < 8 {
		t.Errorf("%d steps", steps)
	}
	contains(t, run(0, "explain", "http://whoami.localhost/", "--files"), "HTTPRoute/demo/whoami-host")

	for line := range strings.Lines(run(0, "init")) {
		decoded(t, line)
	}
	run(1, "init")
	for _, file := range []string{"kind/cluster.yaml", "manifests/httproute-host.yaml"} {
		written, err := os.ReadFile(filepath.Join(empty, file))
		want, other := os.ReadFile(filepath.Join(root, file))
		if err != nil || other != nil || string(written) != string(want) {
			t.Errorf("%s: %v %v\n%s", file, err, other, written)
		}
	}
	route := filepath.Join(empty, "manifests", "httproute-host.yaml")
	text, err := os.ReadFile(route)
	if err == nil {
		err = os.WriteFile(route, []byte(strings.Replace(string(text), "whoami-v1\n", "whoami-v2\n", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	contains(t, run(2, "plan"), "HTTPRoute/demo/whoami-host")
	if err := os.WriteFile(route, []byte(strings.Replace(string(text), "hostnames:", "hostname:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(3, "check")
	contains(t, run(2, "vrify"), "unknown command", "verify")
}
