package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kindgate/magefiles/internal/result"
)

// making is the course of a cluster's creation: other steps begin as soon as the stage they need is reached.
type making struct {
	node, api, done, failed chan struct{}
	err                     error
	kubeconfig              string // the administrator's, as kind gives it
	rest                    *rest.Config
	observation             Observation
	owner                   mark   // of the nodes
	madeFrom                string // what the cluster says that it was made from, or will
	unwritten               bool   // the user's kubeconfig could not be written
	result                  result.Result
	detail                  string
}

// Begin starts to bring the cluster up, once, and tells report what it is doing. The methods Node, API and Done wait for its stages.
func (c *Cluster) Begin(ctx context.Context, report func(string)) {
	c.start.Do(func() {
		go func() {
			if err := c.converge(ctx, report); err != nil {
				c.making.err = err
				close(c.making.failed)
			}
		}()
	})
}

// Attach is Begin for those who only look: a cluster that is not ready is an error, and nothing is done about it.
func (c *Cluster) Attach(ctx context.Context) {
	c.start.Do(func() {
		m := c.making
		m.observation, m.err = c.Observe(ctx)
		switch {
		case m.err != nil:
		case m.observation.State == Foreign:
			m.err = m.observation.Foreign
		case m.observation.State != Ready:
			m.err = fmt.Errorf("cluster %s is %s: run up first", c.options.Name, m.observation.State)
		}
		if m.err != nil {
			close(m.failed)
			return
		}
		m.rest, m.result = m.observation.REST, result.Unchanged
		close(m.node)
		close(m.api)
		close(m.done)
	})
}

// Node waits until the control plane's container runs.
func (c *Cluster) Node(ctx context.Context) error { return c.making.wait(ctx, c.making.node) }

// Observation returns what there was when Begin looked, or when the nodes had been started again. Node must have returned.
func (c *Cluster) Observation() Observation { return c.making.observation }

// Earlier tells whether an earlier release of kindgate made the cluster, which left no marks. Node must have returned.
func (c *Cluster) Earlier() bool { return c.making.owner == "" }

// API waits until the API server answers, and returns the way to it.
func (c *Cluster) API(ctx context.Context) (*rest.Config, error) {
	if err := c.making.wait(ctx, c.making.api); err != nil {
		return nil, err
	}
	return c.making.rest, nil
}

// Services waits until pods can reach Services, for which kube-proxy must run. A pod that asks before, as for the API server, asks the
// network outside, and may wait 30 s for an answer. In a cluster that was there before, there is nothing to wait for, nor to report.
func (c *Cluster) Services(ctx context.Context, report func(string)) error {
	cfg, err := c.API(ctx)
	if err != nil || c.making.result == result.Unchanged || c.options.Config.Networking.KubeProxyMode == "none" {
		return err
	}
	report("waiting for kube-proxy")
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-c.making.failed:
			stop(c.making.err)
		case <-ctx.Done():
		}
	}()
	err = c.await(ctx, cfg, daemonSetResource, metav1.NamespaceSystem, "kube-proxy", func(set *unstructured.Unstructured) (string, bool) {
		ready, _, _ := unstructured.NestedInt64(set.Object, "status", "numberReady")
		return "kube-proxy", ready > 0
	})
	if err != nil {
		return fmt.Errorf("DaemonSet/%s/kube-proxy: %w", metav1.NamespaceSystem, err)
	}
	return nil
}

// Done waits until the cluster is complete. It returns what was done, a detail for the user, and what is different from how the
// cluster would be made now.
func (c *Cluster) Done(ctx context.Context) (result.Result, string, []string, error) {
	if err := c.making.wait(ctx, c.making.done); err != nil {
		return "", "", nil, err
	}
	return c.making.result, c.making.detail, c.making.observation.Differences, nil
}

// Unwritten tells whether the context could not be written into the user's kubeconfig. Done must have returned.
func (c *Cluster) Unwritten() bool { return c.making.unwritten }

func (m *making) wait(ctx context.Context, stage chan struct{}) error {
	select {
	case <-stage:
		return nil
	default:
	}
	select {
	case <-stage:
		return nil
	case <-m.failed:
		return m.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Cluster) converge(ctx context.Context, report func(string)) error {
	if err := c.awaitRemoval(ctx, report); err != nil {
		return err
	}
	observation, err := c.Observe(ctx)
	if err != nil {
		return err
	}
	m := c.making
	m.result, m.observation, m.owner = result.Unchanged, observation, observation.owner
	switch observation.State {
	case Ready:
		m.rest = observation.REST
		if observation.kubeconfig != "" {
			c.restore(ctx, observation)
		}
		close(m.node)
		close(m.api)
		close(m.done)
		return nil
	case Absent:
		m.result = result.Created
		return c.create(ctx, report)
	case Foreign:
		if !c.mayDelete(observation.Foreign) {
			return observation.Foreign
		}
		return c.remake(ctx, report)
	}
	e, err := c.engine()
	if err != nil {
		return err
	}
	if observation.State == Stopped {
		report("starting the node again")
		m.result, m.detail = result.Repaired, "was stopped, started again"
		left, err := c.startNodes(ctx, e)
		if err != nil {
			return err
		}
		if !left {
			m.result, m.detail = result.Created, ""
			return c.create(ctx, report)
		}
	}
	if whole, err := c.hasControlPlane(ctx, e); err != nil {
		return err
	} else if !whole {
		return c.remake(ctx, report)
	}
	m.madeFrom, err = c.madeFrom(ctx, e, m.owner)
	if err != nil {
		return err
	}
	if m.madeFrom == "" {
		return c.remake(ctx, report)
	}
	if err := c.writeMadeFrom(ctx, e, m.madeFrom); err != nil {
		return err
	}
	if err := c.resume(ctx, e, report); err != nil {
		return err
	}
	return c.complete(ctx, m.rest)
}

// hasControlPlane tells whether the container with the cluster's data is there. It returns false where only workers are left; one that has
// another name now is an error, and stays.
func (c *Cluster) hasControlPlane(ctx context.Context, e engine) (bool, error) {
	nodes, err := e.nodes(ctx, c.options.Name)
	if err != nil {
		return false, err
	}
	var others []string
	for _, node := range nodes {
		if node.Name == c.NodeName() {
			return true, nil
		}
		if !node.loadBalancer && !strings.HasPrefix(node.Name, c.options.Name+"-worker") {
			others = append(others, node.Name)
		}
	}
	if len(others) > 0 {
		return false, fmt.Errorf("container %s is not there, but %s: if it was renamed, give it its name back; else teardown and up make a new cluster",
			c.NodeName(), strings.Join(others, ", "))
	}
	return false, nil
}

// restore puts back the records of a cluster that is ready: the user's context, and the file that says that it is complete. One that cannot
// be written is no reason to stop: the Node says it too.
func (c *Cluster) restore(ctx context.Context, observation Observation) {
	c.putBack(observation.kubeconfig)
	if observation.owner == "" {
		return // an earlier release left no mark, and no folder for the file
	}
	e, err := c.engine()
	if err == nil {
		err = c.writeMadeFrom(ctx, e, observation.Node.Annotations[madeFromAnnotation])
	}
	if err != nil {
		c.making.detail = strings.Trim(c.making.detail+"; "+err.Error(), "; ")
	}
}

// remake deletes a half-made cluster and makes it anew.
func (c *Cluster) remake(ctx context.Context, report func(string)) error {
	e, err := c.engine()
	if err != nil {
		return err
	}
	report("removing a cluster whose creation was interrupted")
	if err := c.deleteNodes(ctx, e, c.making.owner); err != nil {
		return fmt.Errorf("delete the half-made cluster: %w", err)
	}
	c.making.result, c.making.detail = result.Repaired, "its creation had been interrupted: made anew"
	return c.create(ctx, report)
}

// putBack writes the context of a cluster that is ready into the user's kubeconfig.
func (c *Cluster) putBack(raw string) {
	changed, err := c.putContext(raw)
	switch m := c.making; {
	case err != nil:
		m.detail = err.Error()
	case changed:
		m.result, m.detail = result.Repaired, fmt.Sprintf("its context was not in %s: put back", c.kubeconfig.path)
	}
}

// awaitRemoval waits for nodes that are being removed, perhaps by a run that was ended a moment ago.
func (c *Cluster) awaitRemoval(ctx context.Context, report func(string)) error {
	if client, _, err := c.kubeconfig.find(); err != nil || client != nil {
		return err // it was completed before: Observe asks the API server first
	}
	e, err := c.engine()
	if err != nil {
		return err
	}
	return poll(ctx, fmt.Sprintf("the old nodes of cluster %s to be removed", c.options.Name), func() (bool, error) {
		nodes, err := e.nodes(ctx, c.options.Name)
		removing := slices.ContainsFunc(nodes, func(node container) bool { return node.State == "removing" })
		if removing {
			report("waiting for the old nodes to be removed")
		}
		return !removing, err
	})
}

// complete does what is left when the API server answers: the user's context, the annotations that say so, and a node that is Ready.
func (c *Cluster) complete(ctx context.Context, client *rest.Config) error {
	m := c.making
	changed, err := c.putContext(m.kubeconfig)
	said := ""
	switch {
	case err != nil:
		said = err.Error()
	case changed:
		said = fmt.Sprintf("context %s in %s", c.kubeconfig.context, c.kubeconfig.path)
	}
	m.detail = strings.Trim(m.detail+"; "+said, "; ")
	clientset, err := kubernetes.NewForConfig(client)
	if err != nil {
		return err
	}
	if !madeBy(m.owner, m.observation.Node) {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
			ownerAnnotation: string(m.owner), madeFromAnnotation: m.madeFrom,
		}}})
		if err != nil {
			return err
		}
		if _, err := clientset.CoreV1().Nodes().Patch(ctx, c.NodeName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("Node/%s: %w", c.NodeName(), err)
		}
	}
	if err := c.awaitReady(ctx, client); err != nil {
		return err
	}
	close(m.done)
	return nil
}

// putContext writes the user's kubeconfig. A file that may not be written is no reason to stop: the run itself does not need it.
func (c *Cluster) putContext(raw string) (changed bool, err error) {
	entries, err := clientcmd.Load([]byte(raw))
	if err != nil {
		return false, err
	}
	changed, err = c.kubeconfig.put(written{owner: c.making.owner, entries: entries})
	if err != nil {
		c.making.unwritten = true
		return false, fmt.Errorf("the context %s was not written (%w)", c.kubeconfig.context, err)
	}
	return changed, nil
}
