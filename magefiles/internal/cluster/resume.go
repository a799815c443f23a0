package cluster

import (
	"context"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kindgate/magefiles/internal/result"
)

// resume connects to a complete cluster whose nodes run.
func (m *making) resume(ctx context.Context, n nodes, report func(string)) error {
	client, err := m.nodeClient(n)
	if err != nil {
		return err
	}
	report("waiting for the API server")
	clientset, err := m.waitAPI(ctx, n, client)
	if err != nil {
		return err
	}
	node, err := clientset.CoreV1().Nodes().Get(ctx, n.controlPlane(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		report("having the kubelet register the node again")
		_, _ = n.exec(ctx, n.controlPlane(), "systemctl restart kubelet")
		if err := awaitRegistered(ctx, m.connect(client), n.controlPlane()); err != nil {
			return err
		}
		node, err = clientset.CoreV1().Nodes().Get(ctx, n.controlPlane(), metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	if started := time.Now(); m.result == result.Repaired {
		// What the API server says of pods is from before the stop until the kubelet has reported again.
		report("waiting for the kubelet to report")
		if err := awaitKubelet(ctx, m.connect(client), n.controlPlane(), started); err != nil {
			return err
		}
	}
	m.rest = m.connect(client)
	m.observation = m.ready(node, client)
	close(m.node)
	close(m.api)
	return nil
}

// isGone tells whether an engine's error says that there is no container of the name.
func isGone(err error) bool {
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "no such container")
}

// nodeClient reads the administrator's credentials from the node.
func (m *making) nodeClient(n nodes) (*rest.Config, error) {
	raw, err := n.administrator()
	if err != nil {
		return nil, err
	}
	m.administrator = raw
	return clientcmd.RESTConfigFromKubeConfig([]byte(raw))
}
