package manifest

import (
	"context"
	"strings"
	"testing"
)

func TestAVersionThatTheNodesKubernetesDoesNotServeIsNamedWithTheOneThatItServes(t *testing.T) {
	for _, test := range []struct{ kubernetes, apiVersion, kind, want string }{
		{"v1.37.2", "apps/v1", "Deployment", ""},
		{"v1.37.2", "apiextensions.k8s.io/v1", "CustomResourceDefinition", ""},
		{"v1.37.2", "apps/v1beta2", "Deployment", "Kubernetes 1.37 does not serve Deployment as apps/v1beta2; it serves apps/v1"},
		{"v1.37.2", "apps/v1beta3", "Deployment", "Kubernetes 1.37 does not serve Deployment as apps/v1beta3; it serves apps/v1"},
		{"v1.37.2", "v1", "Deployment", "Kubernetes 1.37 does not serve Deployment as v1; it serves apps/v1"},
		{"v1.37.2", "extensions/v1beta1", "Ingress", "Kubernetes 1.37 does not serve Ingress as extensions/v1beta1; it serves networking.k8s.io/v1"},
		{"v1.37.2", "batch/v1beta1", "CronJob", "Kubernetes 1.37 does not serve CronJob as batch/v1beta1; it serves batch/v1"},
		{"v1.24.0", "batch/v1beta1", "CronJob", ""},
		{"v1.25.0", "batch/v1beta1", "CronJob", "Kubernetes 1.25 does not serve CronJob as batch/v1beta1; it serves batch/v1"},
		{"v1.37.2", "autoscaling/v2beta2", "HorizontalPodAutoscaler",
			"Kubernetes 1.37 does not serve HorizontalPodAutoscaler as autoscaling/v2beta2; it serves autoscaling/v2, autoscaling/v1"},
		{"v1.37.2", "policy/v1beta1", "PodSecurityPolicy", "Kubernetes 1.37 does not serve PodSecurityPolicy as policy/v1beta1, nor as anything else"},
		{"v1.24.0", "policy/v1beta1", "PodSecurityPolicy", ""}, // it did, but the libraries do not know it
		{"v1.24.0", "apps/v3", "Deployment", "Kubernetes 1.24 does not serve Deployment as apps/v3; it serves apps/v1"},
		{"v1.99.0", "apps/v3", "Deployment", ""}, // newer than the libraries
		{"v1.37.2", "apiextensions.k8s.io/v1beta1", "CustomResourceDefinition",
			"Kubernetes 1.37 does not serve CustomResourceDefinition as apiextensions.k8s.io/v1beta1; it serves apiextensions.k8s.io/v1"},
		{"v1.33.0", "resource.k8s.io/v1", "DeviceClass",
			"Kubernetes 1.33 does not serve DeviceClass as resource.k8s.io/v1; it serves resource.k8s.io/v1beta2, resource.k8s.io/v1beta1"},
		{"", "apps/v1beta3", "Deployment", ""},
		{"v1.37.2", "cert-manager.io/v1", "Certificate", ""},
	} {
		got := said(Schemas{Kubernetes: test.kubernetes}.Problems(context.Background(),
			objects(t, "{apiVersion: "+test.apiVersion+", kind: "+test.kind+", metadata: {name: x}}")))
		if strings.TrimPrefix(got, "apiVersion: ") != test.want {
			t.Errorf("%s %s on %s: %s\nwant %s", test.apiVersion, test.kind, test.kubernetes, got, test.want)
		}
	}
}

func TestMetadataOfAnyKindIsJudged(t *testing.T) {
	for metadata, want := range map[string]string{
		"{name: a, labels: {app: a b}}":           `metadata.labels: "a b" a valid label must be`,
		"{name: a, annotations: {'a b/c': d}}":    `metadata.annotations: "a b/c" prefix part a lowercase RFC 1123 subdomain`,
		"{name: a/b}":                             `metadata.name: "a/b" may not contain '/'`,
		"{name: a, namespace: x, labels: {a: b}}": "",
	} {
		got := said(Schemas{}.Problems(context.Background(), objects(t, "{apiVersion: v1, kind: ConfigMap, metadata: "+metadata+"}")))
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s, want %s", metadata, got, want)
		}
	}
}

func TestAKeyThatAListHasTwiceIsNamed(t *testing.T) {
	const pod = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {selector: {}, template: {spec: {containers: [{name: a}, {name: b, "
	const service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: "
	for manifest, want := range map[string]string{
		service + "[{port: 80, name: a}, {port: 80, name: b, protocol: UDP}]}}":                  "",
		service + "[{port: 80, name: a}, {port: 81}, {port: 80, name: b, protocol: TCP}]}}":      `spec.ports[2]: port=80,protocol="TCP" is there twice`,
		pod + "env: [{name: A, value: x}, {name: B, value: x}]}]}}}}":                            "",
		pod + "env: [{name: A, value: x}, {name: A, value: y}]}]}}}}":                            `spec.template.spec.containers[1].env[1]: name="A" is there twice`,
		pod + "args: [-v, -v], ports: [{containerPort: 80}, {containerPort: 80, name: x}]}]}}}}": `spec.template.spec.containers[1].ports[1]: containerPort=80,protocol="TCP" is there twice`,
		pod + "args: [-v, -v]}]}}}}":      "",
		pod + "name2: x}, {name: a}]}}}}": `spec.template.spec.containers[2]: name="a" is there twice`,
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: c, finalizers: [a/b, a/b]}}":                            `metadata.finalizers[1]: a/b is there twice`,
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}, status: {x: [{name: a}, {name: a}]}}": "",
		"{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: c}, roleRef: {apiGroup: a, kind: b, name: c}, " +
			"subjects: [{kind: User, name: a, namespace: b}, {kind: User, name: a, namespace: c}]}": "",
	} {
		if got := said(Schemas{}.Problems(context.Background(), objects(t, manifest))); strings.ReplaceAll(got, `"a/b"`, "a/b") != want {
			t.Errorf("%s: %s\nwant %s", manifest, got, want)
		}
	}
}
