// Package readiness judges what keeps objects from being ready: workloads, their pods, what defines a kind, and admission webhooks. Objects
// and events as the cluster has them go in, and what is waited for and what is broken come out. It reads no cluster.
package readiness

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
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

// A Trouble is what keeps a workload from being up, in the cluster's words.
type Trouble struct {
	weight  weight
	message string
	look    string     // kubectl's arguments that show more
	log     *Container // whose log tells the reason
	image   *pulled    // that cannot be had
	started time.Time  // when the last of the tries began that failed
	tried   bool       // there were enough of them
}

// A Container is one of a pod's, by its names.
type Container struct{ Namespace, Pod, Name string }

// A State is what is seen of one workload at one time.
type State struct {
	Object kube.Object
	Name   string
	Done   bool
	// WaitingFor says what is missing of a workload that is not up.
	WaitingFor string
	// Trouble is what keeps it from being up, nil for one that is on its way.
	Trouble *Trouble
	// Beside is set for a workload that is not waited for, but may bring what the others lack.
	Beside bool

	heard string    // what is said of its pods, whatever it counts for
	late  bool      // its own time is over, and only its pods tell why
	since time.Time // when there was no trouble last
}

// A Verdict is what becomes of a wait: it goes on, is done, or fails for the workloads that are broken.
type Verdict struct {
	WaitingFor []string // one line for each workload that is not up
	Done       bool
	Broken     []State
}

// A History is what the looks at the workloads of one wait have shown. NewHistory begins one.
type History struct {
	looked   bool
	since    map[string]time.Time // when the trouble of a workload was first seen
	up       map[string]bool      // the workloads that have been up at a look
	progress time.Time            // when one of them was first, but for those that were from the beginning; before that, when the wait began
}

// NewHistory returns that of a wait which begins now.
func NewHistory(now time.Time) *History {
	return &History{since: map[string]time.Time{}, up: map[string]bool{}, progress: now}
}

// Judge takes in a look at all workloads, and tells what becomes of the wait.
func (h *History) Judge(states []State, now time.Time) Verdict {
	for i := range states {
		s := &states[i]
		if s.Done && !h.up[s.Name] {
			h.up[s.Name] = true
			if h.looked {
				h.progress = now
			}
		}
		if s.Trouble == nil {
			delete(h.since, s.Name)
		} else if h.since[s.Name].IsZero() {
			h.since[s.Name] = now
		}
		s.since = h.since[s.Name]
	}
	h.looked = true
	return judge(states, h.progress, now)
}

// Idle tells for how long no workload has come up, as far as it has seen one do so; it is 0 while one of states is on its way.
func (h *History) Idle(states []State, now time.Time) time.Duration {
	if slices.ContainsFunc(states, func(s State) bool { return !s.Done && s.Trouble == nil }) {
		return 0
	}
	return now.Sub(h.progress)
}

const (
	// enoughRuns is how often a container, and enoughPods how many pods of a Job, must have failed. The kubelet pauses for 0, 10 and 20 s
	// between the first four runs, a Job for 10 and 20 s between the first three pods, each twice as long from then on. See
	// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy and
	// https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy.
	enoughRuns, enoughPods = 4, 3
)

// judge tells what becomes of a wait. progress is when one was up last that had not been. Trouble that another workload may
// end counts only when no other is still on its way. All that are in trouble when one cannot be helped are broken; the others are given a
// while longer to show theirs.
func judge(states []State, progress, now time.Time) Verdict {
	v := Verdict{Done: true}
	hopeless, all := false, true
	for _, s := range states {
		if s.Done || s.Beside && s.Trouble != nil {
			continue
		}
		if s.Beside {
			all = false
			continue
		}
		v.Done = false
		v.WaitingFor = append(v.WaitingFor, s.Name+": "+s.WaitingFor)
		if s.Trouble == nil {
			all = false
			continue
		}
		v.Broken = append(v.Broken, s)
		all = all && s.stands(progress, now)
		hopeless = hopeless || s.Trouble.weight >= lasting && now.Sub(s.since) >= 3*limits.BadSign
	}
	if !all && !hopeless {
		v.Broken = nil
	}
	return v
}

// stands tells whether a workload's trouble will not pass by itself, as far as that depends on what else is under way.
func (s State) stands(progress, now time.Time) bool {
	switch s.Trouble.weight {
	case certain:
		return true
	case crashing:
		return s.Trouble.tried && s.Trouble.started.After(progress)
	case mayPass:
		if progress.After(s.since) {
			return now.Sub(progress) >= limits.KubeletRetry
		}
	}
	return now.Sub(s.since) >= limits.BadSign
}

// Lacking is what an object that is not up lacks, and the cluster tells in other places than the object and its pods.
type Lacking int

const (
	// Nothing: all that can be said is known.
	Nothing Lacking = iota
	// Itself: it is a Job that is not there; its events tell what became of it.
	Itself
	// Pods: the API server may refuse them.
	Pods
	// Readiness: events about its pods tell more.
	Readiness
)

// Lacks returns what to ask the cluster for about an object that was looked at, live being nil where it is not there.
func (s *State) Lacks(live *unstructured.Unstructured) Lacking {
	switch {
	case s.Done || s.Trouble != nil && s.Trouble.weight != gone && !s.late:
		return Nothing
	case live == nil && s.Object.GetKind() == "Job":
		return Itself
	case live == nil:
		return Nothing
	case LacksPods(live):
		return Pods
	}
	return Readiness
}

// Refuse takes in that the API server refuses a workload's pods, nil where it does not.
func (s *State) Refuse(t *Trouble) {
	if s.Worsen(t); t != nil {
		s.heard = t.message
		s.WaitingFor += "; " + t.message
	}
}

// Late adds to a Deployment's own last word, that its time is over, what is known of its pods.
func (s *State) Late() {
	if s.late && s.heard != "" {
		s.Trouble.message += "; " + s.heard
	}
}

// Worsen keeps the trouble that counts for more.
func (s *State) Worsen(t *Trouble) {
	if t != nil && (s.Trouble == nil || t.weight > s.Trouble.weight || t.weight == s.Trouble.weight && t.tried && !s.Trouble.tried) {
		s.Trouble = t
	}
}

// Log returns the container whose log may tell the reason, nil for none.
func (t *Trouble) Log() *Container { return t.log }

// AlwaysPulled tells whether an image that cannot be had is pulled although a node may have it.
func (t *Trouble) AlwaysPulled() bool { return t.image != nil && t.image.policy == corev1.PullAlways }

// Failure says why a workload is broken, and what shows more, kubectl being the command for the cluster, and nodes the cluster's, as far as
// they are known.
func (s State) Failure(kubectl string, nodes []corev1.Node) string {
	line := s.Name + ": " + s.Trouble.message
	if s.Trouble.AlwaysPulled() {
		line += s.Trouble.image.always(nodes)
	}
	if s.Object.GetKind() == "Job" && s.Trouble.weight == certain {
		line += fmt.Sprintf("; to have it run again, delete it: %s delete job -n %s %s", kubectl, s.Object.GetNamespace(), s.Object.GetName())
	}
	if s.Trouble.look != "" {
		line += "; see " + kubectl + " " + s.Trouble.look
	}
	return line
}
