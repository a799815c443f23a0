package stack

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/semver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/proof"
)

// A beneath is what the files would be applied to: the objects that a cluster has, and its definitions of the Gateway API's kinds.
type beneath struct {
	objects, definitions []kube.Object
	kubernetes           string // its version, as v1.37.2
	bare                 bool   // it has no definitions of the Gateway API, or older ones: up installs those that kindgate brings
	faults               []fault
}

// beneathKinds are those of the objects that files may name, or whose requests they may take. Not every cluster has all of them.
var beneathKinds = []schema.GroupVersionKind{proof.ClassKind, proof.GatewayKind, proof.HTTPRouteKind, corev1.SchemeGroupVersion.WithKind("Service"),
	corev1.SchemeGroupVersion.WithKind("Namespace"), proof.PodKind, proof.GRPCRouteKind, {Group: crds.Group, Version: "v1beta1", Kind: "ReferenceGrant"}}

// beneath reads what the cluster of the context has. What is judged of the files depends on all of it: where a part of it may not be read, or is
// not there, that is said, and the files are judged alone. Its error is one of the context, or that the cluster cannot be read.
func (e *examiner) beneath(ctx context.Context) (b beneath, err error) {
	at, _, err := e.reader()
	if err != nil {
		return b, err
	}
	alone := func(why string) (beneath, error) {
		return beneath{faults: []fault{{at: "context " + at.Context, Finding: check.Finding{Verdict: check.Warns, Found: why + ": the files are judged alone"}}}}, nil
	}
	known, err := at.Client.Known(proof.GatewayKind)
	switch {
	case err != nil:
		return b, fmt.Errorf("context %s: %w", at.Context, err)
	case !known:
		b, _ = alone(proof.ErrNoGatewayAPI.Error())
		b.bare = true
		b.kubernetes, err = e.version(ctx, at.Client)
		return b, err
	}
	for _, kind := range beneathKinds {
		if known, err := at.Client.Known(kind); err == nil && !known {
			continue
		}
		objects, err := at.Client.List(ctx, kind, "")
		switch {
		case apierrors.IsForbidden(err):
			return alone(proof.Unlisted(kind, ""))
		case err != nil:
			return b, fmt.Errorf("context %s: list %s: %w", at.Context, kind.Kind, err)
		}
		for j := range objects {
			b.objects = append(b.objects, kube.Object{Unstructured: &objects[j], Source: "context " + at.Context})
		}
	}
	if b.kubernetes, err = e.version(ctx, at.Client); err != nil {
		return b, err
	}
	return b, e.defined(ctx, at.Client, &b)
}

func (e *examiner) version(ctx context.Context, client *kube.Client) (string, error) {
	version, err := client.Version(ctx)
	if err != nil {
		err = fmt.Errorf("context %s: %w", e.config.Context, err)
	}
	return version, err
}

// defined adds the cluster's definitions of the Gateway API's kinds that the files have. Where these may not be read, they are taken to be those
// that kindgate installs, which is said.
func (e *examiner) defined(ctx context.Context, client *kube.Client, b *beneath) error {
	names := []string{proof.Plural(proof.GatewayKind) + "." + crds.Group} // which is there
	for _, object := range e.inputs.routes {
		names = append(names, proof.Plural(object.GroupVersionKind())+"."+crds.Group)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		definition, err := client.Get(ctx, crdKind, "", name)
		switch {
		case apierrors.IsForbidden(err):
			b.definitions = nil
			b.faults = append(b.faults, fault{at: "context " + e.config.Context, Finding: check.Finding{Verdict: check.Warns,
				Found: "cannot get customresourcedefinitions: Forbidden: the files are judged by the definitions that kindgate installs"}})
			return nil
		case err != nil:
			return err
		case definition != nil && older(definition):
			bundle, _ := crds.BundleOf(definition)
			b.definitions, b.bare = nil, true
			b.faults = append(b.faults, fault{at: "context " + e.config.Context, Finding: check.Finding{Verdict: check.Warns,
				Found: "the cluster has the Gateway API " + bundle.String() + ": the files are judged by the newer definitions that kindgate would install"}})
			return nil
		case definition != nil:
			b.definitions = append(b.definitions, kube.Object{Unstructured: definition, Source: "context " + e.config.Context})
		}
	}
	return nil
}

// older tells whether a definition is of an earlier release than kindgate's, which up refuses or replaces.
func older(definition *unstructured.Unstructured) bool {
	bundle, _ := crds.BundleOf(definition)
	pinned, err := crds.Version()
	return err == nil && semver.IsValid(bundle.Version) && semver.Compare(bundle.Version, pinned) < 0
}

// provides tells whether the cluster has all GatewayClasses that a chart renders, so that somebody, perhaps kindgate, has installed it already.
func (b beneath) provides(rendered []kube.Object) bool {
	return len(b.objects) > 0 && !slices.ContainsFunc(rendered, func(o kube.Object) bool {
		return o.GetKind() == proof.ClassKind.Kind && !slices.ContainsFunc(b.objects, func(live kube.Object) bool {
			return live.GetKind() == o.GetKind() && live.GetName() == o.GetName()
		})
	})
}

// by is the implementation that serves the Gateways of the cluster and of the files: one of which nothing is known, unless all are of one.
func (b beneath) by(files []kube.Object) *implementation.Implementation {
	controllers := b.controllers(files)
	if len(controllers) > 1 || len(controllers) == 1 && !controllers[serving.Controller] {
		return implementation.Of("")
	}
	return serving
}

// controllers are those that the GatewayClasses of the cluster and of some files name.
func (b beneath) controllers(files []kube.Object) map[string]bool {
	controllers := map[string]bool{}
	for _, objects := range [][]kube.Object{b.objects, files} {
		for _, o := range objects {
			if controller, _, _ := unstructured.NestedString(o.Object, "spec", "controllerName"); o.GetKind() == proof.ClassKind.Kind {
				controllers[controller] = true
			}
		}
	}
	return controllers
}
