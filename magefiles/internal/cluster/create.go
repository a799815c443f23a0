package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sigs.k8s.io/kind/pkg/cluster"
)

// create makes the cluster with kind. kind's call cannot be interrupted: when ctx ends, it is left to itself, and the next run finds
// and remakes what it leaves.
func (m *making) create(ctx context.Context, report func(string)) error {
	n, err := m.nodes()
	if err != nil {
		return err
	}
	info, err := m.Info(ctx)
	if err != nil {
		return err
	}
	if m.options.BeforeCreate != nil {
		if err := m.options.BeforeCreate(ctx, info); err != nil {
			return err
		}
	}
	// The entries of a cluster that is gone would say that the one that is made now, should it stay half made, is somebody else's. What
	// cannot be written is said at the end.
	_, _ = m.kubeconfig.remove(written{})
	_ = m.kubeconfig.setAside(m.options.Name)
	scratch, err := os.MkdirTemp("", "kindgate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	m.owner, m.madeFrom = newMark(m.options.Name), m.options.signature().String()
	config := m.options.forHost(info)
	for i := range config.Nodes {
		config.Nodes[i].ExtraMounts = append(config.Nodes[i].ExtraMounts, m.owner.mount())
	}
	creation, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	created, nodesRun := make(chan error, 1), make(chan struct{})
	go func() {
		err := n.kind(afterNodes(report, sync.OnceFunc(func() { close(nodesRun) }))).Create(m.options.Name,
			cluster.CreateWithV1Alpha4Config(config),
			cluster.CreateWithNodeImage(m.options.NodeImage),
			cluster.CreateWithKubeconfigPath(filepath.Join(scratch, "kubeconfig")),
			cluster.CreateWithRetain(true), // what a failure leaves is removed below, with more care
		)
		if err != nil {
			stop(err)
		}
		created <- err
	}()
	if err := m.followCreation(creation, n, nodesRun); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failure := <-created; failure != nil {
			err = m.explainCreate(ctx, n, failure) // kind has more to say than those who were waiting for it
		}
		return errors.Join(err, m.deleteFailed(ctx, n))
	}
	select {
	case err := <-created:
		if err != nil {
			return errors.Join(m.explainCreate(ctx, n, err), m.deleteFailed(ctx, n))
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := n.writeMadeFrom(ctx, m.madeFrom); err != nil {
		return err
	}
	return m.complete(ctx, n, report)
}

// deleteFailed removes what a failed creation has left, but not what has made it fail: nodes of the same name that are somebody else's.
func (m *making) deleteFailed(ctx context.Context, n nodes) error {
	_, owner, err := n.owned(ctx)
	if err != nil || owner != m.owner {
		return err
	}
	return n.delete(ctx, owner)
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
func (m *making) followCreation(ctx context.Context, n nodes, nodesRun chan struct{}) error {
	select {
	case <-nodesRun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	close(m.node)
	if _, err := n.exec(ctx, n.controlPlane(), `until [ -s /etc/kubernetes/admin.conf ]; do sleep 0.1; done`); err != nil {
		return err
	}
	client, err := m.nodeClient(n)
	if err != nil {
		return err
	}
	if _, err := m.waitAPI(ctx, n, client); err != nil {
		return err
	}
	m.rest = m.connect(client)
	close(m.api)
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
func (m *making) explainCreate(ctx context.Context, n nodes, err error) error {
	message := err.Error()
	switch {
	case strings.Contains(message, "failed to pull image"), strings.Contains(message, "pull access denied"):
		image := m.options.NodeImage
		if image == "" {
			image = "kind's default node image"
		}
		out, _ := n.run(ctx, "images", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node") // only to help
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
