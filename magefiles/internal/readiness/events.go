package readiness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kindgate/magefiles/internal/limits"
)

// Hear takes in what the events of a pod that is not ready say: an image that it waits for, or what the scheduler and the kubelet warn of
// last. They tell of these by events only. What is not found may still be made by another workload.
func (s *State) Hear(pod *corev1.Pod, events []corev1.Event, now time.Time) {
	last := lastOf(slices.DeleteFunc(slices.Clone(events), func(event corev1.Event) bool {
		return event.Reason != "Pulling" && event.Reason != "Pulled" &&
			(event.Type != corev1.EventTypeWarning || now.Sub(pod.CreationTimestamp.Time) <= limits.PodUnhealthy)
	}))
	if last.Reason == "" || last.Reason == "Pulled" {
		return
	}
	message := fmt.Sprintf("Pod/%s/%s: %s", pod.Namespace, pod.Name, strings.TrimSpace(last.Message))
	s.heard = message
	s.WaitingFor += "; " + message
	if (last.Reason == "FailedMount" || last.Reason == "FailedScheduling") && strings.Contains(last.Message, "not found") {
		s.Worsen(&Trouble{weight: mayPass, message: message, look: describePod(pod)})
	}
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
