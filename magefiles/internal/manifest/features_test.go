package manifest

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

func TestAFilterThatTheChartsValuesProvideForIsNotLacking(t *testing.T) {
	routes := decoded(t, httpRoute("r", "parentRefs: [{name: web}], rules: [{filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: m}}]}]"), "m.yaml")
	for argument, problems := range map[string]int{"--log": 1, "--providers.kubernetescrd=false": 1, "--providers.kubernetesCRD": 0, "--providers.kubernetescrd=true": 0} {
		provided := decoded(t, strings.Replace(chart, `args: [`, `args: ["`+argument+`", `, 1), "")
		if got := Features(routes, provided, implementation.Traefik); len(got) != problems {
			t.Errorf("%s: %v", argument, got)
		}
	}
}

func TestAnObjectOfTheImplementationsOwnKindsNeedsADefinition(t *testing.T) {
	const definition = `
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: middlewares.traefik.io}
spec: {group: traefik.io, names: {kind: Middleware}}
`
	objects := "apiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: m}\n---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n" + edge
	expect(t, linesOf(t, Undefined(decoded(t, objects, "m.yaml"), implementation.Traefik)),
		"warns: m.yaml:2: Middleware/m: kind: nothing defines Middleware of traefik.io/v1alpha1: kindgate installs no*; put the definition into the manifests*")
	expect(t, linesOf(t, Undefined(decoded(t, objects+definition, "m.yaml"), implementation.Traefik)))
}

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
	for _, p := range Features(append(objects, unreadable), nil, implementation.Traefik) {
		got = append(got, string(p.Verdict)+" "+p.String()+"; "+p.Remedy)
	}
	want := []string{"broken manifests/a.yaml:10: HTTPRoute/demo/shop: spec.rules[0].filters[1]: Traefik does not implement the filter RequestMirror; remove the filter",
		"warns manifests/a.yaml:7: HTTPRoute/demo/shop: spec.rules[0].timeouts.request: timeouts are accepted and ignored by Traefik; remove the field: it has no effect"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
