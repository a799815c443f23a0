package rollout

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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/readiness"
)

// Wait waits until every workload among objects is up: a Deployment, DaemonSet, StatefulSet or ReplicaSet is rolled out, a Job has completed,
// a Pod of its own is ready or has succeeded, and until the API server serves the kinds that some of them define. It tells report what it
// waits for. Its error names every one that something keeps from it which does not pass by itself, with the cluster's own words and the last
// lines of a failed container's log. What another workload among objects may still bring is waited for. A pod that could not start before is
// deleted first, for a verdict on what is there now.
func Wait(ctx context.Context, client *kube.Client, objects []kube.Object, report func(string)) error {
	return newWait(client, objects, nil, report).run(ctx)
}

// AreUp tells whether every workload among objects is up now. Nothing is changed, and nothing waited for.
func AreUp(ctx context.Context, client *kube.Client, objects []kube.Object) (bool, error) {
	states, err := newWait(client, objects, nil, nil).poll(ctx)
	return err == nil && !slices.ContainsFunc(states, func(s readiness.State) bool { return !s.Done }), err
}

// A wait gathers what is seen of workloads, and has it judged as a whole.
type wait struct {
	client  *kube.Client
	objects []kube.Object
	beside  []bool // which of them are not waited for, but may bring what the others lack
	sources map[source]bool
	report  func(string)

	mu      sync.Mutex
	seen    map[source][]*unstructured.Unstructured
	history *readiness.History
	deleted map[types.UID]bool   // the pods that deleteStuck has deleted, which a watch may still show
	running map[string]time.Time // since when containers were seen to run, by their IDs
	looked  bool
	last    string // what was waited for at the last look
	done    bool
}

// A source is what is followed as one: the objects of a kind in a namespace.
type source struct {
	kind      schema.GroupVersionKind
	namespace string
}

func sourceOf(object kube.Object) source {
	return source{object.GroupVersionKind(), object.GetNamespace()}
}

var (
	serviceKind = corev1.SchemeGroupVersion.WithKind("Service")
	eventKind   = corev1.SchemeGroupVersion.WithKind("Event")
	nodeKind    = corev1.SchemeGroupVersion.WithKind("Node")
	claimKind   = corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim")
	setKind     = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")
	// controllerKinds make pods that stay.
	controllerKinds = []schema.GroupVersionKind{setKind, appsv1.SchemeGroupVersion.WithKind("DaemonSet"), appsv1.SchemeGroupVersion.WithKind("StatefulSet")}
)

func newWait(client *kube.Client, objects, beside []kube.Object, report func(string)) *wait {
	w := &wait{client: client, report: report, sources: map[source]bool{}, seen: map[source][]*unstructured.Unstructured{},
		history: readiness.NewHistory(time.Now()), deleted: map[types.UID]bool{}, running: map[string]time.Time{}}
	for i, object := range slices.Concat(objects, beside) {
		if readiness.WaitedFor(object.Unstructured) {
			object = inNamespace(object)
			w.objects = append(w.objects, object)
			w.beside = append(w.beside, i >= len(objects))
			w.sources[sourceOf(object)] = true
			if !kube.ClusterScoped(object.GroupVersionKind().GroupKind()) {
				w.sources[source{readiness.PodKind, object.GetNamespace()}] = true
			}
		}
	}
	return w
}

// inNamespace returns an object as the cluster has it, where its manifest names no namespace.
func inNamespace(object kube.Object) kube.Object {
	if object.GetNamespace() == "" && !kube.ClusterScoped(object.GroupVersionKind().GroupKind()) {
		object.Unstructured = object.DeepCopy()
		object.SetNamespace(metav1.NamespaceDefault)
	}
	return object
}

// run follows the workloads until all that are waited for are up.
func (w *wait) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watches, watching := errgroup.WithContext(ctx)
	for from := range w.sources {
		watches.Go(func() error {
			return w.client.Until(watching, from.kind, from.namespace, func(live []*unstructured.Unstructured) (string, bool, error) {
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

// poll looks at the workloads once, and deletes nothing.
func (w *wait) poll(ctx context.Context) ([]readiness.State, error) {
	w.looked = true
	for from := range w.sources {
		live, err := w.client.List(ctx, from.kind, from.namespace)
		if err != nil {
			return nil, err
		}
		w.seen[from] = nil
		for i := range live {
			w.seen[from] = append(w.seen[from], &live[i])
		}
	}
	return w.states(ctx, time.Now())
}

func (w *wait) look(ctx context.Context, from source, live []*unstructured.Unstructured) (string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[from] = live
	if len(w.seen) < len(w.sources) {
		return "a first look at the workloads and their pods", false, nil
	}
	if w.done {
		return "", true, nil
	}
	now := time.Now()
	states, err := w.states(ctx, now)
	if err != nil {
		return w.last, false, err
	}
	w.looked = true
	verdict := w.history.Judge(states, now)
	if len(verdict.Broken) > 0 {
		return "", false, w.failure(ctx, verdict.Broken)
	}
	w.done = verdict.Done
	if more := len(verdict.WaitingFor) - 1; more > 0 {
		w.report(fmt.Sprintf("waiting for %s (and %d more)", verdict.WaitingFor[0], more))
	} else if !w.done {
		w.report("waiting for " + verdict.WaitingFor[0])
	}
	w.last = strings.Join(verdict.WaitingFor, "\n")
	return w.last, w.done, nil
}

// states looks at every workload. What only the API server can say, it is asked for: what became of a pod, and whether it takes one.
func (w *wait) states(ctx context.Context, now time.Time) ([]readiness.State, error) {
	pods := map[string][]corev1.Pod{}
	for from, live := range w.seen {
		if from.kind != readiness.PodKind {
			continue
		}
		for _, u := range live {
			pod, err := kube.As[corev1.Pod]([]unstructured.Unstructured{*u})
			if err != nil {
				return nil, err
			}
			w.runsSince(&pod[0], now)
			pods[from.namespace] = append(pods[from.namespace], pod[0])
		}
	}
	states := make([]readiness.State, len(w.objects))
	for i, object := range w.objects {
		state, err := w.state(ctx, object, w.beside[i], pods[object.GetNamespace()], now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name(), err)
		}
		states[i] = state
	}
	return states, nil
}

// runsSince has a pod's containers run at least since they were seen to. The cluster's clock may be ahead of this machine's, or this machine's
// have been set back: then they would begin to run in the future, and would never have run for long enough.
func (w *wait) runsSince(pod *corev1.Pod, now time.Time) {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil {
			continue
		}
		if w.running[status.ContainerID].IsZero() {
			w.running[status.ContainerID] = now
		}
		if seen := w.running[status.ContainerID]; status.State.Running.StartedAt.After(seen) {
			status.State.Running.StartedAt.Time = seen
		}
	}
}

// state looks at one workload, whose pods are among pods.
func (w *wait) state(ctx context.Context, object kube.Object, beside bool, pods []corev1.Pod, now time.Time) (readiness.State, error) {
	var live *unstructured.Unstructured
	for _, u := range w.seen[sourceOf(object)] {
		if u.GetName() == object.GetName() {
			live = u
		}
	}
	own, err := readiness.PodsOf(live, pods)
	if err != nil {
		return readiness.State{}, err
	}
	if own, err = current(ctx, w.client, live, own); err != nil {
		return readiness.State{}, err
	}
	if !w.looked {
		if err := w.deleteStuck(ctx, live, own); err != nil {
			return readiness.State{}, err
		}
	}
	own = slices.DeleteFunc(own, func(pod corev1.Pod) bool { return w.deleted[pod.UID] })
	state, err := readiness.Look(object, live, own, now)
	if err != nil {
		return readiness.State{}, err
	}
	if state.Beside = beside; beside {
		return state, nil
	}
	return state, w.ask(ctx, &state, live, own, now)
}

// current leaves out the pods of a Deployment's former templates, and those of other Deployments: it keeps some of them until new ones are
// ready, and what is wrong with them says nothing of these.
func current(ctx context.Context, client *kube.Client, live *unstructured.Unstructured, pods []corev1.Pod) ([]corev1.Pod, error) {
	if !readiness.OfOthers(live, pods) {
		return pods, nil
	}
	sets, err := client.List(ctx, setKind, live.GetNamespace())
	if err != nil {
		return nil, err
	}
	return readiness.OfRevision(live, sets, pods), nil
}

// deleteStuck deletes the pods of a controller that could not start before, unless a webhook that does not answer keeps it from making new
// ones: they may be what serves it.
func (w *wait) deleteStuck(ctx context.Context, live *unstructured.Unstructured, pods []corev1.Pod) error {
	stuck := readiness.Stuck(live, pods)
	if len(stuck) == 0 || readiness.Unanswered(tryPod(ctx, w.client, live)) {
		return nil
	}
	for _, pod := range stuck {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(readiness.PodKind)
		object.SetNamespace(pod.Namespace)
		object.SetName(pod.Name)
		if err := w.client.Delete(ctx, []kube.Object{{Unstructured: object}}); err != nil {
			return err
		}
		w.deleted[pod.UID] = true
	}
	return nil
}

// failure is the error of workloads that something keeps from being up.
func (w *wait) failure(ctx context.Context, broken []readiness.State) error {
	lines := make([]string, len(broken))
	for i, s := range broken {
		var nodes []corev1.Node
		if s.Trouble.AlwaysPulled() {
			nodes = w.nodes(ctx)
		}
		lines[i] = s.Failure(w.client.Options.Kubectl, nodes)
		if log := s.Trouble.Log(); log != nil {
			lines[i] += w.lastLines(ctx, *log)
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}
