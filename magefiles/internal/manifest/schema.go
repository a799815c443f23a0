package manifest

import (
	"context"
	"io/fs"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
)

// Schemas judges objects by what is known of their kinds without a cluster, as the API server of a new one would when they are applied.
type Schemas struct {
	// Standard and Experimental are folders with the Gateway API's definitions, by channel. A new cluster has those of the standard channel;
	// the others, which may be nil, only tell what is of their channel.
	Standard, Experimental fs.FS
	// Live are the definitions that a cluster has of the Gateway API's kinds among the objects, and it has no others; nil for a new one.
	Live []kube.Object
	// Kubernetes is the version of the cluster's nodes, as v1.37.2; empty where it is not known.
	Kubernetes string
	// Passed remembers what is not judged again; nil to judge everything.
	Passed *Passed
}

// Problems returns what is wrong with objects, in their order, all of it: with custom resources by the definition of their kind, which
// is the manifests' own before the Gateway API's, and with Kubernetes' kinds by what the nodes' Kubernetes serves. A kind of another group
// without a definition is not judged.
func (s Schemas) Problems(ctx context.Context, objects []kube.Object) []Problem {
	kinds := map[schema.GroupVersionKind][]int{}
	for i, o := range objects {
		kinds[o.GroupVersionKind()] = append(kinds[o.GroupVersionKind()], i)
	}
	own := definitions(s.Live)
	maps.Copy(own, definitions(objects))
	problems := make([][]Problem, len(objects))
	var judges errgroup.Group
	for gvk, members := range kinds {
		judges.Go(func() error {
			of := make([]kube.Object, len(members))
			for n, i := range members {
				of[n] = objects[i]
			}
			definition := own[gvk.GroupKind()]
			on := []any{definition.content(), len(s.Live) > 0, s.Kubernetes}
			judged := s.Passed.judge(gvk, of, on, func() [][]Problem { return s.judge(ctx, gvk, of, definition) })
			for n, found := range judged {
				problems[members[n]] = found
			}
			return nil
		})
	}
	_ = judges.Wait()
	return slices.Concat(problems...)
}

// judge returns what is wrong with each of the objects, which are of one kind and version. own is the manifests' definition of the kind.
func (s Schemas) judge(ctx context.Context, gvk schema.GroupVersionKind, objects []kube.Object, own *definition) [][]Problem {
	if own == nil && kubernetes.IsGroupRegistered(gvk.Group) {
		return s.builtin(gvk, objects)
	}
	definition, err := own, error(nil)
	if own == nil && len(s.Live) > 0 && gvk.Group == crds.Group {
		return each(objects, func(o kube.Object) []Problem {
			return []Problem{wrong(o, "kind", "leave it out, or put the definition of its kind into the manifests", "the cluster has no definition of the kind %s", gvk.Kind)}
		})
	}
	if own == nil {
		definition, err = released(s.Standard, gvk)
	}
	switch {
	case err != nil:
		return each(objects, func(o kube.Object) []Problem { return []Problem{unjudged(o, err)} })
	case definition != nil:
		return s.custom(ctx, definition, gvk, objects, own == nil)
	case gvk.Group == crds.Group:
		return each(objects, func(o kube.Object) []Problem { return []Problem{s.undefined(o)} })
	}
	return make([][]Problem, len(objects))
}

// each calls judge for each of the objects, side by side, and returns what it found.
func each(objects []kube.Object, judge func(kube.Object) []Problem) [][]Problem {
	found := make([][]Problem, len(objects))
	inParallel(len(objects), func(i int) { found[i] = judge(objects[i]) })
	return found
}

// inParallel calls do for each index below n, as many at once as there are processors.
func inParallel(n int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = group.Wait()
}
