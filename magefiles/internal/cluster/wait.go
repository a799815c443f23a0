package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// poll asks again and again until ask is done. It is for what cannot be watched: the engines have no events in common, and an API server
// that does not answer yet has none.
func poll(ctx context.Context, waitingFor string, ask func() (done bool, err error)) error {
	err := wait.PollUntilContextCancel(ctx, 150*time.Millisecond, true, func(context.Context) (bool, error) { return ask() })
	if ctx.Err() != nil {
		return fmt.Errorf("%w while waiting for %s", context.Cause(ctx), waitingFor)
	}
	return err
}

// await waits until check is done with each of the named objects of a resource.
func await(ctx context.Context, cfg *rest.Config, resource schema.GroupVersionResource, namespace string, names []string,
	check func(*unstructured.Unstructured) (waitingFor string, done bool)) error {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	return kube.Watch(ctx, client.Resource(resource).Namespace(namespace), func(objects []*unstructured.Unstructured) (string, bool, error) {
		for _, name := range names {
			at := slices.IndexFunc(objects, func(object *unstructured.Unstructured) bool { return object.GetName() == name })
			if at < 0 {
				return fmt.Sprintf("%s/%s to appear", resource.Resource, name), false, nil
			}
			if waitingFor, done := check(objects[at]); !done {
				return waitingFor, false, nil
			}
		}
		return "", true, nil
	})
}

var (
	daemonSetResource = appsv1.SchemeGroupVersion.WithResource("daemonsets")
	nodeResource      = corev1.SchemeGroupVersion.WithResource("nodes")
	leaseResource     = coordinationv1.SchemeGroupVersion.WithResource("leases")
)

// awaitRegistered waits until nodes are registered.
func awaitRegistered(ctx context.Context, cfg *rest.Config, nodes []string) error {
	return await(ctx, cfg, nodeResource, "", nodes, func(*unstructured.Unstructured) (string, bool) { return "", true })
}

// awaitKubelets waits until the nodes' kubelets have renewed their leases, which they do every 10 s, and at their start.
func awaitKubelets(ctx context.Context, cfg *rest.Config, nodes []string, since time.Time) error {
	return await(ctx, cfg, leaseResource, corev1.NamespaceNodeLease, nodes, func(lease *unstructured.Unstructured) (string, bool) {
		text, _, _ := unstructured.NestedString(lease.Object, "spec", "renewTime")
		renewed, err := time.Parse(time.RFC3339, text)
		return "the kubelet of " + lease.GetName() + " to report", err == nil && renewed.After(since.Add(-time.Second))
	})
}

// awaitReady waits until nodes can take pods, and tells report which of them cannot.
func awaitReady(ctx context.Context, cfg *rest.Config, nodes []string, report func(string)) error {
	return await(ctx, cfg, nodeResource, "", nodes, func(u *unstructured.Unstructured) (string, bool) {
		var node corev1.Node
		_ = gotype.Decode(u.Object, &node)
		waitingFor := "Node/" + node.Name + " to be Ready"
		if condition := ReadyCondition(&node); condition != nil {
			if condition.Status == corev1.ConditionTrue {
				return "", true
			}
			waitingFor += ": " + condition.Message
		}
		report("waiting for " + waitingFor)
		return waitingFor, false
	})
}

// ReadyCondition returns what the kubelet, or in its place the control plane, says of a node's readiness, nil before it has said anything.
func ReadyCondition(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// errNoAdministrator is an API server that refuses its administrator for good: kubeadm was ended before it had appointed one, or somebody
// has dismissed him.
var errNoAdministrator = errors.New("the API server refuses its administrator: there is no ClusterRoleBinding/kubeadm:cluster-admins")

// waitAPI waits until the API server answers an administrator, which a starting one does some time after it listens.
func (m *making) waitAPI(ctx context.Context, n nodes, client *rest.Config) (*kubernetes.Clientset, error) {
	probe := rest.CopyConfig(client)
	probe.QPS = -1
	clientset, err := kubernetes.NewForConfig(probe)
	if err != nil {
		return nil, err
	}
	last := errors.New("no answer yet")
	var refused time.Time
	err = poll(ctx, fmt.Sprintf("the API server of cluster %s", n.cluster), func() (bool, error) {
		look, cancel := context.WithTimeout(ctx, limits.FirstAnswer)
		defer cancel()
		_, err := clientset.CoreV1().Namespaces().Get(look, metav1.NamespaceSystem, metav1.GetOptions{})
		if ctx.Err() == nil {
			last = err
		}
		switch {
		case !apierrors.IsForbidden(err):
			refused = time.Time{}
		case refused.IsZero():
			refused = time.Now()
		case time.Since(refused) > limits.Refusing:
			if kubeadm, err := n.exec(ctx, n.controlPlane(), "pgrep -x kubeadm || true"); err == nil && kubeadm == "" {
				return false, errNoAdministrator
			}
		}
		return err == nil, nil
	})
	if errors.Is(err, errNoAdministrator) {
		return nil, fmt.Errorf("%w\nThis puts it back: %s exec %s kubectl --kubeconfig /etc/kubernetes/super-admin.conf create clusterrolebinding kubeadm:cluster-admins --clusterrole=cluster-admin --group=kubeadm:cluster-admins",
			err, n.engine, n.controlPlane())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w\nLook at: %s logs %s. If nothing in the cluster matters, teardown and up make a new one.",
			err, last, n.engine, n.controlPlane())
	}
	return kubernetes.NewForConfig(m.connect(client))
}
