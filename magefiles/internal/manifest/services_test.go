package manifest

import (
	"fmt"
	"testing"
)

func service(spec string) string { return object("v1", "Service", "demo", "s", spec) }

func deployment(name, labels, ports string) string {
	return object("apps/v1", "Deployment", "demo", name,
		fmt.Sprintf("selector: {matchLabels: {%s}}, template: {metadata: {labels: {%s}}, spec: {containers: [{name: c, ports: [%s]}]}}", labels, labels, ports))
}

func TestAServiceSelectsPodsOfTheFolder(t *testing.T) {
	const pod = "metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}"
	for _, test := range []struct {
		name, folder, want string
	}{
		{"a Deployment's", deployment("d", "app: web, tier: a", "") + service("selector: {app: web}, ports: [{port: 80}]"), ""},
		{"a CronJob's", object("batch/v1", "CronJob", "demo", "c", "jobTemplate: {spec: {template: {"+pod+"}}}") + service("selector: {app: web}"), ""},
		{"a Pod", "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: demo, labels: {app: web}}, spec: {containers: [{name: c}]}}" + service("selector: {app: web}"), ""},
		{"a workload's of a kind that is not known", object("argoproj.io/v1alpha1", "Rollout", "demo", "r", "template: {"+pod+"}") + service("selector: {app: web}"), ""},
		{"one pod of a StatefulSet", deployment("d", "app: web", "") + service("selector: {app: web, statefulset.kubernetes.io/pod-name: web-0}"), ""},
		{"nearly", deployment("d", "app: wbe", "") + service("selector: {app: web}"),
			"warns*Service/demo/s: spec.selector: it selects no pods of the manifests: Deployment/demo/d has app=wbe where it asks for web"},
		{"but for one label", deployment("d", "app: web, tier: a", "") + service("selector: {app: web, tier: backend, zone: z}"),
			"Deployment/demo/d has tier=a where it asks for backend, no label zone where it asks for z"},
		{"none", deployment("d", "app: api", "") + service("selector: {app: frontend}"), "warns*no workload in namespace demo has the labels app=frontend"},
		{"none of its namespace", "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: other, labels: {app: web}}, spec: {containers: [{name: c}]}}" + service("selector: {app: web}"),
			"no workload in namespace demo"},
		{"those that somebody else may make", object("example.com/v1", "Database", "demo", "db", "size: 1") + service("selector: {app: db}"), ""},
		{"nothing", service("ports: [{port: 80}]"), ""},
		{"a name outside", service("type: ExternalName, externalName: a.x, selector: {app: web}"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expect(t, judged(t, test.folder, ""), want...)
		})
	}
}

func TestATargetPortByNameIsAContainers(t *testing.T) {
	to := func(port string) string {
		return service("selector: {app: web}, ports: [{port: 80, targetPort: " + port + "}]")
	}
	const http = "{name: http, containerPort: 8080}"
	for _, test := range []struct {
		name, folder, want string
	}{
		{"it is", deployment("d", "app: web", http) + to("http"), ""},
		{"a number need not be", deployment("d", "app: web", http) + to("9999"), ""},
		{"nor does none", deployment("d", "app: web", http) + service("selector: {app: web}, ports: [{port: 80}]"), ""},
		{"it is not", deployment("d", "app: web", http) + to("htpp"),
			"broken*Service/demo/s: spec.ports[0].targetPort: no container of its pods (Deployment/demo/d) has a TCP port named htpp: they declare 8080 http"},
		{"none is declared", deployment("d", "app: web", "") + to("http"), "they declare none"},
		{"of another protocol", deployment("d", "app: web", "{name: http, containerPort: 8080, protocol: UDP}") + to("http"), "has a TCP port named http: they declare 8080 http"},
		{"one of two workloads has it", deployment("d", "app: web", "") + deployment("e", "app: web", http) + to("http"), ""},
		{"a sidecar's", object("apps/v1", "Deployment", "demo", "d", "selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, "+
			"spec: {containers: [{name: c}], initContainers: [{name: i}, {name: s, restartPolicy: Always, ports: ["+http+"]}]}}") + to("http"), ""},
		{"of a kind that is not known", object("argoproj.io/v1alpha1", "Rollout", "demo", "r", "template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}") + to("http"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expect(t, judged(t, test.folder, ""), want...)
		})
	}
}

func TestAWorkloadSelectsItsOwnPods(t *testing.T) {
	workload := func(selector string) string {
		return object("apps/v1", "StatefulSet", "demo", "w", selector+"template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}")
	}
	expect(t, judged(t, workload("selector: {matchLabels: {app: web}}, "), ""))
	expect(t, judged(t, workload("selector: {matchLabels: {app: api}}, "), ""),
		"broken*StatefulSet/demo/w: spec.selector: it asks for app=api, and its own spec.template.metadata.labels has app=web, which the API server refuses")
	expect(t, judged(t, workload(""), ""), `broken*spec: it has no selector, which the API server refuses; write selector: {matchLabels: {app: "web"}}`)
	expect(t, judged(t, workload("selector: {matchExpressions: [{key: a, operator: Odd}]}, "), ""))
	expect(t, judged(t, object("batch/v1", "Job", "demo", "j", "template: {spec: {containers: [{name: c}]}}"), ""))
}

func TestAPodNamesWhatIsThere(t *testing.T) {
	const have = `
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: demo}}
---
{apiVersion: v1, kind: Secret, metadata: {name: password, namespace: other}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: demo}}
`
	pod := func(spec string) string {
		return have + "\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: demo}, spec: {" + spec + "}}"
	}
	const c = "containers: [{name: c}], "
	for _, test := range []struct {
		name, folder, want string
	}{
		{"it is there", pod(c + "volumes: [{name: v, configMap: {name: settings}}, {name: w, persistentVolumeClaim: {claimName: data}}]"), ""},
		{"nothing is known of it", pod(c + "volumes: [{name: v, configMap: {name: elsewhere}}]"), ""},
		{"nearly the name", pod(c + "volumes: [{name: v, configMap: {name: setting}}]"),
			"warns*Pod/demo/p: spec.volumes[0].configMap.name: there is no ConfigMap/demo/setting in the manifests, but there is ConfigMap/demo/settings; write name: settings"},
		{"optional", pod(c + "volumes: [{name: v, configMap: {name: setting, optional: true}}]"), ""},
		{"a claim", pod(c + "volumes: [{name: v, persistentVolumeClaim: {claimName: date}}]"), "spec.volumes[0].persistentVolumeClaim.claimName*write claimName: data"},
		{"in another namespace", pod("containers: [{name: c, envFrom: [{secretRef: {name: password}}]}]"),
			"spec.containers[0].envFrom[0].secretRef.name: there is no Secret/demo/password*there is Secret/other/password; write it into namespace demo"},
		{"a variable's", pod("containers: [{name: c, env: [{name: E, valueFrom: {configMapKeyRef: {name: settngs, key: k}}}]}]"), "spec.containers[0].env[0].valueFrom.configMapKeyRef.name"},
		{"a Secret as a volume", pod(c + "volumes: [{name: v, secret: {secretName: password}}]"), "spec.volumes[0].secret.secretName"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expect(t, judged(t, test.folder, ""), want...)
		})
	}
}
