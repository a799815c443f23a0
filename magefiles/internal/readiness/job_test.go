package readiness

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestAJobThatIsGoneIsJudgedByItsLastEvent(t *testing.T) {
	event := func(kind, reason, at string) corev1.Event {
		when, _ := time.Parse(time.DateTime, "2026-01-01 "+at)
		e := corev1.Event{Type: kind, Reason: reason, Message: "m"}
		e.LastTimestamp.Time = when
		return e
	}
	completed, made := event("Normal", "Completed", "00:00:02"), event("Normal", "SuccessfulCreate", "00:00:01")
	again, failed := event("Normal", "SuccessfulCreate", "00:00:03"), event("Warning", "BackoffLimitExceeded", "00:00:02")
	for _, test := range []struct {
		events []corev1.Event
		done   bool
		words  string
	}{
		{[]corev1.Event{completed, made}, true, ""},
		{[]corev1.Event{made, failed}, false, "BackoffLimitExceeded: m"},
		{[]corev1.Event{made, completed, again}, false, "no event says"},
		{nil, false, "no event says"},
	} {
		s := State{Trouble: &Trouble{weight: gone}}
		s.JobGone(test.events)
		if s.Done != test.done || !s.Done && !strings.Contains(s.Trouble.message, test.words) {
			t.Errorf("%+v", s)
		}
	}
}
