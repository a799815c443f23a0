package readiness

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAnImageThatIsAlwaysPulledIsSaidToBeInTheNode(t *testing.T) {
	nodes := []corev1.Node{{Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{Names: []string{"docker.io/library/myapp:latest"}}}}}}
	for image, want := range map[string]string{"myapp": "; the image in the node is not used", "other": "; an image in the node is not used"} {
		if got := (pulled{image, corev1.PullAlways}).always(nodes); !strings.HasPrefix(got, want) || !strings.Contains(got, "imagePullPolicy: IfNotPresent") {
			t.Errorf("%s: %s", image, got)
		}
	}
}
