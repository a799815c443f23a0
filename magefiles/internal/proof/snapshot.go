package proof

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	sigsjson "sigs.k8s.io/json"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
)

// The kinds that a Snapshot has.
var (
	ClassKind     = gatewayv1.SchemeGroupVersion.WithKind("GatewayClass")
	GatewayKind   = gatewayv1.SchemeGroupVersion.WithKind("Gateway")
	HTTPRouteKind = gatewayv1.SchemeGroupVersion.WithKind("HTTPRoute")
	GRPCRouteKind = gatewayv1.SchemeGroupVersion.WithKind("GRPCRoute")
	PodKind       = corev1.SchemeGroupVersion.WithKind("Pod")
	sliceKind     = discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
	serviceKind   = corev1.SchemeGroupVersion.WithKind("Service")
	namespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")
	policyKind    = gatewayv1.SchemeGroupVersion.WithKind("BackendTLSPolicy")
	secretKind    = corev1.SchemeGroupVersion.WithKind("Secret")
)

// A Snapshot is the cluster's objects that verdicts are about, of all namespaces, read at one time. It can be written as JSON and read
// again.
type Snapshot struct {
	Taken      time.Time                   `json:"taken"`
	Classes    []gatewayv1.GatewayClass    `json:"gatewayClasses"`
	Gateways   []gatewayv1.Gateway         `json:"gateways"`
	HTTPRoutes []gatewayv1.HTTPRoute       `json:"httpRoutes"`
	GRPCRoutes []gatewayv1.GRPCRoute       `json:"grpcRoutes"`
	Pods       []corev1.Pod                `json:"pods"`
	Slices     []discoveryv1.EndpointSlice `json:"endpointSlices"`

	// Namespaces are here for their labels, by which listeners select them.
	Namespaces []corev1.Namespace `json:"namespaces"`

	// Services are here for the addresses of Gateways, and for the policies that name them.
	Services []corev1.Service `json:"services,omitempty"`

	// Policies are those of the connections to Services.
	Policies []gatewayv1.BackendTLSPolicy `json:"backendTLSPolicies,omitempty"`

	// Certificates are those of the Secrets that listeners name, by Secret/namespace/name.
	Certificates map[string]Certificate `json:"certificates,omitempty"`

	// Partial has the namespaces in which the objects of a kind were read, for each kind of which not all could be. Unread says what could not.
	Partial map[string][]string `json:"partial,omitempty"`
	Unread  []string            `json:"unread,omitempty"`

	once     sync.Once
	services map[string]service

	hostnames map[string]string // of the pods, by namespace/name, read with the services

	views sync.Map // a *view by the *Proof that judges by the snapshot

	index index
}

// An index has the routes of a snapshot, and where each is among them.
type index struct {
	once   sync.Once
	routes []gateway.Route
	at     map[check.ID]int
}

// A view is what one Proof makes of a snapshot, and has asked about it.
type view struct {
	compile sync.Once
	table   *gateway.Table
	said
	recognises sync.Map // whether the implementation's own answers are, a func() bool by the port of URLs
	plain      sync.Once
	unfamiliar *Proof // where they are not
}

func (s *Snapshot) view(p *Proof) *view {
	v, _ := s.views.LoadOrStore(p, &view{})
	return v.(*view)
}

// A Lister lists the objects of a kind in a namespace, or in all of them for an empty one. *kube.Client is one.
type Lister interface {
	// The list is in JSON: most of what a snapshot costs is to decode it.
	ListJSON(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]byte, error)
	// Get returns one object, nil where it is not there.
	Get(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error)
	// Known tells whether the cluster has a kind.
	Known(kind schema.GroupVersionKind) (bool, error)
}

// Take reads a snapshot. A cluster that does not have the kinds GRPCRoute and BackendTLSPolicy has none. Its error names the kind that cannot be read.
func Take(ctx context.Context, cluster Lister) (*Snapshot, error) {
	s, whole := newSnapshot(), ctx
	reads, ctx := errgroup.WithContext(ctx)
	for kind, put := range s.lists() {
		reads.Go(func() error {
			list, err := listOf(ctx, cluster, kind, "")
			if err == nil {
				err = put(list)
			}
			return wrapped(kind, err)
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	return s, s.readCertificates(whole, cluster)
}

func newSnapshot() *Snapshot { return &Snapshot{Taken: time.Now(), Partial: map[string][]string{}} }

func wrapped(kind schema.GroupVersionKind, err error) error {
	if err != nil {
		err = fmt.Errorf("list %s: %w", kind.Kind, err)
	}
	return err
}

// listOf lists the objects of a kind in a namespace, in all for an empty one: none of the kind that a cluster need not have.
func listOf(ctx context.Context, cluster Lister, kind schema.GroupVersionKind, namespace string) ([]byte, error) {
	if kind == GRPCRouteKind || kind == policyKind {
		if known, err := cluster.Known(kind); err != nil || !known {
			return []byte("{}"), err
		}
	}
	return cluster.ListJSON(ctx, kind, namespace)
}

// lists has what puts the objects of some lists into the snapshot, for each kind that it has.
func (s *Snapshot) lists() map[schema.GroupVersionKind]func(lists ...[]byte) error {
	return map[schema.GroupVersionKind]func(...[]byte) error{
		ClassKind: into(&s.Classes), GatewayKind: into(&s.Gateways), HTTPRouteKind: into(&s.HTTPRoutes),
		GRPCRouteKind: into(&s.GRPCRoutes), PodKind: into(&s.Pods), sliceKind: into(&s.Slices), namespaceKind: into(&s.Namespaces),
		serviceKind: into(&s.Services), policyKind: into(&s.Policies),
	}
}

func into[T any](all *[]T) func(...[]byte) error {
	return func(lists ...[]byte) error {
		*all = nil
		for _, list := range lists {
			var read struct {
				Items []T `json:"items"`
			}
			if err := sigsjson.UnmarshalCaseSensitivePreserveInts(list, &read); err != nil {
				return err
			}
			*all = append(*all, read.Items...)
		}
		return nil
	}
}

// routes are those of all kinds.
func (s *Snapshot) routes() []gateway.Route {
	s.index.once.Do(func() {
		x := &s.index
		for i := range s.HTTPRoutes {
			x.routes = append(x.routes, gateway.FromHTTP(&s.HTTPRoutes[i]))
		}
		for i := range s.GRPCRoutes {
			x.routes = append(x.routes, gateway.FromGRPC(&s.GRPCRoutes[i]))
		}
		x.at = make(map[check.ID]int, len(x.routes))
		for i := range x.routes {
			x.at[x.routes[i].ID] = i
		}
	})
	return s.index.routes
}

// route returns the one of an ID, nil where there is none.
func (s *Snapshot) route(id check.ID) *gateway.Route {
	all := s.routes()
	if i, ok := s.index.at[id]; ok {
		return &all[i]
	}
	return nil
}

// Pods reads the pods alone, for those who need no more.
func Pods(ctx context.Context, cluster Lister) (*Snapshot, error) {
	s := &Snapshot{Taken: time.Now()}
	list, err := cluster.ListJSON(ctx, PodKind, "")
	if err == nil {
		err = into(&s.Pods)(list)
	}
	return s, wrapped(PodKind, err)
}

// Replace puts the objects of a class, Gateway or route, as a watch has them now, in the place of those that were read.
func (s *Snapshot) Replace(kind schema.GroupVersionKind, objects []*unstructured.Unstructured) error {
	list, err := json.Marshal(map[string]any{"items": objects})
	if err != nil {
		return err
	}
	s.index = index{}
	return s.lists()[kind](list)
}

// A service is what is known of the pods behind a Service.
type service struct {
	ready    []string // the hostnames of the pods that it sends requests to
	others   int      // its ready endpoints that are no pods
	at       []string // where it sends requests to, as far as its slices have one port
	unsaid   int      // its endpoints of which nothing says whether they are ready
	starting *startup // the youngest of them that may not listen yet
	pods     []placed // its endpoints that are pods on a node, ready or not
	listed   bool     // it has an EndpointSlice, be it an empty one
	unread   bool     // its EndpointSlices or their pods could not be read
}

// placed is a pod, namespace/name, and the node that it is on.
type placed struct {
	name, node string
	ready      bool
}

// A startup is a pod that counts as ready from its start on, as it has no readiness probe.
type startup struct {
	pod   string // namespace/name
	since time.Time
}

// behind returns what is known of the pods behind a Service. Ready are those of its EndpointSlices, without those that are being deleted,
// which the slices lose some time later.
func (s *Snapshot) behind(backend gateway.Backend) service {
	s.once.Do(s.readServices)
	found := s.services[backend.ID().String()]
	found.unread = !s.has(sliceKind.Kind, backend.Namespace) || !s.has(PodKind.Kind, backend.Namespace)
	return found
}

func (s *Snapshot) readServices() {
	s.services, s.hostnames = map[string]service{}, map[string]string{}
	startups := map[string]startup{}
	for i := range s.Pods {
		pod := &s.Pods[i]
		key := pod.Namespace + "/" + pod.Name
		if since, ok := started(pod); ok {
			startups[key] = startup{key, since}
		}
		switch {
		case pod.DeletionTimestamp != nil:
		case pod.Spec.HostNetwork:
			s.hostnames[key] = pod.Spec.NodeName
		default:
			s.hostnames[key] = hostname(pod)
		}
	}
	for _, slice := range s.Slices {
		name := gateway.Backend{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}.ID().String()
		found := s.services[name]
		found.listed = true
		if s.services[name] = found; len(slice.Ports) == 0 {
			continue // the pods have no port of the name that is the Service's targetPort
		}
		for _, endpoint := range slice.Endpoints {
			target := endpoint.TargetRef
			ready := ptr.Deref(endpoint.Conditions.Ready, true)
			if target != nil && target.Kind == "Pod" && endpoint.NodeName != nil {
				found.pods = append(found.pods, placed{target.Namespace + "/" + target.Name, *endpoint.NodeName, ready})
			}
			if !ready {
				continue
			}
			if endpoint.Conditions.Ready == nil {
				found.unsaid++
			}
			if len(slice.Ports) == 1 && slice.Ports[0].Port != nil && len(endpoint.Addresses) > 0 {
				found.at = append(found.at, net.JoinHostPort(endpoint.Addresses[0], fmt.Sprint(*slice.Ports[0].Port)))
			}
			if target == nil || target.Kind != "Pod" {
				found.others++
				continue
			}
			key := target.Namespace + "/" + target.Name
			if hostname := s.hostnames[key]; hostname != "" && !slices.Contains(found.ready, hostname) {
				found.ready = append(found.ready, hostname)
			}
			if young, ok := startups[key]; ok && (found.starting == nil || young.since.After(found.starting.since)) {
				found.starting = &young
			}
		}
		s.services[name] = found
	}
}

// hostname is a pod's, as the kubelet sets it. See
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-hostname-and-subdomain-field.
func hostname(pod *corev1.Pod) string {
	const longest = 63
	name := pod.Name
	if len(name) > longest {
		name = strings.TrimRight(name[:longest], "-.")
	}
	return cmp.Or(ptr.Deref(pod.Spec.HostnameOverride, ""), pod.Spec.Hostname, name)
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

// notAdmitted completes what is found of a route that no listener allows, as the end of a sentence; it is empty where the labels of its
// namespace are not known.
func (s *Snapshot) notAdmitted(route *gateway.Route) string {
	for _, namespace := range s.Namespaces {
		if why := gateway.Admits(route, s.Gateways, namespace.Labels); namespace.Name == route.ID.Namespace && why != "" {
			return ": " + why
		}
	}
	return ""
}
