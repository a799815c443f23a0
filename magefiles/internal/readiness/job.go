package readiness

import (
	"cmp"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/limits"
)

// lookAtJob judges a Job by its conditions and counts. One whose pods have failed again and again is tried for minutes more, up to its
// backoffLimit.
func (s *State) lookAtJob(live *unstructured.Unstructured, pods []corev1.Pod) error {
	var job batchv1.Job
	if err := gotype.Decode(live.Object, &job); err != nil {
		return err
	}
	for _, condition := range job.Status.Conditions {
		switch {
		case condition.Status != corev1.ConditionTrue:
		case condition.Type == batchv1.JobComplete:
			s.Done = true
			return nil
		case condition.Type == batchv1.JobFailed:
			s.Trouble = &Trouble{weight: certain, look: describe(live), message: fmt.Sprintf("it has failed: %s: %s", condition.Reason, condition.Message)}
		}
	}
	s.WaitingFor = fmt.Sprintf("it to complete: %d succeeded, %d failed, %d active", job.Status.Succeeded, job.Status.Failed, job.Status.Active)
	failed := lastFailed(pods)
	if s.Trouble == nil && failed != nil && job.Status.Failed > 0 && job.Status.Succeeded == 0 {
		s.Trouble = &Trouble{weight: crashing, look: describe(live), started: failed.CreationTimestamp.Time,
			message: fmt.Sprintf("its pods fail again and again: %s so far", times(job.Status.Failed)),
			tried:   job.Status.Failed >= enoughPods && failed.CreationTimestamp.Sub(job.CreationTimestamp.Time) >= limits.CrashLoop}
	}
	if s.Trouble != nil && failed != nil {
		message, log := ending(failed)
		s.Trouble.log = log
		s.Trouble.message += "; " + message
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
func ending(pod *corev1.Pod) (string, *Container) {
	name := fmt.Sprintf("Pod/%s/%s", pod.Namespace, pod.Name)
	for _, status := range statuses(pod) {
		if ended := status.State.Terminated; ended != nil && ended.ExitCode != 0 {
			return fmt.Sprintf("%s, container %s: %s", name, status.Name, exit(ended)), &Container{pod.Namespace, pod.Name, status.Name}
		}
	}
	return strings.TrimRight(fmt.Sprintf("%s: %s: %s", name, cmp.Or(pod.Status.Reason, string(pod.Status.Phase)), pod.Status.Message), ": "), nil
}

// JobGone judges a Job that is not there by the events that it left: one with a TTL deletes itself when it has finished.
// See https://kubernetes.io/docs/concepts/workloads/controllers/ttl-after-finished/.
func (s *State) JobGone(events []corev1.Event) {
	switch last := lastOf(events); {
	case last.Reason == "Completed":
		s.Done, s.Trouble = true, nil
	case last.Type == corev1.EventTypeWarning:
		s.Trouble = &Trouble{weight: certain, message: fmt.Sprintf("it has failed, and is gone: %s: %s", last.Reason, last.Message)}
	default:
		s.Trouble.message = "it is gone, and no event says whether it completed"
	}
}
