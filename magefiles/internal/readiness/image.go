package readiness

import (
	"slices"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
)

// pulled is an image that a node is to pull.
type pulled struct {
	name   string
	policy corev1.PullPolicy
}

// always says what the pull policy Always has to do with an image that cannot be had. A node lists the names of its images in its status,
// the largest 50 of them. See https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting.
func (p pulled) always(nodes []corev1.Node) string {
	full := p.name
	if named, err := reference.ParseDockerRef(p.name); err == nil {
		full = named.String()
	}
	where := "an image in the node is not used"
	for _, node := range nodes {
		for _, image := range node.Status.Images {
			if slices.Contains(image.Names, full) {
				where = "the image in the node is not used"
			}
		}
	}
	return "; " + where + ", as its pull policy is Always (the default for the tag latest and for none): set imagePullPolicy: IfNotPresent, or use another tag"
}

func policyOf(pod *corev1.Pod, name string) corev1.PullPolicy {
	for _, c := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		if c.Name == name {
			return c.ImagePullPolicy
		}
	}
	return ""
}
