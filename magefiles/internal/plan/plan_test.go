package plan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
)

func decoded(t *testing.T, documents ...string) []kube.Object {
	t.Helper()
	objects, err := kube.Decode([]byte(strings.Join(documents, "\n---\n")), "")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func service(name string) string {
	return "{apiVersion: v1, kind: Service, metadata: {namespace: demo, name: " + name + "}}"
}

func TestAPlanSaysOfEachObjectWhatWouldBeDoneAndSumsUp(t *testing.T) {
	object := func(name string) kube.Object { return decoded(t, service(name))[0] }
	var p Plan
	for _, change := range []kube.Change{
		{Object: object("same"), Result: result.Unchanged},
		{Object: object("new"), Result: result.Created, Unsure: "its namespace is not there yet"},
		{Object: object("edited"), Result: result.Updated, Fields: []kube.FieldChange{{Path: "spec.a", From: "1", To: "2"}}},
		{Object: object("drifted"), Result: result.Repaired},
		{Object: object("theirs"), Result: result.Updated, Before: []string{"helm", "kubectl"}},
		{Object: object("wrong"), Err: errors.New("Service/demo/wrong: it was there before")},
	} {
		p = append(p, Of(change))
	}
	p = append(p, Object{Action: Delete, Name: "Service/demo/old"})
	want := []string{
		"  + create    Service/demo/new  (its namespace is not there yet)",
		"  ~ update    Service/demo/edited  (its manifest has changed)",
		"        spec.a: 1 becomes 2",
		"  ~ repair    Service/demo/drifted  (it was changed in the cluster)",
		"  ! take over Service/demo/theirs  (it was there before, written by helm, kubectl)",
		"  - delete    Service/demo/old",
		"Plan: 1 to create, 1 to update, 1 to repair, 1 to take over, 1 to delete, 1 refused; 1 unchanged.",
	}
	if got := p.Lines(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p.Pending() != 5 || p.Err() == nil || p.Err().Error() != "Service/demo/wrong: it was there before" {
		t.Error(p.Pending(), p.Err())
	}
	if got := (Plan{}).Lines(); !slices.Equal(got, []string{"Plan: nothing to do; 0 unchanged."}) {
		t.Error(got)
	}
	if err := (Plan{{Action: Leave}}).Err(); err != nil {
		t.Error(err)
	}
}

func TestThePlanOfAChartIsWhatTheNewRenderingHasOtherwise(t *testing.T) {
	before := decoded(t, service("same"), service("drifted"), service("edited"), service("old"))
	after := decoded(t, service("same"), service("drifted"), strings.Replace(service("edited"), "}}", "}, spec: {type: NodePort}}", 1), service("new"))
	var got []string
	for _, o := range Chart(before, after, before[1:2], before[3:]) {
		got = append(got, strings.TrimSpace(string(o.Action)+" "+o.Name+" "+strings.Join(o.Fields, "")))
	}
	want := []string{"leave Service/demo/same", "repair Service/demo/drifted", `update Service/demo/edited spec: {"type":"NodePort"} is added`, "create Service/demo/new", "delete Service/demo/old"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAnObjectThatIsRestartedIsPendingUnlessItChangesAnyway(t *testing.T) {
	p := Plan{{Action: Leave, Name: "Deployment/a/b"}, {Action: Create, Name: "Deployment/a/c"}, {Action: Leave, Name: "Service/a/b"}}
	p.Restart("Deployment/a/b", "rebuilt: b:dev")
	p.Restart("Deployment/a/c", "rebuilt: b:dev")
	if p.Pending() != 2 || p[0].Said() != "it is restarted: rebuilt: b:dev" || p[1].Note != "" {
		t.Errorf("%+v", p)
	}
}
