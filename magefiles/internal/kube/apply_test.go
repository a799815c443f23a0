package kube

import (
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var content map[string]any
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	return content
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: n, labels: {app: d}}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: main
        image: i:1
        ports: [{containerPort: 80}]
`

// deploymentFields is what the API server says an applier of the above owns.
const deploymentFields = `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{
	"k:{\"name\":\"main\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}`

func TestAnObjectIsCoveredWhileItsManagerOwnsEveryField(t *testing.T) {
	for _, test := range []struct {
		name, object, fields string
		want                 bool
	}{
		{"as applied", deployment, deploymentFields, true},
		{"replicas taken by somebody", deployment, `{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:template":{}}}`, false},
		{"a label taken", deployment, `{"f:metadata":{"f:labels":{"f:other":{}}},"f:spec":{}}`, false},
		{"a container removed", deployment, `{"f:metadata":{"f:labels":{}},"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"other\"}":{}}}}}}`, false},
		{"nothing owned", deployment, `{}`, false},
		{"a list with one owner", "spec: {rules: [{a: 1}], hostnames: [x]}", `{"f:spec":{"f:rules":{},"f:hostnames":{}}}`, true},
		{"a set", "metadata: {finalizers: [x]}", `{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{}}}}`, true},
		{"a set without the value", "metadata: {finalizers: [y]}", `{"f:metadata":{"f:finalizers":{".":{},"v:\"x\"":{}}}}`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(test.fields), &fields); err != nil {
				t.Fatal(err)
			}
			if got := covers(object(t, test.object), fields); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestWithinForgivesWhatAServerAddsOrLeavesOut(t *testing.T) {
	for _, test := range []struct {
		want, live string
		ok         bool
	}{
		{"a: 1", "{a: 1, b: 2}", true},
		{"a: {b: x}", "{a: {b: x, c: y}}", true},
		{"a: [{n: 1}]", "{a: [{n: 1, d: 2}]}", true},
		{"a: [1]", "{a: [1, 2]}", false},
		{"{a: 0, b: false, c: '', d: {}, e: []}", "{}", true},
		{"a: 1", "{}", false},
		{"a: 1", "{a: 2}", false},
	} {
		if got := within(object(t, test.want), object(t, test.live)); got != test.ok {
			t.Errorf("%s in %s: %v", test.want, test.live, got)
		}
	}
}

func TestTheHashIsTheManifestsAloneAndAnAutoscalersReplicasAreLeft(t *testing.T) {
	o := Object{&unstructured.Unstructured{Object: object(t, deployment)}, ""}
	_, hash, err := wanted(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	live := &unstructured.Unstructured{Object: object(t, deployment)}
	live.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kube-controller-manager", Subresource: "scale"}})
	scaled, again, err := wanted(o, live)
	if err != nil || again != hash {
		t.Errorf("%v: the hash changed with the live object", err)
	}
	if _, found, _ := unstructured.NestedFieldNoCopy(scaled.Object, "spec", "replicas"); found {
		t.Error("the replicas are fought over")
	}
	live.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl", Subresource: "scale"}})
	if byHand, _, _ := wanted(o, live); byHand.Object["spec"].(map[string]any)["replicas"] == nil {
		t.Error("a person's kubectl scale is taken for an autoscaler's")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(namespace + "---\n" + deployment))
	f.Add([]byte("kind: List\napiVersion: v1\nitems: [1]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := Decode(data, "f")
		for _, o := range objects {
			if err == nil && (o.GetKind() == "" || o.GetName() == "") {
				t.Errorf("%q gave an object without kind or name", data)
			}
		}
		Images(objects)
	})
}
