package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"kindgate/magefiles/internal/limits"
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

// WaitReady waits until every workload among objects is up: a Deployment, DaemonSet, StatefulSet or ReplicaSet is rolled out, a Job has
// completed, a Pod of its own is ready or has succeeded, and until the API server serves the kinds that some of them define. It tells report what it waits for. Its error names every one that something keeps
// from it which does not pass by itself, with the cluster's own words and the last lines of a failed container's log. patience is how long
// a sign of trouble must last before it counts: controllers correct themselves within seconds. What another workload among objects may
// still bring is waited for. A pod that could not start before is deleted first, for a verdict on what is there now.
func (c *Client) WaitReady(ctx context.Context, objects []Object, patience time.Duration, report func(string)) error {
	return c.waitReady(ctx, objects, nil, patience, report)
}

// waitReady is WaitReady for objects, beside others that are not waited for: what these may bring is.
func (c *Client) waitReady(ctx context.Context, objects, beside []Object, patience time.Duration, report func(string)) error {
	w := &wait{client: c, patience: patience, report: report, seen: map[source][]*unstructured.Unstructured{}, since: map[string]time.Time{},
		up: map[string]bool{}, deleted: map[types.UID]bool{}, progress: time.Now()}
	sources := map[source]bool{}
	for i, object := range slices.Concat(objects, beside) {
		if waitedFor(object.Unstructured) {
			w.objects = append(w.objects, object)
			w.beside = append(w.beside, i >= len(objects))
			sources[sourceOf(object)] = true
			if !ClusterScoped(object.groupKind()) {
				sources[source{podKind, object.GetNamespace()}] = true
			}
		}
	}
	w.sources = len(sources)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watches, watching := errgroup.WithContext(ctx)
	for from := range sources {
		watches.Go(func() error {
			return c.Until(watching, from.kind, from.namespace, func(live []*unstructured.Unstructured) (string, bool, error) {
				waitingFor, done, err := w.look(watching, from, live)
				if done {
					stop() // the other watches have nothing left to wait for
				}
				return waitingFor, done, err
			})
		})
	}
	if err := watches.Wait(); !w.done {
		return err
	}
	return nil
}

// A source is what one watch follows: the objects of a kind in a namespace.
type source struct {
	kind      schema.GroupVersionKind
	namespace string
}

func sourceOf(object Object) source { return source{object.GroupVersionKind(), object.GetNamespace()} }

// A wait gathers what the watches see, and judges it as a whole.
type wait struct {
	client   *Client
	objects  []Object
	beside   []bool // which of them are not waited for
	sources  int
	patience time.Duration
	report   func(string)

	mu       sync.Mutex
	seen     map[source][]*unstructured.Unstructured
	since    map[string]time.Time // when the trouble of a workload was first seen
	up       map[string]bool      // the workloads that have been up at a look
	progress time.Time            // when one of them was first, but for those that were from the beginning; before that, when the wait began
	deleted  map[types.UID]bool   // the pods that deleteStuck has deleted, which a watch may still show
	looked   bool
	last     string // what was waited for at the last look
	done     bool
}

func (w *wait) look(ctx context.Context, from source, live []*unstructured.Unstructured) (string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[from] = live
	if len(w.seen) < w.sources {
		return "a first look at the workloads and their pods", false, nil
	}
	if w.done {
		return "", true, nil
	}
	now := time.Now()
	sights, err := w.sights(ctx, now)
	if err != nil {
		return w.last, false, err
	}
	w.remember(sights, now)
	verdict := judge(sights, w.progress, now, w.patience)
	if len(verdict.broken) > 0 {
		return "", false, w.failure(ctx, verdict.broken)
	}
	w.done = verdict.done
	if more := len(verdict.waitingFor) - 1; more > 0 {
		w.report(fmt.Sprintf("waiting for %s (and %d more)", verdict.waitingFor[0], more))
	} else if !w.done {
		w.report("waiting for " + verdict.waitingFor[0])
	}
	w.last = strings.Join(verdict.waitingFor, "\n")
	return w.last, w.done, nil
}

// remember keeps what the next look needs to know of this one.
func (w *wait) remember(sights []sight, now time.Time) {
	for i := range sights {
		s := &sights[i]
		if s.done && !w.up[s.name] {
			w.up[s.name] = true
			if w.looked {
				w.progress = now
			}
		}
		if s.trouble == nil {
			delete(w.since, s.name)
		} else if w.since[s.name].IsZero() {
			w.since[s.name] = now
		}
		s.since = w.since[s.name]
	}
	w.looked = true
}

// sights looks at every workload. What only the API server can say, it is asked for: what became of a pod, and whether it takes one.
func (w *wait) sights(ctx context.Context, now time.Time) ([]sight, error) {
	pods := map[string][]corev1.Pod{}
	for from, live := range w.seen {
		if from.kind != podKind {
			continue
		}
		for _, u := range live {
			var pod corev1.Pod
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod); err != nil {
				return nil, fmt.Errorf("%s: %w", Name(u), err)
			}
			pods[from.namespace] = append(pods[from.namespace], pod)
		}
	}
	var sights []sight
	for i, object := range w.objects {
		var live *unstructured.Unstructured
		for _, u := range w.seen[sourceOf(object)] {
			if u.GetName() == object.GetName() {
				live = u
			}
		}
		own, err := podsOf(live, pods[object.GetNamespace()])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name(), err)
		}
		if own, err = w.current(ctx, live, own); err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name(), err)
		}
		if !w.looked && live != nil {
			if err := w.deleteStuck(ctx, live, own); err != nil {
				return nil, fmt.Errorf("%s: %w", object.Name(), err)
			}
		}
		own = slices.DeleteFunc(own, func(pod corev1.Pod) bool { return w.deleted[pod.UID] })
		s, err := look(object, live, own, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name(), err)
		}
		if s.beside = w.beside[i]; s.beside {
			sights = append(sights, s)
			continue
		}
		if err := w.ask(ctx, &s, live, own, now); err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name(), err)
		}
		sights = append(sights, s)
	}
	return sights, nil
}

// current leaves out the pods of a Deployment's former templates: it keeps some of them until new ones are ready, and what is wrong with them
// says nothing of these.
func (w *wait) current(ctx context.Context, live *unstructured.Unstructured, pods []corev1.Pod) ([]corev1.Pod, error) {
	owners := map[string]bool{}
	for i := range pods {
		owners[ownerOf(&pods[i])] = true
	}
	if live == nil || live.GetKind() != "Deployment" || len(owners) < 2 {
		return pods, nil
	}
	sets, err := w.client.List(ctx, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), live.GetNamespace())
	if err != nil {
		return nil, err
	}
	return ofRevision(live, sets, pods), nil
}

// deleteStuck deletes the pods of a controller that could not start before: what they lacked may be there now, and the kubelet would look
// again only after a while, which grows to 5 minutes. A Job would count the pod as failed, and nobody makes a Pod of its own anew.
func (w *wait) deleteStuck(ctx context.Context, live *unstructured.Unstructured, pods []corev1.Pod) error {
	if live.GetKind() == "Job" || live.GetKind() == "Pod" {
		return nil
	}
	for _, pod := range pods {
		if podTrouble(&pod) == nil || running(&pod) {
			continue
		}
		stuck := &unstructured.Unstructured{}
		stuck.SetGroupVersionKind(podKind)
		stuck.SetNamespace(pod.Namespace)
		stuck.SetName(pod.Name)
		if err := w.client.Delete(ctx, []Object{{Unstructured: stuck}}); err != nil {
			return err
		}
		w.deleted[pod.UID] = true
	}
	return nil
}

// ask completes what was seen of a workload that is not up by what the cluster tells in other places.
func (w *wait) ask(ctx context.Context, s *sight, live *unstructured.Unstructured, pods []corev1.Pod, now time.Time) error {
	switch {
	case s.done || s.trouble != nil && s.trouble.weight != gone && !s.late:
	case live == nil && s.object.GetKind() == "Job":
		events, err := w.eventsOf(ctx, s.object.GetNamespace(), "involvedObject.kind=Job,involvedObject.name="+s.object.GetName())
		if err != nil {
			return err
		}
		s.jobGone(events)
	case live == nil:
	case lacksPods(live):
		t, err := w.refusal(ctx, live)
		if err != nil {
			return err
		}
		if s.worsen(t); t != nil {
			s.heard = t.message
			s.waitingFor += "; " + t.message
		}
	default:
		for _, pod := range pods {
			if PodReady(&pod) || now.Sub(pod.CreationTimestamp.Time) < limits.PodSlow {
				continue
			}
			events, err := w.eventsOf(ctx, pod.Namespace, "involvedObject.uid="+string(pod.UID))
			if err != nil {
				return err
			}
			t, err := w.unscheduled(ctx, &pod)
			if err != nil {
				return err
			}
			s.worsen(t) // the scheduler's own event says less
			if s.hear(&pod, events, now); s.trouble != nil {
				break
			}
		}
	}
	if s.late && s.heard != "" {
		s.trouble.message += "; " + s.heard
	}
	return nil
}

// unscheduled returns what keeps the scheduler from giving a pod a node, where that does not pass by itself: a claim that cannot be bound,
// or nodes none of which could take it.
func (w *wait) unscheduled(ctx context.Context, pod *corev1.Pod) (*trouble, error) {
	words := unschedulable(pod)
	if words == "" {
		return nil, nil
	}
	for _, name := range claimsOf(pod) {
		live, err := w.client.Get(ctx, corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), pod.Namespace, name)
		if err != nil {
			return nil, err
		}
		if live == nil {
			continue // the scheduler's words say so
		}
		events, err := w.eventsOf(ctx, pod.Namespace, "involvedObject.uid="+string(live.GetUID()))
		if err != nil {
			return nil, err
		}
		if t := unbound(live, events); t != nil {
			return t, nil
		}
	}
	if !fitsNowhere(words, w.nodes(ctx)) || w.makingRoom(ctx) {
		return nil, nil
	}
	return &trouble{weight: mayPass, message: fmt.Sprintf("Pod/%s/%s: %s", pod.Namespace, pod.Name, words),
		look: fmt.Sprintf("describe pod -n %s %s", pod.Namespace, pod.Name)}, nil
}

// makingRoom tells whether a pod is being deleted, on whose node another may fit then.
func (w *wait) makingRoom(ctx context.Context) bool {
	pods, err := w.client.List(ctx, podKind, "")
	return err != nil || slices.ContainsFunc(pods, func(pod unstructured.Unstructured) bool { return pod.GetDeletionTimestamp() != nil })
}

// failure is the error of workloads that something keeps from being up.
func (w *wait) failure(ctx context.Context, broken []sight) error {
	lines := make([]string, len(broken))
	for i, s := range broken {
		lines[i] = s.name + ": " + s.trouble.message
		if image := s.trouble.image; image != nil && image.policy == corev1.PullAlways {
			lines[i] += image.always(w.nodes(ctx))
		}
		if s.object.GetKind() == "Job" && s.trouble.weight == certain {
			lines[i] += fmt.Sprintf("; to have it run again, delete it: %s delete job -n %s %s", w.client.options.Kubectl, s.object.GetNamespace(), s.object.GetName())
		}
		if s.trouble.look != "" {
			lines[i] += "; see " + w.client.options.Kubectl + " " + s.trouble.look
		}
		if s.trouble.log != nil {
			lines[i] += w.lastLines(ctx, *s.trouble.log)
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// nodes returns the cluster's nodes, or none where they cannot be read: they only add to a message.
func (w *wait) nodes(ctx context.Context) []corev1.Node {
	live, err := w.client.List(ctx, corev1.SchemeGroupVersion.WithKind("Node"), "")
	if err != nil {
		return nil
	}
	nodes, _ := As[corev1.Node](live)
	return nodes
}

func (w *wait) eventsOf(ctx context.Context, namespace, fields string) ([]corev1.Event, error) {
	client, err := w.client.resource(ctx, eventKind, namespace)
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{FieldSelector: fields})
	if err != nil {
		return nil, err
	}
	return As[corev1.Event](list.Items)
}

// refusal asks the API server, without making it, whether it takes one more pod of a workload that lacks some, and returns why not. A
// controller's own word on it may be of before what was wrong was mended, as it pauses for longer after each refusal.
func (w *wait) refusal(ctx context.Context, live *unstructured.Unstructured) (*trouble, error) {
	pod, err := podOf(live)
	if err != nil {
		return nil, err
	}
	client, err := w.client.resource(ctx, podKind, live.GetNamespace())
	if err != nil {
		return nil, err
	}
	_, err = client.Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return refused(err), nil
}

// Of a failed container's log, the last lines usually tell why; what is more is one command away.
const logLines, logBytes = 5, 2 << 10

// lastLines returns the end of a container's log, indented for a message, or nothing where there is none.
func (w *wait) lastLines(ctx context.Context, log container) string {
	lines, limit := int64(logLines), int64(logBytes)
	text, err := w.client.core.Pods(log.namespace).GetLogs(log.pod, &corev1.PodLogOptions{
		Container: log.name, TailLines: &lines, LimitBytes: &limit}).DoRaw(ctx)
	said := strings.TrimSpace(string(text))
	if err != nil || said == "" {
		return ""
	}
	return "\n  its log ends with:\n    " + strings.ReplaceAll(said, "\n", "\n    ")
}
