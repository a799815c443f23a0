package readiness

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestARefusalOfPodsIsFinalUnlessTheRunMayEndIt(t *testing.T) {
	forbidden := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New(text))
	}
	for _, test := range []struct {
		err    error
		said   bool
		weight weight
	}{
		{nil, false, 0},
		{errors.New("connection refused"), false, 0},
		{apierrors.NewBadRequest("admission webhook x does not support dry run"), false, 0},
		{forbidden(`violates PodSecurity "restricted:latest": x`), true, lasting},
		{forbidden("no PriorityClass with name x was found"), true, lasting},
		{forbidden(`pod rejected: RuntimeClass "x" not found`), true, lasting},
		{forbidden("exceeded quota: q"), true, mayPass},
		{forbidden(`error looking up service account ns/x: serviceaccount "x" not found`), true, mayPass},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "x": refused`)), true, mayPass},
		{errors.New(`admission webhook "x" denied the request: no`), true, lasting},
		{errors.New("ValidatingAdmissionPolicy 'x' denied request: no"), true, lasting},
	} {
		if got := Refused(test.err); (got != nil) != test.said || got != nil && got.weight != test.weight {
			t.Errorf("%v: %+v", test.err, got)
		}
	}
}
