package kube

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubectl/pkg/polymorphichelpers"

	"kindgate/magefiles/internal/limits"
)

// A weight is what a sign of trouble counts for.
type weight int

const (
	// mayPass is trouble that ends when another workload brings what is missing, such as a Secret or a dependency that listens.
	mayPass weight = iota
	// crashing may pass, too, and is tried again by the kubelet or the Job: what counts are the tries since everything else was up.
	crashing
	// lasting trouble stays until somebody mends it, unless it is only a controller's first word, which it corrects itself.
	lasting
	// gone is an object that is not there.
	gone
	// certain trouble is the cluster's last word, such as a Job's condition Failed.
	certain
)

// A trouble is what keeps a workload from being up, in the cluster's words.
type trouble struct {
	weight  weight
	message string
	look    string     // kubectl's arguments that show more
	log     *container // whose log tells the reason
	image   *pulled    // that cannot be had
	started time.Time  // when the last of the tries began that failed
	tried   bool       // there were enough of them
}

// A container is one of a pod's, by its names.
type container struct{ namespace, pod, name string }

// A sight is what is seen of one workload at one time.
type sight struct {
	object     Object
	name       string
	done       bool
	waitingFor string
	heard      string // what is said of its pods, whatever it counts for
	late       bool   // its own time is over, and only its pods tell why
	trouble    *trouble
	since      time.Time // when there was no trouble last
	beside     bool      // it is not waited for, but may bring what the others lack
}

// A verdict is what becomes of a wait: it goes on, is done, or fails for the workloads that are broken.
type verdict struct {
	waitingFor []string // one line for each workload that is not up
	done       bool
	broken     []sight
}

const (
	// enoughRuns is how often a container, and enoughPods how many pods of a Job, must have failed. The kubelet pauses for 0, 10 and 20 s
	// between the first four runs, a Job for 10 and 20 s between the first three pods, each twice as long from then on. See
	// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy and
	// https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy.
	enoughRuns, enoughPods = 4, 3
)

// judge tells what becomes of a wait for workloads. progress is when one was up last that had not been. Trouble that another workload may
// end counts only when no other is still on its way. All that are in trouble when one cannot be helped are broken; the others are given a
// while longer to show theirs.
func judge(sights []sight, progress, now time.Time, patience time.Duration) verdict {
	v := verdict{done: true}
	hopeless, all := false, true
	for _, s := range sights {
		if s.done || s.beside && s.trouble != nil {
			continue
		}
		if s.beside {
			all = false
			continue
		}
		v.done = false
		v.waitingFor = append(v.waitingFor, s.name+": "+s.waitingFor)
		if s.trouble == nil {
			all = false
			continue
		}
		v.broken = append(v.broken, s)
		all = all && s.stands(progress, now, patience)
		hopeless = hopeless || s.trouble.weight >= lasting && now.Sub(s.since) >= 3*patience
	}
	if !all && !hopeless {
		v.broken = nil
	}
	return v
}

// stands tells whether a workload's trouble will not pass by itself, as far as that depends on what else is under way.
func (s sight) stands(progress, now time.Time, patience time.Duration) bool {
	switch s.trouble.weight {
	case certain:
		return true
	case crashing:
		return s.trouble.tried && s.trouble.started.After(progress)
	case mayPass:
		if progress.After(s.since) {
			return now.Sub(progress) >= limits.KubeletRetry
		}
	}
	return now.Sub(s.since) >= patience
}

// readiness are the conditions that must be True for the API server to serve what an object defines. See
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ and
// https://kubernetes.io/docs/tasks/extend-kubernetes/setup-extension-api-server/.
var readiness = map[schema.GroupKind][]string{
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: {"NamesAccepted", "Established"},
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             {"Available"},
}

// waitedFor tells whether an object is a workload that comes up by itself, or has the API server serve a kind. A workload that is paused or
// suspended does not come up, nor does one that is only rolled out as its pods are deleted. A CronJob has nothing to run yet.
func waitedFor(object *unstructured.Unstructured) bool {
	set := func(fields ...string) bool {
		value, _, _ := unstructured.NestedBool(object.Object, fields...)
		return value
	}
	if len(readiness[object.GroupVersionKind().GroupKind()]) > 0 {
		return true
	}
	switch object.GroupVersionKind().GroupKind() {
	case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind():
		return !set("spec", "paused")
	case appsv1.SchemeGroupVersion.WithKind("DaemonSet").GroupKind(), appsv1.SchemeGroupVersion.WithKind("StatefulSet").GroupKind():
		return !updatesOnDelete(object)
	case batchv1.SchemeGroupVersion.WithKind("Job").GroupKind():
		return !set("spec", "suspend")
	case appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind(), podKind.GroupKind():
		return true
	}
	return false
}

// updatesOnDelete tells whether a workload replaces its pods only as somebody deletes them. See
// https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/.
func updatesOnDelete(object *unstructured.Unstructured) bool {
	strategy, _, _ := unstructured.NestedString(object.Object, "spec", "updateStrategy", "type")
	return strategy == string(appsv1.OnDeleteStatefulSetStrategyType)
}

// podsOf returns those of pods that belong to a live workload and are not being deleted.
func podsOf(live *unstructured.Unstructured, pods []corev1.Pod) ([]corev1.Pod, error) {
	if live == nil || ClusterScoped(live.GroupVersionKind().GroupKind()) {
		return nil, nil
	}
	belongs := func(pod *corev1.Pod) bool { return pod.Name == live.GetName() }
	if live.GetKind() != podKind.Kind {
		var selector metav1.LabelSelector
		raw, _, err := unstructured.NestedMap(live.Object, "spec", "selector")
		if err != nil {
			return nil, err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
			return nil, err
		}
		matches, err := metav1.LabelSelectorAsSelector(&selector)
		if err != nil {
			return nil, err
		}
		belongs = func(pod *corev1.Pod) bool { return matches.Matches(labels.Set(pod.Labels)) }
	}
	var own []corev1.Pod
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && belongs(&pod) {
			own = append(own, pod)
		}
	}
	return own, nil
}

// revision is how a Deployment's controller numbers its templates, on itself and on the ReplicaSets that it makes of them. See
// https://kubernetes.io/docs/reference/labels-annotations-taints/#deployment-kubernetes-io-revision.
const revision = "deployment.kubernetes.io/revision"

// ofRevision returns those of a Deployment's pods that are of its newest template, sets being its namespace's ReplicaSets.
func ofRevision(live *unstructured.Unstructured, sets []unstructured.Unstructured, pods []corev1.Pod) []corev1.Pod {
	newest := map[string]bool{}
	for i := range sets {
		newest[sets[i].GetName()] = metav1.IsControlledBy(&sets[i], live) && sets[i].GetAnnotations()[revision] == live.GetAnnotations()[revision]
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return !newest[ownerOf(&pod)] })
}

// ownerOf is the name of the controller that has made a pod, empty for a pod of its own.
func ownerOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return owner.Name
	}
	return ""
}

// look judges one workload as it is, nil where it is not there, with its pods.
func look(object Object, live *unstructured.Unstructured, pods []corev1.Pod, now time.Time) (sight, error) {
	s := sight{object: object, name: object.Name()}
	if live == nil {
		s.waitingFor = "it to appear"
		s.trouble = &trouble{weight: gone, message: "it is not there: something in the cluster has deleted it since it was applied"}
		return s, nil
	}
	var err error
	switch {
	case !waitedFor(live): // somebody has suspended it
		s.done = true
	case len(readiness[object.groupKind()]) > 0:
		s.lookAtConditions(live)
	case live.GetKind() == "Job":
		err = s.lookAtJob(live, pods)
	case live.GetKind() == "Pod":
		s.lookAtPod(pods)
	case live.GetKind() == "ReplicaSet":
		err = s.lookAtReplicas(live)
	default:
		err = s.lookAtRollout(live)
	}
	if s.done && waitedFor(live) && live.GetKind() != "Job" {
		s.steady(pods, now)
	}
	s.late = s.trouble != nil && pastDeadline(live)
	if err != nil || s.done || s.trouble != nil && !s.late {
		return s, err
	}
	for i := range pods {
		if t := podTrouble(&pods[i]); t != nil {
			s.worsen(t)
			s.heard = t.message
		}
	}
	if s.trouble != nil {
		s.waitingFor += "; " + s.trouble.message
	}
	return s, nil
}

// steady takes back that a workload is up when one of its containers, which nobody probes, may be about to crash.
func (s *sight) steady(pods []corev1.Pod, now time.Time) {
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if probed(&pods[i], status.Name) || pods[i].Status.Phase == corev1.PodSucceeded {
				continue
			}
			if status.State.Running == nil { // which the workload's own status does not know yet
				s.done, s.waitingFor = false, fmt.Sprintf("Pod/%s/%s, container %s, to run", pods[i].Namespace, pods[i].Name, status.Name)
				return
			}
			within, last := limits.Steady, status.LastTerminationState.Terminated
			crashed := status.RestartCount > 0 && last != nil && last.Reason != "Unknown" // that is of a node that was stopped
			if crashed {
				within = min(max(limits.SteadyAgain, 2*last.FinishedAt.Sub(last.StartedAt.Time)), limits.SteadyLong)
			}
			if now.Sub(status.State.Running.StartedAt.Time) >= within {
				continue
			}
			s.done = false
			s.waitingFor = fmt.Sprintf("Pod/%s/%s, container %s, to go on running: it has just started", pods[i].Namespace, pods[i].Name, status.Name)
			if crashed {
				s.waitingFor += fmt.Sprintf(", restarted %s (%s)", times(status.RestartCount), exit(last))
			}
			return
		}
	}
}

func probed(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container && c.ReadinessProbe != nil })
}

// worsen keeps the trouble that counts for more.
func (s *sight) worsen(t *trouble) {
	if t != nil && (s.trouble == nil || t.weight > s.trouble.weight || t.weight == s.trouble.weight && t.tried && !s.trouble.tried) {
		s.trouble = t
	}
}

func (s *sight) lookAtRollout(live *unstructured.Unstructured) error {
	viewer, err := polymorphichelpers.StatusViewerFor(live.GroupVersionKind().GroupKind())
	if err != nil {
		return err
	}
	message, done, err := viewer.Status(live, 0)
	if err != nil {
		s.trouble = &trouble{weight: certain, message: err.Error(), look: describe(live)}
		s.waitingFor = err.Error()
		return nil
	}
	s.done, s.waitingFor = done, strings.TrimPrefix(strings.TrimSpace(message), "Waiting for ")
	return nil
}

// pastDeadline tells whether a workload is a Deployment that has not come up in the time that it sets itself: what keeps it is only said by
// its pods. See https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds.
func pastDeadline(live *unstructured.Unstructured) bool {
	return live != nil && slices.ContainsFunc(conditions(live), func(condition metav1.Condition) bool {
		return condition.Type == string(appsv1.DeploymentProgressing) && condition.Reason == "ProgressDeadlineExceeded"
	})
}

func (s *sight) lookAtReplicas(live *unstructured.Unstructured) error {
	var set appsv1.ReplicaSet
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &set); err != nil {
		return err
	}
	wanted := int32(1)
	if set.Spec.Replicas != nil {
		wanted = *set.Spec.Replicas
	}
	s.done = set.Status.ObservedGeneration >= set.Generation && set.Status.ReadyReplicas >= wanted
	s.waitingFor = fmt.Sprintf("%d of %d replicas to be ready", set.Status.ReadyReplicas, wanted)
	return nil
}

// lookAtConditions judges an object that has the API server serve a kind. What serves an APIService may be another workload of the run.
func (s *sight) lookAtConditions(live *unstructured.Unstructured) {
	have := conditions(live)
	for _, name := range readiness[s.object.groupKind()] {
		condition := meta.FindStatusCondition(have, name)
		switch {
		case condition == nil || condition.Status == metav1.ConditionUnknown:
			s.waitingFor = "it to be " + name
		case condition.Status == metav1.ConditionFalse:
			s.waitingFor = fmt.Sprintf("%s is False (%s): %s", name, condition.Reason, condition.Message)
			s.trouble = &trouble{weight: mayPass, message: s.waitingFor, look: describe(live)}
			return
		}
	}
	s.done = s.waitingFor == ""
}

// lookAtJob judges a Job by its conditions and counts. One whose pods have failed again and again is tried for minutes more, up to its
// backoffLimit.
func (s *sight) lookAtJob(live *unstructured.Unstructured, pods []corev1.Pod) error {
	var job batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &job); err != nil {
		return err
	}
	for _, condition := range job.Status.Conditions {
		switch {
		case condition.Status != corev1.ConditionTrue:
		case condition.Type == batchv1.JobComplete:
			s.done = true
			return nil
		case condition.Type == batchv1.JobFailed:
			s.trouble = &trouble{weight: certain, look: describe(live), message: fmt.Sprintf("it has failed: %s: %s", condition.Reason, condition.Message)}
		}
	}
	s.waitingFor = fmt.Sprintf("it to complete: %d succeeded, %d failed, %d active", job.Status.Succeeded, job.Status.Failed, job.Status.Active)
	failed := lastFailed(pods)
	if s.trouble == nil && failed != nil && job.Status.Failed > 0 && job.Status.Succeeded == 0 {
		s.trouble = &trouble{weight: crashing, look: describe(live), started: failed.CreationTimestamp.Time,
			message: fmt.Sprintf("its pods fail again and again: %s so far", times(job.Status.Failed)),
			tried:   job.Status.Failed >= enoughPods && failed.CreationTimestamp.Sub(job.CreationTimestamp.Time) >= limits.CrashLoop}
	}
	if s.trouble != nil && failed != nil {
		message, log := ending(failed)
		s.trouble.log = log
		s.trouble.message += "; " + message
	}
	return nil
}

// lastFailed returns the youngest pod that has failed, nil for none.
func lastFailed(pods []corev1.Pod) *corev1.Pod {
	var last *corev1.Pod
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodFailed && (last == nil || last.CreationTimestamp.Before(&pods[i].CreationTimestamp)) {
			last = &pods[i]
		}
	}
	return last
}

// ending says how a pod has failed, and which container's log may tell why.
func ending(pod *corev1.Pod) (string, *container) {
	name := fmt.Sprintf("Pod/%s/%s", pod.Namespace, pod.Name)
	for _, status := range statuses(pod) {
		if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
			return fmt.Sprintf("%s, container %s: %s", name, status.Name, exit(ended)), &container{pod.Namespace, pod.Name, status.Name}
		}
	}
	return strings.TrimRight(fmt.Sprintf("%s: %s: %s", name, cmp.Or(pod.Status.Reason, string(pod.Status.Phase)), pod.Status.Message), ": "), nil
}

// jobGone judges a Job that is not there by the events that it left: one with a TTL deletes itself when it has finished.
// See https://kubernetes.io/docs/concepts/workloads/controllers/ttl-after-finished/.
func (s *sight) jobGone(events []corev1.Event) {
	switch last := lastOf(events); {
	case last.Reason == "Completed":
		s.done, s.trouble = true, nil
	case last.Type == corev1.EventTypeWarning:
		s.trouble = &trouble{weight: certain, message: fmt.Sprintf("it has failed, and is gone: %s: %s", last.Reason, last.Message)}
	default:
		s.trouble.message = "it is gone, and no event says whether it completed"
	}
}

func (s *sight) lookAtPod(pods []corev1.Pod) {
	s.waitingFor = "it to be gone" // it is being deleted
	for i := range pods {
		pod := &pods[i]
		s.done = PodReady(pod) || pod.Status.Phase == corev1.PodSucceeded
		s.waitingFor = fmt.Sprintf("it to be ready (its phase is %s)", pod.Status.Phase)
		if pod.Status.Phase == corev1.PodFailed {
			message, log := ending(pod)
			s.trouble = &trouble{weight: certain, message: "it has failed: " + message, log: log,
				look: fmt.Sprintf("describe pod -n %s %s", pod.Namespace, pod.Name)}
		}
	}
}

// PodReady tells whether a pod's condition Ready is True.
func PodReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

func describe(live *unstructured.Unstructured) string { return "describe " + arguments(live) }

func statuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...)
}

// exit says how a container ended.
func exit(ended *corev1.ContainerStateTerminated) string {
	if ended.Reason == "" || ended.Reason == "Error" || ended.Reason == "Completed" {
		return fmt.Sprintf("exit code %d", ended.ExitCode)
	}
	return fmt.Sprintf("%s, exit code %d", ended.Reason, ended.ExitCode)
}

func times(n int32) string {
	if n == 1 {
		return "1 time"
	}
	return fmt.Sprintf("%d times", n)
}

// podTrouble says why a pod's container cannot start, in the kubelet's words, or that it ends again and again; nil for a pod in which
// nothing is wrong.
func podTrouble(pod *corev1.Pod) *trouble {
	name := fmt.Sprintf("Pod/%s/%s", pod.Namespace, pod.Name)
	for _, status := range statuses(pod) {
		reason, message, ended := "", "", status.State.Terminated
		if waiting := status.State.Waiting; waiting != nil {
			reason, message, ended = waiting.Reason, waiting.Message, status.LastTerminationState.Terminated
		}
		if ended != nil && (ended.Reason == "StartError" || ended.Reason == "ContainerCannotRun") { // whatever else it says between its tries
			reason, message = "RunContainerError", ended.Message
		}
		about := &trouble{message: fmt.Sprintf("%s, container %s: %s: %s", name, status.Name, reason, message),
			look: fmt.Sprintf("describe pod -n %s %s", pod.Namespace, pod.Name)} // what never ran has no log
		switch reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError",
			"SignatureValidationFailed":
			image := pulled{status.Image, policyOf(pod, status.Name)}
			return &trouble{weight: lasting, image: &image, message: fmt.Sprintf("%s cannot have image %s: %s: %s", name, status.Image, reason, message)}
		case "CreateContainerConfigError":
			about.weight = mayPass // a ConfigMap or Secret that another workload may make
			return about
		case "CreateContainerError", "RunContainerError":
			about.weight = lasting
			return about
		}
		if t := crash(pod, &status, ended); t != nil {
			return t
		}
	}
	return nil
}

// crash is the trouble of a container that has ended and is started again, nil for any other.
func crash(pod *corev1.Pod, status *corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) *trouble {
	waits := status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff"
	over := status.State.Terminated != nil && status.RestartCount > 0 && (ended.ExitCode != 0 || pod.Spec.RestartPolicy == corev1.RestartPolicyAlways)
	if ended == nil || !waits && !over || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed ||
		over && ended.ExitCode == 0 && isInit(pod, status.Name) {
		return nil
	}
	began := pod.CreationTimestamp.Time
	if pod.Status.StartTime != nil {
		began = pod.Status.StartTime.Time
	}
	return &trouble{
		weight: crashing, started: ended.StartedAt.Time, tried: status.RestartCount >= enoughRuns-1 && ended.FinishedAt.Sub(began) >= limits.CrashLoop,
		message: fmt.Sprintf("Pod/%s/%s, container %s: CrashLoopBackOff: restarted %s (%s)", pod.Namespace, pod.Name, status.Name,
			times(status.RestartCount), exit(ended)),
		look: fmt.Sprintf("logs -n %s %s", pod.Namespace, pod.Name),
		log:  &container{pod.Namespace, pod.Name, status.Name},
	}
}

func isInit(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}

func policyOf(pod *corev1.Pod, name string) corev1.PullPolicy {
	for _, c := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		if c.Name == name {
			return c.ImagePullPolicy
		}
	}
	return ""
}

// running tells whether any of a pod's containers does its work.
func running(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool { return status.State.Running != nil })
}

// pulled is an image that a node is to pull.
type pulled struct {
	name   string
	policy corev1.PullPolicy
}

// always says what the pull policy Always has to do with an image that cannot be had. A node lists the names of its images in its status,
// the largest 50 of them. See https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting.
func (p pulled) always(nodes []corev1.Node) string {
	full := p.name
	if named, err := reference.ParseDockerRef(p.name); err == nil {
		full = named.String()
	}
	where := "an image in the node is not used"
	for _, node := range nodes {
		for _, image := range node.Status.Images {
			if slices.Contains(image.Names, full) {
				where = "the image in the node is not used"
			}
		}
	}
	return "; " + where + ", as its pull policy is Always (the default for the tag latest and for none): set imagePullPolicy: IfNotPresent, or use another tag"
}

var (
	podKind   = corev1.SchemeGroupVersion.WithKind("Pod")
	eventKind = corev1.SchemeGroupVersion.WithKind("Event")
)

// hear takes in what the events of a pod that is not ready say: an image that it waits for, or what the scheduler and the kubelet warn of
// last. They tell of these by events only. What is not found may still be made by another workload.
func (s *sight) hear(pod *corev1.Pod, events []corev1.Event, now time.Time) {
	last := lastOf(slices.DeleteFunc(slices.Clone(events), func(event corev1.Event) bool {
		return event.Reason != "Pulling" && event.Reason != "Pulled" &&
			(event.Type != corev1.EventTypeWarning || now.Sub(pod.CreationTimestamp.Time) <= limits.PodUnhealthy)
	}))
	if last.Reason == "" || last.Reason == "Pulled" {
		return
	}
	message := fmt.Sprintf("Pod/%s/%s: %s", pod.Namespace, pod.Name, strings.TrimSpace(last.Message))
	s.heard = message
	s.waitingFor += "; " + message
	if (last.Reason == "FailedMount" || last.Reason == "FailedScheduling") && strings.Contains(last.Message, "not found") {
		s.worsen(&trouble{weight: mayPass, message: message, look: fmt.Sprintf("describe pod -n %s %s", pod.Namespace, pod.Name)})
	}
}

// unschedulable returns the scheduler's words about a pod that it finds no node for, empty for any other.
func unschedulable(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return strings.TrimSpace(condition.Message)
		}
	}
	return ""
}

// unhelpful is how the scheduler says of how many nodes that they would not take a pod even if others made room, or that none of those on
// it would have to; it does not look for them where the pod's class forbids it.
var unhelpful = regexp.MustCompile(`(\d+) (?:Preemption is not helpful for scheduling|No preemption victims found for incoming pods?)`)

const neverPreempts = "preemption: not eligible due to preemptionPolicy=Never"

// fitsNowhere tells from the scheduler's words whether none of the nodes will take a pod as long as it and they are as now, with the pods
// that are on them. A node that is not ready yet may.
func fitsNowhere(words string, nodes []corev1.Node) bool {
	without := 0
	for _, found := range unhelpful.FindAllStringSubmatch(words, -1) {
		n, _ := strconv.Atoi(found[1])
		without += n
	}
	return (without == len(nodes) || strings.Contains(words, neverPreempts)) && len(nodes) > 0 && !slices.ContainsFunc(nodes, func(node corev1.Node) bool {
		return node.Spec.Unschedulable || !slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
			return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
		})
	})
}

// claimsOf returns the names of the PersistentVolumeClaims that a pod mounts; a generic ephemeral volume's has the pod's name before its own.
// See https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#persistentvolumeclaim-naming.
func claimsOf(pod *corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		switch {
		case volume.PersistentVolumeClaim != nil:
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		case volume.Ephemeral != nil:
			names = append(names, pod.Name+"-"+volume.Name)
		}
	}
	return names
}

// unbound returns why a PersistentVolumeClaim is not bound, as the last event about it has it; nil for one that is, or of which nobody
// complains. A class or a volume that another object defines may still come.
func unbound(claim *unstructured.Unstructured, events []corev1.Event) *trouble {
	if phase, _, _ := unstructured.NestedString(claim.Object, "status", "phase"); phase == string(corev1.ClaimBound) {
		return nil
	}
	last := lastOf(events)
	if last.Type != corev1.EventTypeWarning && last.Reason != "FailedBinding" { // which is a Normal one
		return nil
	}
	return &trouble{weight: mayPass, look: describe(claim),
		message: fmt.Sprintf("PersistentVolumeClaim/%s/%s: %s", claim.GetNamespace(), claim.GetName(), strings.TrimSpace(last.Message))}
}

// lastOf returns the event that happened last, the zero one of none.
func lastOf(events []corev1.Event) (last corev1.Event) {
	for _, event := range events {
		if !happened(event).Before(happened(last)) {
			last = event
		}
	}
	return last
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

// lacksPods tells whether a workload's controller has made fewer pods than it should have: perhaps the API server refuses them.
func lacksPods(live *unstructured.Unstructured) bool {
	count := func(fields ...string) int64 { n, _, _ := unstructured.NestedInt64(live.Object, fields...); return n }
	switch live.GetKind() {
	case "Deployment", "ReplicaSet":
		return slices.ContainsFunc(conditions(live), func(condition metav1.Condition) bool {
			return condition.Type == string(appsv1.DeploymentReplicaFailure) && condition.Status == metav1.ConditionTrue
		})
	case "DaemonSet":
		return count("status", "currentNumberScheduled") < count("status", "desiredNumberScheduled")
	case "StatefulSet":
		wanted, found, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
		return (!found || wanted > 0) && count("status", "replicas") < max(wanted, 1)
	case "Job":
		return count("status", "active") == 0
	}
	return false
}

// podOf returns the pod that a workload's controller would make, as far as admission cares.
func podOf(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	template, _, err := unstructured.NestedMap(live.Object, "spec", "template")
	if err != nil {
		return nil, err
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetGroupVersionKind(podKind)
	pod.SetName(live.GetName())
	pod.SetNamespace(live.GetNamespace())
	claims, _, _ := unstructured.NestedSlice(live.Object, "spec", "volumeClaimTemplates") // a StatefulSet's are volumes of its pods
	if len(claims) == 0 {
		return pod, nil
	}
	volumes, _, _ := unstructured.NestedSlice(pod.Object, "spec", "volumes")
	for _, claim := range claims {
		fields, _ := claim.(map[string]any)
		name, _, _ := unstructured.NestedString(fields, "metadata", "name")
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name}})
	}
	return pod, unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes")
}

// refused judges the API server's answer to a pod: nil for one that it takes, and for a refusal that says nothing of the pod.
func refused(err error) *trouble {
	if err == nil {
		return nil
	}
	text := err.Error()
	t := &trouble{weight: lasting, message: "its pods are refused: " + text}
	switch {
	case strings.Contains(text, "failed calling webhook"): // which another workload may serve
		t.weight = mayPass
	case strings.Contains(text, "admission webhook ") && strings.Contains(text, "denied the request"):
	case strings.Contains(text, "ValidatingAdmissionPolicy "):
	case !apierrors.IsForbidden(err):
		return nil
	case strings.Contains(text, "exceeded quota"), strings.Contains(text, "error looking up service account"):
		t.weight = mayPass
	case strings.Contains(text, "violates PodSecurity"):
		t.message += "; the namespace asks for it by its label pod-security.kubernetes.io/enforce"
	}
	return t
}
