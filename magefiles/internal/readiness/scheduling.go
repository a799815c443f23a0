package readiness

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Unschedulable returns the scheduler's words about a pod that it finds no node for, empty for any other.
func Unschedulable(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return strings.TrimSpace(condition.Message)
		}
	}
	return ""
}

// unhelpful is how the scheduler says of how many nodes that they would not take a pod even if others made room, or that none of those on
// it would have to; it does not look for them where the pod's class forbids it.
var unhelpful = regexp.MustCompile(`(\d+) (?:Preemption is not helpful for scheduling|No preemption victims found for incoming pods?)`)

const neverPreempts = "preemption: not eligible due to preemptionPolicy=Never"

// fitsNowhere tells from the scheduler's words whether none of the nodes will take a pod as long as it and they are as now, with the pods
// that are on them. A node that is not ready yet may.
func fitsNowhere(words string, nodes []corev1.Node) bool {
	without := 0
	for _, found := range unhelpful.FindAllStringSubmatch(words, -1) {
		n, _ := strconv.Atoi(found[1])
		without += n
	}
	return (without == len(nodes) || strings.Contains(words, neverPreempts)) && len(nodes) > 0 && !slices.ContainsFunc(nodes, func(node corev1.Node) bool {
		return node.Spec.Unschedulable || !slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
			return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
		})
	})
}

// ClaimsOf returns the names of the PersistentVolumeClaims that a pod mounts; a generic ephemeral volume's has the pod's name before its own.
// See https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#persistentvolumeclaim-naming.
func ClaimsOf(pod *corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			names = append(names, pod.Name+"-"+volume.Name)
		}
	}
	return names
}

// Unbound returns why a PersistentVolumeClaim is not bound, as the last event about it has it; nil for one that is, or of which nobody
// complains. A class or a volume that another object defines may still come.
func Unbound(claim *unstructured.Unstructured, events []corev1.Event) *Trouble {
	if phase, _, _ := unstructured.NestedString(claim.Object, "status", "phase"); phase == string(corev1.ClaimBound) {
		return nil
	}
	last := lastOf(events)
	if last.Type != corev1.EventTypeWarning && last.Reason != "FailedBinding" { // which is a Normal one
		return nil
	}
	return &Trouble{weight: mayPass, look: describe(claim),
		message: fmt.Sprintf("PersistentVolumeClaim/%s/%s: %s", claim.GetNamespace(), claim.GetName(), strings.TrimSpace(last.Message))}
}

// Unplaced returns the trouble of a pod for which no node has room, and nil where one may have. words are the scheduler's, and nodes and pods
// all of the cluster, as far as they are known: where a pod is being deleted, another may fit then.
func Unplaced(pod *corev1.Pod, words string, nodes []corev1.Node, pods []unstructured.Unstructured) *Trouble {
	leaving := func(pod unstructured.Unstructured) bool { return pod.GetDeletionTimestamp() != nil }
	if !fitsNowhere(words, nodes) || slices.ContainsFunc(pods, leaving) {
		return nil
	}
	return &Trouble{weight: mayPass, message: fmt.Sprintf("Pod/%s/%s: %s", pod.Namespace, pod.Name, words),
		look: describePod(pod)}
}
