// Package cluster brings up one kind cluster: it tells what is there, makes it, starts it again, remakes it when its making was
// interrupted, and deletes it. A cluster without kindgate's mark is only looked at. A complete cluster is deleted by Delete alone.
package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
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
	// Ready: the API server answers, and the cluster's creation was completed. Other nodes than the one that answers may be down.
	Ready State = "ready"
	// Foreign: there are nodes, and nothing says that kindgate made them.
	Foreign State = "not made by kindgate"
)

// An Observation is what a look at the cluster found, without changing anything.
type Observation struct {
	State State
	// Node is the first control plane's, nil unless Ready, and Others are the other nodes that kind has made.
	Node   *corev1.Node
	Others []corev1.Node
	// Down are the nodes that do not run, beside others: of a cluster with one node, the state says it.
	Down []Down
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
	*look
	making *making
	start  sync.Once
}

// New touches nothing; the engine and the API server are asked when they are first needed.
func New(options Options) *Cluster {
	l := &look{
		options:    options,
		kubeconfig: newKubeconfig(options.Kubeconfig, options.Name),
		nodes: sync.OnceValues(func() (nodes, error) {
			e, err := findEngine(options.Provider)
			return nodes{e, options.Name}, err
		}),
	}
	return &Cluster{look: l,
		making: &making{look: l, node: make(chan struct{}), api: make(chan struct{}), done: make(chan struct{}), failed: make(chan struct{})}}
}

func (o Options) signature() signature { return signature{o.NodeImage, o.Config} }

// forHost is the configuration with what the host needs.
func (o Options) forHost(info Info) *v1alpha4.Cluster {
	config := o.Config.DeepCopy()
	if controlPlanes(config) > 1 {
		config.KubeadmConfigPatchesJSON6902 = electing(config.KubeadmConfigPatchesJSON6902)
	}
	if len(config.Nodes) > 1 && controlPlanes(config) == len(config.Nodes) {
		config.KubeadmConfigPatches = append(slices.Clone(untainted), config.KubeadmConfigPatches...)
	}
	if info.CgroupVersion == "1" {
		config.KubeadmConfigPatches = append(config.KubeadmConfigPatches, failCgroupV1)
	}
	return config
}

// ForKind returns kind's provider and the configuration as create gives it to kind, for those who want to do the same by kind alone.
func (c *Cluster) ForKind() (*cluster.Provider, *v1alpha4.Cluster, error) {
	n, err := c.nodes()
	if err != nil {
		return nil, nil, err
	}
	info, err := c.Info(context.Background())
	if err != nil {
		return nil, nil, err
	}
	return n.kind(nil), c.options.forHost(info), nil
}

// Logs has kind write the logs of all nodes below dir. Its error is also the end of ctx, after which kind may write on.
func (c *Cluster) Logs(ctx context.Context, dir string) error {
	n, err := c.nodes()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- n.kind(nil).CollectLogs(n.cluster, dir) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Deleted says what Delete has removed, and what it has left.
type Deleted struct {
	Nodes, Context bool
	// Left is the address to which a context of ours leads that stays, as that may be another machine's.
	Left string
}

// Delete removes the cluster's nodes and the user's context, and tells report so. A cluster that kindgate did not make is a ForeignError.
func (c *Cluster) Delete(ctx context.Context, report func(string)) (Deleted, error) {
	n, err := c.nodes()
	if err != nil {
		return Deleted{}, err
	}
	found, owner, err := n.owned(ctx)
	if err != nil {
		return Deleted{}, err
	}
	if len(found) > 0 {
		if err := c.checkOwner(ctx, n, found, owner); err != nil {
			return Deleted{}, err
		}
	}
	written := n.entries(owner)
	if len(found) > 0 {
		report("deleting the nodes")
		if err := n.delete(ctx, owner); err != nil {
			return Deleted{}, err
		}
	}
	deleted := Deleted{Nodes: len(found) > 0}
	deleted.Context, err = c.kubeconfig.remove(written)
	if err != nil {
		return deleted, fmt.Errorf("the context %s stays in the kubeconfig: %w", c.kubeconfig.context, err)
	}
	if client, entry, err := c.kubeconfig.find(); err == nil && client != nil && entry.of(c.options.Name) {
		deleted.Left = client.Host
	}
	return deleted, nil
}
