package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/plan"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// Prune deletes what kindgate has created and the manifests no longer have, where KINDGATE_PRUNE says so, and names what it leaves.
func (s *objectSteps) Prune(ctx context.Context) error {
	client, err := s.kube()
	if err != nil {
		return s.run.Failed("prune", "", err)
	}
	store, err := s.inventory()
	if err != nil {
		return s.run.Failed("prune", "", err)
	}
	gone, err := s.gone(ctx, client, store)
	if err != nil {
		return s.run.Failed("prune", "", err)
	}
	s.sayGone(gone)
	list, err := store.List(ctx)
	if err != nil {
		return s.run.Failed("prune", "", err)
	}
	if lost := unlisted(s.inputs.objects, list); len(lost) > 0 {
		s.run.Note(fmt.Sprintf("%s does not have what kindgate has applied: %s. Somebody has deleted or edited it. Whether these were there before kindgate is not known "+
			"any more, so they stay when kindgate deletes what it has made.", store.Object().Name(), shortened(lost)))
	}
	doomed := s.pruned(gone)
	if len(doomed) == 0 {
		return nil
	}
	s.proven = nil
	return s.run.Step("prune", func(step *ui.Step) (result.Result, string, error) {
		deleted, err := s.removeAll(ctx, client, doomed, step.Report)
		if err != nil {
			return "", "", err
		}
		return "deleted", count(len(deleted), "object"), store.Forget(ctx, deleted)
	})
}

// unlisted names the objects that a list does not have.
func unlisted(objects []kube.Object, list inventory.List) []string {
	var all inventory.List
	for _, o := range objects {
		all = append(all, inventory.EntryOf(o))
	}
	var names []string
	for _, o := range all.Without(list.Objects()).Objects() {
		names = append(names, o.Name())
	}
	return names
}

// removeAll deletes the objects of a list, those first that were applied last, and returns those that it has deleted. Those that others have made
// anew, and those with which objects of others would go, are left, and said.
func (s *session) removeAll(ctx context.Context, client *kube.Client, list inventory.List, report func(string)) (inventory.List, error) {
	ordered := slices.Clone(list)
	slices.Reverse(ordered)
	slices.SortStableFunc(ordered, func(a, b inventory.Entry) int { return rank(a) - rank(b) })
	var deleted inventory.List
	for _, e := range ordered {
		held, err := holds(ctx, client, e)
		if err != nil {
			return deleted, err
		}
		if len(held) > 0 {
			s.run.Note(fmt.Sprintf("%s stays, as it is not empty: %s.", e.Object().Name(), shortened(held)))
			continue
		}
		report("deleting " + e.Object().Name())
		removed, err := client.Remove(ctx, e.Object())
		switch {
		case errors.Is(err, kube.ErrOthers):
			s.run.Note("Left as it is: " + err.Error() + ".")
		case err != nil:
			return deleted, err
		case removed:
			deleted = append(deleted, e)
		}
	}
	return deleted, nil
}

// holds returns the names of the objects that would be deleted with one: those in a namespace but for the inventory, and those of the kind that
// a definition defines.
func holds(ctx context.Context, client *kube.Client, e inventory.Entry) ([]string, error) {
	switch e.Kind.GroupKind() {
	case crdKind.GroupKind():
		return client.Instances(ctx, e.Name)
	case namespaceObject("").GroupVersionKind().GroupKind():
		held, err := client.Contents(ctx, e.Name)
		return slices.DeleteFunc(held, func(name string) bool { return name == "ConfigMap/"+serving.Namespace+"/"+inventory.Name }), err
	}
	return nil, nil
}

// rank is the place of an object in the order of deletion: routes before what serves them, and what others need last.
func rank(e inventory.Entry) int {
	if e.Kind.Group == crds.Group {
		return 0
	}
	return 1 + kube.Workloads - e.Object().Tier()
}

// A withdrawal takes out of somebody's cluster what kindgate has brought there, and nothing else.
type withdrawal struct {
	*session
	client *kube.Client
	cfg    *rest.Config
	store  *inventory.Store
}

// withdraw is teardown on the cluster of a context. It asks first.
func (s *Stack) withdraw(ctx context.Context) error {
	w := &withdrawal{session: s.session}
	var list inventory.List
	err := s.run.Part("withdraw", func(*ui.Step) (_ result.Result, _ string, err error) {
		if err = w.connect(ctx); err == nil {
			list, err = w.store.List(ctx)
		}
		return "", "", err
	})
	if err != nil {
		return err
	}
	if len(list) > 0 { // outside of the step, whose live line would be drawn over the question
		var left inventory.List
		if left, err = w.left(ctx, list.Created()); err == nil {
			w.sayDoomed(list, left)
			_, err = s.approve(ctx, "Delete this from the cluster of "+s.farName()+"?")
		}
	}
	return s.run.Step("withdraw", func(step *ui.Step) (result.Result, string, error) {
		switch {
		case err != nil:
			return "", "", err
		case len(list) == 0:
			return "absent", "there is no inventory in the cluster of " + s.farName() + ", so nothing there is known to be made by kindgate", nil
		}
		return w.run(ctx, list.Created(), step.Report)
	})
}

// connect waits for its turn, and prepares to write to the cluster, unless that is kindgate's own.
func (w *withdrawal) connect(ctx context.Context) error {
	if err := w.lock(); err != nil {
		return err
	}
	cfg, err := w.far()
	if err != nil {
		return err
	}
	w.cfg = kube.Patient(w.session.run.Context(), cfg, w.session.run.Note)
	if w.client, err = kube.New(w.cfg, kube.Options{Kubectl: w.proof.Place.Kubectl("")}); err != nil {
		return err
	}
	w.store = inventory.NewStore(w.client, serving.Namespace)
	return checkOthers(ctx, w.client, w.config.Context)
}

// run deletes what kindgate has created: what others depend on last.
func (w *withdrawal) run(ctx context.Context, created inventory.List, report func(string)) (result.Result, string, error) {
	last := func(e inventory.Entry) bool {
		return e.Kind.Kind == "Namespace" || e.Kind == crdKind || e == releaseEntry
	}
	deleted, err := w.removeAll(ctx, w.client, slices.DeleteFunc(slices.Clone(created), last), report)
	if err != nil {
		return "", "", err
	}
	for _, remove := range []func(context.Context, inventory.List, func(string)) (inventory.List, error){w.uninstall, w.removeDefinitions, w.removeNamespaces} {
		more, err := remove(ctx, created, report)
		if err != nil {
			return "", "", err
		}
		deleted = append(deleted, more...)
	}
	left, err := w.left(ctx, created)
	if err != nil {
		return "", "", err
	}
	if len(left) == 0 {
		_, err = w.client.Remove(ctx, w.store.Object())
	} else { // the next teardown must know of it
		err = w.store.Forget(ctx, slices.DeleteFunc(slices.Clone(created), func(e inventory.Entry) bool { return slices.Contains(left, e) }))
	}
	return "deleted", count(len(deleted), "object"), err
}

// left are those of the objects that kindgate has created that are in the cluster, and still are the ones that it has created.
func (w *withdrawal) left(ctx context.Context, created inventory.List) (inventory.List, error) {
	objects := slices.DeleteFunc(slices.Clone(created), func(e inventory.Entry) bool { return e == releaseEntry })
	left, err := there(ctx, w.client.With(kube.Options{DryRun: true}), objects) // which waits for no kind that is gone
	if err != nil || len(objects) == len(created) {
		return left, err
	}
	stored, err := w.helm().Stored(w.cfg)
	if stored != nil && stored.Ours {
		left = append(left, releaseEntry)
	}
	return left, err
}

// sayDoomed prints what would be deleted, left being those of the list that kindgate has created and that are there, and what stays.
func (w *withdrawal) sayDoomed(list, left inventory.List) {
	var lines []string
	for _, e := range list {
		line := planLine{Plan: plan.Leave, Object: e.Object().Name(), Fields: []string{}}
		switch {
		case e.Before:
			line.Note = "it was there before"
		case slices.Contains(left, e):
			line.Plan = plan.Delete
		default:
			line.Note = "it is gone, or somebody has made another of its name"
		}
		w.ui.Object(line)
		if line.Plan == plan.Delete {
			lines = append(lines, "  - delete    "+line.Object)
		} else {
			lines = append(lines, "    leave     "+line.Object+"  ("+line.Note+")")
		}
	}
	w.ui.Print(lines...)
}

// uninstall takes out the Helm release, where kindgate has installed it.
func (w *withdrawal) uninstall(ctx context.Context, created inventory.List, report func(string)) (inventory.List, error) {
	if !slices.Contains(created, releaseEntry) {
		return nil, nil
	}
	stored, err := w.helm().Stored(w.cfg)
	if err != nil || stored == nil || !stored.Ours {
		return nil, err
	}
	objects, err := objectsOf(stored)
	if err != nil {
		return nil, err
	}
	if err := checkDeletion(ctx, w.client, objects); err != nil {
		return nil, err
	}
	report("uninstalling Helm release " + serving.Namespace + "/" + serving.Release)
	return inventory.List{releaseEntry}, w.helm().Uninstall(ctx, w.cfg)
}

// removeDefinitions deletes the definitions that kindgate has created, unless any object of their API group is left: with one of its kinds gone, a
// controller may serve none of the others.
func (w *withdrawal) removeDefinitions(ctx context.Context, created inventory.List, report func(string)) (inventory.List, error) {
	definitions := slices.DeleteFunc(slices.Clone(created), func(e inventory.Entry) bool { return e.Kind != crdKind })
	definitions, err := there(ctx, w.client, definitions)
	if err != nil {
		return nil, err
	}
	groups := map[string]inventory.List{}
	left := map[string][]string{}
	for _, e := range definitions {
		_, group, _ := strings.Cut(e.Name, ".") // the name is <plural>.<group>
		objects, err := w.client.Instances(ctx, e.Name)
		if err != nil {
			return nil, err
		}
		groups[group], left[group] = append(groups[group], e), append(left[group], objects...)
	}
	var deleted inventory.List
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if len(left[group]) > 0 {
			w.ui.Note(fmt.Sprintf("The definitions of %s that kindgate has created stay, as there are objects of theirs: %s.", group, shortened(left[group])))
			continue
		}
		removed, err := w.removeAll(ctx, w.client, groups[group], report)
		if err != nil {
			return nil, err
		}
		deleted = append(deleted, removed...)
	}
	return deleted, nil
}

// removeNamespaces deletes those that kindgate has created and that are empty. That of the inventory is the last, and stays while anything else
// does that kindgate has created.
func (w *withdrawal) removeNamespaces(ctx context.Context, created inventory.List, report func(string)) (inventory.List, error) {
	namespaces := slices.DeleteFunc(slices.Clone(created), func(e inventory.Entry) bool { return e.Kind.Kind != "Namespace" })
	slices.SortStableFunc(namespaces, func(a, b inventory.Entry) int {
		return map[bool]int{true: 1}[a.Name == serving.Namespace] - map[bool]int{true: 1}[b.Name == serving.Namespace]
	})
	var deleted inventory.List
	for _, e := range namespaces {
		if e.Name == serving.Namespace {
			others := slices.DeleteFunc(slices.Clone(created), func(other inventory.Entry) bool { return other == e })
			if left, err := w.left(ctx, others); err != nil || len(left) > 0 {
				return deleted, err
			}
		}
		removed, err := w.removeAll(ctx, w.client, inventory.List{e}, report)
		if err != nil {
			return deleted, err
		}
		deleted = append(deleted, removed...)
	}
	return deleted, nil
}

// shortened names the first few of many.
func shortened(names []string) string {
	if more := len(names) - 3; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), more)
	}
	return strings.Join(names, ", ")
}
