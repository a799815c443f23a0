package readiness

import (
	"slices"
	"testing"

	"kindgate/magefiles/internal/kube"
)

func TestObjectsThatAWebhookMustSeeComeAfterItsPods(t *testing.T) {
	objects, err := kube.Decode([]byte(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
- name: a.b.c
  clientConfig: {service: {namespace: hooks, name: hook}}
  rules:
  - {apiGroups: [case.test], operations: [CREATE], resources: [things]}
  - {apiGroups: [""], operations: ["*"], resources: [pods]}
  namespaceSelector: {matchExpressions: [{key: free, operator: DoesNotExist}]}
---
{apiVersion: v1, kind: Service, metadata: {name: hook, namespace: hooks}, spec: {selector: {app: hook}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: hook, namespace: hooks}, spec: {template: {metadata: {labels: {app: hook}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: another, namespace: hooks}, spec: {template: {metadata: {labels: {app: another}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: app, namespace: apps}, spec: {template: {metadata: {labels: {app: app}}}}}
---
{apiVersion: case.test/v1, kind: Thing, metadata: {name: t, namespace: hooks}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: unseen, namespace: apps}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: free, labels: {free: "yes"}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: free, namespace: free}}
`), "")
	if err != nil {
		t.Fatal(err)
	}
	servers, after := WebhookOrder(objects)
	if !slices.Equal(servers[0], []int{2}) {
		t.Errorf("served by %v", servers[0])
	}
	for i, before := range after {
		name := objects[i].Name()
		if held := len(before) > 0; held != (name == "Deployment/apps/app" || name == "Thing/hooks/t") {
			t.Errorf("%s: %v", name, before)
		}
	}
}
