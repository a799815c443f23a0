package implementation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// own is an answer that Traefik has written itself.
var own = &probe.Answer{Status: 404, Order: []string{"Date", "Content-Length"}}

func TestOfAnotherReleaseOfTraefikItIsNotKnownWhereItRuns(t *testing.T) {
	i := Of(Traefik.Controller)
	if i.Name != "Traefik" || i.Unfamiliar || len(i.Doors) > 0 || i.Workload != (check.ID{}) || i.Namespace != "" || i.Logs() != "get gateways --all-namespaces" {
		t.Errorf("%+v", i)
	}
	if !i.Unrouted(own) || Traefik.Logs() != "logs -n traefik daemonset/traefik" {
		t.Error("its answers are known as before, and so is kindgate's own")
	}
}

func TestOfAControllerThatIsNotKnownNothingIsTakenForItsOwn(t *testing.T) {
	for controller, name := range map[string]string{"example.com/c": "the controller example.com/c", "": "its controller"} {
		i := Of(controller)
		if outcome, _ := i.Lacks(gateway.Use{Feature: gateway.Timeouts}); !i.Unfamiliar || i.Name != name || outcome != "" || i.Own(own) || i.Refuses(own) || i.Pong(own) ||
			i.Logged("ERR", check.ID{}, 0) != "" {
			t.Errorf("%+v", i)
		}
	}
	if plain := Traefik.Unrecognised(); !plain.Unfamiliar || plain.Own(own) || plain.Name != Traefik.Name || Traefik.Unfamiliar {
		t.Errorf("a proxy may be in front of Traefik: %+v", plain)
	}
}

func TestThePodsOfTheDataPlaneAreKnownByTheirOwnerOrTheirLabels(t *testing.T) {
	pod := func(kind, name string, labels map[string]string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "traefik", Labels: labels}}
		if kind != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name}}
		}
		return p
	}
	for _, test := range []struct {
		pod  *corev1.Pod
		want check.ID
		runs bool
	}{
		{pod("DaemonSet", "traefik", nil), check.ID{Kind: "DaemonSet", Namespace: "traefik", Name: "traefik"}, true},
		{pod("ReplicaSet", "edge-5d4f", map[string]string{"pod-template-hash": "5d4f"}), check.ID{Kind: "Deployment", Namespace: "traefik", Name: "edge"}, false},
		{pod("ReplicaSet", "bare", nil), check.ID{Kind: "ReplicaSet", Namespace: "traefik", Name: "bare"}, false},
		{pod("", "", nil), check.ID{}, false},
	} {
		if got := DataPlane(test.pod); got != test.want || Traefik.Runs(test.pod) != test.runs {
			t.Errorf("%v: %v", test.pod.OwnerReferences, got)
		}
	}
	labelled := pod("", "", map[string]string{"app.kubernetes.io/name": "traefik", "more": "x"})
	if !Traefik.Labelled(labelled) || Traefik.Labelled(pod("", "", nil)) || Of("").Labelled(labelled) {
		t.Error("by labels")
	}
}

func TestTheDoorOfASchemeAndThePageOfABackendAreFoundOrNone(t *testing.T) {
	if Traefik.Through("https").EntryPoint != 8443 || Traefik.Through("tcp") != (Door{}) {
		t.Error(Traefik.Doors)
	}
	dashboard := gateway.Backend{Namespace: "traefik", Name: "traefik", Port: 9000}
	if Traefik.Page([]gateway.Backend{{Name: "web"}, dashboard}) != "/dashboard/" || Traefik.Page(nil) != "" {
		t.Error(Traefik.Pages)
	}
}

func TestOfSeveralTraefiksTheOneThatServesGatewaysIsMeant(t *testing.T) {
	started := func(namespace string, args ...string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: Traefik.Labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: args}}}}
	}
	ingress, gateways, off := started("a", "--providers.kubernetesingress"), started("b", "--providers.kubernetesgateway"), started("c", "--providers.kubernetesgateway=false")
	other := corev1.Pod{Spec: gateways.Spec}
	pods := []corev1.Pod{ingress, gateways, off, other}
	serving := Traefik.Serving(pods)
	for i, want := range []bool{false, true, false, false} {
		if got := serving(&pods[i]); got != want {
			t.Errorf("pod %d: %t", i, got)
		}
	}
	if silent := Traefik.Serving([]corev1.Pod{ingress, other}); !silent(&ingress) || silent(&other) {
		t.Error("where no argument says so, a file may")
	}
}
