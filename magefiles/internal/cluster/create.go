package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"
)

// ForKind returns kind's provider and the configuration as create gives it to kind, for those who want to do the same by kind alone.
func (c *Cluster) ForKind() (*cluster.Provider, *v1alpha4.Cluster, error) {
	e, err := c.engine()
	if err != nil {
		return nil, nil, err
	}
	info, err := c.Info(context.Background())
	if err != nil {
		return nil, nil, err
	}
	return c.kindProvider(e, nil), c.config(info), nil
}

// config is the configuration with what the host needs.
func (c *Cluster) config(info Info) *v1alpha4.Cluster {
	config := c.options.Config.DeepCopy()
	if info.CgroupVersion == "1" {
		config.KubeadmConfigPatches = append(config.KubeadmConfigPatches, failCgroupV1)
	}
	return config
}

// create makes the cluster with kind. kind's call cannot be interrupted: when ctx ends, it is left to itself, and the next run finds
// and remakes what it leaves.
func (c *Cluster) create(ctx context.Context, report func(string)) error {
	e, err := c.engine()
	if err != nil {
		return err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if c.options.BeforeCreate != nil {
		if err := c.options.BeforeCreate(ctx, info); err != nil {
			return err
		}
	}
	// The entries of a cluster that is gone would say that the one that is made now, should it stay half made, is somebody else's. What
	// cannot be written is said at the end.
	_, _ = c.kubeconfig.remove(written{})
	_ = c.kubeconfig.setAside(c.options.Name)
	scratch, err := os.MkdirTemp("", "kindgate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	c.making.owner, c.making.madeFrom = newMark(c.options.Name), c.signature().String()
	config := c.config(info)
	for i := range config.Nodes {
		config.Nodes[i].ExtraMounts = append(config.Nodes[i].ExtraMounts, c.making.owner.mount())
	}
	creation, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	created, nodesRun := make(chan error, 1), make(chan struct{})
	go func() {
		err := c.kindProvider(e, afterNodes(report, sync.OnceFunc(func() { close(nodesRun) }))).Create(c.options.Name,
			cluster.CreateWithV1Alpha4Config(config),
			cluster.CreateWithNodeImage(c.options.NodeImage),
			cluster.CreateWithKubeconfigPath(filepath.Join(scratch, "kubeconfig")),
			cluster.CreateWithRetain(true), // what a failure leaves is removed below, with more care
		)
		if err != nil {
			stop(err)
		}
		created <- err
	}()
	if err := c.followCreation(creation, e, nodesRun); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failure := <-created; failure != nil {
			err = c.explainCreate(ctx, e, failure) // kind has more to say than those who were waiting for it
		}
		return errors.Join(err, c.deleteFailed(ctx, e))
	}
	select {
	case err := <-created:
		if err != nil {
			return errors.Join(c.explainCreate(ctx, e, err), c.deleteFailed(ctx, e))
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := c.writeMadeFrom(ctx, e, c.making.madeFrom); err != nil {
		return err
	}
	return c.complete(ctx, c.making.rest)
}

// deleteFailed removes what a failed creation has left, but not what has made it fail: nodes of the same name that are somebody else's.
func (c *Cluster) deleteFailed(ctx context.Context, e engine) error {
	_, owner, err := c.ownedNodes(ctx, e)
	if err != nil || owner != c.making.owner {
		return err
	}
	return c.deleteNodes(ctx, e, owner)
}

// afterNodes is report, which also calls run when kind announces the phase that follows the one in which it makes the nodes.
func afterNodes(report func(string), run func()) func(string) {
	making := false
	return func(phase string) {
		report(phase)
		switch {
		case strings.HasPrefix(phase, "preparing nodes"):
			making = true
		case making:
			run()
		}
	}
}

// followCreation announces the stages that kind's one call goes through.
func (c *Cluster) followCreation(ctx context.Context, e engine, nodesRun chan struct{}) error {
	select {
	case <-nodesRun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	close(c.making.node)
	if _, err := e.exec(ctx, c.NodeName(), `until [ -s /etc/kubernetes/admin.conf ]; do sleep 0.1; done`); err != nil {
		return err
	}
	client, err := c.nodeClient(e)
	if err != nil {
		return err
	}
	if _, err := c.waitAPI(ctx, e, client); err != nil {
		return err
	}
	c.making.rest = c.connect(client)
	close(c.making.api)
	return nil
}

// A NodeImageError is about a node image that is not on this machine and cannot be pulled.
type NodeImageError struct {
	Image string
	// Have are kind's node images that the engine has.
	Have []string
	Err  error
}

func (n *NodeImageError) Error() string {
	return fmt.Sprintf("%s is not here and cannot be pulled: %v", n.Image, n.Err)
}

// Unwrap returns the cause.
func (n *NodeImageError) Unwrap() error { return n.Err }

// A PortError is about a port of this machine that the cluster's node cannot have.
type PortError struct{ Err error }

func (p *PortError) Error() string { return fmt.Sprintf("a host port is taken: %v", p.Err) }

// Unwrap returns the cause.
func (p *PortError) Unwrap() error { return p.Err }

// explainCreate says what the user can do about an error of kind's.
func (c *Cluster) explainCreate(ctx context.Context, e engine, err error) error {
	message := err.Error()
	switch {
	case strings.Contains(message, "failed to pull image"), strings.Contains(message, "pull access denied"):
		image := c.options.NodeImage
		if image == "" {
			image = "kind's default node image"
		}
		out, _ := e.run(ctx, "images", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node") // only to help
		return &NodeImageError{Image: image, Have: strings.Fields(out), Err: errors.New(lastLine(err))}
	}
	return explainPort(err)
}

// explainPort tells a port that is taken from other failures.
func explainPort(err error) error {
	if portTaken(err) {
		return &PortError{errors.New(lastLine(err))}
	}
	if output := kindOutput(err); output != "" {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return err
}

// explainStart says who has the port of a node that is there and cannot be started.
func (c *Cluster) explainStart(ctx context.Context, err error) error {
	port := hostPort.FindStringSubmatch(err.Error())
	if !portTaken(err) || port == nil {
		return explainPort(err)
	}
	number, _ := strconv.Atoi(port[1])
	holder, taken := c.PortHolder(ctx, number)
	if !taken {
		holder = "another program"
	}
	return fmt.Errorf("port %d, which the cluster was made with, is taken by %s: end it, and run up again, or teardown and up with another port", number, holder)
}

// hostPort is the first address of an engine's complaint.
var hostPort = regexp.MustCompile(`(?:\d+\.){3}\d+:(\d+)`)

func portTaken(err error) bool {
	message := err.Error()
	return strings.Contains(message, "port is already allocated") || strings.Contains(message, "address already in use") || strings.Contains(message, "ports are not available")
}

func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(kindOutput(err)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return strings.TrimSpace(err.Error())
}
