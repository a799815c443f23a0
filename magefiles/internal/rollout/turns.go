package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/readiness"
)

// Apply is the client's Apply for objects among which may be admission webhooks and what serves them. A webhook's configuration is applied
// when the workloads behind its Service are up, and the objects that it must see after it. An object that is refused because a webhook does
// not answer is tried again until it does, or until its pods are in trouble that does not pass by itself, nor by what is still on its way of
// objects and of beside, which are what else the run has applied. report is told what is waited for.
func Apply(ctx context.Context, client *kube.Client, objects, beside []kube.Object, report func(string)) ([]kube.Change, error) {
	t := &turns{client: client, objects: objects, beside: beside, report: report,
		changes: make([]kube.Change, len(objects)), had: make([]chan struct{}, len(objects))}
	t.servers, t.after = readiness.WebhookOrder(objects)
	groups := map[string][]int{} // what waits for the same has its turn together
	for i := range objects {
		t.had[i] = make(chan struct{})
		t.changes[i].Object = objects[i]
		key := fmt.Sprint(t.after[i])
		if len(t.servers[i]) > 0 {
			key = objects[i].Name()
		}
		groups[key] = append(groups[key], i)
	}
	first := fmt.Sprint([]int(nil))
	t.apply(ctx, groups[first])
	delete(groups, first)
	for _, group := range groups {
		t.running.Go(func() { t.take(ctx, group) })
	}
	t.running.Wait()
	return t.changes, kube.Errors(t.changes)
}

// turns are the groups of objects that are applied one after another.
type turns struct {
	client  *kube.Client
	objects []kube.Object
	beside  []kube.Object // what else the run has applied
	report  func(string)
	servers [][]int         // the workloads that serve a webhook configuration, by its index
	after   [][]int         // the configurations that an object comes after
	had     []chan struct{} // closed when an object has had its turn
	running sync.WaitGroup
	changes []kube.Change
}

// take applies a group when what it waits for is there: a configuration's pods, or the configurations before an object.
func (t *turns) take(ctx context.Context, group []int) {
	problem := t.awaitServers(ctx, t.servers[group[0]])
	for _, before := range t.after[group[0]] {
		if err := t.turn(before); err != nil {
			problem = fmt.Errorf("it is not applied, as %s must see it, and failed", t.objects[before].Name())
		}
	}
	if problem == nil {
		t.apply(ctx, group)
		return
	}
	for _, i := range group {
		t.changes[i].Err = t.objects[i].Failed(problem)
		close(t.had[i])
	}
}

// turn returns what became of an object, when it has had its turn.
func (t *turns) turn(i int) error {
	<-t.had[i]
	return t.changes[i].Err
}

// awaitServers waits until the workloads that serve a configuration are up. All others of the run may bring what they lack.
func (t *turns) awaitServers(ctx context.Context, servers []int) error {
	for _, i := range servers {
		if err := t.turn(i); err != nil {
			return fmt.Errorf("it is not applied, as %s, which serves it, was not", t.objects[i].Name())
		}
	}
	if len(servers) == 0 {
		return nil
	}
	others := slices.Clone(t.beside)
	for i, object := range t.objects {
		if !slices.Contains(servers, i) {
			others = append(others, object)
		}
	}
	if err := newWait(t.client, pick(t.objects, servers), others, t.report).run(ctx); err != nil {
		return fmt.Errorf("it is not applied before its pods are ready: %w", err)
	}
	return nil
}

func pick(objects []kube.Object, indices []int) []kube.Object {
	picked := make([]kube.Object, len(indices))
	for n, i := range indices {
		picked[n] = objects[i]
	}
	return picked
}

// apply applies a group, and tries again those that a webhook has kept back.
func (t *turns) apply(ctx context.Context, group []int) {
	objects := pick(t.objects, group)
	live, err := t.client.Live(ctx, objects)
	if err != nil {
		for _, i := range group {
			t.changes[i].Err = err
			close(t.had[i])
		}
		return
	}
	changes, _ := t.client.ApplyTo(ctx, objects, live)
	for n, i := range group {
		t.changes[i] = changes[n]
		if !readiness.Unanswered(changes[n].Err) {
			close(t.had[i])
			continue
		}
		t.running.Go(func() {
			defer close(t.had[i])
			t.changes[i] = t.retry(ctx, t.objects[i], changes[n].Err)
		})
	}
}

// retry applies an object again and again while a webhook does not answer, and returns its last refusal when it will not. What else the run
// has applied, and is on its way, may be what the webhook waits for.
func (t *turns) retry(ctx context.Context, object kube.Object, refusal error) kube.Change {
	failed := func(err error) kube.Change { return kube.Change{Object: object, Err: err} }
	others, history, ready := newWait(t.client, slices.Concat(t.objects, t.beside), nil, t.report), readiness.NewHistory(time.Time{}), time.Time{}
	for {
		state, err := t.serving(ctx, object, refusal)
		if err != nil {
			return failed(errors.Join(refusal, err))
		}
		beside, err := others.poll(ctx)
		if err != nil {
			return failed(errors.Join(refusal, err))
		}
		for i := range beside {
			beside[i].Beside = true
		}
		now := time.Now()
		state.Name = state.WaitingFor // each of its states counts for itself
		verdict := history.Judge(append(beside, state), now)
		if state.Done && ready.IsZero() {
			ready = now
		}
		if state.Done && min(now.Sub(ready), history.Idle(beside, now)) >= limits.KubeletRetry || len(verdict.Broken) > 0 {
			return failed(fmt.Errorf("%w\n  waited for %s", refusal, state.WaitingFor))
		}
		t.report("waiting for " + object.Name() + ": " + state.WaitingFor)
		select {
		case <-ctx.Done():
			return failed(fmt.Errorf("%w while waiting for %s; last: %w", context.Cause(ctx), state.WaitingFor, refusal))
		case <-time.After(limits.LookAgain / 2):
		}
		live, err := t.client.Get(ctx, object.GroupVersionKind(), object.GetNamespace(), object.GetName())
		if readiness.Unanswered(err) {
			refusal = object.Failed(err)
			continue
		}
		if err != nil {
			return failed(object.Failed(err))
		}
		changes, err := t.client.ApplyTo(ctx, []kube.Object{object}, []*unstructured.Unstructured{live})
		if !readiness.Unanswered(err) {
			return changes[0]
		}
		refusal = changes[0].Err
	}
}

// serving looks at what serves the webhook that a refusal names.
func (t *turns) serving(ctx context.Context, object kube.Object, refusal error) (readiness.State, error) {
	name, ok := readiness.WebhookService(refusal)
	if !ok {
		return readiness.Outside(object), nil
	}
	service, err := t.client.Get(ctx, serviceKind, name.Namespace, name.Name)
	if err != nil {
		return readiness.State{}, err
	}
	pods, err := podsIn(ctx, t.client, name.Namespace)
	if err != nil {
		return readiness.State{}, err
	}
	expected := slices.ContainsFunc(slices.Concat(t.objects, t.beside), func(o kube.Object) bool {
		return o.GetKind() == serviceKind.Kind && o.GetNamespace() == name.Namespace && o.GetName() == name.Name
	})
	state := readiness.Behind(object, name, service, pods, expected, readiness.Refusing(refusal), time.Now())
	if service == nil || len(readiness.Selected(service, pods)) > 0 {
		return state, nil
	}
	for _, kind := range controllerKinds {
		workloads, err := t.client.List(ctx, kind, name.Namespace)
		if err != nil {
			return state, err
		}
		for i := range workloads {
			if !readiness.Serves(service, &workloads[i]) || !readiness.LacksPods(&workloads[i]) {
				continue
			}
			trouble, err := selfGuarded(ctx, t.client, &workloads[i], tryPod(ctx, t.client, &workloads[i]))
			if err != nil {
				return state, err
			}
			state.Blame(&workloads[i], trouble)
		}
	}
	return state, nil
}
