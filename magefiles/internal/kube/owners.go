package kube

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// checkOwners returns an error for an object none of whose owners is in the cluster: the garbage collector deletes it within seconds.
// Owners of which that cannot be told, such as those of an unknown kind, count as there. See
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents.
func checkOwners(ctx context.Context, c *Client, object Object) error {
	var missing []string
	for _, ref := range object.GetOwnerReferences() {
		kind := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return nil
		}
		namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace
		own, err := c.mapper.RESTMapping(object.groupKind(), object.GroupVersionKind().Version)
		if err != nil || namespaced && own.Scope.Name() != meta.RESTScopeNameNamespace {
			return nil
		}
		owner, err := c.Get(ctx, kind, object.GetNamespace(), ref.Name)
		if err != nil || owner != nil && owner.GetUID() == ref.UID {
			return err
		}
		missing = append(missing, fmt.Sprintf("%s/%s with the UID %s", ref.Kind, ref.Name, ref.UID))
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("its owner is not in the cluster (%s), so the garbage collector would delete it at once: take metadata.ownerReferences out",
		strings.Join(missing, ", "))
}
