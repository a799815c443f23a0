package cluster

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A Down is a node that does not run, or the load balancer before several control planes. The API server takes up to 50 s to see that a node
// is gone: the engine knows at once.
type Down struct {
	Node string
	// State is that of its container, stopped, paused or removing; Gone where it has none.
	State string
}

// Gone is the state of a node whose container was removed. kind cannot make it anew.
const Gone = "gone"

// Downs says which nodes do not run; empty where all do.
func Downs(down []Down) string {
	var words []string
	for _, d := range down {
		words = append(words, d.Node+" is "+d.State)
	}
	return strings.Join(words, ", ")
}

// Down asks the engine which nodes of the cluster do not run. Of one that is gone, it knows nothing.
func (l *look) Down(ctx context.Context) ([]Down, error) {
	n, err := l.nodes()
	if err != nil {
		return nil, err
	}
	found, err := n.list(ctx)
	return notRunning(found), err
}

// downBeside returns the nodes that do not run of a cluster whose API server answers, with the others that it knows. A node that is alone
// has answered itself. Where the engine cannot be asked, nothing is known: the API server says in time which nodes are not Ready.
func (l *look) downBeside(ctx context.Context, others []corev1.Node) []Down {
	n, err := l.nodes()
	if len(others) == 0 || err != nil {
		return nil
	}
	found, err := n.list(ctx)
	if err != nil {
		return nil
	}
	return append(notRunning(found), without(others, found)...)
}

func notRunning(found []container) []Down {
	var down []Down
	for _, node := range found {
		if node.State != "running" {
			down = append(down, Down{node.Name, node.State})
		}
	}
	return down
}

// without returns the nodes that have no container any more.
func without(nodes []corev1.Node, found []container) []Down {
	var down []Down
	for _, node := range nodes {
		if !slices.ContainsFunc(found, func(c container) bool { return c.Name == node.Name }) {
			down = append(down, Down{node.Name, Gone})
		}
	}
	return down
}

// ofKind tells whether a Node is one that kind has made for the cluster, by the provider ID that it gives the kubelet: kind://docker/CLUSTER/NODE.
// A simulator's, for one, is not.
func ofKind(cluster string, node *corev1.Node) bool {
	return strings.HasPrefix(node.Spec.ProviderID, "kind://") && strings.HasSuffix(node.Spec.ProviderID, "/"+cluster+"/"+node.Name)
}

// Nodes are all that kind has made; none unless Ready.
func (o Observation) Nodes() []corev1.Node {
	if o.Node == nil {
		return nil
	}
	return append([]corev1.Node{*o.Node}, o.Others...)
}

// NotReady are the nodes that cannot take pods, by what the API server says.
func (o Observation) NotReady() []corev1.Node {
	return slices.DeleteFunc(o.Nodes(), func(node corev1.Node) bool {
		ready := ReadyCondition(&node)
		return ready == nil || ready.Status == corev1.ConditionTrue
	})
}

// StateOf is the state of a node that is down; empty for one that runs.
func (o Observation) StateOf(node string) string {
	for _, d := range o.Down {
		if d.Node == node {
			return d.State
		}
	}
	return ""
}

// String says the state, and which nodes are down.
func (o Observation) String() string {
	switch {
	case len(o.Down) == 0:
		return string(o.State)
	case o.State == Ready:
		return string(o.State) + ", but " + Downs(o.Down)
	}
	return string(o.State) + ": " + Downs(o.Down)
}
