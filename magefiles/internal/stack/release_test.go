package stack

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/traefik"
)

// valuesOfKind is the file with the values for kindgate's own cluster.
const valuesOfKind = "manifests/traefik-values.yaml"

func decoded(t *testing.T, documents ...string) []kube.Object {
	t.Helper()
	objects, err := kube.Decode([]byte(strings.Join(documents, "\n---\n")), "")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

const (
	daemonSet = "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}}"
	service   = "{apiVersion: v1, kind: Service, metadata: {name: traefik}}"
	class     = "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: traefik}}"
	gatewayOf = "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: ns}, " +
		"spec: {gatewayClassName: traefik}}"
	ingressRoute = "{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {name: dashboard, namespace: traefik}}"
	definition   = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: ingressroutes.traefik.io}, " +
		"spec: {group: traefik.io, names: {kind: IngressRoute, plural: ingressroutes}, scope: Namespaced, versions: []}}"
)

func TestAReleaseWithoutAWorkloadIsRefused(t *testing.T) {
	deployment := func(spec string) string {
		return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: traefik}, spec: {selector: {}, template: {}" + spec + "}}"
	}
	for document, runs := range map[string]bool{
		daemonSet: true, deployment(""): true, deployment(", replicas: 2"): true, deployment(", replicas: 0"): false, service: false, "": false,
		"{apiVersion: other.io/v1, kind: Deployment, metadata: {name: traefik}}": false,
	} {
		err := judgeRendering(valuesOfKind, decoded(t, document, class))
		if (err == nil) != runs || err != nil && !strings.Contains(err.Error(), "manifests/traefik-values.yaml: ") {
			t.Errorf("%s: %v", document, err)
		}
	}
}

func TestAWorkloadThatFitsNoNodeIsRefused(t *testing.T) {
	nodes := []unstructured.Unstructured{*decoded(t, "{apiVersion: v1, kind: Node, metadata: {name: node, labels: {disk: ssd}}}")[0].Unstructured}
	selecting := func(selector string) []kube.Object {
		return decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, "+
			"spec: {selector: {}, template: {spec: {containers: [], nodeSelector: "+selector+"}}}}", service)
	}
	for selector, fits := range map[string]bool{"{}": true, "{disk: ssd}": true, "{disk: none}": false, "{disk: ssd, other: x}": false} {
		if err := judgePlaces(valuesOfKind, selecting(selector), nodes); (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "nodeSelector") {
			t.Errorf("%s: %v", selector, err)
		}
	}
	for value, fits := range map[string]bool{"ssd": true, "none": false} {
		err := judgePlaces(valuesOfKind, decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, "+
			"spec: {selector: {}, template: {spec: {containers: [], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "+
			"{nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: In, values: ["+value+"]}]}]}}}}}}}", service), nodes)
		if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "no node meets its required nodeAffinity") {
			t.Errorf("affinity to disk %s: %v", value, err)
		}
	}
	unreadable := decoded(t, daemonSet)
	if err := unstructured.SetNestedField(unreadable[0].Object, "wrong", "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
	if err := judgePlaces(valuesOfKind, unreadable, nodes); err == nil || !strings.Contains(err.Error(), "DaemonSet/traefik/traefik has a pod template that cannot be read") {
		t.Error(err)
	}
	if err := judgePlaces(valuesOfKind, selecting("{disk: none}"), nil); err != nil {
		t.Errorf("before any node has joined: %v", err)
	}
}

var errNoAnswer = errors.New("no answer")

func hasNoAnswer(kube.Object) (bool, error) { return false, errNoAnswer }
func TestADaemonSetMustRunOnTheNodeThatHasThePorts(t *testing.T) {
	nodes := func(taint string) []unstructured.Unstructured {
		return []unstructured.Unstructured{
			*decoded(t, "{apiVersion: v1, kind: Node, metadata: {name: door, labels: {disk: ssd}}, spec: {taints: ["+taint+"]}}")[0].Unstructured,
			*decoded(t, "{apiVersion: v1, kind: Node, metadata: {name: worker}}")[0].Unstructured,
		}
	}
	const controlPlane = "{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}"
	for name, test := range map[string]struct{ pod, taint, want string }{
		"nothing in the way":        {"", "", ""},
		"a taint":                   {"", controlPlane, "DaemonSet/traefik/traefik has no pod on the node door, whose ports are this machine's: its tolerations do not have the node's taint node-role.kubernetes.io/control-plane:NoSchedule"},
		"a taint that is endured":   {"tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]", controlPlane, ""},
		"all taints are endured":    {"tolerations: [{operator: Exists}]", "{key: a, value: b, effect: NoExecute}", ""},
		"a taint that only advises": {"", "{key: a, effect: PreferNoSchedule}", ""},
		"a node in trouble":         {"", "{key: node.kubernetes.io/unreachable, effect: NoExecute}", ""},
		"a selector":                {"nodeSelector: {disk: none}", "", "it does not meet its nodeSelector (disk=none)"},
		"a selector that is met":    {"nodeSelector: {disk: ssd}", "", ""},
	} {
		set := decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, spec: {selector: {}, template: {spec: {containers: [], "+test.pod+"}}}}", service)
		err := judgeDoor(valuesOfKind, set, nodes(test.taint), "door")
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := judgeDoor(valuesOfKind, set, nodes(test.taint), "a node that is not known"); err != nil {
			t.Errorf("%s, of a node of which nothing is known: %v", name, err)
		}
	}
	deployment := decoded(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: traefik}, spec: {selector: {}, template: {spec: {containers: []}}}}")
	if err := judgeDoor(valuesOfKind, deployment, nodes(controlPlane), "door"); err != nil {
		t.Errorf("a Deployment, which may run anywhere: %v", err)
	}
}

func TestAKindThatNothingDefinesIsRefusedWithTheValueThatAsksForIt(t *testing.T) {
	absent := func(kube.Object) (bool, error) { return false, nil }
	d := &chart{session: &session{inputs: inputs{values: map[string]any{"ingressRoute": map[string]any{"dashboard": map[string]any{"enabled": true}}}}}}
	err := d.missingKinds(decoded(t, daemonSet, class, ingressRoute), absent)
	if err == nil || !strings.Contains(err.Error(), "IngressRoute/traefik/dashboard cannot be applied") ||
		!strings.Contains(err.Error(), "Take out the value ingressRoute,") || strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
	d.inputs.values = map[string]any{"metrics": map[string]any{"ingressroute": true}}
	err = d.missingKinds(decoded(t, ingressRoute), absent)
	if err == nil || !strings.Contains(err.Error(), "the value metrics.ingressroute,") {
		t.Error(err)
	}
	d.inputs.values = nil
	if err := d.missingKinds(decoded(t, ingressRoute), absent); err == nil || !strings.Contains(err.Error(), "the value that asks for it,") {
		t.Error(err)
	}
	if err := d.missingKinds(decoded(t, ingressRoute), func(kube.Object) (bool, error) { return true, nil }); err != nil {
		t.Errorf("the cluster has the kind: %v", err)
	}
	if err := d.missingKinds(decoded(t, ingressRoute), hasNoAnswer); !errors.Is(err, errNoAnswer) {
		t.Errorf("the cluster cannot be asked: %v", err)
	}
	d.inputs.apps = decoded(t, definition)
	if err := d.missingKinds(decoded(t, ingressRoute), absent); err != nil {
		t.Errorf("the manifests define the kind: %v", err)
	}
}

func TestWhatAnUpgradeRemovesIsWhatTheNewRenderingHasNot(t *testing.T) {
	kept := `{apiVersion: v1, kind: Secret, metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}}`
	inNamespace := "{apiVersion: v1, kind: Service, metadata: {name: traefik, namespace: traefik}}"
	got := removed(decoded(t, daemonSet, service, class, kept), decoded(t, inNamespace))
	if len(got) != 2 || got[0].Name() != "DaemonSet/traefik/traefik" || got[1].Name() != "GatewayClass/traefik" {
		t.Error(got)
	}
}

func TestAGatewayClassInUseIsNotTakenAway(t *testing.T) {
	gone := decoded(t, service, class)
	live := []unstructured.Unstructured{*decoded(t, gatewayOf)[0].Unstructured}
	d := &chart{session: &session{}}
	if err := d.judgeRemoval(gone, nil); err != nil {
		t.Errorf("nobody names it: %v", err)
	}
	err := d.judgeRemoval(gone, live)
	if err == nil || !strings.Contains(err.Error(), "loses GatewayClass/traefik, which Gateway/ns/gw names") {
		t.Error(err)
	}
	if err := d.judgeRemoval(decoded(t, service), live); err != nil {
		t.Errorf("a Service has the class's name: %v", err)
	}
	gateways, err := ofKind[gatewayv1.Gateway](decoded(t, gatewayOf), "Gateway")
	if err != nil {
		t.Fatal(err)
	}
	d.inputs.gateways = gateways
	if err := d.judgeRemoval(gone, nil); err == nil || !strings.Contains(err.Error(), "Gateway/ns/gw") {
		t.Error(err)
	}
	d.inputs.routes = decoded(t, class)
	if err := d.judgeRemoval(gone, live); err != nil {
		t.Errorf("the manifests have it: %v", err)
	}
}

func TestWhatServesNowIsNotTakenFromTheRunningRelease(t *testing.T) {
	runs := func(args, ports string) []kube.Object {
		return decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, "+
			"spec: {selector: {}, template: {spec: {containers: [{name: traefik, args: ["+args+"], ports: ["+ports+"]}]}}}}", service)
	}
	const provider, web, secure = "--providers.kubernetesGateway", "{containerPort: 8000, hostPort: 80}", "{containerPort: 8443, hostPort: 443}"
	stored := runs(provider, web+", "+secure)
	live := []unstructured.Unstructured{*decoded(t, strings.Replace(gatewayOf, "traefik}", "traefik, listeners: [{name: web, port: 8000, protocol: HTTP}]}", 1))[0].Unstructured}
	d := &chart{session: &session{}}
	for _, test := range []struct {
		rendered []kube.Object
		gateways []unstructured.Unstructured
		wrong    string
	}{
		{stored, live, ""},
		{runs(provider+"=true", web), live, ""}, // nobody listens on the other port
		{runs("", web), live, "runs without --providers.kubernetesgateway"},
		{runs("--providers.kubernetesgateway=false", web), nil, "runs without --providers.kubernetesgateway"},
		{runs(provider, secure), live, "takes the node's port 80 for its port 8000, so that listener web of Gateway/ns/gw"},
		{runs(provider, "{containerPort: 9000, hostPort: 80}"), live, "takes the node's port 80"},
		{runs(provider, ""), nil, ""},
	} {
		err := d.judgeServing(stored, test.rendered, test.gateways, "node")
		if (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v", test.wrong, err)
		}
	}
	if err := d.judgeServing(stored, runs(provider, ""), live, ""); err != nil {
		t.Errorf("no port of a node leads to it: %v", err)
	}
	if err := d.judgeServing(runs("", ""), runs("", ""), live, "node"); err != nil {
		t.Errorf("what it had not, it does not lose: %v", err)
	}
	moved := strings.Replace(gatewayOf, "traefik}", "traefik, listeners: [{name: web, port: 80, protocol: HTTP}]}", 1)
	var err error
	if d.inputs.gateways, err = ofKind[gatewayv1.Gateway](decoded(t, moved), "Gateway"); err != nil {
		t.Fatal(err)
	}
	if err := d.judgeServing(stored, runs(provider, "{containerPort: 80, hostPort: 80}"), live, "node"); err != nil {
		t.Errorf("the manifests move the Gateway's listener, too: %v", err)
	}
}

func TestOnlyAnUpgradesNewImagesThatNeedNoSecretArePulledBeforeIt(t *testing.T) {
	runs := func(image, more string) []kube.Object {
		return decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, "+
			"spec: {selector: {}, template: {spec: {"+more+"containers: [{name: traefik, image: '"+image+"'}]}}}}")
	}
	account := decoded(t, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: traefik}, imagePullSecrets: [{name: s}]}")
	for _, test := range []struct {
		rendered []kube.Object
		want     string
	}{
		{runs("traefik:1", ""), ""},
		{runs("traefik:2", ""), "traefik:2"},
		{runs("traefik:2", "imagePullSecrets: [{name: s}], "), ""},
		{append(runs("traefik:2", ""), account...), ""},
	} {
		if got := strings.Join(newImages(runs("traefik:1", ""), test.rendered), " "); got != test.want {
			t.Errorf("%q, not %q", got, test.want)
		}
	}
}

func TestAWorkloadThatRequestsMoreThanAnyNodeHasIsRefused(t *testing.T) {
	nodes := []unstructured.Unstructured{
		*decoded(t, "{apiVersion: v1, kind: Node, metadata: {name: small}, status: {allocatable: {cpu: '2', memory: 1Gi}}}")[0].Unstructured,
		*decoded(t, "{apiVersion: v1, kind: Node, metadata: {name: large}, status: {allocatable: {cpu: '4', memory: 4Gi}}}")[0].Unstructured,
	}
	for requests, wrong := range map[string]string{
		"{cpu: '4', memory: 4Gi}": "", "{}": "", "{example.com/gpu: '1'}": "",
		"{cpu: '5'}":   "no node has the 5 of cpu that it requests",
		"{memory: 5G}": "no node has the 5G of memory that it requests",
	} {
		err := judgePlaces(valuesOfKind, decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, "+
			"spec: {selector: {}, template: {spec: {containers: [{name: traefik, resources: {requests: "+requests+"}}]}}}}"), nodes)
		if (err != nil) != (wrong != "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", requests, err)
		}
	}
}

func TestAnArgumentThatNeedsKindsWhichNothingDefinesIsRefused(t *testing.T) {
	runs := func(arguments string) []kube.Object {
		return decoded(t, "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: traefik, namespace: traefik}, "+
			"spec: {selector: {}, template: {spec: {containers: [{name: traefik, args: ["+arguments+"]}]}}}}", service)
	}
	d := &chart{session: &session{}}
	if err := d.missingProviders(runs("--providers.kubernetescrd"), hasNoAnswer); !errors.Is(err, errNoAnswer) {
		t.Errorf("the cluster cannot be asked: %v", err)
	}
	for arguments, wrong := range map[string]string{
		"--providers.kubernetesgateway":                                     "",
		"--providers.kubernetescrd=false":                                   "",
		"--providers.kubernetesgateway.experimentalchannel=false":           "",
		"--providers.kubernetesGateway.experimentalChannel=true":            "does not define TLSRoute of gateway.networking.k8s.io/v1alpha2",
		"--providers.kubernetescrd, --providers.kubernetescrd.namespaces=a": "does not define IngressRoute of traefik.io/v1alpha1",
	} {
		d := &chart{session: &session{}}
		err := d.missing(runs(arguments), hasNothing)
		if (err != nil) != (wrong != "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", arguments, err)
		}
		d.inputs.apps = decoded(t, definition)
		if err := d.missing(runs(arguments), hasNothing); err != nil && strings.Contains(wrong, "IngressRoute") {
			t.Errorf("%s, with the definition: %v", arguments, err)
		}
		there := func(kube.Object) (bool, error) { return true, nil }
		if err := d.missingProviders(runs(arguments), there); err != nil {
			t.Errorf("%s, where the cluster has the kind: %v", arguments, err)
		}
	}
}

func TestWhatHelmTakesOverIsWhatSaysItIsOfTheRelease(t *testing.T) {
	objects := decoded(t, daemonSet, service, class)
	ours, another := objects[0].DeepCopy(), objects[1].DeepCopy()
	ours.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "traefik"})
	another.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "another"})
	got := takenOver(objects, []*unstructured.Unstructured{ours, another, nil})
	if !slices.Equal(got, []string{"DaemonSet/traefik/traefik"}) {
		t.Error(got)
	}
}

func TestWhatHelmWouldDeleteByNameAndIsNotOfTheReleaseIsRefused(t *testing.T) {
	objects := decoded(t, daemonSet, service, class)
	ours, theirs, elsewhere := objects[0].DeepCopy(), objects[1].DeepCopy(), objects[2].DeepCopy()
	ours.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "traefik", "meta.helm.sh/release-namespace": "traefik"})
	elsewhere.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "traefik", "meta.helm.sh/release-namespace": "edge"})
	err := judgeDeletion(objects, []*unstructured.Unstructured{ours, theirs, elsewhere})
	for _, name := range []string{"Service/traefik", "GatewayClass/traefik"} {
		if err == nil || !strings.Contains(err.Error(), name+" is there, and is not of Helm release traefik/traefik") {
			t.Error(err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "DaemonSet") {
		t.Error(err)
	}
	if err := judgeDeletion(objects, []*unstructured.Unstructured{ours, nil, nil}); err != nil {
		t.Error(err)
	}
}

func TestWhatHelmWouldOverwriteByNameAndSomebodyElseHasMadeIsRefused(t *testing.T) {
	objects := decoded(t, daemonSet, service, class)
	unlabelled, theirs, another := objects[0].DeepCopy(), objects[1].DeepCopy(), objects[2].DeepCopy()
	helm := []metav1.ManagedFieldsEntry{{Manager: traefik.Manager, Operation: metav1.ManagedFieldsOperationUpdate}}
	unlabelled.SetManagedFields(helm)
	theirs.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl-create", Operation: metav1.ManagedFieldsOperationUpdate}})
	another.SetManagedFields(helm)
	another.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "another", "meta.helm.sh/release-namespace": "edge"})
	err := judgeOverwriting(objects, []*unstructured.Unstructured{unlabelled, theirs, another})
	for _, name := range []string{"Service/traefik", "GatewayClass/traefik"} {
		if err == nil || !strings.Contains(err.Error(), name+" is there, and is not of Helm release traefik/traefik") {
			t.Error(err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "DaemonSet") {
		t.Errorf("somebody has taken its annotations away: %v", err)
	}
	ours := objects[1].DeepCopy()
	ours.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "traefik", "meta.helm.sh/release-namespace": "traefik"})
	if err := judgeOverwriting(objects, []*unstructured.Unstructured{nil, ours, nil}); err != nil {
		t.Errorf("it says that it is of the release: %v", err)
	}
}

func TestADataPlaneThatMayComeBackIsGivenItsTimeAndNoMore(t *testing.T) {
	for _, test := range []struct {
		finding check.Finding
		waited  time.Duration
		stays   bool
	}{
		{check.Finding{Verdict: check.Pending}, limits.PodReturns, false},
		{check.Finding{Verdict: check.Pending}, limits.PodReturns + 1, true},
		{check.Finding{Verdict: check.Broken, Cause: proof.NotLed}, limits.PortLeads, false},
		{check.Finding{Verdict: check.Broken, Cause: proof.NotLed}, limits.PortLeads + 1, true},
		{check.Finding{Verdict: check.Broken}, 0, true},
	} {
		if got := stays(test.finding, test.waited); got != test.stays {
			t.Errorf("%+v after %s: %t", test.finding, test.waited, got)
		}
	}
}
