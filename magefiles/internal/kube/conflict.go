package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/result"
)

// IsOurs tells whether kindgate has applied an object before. Whatever else it has then is repaired. The annotation proves nothing: a copy
// of one of our objects has it too.
func IsOurs(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == Manager && entry.Operation == metav1.ManagedFieldsOperationApply
	})
}

// before returns who has written an object that was there before kindgate applied it.
func before(live *unstructured.Unstructured, res result.Result) []string {
	if live == nil || res == "" || res == result.Unchanged || IsOurs(live) {
		return nil
	}
	managers := []string{}
	for _, entry := range live.GetManagedFields() {
		managers = append(managers, entry.Manager)
	}
	slices.Sort(managers)
	return slices.Compact(managers)
}

// WrittenBy tells whether a field manager has written an object.
func WrittenBy(live *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool { return entry.Manager == manager })
}

// Conflict returns a ConflictError, with the object's name, where others have set fields of an object to other values than its manifest.
// Nothing is written.
func Conflict(ctx context.Context, client *Client, object Object, live *unstructured.Unstructured) error {
	want, _, err := wanted(object, live)
	if err != nil {
		return object.Failed(err)
	}
	unstructured.RemoveNestedField(want.Object, "metadata", "annotations", manifestAnnotation)
	resource, err := client.Resource(ctx, object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return object.Failed(err)
	}
	_, err = resource.Apply(ctx, want.GetName(), want, metav1.ApplyOptions{FieldManager: Manager, DryRun: []string{metav1.DryRunAll}})
	if apierrors.IsConflict(err) {
		return object.Failed(conflict(err))
	}
	return nil // what else is wrong, writing it tells
}

// A ConflictError is about an object that was there before kindgate applied it, in which others have set fields to other values than its
// manifest. It was left as it is. See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts.
type ConflictError struct {
	Managers, Fields []string
}

func (c *ConflictError) Error() string {
	fields := c.Fields[:min(4, len(c.Fields))]
	more := ""
	if n := len(c.Fields) - len(fields); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("it was there before, and %s set %s%s to something else", strings.Join(c.Managers, ", "), strings.Join(fields, ", "), more)
}

// conflict reads the API server's error, which has a cause for each field.
func conflict(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return err
	}
	found := &ConflictError{}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			manager, _, _ := strings.Cut(strings.TrimPrefix(cause.Message, `conflict with "`), `"`)
			found.Managers, found.Fields = append(found.Managers, manager), append(found.Fields, cause.Field)
		}
	}
	if len(found.Fields) == 0 {
		return err
	}
	slices.Sort(found.Managers)
	found.Managers = slices.Compact(found.Managers)
	return found
}
