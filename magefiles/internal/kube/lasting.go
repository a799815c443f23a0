package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/result"
)

// checkOwners returns an error for an object none of whose owners is in the cluster: the garbage collector deletes it within seconds.
// Owners of which that cannot be told, such as those of an unknown kind, count as there. See
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents.
func (c *Client) checkOwners(ctx context.Context, object Object) error {
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

// StillThere returns an error that names those of the created objects that are not there any more. Workloads are WaitReady's: a Job may
// have deleted itself.
func (c *Client) StillThere(ctx context.Context, changes []Change) error {
	var created []Object
	for _, change := range changes {
		if change.Result == result.Created && !waitedFor(change.Object.Unstructured) {
			created = append(created, change.Object)
		}
	}
	live, err := c.Live(ctx, created)
	if err != nil {
		return err
	}
	var problems []error
	for i, object := range created {
		if live[i] == nil {
			problems = append(problems, object.failed(errors.New("it was created, and is not there any more: something in the cluster has deleted it")))
		}
	}
	return errors.Join(problems...)
}

// Words with which the API server refuses a change to a field that must stay as it is.
var immutable = []string{"immutable", "may not change fields other than", "for fields other than", "cannot change roleRef", "may not change once set"}

// replacing adds to the refusal of a change what replaces the object. The refusal itself may have the field's whole value, such as a Job's
// template: its fields say enough.
func replacing(object Object, err error, kubectl string) error {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return err
	}
	var fields []string
	for _, cause := range status.Status().Details.Causes {
		if !slices.ContainsFunc(immutable, func(words string) bool { return strings.Contains(cause.Message, words) }) {
			return err // something else is wrong as well
		}
		fields = append(fields, cause.Field)
	}
	if len(fields) == 0 {
		return err
	}
	return fmt.Errorf("%s cannot be changed in what is there (%s). To replace it, delete it with all that goes with it, and run again: %s delete %s",
		strings.Join(fields, ", "), metav1.StatusReasonInvalid, kubectl, arguments(object.Unstructured))
}
