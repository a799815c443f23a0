package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Pods asks pods through the API server, which passes requests on to them. See
// https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/#manually-constructing-apiserver-proxy-urls.
type Pods struct{ core corev1client.CoreV1Interface }

// Pods returns what asks the cluster's pods.
func (c *Client) Pods() Pods { return Pods{c.core} }

// Answers tells whether a pod answers a request to a port of its own, with whatever but a server's error. scheme is http or https.
func (p Pods) Answers(ctx context.Context, namespace, pod, scheme string, port int32) bool {
	_, err := p.core.Pods(namespace).ProxyGet(scheme, pod, fmt.Sprint(port), "", nil).DoRaw(ctx)
	var status apierrors.APIStatus
	return err == nil || errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError
}

// Get returns what a pod answers over http at a port of its own; its error is also that of another status than 200.
func (p Pods) Get(ctx context.Context, namespace, pod string, port int32, path string) ([]byte, error) {
	return p.core.RESTClient().Get().RequestURI(fmt.Sprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy%s", namespace, pod, port, path)).DoRaw(ctx)
}

// Log returns of the log of a pod's container what options say.
func (p Pods) Log(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) ([]byte, error) {
	return p.core.Pods(namespace).GetLogs(pod, options).DoRaw(ctx)
}
