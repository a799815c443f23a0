package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
)

var (
	classKind   = gatewayv1.SchemeGroupVersion.WithKind("GatewayClass")
	gatewayKind = gatewayv1.SchemeGroupVersion.WithKind("Gateway")
	routeKind   = gatewayv1.SchemeGroupVersion.WithKind("HTTPRoute")
	nodeKind    = corev1.SchemeGroupVersion.WithKind("Node")
	podKind     = corev1.SchemeGroupVersion.WithKind("Pod")
	sliceKind   = discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
	crdKind     = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// state is the cluster's objects that the checks are about, read at one time.
type state struct {
	classes  []gatewayv1.GatewayClass
	gateways []gatewayv1.Gateway
	routes   []gatewayv1.HTTPRoute
	pods     map[string][]string // the ready pods of each Service, by gateway.Backend's name
	starting map[string]startup  // a pod of a Service that may not listen yet, by the same name
}

// A startup is a pod that counts as ready from its start on, as it has no readiness probe.
type startup struct {
	pod   string
	since time.Time
}

// startsWithin is how long a pod without a readiness probe is taken to be starting when nothing answers there: longer than most applications
// take, and short enough for a wrong targetPort.
const startsWithin = 2 * time.Minute

func (d *Demo) readState(ctx context.Context) (*state, error) {
	client, err := d.kube()
	if err != nil {
		return nil, err
	}
	s := &state{}
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) { s.classes, err = list[gatewayv1.GatewayClass](ctx, client, classKind); return err })
	reads.Go(func() (err error) { s.gateways, err = list[gatewayv1.Gateway](ctx, client, gatewayKind); return err })
	reads.Go(func() (err error) { s.routes, err = list[gatewayv1.HTTPRoute](ctx, client, routeKind); return err })
	reads.Go(func() (err error) { s.pods, s.starting, err = readyPods(ctx, client); return err })
	return s, reads.Wait()
}

// replace puts the objects of a kind, as a watch has them now, in the place of those that were read.
func (s *state) replace(kind schema.GroupVersionKind, objects []*unstructured.Unstructured) (err error) {
	values := make([]unstructured.Unstructured, len(objects))
	for i, object := range objects {
		values[i] = *object
	}
	switch kind {
	case classKind:
		s.classes, err = kube.As[gatewayv1.GatewayClass](values)
	case gatewayKind:
		s.gateways, err = kube.As[gatewayv1.Gateway](values)
	case routeKind:
		s.routes, err = kube.As[gatewayv1.HTTPRoute](values)
	}
	return err
}

func list[T any](ctx context.Context, client *kube.Client, kind schema.GroupVersionKind) ([]T, error) {
	objects, err := client.List(ctx, kind, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Kind, err)
	}
	return kube.As[T](objects)
}

// readyPods returns the hostnames of the pods that each Service sends requests to: the ready ones of its EndpointSlices, without those
// that are being deleted, which the slices lose some time later. Of each Service, it also returns the youngest pod without a readiness probe.
func readyPods(ctx context.Context, client *kube.Client) (map[string][]string, map[string]startup, error) {
	var endpoints []discoveryv1.EndpointSlice
	var pods []corev1.Pod
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) {
		endpoints, err = list[discoveryv1.EndpointSlice](ctx, client, sliceKind)
		return err
	})
	reads.Go(func() (err error) { pods, err = list[corev1.Pod](ctx, client, podKind); return err })
	err := reads.Wait()
	hostnames, startups := map[string]string{}, map[string]startup{}
	for _, pod := range pods {
		if since, ok := started(&pod); ok {
			startups[pod.Namespace+"/"+pod.Name] = startup{pod.Namespace + "/" + pod.Name, since}
		}
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Spec.HostNetwork:
			hostnames[pod.Namespace+"/"+pod.Name] = pod.Spec.NodeName
		default:
			hostnames[pod.Namespace+"/"+pod.Name] = cmp.Or(pod.Spec.Hostname, pod.Name)
		}
	}
	ready, starting := map[string][]string{}, map[string]startup{}
	for _, slice := range endpoints {
		if len(slice.Ports) == 0 {
			continue // the pods have no port of the name that is the Service's targetPort
		}
		service := gateway.Backend{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}.String()
		for _, endpoint := range slice.Endpoints {
			pod := endpoint.TargetRef
			if pod == nil || pod.Kind != "Pod" || endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
				continue
			}
			if name := hostnames[pod.Namespace+"/"+pod.Name]; name != "" && !slices.Contains(ready[service], name) {
				ready[service] = append(ready[service], name)
			}
			if young, ok := startups[pod.Namespace+"/"+pod.Name]; ok && young.since.After(starting[service].since) {
				starting[service] = young
			}
		}
	}
	return ready, starting, err
}

// started returns when the youngest container of a pod began to run, unless one of them has a readiness probe, or does not run.
func started(pod *corev1.Pod) (time.Time, bool) {
	if slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe != nil }) {
		return time.Time{}, false
	}
	var last time.Time
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil {
			return time.Time{}, false
		}
		if at := status.State.Running.StartedAt.Time; at.After(last) {
			last = at
		}
	}
	return last, !last.IsZero()
}
