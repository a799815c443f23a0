package cluster

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/cluster"
)

// nodes are a kind cluster's, as containers of an engine.
type nodes struct {
	engine
	cluster string
}

// controlPlane is the name of the first control plane's node, which is also its container's.
func (n nodes) controlPlane() string { return n.cluster + "-control-plane" }

// container is a node as the engine sees it.
type container struct {
	Name, State string
	// loadBalancer: it is the one that kind puts before several control planes, which has no mark.
	loadBalancer bool
	mark         mark // empty until it is read, see owned
}

// list returns the containers, running or not, control planes first.
func (n nodes) list(ctx context.Context) ([]container, error) {
	out, err := n.run(ctx, "ps", "--all", "--filter", "label=io.x-k8s.kind.cluster="+n.cluster, "--format", "{{.Names}}\t{{.Status}}")
	if err != nil {
		return nil, err
	}
	var found []container
	for line := range strings.Lines(out) {
		name, status, _ := strings.Cut(strings.TrimSpace(line), "\t")
		node := container{Name: name, State: "stopped", loadBalancer: name == n.cluster+"-external-load-balancer"}
		switch {
		case strings.HasPrefix(status, "Removal"), strings.HasPrefix(status, "Dead"):
			node.State = "removing"
		case strings.Contains(status, "Paused"), strings.Contains(status, "paused"):
			node.State = "paused"
		case strings.HasPrefix(status, "Up"):
			node.State = "running"
		}
		if strings.Contains(name, "-control-plane") {
			found = append([]container{node}, found...)
		} else {
			found = append(found, node)
		}
	}
	return found, nil
}

// names are those of the containers that are nodes of Kubernetes'.
func names(containers []container) []string {
	var all []string
	for _, node := range containers {
		if !node.loadBalancer {
			all = append(all, node.Name)
		}
	}
	return all
}

// owned returns the containers of the cluster's nodes, and the mark that all of them have: none where one of them has none, or
// another.
func (n nodes) owned(ctx context.Context) (found []container, owner mark, err error) {
	err = poll(ctx, fmt.Sprintf("the nodes of cluster %s to be listed", n.cluster), func() (bool, error) {
		if found, err = n.list(ctx); err != nil || len(found) == 0 {
			return true, err
		}
		owner, err = n.readMarks(ctx, n.cluster, found)
		if isGone(err) { // between the two questions
			return false, nil
		}
		return true, err
	})
	return found, owner, err
}

// madeFromFile is written into the control plane's container when the cluster is complete, and has what it was made from.
func (n nodes) madeFromFile() string { return path.Join(marksFolder, n.cluster, "made-from") }

// writeMadeFrom leaves the first record of a complete cluster: from here on it is never remade.
func (n nodes) writeMadeFrom(ctx context.Context, signature string) error {
	script := fmt.Sprintf("cat >%[1]s.new && mv %[1]s.new %[1]s", n.madeFromFile())
	err := n.stream(ctx, strings.NewReader(signature), nil, "exec", "-i", n.controlPlane(), "sh", "-c", script)
	if err != nil {
		return fmt.Errorf("mark node %s as complete: %w", n.controlPlane(), err)
	}
	return nil
}

// hasControlPlane tells whether the container with the cluster's data is there. It returns false where only workers are left; one that has
// another name now is an error, and stays.
func (n nodes) hasControlPlane(ctx context.Context) (bool, error) {
	found, err := n.list(ctx)
	if err != nil {
		return false, err
	}
	var others []string
	for _, node := range found {
		if node.Name == n.controlPlane() {
			return true, nil
		}
		if !node.loadBalancer && !strings.HasPrefix(node.Name, n.cluster+"-worker") {
			others = append(others, node.Name)
		}
	}
	if len(others) > 0 {
		return false, fmt.Errorf("container %s is not there, but %s: if it was renamed, give it its name back; else teardown and up make a new cluster",
			n.controlPlane(), strings.Join(others, ", "))
	}
	return false, nil
}

// awaitRemoval waits for nodes that are being removed. left is false where no node is left.
func (n nodes) awaitRemoval(ctx context.Context, report func(string)) (left bool, err error) {
	err = poll(ctx, fmt.Sprintf("the old nodes of cluster %s to be removed", n.cluster), func() (bool, error) {
		found, err := n.list(ctx)
		left = len(found) > 0
		removing := slices.ContainsFunc(found, func(node container) bool { return node.State == "removing" })
		if removing {
			report("waiting for the old nodes to be removed")
		}
		return !removing, err
	})
	return left, err
}

// start starts what does not run, and returns the names of what it has started. left is false where no node is left: an engine lists a
// container while it makes it, but cannot start it yet, and takes it back when the run that wanted it was killed.
func (n nodes) start(ctx context.Context) (started []string, left bool, err error) {
	err = poll(ctx, fmt.Sprintf("the nodes of cluster %s to be there as a whole", n.cluster), func() (bool, error) {
		found, err := n.list(ctx)
		left = len(found) > 0
		if err != nil {
			return false, err
		}
		for _, node := range found {
			verb := map[string]string{"paused": "unpause", "stopped": "start"}[node.State]
			if verb == "" {
				continue
			}
			_, err := n.run(ctx, verb, node.Name)
			if isGone(err) {
				return false, nil
			}
			if err != nil {
				return false, n.explainStart(ctx, err)
			}
			started = append(started, node.Name)
		}
		return true, nil
	})
	return started, left, err
}

// explainStart says who has the port of a node that is there and cannot be started.
func (n nodes) explainStart(ctx context.Context, err error) error {
	port := hostPort.FindStringSubmatch(err.Error())
	if !portTaken(err) || port == nil {
		return explainPort(err)
	}
	number, _ := strconv.Atoi(port[1])
	holder, taken := n.portHolder(ctx, number)
	if !taken {
		holder = "another program"
	}
	return fmt.Errorf("port %d, which the cluster was made with, is taken by %s: end it, and run up again, or teardown and up with another port", number, holder)
}

// hostPort is the first address of an engine's complaint.
var hostPort = regexp.MustCompile(`(?:\d+\.){3}\d+:(\d+)`)

// delete has kind delete the nodes if all of them still have the given mark, with a kubeconfig of its own to clean up: the user's is
// ours to edit. kind's call cannot be interrupted: when ctx ends, it is left to itself.
func (n nodes) delete(ctx context.Context, owner mark) error {
	found, now, err := n.owned(ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	if now != owner {
		return fmt.Errorf("cluster %s was replaced by another meanwhile, which is left as it is", n.cluster)
	}
	scratch, err := os.MkdirTemp("", "kindgate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var calming sync.WaitGroup
	for _, node := range found {
		calming.Go(func() {
			_, _ = n.exec(ctx, node.Name, quiesce) // a node that does not run has nothing to calm
			if n.engine == "podman" {
				_, _ = n.run(ctx, "kill", node.Name) // its rm would first ask the node to stop, for 10 s; docker's kills
			}
		})
	}
	calming.Wait()
	deleted := make(chan error, 1)
	go func() { deleted <- n.kind(nil).Delete(n.cluster, filepath.Join(scratch, "kubeconfig")) }()
	select {
	case err = <-deleted:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w while the nodes are being deleted", context.Cause(ctx))
	}
	return err
}

// quiesce keeps a node from starting containers, and waits for those that are being started. With cgroup v1, runc freezes a container
// for a moment while it starts it; a node that is killed in that moment has processes that cannot die, and can never be removed.
const quiesce = `systemctl stop kubelet 2>/dev/null
n=0; while pgrep -x runc >/dev/null && [ $n -lt 40 ]; do n=$((n+1)); sleep 0.05; done
for f in $(find /sys/fs/cgroup/freezer -name freezer.state 2>/dev/null); do [ "$(cat $f)" = THAWED ] || echo THAWED >$f; done`

// kind is kind's library for the engine, whose phases are told report.
func (n nodes) kind(report func(string)) *cluster.Provider {
	return cluster.NewProvider(n.provider(), cluster.ProviderWithLogger(phases{report}))
}

// administrator returns a kubeconfig with the credentials that the control plane's container has.
func (n nodes) administrator() (string, error) { return n.kind(nil).KubeConfig(n.cluster, false) }

// entries returns what is known of the entries that up wrote into the kubeconfig for the cluster.
func (n nodes) entries(owner mark) written {
	w := written{owner: owner}
	if raw, err := n.administrator(); err == nil {
		w.entries, _ = clientcmd.Load([]byte(raw)) // a node that does not run has none: the mark tells then
	}
	return w
}
