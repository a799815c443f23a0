package proof

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/probe"
)

// Why a request is not answered as it should be.
const (
	// NoAnswer: nothing came back.
	NoAnswer check.Cause = "no-answer"
	// NoRoute: the implementation has no route for it.
	NoRoute check.Cause = "no-route"
	// ServerError: the implementation answers with a 5xx in the place of the backend.
	ServerError check.Cause = "server-error"
	// Failure: the backend itself answers with a 5xx.
	Failure check.Cause = "failure"
	// WrongAnswer: an answer other than the rule's backend, redirect or page would give.
	WrongAnswer check.Cause = "wrong-answer"
	// WrongPod: a pod answered that is none of the backends'.
	WrongPod check.Cause = "wrong-pod"
	// Precedence: another route's pod answered, which the implementation gives precedence, where the specification gives it to this one.
	Precedence check.Cause = "precedence"
	// Unsupported: the rule uses a feature that the implementation does not have.
	Unsupported check.Cause = "unsupported"
	// Filtered: what reached the backend, or came back, is not what the rule's filters make of it.
	Filtered check.Cause = "filtered"
	// RedirectLoop: redirects lead back to where they began.
	RedirectLoop check.Cause = "redirect-loop"
	// PodMissing: a backend has no ready pod, or one of its pods does not answer.
	PodMissing check.Cause = "pod-missing"
	// NotLed: the node's port does not lead to the pod that is to answer there.
	NotLed check.Cause = "not-led"
	// Uncertified: the listener does not present a certificate that clients take for the name.
	Uncertified check.Cause = "certificate"
	// Stranger: something else than the implementation answers.
	Stranger check.Cause = "stranger"
)

func because(cause check.Cause, format string, args ...any) check.Finding {
	return check.Finding{Verdict: check.Broken, Cause: cause, Found: fmt.Sprintf(format, args...)}
}

// A trial is the proof of one request, about a snapshot.
type trial struct {
	*Proof
	request gateway.Request
	s       *Snapshot
}

// prove sends the request and judges who answers it, and whether it comes to what its rule promises.
func (t trial) prove(ctx context.Context) check.Finding {
	if t.request.Unproven != "" {
		return t.lacking(nil, check.Finding{Verdict: check.Unknown, Found: "not proven: " + t.request.Unproven})
	}
	answer, problem := t.ask(ctx)
	if answer != nil && t.s.podIn(answer) == "" && !t.Own(answer) && !recognised(ctx, t) {
		t.Proof = unrecognised(t)
		problem = t.problem(answer)
	}
	first := answer
	t, answer = t.named(ctx, answer)
	finding := t.certified(first, t.lacking(answer, filtered(t.request, answer, t.judge(ctx, answer, problem))))
	if t.request.Status > 0 && finding.Verdict != check.Unknown && !finding.Fails() {
		finding.Found += fmt.Sprintf("; %d, as %s expects", t.request.Status, gateway.ProbeAnnotation)
	}
	return finding
}

// judge says whether the answer to a request is one of its rule's backend or redirect. problem is what ask found.
func (t trial) judge(ctx context.Context, answer *probe.Answer, problem check.Finding) check.Finding {
	switch {
	case problem.Verdict == check.Unknown || problem.Found != "" && !problem.Fails():
		return problem
	case problem.Fails() && (!failed(problem) || len(t.request.Backends) < 2):
		return mayStart(problem, answer, t.request, t.s, time.Now())
	case t.request.Redirect != nil:
		if finding := redirected(t.request, answer); finding.Fails() {
			return finding
		}
		return t.follow(ctx, answer.Header.Get("Location"))
	case t.request.Taker != nil && isCall(t.request.Taker.Route) && !t.request.GRPC() && answer.GRPC():
		return because(Precedence, "%s, as %s takes the request: %s", looksOf(answer), t.request.Taker, t.request.Taker.Why)
	case t.s.podIn(answer) == "" && t.request.Taker != nil:
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("%d, and whose answer that is cannot be seen: %s may have taken the request, as %s",
			answer.Status, t.request.Taker, t.request.Taker.Why)}
	case dead(t.s, t.request, answer) != nil:
		return because(PodMissing, "%s has no ready pod, and yet a share of the requests", dead(t.s, t.request, answer))
	case len(t.request.Backends) > 1:
		return t.proveShares(ctx, answer, problem)
	case t.s.podIn(answer) == "":
		return t.reached(answer)
	}
	return t.provePods(ctx, answer)
}

// dead returns one of a rule's several Services that has no endpoint, nil where none is known to have none: an answer to one request does
// not show it. Where the answer names a pod, all Services are taken to have pods.
func dead(s *Snapshot, request gateway.Request, answer *probe.Answer) *gateway.Backend {
	for i := range request.Backends {
		behind := s.behind(request.Backends[i])
		if len(request.Backends) > 1 && !behind.unread && (behind.listed || s.podIn(answer) != "") && len(behind.ready)+behind.others == 0 {
			return &request.Backends[i]
		}
	}
	return nil
}

// redirected judges the answer to a request that the rule redirects.
func redirected(request gateway.Request, answer *probe.Answer) check.Finding {
	location := answer.Header.Get("Location")
	if location == "" {
		return because(WrongAnswer, "%d %s instead of a redirect with %d", answer.Status, http.StatusText(answer.Status), request.Redirect.Status)
	}
	if answer.Status != request.Redirect.Status {
		return because(WrongAnswer, "redirected with %d to %s, expected %d", answer.Status, location, request.Redirect.Status)
	}
	if differs := request.Redirect.Differs(request, location); differs != "" {
		return because(WrongAnswer, "redirected with %d to %s, but %s", answer.Status, location, differs)
	}
	return holds("redirected with %d to %s", answer.Status, location)
}

// mayStart makes a request pending that nobody has answered, or only the implementation in the place of the backend, while a pod of the
// backend may still be starting.
func mayStart(problem check.Finding, answer *probe.Answer, request gateway.Request, s *Snapshot, now time.Time) check.Finding {
	if problem.Cause == WrongAnswer || answer != nil && answer.Status <= http.StatusInternalServerError {
		return problem
	}
	for _, backend := range request.Backends {
		if young := s.behind(backend).starting; young != nil && now.Sub(young.since) < limits.PodStart {
			problem.Verdict = check.Pending
			problem.Found += fmt.Sprintf("; Pod/%s has no readiness probe and was started at %s: it may still be starting",
				young.pod, young.since.Local().Format(time.TimeOnly))
			return problem
		}
	}
	return problem
}

// ask sends a request. What it finds beside the answer says why it is not one of the rule's backend, or not the one that the route's annotation
// expects.
func (t trial) ask(ctx context.Context) (*probe.Answer, check.Finding) {
	answer, finding := t.asked(ctx)
	return answer, t.expected(answer, finding)
}

// expected goes on with what was found of an answer, where the route's annotation says which status it must have.
func (t trial) expected(answer *probe.Answer, finding check.Finding) check.Finding {
	own := answer != nil && t.Own(answer)
	switch {
	case t.request.Status == 0 || answer == nil:
	case answer.Status == t.request.Status && finding.Cause == Failure:
		return check.Finding{Verdict: check.Holds}
	case answer.Status == t.request.Status && own && finding.Verdict == check.Unknown && !t.Unfamiliar:
		return holds("%d %s from %s itself, in the place of %s", answer.Status, http.StatusText(answer.Status), t.Name, backends(t.request))
	case answer.Status != t.request.Status && (!finding.Fails() || finding.Cause == Failure):
		return because(WrongAnswer, "%s, where %s expects %d", looksOf(answer), gateway.ProbeAnnotation, t.request.Status)
	case answer.Status == http.StatusSwitchingProtocols && !t.request.AcceptsWebsocket(answer.Header):
		return because(WrongAnswer, "%s, but its Sec-WebSocket-Accept %q is not what the request's key asks for", statusOf(answer), answer.Header.Get("Sec-Websocket-Accept"))
	}
	return finding
}

// once tells whether the request is to be sent no more often than it must be: the cluster is somebody's, or the request may change something.
func (t trial) once() bool { return t.Careful || !t.request.Harmless() }

// asked sends a request, and says why its answer is not one of the rule's backend.
func (t trial) asked(ctx context.Context) (*probe.Answer, check.Finding) {
	header := maps.Clone(t.request.Header)
	maps.Copy(header, t.request.Carries)
	answer, err := t.send(ctx, header)
	switch {
	case errors.Is(err, probe.ErrNoTLS):
		return nil, noTLS(t.request)
	case err != nil:
		return nil, unanswered(err)
	}
	return answer, t.problem(answer)
}

// unanswered is what the error of a request comes to.
func unanswered(err error) check.Finding {
	switch {
	case errors.Is(err, probe.ErrNotSent):
		return check.Finding{Verdict: check.Unknown, Found: err.Error()}
	case errors.As(err, new(*probe.UnreadableError)):
		return because(WrongAnswer, "%v", err)
	}
	return because(NoAnswer, "no answer: %v", err)
}

// problem says why an answer is not one of the rule's backend, as far as it can be seen.
func (t trial) problem(answer *probe.Answer) check.Finding {
	switch {
	case t.request.Redirect != nil:
	case t.Unfamiliar && answer.Status == http.StatusNotFound:
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("404: whether %s has no such route or %s says so is not known", t.Name, backends(t.request))}
	case t.Unfamiliar && answer.Status >= 500 && !t.request.GRPC():
		return because(ServerError, "%d %s from %s, or from %s: whose answer that is is not known", answer.Status, http.StatusText(answer.Status), t.Name, backends(t.request))
	case t.Unrouted(answer):
		return because(NoRoute, "%d from %s: it has no such route", answer.Status, t.Name)
	case answer.Status >= 500 && t.Own(answer):
		return because(ServerError, "%d %s instead of an answer of %s", answer.Status, http.StatusText(answer.Status), backends(t.request))
	case t.request.GRPC():
		return t.called(answer)
	case answer.Status >= 500:
		return because(Failure, "%d %s: an answer of %s, not %s's own", answer.Status, http.StatusText(answer.Status), backends(t.request), t.Name)
	case answer.Status >= 300 && t.Own(answer):
		to := ""
		if location := answer.Header.Get("Location"); location != "" {
			to = " to " + location
		}
		return check.Finding{Verdict: check.Unknown,
			Found: fmt.Sprintf("%d %s%s from %s itself: what %s answers is not known", answer.Status, http.StatusText(answer.Status), to, t.Name, backends(t.request))}
	case t.Page(t.request.Backends) != "" && t.request.Path == "/" && t.request.Status == 0 && t.request.Taker == nil && (answer.Status != http.StatusOK || !answer.HTML()):
		return because(WrongAnswer, "%d %s from %s, expected 200 and the dashboard's page", answer.Status, answer.Header.Get("Content-Type"), answer.URL)
	}
	return check.Finding{Verdict: check.Holds}
}

// failed tells whether the answer to a request was a 5xx.
func failed(f check.Finding) bool { return f.Cause == ServerError || f.Cause == Failure }

// Open returns the address that a person opens: the page's rather than the root, which only leads there.
func (p *Proof) Open(request gateway.Request) string {
	if path := p.Page(request.Backends); path != "" && len(request.Backends) == 1 && request.Path == "/" {
		request.Path = path
	}
	return request.URL()
}

// enoughRequests is how many must do to see every pod of a Service once.
func enoughRequests(pods int) int { return max(20, 2*pods) }

// provePods goes on with an application that says which pod it is, as whoami does: each must be one of the rule's Service's, and all of
// these must be seen. Traefik takes them in turn, so as many requests again show whether it still sends some to a pod that is gone.
func (t trial) provePods(ctx context.Context, answer *probe.Answer) check.Finding {
	pods, known := t.s.podsOf(t.request)
	expected := slices.Concat(pods...)
	switch {
	case !known:
		return holds("%s: answered by %q; %s, so whose name that is is not known", backends(t.request), t.s.podIn(answer), t.s.whyUnknown(t.request))
	case len(expected) == 0:
		return because(PodMissing, "%s has no ready pod, and yet a share of the requests", backends(t.request))
	case !t.passed(answer):
		return t.notPassed()
	case t.once() && slices.Contains(expected, t.s.podIn(answer)):
		return holds("%s: answered by its pod %q, one of %d", backends(t.request), t.s.podIn(answer), len(expected))
	}
	seen := map[string]bool{}
	for sent := 1; ; sent++ {
		pod := t.s.podIn(answer)
		switch {
		case pod == "":
			return holds("%s; not every answer says which pod it is from", saidOf(answer))
		case !slices.Contains(expected, pod):
			return t.wrongPod(pod, expected)
		}
		seen[pod] = true
		switch {
		case len(seen) == len(expected) && sent >= 2*len(expected):
			return holds("%s: %d of %d pods in %d requests", backends(t.request), len(seen), len(expected), sent)
		case sent == enoughRequests(len(expected)):
			return because(PodMissing, "%s: only %d of %d pods answered %d requests", backends(t.request), len(seen), len(expected), sent)
		}
		var problem check.Finding
		if answer, problem = t.ask(ctx); problem.Fails() || answer == nil {
			problem.Found = fmt.Sprintf("%s (request %d)", problem.Found, sent+1)
			return problem
		}
	}
}

// passed tells whether an application that repeats the request's headers got it through a gateway, as far as these are known to be set.
func (t trial) passed(answer *probe.Answer) bool {
	return t.Unfamiliar || slices.ContainsFunc([]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"},
		func(header string) bool { return answer.Echo().Header.Get(header) != "" })
}

func (t trial) notPassed() check.Finding {
	return because(Stranger, "the request arrived without any header X-Forwarded-For, -Host or -Proto: it did not come through %s", t.Name)
}

// wrongPod is the finding about a request that a pod has answered which is none of its rule's: it says whose it is, where a route names it.
func (t trial) wrongPod(pod string, expected []string) check.Finding {
	if taker := t.request.Taker; taker != nil {
		for _, backend := range taker.Backends {
			if slices.Contains(t.s.behind(backend).ready, pod) {
				return because(Precedence, "answered by pod %q of %s, as %s takes the request: %s", pod, backend, taker, taker.Why)
			}
		}
	}
	whose := ""
	has := func(backend gateway.Backend) bool { return slices.Contains(t.s.behind(backend).ready, pod) }
	if other, backend := t.table(t.s).Sending(has); other != nil {
		whose = fmt.Sprintf(" of %s (%s, rule %d)", backend, other.Route, other.Rule+1)
	}
	return because(WrongPod, "answered by pod %q%s, which is none of %s: %s", pod, whose, backends(t.request), strings.Join(expected, ", "))
}

func backends(request gateway.Request) string {
	var names []string
	for _, backend := range request.Backends {
		names = append(names, backend.String())
	}
	if len(names) == 0 {
		return "the rule's backend"
	}
	return strings.Join(names, " or ")
}

// proveItself is the control: a request that no route takes, or where some route takes every host, one that the implementation answers
// before it looks at routes. Another server on the port would answer otherwise.
func (t trial) proveItself(ctx context.Context) check.Finding {
	answer, err := t.Prober.Get(ctx, t.request.Method, t.request.URL(), t.request.Header, false)
	aside := len(t.request.Header) > 0
	switch {
	case err != nil:
		return unanswered(err)
	case aside && t.Pong(answer):
		return holds("%d from %s itself: a route takes every host", answer.Status, t.Name)
	case aside:
		return because(Stranger, "%d where %s answers itself: something else listens on the port", answer.Status, t.Name)
	case t.diverted(t.request, answer):
		return holds("%d from %s itself: its entry point redirects every request to %s", answer.Status, t.Name, answer.Header.Get("Location"))
	case !t.Unrouted(answer):
		return because(Stranger, "%d where %s answers 404 itself: something else listens on the port, or a route nobody knows of takes every host", answer.Status, t.Name)
	}
	return holds("%d from %s, as no route has this host", answer.Status, t.Name)
}

// diverted tells whether an answer is the implementation's own, by which its entry point leads a request to another scheme before it looks at
// routes.
func (p *Proof) diverted(request gateway.Request, answer *probe.Answer) bool {
	to, err := url.Parse(answer.Header.Get("Location"))
	return err == nil && answer.Status/100 == 3 && p.Own(answer) && to.Scheme != "" && to.Scheme != request.Scheme && to.Hostname() == request.Host && gateway.PathOf(to) == request.Path
}
