// Package cluster brings up one kind cluster: it tells what is there, makes it, starts it again, remakes it when its making was
// interrupted, and deletes it. A cluster without kindgate's mark is only looked at. A complete cluster is deleted by Delete alone.
package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"

	"kindgate/magefiles/internal/machine"
)

// Options says which cluster is meant, and how it is made.
type Options struct {
	// Name is the kind cluster's name.
	Name string
	// Config is kind's configuration, as ParseConfig returns it. It may be nil where no cluster is made.
	Config *v1alpha4.Cluster
	// NodeImage overrides the nodes' image; empty for kind's default.
	NodeImage string
	// Kubeconfig is the file that gets the cluster's context; empty for the one kubectl uses.
	Kubeconfig string
	// Provider is docker, podman or nerdctl; empty for the first that is installed.
	Provider string
	// BeforeCreate is called before a cluster is made in an engine; its error keeps it from being made.
	BeforeCreate func(context.Context, Info) error
	// Connect is applied to the configuration of every client that is made.
	Connect func(*rest.Config) *rest.Config
	// Adopt allows to delete a cluster without a mark that is half made, as an interrupted run of an earlier release may have left it.
	Adopt bool
}

// A State is what there is of a cluster.
type State string

const (
	// Absent: no node of that name.
	Absent State = "absent"
	// Stopped: there are nodes, not all of which are running.
	Stopped State = "stopped"
	// Running: the nodes run, but the API server has not answered, or the cluster is not known to be complete.
	Running State = "running"
	// Ready: the API server answers, and the cluster's creation was completed.
	Ready State = "ready"
	// Foreign: there are nodes, and nothing says that kindgate made them.
	Foreign State = "not made by kindgate"
)

// An Observation is what a look at the cluster found, without changing anything.
type Observation struct {
	State State
	// Node is the control plane's node, nil unless Ready.
	Node *corev1.Node
	// REST leads to the API server, nil unless Ready.
	REST *rest.Config
	// Differences says in which settings the cluster is not as it would be made now.
	Differences []string
	// Foreign says what there is, nil unless the state is Foreign.
	Foreign *ForeignError

	owner      mark
	kubeconfig string // the administrator's, where the user's file does not have the cluster as up writes it
}

// A Cluster is one kind cluster and the user's kubeconfig. New makes one.
type Cluster struct {
	options    Options
	kubeconfig kubeconfig
	engine     func() (engine, error)
	making     *making
	start      sync.Once
	asking     sync.Mutex
	info       *Info // what the engine said, nil until it has been asked
}

// New touches nothing; the engine and the API server are asked when they are first needed.
func New(options Options) *Cluster {
	return &Cluster{
		options:    options,
		kubeconfig: newKubeconfig(options.Kubeconfig, options.Name),
		engine:     sync.OnceValues(func() (engine, error) { return findEngine(options.Provider) }),
		making:     &making{node: make(chan struct{}), api: make(chan struct{}), done: make(chan struct{}), failed: make(chan struct{})},
	}
}

// NodeName returns the name of the control plane's node, which is also its container's.
func (c *Cluster) NodeName() string { return c.options.Name + "-control-plane" }

// Info asks the engine about itself. It fails where there is none, or none that answers, and says what to do.
func (c *Cluster) Info(ctx context.Context) (Info, error) {
	e, err := c.engine()
	if err != nil {
		return Info{}, err
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	if c.info == nil {
		info, err := e.info(ctx)
		if err != nil {
			return Info{}, err
		}
		c.info = &info
	}
	return *c.info, nil
}

// Published returns the ports of this machine that the control plane's container publishes.
func (c *Cluster) Published(ctx context.Context) (map[int]bool, error) {
	e, err := c.engine()
	if err != nil {
		return nil, err
	}
	return e.published(ctx, c.NodeName())
}

// PortHolder names who listens on a port of this machine, the container that publishes it or else the process; false for a free port.
func (c *Cluster) PortHolder(ctx context.Context, port int) (string, bool) {
	holder, taken := machine.PortHolder(ctx, port)
	if !taken {
		return "", false
	}
	if e, err := c.engine(); err == nil {
		if out, _ := e.run(ctx, "ps", "--filter", fmt.Sprintf("publish=%d", port), "--format", "{{.Names}}"); strings.TrimSpace(out) != "" {
			return "container " + strings.TrimSpace(out), true
		}
	}
	return holder.String(), true
}

// Observe looks at the cluster. When all is well that is one request to the API server; else the engine is asked. An unreadable
// kubeconfig is an error.
func (c *Cluster) Observe(ctx context.Context) (Observation, error) {
	client, entry, err := c.kubeconfig.find()
	if err != nil {
		return Observation{}, err
	}
	if client != nil {
		if node := c.ask(ctx, client); madeBy(entry, node) {
			return c.ready(node, client), nil
		}
	}
	e, err := c.engine()
	if err != nil {
		return Observation{}, err
	}
	nodes, owner, err := c.ownedNodes(ctx, e)
	switch {
	case err != nil:
		return Observation{}, err
	case len(nodes) == 0:
		return Observation{State: Absent}, nil
	case owner == "":
		return c.foreign(ctx, e, nodes)
	}
	if another := c.another(e, nodes, owner, entry); another != nil {
		return Observation{State: Foreign, Foreign: another}, nil
	}
	if anyNot(nodes, "running") {
		return Observation{State: Stopped, owner: owner}, nil
	}
	if raw, client, node := c.askNode(ctx, e); madeBy(owner, node) {
		observation := c.ready(node, client)
		observation.kubeconfig = raw
		return observation, nil
	}
	return Observation{State: Running, owner: owner}, nil
}

func anyNot(nodes []container, state string) bool {
	for _, node := range nodes {
		if node.State != state {
			return true
		}
	}
	return false
}

func (c *Cluster) ready(node *corev1.Node, client *rest.Config) Observation {
	observation := Observation{State: Ready, Node: node, REST: c.connect(client), owner: mark(node.Annotations[ownerAnnotation])}
	if c.options.Config != nil {
		observation.Differences = c.signature().differences(node.Annotations[madeFromAnnotation])
	}
	return observation
}

func (c *Cluster) connect(client *rest.Config) *rest.Config {
	if c.options.Connect == nil {
		return client
	}
	return c.options.Connect(client)
}

func (c *Cluster) signature() signature { return signature{c.options.NodeImage, c.options.Config} }

func (c *Cluster) getNode(ctx context.Context, client *rest.Config) (*corev1.Node, error) {
	clientset, err := kubernetes.NewForConfig(client)
	if err != nil {
		return nil, err
	}
	return clientset.CoreV1().Nodes().Get(ctx, c.NodeName(), metav1.GetOptions{})
}

// EngineName is the command of the container engine, docker where there is none.
func (c *Cluster) EngineName() string {
	if e, err := c.engine(); err == nil {
		return string(e)
	}
	return "docker"
}

// Deleted says what Delete has removed, and what it has left.
type Deleted struct {
	Nodes, Context bool
	// Left is the address to which a context of ours leads that stays, as that may be another machine's.
	Left string
}

// Delete removes the cluster's nodes and the user's context, and tells report so. A cluster that kindgate did not make is a ForeignError.
func (c *Cluster) Delete(ctx context.Context, report func(string)) (Deleted, error) {
	e, err := c.engine()
	if err != nil {
		return Deleted{}, err
	}
	nodes, owner, err := c.ownedNodes(ctx, e)
	if err != nil {
		return Deleted{}, err
	}
	if len(nodes) > 0 {
		if err := c.checkOwner(ctx, e, nodes, owner); err != nil {
			return Deleted{}, err
		}
	}
	written := c.writtenFor(e, owner)
	if len(nodes) > 0 {
		report("deleting the nodes")
		if err := c.deleteNodes(ctx, e, owner); err != nil {
			return Deleted{}, err
		}
	}
	deleted := Deleted{Nodes: len(nodes) > 0}
	deleted.Context, err = c.kubeconfig.remove(written)
	if err != nil {
		return deleted, fmt.Errorf("the context %s stays in the kubeconfig: %w", c.kubeconfig.context, err)
	}
	if client, entry, err := c.kubeconfig.find(); err == nil && client != nil && entry.of(c.options.Name) {
		deleted.Left = client.Host
	}
	return deleted, nil
}

// checkOwner returns a ForeignError for nodes that are not this user's to delete.
func (c *Cluster) checkOwner(ctx context.Context, e engine, nodes []container, owner mark) error {
	if owner != "" {
		_, entry, err := c.kubeconfig.find()
		if another := c.another(e, nodes, owner, entry); err == nil && another != nil {
			return another
		}
		return nil // an unreadable kubeconfig knows of no other
	}
	observation, err := c.foreign(ctx, e, nodes)
	if err != nil {
		return err
	}
	if observation.State == Foreign && !c.mayDelete(observation.Foreign) {
		return observation.Foreign
	}
	return nil
}

// mayDelete tells whether a cluster without a mark may be deleted.
func (c *Cluster) mayDelete(foreign *ForeignError) bool { return c.options.Adopt && foreign.HalfMade }

// writtenFor returns what is known of the entries that up wrote into the kubeconfig for the cluster.
func (c *Cluster) writtenFor(e engine, owner mark) written {
	w := written{owner: owner}
	if raw, err := c.kindProvider(e, nil).KubeConfig(c.options.Name, false); err == nil {
		w.entries, _ = clientcmd.Load([]byte(raw)) // a node that does not run has none: the mark tells then
	}
	return w
}

// deleteNodes has kind delete the nodes if all of them still have the given mark, with a kubeconfig of its own to clean up: the user's is
// ours to edit. kind's call cannot be interrupted: when ctx ends, it is left to itself.
func (c *Cluster) deleteNodes(ctx context.Context, e engine, owner mark) error {
	nodes, now, err := c.ownedNodes(ctx, e)
	if err != nil || len(nodes) == 0 {
		return err
	}
	if now != owner {
		return fmt.Errorf("cluster %s was replaced by another meanwhile, which is left as it is", c.options.Name)
	}
	scratch, err := os.MkdirTemp("", "kindgate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	for _, node := range nodes {
		_, _ = e.exec(ctx, node.Name, quiesce) // a node that does not run has nothing to calm
		if e == "podman" {
			_, _ = e.run(ctx, "kill", node.Name) // its rm would first ask the node to stop, for 10 s; docker's kills
		}
	}
	deleted := make(chan error, 1)
	go func() { deleted <- c.kindProvider(e, nil).Delete(c.options.Name, filepath.Join(scratch, "kubeconfig")) }()
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

func (c *Cluster) kindProvider(e engine, report func(string)) *cluster.Provider {
	return cluster.NewProvider(e.provider(), cluster.ProviderWithLogger(phases{report}))
}
