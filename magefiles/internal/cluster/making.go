package cluster

import (
	"context"
	"encoding/json"
	"fmt"
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
	*look
	node, api, done, failed chan struct{}
	err                     error
	administrator           string // the kubeconfig of the cluster, as kind gives it
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
			if err := c.making.converge(ctx, report); err != nil {
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
			m.err = fmt.Errorf("cluster %s is %s: run up first", c.options.Name, m.observation)
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

// Node waits until the nodes' containers run.
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
	err = await(ctx, cfg, daemonSetResource, metav1.NamespaceSystem, []string{"kube-proxy"}, func(set *unstructured.Unstructured) (string, bool) {
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

func (m *making) converge(ctx context.Context, report func(string)) error {
	if err := m.awaitRemoval(ctx, report); err != nil {
		return err
	}
	observation, err := m.Observe(ctx)
	if err != nil {
		return err
	}
	m.result, m.observation, m.owner = result.Unchanged, observation, observation.owner
	switch observation.State {
	case Ready:
		if len(observation.Down) > 0 || len(observation.NotReady()) > 0 {
			break
		}
		m.rest = observation.REST
		if observation.kubeconfig != "" {
			m.restore(ctx, observation)
		}
		close(m.node)
		close(m.api)
		close(m.done)
		return nil
	case Absent:
		m.result = result.Created
		return m.create(ctx, report)
	case Foreign:
		if !m.mayDelete(observation.Foreign) {
			return observation.Foreign
		}
		return m.remake(ctx, report)
	}
	n, err := m.nodes()
	if err != nil {
		return err
	}
	var started []string
	if observation.State == Stopped || len(observation.Down) > 0 {
		report("starting what does not run")
		left := false
		if started, left, err = n.start(ctx); err != nil {
			return err
		}
		if !left {
			m.result = result.Created
			return m.create(ctx, report)
		}
		if len(started) > 0 {
			m.result, m.detail = result.Repaired, strings.Join(started, ", ")+" did not run: started again"
		}
	}
	if whole, err := n.hasControlPlane(ctx); err != nil {
		return err
	} else if !whole {
		return m.remake(ctx, report)
	}
	m.madeFrom, err = m.madeOf(ctx, n, m.owner)
	if err != nil {
		return err
	}
	if m.madeFrom == "" {
		return m.remake(ctx, report)
	}
	if m.owner != "" { // an earlier release left no mark, and no folder for the file
		if err := n.writeMadeFrom(ctx, m.madeFrom); err != nil {
			return err
		}
	}
	if err := m.resume(ctx, n, started, report); err != nil {
		return err
	}
	return m.complete(ctx, n, report)
}

// restore puts back the records of a cluster that is ready: the user's context, and the file that says that it is complete. One that cannot
// be written is no reason to stop: the Node says it too.
func (m *making) restore(ctx context.Context, observation Observation) {
	m.putBack(observation.kubeconfig)
	if observation.owner == "" {
		return // an earlier release left no mark, and no folder for the file
	}
	n, err := m.nodes()
	if err == nil {
		err = n.writeMadeFrom(ctx, observation.Node.Annotations[madeFromAnnotation])
	}
	if err != nil {
		m.detail = strings.Trim(m.detail+"; "+err.Error(), "; ")
	}
}

// remake deletes a half-made cluster and makes it anew.
func (m *making) remake(ctx context.Context, report func(string)) error {
	n, err := m.nodes()
	if err != nil {
		return err
	}
	if left, err := n.awaitRemoval(ctx, report); err != nil {
		return err
	} else if !left { // somebody else has removed it since it was looked at
		m.result = result.Created
		return m.create(ctx, report)
	}
	report("removing a cluster whose creation was interrupted")
	if err := n.delete(ctx, m.owner); err != nil {
		return fmt.Errorf("delete the half-made cluster: %w", err)
	}
	m.result, m.detail = result.Repaired, "its creation had been interrupted: made anew"
	return m.create(ctx, report)
}

// putBack writes the context of a cluster that is ready into the user's kubeconfig.
func (m *making) putBack(raw string) {
	said, changed := m.putContext(raw, fmt.Sprintf("its context was not in %s: put back", m.kubeconfig.path))
	m.detail = said
	if changed {
		m.result = result.Repaired
	}
}

// awaitRemoval waits for nodes that are being removed, perhaps by a run that was ended a moment ago.
func (m *making) awaitRemoval(ctx context.Context, report func(string)) error {
	if client, _, err := m.kubeconfig.find(); err != nil || client != nil {
		return err // it was completed before: Observe asks the API server first
	}
	n, err := m.nodes()
	if err != nil {
		return err
	}
	_, err = n.awaitRemoval(ctx, report)
	return err
}

// complete does what is left when the API server answers: the user's context, the annotations that say so, and nodes that are Ready.
func (m *making) complete(ctx context.Context, n nodes, report func(string)) error {
	said, _ := m.putContext(m.administrator, fmt.Sprintf("context %s in %s", m.kubeconfig.context, m.kubeconfig.path))
	m.detail = strings.Trim(m.detail+"; "+said, "; ")
	clientset, err := kubernetes.NewForConfig(m.rest)
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
		if _, err := clientset.CoreV1().Nodes().Patch(ctx, m.nodeName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("Node/%s: %w", m.nodeName(), err)
		}
	}
	found, err := n.list(ctx)
	if err != nil {
		return err
	}
	if err := awaitReady(ctx, m.rest, names(found), report); err != nil {
		return err
	}
	close(m.done)
	return nil
}

// putContext writes the user's kubeconfig, and returns what there is to say of it: done where it has changed. A file that may not be written is
// no reason to stop: the run itself does not need it.
func (m *making) putContext(raw, done string) (said string, changed bool) {
	entries, err := clientcmd.Load([]byte(raw))
	if err != nil {
		return err.Error(), false
	}
	kept, changed, err := m.kubeconfig.put(written{owner: m.owner, entries: entries})
	switch {
	case err != nil:
		m.unwritten = true
		return fmt.Sprintf("the context %s was not written (%v)", m.kubeconfig.context, err), false
	case !changed:
		return "", false
	case kept != "":
		done += fmt.Sprintf("; somebody else's entries of that name are called %s now", kept)
	}
	return done, true
}
