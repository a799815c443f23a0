package manifest

import (
	"cmp"
	"slices"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gatewayv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/spelling"
)

// References returns what is wrong with what the objects of a folder name in each other, in the objects' order: parents, backends, selectors,
// certificates, and rules that never get a request. provided is what the implementation's chart renders; where it is empty, nothing is judged
// that depends on it. An object that is in neither may be in the cluster: that it is missing is only said where that is certain, or where
// another one seems to be meant. What cannot be read as its kind is passed over, as its schema says more. now is the time for certificates.
func References(objects, provided []kube.Object, by *implementation.Implementation, now time.Time) []Problem {
	return ReferencesOn(nil, objects, provided, by, now)
}

// ReferencesOn is References for a cluster that has the objects live already, and so do the objects of the folder, which take the place of those of
// their names: its Gateways, classes, routes, Services, pods, Namespaces and ReferenceGrants must all be among them. An object that is missing there,
// too, is said to be, and so is a match of the cluster's whose requests the folder's would take.
func ReferencesOn(live, objects, provided []kube.Object, by *implementation.Implementation, now time.Time) []Problem {
	f := newFolder(live, objects, provided, by, now)
	var problems []Problem
	for _, o := range objects {
		problems = append(problems, dumped(o)...)
		problems = append(problems, f.judge(o)...)
	}
	return problems
}

func (f *folder) judge(o kube.Object) []Problem {
	gvk := o.GroupVersionKind()
	switch {
	case gvk.Group == gatewayv1.GroupName && gvk.Kind == "Gateway":
		return f.gateway(o)
	case gvk.Group == gatewayv1.GroupName && protocols[gvk.Kind] != nil:
		return f.route(o)
	case gvk.Group == "" && gvk.Kind == "Service":
		return f.service(o)
	case gvk.Group == "" && gvk.Kind == "Secret":
		return f.certificate(o)
	}
	return f.workload(o)
}

// A key names an object in the folder, of whatever version.
type key struct{ group, kind, namespace, name string }

func (k key) String() string {
	return check.ID{Kind: k.kind, Namespace: k.namespace, Name: k.name}.String()
}

// keyOf returns an object's key: an object without a namespace is applied to the default one.
func keyOf(o kube.Object) key {
	gvk := o.GroupVersionKind()
	k := key{gvk.Group, gvk.Kind, cmp.Or(o.GetNamespace(), "default"), o.GetName()}
	if kube.ClusterScoped(gvk.GroupKind()) {
		k.namespace = ""
	}
	return k
}

// A folder is the objects that can be named.
type folder struct {
	by       *implementation.Implementation
	now      time.Time
	rendered bool // what the chart provides is known, or what the cluster has
	provided []kube.Object
	live     map[key]bool
	where    string // all that is known is
	objects  []kube.Object
	byKey    map[key]kube.Object
	byKind   map[string][]key // in the objects' order
	grants   []gatewayv1beta1.ReferenceGrant
	gateways map[key][]*listener
	pods     map[string][]*pod // by namespace
	ports    []entryPoint      // of the implementation
	routes   map[key]*route
	// presented are the Secrets that listeners name.
	presented map[key]bool
	shadows   map[check.ID][]gateway.Shadow
	strays    map[check.ID][]gateway.Stray
}

func newFolder(live, objects, provided []kube.Object, by *implementation.Implementation, now time.Time) *folder {
	f := &folder{by: by, now: now, rendered: len(provided)+len(live) > 0, provided: provided, live: map[key]bool{}, where: "in the manifests",
		byKey: map[key]kube.Object{}, byKind: map[string][]key{}, gateways: map[key][]*listener{}, pods: map[string][]*pod{}, routes: map[key]*route{},
		presented: map[key]bool{}, shadows: map[check.ID][]gateway.Shadow{}, strays: map[check.ID][]gateway.Stray{}, ports: entryPoints(provided)}
	for _, o := range provided {
		if o.GetNamespace() == "" {
			o = kube.Object{Unstructured: o.DeepCopy(), Source: o.Source}
			o.SetNamespace(by.Namespace) // as Helm does
		}
		f.objects = append(f.objects, o)
	}
	if len(live) > 0 {
		f.where += " or the cluster"
		written := map[key]bool{}
		for _, o := range objects {
			written[keyOf(o)] = true
		}
		for _, o := range live {
			if k := keyOf(o); !written[k] {
				f.live[k] = true
				f.objects = append(f.objects, o)
			}
		}
	}
	f.objects = append(f.objects, objects...)
	for _, o := range f.objects {
		k := keyOf(o)
		if _, ok := f.byKey[k]; !ok {
			f.byKind[k.kind] = append(f.byKind[k.kind], k)
		}
		f.byKey[k] = o
		if pod, ok := podOf(o); ok {
			f.pods[k.namespace] = append(f.pods[k.namespace], &pod)
		}
	}
	for _, o := range of(f.objects, gatewayv1.GroupName, "ReferenceGrant") {
		if grant, ok := read[gatewayv1beta1.ReferenceGrant](o); ok {
			f.grants = append(f.grants, *grant)
		}
	}
	for _, o := range of(f.objects, gatewayv1.GroupName, "Gateway") {
		f.gateways[keyOf(o)] = listenersOf(f, o)
		for _, l := range f.gateways[keyOf(o)] {
			_, secrets := secretsOf(l)
			for _, secret := range secrets {
				f.presented[secret] = true
			}
		}
	}
	f.attachRoutes()
	f.compile()
	return f
}

// has returns an object of the folder, the chart or the cluster.
func (f *folder) has(k key) (kube.Object, bool) {
	o, ok := f.byKey[k]
	return o, ok
}

// meant returns the object that is probably meant by the key of one that is not there: of that name in another namespace, or of nearly that
// name in its own.
func (f *folder) meant(k key) (key, bool) {
	all := f.byKind[k.kind]
	for _, is := range []func(key) bool{
		func(o key) bool { return o.group == k.group && o.name == k.name },
		func(o key) bool {
			return o.group == k.group && o.namespace == k.namespace && spelling.Near(o.name, k.name)
		},
	} {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], true
		}
	}
	return key{}, false
}

// write says what to write where an object is named, to name the one that is meant.
func (k key) write(meant key) string {
	if k.namespace != meant.namespace {
		return "write namespace: " + meant.namespace
	}
	return "write name: " + meant.name
}

// read returns an object as a Go type of its kind, and false where it is none.
func read[T any](o kube.Object) (*T, bool) {
	var typed T
	err := gotype.Decode(o.Object, &typed)
	return &typed, err == nil
}
