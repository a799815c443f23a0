package readiness

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/limits"
)

// PodKind is the kind of pods.
var PodKind = corev1.SchemeGroupVersion.WithKind("Pod")

func (s *State) lookAtPod(pods []corev1.Pod) {
	s.WaitingFor = "it to be gone" // it is being deleted
	for i := range pods {
		pod := &pods[i]
		s.Done = PodReady(pod) || pod.Status.Phase == corev1.PodSucceeded
		s.WaitingFor = fmt.Sprintf("it to be ready (its phase is %s)", pod.Status.Phase)
		if pod.Status.Phase == corev1.PodFailed {
			message, log := ending(pod)
			s.Trouble = &Trouble{weight: certain, message: "it has failed: " + message, log: log,
				look: describePod(pod)}
		}
	}
}

// PodReady tells whether a pod's condition Ready is True.
func PodReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

func describePod(pod *corev1.Pod) string {
	return fmt.Sprintf("describe pod -n %s %s", pod.Namespace, pod.Name)
}

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
func podTrouble(pod *corev1.Pod) *Trouble {
	name := fmt.Sprintf("Pod/%s/%s", pod.Namespace, pod.Name)
	for _, status := range statuses(pod) {
		reason, message, ended := "", "", status.State.Terminated
		if waiting := status.State.Waiting; waiting != nil {
			reason, message, ended = waiting.Reason, waiting.Message, status.LastTerminationState.Terminated
		}
		if ended != nil && neverRan(ended) { // whatever else it says between its tries
			reason, message = "RunContainerError", ended.Message
		}
		about := &Trouble{message: fmt.Sprintf("%s, container %s: %s: %s", name, status.Name, reason, message),
			look: describePod(pod)} // what never ran has no log
		switch reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError",
			"SignatureValidationFailed":
			image := pulled{status.Image, policyOf(pod, status.Name)}
			return &Trouble{weight: lasting, image: &image, message: fmt.Sprintf("%s cannot have image %s: %s: %s", name, status.Image, reason, message)}
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
func crash(pod *corev1.Pod, status *corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) *Trouble {
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
	return &Trouble{
		weight: crashing, started: ended.StartedAt.Time, tried: status.RestartCount >= enoughRuns-1 && ended.FinishedAt.Sub(began) >= limits.CrashLoop,
		message: fmt.Sprintf("Pod/%s/%s, container %s: CrashLoopBackOff: restarted %s (%s)", pod.Namespace, pod.Name, status.Name,
			times(status.RestartCount), exit(ended)),
		look: fmt.Sprintf("logs -n %s %s", pod.Namespace, pod.Name),
		log:  &Container{pod.Namespace, pod.Name, status.Name},
	}
}

func isInit(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}

// Stuck returns those of a controller's pods that could not start before: what they lacked may be there now, and the kubelet would look again
// only after a while, which grows to 5 minutes. A Job would count a deleted pod as failed, and nobody makes a Pod of its own anew. One that
// has volumes of its own stays once it has run: what it wrote there would go with it.
func Stuck(live *unstructured.Unstructured, pods []corev1.Pod) []corev1.Pod {
	if live == nil || live.GetKind() == "Job" || live.GetKind() == PodKind.Kind {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return podTrouble(&pod) == nil || running(&pod) || keepsData(&pod) })
}

// keepsData tells whether a pod has volumes that are deleted with it, and one of its containers may have written into them. What its init
// containers have written those of a new pod write again.
func keepsData(pod *corev1.Pod) bool {
	own := slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool { return volume.EmptyDir != nil || volume.Ephemeral != nil })
	return own && slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool {
		return hasRun(status.State.Terminated) || hasRun(status.LastTerminationState.Terminated)
	})
}

// hasRun tells whether a container's end is that of a process, and not a failure to start one.
func hasRun(ended *corev1.ContainerStateTerminated) bool { return ended != nil && !neverRan(ended) }

func neverRan(ended *corev1.ContainerStateTerminated) bool {
	return ended.Reason == "StartError" || ended.Reason == "ContainerCannotRun"
}

// running tells whether any of a pod's containers does its work.
func running(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool { return status.State.Running != nil })
}
