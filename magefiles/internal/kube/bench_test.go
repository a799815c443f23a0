package kube

import (
	"fmt"
	"testing"
	"testing/fstest"
)

func BenchmarkReadDirOf200Routes(b *testing.B) {
	files := fstest.MapFS{}
	for i := range 200 {
		files[fmt.Sprintf("route-%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route-%d, namespace: demo}
spec:
  parentRefs: [{name: gateway, namespace: traefik}]
  hostnames: [host-%d.localhost]
  rules:
    - backendRefs: [{name: whoami, port: 80}]
`, i, i)}
	}
	for b.Loop() {
		objects, err := ReadDir(files, "manifests", func(string) bool { return false })
		if err != nil || len(objects) != 200 {
			b.Fatal(len(objects), err)
		}
	}
}
