package stack

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/plan"
)

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

func TestWhatIsAppliedAndNotInTheInventoryIsNamed(t *testing.T) {
	objects := decoded(t, service, class)
	before := inventory.EntryOf(objects[1])
	before.Before = true
	for want, list := range map[string]inventory.List{"": {inventory.EntryOf(objects[0]), before}, "Service/default/traefik": {before}, "Service/default/traefik GatewayClass/traefik": nil} {
		if got := strings.Join(unlisted(objects, list), " "); got != want {
			t.Errorf("%v: %s", list, got)
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
	for _, other := range []string{"edge", serving.Release + ", meta.helm.sh/release-namespace: edge"} { // the name that most people give it
		if err := judgeOthers(of(serving.Controller, other)); err == nil || !strings.Contains(err.Error(), "GatewayClass/edge is served already") {
			t.Errorf("%s: %v", other, err)
		}
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

func TestWhatIsInAClusterThatDoesNotAnswerIsNotPlannedToBeCreated(t *testing.T) {
	found := unanswered("k", cluster.Stopped)
	if len(found.Plan) != 1 || found.Count(plan.Create) != 0 || found.Pending() != 1 || !strings.Contains(found.Plan[0].Note, "is stopped") {
		t.Errorf("%+v", found)
	}
}
