package cluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestANodeThatDoesNotRunIsNamedWithItsState(t *testing.T) {
	found := []container{
		{Name: "k-control-plane", State: "running"}, {Name: "k-worker", State: "stopped"}, {Name: "k-worker2", State: "paused"},
		{Name: "k-external-load-balancer", State: "stopped", loadBalancer: true},
	}
	worker := func(name string) corev1.Node { return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	down := append(notRunning(found), without([]corev1.Node{worker("k-worker2"), worker("k-worker3")}, found)...)
	const want = "k-worker is stopped, k-worker2 is paused, k-external-load-balancer is stopped, k-worker3 is gone"
	if got := Downs(down); got != want {
		t.Errorf("%q instead of %q", got, want)
	}
	observation := Observation{State: Ready, Down: down}
	for node, state := range map[string]string{"k-control-plane": "", "k-worker2": "paused", "k-worker3": Gone, "k-other": ""} {
		if got := observation.StateOf(node); got != state {
			t.Errorf("%s is %q instead of %q", node, got, state)
		}
	}
	for _, test := range []struct {
		observation Observation
		want        string
	}{
		{Observation{State: Ready}, "ready"},
		{Observation{State: Stopped}, "stopped"},
		{Observation{State: Ready, Down: down[:1]}, "ready, but k-worker is stopped"},
		{Observation{State: Stopped, Down: down[:1]}, "stopped: k-worker is stopped"},
	} {
		if got := test.observation.String(); got != test.want {
			t.Errorf("%q instead of %q", got, test.want)
		}
	}
}

func TestANodeIsKindsByItsProviderID(t *testing.T) {
	for id, want := range map[string]bool{
		"kind://docker/k/k-worker": true, "kind://podman/k/k-worker": true, "kind://docker/other/k-worker": false, "kind://docker/k/k-worker2": false,
		"kwok://k/k-worker": false, "": false,
	} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "k-worker"}, Spec: corev1.NodeSpec{ProviderID: id}}
		if got := ofKind("k", node); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

func TestNodesAreNotReadyByWhatTheAPIServerSaysOfAnyOfThem(t *testing.T) {
	node := func(name string, status corev1.ConditionStatus) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if status != "" {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
		}
		return n
	}
	first := node("first", corev1.ConditionTrue)
	observation := Observation{Node: &first, Others: []corev1.Node{node("young", ""), node("dead", corev1.ConditionFalse), node("silent", corev1.ConditionUnknown)}}
	var names []string
	for _, n := range observation.NotReady() {
		names = append(names, n.Name)
	}
	if len(names) != 2 || names[0] != "dead" || names[1] != "silent" {
		t.Errorf("%v", names)
	}
	if len(observation.Nodes()) != 4 || len((Observation{}).Nodes()) != 0 {
		t.Errorf("%d nodes, and %d where there is no cluster", len(observation.Nodes()), len((Observation{}).Nodes()))
	}
}
