package manifest

import (
	"slices"
	"testing"
	"testing/fstest"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

func TestAFeatureThatTheImplementationLacksIsFoundInItsLine(t *testing.T) {
	const text = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: demo}
spec:
  parentRefs: [{name: web}]
  rules:
    - timeouts: {request: 1s}
      filters:
        - type: URLRewrite
        - type: RequestMirror
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: demo}
`
	objects, err := kube.ReadDir(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}}, "manifests", func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	unreadable := objects[0]
	unreadable.Unstructured = unreadable.DeepCopy()
	unreadable.Object["spec"] = "none"
	var got []string
	for _, p := range Features(append(objects, unreadable), implementation.Traefik) {
		got = append(got, string(p.Verdict)+" "+p.String()+"; "+p.Remedy)
	}
	want := []string{"broken manifests/a.yaml:10: HTTPRoute/demo/shop: spec.rules[0].filters[1]: Traefik does not implement the filter RequestMirror; remove the filter",
		"warns manifests/a.yaml:7: HTTPRoute/demo/shop: spec.rules[0].timeouts.request: timeouts are accepted and ignored by Traefik; remove the field: it has no effect"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
