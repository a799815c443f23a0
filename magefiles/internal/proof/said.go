package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/readiness"
)

// lastLines is how much of a log is looked through.
const lastLines = 200

// A dataPlane is what the data plane says of itself, beside its answer to a request.
type dataPlane struct{ trial }

// speaker returns a ready pod of the data plane, of those on the node of the request's port if there is one; nil where none is ready.
func (t dataPlane) speaker() *corev1.Pod {
	var found *corev1.Pod
	for i := range t.s.Pods {
		pod := &t.s.Pods[i]
		if t.Runs(pod) && pod.DeletionTimestamp == nil && readiness.PodReady(pod) && (found == nil || pod.Spec.NodeName == t.Place.Node(t.request.Port)) {
			found = pod
		}
	}
	return found
}

// said is what the data plane says of itself, asked once for a snapshot.
type said struct {
	list, read sync.Once
	routers    []implementation.Router
	err        error
	log        string
}

// routers asks the data plane which routers it has, and returns those of a request's rule. all is how many it has for any route. The error says
// why that cannot be known.
func (t dataPlane) routers(ctx context.Context) (mine []implementation.Router, all int, err error) {
	said := &t.s.view(t.Proof).said
	said.list.Do(func() {
		pod := t.speaker()
		switch {
		case t.Lists.Read == nil:
			said.err = errors.New("where it has one is not known")
			return
		case pod == nil:
			said.err = errors.New("no pod of it is ready")
			return
		}
		ctx, cancel := context.WithTimeout(ctx, limits.OwnAnswer)
		defer cancel()
		answer, err := t.Place.PodGet(ctx, pod.Namespace, pod.Name, t.Lists.Port, t.Lists.Path)
		if err == nil {
			said.routers, err = t.Lists.Read(answer)
		}
		said.err = err
	})
	for _, r := range said.routers {
		if rule, ours := t.Lists.Rule(r.Name, t.request.Route); ours && rule == t.request.Rule && r.TLS == (t.request.Scheme == "https") {
			mine = append(mine, r)
		}
	}
	return mine, len(said.routers), said.err
}

// logged says what the data plane's log has last of a request's route, as the end of a sentence; it is empty where that is nothing, or cannot be read.
func (t dataPlane) logged(ctx context.Context) string {
	said := &t.s.view(t.Proof).said
	said.read.Do(func() {
		pod := t.speaker()
		if pod == nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, limits.OwnAnswer)
		defer cancel()
		log, _ := t.Place.PodLog(ctx, pod.Namespace, pod.Name, pod.Spec.Containers[0].Name, lastLines)
		said.log = string(log)
	})
	if line := t.Logged(said.log, t.request.Route, t.request.Rule); line != "" {
		return fmt.Sprintf("; %s's log says of the route: %s", t.Name, line)
	}
	return ""
}

// answered says why the data plane answers a request in the place of its backend, as the end of a sentence: by the lines that its log gets when the
// request is sent once more. It is empty where they do not say it, or where the request is not to be sent again.
func (t dataPlane) answered(ctx context.Context) string {
	pod := t.speaker()
	if pod == nil || t.Answered == nil || t.once() {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, limits.OwnAnswer)
	defer cancel()
	read := func() []string {
		log, _ := t.Place.PodLog(ctx, pod.Namespace, pod.Name, pod.Spec.Containers[0].Name, lastLines)
		return slices.Collect(strings.Lines(string(log)))
	}
	before := read()
	answer, problem := t.ask(ctx)
	if problem.Cause != ServerError || !t.Refuses(answer) {
		return ""
	}
	for tries := 0; tries < triesOfLog; tries++ {
		if why := t.Answered(strings.Join(since(before, read()), ""), answer.Status); why != "" {
			return fmt.Sprintf("; %s's log says of it: %s", t.Name, why)
		}
		select {
		case <-time.After(limits.LogLine):
		case <-ctx.Done():
		}
	}
	return ""
}

// triesOfLog is how often the log is looked at for the lines about a request.
const triesOfLog = 3

// since returns the lines that the end of a log has beyond an earlier end of it.
func since(before, after []string) []string {
	n := min(len(before), len(after))
	for !slices.Equal(before[len(before)-n:], after[:n]) {
		n--
	}
	return after[n:]
}

// unserved goes on with a request for which the data plane has no route: with what it says of the router of the request's rule.
func (w way) unserved(ctx context.Context) check.Finding {
	routers, all, err := dataPlane{w.trial}.routers(ctx)
	switch {
	case err != nil:
		w.finding.Found += fmt.Sprintf("; does it reach the API server? (Its list of routers cannot be read: %v)", err)
	case all == 0:
		w.finding.Found += "; its list of routers has none for any route: does it reach the API server?"
	case len(routers) == 0:
		w.finding.Found += fmt.Sprintf("; its list of routers has none for rule %d of %s", w.request.Rule+1, w.request.Route)
	case len(routers[0].Errors) > 0:
		w.finding.Found += fmt.Sprintf("; its router %s does not work: %s", routers[0].Name, strings.Join(routers[0].Errors, "; "))
	default:
		w.finding.Found += fmt.Sprintf("; its list of routers has one for the rule, which did not take the request: %s, %s", routers[0].Name, routers[0].Rule)
	}
	w.finding.Found += dataPlane{w.trial}.logged(ctx)
	return w.finding
}

// chosen compares what the data plane says with what the table says of the match that takes a request: it must have a router of the match's
// rule, of the priority that the match is taken to have.
func (t dataPlane) chosen(ctx context.Context, winner *gateway.Match) check.Finding {
	routers, _, err := t.routers(ctx)
	if err != nil {
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("its list of routers cannot be read: %v", err)}
	}
	priority := t.Order.Priority(winner)
	var others []string
	for _, r := range routers {
		switch {
		case len(r.Errors) > 0:
			others = append(others, fmt.Sprintf("%s does not work: %s", r.Name, strings.Join(r.Errors, "; ")))
		case r.Priority == priority:
			return holds("%s, priority %d: %s", r.Name, r.Priority, r.Rule)
		default:
			others = append(others, fmt.Sprintf("%s has the priority %d", r.Name, r.Priority))
		}
	}
	if len(others) == 0 {
		others = []string{"none at all"}
	}
	return check.Finding{Verdict: check.Warns,
		Found: fmt.Sprintf("no router for the match with the priority %d; of its rule it has: %s", priority, strings.Join(others, ", "))}
}
