package readiness

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
)

// Images are those of a container engine, from which the nodes have theirs.
type Images interface {
	// ID is what an image is now; empty where the engine has none, or it does not count.
	ID(ref string) string
	// Outdated tells whether a container runs another image than this, by the imageID of its status; false where that is not known.
	Outdated(ref, running string) bool
}

// Outdated returns the images of a workload's pods that are other ones by now, each with its ID. A container whose image is always pulled has the
// registry's.
func Outdated(pods []corev1.Pod, images Images) map[string]string {
	found := map[string]string{}
	for _, pod := range pods {
		for _, status := range statuses(&pod) {
			for _, c := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
				if c.Name == status.Name && c.ImagePullPolicy != corev1.PullAlways && images.Outdated(c.Image, status.ImageID) {
					found[c.Image] = images.ID(c.Image)
				}
			}
		}
	}
	return found
}

// imagesAnnotation has, on a pod template, the images for which the workload was last restarted. It is set as kubectl rollout restart sets its own:
// beside what the manifest has, by another field manager.
const imagesAnnotation = "kindgate/images"

// RestartFor is the value of the annotation of a pod template that has a workload's pods replaced for some images with their IDs. It is empty where
// it is that already: the pods are being replaced for these, or were.
func RestartFor(live *unstructured.Unstructured, images map[string]string) (annotation, value string) {
	var all []string
	for _, ref := range slices.Sorted(maps.Keys(images)) {
		all = append(all, ref+"="+images[ref])
	}
	value = strings.Join(all, ",")
	if now, _, _ := unstructured.NestedString(live.Object, "spec", "template", "metadata", "annotations", imagesAnnotation); now == value {
		return imagesAnnotation, ""
	}
	return imagesAnnotation, value
}

// Replaced tells whether a workload has replaced all pods of earlier templates.
func Replaced(live *unstructured.Unstructured) (bool, error) {
	var s State
	err := s.lookAtRollout(live)
	return s.Done, err
}

// Restarts tells whether a workload replaces all its pods when its template changes. A Job has run with what it had, and is nothing to restart.
func Restarts(live *unstructured.Unstructured) bool {
	paused, _, _ := unstructured.NestedBool(live.Object, "spec", "paused")
	partition, _, _ := unstructured.NestedNumberAsFloat64(live.Object, "spec", "updateStrategy", "rollingUpdate", "partition")
	return slices.Contains([]string{"Deployment", "DaemonSet", "StatefulSet"}, live.GetKind()) && !kube.UpdatesOnDelete(live) && !paused && partition == 0
}
