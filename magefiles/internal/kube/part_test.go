package kube

import "testing"

func TestAFieldsPlaceIsTheLineItsNameIsOnOrThatOfTheNearestPartAboveIt(t *testing.T) {
	objects, err := Decode([]byte(`apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: first}
- apiVersion: example.com/v1
  kind: Route
  metadata:
    name: second
    annotations:
      kindgate/probe: x
  defaults: &defaults
    port: 80
  spec:
    rules:
    - backendRefs:
      - name: web
      - <<: *defaults
        name: other
    again: *defaults
`), "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for field, line := range map[string]string{
		"":                                     "7",
		"metadata.annotations":                 "11",
		"metadata.annotations[kindgate/probe]": "12",
		"spec.rules[0].backendRefs[0].name":    "18",
		"spec.rules[0].backendRefs[1]":         "19",
		"spec.rules[0].backendRefs[1].port":    "14",
		"spec.rules[0].backendRefs[2].name":    "17",
		"spec.rules[0].matches[0].path":        "17",
		"spec.again.port":                      "14",
	} {
		if at := objects[1].At(field); at != "f.yaml:"+line {
			t.Errorf("%s: %s, expected line %s", field, at, line)
		}
	}
	if at := (Object{Source: "elsewhere"}).At("spec"); at != "elsewhere" {
		t.Error(at)
	}
}
