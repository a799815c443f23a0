package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/kubectl/pkg/polymorphichelpers"
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
	for _, condition := range conditions(live) {
		if condition.Status == metav1.ConditionTrue && condition.Message != "" {
			reasons = append(reasons, condition.Message)
		}
	}
	if len(reasons) == 0 {
		return "its contents"
	}
	return strings.Join(reasons, "; ")
}

func conditions(live *unstructured.Unstructured) []metav1.Condition {
	var status struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	_ = runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &status)
	return status.Status.Conditions
}

// WaitEstablished waits until the API server serves the kinds that the given CustomResourceDefinitions define.
func (c *Client) WaitEstablished(ctx context.Context, crds []Object) error {
	names := map[string]bool{}
	var kind schema.GroupVersionKind
	for _, crd := range crds {
		if crd.GetKind() == "CustomResourceDefinition" { // later releases bring admission policies along
			names[crd.GetName()], kind = true, crd.GroupVersionKind()
		}
	}
	if len(names) == 0 {
		return nil
	}
	defer c.mapper.Reset()
	return c.Until(ctx, kind, "", func(live []*unstructured.Unstructured) (string, bool, error) {
		established := 0
		for _, crd := range live {
			if names[crd.GetName()] && slices.ContainsFunc(conditions(crd), func(condition metav1.Condition) bool {
				return condition.Type == "Established" && condition.Status == metav1.ConditionTrue
			}) {
				established++
			}
		}
		return fmt.Sprintf("%d of %d CustomResourceDefinitions to be established", established, len(names)), established == len(names), nil
	})
}

// WaitRollout waits until every Deployment, DaemonSet and StatefulSet among objects has been rolled out, and tells report what it is
// waiting for. A pod of theirs that cannot start (its image cannot be pulled, its configuration is wrong, it keeps crashing) is an error
// as soon as the kubelet has said so for longer than patience, with the pod, the container and the kubelet's message; one that could not
// start before is deleted first, for a verdict on what is there now.
func (c *Client) WaitRollout(ctx context.Context, objects []Object, patience time.Duration, report func(string)) error {
	waits, ctx := errgroup.WithContext(ctx)
	for _, object := range objects {
		viewer, err := polymorphichelpers.StatusViewerFor(object.groupKind())
		if strategy, _, _ := unstructured.NestedString(object.Object, "spec", "updateStrategy", "type"); err != nil || strategy == "OnDelete" {
			continue // no workload, or one that is only rolled out as its pods are deleted
		}
		waits.Go(func() error {
			if err := c.rollout(ctx, object, viewer, patience, report); err != nil {
				return fmt.Errorf("%s: %w", object.Name(), err)
			}
			return nil
		})
	}
	return waits.Wait()
}

func (c *Client) rollout(ctx context.Context, object Object, viewer polymorphichelpers.StatusViewer, patience time.Duration, report func(string)) error {
	selector, err := podSelector(object)
	if err != nil {
		return err
	}
	// The pods are watched beside the workload: what it waits for is only said there.
	workload, abort := context.WithCancelCause(ctx)
	pods, stop := context.WithCancel(ctx)
	defer abort(nil)
	defer stop()
	var last atomic.Value
	last.Store("")
	go func() {
		err := c.watchPods(pods, object.GetNamespace(), selector, patience, func(pod string) {
			last.Store(pod)
			if pod != "" {
				report(pod)
			}
		})
		if pods.Err() == nil {
			abort(err)
		}
	}()
	err = c.Until(workload, object.GroupVersionKind(), object.GetNamespace(), func(live []*unstructured.Unstructured) (string, bool, error) {
		for _, u := range live {
			if u.GetName() != object.GetName() {
				continue
			}
			message, done, err := viewer.Status(u, 0)
			message = strings.TrimSpace(message)
			for _, condition := range conditions(u) {
				if condition.Type == string(appsv1.DeploymentReplicaFailure) && condition.Status == metav1.ConditionTrue {
					message += "; " + condition.Message
				}
			}
			if pod := last.Load().(string); pod != "" {
				message += "; " + pod
			}
			if !done {
				report(message)
			}
			return strings.TrimPrefix(message, "Waiting for "), done, err
		}
		return "it to appear", false, nil
	})
	if err != nil && ctx.Err() == nil && workload.Err() != nil {
		return context.Cause(workload)
	}
	return err
}

func podSelector(object Object) (labels.Selector, error) {
	raw, _, err := unstructured.NestedMap(object.Object, "spec", "selector")
	if err != nil {
		return nil, err
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil, err
	}
	return metav1.LabelSelectorAsSelector(&selector)
}

// watchPods returns an error when a pod has not been able to start for longer than patience, or when ctx ends. It tells say what keeps
// pods from starting, or that nothing does. Pods that could not start before are deleted: what they lacked may be there now, and the
// kubelet would look again only after a while, which grows to 5 minutes.
func (c *Client) watchPods(ctx context.Context, namespace string, selector labels.Selector, patience time.Duration, say func(string)) error {
	since, first := map[string]time.Time{}, true
	return c.Until(ctx, podKind, namespace, func(live []*unstructured.Unstructured) (string, bool, error) {
		said := ""
		for _, u := range live {
			if !selector.Matches(labels.Set(u.GetLabels())) || u.GetDeletionTimestamp() != nil {
				continue
			}
			var pod corev1.Pod
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod); err != nil {
				return "", false, err
			}
			trouble := startTrouble(&pod)
			if trouble == "" {
				delete(since, pod.Name)
				said = cmp.Or(said, c.waitsFor(ctx, &pod))
				continue
			}
			if first && !running(&pod) {
				if err := c.Delete(ctx, []Object{{Unstructured: u}}); err != nil {
					return "", false, err
				}
				continue
			}
			said = trouble
			if since[pod.Name].IsZero() {
				since[pod.Name] = time.Now()
			}
			if time.Since(since[pod.Name]) >= patience {
				return "", false, errors.New(trouble)
			}
		}
		first = false
		say(said)
		return said, false, nil
	})
}

var (
	podKind   = corev1.SchemeGroupVersion.WithKind("Pod")
	eventKind = corev1.SchemeGroupVersion.WithKind("Event")
)

// slowly is from which age on a pod that is not ready is worth a word, and unhealthy that one of a warning: before, probes fail as a
// matter of course.
const slowly, unhealthy = 2 * time.Second, 5 * time.Second

// waitsFor says what a pod waits for that is not ready, an image or what the scheduler and the kubelet warn of last: they tell of these by
// events only. It is empty for a pod that waits for nothing.
func (c *Client) waitsFor(ctx context.Context, pod *corev1.Pod) string {
	age := time.Since(pod.CreationTimestamp.Time)
	ready := slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
	if ready || age < slowly {
		return ""
	}
	client, err := c.everywhere(ctx, eventKind, pod.Namespace)
	if err != nil {
		return ""
	}
	list, err := client.List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)})
	if err != nil {
		return ""
	}
	var last corev1.Event
	for _, item := range list.Items {
		var event corev1.Event
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &event); err != nil {
			return ""
		}
		telling := event.Reason == "Pulling" || event.Reason == "Pulled" || event.Type == corev1.EventTypeWarning && age > unhealthy
		if telling && !happened(event).Before(happened(last)) {
			last = event
		}
	}
	if last.Reason == "" || last.Reason == "Pulled" {
		return ""
	}
	return fmt.Sprintf("Pod/%s/%s: %s", pod.Namespace, pod.Name, strings.TrimSpace(last.Message))
}

// happened is when an event did, last where it did several times.
func happened(event corev1.Event) time.Time {
	if event.Series != nil {
		return event.Series.LastObservedTime.Time
	}
	if !event.LastTimestamp.IsZero() {
		return event.LastTimestamp.Time
	}
	return event.EventTime.Time
}

// startTrouble says why a pod's container cannot start, in the kubelet's words, or nothing.
func startTrouble(pod *corev1.Pod) string {
	for _, status := range append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...) {
		waiting := status.State.Waiting
		if waiting == nil {
			continue
		}
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
			return fmt.Sprintf("Pod/%s/%s cannot have image %s: %s: %s", pod.Namespace, pod.Name, status.Image, waiting.Reason, waiting.Message)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
			message := waiting.Message
			if last := status.LastTerminationState.Terminated; last != nil {
				message = fmt.Sprintf("%s (it ended with exit code %d)", message, last.ExitCode)
			}
			more := "describe pod" // what never ran has no logs
			if waiting.Reason == "CrashLoopBackOff" {
				more = "logs"
			}
			return fmt.Sprintf("Pod/%s/%s, container %s: %s: %s; see kubectl %s -n %s %s", pod.Namespace, pod.Name, status.Name,
				waiting.Reason, message, more, pod.Namespace, pod.Name)
		}
	}
	return ""
}

// running tells whether any of a pod's containers does its work.
func running(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool { return status.State.Running != nil })
}
