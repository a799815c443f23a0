package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/kubectl/pkg/polymorphichelpers"
)

// everywhere is resource, but with all namespaces for an empty one.
func (c *Client) everywhere(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	if namespace == "" {
		namespace = metav1.NamespaceAll
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil {
			return c.dynamic.Resource(mapping.Resource), nil
		}
	}
	return c.resource(ctx, kind, namespace)
}

// Until watches the objects of a kind in a namespace (all for an empty one) and calls check with all of them, in the order of their
// names, first and after every change, until it reports that it is done or returns an error. A deadline's error says what check last
// said it was waiting for.
func (c *Client) Until(ctx context.Context, kind schema.GroupVersionKind, namespace string,
	check func([]*unstructured.Unstructured) (waitingFor string, done bool, err error)) error {
	client, err := c.everywhere(ctx, kind, namespace)
	if err != nil {
		return err
	}
	waitingFor := "a first look at " + kind.Kind
	for ctx.Err() == nil {
		done, err := watchOnce(ctx, client, func(objects []*unstructured.Unstructured) (bool, error) {
			reason, done, err := check(objects)
			waitingFor = reason
			return done, err
		})
		if done || err != nil && ctx.Err() == nil && !apierrors.IsGone(err) && !apierrors.IsResourceExpired(err) {
			return err
		}
		_ = sleep(ctx, 50*time.Millisecond) // the server ended the watch: look again, but do not spin
	}
	return fmt.Errorf("%w while waiting for %s", context.Cause(ctx), waitingFor)
}

// watchOnce lists and then follows the objects until check is done or the server ends the watch.
func watchOnce(ctx context.Context, client dynamic.ResourceInterface, check func([]*unstructured.Unstructured) (bool, error)) (bool, error) {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	objects := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		objects[Name(&list.Items[i])] = &list.Items[i]
	}
	if done, err := check(sorted(objects)); done || err != nil {
		return done, err
	}
	events, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return false, err
	}
	defer events.Stop()
	for {
		open, err := takeAll(ctx, events.ResultChan(), objects)
		if !open || err != nil {
			return false, err
		}
		if done, err := check(sorted(objects)); done || err != nil {
			return done, err
		}
	}
}

// together is how long after a change others are waited for: many at once are worth one look.
const together = 10 * time.Millisecond

// takeAll waits for a change and takes in all that come together with it. It returns false when there will be no more.
func takeAll(ctx context.Context, events <-chan watch.Event, objects map[string]*unstructured.Unstructured) (open bool, err error) {
	var over <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-over:
			return true, nil
		case event, open := <-events:
			if !open {
				return over != nil, nil
			}
			if err := take(event, objects); err != nil {
				return false, err
			}
			if over == nil {
				over = time.After(together)
			}
		}
	}
}

func take(event watch.Event, objects map[string]*unstructured.Unstructured) error {
	object, ok := event.Object.(*unstructured.Unstructured)
	if event.Type == watch.Error || !ok {
		return apierrors.FromObject(event.Object)
	}
	objects[Name(object)] = object
	if event.Type == watch.Deleted {
		delete(objects, Name(object))
	}
	return nil
}

func sorted(objects map[string]*unstructured.Unstructured) []*unstructured.Unstructured {
	all := make([]*unstructured.Unstructured, 0, len(objects))
	for _, object := range objects {
		all = append(all, object)
	}
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int { return strings.Compare(Name(a), Name(b)) })
	return all
}

// waitGone waits until an object that is being deleted is gone. A deadline's error says what keeps it.
func (c *Client) waitGone(ctx context.Context, client dynamic.ResourceInterface, live *unstructured.Unstructured) error {
	for {
		now, err := client.Get(ctx, live.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && now.GetUID() != live.GetUID() {
			return nil
		}
		if err == nil {
			live = now
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("%w: it is being deleted since %s and kept by %s; remove what keeps it, then run again",
				context.Cause(ctx), live.GetDeletionTimestamp().Format(time.TimeOnly), keptBy(live))
		}
	}
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
// as soon as the kubelet has said so for longer than patience, with the pod, the container and the kubelet's message.
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
	pods, stopPods := context.WithCancelCause(ctx)
	defer stopPods(nil)
	failed := make(chan error, 1)
	var trouble atomic.Value
	trouble.Store("")
	go func() {
		failed <- c.watchPods(pods, object.GetNamespace(), selector, patience, func(pod string) {
			trouble.Store(pod)
			report(pod)
		})
	}()

	finished := make(chan error, 1)
	workload, stopWorkload := context.WithCancelCause(ctx)
	defer stopWorkload(nil)
	go func() {
		finished <- c.Until(workload, object.GroupVersionKind(), object.GetNamespace(), func(live []*unstructured.Unstructured) (string, bool, error) {
			for _, u := range live {
				if u.GetName() != object.GetName() {
					continue
				}
				message, done, err := viewer.Status(u, 0)
				message = strings.TrimSpace(message)
				if !done {
					report(message)
				}
				return message, done, err
			}
			return "it to appear", false, nil
		})
	}()
	select {
	case err := <-finished:
		if pod := trouble.Load().(string); err != nil && pod != "" {
			return fmt.Errorf("%w; %s", err, pod)
		}
		return err
	case err := <-failed:
		if err == nil {
			err = <-finished
		}
		return err
	}
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

// watchPods returns an error when a pod has not been able to start for longer than patience, nil when ctx ends.
func (c *Client) watchPods(ctx context.Context, namespace string, selector labels.Selector, patience time.Duration, report func(string)) error {
	since := map[string]time.Time{}
	for ctx.Err() == nil {
		// A pod's message may stay as it is while patience runs out: look again then, whether or not anything has changed.
		turn, cancel := context.WithTimeout(ctx, patience)
		err := c.Until(turn, corev1.SchemeGroupVersion.WithKind("Pod"), namespace, func(live []*unstructured.Unstructured) (string, bool, error) {
			var worst error
			for _, u := range live {
				if !selector.Matches(labels.Set(u.GetLabels())) || u.GetDeletionTimestamp() != nil {
					continue
				}
				trouble := startTrouble(u)
				if trouble == "" {
					delete(since, u.GetName())
					continue
				}
				report(trouble)
				if _, seen := since[u.GetName()]; !seen {
					since[u.GetName()] = time.Now()
				}
				if time.Since(since[u.GetName()]) >= patience {
					worst = errors.New(trouble)
				}
			}
			return "", false, worst
		})
		expired := turn.Err() != nil
		cancel()
		if !expired {
			return err
		}
	}
	return nil
}

// startTrouble says why a pod's container cannot start, in the kubelet's words, or nothing.
func startTrouble(u *unstructured.Unstructured) string {
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod); err != nil {
		return ""
	}
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
			return fmt.Sprintf("Pod/%s/%s, container %s: %s: %s; see kubectl logs -n %s %s", pod.Namespace, pod.Name, status.Name,
				waiting.Reason, message, pod.Namespace, pod.Name)
		}
	}
	return ""
}
