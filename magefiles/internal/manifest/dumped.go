package manifest

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
)

// dumped warns of what an API server wrote into an object, and what means nothing in another cluster: kubectl get -o yaml shows it.
func dumped(o kube.Object) []Problem {
	var problems []Problem
	for i, owner := range o.GetOwnerReferences() {
		// See https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents.
		problems = append(problems, warning(o, fmt.Sprintf("metadata.ownerReferences[%d]", i), "take metadata.ownerReferences out",
			"its owner %s/%s is named by the uid that it has in one cluster: in another, Kubernetes deletes this object again", owner.Kind, owner.Name))
	}
	addresses, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "clusterIPs")
	if o.GetKind() == "Service" && len(addresses) > 0 && addresses[0] != "None" {
		problems = append(problems, warning(o, "spec.clusterIPs", "take spec.clusterIP and spec.clusterIPs out",
			"%s is the address that it has in one cluster: another refuses it where it is out of range or taken", strings.Join(addresses, ", ")))
	}
	return problems
}
