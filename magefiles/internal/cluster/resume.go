package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// resume connects to a complete cluster whose nodes run, of which some were started a moment ago.
func (m *making) resume(ctx context.Context, n nodes, started []string, report func(string)) error {
	client, err := m.nodeClient(n)
	if err != nil {
		return err
	}
	report("waiting for the API server")
	clientset, err := m.waitAPI(ctx, n, client)
	if err != nil {
		return err
	}
	m.rest = m.connect(client)
	since := time.Now()
	all, err := m.registered(ctx, n, clientset, report)
	if err != nil {
		return err
	}
	started = slices.DeleteFunc(started, func(name string) bool { // of a load balancer, no kubelet reports
		return !slices.ContainsFunc(all, func(node corev1.Node) bool { return node.Name == name })
	})
	if len(started) > 0 {
		// What the API server says of pods is from before the stop until the kubelet has reported again.
		report("waiting for the kubelet to report")
		if err := awaitKubelets(ctx, m.rest, started, since); err != nil {
			return err
		}
	}
	m.observation = m.ready(ctx, all, client)
	for _, down := range m.observation.Down {
		if down.State == Gone {
			return fmt.Errorf("the container of Node/%[1]s was removed, and kind cannot make it anew: teardown and then up make a new cluster; to go on without it: kubectl delete node %[1]s",
				down.Node)
		}
	}
	close(m.node)
	close(m.api)
	return nil
}

// registered returns the Nodes of the cluster. The kubelet of a node that somebody has deleted registers it again when it is started.
func (m *making) registered(ctx context.Context, n nodes, clientset kubernetes.Interface, report func(string)) ([]corev1.Node, error) {
	list, err := clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	found, err := n.list(ctx)
	if err != nil {
		return nil, err
	}
	missing := slices.DeleteFunc(names(found), func(name string) bool {
		return slices.ContainsFunc(list.Items, func(node corev1.Node) bool { return node.Name == name })
	})
	if len(missing) == 0 {
		return list.Items, nil
	}
	report("having the kubelet register the node again")
	for _, name := range missing {
		_, _ = n.exec(ctx, name, "systemctl restart kubelet")
	}
	if err := awaitRegistered(ctx, m.rest, missing); err != nil {
		return nil, err
	}
	list, err = clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
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
