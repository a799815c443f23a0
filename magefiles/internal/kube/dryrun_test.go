package kube

import (
	"reflect"
	"strings"
	"testing"
)

func TestTheFieldsThatChangeAreNamedWithBothValuesAndThoseOfASecretWithout(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, test := range []struct {
		name, from, to string
		want           []string
	}{
		{"nothing", "{kind: A, spec: {a: 1, b: [x]}}", "{kind: A, spec: {a: 1, b: [x]}}", nil},
		{"a value", "{spec: {a: 1}}", "{spec: {a: 2}}", []string{"spec.a: 1 becomes 2"}},
		{"a field more", "{spec: {}}", "{spec: {a: {b: c}}}", []string{`spec.a: {"b":"c"} is added`}},
		{"a field less", "{spec: {a: x}}", "{spec: {}}", []string{`spec.a: "x" is taken out`}},
		{"an item of a list", "{rules: [{p: 1}, {p: 2}]}", "{rules: [{p: 1}, {p: 3}]}", []string{"rules[1].p: 2 becomes 3"}},
		{"a list of another length", "{rules: [1]}", "{rules: [1, 2]}", []string{"rules: [1] becomes [1,2]"}},
		{"a map that becomes a list", "{a: {}}", "{a: []}", []string{"a: {} becomes []"}},
		{"beyond what is shown", "{a: " + long + "y}", "{a: " + long + "z}",
			[]string{`a: "` + strings.Repeat("x", 59) + `… becomes "` + strings.Repeat("x", 59) + "…"}},
		{"a Secret", "{apiVersion: v1, kind: Secret, data: {a: c2VjcmV0, b: eA==}}", "{apiVersion: v1, kind: Secret, data: {a: b3RoZXI=, c: eQ==}}",
			[]string{"data.a: (not shown) becomes (not shown)", "data.b: (not shown) is taken out", "data.c: (not shown) is added"}},
	} {
		var got []string
		for _, f := range ChangedFields(manifest(t, test.from).Unstructured, manifest(t, test.to).Unstructured) {
			got = append(got, f.String())
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestTheHashOfTheManifestIsNoFieldThatChanges(t *testing.T) {
	from := manifest(t, "{metadata: {name: a, resourceVersion: '1', managedFields: [{manager: x}]}}")
	to := manifest(t, "{metadata: {name: a, resourceVersion: '2', annotations: {"+manifestAnnotation+": 123}}}")
	if found := ChangedFields(withoutHash(from.Unstructured), withoutHash(to.Unstructured)); len(found) > 0 {
		t.Error(found)
	}
}
