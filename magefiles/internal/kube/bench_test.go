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

// server is a Deployment as a manifest has it; serverFields and serverStatusFields are what the API server says its applier and the
// Deployment's controller own of it.
const (
	server = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: demo, labels: {app.kubernetes.io/name: server, app.kubernetes.io/version: v1}}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/name: server, app.kubernetes.io/version: v1}}
  template:
    metadata: {labels: {app.kubernetes.io/name: server, app.kubernetes.io/version: v1}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: server
        image: server:v1
        args: ["--name=server"]
        env: [{name: MODE, value: demo}, {name: LEVEL, value: info}]
        ports: [{name: http, containerPort: 80}, {name: metrics, containerPort: 9090}]
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
        livenessProbe: {httpGet: {path: /health, port: http}}
        resources: {requests: {cpu: 10m, memory: 16Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
`
	serverFields = `{
  "f:metadata":{
    "f:annotations":{"f:kindgate/manifest-sha256":{}},
    "f:labels":{"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/version":{}}},
  "f:spec":{
    "f:replicas":{},"f:selector":{},
    "f:template":{
      "f:metadata":{"f:labels":{"f:app.kubernetes.io/name":{},"f:app.kubernetes.io/version":{}}},
      "f:spec":{
        "f:containers":{"k:{\"name\":\"server\"}":{
          ".":{},"f:args":{},
          "f:env":{
            "k:{\"name\":\"LEVEL\"}":{".":{},"f:name":{},"f:value":{}},
            "k:{\"name\":\"MODE\"}":{".":{},"f:name":{},"f:value":{}}},
          "f:image":{},
          "f:livenessProbe":{"f:httpGet":{"f:path":{},"f:port":{}}},
          "f:name":{},
          "f:ports":{
            "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{}},
            "k:{\"containerPort\":9090,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{},"f:name":{}}},
          "f:readinessProbe":{"f:httpGet":{"f:path":{},"f:port":{}},"f:periodSeconds":{}},
          "f:resources":{"f:requests":{"f:cpu":{},"f:memory":{}}},
          "f:securityContext":{"f:allowPrivilegeEscalation":{},"f:capabilities":{"f:drop":{}},"f:readOnlyRootFilesystem":{}},
          "f:volumeMounts":{"k:{\"mountPath\":\"/tmp\"}":{".":{},"f:mountPath":{},"f:name":{}}}}},
        "f:securityContext":{"f:runAsGroup":{},"f:runAsNonRoot":{},"f:runAsUser":{},"f:seccompProfile":{"f:type":{}}},
        "f:volumes":{"k:{\"name\":\"tmp\"}":{".":{},"f:emptyDir":{},"f:name":{}}}}}}}`
	serverStatusFields = `{
  "f:metadata":{"f:annotations":{".":{},"f:deployment.kubernetes.io/revision":{}}},
  "f:status":{
    "f:availableReplicas":{},
    "f:conditions":{
      ".":{},
      "k:{\"type\":\"Available\"}":{
        ".":{},"f:lastTransitionTime":{},"f:lastUpdateTime":{},"f:message":{},"f:reason":{},"f:status":{},"f:type":{}},
      "k:{\"type\":\"Progressing\"}":{
        ".":{},"f:lastTransitionTime":{},"f:lastUpdateTime":{},"f:message":{},"f:reason":{},"f:status":{},"f:type":{}}},
    "f:observedGeneration":{},"f:readyReplicas":{},"f:replicas":{},"f:updatedReplicas":{}}}`
)

func BenchmarkIsAsWantedOfADeployment(b *testing.B) {
	want, hash, err := wanted(manifest(b, server), nil)
	if err != nil {
		b.Fatal(err)
	}
	live := want.DeepCopy()
	live.SetManagedFields(managed(b, map[string]string{
		Manager: serverFields, "kube-controller-manager/status": serverStatusFields,
	}).GetManagedFields())
	for b.Loop() {
		if !isAsWanted(live, want, hash) {
			b.Fatal("it is not as wanted")
		}
	}
}
