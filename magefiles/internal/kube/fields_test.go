package kube

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// managed is an object with managedFields of the given managers, "name/subresource" with a tree of FieldsV1 each.
func managed(t *testing.T, managers map[string]string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{Object: object(t, deployment)}
	var entries []metav1.ManagedFieldsEntry
	for _, name := range slices.Sorted(maps.Keys(managers)) {
		manager, subresource, _ := strings.Cut(name, "/")
		fields := &metav1.FieldsV1{}
		if err := json.Unmarshal([]byte(managers[name]), fields); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: fields})
	}
	u.SetManagedFields(entries)
	return u
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
		if got := covers(object(t, deployment), ownedFields(managed(t, test.managers), Manager)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
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
		fields := object(t, `{"f:spec":{"f:selector":{},"f:ports":{`+test.ports+`}}}`)
		for range 50 { // as maps have no order
			if got := covers(object(t, dns), fields); got != test.want {
				t.Errorf("%s: %v", test.name, got)
				break
			}
		}
	}
}

func TestAnItemsKeyMayBeALargeNumber(t *testing.T) {
	fields := object(t, `{"k:{\"id\":1000000}":{".":{},"f:id":{}}}`)
	if _, ok := ownedItem(map[string]any{"id": int64(1000000)}, fields); !ok { // int64, as Decode has numbers
		t.Error("it is not found under its key")
	}
}

const httpRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: n, creationTimestamp: null, annotations: {a: b}}
spec:
  parentRefs: [{name: gw}]
  hostnames: [a.localhost]
  rules:
  - matches: [{path: {value: /v1}}]
    backendRefs: [{name: s, port: 80, weight: 1000000}]
`

func TestAnAtomicListIsOwnedAsAWholeOrNotAtAll(t *testing.T) {
	const all = `{"f:metadata":{"f:annotations":{"f:a":{}}},"f:spec":{"f:parentRefs":{},"f:hostnames":{},"f:rules":{}}}`
	for fields, want := range map[string]bool{
		all: true,
		strings.Replace(all, `,"f:rules":{}`, "", 1):  false, // kubectl edit took them
		strings.Replace(all, `"f:a"`, `"f:b"`, 1):     false,
		`{"f:metadata":{"f:annotations":{"f:a":{}}}}`: false,
	} {
		if got := covers(object(t, httpRoute), object(t, fields)); got != want {
			t.Errorf("%s: %v", fields, got)
		}
	}
}

func TestAChangedValueIsNotWithin(t *testing.T) {
	if !within(object(t, httpRoute), object(t, strings.ReplaceAll(httpRoute, "{path: {value: /v1}}", "{path: {type: PathPrefix, value: /v1}}"))) {
		t.Error("a default of the server's is taken for a change")
	}
	for old, changed := range map[string]string{
		"weight: 1000000": "weight: 1000001", "/v1": "/v2", "[a.localhost]": "[]", "hostnames": "others", "{name: s,": "{name: other,", "a: b": "a: 'true'",
		"[{name: gw}]": "[{name: gw}, {name: gw2}]", "[{path: {value: /v1}}]": "null",
	} {
		if within(object(t, httpRoute), object(t, strings.Replace(httpRoute, old, changed, 1))) {
			t.Errorf("%s is not seen", changed)
		}
	}
}

func TestWhatIsSentHasNothingThatOnlyAServerWrites(t *testing.T) {
	exported := object(t, deployment+"status: {replicas: 2}\n")
	metadata := exported["metadata"].(map[string]any)
	for _, field := range []string{"creationTimestamp", "resourceVersion", "uid"} {
		metadata[field] = "x"
	}
	metadata["generation"], metadata["managedFields"], metadata["annotations"] = int64(3), []any{}, map[string]any{"mine": "kept"}
	before, _ := json.Marshal(exported)
	want, hash, err := wanted(Object{&unstructured.Unstructured{Object: exported}, ""}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(exported); string(after) != string(before) {
		t.Error("the manifest's object itself was changed")
	}
	got := slices.Sorted(maps.Keys(want.Object["metadata"].(map[string]any)))
	if !slices.Equal(got, []string{"annotations", "labels", "name", "namespace"}) || want.Object["status"] != nil {
		t.Errorf("%v", want.Object)
	}
	if a := want.GetAnnotations(); a["mine"] != "kept" || a[manifestAnnotation] != hash || len(hash) != 64 {
		t.Errorf("%v", a)
	}
	metadata["annotations"] = map[string]any{"mine": "changed"}
	if _, other, _ := wanted(Object{&unstructured.Unstructured{Object: exported}, ""}, nil); other == hash {
		t.Error("a changed manifest has the same hash")
	}
}

func TestAnAutoscaledWorkloadIsCoveredWithoutItsReplicas(t *testing.T) {
	live := managed(t, map[string]string{
		Manager:                         strings.Replace(deploymentFields, `"f:replicas":{},`, "", 1),
		"kube-controller-manager/scale": `{"f:spec":{"f:replicas":{}}}`,
	})
	o := Object{&unstructured.Unstructured{Object: object(t, deployment)}, ""}
	want, _, err := wanted(o, live)
	if err != nil {
		t.Fatal(err)
	}
	annotations := map[string]any{"f:annotations": map[string]any{"f:" + manifestAnnotation: map[string]any{}}, "f:labels": map[string]any{}}
	owned := ownedFields(live, Manager)
	owned["f:metadata"] = annotations
	if !covers(want.Object, owned) || covers(o.Object, owned) {
		t.Error("the replicas still count")
	}
}

func TestTheLineIsTheObjectsWhateverStandsBeforeIt(t *testing.T) {
	for name, before := range map[string]string{
		"manifests/f.yaml:1": "", "manifests/f.yaml:2": "---\n", "manifests/f.yaml:4": "# a comment\n\n---\n", "manifests/f.yaml:3": "--- # the first\n# a comment\n",
		"manifests/f.yaml:6": namespace + "---\n", "manifests/f.yaml:8": "---\n" + namespace + "---\n# x\n",
	} {
		for _, end := range []string{"\n", "\r\n"} {
			text := strings.ReplaceAll(before+strings.Replace(namespace, "shop", "other", 1), "\n", end)
			objects, err := Decode([]byte(text), "manifests/f.yaml")
			if err != nil || len(objects) == 0 || objects[len(objects)-1].Source != name {
				t.Errorf("%q: %v %v, want %s", text, objects, err, name)
			}
			broken := strings.Replace(text, "name: other", "nam: other", 1)
			if _, err := Decode([]byte(broken), "manifests/f.yaml"); err == nil || !strings.Contains(err.Error(), name+": ") {
				t.Errorf("%q: %v, want %s", broken, err, name)
			}
		}
	}
}

func TestAByteOrderMarkDoesNoHarm(t *testing.T) {
	if objects, err := Decode([]byte("\uFEFF"+namespace), "f"); err != nil || len(objects) != 1 || objects[0].GetAPIVersion() != "v1" {
		t.Errorf("%v %v", objects, err)
	}
}

func TestImagesAreTheContainersOfAnyWorkloadOnceEach(t *testing.T) {
	pods := `spec: {template: {spec: {initContainers: [{image: b}], containers: [{image: a}, {image: b}, {name: none}]}}}`
	objects := []Object{
		{&unstructured.Unstructured{Object: object(t, pods)}, ""},
		{&unstructured.Unstructured{Object: object(t, "spec: {jobTemplate: {"+pods+"}}")}, ""},
		{&unstructured.Unstructured{Object: object(t, "{data: {image: x}, containers: text, spec: {containers: [text, {image: 3}, {image: c}]}}")}, ""},
	}
	if got := Images(objects); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Error(got)
	}
}
