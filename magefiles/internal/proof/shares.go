package proof

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// mostRequests bounds those to a rule with several Services of unequal weights.
const mostRequests = 200

// A tally counts who answered the requests to a rule with several Services.
type tally struct {
	sent     int
	failed   map[string]int  // how many of them with which status 5xx, or of gRPC
	failure  *probe.Answer   // the last of these
	cause    check.Cause     // and why it is one
	pods     map[string]bool // those that answered
	nameless *probe.Answer   // one that does not say whose it is
}

// proveShares goes on with a request to several Services: it asks often enough to meet the one of the smallest weight twice, as the
// implementation keeps the shares evenly, and says what share fails. answer and problem are what came of the first request.
func (t trial) proveShares(ctx context.Context, answer *probe.Answer, problem check.Finding) check.Finding {
	expected, known := t.s.podsOf(t.request)
	pods := slices.Concat(expected...)
	slices.Sort(pods)
	pods = slices.Compact(pods)
	enough, most := min(2*t.request.Enough, mostRequests), mostRequests
	if !t.request.Weighted {
		enough, most = max(enough, 2*len(pods)), max(enough, enoughRequests(len(pods)))
	}
	count := tally{failed: map[string]int{}, pods: map[string]bool{}}
	for count.sent = 1; ; count.sent++ {
		switch pod := t.s.podIn(answer); {
		case failed(problem):
			count.failed[statusOf(answer)]++
			count.failure, count.cause = answer, problem.Cause
		case problem.Fails() || answer == nil:
			problem.Found = fmt.Sprintf("%s (request %d)", problem.Found, count.sent)
			return problem
		case pod == "" || !known:
			count.nameless = answer
		case !t.passed(answer):
			return t.notPassed()
		case !slices.Contains(pods, pod):
			return t.wrongPod(pod, pods)
		default:
			count.pods[pod] = true
		}
		if t.once() {
			return count.once(t.request)
		}
		if count.sent >= most || count.sent >= enough && (count.failure != nil || count.nameless != nil || count.unseen(t.request, expected) < 0) {
			return count.verdict(t.request, expected, len(pods), t.s)
		}
		answer, problem = t.ask(ctx)
	}
}

// once is the verdict of a single request: which of the Services it met is by chance.
func (t tally) once(request gateway.Request) check.Finding {
	if t.failure != nil {
		return because(t.cause, "%s in one request to %s", statusOf(t.failure), backends(request))
	}
	return holds("answered by one of %s; that each of them answers was not tried", backends(request))
}

// unseen returns the index of a Service of which too few pods have answered, -1 for none: of weighted ones no pod, of others not all.
func (t tally) unseen(request gateway.Request, expected [][]string) int {
	return slices.IndexFunc(expected, func(pods []string) bool {
		unseen := func(pod string) bool { return !t.pods[pod] }
		if request.Weighted {
			return !slices.ContainsFunc(pods, func(pod string) bool { return !unseen(pod) })
		}
		return slices.ContainsFunc(pods, unseen)
	})
}

func (t tally) verdict(request gateway.Request, expected [][]string, pods int, s *Snapshot) check.Finding {
	missing := t.unseen(request, expected)
	tooFew := 2*request.Enough > mostRequests
	switch {
	case t.failure != nil:
		var shares []string
		for _, status := range slices.Sorted(maps.Keys(t.failed)) {
			shares = append(shares, fmt.Sprintf("%d of %d requests answered %s", t.failed[status], t.sent, status))
		}
		format := "%s instead of an answer of %s"
		if t.cause == Failure {
			format = "%s, by %s"
		}
		problem := because(t.cause, format, strings.Join(shares, ", "), backends(request))
		return mayStart(problem, t.failure, request, s, time.Now())
	case t.nameless != nil && tooFew:
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("%d in %d requests, which need not have met %s", t.nameless.Status, t.sent, smallest(request))}
	case t.nameless != nil:
		return holds("%s in %d requests", saidOf(t.nameless), t.sent)
	case missing >= 0 && !request.Weighted:
		return because(PodMissing, "%s: only %d of %d pods answered %d requests", backends(request), len(t.pods), pods, t.sent)
	case missing >= 0 && tooFew:
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("%s was not seen in %d requests", smallest(request), t.sent)}
	case missing >= 0:
		return because(PodMissing, "%s answered none of %d requests", request.Backends[missing], t.sent)
	}
	return holds("%s: %d of %d pods in %d requests", backends(request), len(t.pods), pods, t.sent)
}

// smallest names the Service with the smallest weight, and that.
func smallest(request gateway.Request) string {
	sum, at := int32(0), 0
	for i, weight := range request.Weights {
		sum += weight
		if weight < request.Weights[at] {
			at = i
		}
	}
	return fmt.Sprintf("weight %d of %d, of %s,", request.Weights[at], sum, request.Backends[at])
}

// podsOf returns the names of the ready pods of each of a rule's Services; known is false where some endpoint of theirs is no pod.
func (s *Snapshot) podsOf(request gateway.Request) (pods [][]string, known bool) {
	known = true
	for _, backend := range request.Backends {
		behind := s.behind(backend)
		known = known && behind.others == 0 && !behind.unread
		pods = append(pods, behind.ready)
	}
	return pods, known
}

// whyUnknown says why podsOf does not know the pods of a request's Services.
func (s *Snapshot) whyUnknown(request gateway.Request) string {
	if slices.ContainsFunc(request.Backends, func(backend gateway.Backend) bool { return s.behind(backend).unread }) {
		return "its pods cannot be read"
	}
	return "not all of its endpoints are pods"
}

// reached is the finding of a request that was answered by nobody knows whom.
func (t trial) reached(answer *probe.Answer) check.Finding {
	if t.Unfamiliar {
		return holds("reached a backend: %s (which one, and whether %s answered in its place, is not known)", looksOf(answer), t.Name)
	}
	return holds("%s", saidOf(answer))
}

// saidOf says of an answer what does not tell which pod it is from.
func saidOf(answer *probe.Answer) string {
	said := looksOf(answer)
	switch {
	case answer.GRPC():
		return said
	case answer.Status >= 400:
		said += ", the application's own"
	}
	return "answered: " + said
}

// looksOf are an answer's status and content type, or its status of gRPC.
func looksOf(answer *probe.Answer) string {
	if code, ok := answer.GRPCStatus(); ok && answer.Status == http.StatusOK {
		return statusOfCall(code) + " from a server of gRPC"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", answer.Status, answer.Header.Get("Content-Type")))
}

// podIn is the hostname of the pod that an answer is from, empty where it does not say: only one that repeats the whole request does.
func (s *Snapshot) podIn(answer *probe.Answer) string {
	if answer == nil {
		return ""
	}
	echo := answer.Echo()
	switch {
	case echo == nil:
		return ""
	case echo.Namespace != "":
		s.once.Do(s.readServices)
		return cmp.Or(s.hostnames[echo.Namespace+"/"+echo.Pod], echo.Pod)
	}
	return echo.Pod
}
