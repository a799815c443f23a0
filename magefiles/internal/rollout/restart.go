package rollout

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/readiness"
)

// restarter is the field manager of what restarts a workload: were it the one under which manifests are applied, the next run would take it away.
const restarter = kube.Manager + "-restart"

// An Outdated is a workload whose pods run other images than the engine has by now under the same names.
type Outdated struct {
	// Object is the workload, as its manifest has it.
	Object kube.Object
	// Images are the images, with their IDs in the engine.
	Images map[string]string

	live *unstructured.Unstructured
}

// Why says which images were rebuilt.
func (o Outdated) Why() string {
	return "rebuilt: " + strings.Join(slices.Sorted(maps.Keys(o.Images)), ", ")
}

// FindOutdated returns those of the workloads among objects that are outdated, and changes nothing. Jobs have
// run with what they had.
func FindOutdated(ctx context.Context, client *kube.Client, objects []kube.Object, images readiness.Images) ([]Outdated, error) {
	workloads := slices.DeleteFunc(slices.Clone(objects), func(o kube.Object) bool { return o.Tier() != kube.Workloads || strings.HasSuffix(o.GetKind(), "Job") })
	live, err := client.Live(ctx, workloads)
	if err != nil {
		return nil, err
	}
	pods := map[string][]corev1.Pod{}
	var found []Outdated
	for i, object := range workloads {
		if live[i] == nil {
			continue
		}
		namespace := live[i].GetNamespace()
		if _, listed := pods[namespace]; !listed {
			if pods[namespace], err = podsIn(ctx, client, namespace); err != nil {
				return nil, err
			}
		}
		own, err := readiness.PodsOf(live[i], pods[namespace])
		if err == nil {
			own, err = current(ctx, client, live[i], own)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name(), err)
		}
		if outdated := readiness.Outdated(own, images); len(outdated) > 0 {
			found = append(found, Outdated{object, outdated, live[i]})
		}
	}
	return found, nil
}

// Restart has the pods of outdated workloads replaced, as kubectl rollout restart does. One whose template has changed since is replacing them already.
// It returns those that it has restarted, and those whose pods stay until somebody deletes them: as nothing replaces them, or as this was done before
// for the same images, and the pods run others all the same.
func Restart(ctx context.Context, client *kube.Client, outdated []Outdated) (restarted, left []Outdated, err error) {
	for _, o := range outdated {
		if !readiness.Restarts(o.live) {
			left = append(left, o)
			continue
		}
		now, err := client.Get(ctx, o.Object.GroupVersionKind(), o.live.GetNamespace(), o.live.GetName())
		if err != nil {
			return restarted, left, o.Object.Failed(err)
		}
		if now == nil || !reflect.DeepEqual(template(now), template(o.live)) {
			continue
		}
		annotation, value := readiness.RestartFor(o.live, o.Images)
		if value == "" {
			if replaced, err := readiness.Replaced(o.live); err != nil {
				return restarted, left, o.Object.Failed(err)
			} else if replaced {
				left = append(left, o)
			}
			continue
		}
		patch := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{annotation: value}}}}}}
		patch.SetGroupVersionKind(o.Object.GroupVersionKind())
		patch.SetNamespace(o.live.GetNamespace())
		patch.SetName(o.live.GetName())
		if err := client.Restore(ctx, kube.Object{Unstructured: patch, Source: o.Object.Source}, restarter); err != nil {
			return restarted, left, fmt.Errorf("restart for what was %s: %w", o.Why(), err)
		}
		restarted = append(restarted, o)
	}
	return restarted, left, nil
}

func template(live *unstructured.Unstructured) any {
	found, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec", "template")
	return found
}
