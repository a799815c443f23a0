package kube

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"kindgate/magefiles/internal/gotype"
)

// waitGone waits until an object that is being deleted is gone. A deadline's error says what keeps it.
func waitGone(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured) error {
	return Watch(ctx, client, func(objects []*unstructured.Unstructured) (string, bool, error) {
		for _, now := range objects {
			if now.GetUID() == live.GetUID() {
				return fmt.Sprintf("it to be gone: it is being deleted since %s and kept by %s; remove what keeps it, then run again",
					now.GetDeletionTimestamp().Format(time.TimeOnly), keptBy(now)), false, nil
			}
		}
		return "", true, nil
	})
}

func keptBy(live *unstructured.Unstructured) string {
	var reasons []string
	if finalizers := live.GetFinalizers(); len(finalizers) > 0 {
		reasons = append(reasons, "the finalizers "+strings.Join(finalizers, ", "))
	}
	for _, condition := range Conditions(live) {
		if condition.Status == metav1.ConditionTrue && condition.Message != "" {
			reasons = append(reasons, condition.Message)
		}
	}
	if len(reasons) == 0 {
		return "its contents"
	}
	return strings.Join(reasons, "; ")
}

func Conditions(live *unstructured.Unstructured) []metav1.Condition {
	var status struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	_ = gotype.Decode(live.Object, &status)
	return status.Status.Conditions
}

// UpdatesOnDelete tells whether a workload replaces its pods only as somebody deletes them. See
// https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/.
func UpdatesOnDelete(object *unstructured.Unstructured) bool {
	strategy, _, _ := unstructured.NestedString(object.Object, "spec", "updateStrategy", "type")
	return strategy == string(appsv1.OnDeleteStatefulSetStrategyType)
}
