// Package plan says what applying manifests and a chart would do to the objects of a cluster: what a dry run has found, in the words of a plan.
package plan

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
)

// An Action is what would be done to one object.
type Action string

// The actions, in the order in which Lines has them.
const (
	Create   Action = "create"
	Update   Action = "update"    // its manifest has changed
	Repair   Action = "repair"    // it was changed in the cluster
	TakeOver Action = "take over" // it was there before
	Delete   Action = "delete"
	Leave    Action = "leave"
	Refuse   Action = "refused"
)

// printed are the actions that Lines has objects of, with the marks before them, as terraform has them.
var printed = []struct {
	action Action
	mark   string
}{{Create, "+"}, {Update, "~"}, {Repair, "~"}, {TakeOver, "!"}, {Delete, "-"}}

// meaning says what an action is done for, where its word does not.
var meaning = map[Action]string{Update: "its manifest has changed", Repair: "it was changed in the cluster", TakeOver: "it was there before"}

// actions are those of what applying an object came to.
var actions = map[result.Result]Action{result.Created: Create, result.Updated: Update, result.Repaired: Repair, result.Unchanged: Leave}

// ActionOf is the action whose result is the given one.
func ActionOf(r result.Result) Action { return actions[r] }

// An Object is what would be done to one object.
type Object struct {
	Action Action
	// Name is the object's, as Kind/namespace/name.
	Name string
	// Note is what else is to be said, empty for nothing.
	Note string
	// Fields are those that would change, each with both values.
	Fields []string
	// Err is why the object would be refused.
	Err error
}

// Of is what a dry run has found of an object.
func Of(change kube.Change) Object {
	o := Object{Action: ActionOf(change.Result), Name: change.Object.Name(), Note: change.Unsure, Fields: lines(change.Fields)}
	switch {
	case change.Err != nil:
		o.Action, o.Err = Refuse, change.Err
	case change.Before != nil:
		o.Action, o.Note = TakeOver, "it was there before, written by "+strings.Join(change.Before, ", ")
	}
	return o
}

func lines(fields []kube.FieldChange) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.String())
	}
	return all
}

// Said is what a person is told of the object beside its action; empty for nothing.
func (o Object) Said() string {
	if o.Note != "" {
		return o.Note
	}
	return meaning[o.Action]
}

// Chart are the objects of a chart's rendering that takes the place of another. Those of drifted are not in the cluster as they were rendered, and
// removed those that are deleted. All are named as the cluster has them.
func Chart(before, after, drifted, removed []kube.Object) []Object {
	var all []Object
	for _, o := range after {
		same := func(other kube.Object) bool { return other.Name() == o.Name() }
		one := Object{Action: Create, Name: o.Name()}
		if at := slices.IndexFunc(before, same); at >= 0 {
			one.Action = Leave
			switch was := before[at]; {
			case !reflect.DeepEqual(was.Object, o.Object):
				one.Action, one.Fields = Update, lines(kube.ChangedFields(was.Unstructured, o.Unstructured))
			case slices.ContainsFunc(drifted, same):
				one.Action = Repair
			}
		}
		all = append(all, one)
	}
	for _, o := range removed {
		all = append(all, Object{Action: Delete, Name: o.Name(), Note: "the chart no longer has it"})
	}
	return all
}

// A Plan is what would be done to all objects.
type Plan []Object

// Restart has an object that would be left be restarted, for a reason. One that is changed is restarted by that.
func (p Plan) Restart(name, reason string) {
	for i := range p {
		if p[i].Name == name && p[i].Action == Leave {
			p[i].Action, p[i].Note = Update, "it is restarted: "+reason
		}
	}
}

// Pending is how many objects the plan would change.
func (p Plan) Pending() int { return len(p) - p.Count(Leave) - p.Count(Refuse) }

// Count is how many objects have an action.
func (p Plan) Count(action Action) int {
	n := 0
	for _, o := range p {
		if o.Action == action {
			n++
		}
	}
	return n
}

// Err joins the errors of what would be refused; nil where nothing would be.
func (p Plan) Err() error {
	var refused []error
	for _, o := range p {
		refused = append(refused, o.Err)
	}
	return errors.Join(refused...)
}

// Lines are the plan for a person: a line for each object that would be changed, its fields below it, and a sum. What would be refused is only
// counted, as Err has it.
func (p Plan) Lines() []string {
	var all, sums []string
	for _, of := range printed {
		for _, o := range p {
			if o.Action != of.action {
				continue
			}
			line := fmt.Sprintf("  %s %-9s %s", of.mark, o.Action, o.Name)
			if said := o.Said(); said != "" {
				line += "  (" + said + ")"
			}
			all = append(all, line)
			for _, field := range o.Fields {
				all = append(all, "        "+field)
			}
		}
		if n := p.Count(of.action); n > 0 {
			sums = append(sums, fmt.Sprintf("%d to %s", n, of.action))
		}
	}
	if n := p.Count(Refuse); n > 0 {
		sums = append(sums, fmt.Sprintf("%d refused", n))
	}
	if len(sums) == 0 {
		sums = append(sums, "nothing to do")
	}
	return append(all, fmt.Sprintf("Plan: %s; %d unchanged.", strings.Join(sums, ", "), p.Count(Leave)))
}
