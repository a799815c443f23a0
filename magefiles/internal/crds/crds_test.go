package crds

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func definition(version, channel string, served []any, stored ...string) *unstructured.Unstructured {
	crd := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"versions": served}}}
	crd.SetName("httproutes." + Group)
	if version != "" {
		crd.SetAnnotations(map[string]string{versionAnnotation: version, channelAnnotation: channel})
	}
	_ = unstructured.SetNestedStringSlice(crd.Object, stored, "status", "storedVersions")
	return crd
}

func TestDefinitionsAreNeverReplacedByOlderOrLesserOnes(t *testing.T) {
	v1 := []any{map[string]any{"name": "v1"}}
	wanted := definition("v1.4.0", "standard", v1)
	for _, test := range []struct {
		name  string
		live  *unstructured.Unstructured
		words []string // of the error, none where replacing is right
	}{
		{"none", nil, nil},
		{"the same", definition("v1.4.0", "standard", v1, "v1"), nil},
		{"older", definition("v1.3.0", "standard", v1, "v1"), nil},
		{"of unknown origin", definition("", "", v1, "v1"), nil},
		{"newer", definition("v1.5.1", "standard", v1, "v1"), []string{"v1.5.1 (standard)", "v1.4.0 (standard)", "teardown"}},
		{"newer by two digits", definition("v1.10.0", "standard", v1, "v1"), []string{"v1.10.0"}},
		{"experimental", definition("v1.4.0", "experimental", v1, "v1"), []string{"v1.4.0 (experimental)", "fields"}},
		{"stored in a version that is gone", definition("v1.3.0", "standard", v1, "v1beta1"), []string{"httproutes." + Group, "v1beta1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckReplace([]*unstructured.Unstructured{wanted}, []*unstructured.Unstructured{test.live})
			if (err == nil) != (test.words == nil) {
				t.Fatal(err)
			}
			for _, word := range test.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is missing in: %v", word, err)
				}
			}
		})
	}
}
