package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
)

// A planner finds out what up would do to the objects of a cluster, and changes nothing.
type planner struct {
	*session
	release *helmRelease
	objects *objectSteps
}

// An action is what up would do to one object.
type action string

// The actions, in the order in which they are printed.
const (
	create   action = "create"
	update   action = "update"    // the manifest has changed
	repair   action = "repair"    // somebody has changed the object
	takeOver action = "take over" // it was there before
	remove   action = "delete"
	leave    action = "leave"
	refuse   action = "refused"
)

var actions = []action{create, update, repair, takeOver, remove, refuse}

// marks stand before an object in a plan, as terraform has them.
var marks = map[action]string{create: "+", update: "~", repair: "~", takeOver: "!", remove: "-", refuse: "✗"}

// why says what an action means, where its word does not.
var why = map[action]string{update: "its manifest has changed", repair: "it was changed in the cluster", takeOver: "it was there before"}

// A planned is what up would do to one object.
type planned struct {
	action action
	name   string
	note   string // what else is to be said
	fields []string
	err    error // of a refused one
}

// A plan is what up would do. gone are objects that kindgate has applied and the manifests no longer have.
type plan struct {
	objects []planned
	gone    inventory.List
}

// Plan prints what up would do. It returns how many objects it would change; its error is that the cluster cannot be asked, or that it would
// refuse something.
func (p *planner) Plan(ctx context.Context) (int, error) {
	found, err := p.plan(ctx)
	if err == nil {
		p.say(found)
		err = found.err()
	}
	return found.pending(), p.run.Failed("plan", "", err)
}

// plan asks the API server what applying everything would come to.
func (p *planner) plan(ctx context.Context) (plan, error) {
	cfg, err := p.reach(ctx)
	if err != nil {
		return plan{}, err
	}
	if cfg == nil {
		return p.fromNothing(ctx)
	}
	client, err := kube.New(cfg, kube.Options{DryRun: true, TakeOver: p.config.Adopt, Kubectl: p.proof.Place.Kubectl("")})
	if err != nil {
		return plan{}, err
	}
	if p.config.Context != "" {
		if err := checkOthers(ctx, client, p.config.Context); err != nil {
			return plan{}, err
		}
	}
	defined, err := p.objects.lookAtDefinitions(ctx, client)
	if err != nil {
		return plan{}, err
	}
	var found plan
	for _, objects := range [][]kube.Object{defined.wanted, {namespaceObject(serving.Namespace)}, p.inputs.apps, p.inputs.routes} {
		changes, err := client.Apply(ctx, objects)
		if changes == nil && err != nil { // else each change has its own
			return plan{}, err
		}
		for _, change := range changes {
			found.objects = append(found.objects, plannedChange(change))
		}
	}
	release, err := p.planRelease(ctx, client, cfg)
	if err != nil {
		return plan{}, err
	}
	found.objects = append(found.objects, release...)
	store := inventory.NewStore(client, serving.Namespace)
	if found.gone, err = p.objects.gone(ctx, client, store); err != nil {
		return plan{}, err
	}
	for _, e := range p.pruned(found.gone) {
		found.objects = append(found.objects, planned{action: remove, name: e.Object().Name(), note: "it is no longer in " + manifestsDir})
	}
	kept, err := client.Live(ctx, []kube.Object{store.Object()})
	if err == nil && kept[0] == nil && found.count(create)+found.count(takeOver) > 0 {
		found.objects = append(found.objects, planned{action: create, name: store.Object().Name(), note: "the list of what kindgate applies"})
	}
	return found, err
}

// reach returns the way to the API server, by which nothing can be written; nil for kindgate's own cluster where it is not up.
func (p *planner) reach(ctx context.Context) (*rest.Config, error) {
	if p.config.Context != "" {
		cfg, err := contextOf(p.config)
		if err != nil {
			return nil, err
		}
		return kube.DryRunOnly(kube.Patient(p.run.Context(), cfg, p.run.Note)), nil
	}
	observation, err := p.cluster.Observe(ctx)
	switch {
	case err != nil:
		return nil, err
	case observation.Foreign != nil:
		return nil, observation.Foreign
	case observation.State != cluster.Ready:
		return nil, nil
	}
	p.cluster.Attach(ctx)
	return kube.DryRunOnly(observation.REST), nil
}

// fromNothing is the plan for a cluster that is not there, or does not run.
func (p *planner) fromNothing(ctx context.Context) (plan, error) {
	wanted, err := definitions(ctx)
	if err != nil {
		return plan{}, err
	}
	found := plan{objects: []planned{{action: create, name: "cluster " + p.config.Cluster, note: "it does not run: what is in it is not known"}}}
	rendered, err := p.release.rendered()
	if err != nil {
		return plan{}, err
	}
	for _, objects := range [][]kube.Object{wanted, {namespaceObject(serving.Namespace)}, p.inputs.apps, p.inputs.routes} {
		for _, o := range objects {
			found.objects = append(found.objects, planned{action: create, name: o.Name()})
		}
	}
	found.objects = append(found.objects, planned{action: create, name: releaseEntry.Object().Name()})
	found.objects = append(found.objects, chartChanges(nil, rendered)...)
	return found, nil
}

// plannedChange is what a dry run has found of an object.
func plannedChange(c kube.Change) planned {
	one := planned{name: c.Object.Name(), note: c.Unsure}
	for _, f := range c.Fields {
		one.fields = append(one.fields, f.String())
	}
	switch {
	case c.Err != nil:
		one.action, one.err = refuse, c.Err
	case c.Before != nil:
		one.action, one.note = takeOver, "it was there before, written by "+strings.Join(c.Before, ", ")
	default:
		one.action = map[result.Result]action{result.Created: create, result.Updated: update, result.Repaired: repair, result.Unchanged: leave}[c.Result]
	}
	return one
}

// planRelease is what would become of the Helm release and of its objects.
func (p *planner) planRelease(ctx context.Context, client *kube.Client, cfg *rest.Config) ([]planned, error) {
	stored, todo, err := p.release.decide(ctx, client, cfg)
	name := releaseEntry.Object().Name()
	if err != nil {
		return []planned{{action: refuse, name: name, err: advised(err)}}, nil
	}
	var before []kube.Object
	if stored != nil {
		if before, err = objectsOf(stored); err != nil {
			return nil, err
		}
	}
	all := []planned{{action: map[result.Result]action{result.Created: create, result.Updated: update, result.Repaired: repair, result.Unchanged: leave}[todo.result], name: name, note: todo.reason}}
	if todo.result == result.Unchanged {
		return append(all, chartChanges(before, before)...), nil
	}
	rendered, err := p.release.rendered()
	if err != nil {
		return nil, err
	}
	drifted := map[string]bool{}
	for _, o := range todo.drifted {
		drifted[inRelease(o).Name()] = true
	}
	changes := chartChanges(before, rendered)
	for i := range changes {
		if changes[i].action == leave && drifted[changes[i].name] {
			changes[i].action = repair
		}
	}
	return append(all, changes...), nil
}

// chartChanges are the objects of a chart's rendering that take the place of those of another.
func chartChanges(before, after []kube.Object) []planned {
	old := map[string]kube.Object{}
	for _, o := range before {
		old[inRelease(o).Name()] = o
	}
	var all []planned
	for _, o := range after {
		one := planned{action: create, name: inRelease(o).Name()}
		if was, ok := old[one.name]; ok {
			one.action = leave
			if !reflect.DeepEqual(was.Object, o.Object) {
				one.action = update
				for _, f := range kube.ChangedFields(was.Unstructured, o.Unstructured) {
					one.fields = append(one.fields, f.String())
				}
			}
		}
		all = append(all, one)
	}
	for _, o := range removed(before, after) {
		all = append(all, planned{action: remove, name: inRelease(o).Name(), note: "the chart no longer has it"})
	}
	return all
}

// pending is how many objects the plan would change.
func (p plan) pending() int {
	return len(p.objects) - p.count(leave) - p.count(refuse)
}

func (p plan) count(a action) int {
	n := 0
	for _, one := range p.objects {
		if one.action == a {
			n++
		}
	}
	return n
}

// err joins what is refused.
func (p plan) err() error {
	var refused []error
	for _, one := range p.objects {
		if one.err != nil {
			refused = append(refused, one.err)
		}
	}
	return errors.Join(refused...)
}

// lines are the plan for a person.
func (p plan) lines() []string {
	var lines []string
	var sums []string
	for _, a := range actions {
		for _, one := range p.objects {
			if one.action != a || a == refuse {
				continue
			}
			line := fmt.Sprintf("  %s %-9s %s", marks[a], a, one.name)
			if note := one.said(); note != "" {
				line += "  (" + note + ")"
			}
			lines = append(lines, line)
			for _, f := range one.fields {
				lines = append(lines, "        "+f)
			}
		}
		if n := p.count(a); n > 0 {
			sums = append(sums, fmt.Sprintf("%d to %s", n, strings.Replace(string(a), "refused", "be refused", 1)))
		}
	}
	if len(sums) == 0 {
		sums = append(sums, "nothing to do")
	}
	return append(lines, fmt.Sprintf("Plan: %s; %d unchanged.", strings.Join(sums, ", "), p.count(leave)))
}

// said is what a person is told of an object beside what is done to it.
func (o planned) said() string {
	if o.note != "" {
		return o.note
	}
	return why[o.action]
}

func (p *planner) say(found plan) {
	for _, one := range found.objects {
		object := map[string]any{"plan": one.action, "object": one.name, "fields": append([]string{}, one.fields...)}
		if said := one.said(); said != "" {
			object["note"] = said
		}
		if one.err != nil {
			object["error"] = one.err.Error()
		}
		p.ui.Object(object)
	}
	p.ui.Print(found.lines()...)
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
	list = list.Without(append([]kube.Object{namespaceObject(serving.Namespace), releaseEntry.Object()}, s.inputs.objects...))
	list = slices.DeleteFunc(list, func(e inventory.Entry) bool { return e.Kind == crdKind && strings.HasSuffix(e.Name, "."+crds.Group) })
	return there(ctx, client, list)
}

// there are the entries of objects that are in the cluster, and that kindgate has applied.
func there(ctx context.Context, client *kube.Client, list inventory.List) (inventory.List, error) {
	objects := make([]kube.Object, len(list))
	for i, e := range list {
		objects[i] = e.Object()
	}
	live, err := client.Live(ctx, objects)
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
