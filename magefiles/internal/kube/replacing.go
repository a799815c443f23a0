package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Words with which the API server refuses a change to a field that must stay as it is.
var immutable = []string{"immutable", "may not change fields other than", "for fields other than", "cannot change roleRef", "may not change once set"}

// A FixedError is about a field of an object that cannot be changed once it is set.
type FixedError struct{ said string }

func (f *FixedError) Error() string { return f.said }

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
	return &FixedError{fmt.Sprintf("%s cannot be changed in what is there (%s). To replace it, delete it with all that goes with it, and run again: %s delete %s",
		strings.Join(fields, ", "), metav1.StatusReasonInvalid, kubectl, Arguments(object.Unstructured))}
}
