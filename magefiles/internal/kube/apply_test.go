package kube

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/result"
)

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var content map[string]any
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		t.Fatal(err)
	}
	return content
}

// manifest is an object as Decode has it, from nowhere.
func manifest(t testing.TB, text string) Object {
	t.Helper()
	return Object{Unstructured: &unstructured.Unstructured{Object: object(t, text)}}
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

func TestWithinForgivesWhatAServerAddsOrLeavesOutAndNothingElse(t *testing.T) {
	for _, test := range []struct {
		want, live string
		ok         bool
	}{
		{"a: 1", "{a: 1, b: 2}", true},
		{"a: {b: x}", "{a: {b: x, c: y}}", true},
		{"a: [{n: 1}]", "{a: [{n: 1, d: 2}]}", true},
		{"{a: 0, b: false, c: '', d: {}, e: []}", "{}", true},
		{"a: 1", "{}", false},
		{httpRoute, strings.ReplaceAll(httpRoute, "{path: {value: /v1}}", "{path: {type: PathPrefix, value: /v1}}"), true},
	} {
		if got := within(object(t, test.want), object(t, test.live)); got != test.ok {
			t.Errorf("%s in %s: %v", test.want, test.live, got)
		}
	}
	for old, changed := range map[string]string{
		"weight: 1000000": "weight: 1000001", "/v1": "/v2", "[a.localhost]": "[]", "hostnames": "others", "{name: s,": "{name: other,",
		"a: b": "a: 'true'", "[{name: gw}]": "[{name: gw}, {name: gw2}]", "[{path: {value: /v1}}]": "null",
	} {
		if within(object(t, httpRoute), object(t, strings.Replace(httpRoute, old, changed, 1))) {
			t.Errorf("%s is not seen", changed)
		}
	}
}

// applied is an object that was applied from a manifest, with the fields that we then own, or some others.
func applied(t *testing.T, want *unstructured.Unstructured, fields string) *unstructured.Unstructured {
	t.Helper()
	live := managed(t, map[string]string{Manager: fields})
	entries := live.GetManagedFields()
	live.Object = want.DeepCopy().Object
	live.SetManagedFields(entries)
	return live
}

func TestAnObjectIsAsWantedWhileItHasTheManifestsValuesWhoeverWroteThem(t *testing.T) {
	const (
		secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: n}\nstringData: {user: admin, key: text}\ndata: {key: b2xk}\n"
		fields = `{"f:metadata":{"f:annotations":{"f:kindgate/manifest-sha256":{}}},"f:data":{"f:user":{},"f:key":{}}}`
	)
	want, hash, err := wanted(manifest(t, secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, fields string
		change       func(live *unstructured.Unstructured)
		want         bool
	}{
		{"as applied", fields, func(*unstructured.Unstructured) {}, true},
		{"with somebody's key", fields, func(live *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(live.Object, "eA==", "data", "theirs")
		}, true},
		{"a value changed under our name", fields, func(live *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(live.Object, "eA==", "data", "key")
		}, false},
		{"a key removed", fields, func(live *unstructured.Unstructured) { unstructured.RemoveNestedField(live.Object, "data", "key") }, false},
		{"a key that the manifest had before", strings.Replace(fields, `"f:key":{}`, `"f:key":{},"f:old":{}`, 1),
			func(*unstructured.Unstructured) {}, false},
		{"a hash that was forged", fields, func(live *unstructured.Unstructured) {
			live.SetAnnotations(map[string]string{manifestAnnotation: "other"})
		}, false},
		{"written by an update under our name", fields, func(live *unstructured.Unstructured) {
			entries := live.GetManagedFields()
			entries[0].Operation = metav1.ManagedFieldsOperationUpdate
			live.SetManagedFields(entries)
		}, false},
	} {
		live := applied(t, want, test.fields)
		test.change(live)
		if got := isAsWanted(live, want, hash); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if isAsWanted(nil, want, hash) {
		t.Error("an object that is not there is as wanted")
	}
}

func TestASecretsStringDataIsSentAsData(t *testing.T) {
	for text, data := range map[string]string{
		"stringData: {user: admin, key: text}\ndata: {key: b2xk, more: eA==}": "key: dGV4dA==, more: eA==, user: YWRtaW4=",
		"stringData: {user: ''}": "user: ''",
		"data: {more: eA==}":     "more: eA==",
		"stringData: {}":         "",
	} {
		want, _, err := wanted(manifest(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		expected := object(t, "{"+data+"}")
		got, _ := want.Object["data"].(map[string]any)
		if _, plain := want.Object["stringData"]; plain || !maps.Equal(got, expected) {
			t.Errorf("%s: %v", text, want.Object)
		}
	}
	other, _, _ := wanted(manifest(t, "apiVersion: example.com/v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"), nil)
	if other.Object["stringData"] == nil {
		t.Error("another group's Secret was changed")
	}
}

func TestAValueThatTheServerWritesOtherwiseIsNoDifference(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: null}\nspec:\n  nodeSelector: {}\n  containers:\n" +
		"  - {name: c, env: [{name: E, value: ''}], resources: {requests: {cpu: CPU, memory: 1024Mi}}}\n"
	live := object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: p, uid: u}\nspec:\n  containers:\n"+
		"  - {name: c, imagePullPolicy: Always, env: [{name: E}], resources: {requests: {cpu: '1', memory: 1Gi}}}\n")
	for cpu, want := range map[string]bool{"1000m": true, "1": true, "'1.0'": true, "1001m": false} {
		if got := within(normalized(manifest(t, strings.Replace(pod, "CPU", cpu, 1)).Unstructured), live); got != want {
			t.Errorf("%s: %v", cpu, got)
		}
	}
	unknown := manifest(t, "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\ncpu: 1000m\n")
	if got := normalized(unknown.Unstructured); got["cpu"] != "1000m" {
		t.Errorf("%v", got)
	}
	misfit := manifest(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: t}\nspec: text\n")
	if got := normalized(misfit.Unstructured); got["spec"] != "text" {
		t.Errorf("%v", got)
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
	want, hash, err := wanted(Object{Unstructured: &unstructured.Unstructured{Object: exported}}, nil)
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
	if _, other, _ := wanted(Object{Unstructured: &unstructured.Unstructured{Object: exported}}, nil); other == hash {
		t.Error("a changed manifest has the same hash")
	}
}

func TestAnAutoscalersReplicasAreLeftToItAndChangeNoHash(t *testing.T) {
	o := manifest(t, deployment)
	_, hash, err := wanted(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	live := managed(t, map[string]string{
		Manager:                         strings.Replace(deploymentFields, `"f:replicas":{},`, "", 1),
		"kube-controller-manager/scale": `{"f:spec":{"f:replicas":{}}}`,
	})
	scaled, again, err := wanted(o, live)
	if err != nil || again != hash {
		t.Errorf("%v: the hash changed with the live object", err)
	}
	if _, found, _ := unstructured.NestedFieldNoCopy(scaled.Object, "spec", "replicas"); found {
		t.Error("the replicas are fought over")
	}
	owned := ownedFields(live, Manager, metav1.ManagedFieldsOperationApply).
		Union(fieldSet(t, `{"f:metadata":{"f:annotations":{"f:`+manifestAnnotation+`":{}}}}`))
	if !covers(scaled.Object, owned) || covers(o.Object, owned) {
		t.Error("the replicas still count")
	}
	byHand, _, _ := wanted(o, managed(t, map[string]string{"kubectl/scale": `{"f:spec":{"f:replicas":{}}}`}))
	if byHand.Object["spec"].(map[string]any)["replicas"] == nil {
		t.Error("a person's kubectl scale is taken for an autoscaler's")
	}
}

func TestAnObjectThatWasThereBeforeIsKnownByItsWriters(t *testing.T) {
	live := func(annotation string, managers ...string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		if annotation != "" {
			u.SetAnnotations(map[string]string{manifestAnnotation: annotation})
		}
		var entries []metav1.ManagedFieldsEntry
		for _, manager := range managers {
			operation := metav1.ManagedFieldsOperationUpdate
			if manager == Manager {
				operation = metav1.ManagedFieldsOperationApply
			}
			entries = append(entries, metav1.ManagedFieldsEntry{Manager: manager, Operation: operation})
		}
		u.SetManagedFields(entries)
		return u
	}
	for name, test := range map[string]struct {
		live *unstructured.Unstructured
		res  result.Result
		want []string
	}{
		"new":                      {nil, result.Created, nil},
		"a copy of ours":           {live("hash", "kubectl"), result.Updated, []string{"kubectl"}},
		"of ours, annotation gone": {live("", Manager, "kubectl"), result.Repaired, nil},
		"somebody's":               {live("", "kubectl", "helm", "kubectl"), result.Updated, []string{"helm", "kubectl"}},
		"nobody's":                 {live(""), result.Updated, []string{}},
		"refused":                  {live("", "kubectl"), "", nil},
		"left as it is":            {live("", "kubectl"), result.Unchanged, nil},
	} {
		if got := before(test.live, test.res); !slices.Equal(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAConflictNamesWhoHasSetWhat(t *testing.T) {
	causes := []metav1.StatusCause{{Type: metav1.CauseTypeFieldValueInvalid, Field: "x"}}
	for _, field := range []string{".a", ".b", ".c", ".d", ".e"} {
		causes = append(causes, metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "kubectl-create" using v1`, Field: field})
	}
	refused := apierrors.NewApplyConflict(causes, "Apply failed with 5 conflicts")
	found := (*ConflictError)(nil)
	if err := conflict(refused); !errors.As(err, &found) || err.Error() != "it was there before, and kubectl-create set .a, .b, .c, .d and 1 more to something else" {
		t.Error(err)
	}
	for _, other := range []error{apierrors.NewApplyConflict(nil, "no cause"), errors.New("no status")} {
		if err := conflict(other); err != other {
			t.Error(err)
		}
	}
}

func TestAFieldThatTheServerAlteredIsNamedAndOneThatItAddedIsNot(t *testing.T) {
	const want = "{spec: {replicas: 2, containers: [{image: a}], args: [x]}, metadata: {labels: {a: b}}}"
	for live, expected := range map[string]string{
		want: "",
		"{spec: {replicas: 2, extra: 1, containers: [{image: a, pull: Always}], args: [x, y]}, metadata: {labels: {a: b, c: d}}}": "",
		"{spec: {containers: [{image: a}], args: [x]}, metadata: {labels: {a: b}}}":                                               "",
		"{spec: {replicas: 3, containers: [{image: a}], args: [x]}, metadata: {labels: {a: b}}}":                                  "spec.replicas is 3, not 2",
		"{spec: {replicas: 2, containers: [{image: m/a}], args: [x]}, metadata: {labels: {a: b}}}":                                "spec.containers[0].image is m/a, not a",
		"{spec: {replicas: 2, containers: [{image: a}], args: [x]}, metadata: {labels: {a: c}}}":                                  "metadata.labels.a is c, not b",
	} {
		if got := altered(object(t, want), object(t, live), ""); got != expected {
			t.Errorf("%s: %q, expected %q", live, got, expected)
		}
	}
}

func TestAZeroThatOnlyAGoTypeHasIsNoValueOfTheManifest(t *testing.T) {
	service := manifest(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n")
	live := object(t, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80, protocol: TCP, targetPort: 80}]}\n")
	if found := altered(normalized(service.Unstructured), live, ""); found != "" {
		t.Error(found)
	}
	if !within(normalized(service.Unstructured), live) {
		t.Error("a port that the server completes is no difference")
	}
}
