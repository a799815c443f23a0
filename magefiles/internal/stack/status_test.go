package stack

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/traefik"
)

func TestStatusShowsWhatThereIsAndWhatIsNot(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	node.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "containerd://2"}
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: "p"}, Spec: corev1.PodSpec{Containers: make([]corev1.Container, 2)}}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Ready: true, RestartCount: 1}, {}}}
	ready := cluster.Observation{State: cluster.Ready, Node: node}
	full := view{name: "kindgate", observation: ready, bundle: "v1.4.0 (standard)",
		release:  &traefik.Release{Status: "deployed", Revision: 2, ChartVersion: "39.0.7", AppVersion: "v3.6.12"},
		promises: []proof.Promise{{Check: check.Check{ID: check.ID{Kind: "Gateway", Namespace: "traefik", Name: "gw"}}}, {Check: check.Check{ID: check.ID{Kind: "URL", Name: "http://a/"}}}},
		findings: []check.Finding{{Found: "Accepted"}, {Found: "200"}}, pods: []corev1.Pod{pod}}
	silent := *node.DeepCopy()
	silent.Name, silent.Status.Conditions = "n-worker2", []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "silent"}}
	several := cluster.Observation{State: cluster.Ready, Node: node, Others: []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n-worker"}}, silent},
		Down: []cluster.Down{{Node: "n-worker", State: "stopped"}}}
	many := view{context: "staging", brief: true, promises: make([]proof.Promise, 3), findings: []check.Finding{{Verdict: check.Holds}, {Verdict: check.Holds}, {Verdict: check.Broken, Found: "502"}}}
	for i, name := range []string{"http://a/", "http://b/", "http://c/"} {
		many.promises[i].ID = check.ID{Kind: "URL", Name: name}
	}
	for _, test := range []struct {
		name string
		view view
		want []string
	}{
		{"many promises", many, []string{"context staging only read", "URL http://c/ 502", "URL  2 checks passed"}},
		{"several nodes", view{name: "k", observation: several}, []string{"cluster k ready, but n-worker is stopped", "node n Kubernetes v1.37.2, containerd://2",
			"node n-worker stopped", "node n-worker2 Kubernetes v1.37.2, containerd://2, not Ready: silent", "release traefik/traefik not installed",
			"crds Gateway API not installed"}},
		{"absent", view{name: "k", observation: cluster.Observation{State: cluster.Absent}}, []string{"cluster k absent"}},
		{"an authority", view{name: "k", authority: "valid", observation: cluster.Observation{State: cluster.Absent}}, []string{"cluster k absent", "authority of this user valid"}},
		{"somebody else's", view{name: "k", observation: cluster.Observation{State: cluster.Foreign, Foreign: &cluster.ForeignError{Found: "no mark"}}},
			[]string{"cluster k not made by kindgate: no mark"}},
		{"nothing installed", view{name: "k", observation: cluster.Observation{State: cluster.Ready, Node: node, Differences: []string{"a port"}}},
			[]string{"cluster k ready, but a port", "node n Kubernetes v1.37.2, containerd://2", "release traefik/traefik not installed", "crds Gateway API not installed"}},
		{"all", full, []string{"cluster kindgate ready", "node n Kubernetes v1.37.2, containerd://2",
			"release traefik/traefik deployed: Traefik v3.6.12, chart 39.0.7, revision 2", "crds Gateway API v1.4.0 (standard)",
			"Gateway traefik/gw Accepted", "URL http://a/ 200", "pod demo/p Running, 1/2 ready, 1 restart"}},
	} {
		var got []string
		for _, row := range test.view.rows() {
			got = append(got, strings.Join(row, " "))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n%s", test.name, strings.Join(got, "\n"))
		}
	}
}

func TestAReleaseIsInstalledUpgradedRepairedRecoveredOrLeft(t *testing.T) {
	deployed, failed := &traefik.Release{Status: traefik.Deployed}, &traefik.Release{Status: "pending-upgrade"}
	class := decoded(t, "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: traefik}}")
	service := decoded(t, "{apiVersion: v1, kind: Service, metadata: {name: traefik, namespace: traefik}}")
	for _, test := range []struct {
		name     string
		stored   *traefik.Release
		ok       bool
		drifted  []kube.Object
		want     result.Result
		reason   string
		restored int
	}{
		{"install", nil, false, nil, result.Created, "", 0},
		{"upgrade", deployed, false, nil, result.Updated, "why", 0},
		{"recover", failed, false, nil, result.Repaired, "why", 0},
		{"unchanged", deployed, true, nil, result.Unchanged, "", 0},
		{"repair", deployed, true, append(slices.Clone(service), class...), result.Repaired, "Service/traefik/traefik was not as the chart has it", 1},
	} {
		got := planRelease(test.stored, test.ok, "why", test.drifted)
		if got.result != test.want || got.reason != test.reason || len(got.restore) != test.restored {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
