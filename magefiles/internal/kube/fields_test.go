package kube

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// deploymentFields is what the API server says an applier of deployment owns.
const deploymentFields = `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{
  "k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{
    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}`

// routeFields is what it says of httpRoute: lists that have one owner as a whole.
const routeFields = `{"f:metadata":{"f:annotations":{"f:a":{}}},"f:spec":{"f:parentRefs":{},"f:hostnames":{},"f:rules":{}}}`

// fieldSet reads FieldsV1.
func fieldSet(t *testing.T, text string) *fieldpath.Set {
	t.Helper()
	set := &fieldpath.Set{}
	if err := set.FromJSON(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestAnObjectIsCoveredWhileItsManagerOwnsEveryField(t *testing.T) {
	for _, test := range []struct {
		name, object, fields string
		want                 bool
	}{
		{"as applied", deployment, deploymentFields, true},
		{"replicas taken by somebody", deployment, `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:template":{}}}`, false},
		{"a label taken", deployment, `{"f:metadata":{"f:labels":{"f:other":{}}},"f:spec":{}}`, false},
		{"a container removed", deployment, strings.ReplaceAll(deploymentFields, "main", "other"), false},
		{"nothing owned", deployment, `{}`, false},
		{"lists with one owner each", httpRoute, routeFields, true},
		{"such a list taken, as by kubectl edit", httpRoute, strings.Replace(routeFields, `,"f:rules":{}`, "", 1), false},
		{"an annotation taken", httpRoute, strings.Replace(routeFields, `"f:a"`, `"f:b"`, 1), false},
		{"nothing owned but metadata", httpRoute, `{"f:metadata":{"f:annotations":{"f:a":{}}}}`, false},
		{"an item's fields, not the item itself", deployment, strings.Replace(deploymentFields, `".":{},"f:image"`, `"f:image"`, 1), true},
		{"a set", "metadata: {finalizers: [x]}", `{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{}}}}`, true},
		{"a set without the value", "metadata: {finalizers: [y]}", `{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{}}}}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := covers(object(t, test.object), fieldSet(t, test.fields)); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// managed is an object with managedFields of the given managers, "name/subresource" with a tree of FieldsV1 each.
func managed(t testing.TB, managers map[string]string) *unstructured.Unstructured {
	t.Helper()
	live := manifest(t, deployment)
	var entries []metav1.ManagedFieldsEntry
	for _, name := range slices.Sorted(maps.Keys(managers)) {
		manager, subresource, _ := strings.Cut(name, "/")
		fields := &metav1.FieldsV1{}
		if err := json.Unmarshal([]byte(managers[name]), fields); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationApply, Subresource: subresource, FieldsV1: fields,
		})
	}
	live.SetManagedFields(entries)
	return live.Unstructured
}

func TestOnlyTheManagersOwnFieldsCount(t *testing.T) {
	for _, test := range []struct {
		name     string
		managers map[string]string
		want     bool
	}{
		{"its own", map[string]string{Manager: deploymentFields}, true},
		{"beside the controller's", map[string]string{
			Manager: deploymentFields, "kube-controller-manager/status": `{"f:status":{"f:replicas":{}}}`, "kubectl": `{"f:metadata":{}}`,
		}, true},
		{"beside its own of a status", map[string]string{Manager: deploymentFields, Manager + "/status": `{"f:status":{}}`}, true},
		{"somebody else's", map[string]string{"kubectl": deploymentFields}, false},
		{"its own of a status only", map[string]string{Manager + "/status": deploymentFields}, false},
		{"nobody's", nil, false},
	} {
		if got := covers(object(t, deployment), ownedFields(managed(t, test.managers), Manager, metav1.ManagedFieldsOperationApply)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestWhatAnUpdaterOwnsIsInTheEntriesOfAllVersionsThatItWrote(t *testing.T) {
	live := managed(t, map[string]string{
		"helm/": strings.Replace(deploymentFields, `"f:replicas":{},`, "", 1), "helm": `{"f:spec":{"f:replicas":{}}}`,
	})
	entries := live.GetManagedFields()
	for i, version := range []string{"apps/v1", "apps/v1beta2"} {
		entries[i].Operation, entries[i].APIVersion = metav1.ManagedFieldsOperationUpdate, version
	}
	live.SetManagedFields(entries)
	if !covers(object(t, deployment), ownedFields(live, "helm", metav1.ManagedFieldsOperationUpdate)) {
		t.Error("one entry hides the other's fields")
	}
}

func TestFieldsThatCannotBeReadAreOwnedByNobody(t *testing.T) {
	live := managed(t, map[string]string{Manager: strings.Replace(deploymentFields, "k:{", "k:", 1)})
	if owned := ownedFields(live, Manager, metav1.ManagedFieldsOperationApply); !owned.Empty() {
		t.Errorf("%v", owned)
	}
}

// dns is a Service as manifests have it: TCP is left to the default, which is a part of the key under which the server lists a port.
const dns = `
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: n}
spec:
  selector: {app: dns}
  ports:
  - {name: tcp, port: 53, targetPort: 5353}
  - {name: udp, port: 53, targetPort: 5353, protocol: UDP}
`

func TestEachItemOfAListIsLookedUpUnderItsOwnKeys(t *testing.T) {
	const (
		tcp = `"k:{\"port\":53,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:targetPort":{}}`
		udp = `"k:{\"port\":53,\"protocol\":\"UDP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}`
	)
	for _, test := range []struct {
		name, ports string
		want        bool
	}{
		{"both", tcp + "," + udp, true},
		{"another port too", tcp + "," + udp + `,"k:{\"port\":54,\"protocol\":\"TCP\"}":{".":{}}`, true},
		{"UDP's was removed", tcp, false},
		{"UDP's targetPort was taken", tcp + "," + strings.Replace(udp, `,"f:targetPort":{}`, "", 1), false},
		{"TCP's targetPort was taken", strings.Replace(tcp, `,"f:targetPort":{}`, "", 1) + "," + udp, false},
	} {
		if got := covers(object(t, dns), fieldSet(t, `{"f:spec":{"f:selector":{},"f:ports":{`+test.ports+`}}}`)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestAnItemsKeyMayBeALargeNumber(t *testing.T) {
	want := map[string]any{"items": []any{map[string]any{"id": int64(1000000)}}} // int64, as Decode has numbers
	owned := fieldSet(t, `{"f:items":{"k:{\"id\":1000000}":{".":{},"f:id":{}}}}`)
	if !covers(want, owned) || exceeds(owned, want) {
		t.Error("it is not found under its key")
	}
}

func TestWhatIsOwnedBeyondTheManifestIsSeen(t *testing.T) {
	for _, test := range []struct {
		fields, object string
		want           bool
	}{
		{deploymentFields, deployment, false},
		{strings.Replace(deploymentFields, `"f:image":{}`, `"f:image":{},"f:args":{}`, 1), deployment, true},
		{strings.ReplaceAll(deploymentFields, "main", "other"), deployment, true},
		{strings.Replace(deploymentFields, `"f:replicas"`, `"f:paused"`, 1), deployment, true},
		{`{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{}}}}`, "metadata: {finalizers: [x]}", false},
		{`{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{},"v:\"y\"":{}}}}`, "metadata: {finalizers: [x]}", true},
		{routeFields, httpRoute, false},
	} {
		if got := exceeds(fieldSet(t, test.fields), object(t, test.object)); got != test.want {
			t.Errorf("%s: %v", test.fields, got)
		}
	}
}
