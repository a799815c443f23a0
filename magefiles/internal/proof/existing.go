package proof

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/spelling"
)

// ErrNoGatewayAPI is the error of a cluster that does not have the Gateway API's definitions.
var ErrNoGatewayAPI = fmt.Errorf("the cluster does not have the Gateway API: it has no kind Gateway in %s", gatewayv1.GroupVersion)

// Survey reads a snapshot of a cluster in which not everything may be read: of a kind that may not be listed as a whole, the objects in some
// namespaces, and what cannot be read at all is said in Unread. Its error is ErrNoGatewayAPI, or any but that a right is missing.
func Survey(ctx context.Context, cluster Lister, namespaces []string) (*Snapshot, error) {
	if known, err := cluster.Known(GatewayKind); err != nil || !known {
		return nil, cmp.Or(err, ErrNoGatewayAPI)
	}
	type part struct {
		lists  [][]byte
		read   []string // the namespaces that could be read; nil for all
		unread []string
	}
	s, whole := newSnapshot(), ctx
	lists := s.lists()
	parts := map[schema.GroupVersionKind]*part{}
	reads, ctx := errgroup.WithContext(ctx)
	for kind := range lists {
		p := &part{}
		parts[kind] = p
		reads.Go(func() error {
			list, err := listOf(ctx, cluster, kind, "")
			if err == nil || !apierrors.IsForbidden(err) {
				p.lists = [][]byte{list}
				return wrapped(kind, err)
			}
			p.read = []string{}
			if kube.ClusterScoped(kind.GroupKind()) || len(namespaces) == 0 {
				p.unread = []string{Unlisted(kind, "")}
				return nil
			}
			for _, namespace := range namespaces {
				list, err := listOf(ctx, cluster, kind, namespace)
				switch {
				case err == nil:
					p.lists, p.read = append(p.lists, list), append(p.read, namespace)
				case apierrors.IsForbidden(err):
					p.unread = append(p.unread, Unlisted(kind, namespace))
				default:
					return wrapped(kind, err)
				}
			}
			return nil
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	for kind, p := range parts {
		if err := lists[kind](p.lists...); err != nil {
			return nil, wrapped(kind, err)
		}
		if p.read != nil {
			s.Partial[kind.Kind] = p.read
		}
		if kind != policyKind { // few clusters have any, and a request shows what they do
			s.Unread = append(s.Unread, p.unread...)
		}
	}
	slices.Sort(s.Unread)
	return s, s.readCertificates(whole, cluster)
}

// Unlisted says that a kind may not be listed in a namespace, or in all for an empty one.
func Unlisted(kind schema.GroupVersionKind, namespace string) string {
	where := " in namespace " + namespace
	switch {
	case kube.ClusterScoped(kind.GroupKind()):
		where = ""
	case namespace == "":
		where = " in all namespaces"
	}
	return fmt.Sprintf("cannot list %s%s: Forbidden", Plural(kind), where)
}

// Plural is the name that the API server has for the objects of a kind.
func Plural(kind schema.GroupVersionKind) string {
	name := strings.ToLower(kind.Kind)
	stem, y := strings.CutSuffix(name, "y")
	switch {
	case strings.HasSuffix(name, "s"):
		return name + "es"
	case y && !strings.ContainsAny(stem[len(stem)-1:], "aeiou"):
		return stem + "ies"
	}
	return name + "s"
}

// has tells whether the objects of a kind in a namespace, empty for one without, were read.
func (s *Snapshot) has(kind, namespace string) bool {
	read, partial := s.Partial[kind]
	return !partial || slices.Contains(read, namespace)
}

// withUnread are the snapshot's Gateways, and in the place of those that could not be read what a route says of them: that one cannot be read
// does not say that it is not there.
func (s *Snapshot) withUnread(route *gateway.Route) []gatewayv1.Gateway {
	all := s.Gateways
	for _, ref := range route.Spec.ParentRefs {
		for _, id := range route.Gateways() {
			if !s.has(GatewayKind.Kind, id.Namespace) && string(ref.Name) == id.Name {
				gw := gatewayv1.Gateway{}
				gw.Namespace, gw.Name = id.Namespace, id.Name
				if ref.SectionName != nil {
					gw.Spec.Listeners = []gatewayv1.Listener{{Name: *ref.SectionName}}
				}
				all = append(slices.Clip(all), gw)
			}
		}
	}
	return all
}

// unread is the finding of an object that could not be read.
func unread(kind, namespace string) check.Finding {
	where := ""
	if namespace != "" {
		where = " in namespace " + namespace
	}
	return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("not known: a %s%s cannot be read", kind, where)}
}

// Existing are the routes of a snapshot in some namespaces, all for none, with the Gateways that they name, the Gateways of these namespaces, and
// the classes of all these: what a cluster has is proven in place of manifests.
func (s *Snapshot) Existing(namespaces []string) Manifests {
	var m Manifests
	within := func(namespace string) bool { return len(namespaces) == 0 || slices.Contains(namespaces, namespace) }
	named := map[check.ID]bool{}
	for _, route := range s.routes() {
		if within(route.ID.Namespace) {
			m.Routes = append(m.Routes, route)
			for _, id := range route.Gateways() {
				named[id] = true
			}
		}
	}
	m.keep(s, func(gw *gatewayv1.Gateway) bool { return within(gw.Namespace) || named[idOf(gw)] })
	return m
}

// Live are some manifests' Gateways and routes as the cluster has them, with the Gateways that these routes name.
func (s *Snapshot) Live(m Manifests) Manifests {
	live := Manifests{Objects: m.Objects}
	ours, named := m.ours(), map[check.ID]bool{}
	for i := range m.Gateways {
		named[idOf(&m.Gateways[i])] = true
	}
	for _, route := range s.routes() {
		if ours[route.ID] {
			live.Routes = append(live.Routes, route)
			for _, id := range route.Gateways() {
				named[id] = true
			}
		}
	}
	live.keep(s, func(gw *gatewayv1.Gateway) bool { return named[idOf(gw)] })
	return live
}

// keep adds the snapshot's Gateways of which keep holds, and their classes.
func (m *Manifests) keep(s *Snapshot, keep func(*gatewayv1.Gateway) bool) {
	for i := range s.Gateways {
		if gw := s.Gateways[i]; keep(&gw) {
			m.Gateways = append(m.Gateways, gw)
			m.Classes = append(m.Classes, string(gw.Spec.GatewayClassName))
		}
	}
	slices.Sort(m.Classes)
	m.Classes = slices.Compact(m.Classes)
}

// Applied is a snapshot as it would be with some classes, Gateways and routes applied, and what it would serve: their routes, and those of others
// that are accepted. A Gateway keeps its addresses. Its error is of an object that is none of its kind.
func (s *Snapshot) Applied(objects []kube.Object) (*Snapshot, Manifests, error) {
	with := &Snapshot{Taken: s.Taken, Classes: slices.Clone(s.Classes), Gateways: slices.Clone(s.Gateways), HTTPRoutes: slices.Clone(s.HTTPRoutes),
		GRPCRoutes: slices.Clone(s.GRPCRoutes), Pods: s.Pods, Slices: s.Slices, Namespaces: s.Namespaces, Services: s.Services, Policies: s.Policies, Certificates: s.Certificates,
		Partial: s.Partial, Unread: s.Unread}
	ours := map[check.ID]bool{}
	for _, object := range objects {
		var err error
		switch kind := object.GetKind(); kind {
		case ClassKind.Kind:
			err = put(&with.Classes, object, func(had, has *gatewayv1.GatewayClass) {})
		case GatewayKind.Kind:
			err = put(&with.Gateways, object, func(had, has *gatewayv1.Gateway) { has.Status.Addresses = had.Status.Addresses })
		case HTTPRouteKind.Kind:
			err = put(&with.HTTPRoutes, object, func(had, has *gatewayv1.HTTPRoute) {})
		case GRPCRouteKind.Kind:
			err = put(&with.GRPCRoutes, object, func(had, has *gatewayv1.GRPCRoute) {})
		}
		if err != nil {
			return nil, Manifests{}, err
		}
		ours[check.ID{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}] = true
	}
	served := with.Existing(nil)
	served.Routes = slices.DeleteFunc(slices.Clone(served.Routes), func(route gateway.Route) bool {
		return !ours[route.ID] && gateway.Attached(&route, with.withUnread(&route)).Fails()
	})
	return with, served, nil
}

// put puts an object among others of its kind, in the place of the one of its name, of which keep keeps something.
func put[T any, P interface {
	*T
	metav1.Object
}](all *[]T, object kube.Object, keep func(had, has P)) error {
	typed, err := kube.As[T]([]unstructured.Unstructured{*object.Unstructured})
	if err != nil {
		return err
	}
	for i := range *all {
		if had := P(&(*all)[i]); had.GetNamespace() == object.GetNamespace() && had.GetName() == object.GetName() {
			keep(had, P(&typed[0]))
			(*all)[i] = typed[0]
			return nil
		}
	}
	*all = append(*all, typed[0])
	return nil
}

func idOf(gw *gatewayv1.Gateway) check.ID {
	return check.ID{Kind: GatewayKind.Kind, Namespace: gw.Namespace, Name: gw.Name}
}

// A Site are Gateways that share an address, with their routes, and the controller that serves them; empty where it is not known.
type Site struct {
	Manifests
	Controller string
}

// Sites are the manifests by the addresses in their Gateways' status. A Gateway without an address is a Site of its own. Routes are of each Site
// that they name a Gateway of.
func (s *Snapshot) Sites(m Manifests) []Site {
	var sites []Site
	at := map[string]int{} // by controller and addresses
	for _, gw := range m.Gateways {
		var addresses []string
		for _, address := range gw.Status.Addresses {
			addresses = append(addresses, address.Value)
		}
		slices.Sort(addresses)
		controller := s.controller(&gw, m.Routes)
		key := controller + " " + strings.Join(addresses, ",")
		if len(addresses) == 0 {
			key = idOf(&gw).String()
		}
		i, ok := at[key]
		if !ok {
			i = len(sites)
			at[key] = i
			sites = append(sites, Site{Controller: controller})
		}
		sites[i].Gateways = append(sites[i].Gateways, gw)
	}
	for i := range sites {
		for _, route := range m.Routes {
			if route, ok := route.Within(sites[i].Gateways); ok {
				sites[i].Routes = append(sites[i].Routes, route)
			}
		}
	}
	return sites
}

// recognised tells whether the implementation's own answers are told from others' at the port of a request: by one that only it can give, asked for
// once. Where another one comes, as through a proxy in front of it or from a release that answers otherwise, they are not. No answer at all says
// nothing. On a cluster of kindgate's own, the controls see to it.
func recognised(ctx context.Context, t trial) bool {
	if !t.Careful || t.Unfamiliar {
		return true
	}
	ask, _ := t.s.view(t.Proof).recognises.LoadOrStore(t.request.Port, sync.OnceValue(func() bool {
		return trial{t.Proof, t.itself(t.request, t.served(t.s), t.known(t.s)), t.s}.proveItself(ctx).Cause != Stranger
	}))
	return ask.(func() bool)()
}

// unrecognised is the same proof by an implementation whose own answers cannot be told from others'.
func unrecognised(t trial) *Proof {
	v := t.s.view(t.Proof)
	v.plain.Do(func() {
		plain := *t.Proof
		plain.Implementation = t.Unrecognised()
		v.unfamiliar = &plain
	})
	return v.unfamiliar
}

// Missing are those of some namespaces that the cluster does not have, as far as that can be read, each with one that it has whose name is
// nearest to it.
func (s *Snapshot) Missing(namespaces []string) map[string]string {
	var have []string
	for i := range s.Namespaces {
		have = append(have, s.Namespaces[i].Name)
	}
	missing := map[string]string{}
	for _, name := range namespaces {
		if len(have) > 0 && s.has(namespaceKind.Kind, "") && !slices.Contains(have, name) {
			missing[name] = slices.MinFunc(have, func(a, b string) int { return spelling.Apart(a, name, 99) - spelling.Apart(b, name, 99) })
		}
	}
	return missing
}

// controller returns the name of a Gateway's controller, by its class or, where that cannot be read, by who has judged the Gateway's routes.
func (s *Snapshot) controller(gw *gatewayv1.Gateway, routes []gateway.Route) string {
	for _, class := range s.Classes {
		if class.Name == string(gw.Spec.GatewayClassName) {
			return string(class.Spec.ControllerName)
		}
	}
	for i := range routes {
		if name := routes[i].JudgedBy(idOf(gw)); name != "" && !s.has(ClassKind.Kind, "") {
			return name
		}
	}
	return ""
}
