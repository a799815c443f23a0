package readiness

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAPodThatIsNotReadyIsSaidInTheWordsOfItsLastEvent(t *testing.T) {
	born := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // as pod has it
	at := func(seconds int) metav1.Time { return metav1.NewTime(born.Add(time.Duration(seconds) * time.Second)) }
	event := func(kind, reason, message string, second int) corev1.Event {
		return corev1.Event{Type: kind, Reason: reason, Message: message, LastTimestamp: at(second)}
	}
	pulling, pulled := event("Normal", "Pulling", "Pulling image i", 1), event("Normal", "Pulled", "it is there", 2)
	unhealthy := event("Warning", "Unhealthy", "Readiness probe failed: refused\n", 3)
	mount := event("Warning", "FailedMount", `secret "s" not found`, 4)
	for name, test := range map[string]struct {
		age     int
		events  []corev1.Event
		heard   string
		trouble bool
	}{
		"nothing":                      {60, nil, "", false},
		"an image is pulled":           {1, []corev1.Event{pulling}, "Pod/ns/p: Pulling image i", false},
		"an image has come":            {3, []corev1.Event{pulled, pulling}, "", false},
		"a probe fails":                {60, []corev1.Event{pulling, pulled, unhealthy}, "Pod/ns/p: Readiness probe failed: refused", false},
		"a probe fails in a young pod": {4, []corev1.Event{unhealthy}, "", false},
		"a Secret is missing":          {60, []corev1.Event{mount, unhealthy}, `Pod/ns/p: secret "s" not found`, true},
		"a mount that fails otherwise": {60, []corev1.Event{event("Warning", "FailedMount", "timed out", 4)}, "Pod/ns/p: timed out", false},
		"an event that says nothing":   {60, []corev1.Event{event("Normal", "Created", "made", 9)}, "", false},
		"a claim that the scheduler misses": {60, []corev1.Event{event("Warning", "FailedScheduling", `persistentvolumeclaim "d" not found`, 9)},
			`Pod/ns/p: persistentvolumeclaim "d" not found`, true},
	} {
		s := State{WaitingFor: "it"}
		s.Hear(pod(t, "phase: Pending"), test.events, at(test.age).Time)
		want := "it"
		if test.heard != "" {
			want += "; " + test.heard
		}
		if s.heard != test.heard || s.WaitingFor != want || (s.Trouble != nil) != test.trouble || test.trouble && s.Trouble.weight != mayPass {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestAnEventsTimeIsThatOfItsLastOccurrence(t *testing.T) {
	first, last := metav1.NewMicroTime(time.Unix(1, 0)), metav1.NewMicroTime(time.Unix(2, 0))
	for name, event := range map[string]corev1.Event{
		"a series":    {EventTime: first, LastTimestamp: metav1.NewTime(first.Time), Series: &corev1.EventSeries{LastObservedTime: last}},
		"an old kind": {EventTime: first, LastTimestamp: metav1.NewTime(last.Time)},
		"a new kind":  {EventTime: last},
	} {
		if got := happened(event); !got.Equal(last.Time) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
