package rollout

import (
	"context"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/readiness"
)

// ask completes what was seen of a workload that is not up by what the cluster tells in other places.
func (w *wait) ask(ctx context.Context, s *readiness.State, live *unstructured.Unstructured, pods []corev1.Pod, now time.Time) error {
	switch s.Lacks(live) {
	case readiness.Itself:
		events, err := w.eventsOf(ctx, s.Object.GetNamespace(), "involvedObject.kind=Job,involvedObject.name="+s.Object.GetName())
		if err != nil {
			return err
		}
		s.JobGone(events)
	case readiness.Pods:
		refusal := tryPod(ctx, w.client, live)
		trouble, err := selfGuarded(ctx, w.client, live, refusal)
		if err != nil {
			return err
		}
		if trouble == nil {
			trouble = readiness.Refused(refusal)
		}
		s.Refuse(trouble)
	case readiness.Readiness:
		if err := w.askPods(ctx, s, pods, now); err != nil {
			return err
		}
	}
	s.Late()
	return nil
}

// askPods hears what is said of pods that are not ready, up to the first that is in trouble.
func (w *wait) askPods(ctx context.Context, s *readiness.State, pods []corev1.Pod, now time.Time) error {
	for _, pod := range pods {
		if readiness.PodReady(&pod) || now.Sub(pod.CreationTimestamp.Time) < limits.PodSlow {
			continue
		}
		events, err := w.eventsOf(ctx, pod.Namespace, "involvedObject.uid="+string(pod.UID))
		if err != nil {
			return err
		}
		trouble, err := w.unscheduled(ctx, &pod)
		if err != nil {
			return err
		}
		s.Worsen(trouble) // the scheduler's own event says less
		if s.Hear(&pod, events, now); s.Trouble != nil {
			return nil
		}
	}
	return nil
}

// unscheduled returns what keeps the scheduler from giving a pod a node, where that does not pass by itself: a claim that cannot be bound,
// or nodes none of which could take it.
func (w *wait) unscheduled(ctx context.Context, pod *corev1.Pod) (*readiness.Trouble, error) {
	words := readiness.Unschedulable(pod)
	if words == "" {
		return nil, nil
	}
	for _, name := range readiness.ClaimsOf(pod) {
		live, err := w.client.Get(ctx, claimKind, pod.Namespace, name)
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
		if trouble := readiness.Unbound(live, events); trouble != nil {
			return trouble, nil
		}
	}
	pods, err := w.client.List(ctx, readiness.PodKind, "")
	if err != nil {
		return nil, nil // nobody knows whether one is being deleted
	}
	return readiness.Unplaced(pod, words, w.nodes(ctx), pods), nil
}

// nodes returns the cluster's nodes, or none where they cannot be read: they only add to a message.
func (w *wait) nodes(ctx context.Context) []corev1.Node {
	live, err := w.client.List(ctx, nodeKind, "")
	if err != nil {
		return nil
	}
	nodes, _ := kube.As[corev1.Node](live)
	return nodes
}

func (w *wait) eventsOf(ctx context.Context, namespace, fields string) ([]corev1.Event, error) {
	client, err := w.client.Resource(ctx, eventKind, namespace)
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{FieldSelector: fields})
	if err != nil {
		return nil, err
	}
	return kube.As[corev1.Event](list.Items)
}

// Of a failed container's log, the last lines usually tell why; what is more is one command away.
const logLines, logBytes = 5, 2 << 10

// lastLines returns the end of a container's log, indented for a message, or nothing where there is none.
func (w *wait) lastLines(ctx context.Context, log readiness.Container) string {
	text, err := w.client.Pods().Log(ctx, log.Namespace, log.Pod, &corev1.PodLogOptions{
		Container: log.Name, TailLines: new(int64(logLines)), LimitBytes: new(int64(logBytes))})
	said := strings.TrimSpace(string(text))
	if err != nil || said == "" {
		return ""
	}
	return "\n  its log ends with:\n    " + strings.ReplaceAll(said, "\n", "\n    ")
}

// tryPod asks the API server, without making it, whether it takes one more pod of a workload, and returns why not. A controller's own word on
// it may be of before what was wrong was mended, as it pauses for longer after each refusal.
func tryPod(ctx context.Context, client *kube.Client, live *unstructured.Unstructured) error {
	pod, err := readiness.PodOf(live)
	if err != nil {
		return err
	}
	pods, err := client.Resource(ctx, readiness.PodKind, live.GetNamespace())
	if err != nil {
		return err
	}
	_, err = pods.Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// selfGuarded returns as trouble that the refusal of a workload's pods comes from a webhook that these alone would serve, nil for any other.
func selfGuarded(ctx context.Context, client *kube.Client, live *unstructured.Unstructured, refusal error) (*readiness.Trouble, error) {
	if !readiness.Unanswered(refusal) {
		return nil, nil
	}
	name, ok := readiness.WebhookService(refusal)
	if !ok {
		return nil, nil
	}
	service, err := client.Get(ctx, serviceKind, name.Namespace, name.Name)
	if err != nil || service == nil {
		return nil, err
	}
	pods, err := podsIn(ctx, client, name.Namespace)
	if err != nil {
		return nil, err
	}
	var configs []unstructured.Unstructured
	for _, kind := range []string{"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"} {
		found, err := client.List(ctx, admissionv1.SchemeGroupVersion.WithKind(kind), "")
		if err != nil {
			return nil, err
		}
		configs = append(configs, found...)
	}
	return readiness.SelfGuarded(live, refusal, service, pods, configs, client.Options.Kubectl), nil
}

func podsIn(ctx context.Context, client *kube.Client, namespace string) ([]corev1.Pod, error) {
	list, err := client.List(ctx, readiness.PodKind, namespace)
	if err != nil {
		return nil, err
	}
	return kube.As[corev1.Pod](list)
}
