package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/plan"
	"kindgate/magefiles/internal/result"
)

// A planner finds out what up would do to the objects of a cluster, and changes nothing.
type planner struct {
	*session
	release *helmRelease
	objects *objectSteps
}

// A pending is what up would do. gone are objects that kindgate has applied and the manifests no longer have.
type pending struct {
	plan.Plan
	gone inventory.List
}

// errPending is the error of a plan that has something to do.
var errPending = errors.New("changes pending")

// Plan prints what up would do. Its error is that the cluster cannot be asked, that it would refuse something, or else that up would change
// something.
func (p *planner) Plan(ctx context.Context) error {
	found, err := p.plan(ctx)
	if err == nil {
		p.say(found)
		err = found.Err()
	}
	if err != nil {
		return p.run.Failed("plan", "", err)
	}
	if n := found.Pending(); n > 0 {
		return fmt.Errorf("%w: %d", errPending, n)
	}
	return nil
}

// plan asks the API server what applying everything would come to.
func (p *planner) plan(ctx context.Context) (pending, error) {
	cfg, state, err := p.reach(ctx)
	switch {
	case err != nil:
		return pending{}, err
	case cfg == nil && state == cluster.Absent:
		return p.fromNothing(ctx)
	case cfg == nil:
		return unanswered(p.config.Cluster, state), nil
	}
	client, err := kube.New(cfg, kube.Options{DryRun: true, TakeOver: p.config.Adopt, Kubectl: p.proof.Place.Kubectl("")})
	if err != nil {
		return pending{}, err
	}
	if p.config.Context != "" {
		if err := checkOthers(ctx, client, p.config.Context); err != nil {
			return pending{}, err
		}
	}
	defined, err := p.objects.lookAtDefinitions(ctx, client)
	if err != nil {
		return pending{}, err
	}
	certificate, err := p.plannedCertificate(ctx, client)
	if err != nil {
		return pending{}, err
	}
	var found pending
	for _, objects := range [][]kube.Object{defined.wanted, {namespaceObject(serving.Namespace)}, certificate, p.inputs.apps, p.inputs.routes} {
		changes, err := client.Apply(ctx, objects)
		if changes == nil && err != nil { // else each change has its own
			return pending{}, err
		}
		for _, change := range changes {
			found.Plan = append(found.Plan, plan.Of(change))
		}
	}
	release, err := p.planRelease(ctx, client, cfg)
	if err != nil {
		return pending{}, err
	}
	found.Plan = append(found.Plan, release...)
	if err := p.planRestarts(ctx, client, found.Plan); err != nil {
		return pending{}, err
	}
	store := inventory.NewStore(client, serving.Namespace)
	if found.gone, err = p.objects.gone(ctx, client, store); err != nil {
		return pending{}, err
	}
	for _, e := range p.pruned(found.gone) {
		found.Plan = append(found.Plan, plan.Object{Action: plan.Delete, Name: e.Object().Name(), Note: "it is no longer in " + manifestsDir})
	}
	kept, err := client.Live(ctx, []kube.Object{store.Object()})
	if err == nil && kept[0] == nil && found.Count(plan.Create)+found.Count(plan.TakeOver) > 0 {
		found.Plan = append(found.Plan, plan.Object{Action: plan.Create, Name: store.Object().Name(), Note: "the list of what kindgate applies"})
	}
	return found, err
}

// reach returns the way to the API server, by which nothing can be written; nil for kindgate's own cluster where it is not up, and what it is then.
func (p *planner) reach(ctx context.Context) (*rest.Config, cluster.State, error) {
	if p.config.Context != "" {
		cfg, err := p.far()
		if err != nil {
			return nil, "", err
		}
		return kube.DryRunOnly(kube.Patient(p.run.Context(), cfg, p.run.Note)), "", nil
	}
	observation, err := p.cluster.Observe(ctx)
	switch {
	case err != nil:
		return nil, "", err
	case observation.Foreign != nil:
		return nil, "", observation.Foreign
	case observation.State != cluster.Ready:
		return nil, observation.State, nil
	}
	p.cluster.Attach(ctx)
	return kube.DryRunOnly(observation.REST), observation.State, nil
}

// unanswered is the plan for a cluster that is there and does not answer: what up would do to what is in it cannot be said.
func unanswered(name string, state cluster.State) pending {
	return pending{Plan: plan.Plan{{Action: plan.Repair, Name: "cluster " + name, Note: fmt.Sprintf("it is %s, and does not answer: what up would do to what is in it is not known", state)}}}
}

// fromNothing is the plan for a cluster that is not there.
func (p *planner) fromNothing(ctx context.Context) (pending, error) {
	wanted, err := definitions(ctx)
	if err != nil {
		return pending{}, err
	}
	found := pending{Plan: plan.Plan{{Action: plan.Create, Name: "cluster " + p.config.Cluster}}}
	rendered, err := p.release.rendered()
	if err != nil {
		return pending{}, err
	}
	for _, objects := range [][]kube.Object{wanted, {namespaceObject(serving.Namespace)}, p.inputs.made(), p.inputs.apps, p.inputs.routes} {
		for _, o := range objects {
			found.Plan = append(found.Plan, plan.Object{Action: plan.Create, Name: o.Name()})
		}
	}
	found.Plan = append(found.Plan, plan.Object{Action: plan.Create, Name: releaseEntry.Object().Name()})
	found.Plan = append(found.Plan, plan.Chart(nil, allInRelease(rendered), nil, nil)...)
	return found, nil
}

// planRelease is what would become of the Helm release and of its objects.
func (p *planner) planRelease(ctx context.Context, client *kube.Client, cfg *rest.Config) (plan.Plan, error) {
	stored, todo, err := p.release.decide(ctx, client, cfg)
	name := releaseEntry.Object().Name()
	if err != nil {
		return plan.Plan{{Action: plan.Refuse, Name: name, Err: advised(err)}}, nil
	}
	var before []kube.Object
	if stored != nil {
		if before, err = objectsOf(stored); err != nil {
			return nil, err
		}
	}
	after := before
	if todo.result != result.Unchanged {
		if after, err = p.release.rendered(); err != nil {
			return nil, err
		}
	}
	all := plan.Plan{{Action: plan.ActionOf(todo.result), Name: name, Note: todo.reason}}
	return append(all, plan.Chart(allInRelease(before), allInRelease(after), allInRelease(todo.drifted), allInRelease(removed(before, after)))...), nil
}

// planRestarts adds to a plan for kindgate's own cluster which workloads would be restarted, as an image of theirs was rebuilt.
func (p *planner) planRestarts(ctx context.Context, client *kube.Client, found plan.Plan) error {
	if p.config.Context != "" {
		return nil
	}
	objects, _ := p.release.objects(p.cluster.Observation()) // what is wrong with the release, planRelease has said
	objects = slices.Concat(allInRelease(objects), p.inputs.apps)
	var err error
	if p.images, err = p.lookAtImages(ctx, objects); err != nil {
		p.run.Note("Whether images were rebuilt is not known: " + err.Error())
		return nil
	}
	outdated, err := p.outdated(ctx, client, objects)
	for _, o := range outdated {
		found.Restart(o.Object.Name(), o.Why())
	}
	return err
}

func allInRelease(objects []kube.Object) []kube.Object {
	all := make([]kube.Object, len(objects))
	for i, o := range objects {
		all[i] = inRelease(o)
	}
	return all
}

func (p *planner) say(found pending) {
	for _, one := range found.Plan {
		p.ui.Object(planLine{one.Action, one.Name, append([]string{}, one.Fields...), one.Said(), text(one.Err)})
	}
	p.ui.Print(found.Lines()...)
	p.sayGone(found.gone)
}

// sayGone names what the manifests no longer have, and is left.
func (s *session) sayGone(gone inventory.List) {
	if left := slices.DeleteFunc(slices.Clone(gone), func(e inventory.Entry) bool { return s.config.Prune && !e.Before }); len(left) > 0 {
		var names []string
		for _, e := range left {
			names = append(names, s.proof.Place.Kubectl("delete "+kube.Arguments(e.Object().Unstructured)))
		}
		text := "In the cluster, applied by kindgate, and no longer in " + manifestsDir + "/; left as it is. To delete it:\n" + strings.Join(names, "\n")
		if !s.config.Prune {
			text += "\nKINDGATE_PRUNE=yes has up delete what kindgate created of it."
		}
		s.run.Note(text)
	}
}

// pruned are those of gone that up deletes.
func (s *session) pruned(gone inventory.List) inventory.List {
	if !s.config.Prune {
		return nil
	}
	return gone.Created()
}

// approve asks whether something may be done to somebody's cluster. The error is that it may not.
func (s *session) approve(ctx context.Context, question string) (bool, error) {
	if s.config.Approve {
		return true, nil
	}
	if s.config.Output == "json" || !term.IsTerminal(int(os.Stdin.Fd())) {
		return false, errNotApproved
	}
	s.ui.Print(question + " [y/N]")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		if said == "y" || said == "yes" {
			return true, nil
		}
		return false, errNotApproved
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// gone are the objects in the cluster that kindgate has applied, and that are no longer among what is to be applied.
func (s *objectSteps) gone(ctx context.Context, client *kube.Client, store *inventory.Store) (inventory.List, error) {
	list, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	list = list.Without(slices.Concat([]kube.Object{namespaceObject(serving.Namespace), releaseEntry.Object()}, s.inputs.objects, s.inputs.made()))
	list = slices.DeleteFunc(list, func(e inventory.Entry) bool { return e.Kind == crdKind && strings.HasSuffix(e.Name, "."+crds.Group) })
	return there(ctx, client, list)
}

// there are the entries of objects that are in the cluster, and that kindgate has applied.
func there(ctx context.Context, client *kube.Client, list inventory.List) (inventory.List, error) {
	live, err := client.Live(ctx, list.Objects())
	if err != nil {
		return nil, err
	}
	var found inventory.List
	for i, e := range list {
		if applied(live[i]) {
			found = append(found, e)
		}
	}
	return found, nil
}

func applied(live *unstructured.Unstructured) bool {
	return live != nil && live.GetDeletionTimestamp() == nil && kube.IsOurs(live)
}
