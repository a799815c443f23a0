package stack

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
)

func TestAPlanSaysOfEachObjectWhatUpWouldDoAndSumsUp(t *testing.T) {
	object := func(name string) kube.Object {
		return decoded(t, "{apiVersion: v1, kind: Service, metadata: {namespace: demo, name: "+name+"}}")[0]
	}
	var p plan
	for _, change := range []kube.Change{
		{Object: object("same"), Result: result.Unchanged},
		{Object: object("new"), Result: result.Created, Unsure: "its namespace is not there yet"},
		{Object: object("edited"), Result: result.Updated, Fields: []kube.FieldChange{{Path: "spec.a", From: "1", To: "2"}}},
		{Object: object("drifted"), Result: result.Repaired},
		{Object: object("theirs"), Result: result.Updated, Before: []string{"helm", "kubectl"}},
		{Object: object("wrong"), Err: errors.New("Service/demo/wrong: it was there before")},
	} {
		p.objects = append(p.objects, plannedChange(change))
	}
	want := []string{
		"  + create    Service/demo/new  (its namespace is not there yet)",
		"  ~ update    Service/demo/edited  (its manifest has changed)",
		"        spec.a: 1 becomes 2",
		"  ~ repair    Service/demo/drifted  (it was changed in the cluster)",
		"  ! take over Service/demo/theirs  (it was there before, written by helm, kubectl)",
		"Plan: 1 to create, 1 to update, 1 to repair, 1 to take over, 1 to be refused; 1 unchanged.",
	}
	if got := p.lines(); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p.pending() != 4 || p.err() == nil || p.err().Error() != "Service/demo/wrong: it was there before" {
		t.Error(p.pending(), p.err())
	}
	if got := (plan{}).lines(); !slices.Equal(got, []string{"Plan: nothing to do; 0 unchanged."}) {
		t.Error(got)
	}
}

func TestThePlanOfAChartIsWhatTheNewRenderingHasOtherwise(t *testing.T) {
	before := decoded(t, service, daemonSet, "{apiVersion: v1, kind: ConfigMap, metadata: {name: old}}")
	after := decoded(t, service, strings.Replace(daemonSet, "}}", "}, spec: {minReadySeconds: 1}}", 1), class)
	var got []string
	for _, one := range chartChanges(before, after) {
		got = append(got, string(one.action)+" "+one.name+" "+strings.Join(one.fields, ""))
	}
	want := []string{"leave Service/traefik/traefik ", `update DaemonSet/traefik/traefik spec: {"minReadySeconds":1} is added`, "create GatewayClass/traefik ", "delete ConfigMap/traefik/old "}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOnlyWhatKindgateCreatedIsPruned(t *testing.T) {
	created, before := inventory.EntryOf(decoded(t, service)[0]), inventory.EntryOf(decoded(t, class)[0])
	before.Before = true
	gone := inventory.List{created, before}
	for prune, want := range map[bool]inventory.List{false: nil, true: {created}} {
		if got := (&session{config: Config{Prune: prune}}).pruned(gone); !reflect.DeepEqual(got, want) {
			t.Error(prune, got)
		}
	}
}

func TestRoutesAreDeletedBeforeWhatServesThemAndDefinitionsLast(t *testing.T) {
	var list inventory.List
	for _, o := range decoded(t, "{apiVersion: v1, kind: Namespace, metadata: {name: ns}}", service, daemonSet, "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}}") {
		list = append(list, inventory.EntryOf(o))
	}
	slices.SortStableFunc(list, func(a, b inventory.Entry) int { return rank(a) - rank(b) })
	var kinds []string
	for _, e := range list {
		kinds = append(kinds, e.Kind.Kind)
	}
	if want := []string{"HTTPRoute", "DaemonSet", "Service", "Namespace"}; !slices.Equal(kinds, want) {
		t.Error(kinds)
	}
}

func TestAManifestForOtherClustersIsLeftOut(t *testing.T) {
	for path, of := range map[string][2]bool{ // on kindgate's own cluster, and on a context's
		"web.yaml": {false, false}, "web.kind.yaml": {false, true}, "a/web.kind.json": {false, true}, "web.cluster.yml": {true, false},
		"kind.yaml": {false, false}, "kind/web.yaml": {false, false}, "web.kinds.yaml": {false, false}, ".kind.yaml": {false, true},
	} {
		if got := [2]bool{(Config{}).forOthers(path), (Config{Context: "c"}).forOthers(path)}; got != of {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestASecondTraefikIsNotInstalledBesideOneOfOthers(t *testing.T) {
	of := func(controller, release string) []unstructured.Unstructured {
		return []unstructured.Unstructured{*decoded(t, "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: edge, annotations: {meta.helm.sh/release-name: "+
			release+"}}, spec: {controllerName: "+controller+"}}")[0].Unstructured}
	}
	for _, beside := range [][]unstructured.Unstructured{nil, of("example.com/other", "edge"), of(serving.Controller, serving.Release)} {
		if err := judgeOthers(beside); err != nil {
			t.Error(err)
		}
	}
	if err := judgeOthers(of(serving.Controller, "edge")); err == nil || !strings.Contains(err.Error(), "GatewayClass/edge is served already") {
		t.Error(err)
	}
}

func TestTheAddressOfALoadBalancerIsPendingUntilItHasOne(t *testing.T) {
	for text, want := range map[string]bool{
		"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer}}":                                               true,
		"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: x}]}}}": false,
		"{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: NodePort}}":                                                   false,
	} {
		if got := pendingBalancer(decoded(t, text)[0].Unstructured); got != want {
			t.Error(text, got)
		}
	}
	if pendingBalancer(nil) {
		t.Error("none")
	}
}
