package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kindgate/magefiles/internal/result"
)

// startNodes starts what does not run. It returns false where no node is left: an engine lists a container while it makes it, but cannot
// start it yet, and takes it back when the run that wanted it was killed.
func (c *Cluster) startNodes(ctx context.Context, e engine) (left bool, err error) {
	err = poll(ctx, fmt.Sprintf("the nodes of cluster %s to be there as a whole", c.options.Name), func() (bool, error) {
		nodes, err := e.nodes(ctx, c.options.Name)
		left = len(nodes) > 0
		if err != nil {
			return false, err
		}
		for _, node := range nodes {
			verb := map[string]string{"paused": "unpause", "stopped": "start"}[node.State]
			if verb == "" {
				continue
			}
			_, err := e.run(ctx, verb, node.Name)
			if isGone(err) {
				return false, nil
			}
			if err != nil {
				return false, c.explainStart(ctx, err)
			}
		}
		return true, nil
	})
	return left, err
}

// resume connects to a complete cluster whose nodes run.
func (c *Cluster) resume(ctx context.Context, e engine, report func(string)) error {
	client, err := c.nodeClient(e)
	if err != nil {
		return err
	}
	report("waiting for the API server")
	clientset, err := c.waitAPI(ctx, e, client)
	if err != nil {
		return err
	}
	node, err := clientset.CoreV1().Nodes().Get(ctx, c.NodeName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		report("having the kubelet register the node again")
		_, _ = e.exec(ctx, c.NodeName(), "systemctl restart kubelet")
		if err := c.awaitRegistered(ctx, c.connect(client)); err != nil {
			return err
		}
		node, err = clientset.CoreV1().Nodes().Get(ctx, c.NodeName(), metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	if started := time.Now(); c.making.result == result.Repaired {
		// What the API server says of pods is from before the stop until the kubelet has reported again.
		report("waiting for the kubelet to report")
		if err := c.awaitKubelet(ctx, c.connect(client), started); err != nil {
			return err
		}
	}
	c.making.rest = c.connect(client)
	c.making.observation = c.ready(node, client)
	close(c.making.node)
	close(c.making.api)
	return nil
}

// isGone tells whether an engine's error says that there is no container of the name.
func isGone(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "no such container")
}

// nodeClient reads the administrator's credentials from the node.
func (c *Cluster) nodeClient(e engine) (*rest.Config, error) {
	raw, err := c.kindProvider(e, nil).KubeConfig(c.options.Name, false)
	if err != nil {
		return nil, err
	}
	c.making.kubeconfig = raw
	return clientcmd.RESTConfigFromKubeConfig([]byte(raw))
}
