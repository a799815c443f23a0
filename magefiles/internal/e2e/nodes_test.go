package e2e

import (
	"strings"
	"testing"
)

// The last worker has the ports, and Traefik tolerates the control plane's taint: it runs on all three.
func TestThreeNodesComeUpAndThoseThatAreStoppedAreNamedAndStartedAgain(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-three")
	w.edit(t, "kind/cluster.yaml", "  - role: control-plane\n", "  - role: control-plane\n  - role: worker\n  - role: worker\n")
	door, other := w.name+"-worker2", w.name+"-worker"
	nodes := []string{w.node(), other, door}
	if steps := w.steps(t, "up"); steps["cluster"].Result != "created" || steps["images"].Result != "created" {
		t.Errorf("%+v and %+v, expected both to be created", steps["cluster"], steps["images"])
	}
	ids := w.docker(t, append([]string{"inspect", "--format", "{{.Id}}"}, nodes...)...)
	for _, node := range nodes {
		contains(t, w.docker(t, "exec", node, "ctr", "-n", "k8s.io", "images", "list", "-q"), "docker.io/library/traefik:", "docker.io/traefik/whoami:")
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")

	w.docker(t, "stop", "--time=2", door)
	w.fails(t, []string{"127.0.0.1:", "is published by the node " + door, "the node " + door + " is stopped"}, "verify")
	w.docker(t, "kill", other)
	out, _ := w.run("doctor")
	contains(t, out, other+" is stopped", door+" is stopped")
	contains(t, w.mage(t, "status"), "ready, but ", other+" is stopped", door+" is stopped")

	if cluster := w.steps(t, "up")["cluster"]; cluster.Result != "repaired" || !strings.Contains(cluster.Detail, other) || !strings.Contains(cluster.Detail, door) {
		t.Errorf("%+v, expected both workers to be started again", cluster)
	}
	if now := w.docker(t, append([]string{"inspect", "--format", "{{.Id}}"}, nodes...)...); now != ids {
		t.Errorf("the nodes\n%swere remade as\n%s", ids, now)
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
	if cluster := w.steps(t, "up")["cluster"]; cluster.Result != "unchanged" {
		t.Errorf("%+v, expected unchanged", cluster)
	}
	w.mage(t, "teardown")
	if left := w.docker(t, "ps", "--all", "--quiet", "--filter", "label=io.x-k8s.kind.cluster="+w.name); left != "" {
		t.Errorf("teardown has left %s", left)
	}
}
