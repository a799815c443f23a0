package readiness

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
)

// LacksPods tells whether a workload's controller has made fewer pods than it should have: perhaps the API server refuses them.
func LacksPods(live *unstructured.Unstructured) bool {
	count := func(fields ...string) int64 { n, _, _ := unstructured.NestedInt64(live.Object, fields...); return n }
	switch live.GetKind() {
	case "Deployment", "ReplicaSet":
		return slices.ContainsFunc(kube.Conditions(live), func(condition metav1.Condition) bool {
			return condition.Type == string(appsv1.DeploymentReplicaFailure) && condition.Status == metav1.ConditionTrue
		})
	case "DaemonSet":
		return count("status", "currentNumberScheduled") < count("status", "desiredNumberScheduled")
	case "StatefulSet":
		wanted, found, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
		return (!found || wanted > 0) && count("status", "replicas") < max(wanted, 1)
	case "Job":
		return count("status", "active") == 0
	}
	return false
}

// PodOf returns the pod that a workload's controller would make, as far as admission cares.
func PodOf(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	template, _, err := unstructured.NestedMap(live.Object, "spec", "template")
	if err != nil {
		return nil, err
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetGroupVersionKind(PodKind)
	pod.SetName(live.GetName())
	pod.SetNamespace(live.GetNamespace())
	claims, _, _ := unstructured.NestedSlice(live.Object, "spec", "volumeClaimTemplates") // a StatefulSet's are volumes of its pods
	if len(claims) == 0 {
		return pod, nil
	}
	volumes, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	for _, claim := range claims {
		fields, _ := claim.(map[string]any)
		name, _, _ := unstructured.NestedString(fields, "metadata", "name")
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name}})
	}
	return pod, unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes")
}

// Refused judges the API server's answer to a pod: nil for one that it takes, and for a refusal that says nothing of the pod.
func Refused(err error) *Trouble {
	if err == nil {
		return nil
	}
	text := err.Error()
	t := &Trouble{weight: lasting, message: "its pods are refused: " + text}
	switch {
	case strings.Contains(text, "failed calling webhook"): // which another workload may serve
		t.weight = mayPass
	case strings.Contains(text, "admission webhook ") && strings.Contains(text, "denied the request"):
	case strings.Contains(text, "ValidatingAdmissionPolicy "):
	case !apierrors.IsForbidden(err):
		return nil
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "error looking up service account"):
		t.weight = mayPass
	case strings.Contains(text, "violates PodSecurity"):
		t.message += "; the namespace asks for it by its label pod-security.kubernetes.io/enforce"
	}
	return t
}
