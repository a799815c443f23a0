package crds

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestDefinitionsOfOthersAreUsedOrRefusedButNeverTouched(t *testing.T) {
	v1 := []any{map[string]any{"name": "v1"}}
	of := func(version, channel string) *unstructured.Unstructured {
		return definition(version, channel, v1, "v1")
	}
	ours := func(version string) *unstructured.Unstructured {
		crd := of(version, "standard")
		crd.SetLabels(map[string]string{"ours": "yes"})
		return crd
	}
	wanted := []*unstructured.Unstructured{of("v1.4.0", "standard"), of("v1.4.0", "standard")}
	for name, test := range map[string]struct {
		live  []*unstructured.Unstructured
		apply []int
		words string // of the error
	}{
		"none is there":                  {[]*unstructured.Unstructured{nil, nil}, []int{0, 1}, ""},
		"the same":                       {[]*unstructured.Unstructured{of("v1.4.0", "standard"), of("v1.4.0", "standard")}, nil, ""},
		"newer":                          {[]*unstructured.Unstructured{of("v1.5.0", "standard"), of("v1.5.0", "standard")}, nil, ""},
		"experimental":                   {[]*unstructured.Unstructured{of("v1.4.0", "experimental"), of("v1.4.0", "experimental")}, nil, ""},
		"older":                          {[]*unstructured.Unstructured{of("v1.2.1", "standard"), nil}, nil, "v1.2.1 (standard), older than v1.4.0 (standard)"},
		"of an unknown release":          {[]*unstructured.Unstructured{of("", ""), nil}, nil, "do not say which release"},
		"one is missing of the same":     {[]*unstructured.Unstructured{nil, of("v1.4.0", "standard")}, []int{0}, ""},
		"one is missing of another":      {[]*unstructured.Unstructured{of("v1.5.0", "standard"), nil}, nil, "v1.5.0 (standard), but not httproutes."},
		"one is missing of experimental": {[]*unstructured.Unstructured{of("v1.4.0", "experimental"), nil}, nil, "v1.4.0 (experimental), but not httproutes."},
		"ours, older":                    {[]*unstructured.Unstructured{ours("v1.3.0"), ours("v1.4.0")}, []int{0, 1}, ""},
		"ours, newer":                    {[]*unstructured.Unstructured{ours("v1.5.0"), ours("v1.5.0")}, nil, ""},
		"ours, one deleted":              {[]*unstructured.Unstructured{ours("v1.4.0"), nil}, []int{0, 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			apply, err := Share(wanted, test.live, func(crd *unstructured.Unstructured) bool { return crd.GetLabels()["ours"] != "" })
			if !reflect.DeepEqual(apply, test.apply) || (err == nil) != (test.words == "") {
				t.Fatal(apply, err)
			}
			if err != nil && (!strings.Contains(err.Error(), test.words) || !errors.As(err, new(*SharedError))) {
				t.Error(err)
			}
		})
	}
}
