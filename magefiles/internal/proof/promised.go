package proof

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/probe"
)

// lacking adds to what was found of a request what the implementation lacks of what its rule uses: as the cause, where that explains why the
// request fails, else as a warning. answer is the one to the first request, nil where there was none.
func (t trial) lacking(answer *probe.Answer, finding check.Finding) check.Finding {
	for _, lack := range t.Lacking(t.request.Uses, t.Supported(t.s.Classes)) {
		refuses := lack.Outcome == implementation.Refused || lack.Outcome == implementation.Optional
		switch {
		case finding.Fails() && t.request.Taker == nil && (refuses && answer != nil && t.Refuses(answer) ||
			lack.Outcome == implementation.Unmet && (finding.Cause == NoRoute || finding.Cause == WrongPod)):
			return check.Finding{Verdict: check.Broken, Cause: Unsupported, Remedy: lack.Remedy,
				Found: fmt.Sprintf("%s, rule %d: %s", t.request.Route, t.request.Rule+1, lack.Says)}
		case finding.Fails() || strings.Contains(finding.Found, lack.Says):
		case lack.Outcome == implementation.Optional:
			finding.Found += fmt.Sprintf("; what %s does cannot be seen", lack.Use)
		default:
			finding.Found += "; " + lack.Says
			if finding.Verdict == check.Holds {
				finding.Verdict = check.Warns
			}
		}
	}
	return finding
}

// filtered goes on with a request that the right backend has answered: with what the rule's filters made of it, where the application repeats
// what it got, and of the answer. What cannot be seen is said.
func filtered(request gateway.Request, answer *probe.Answer, finding check.Finding) check.Finding {
	f := request.Filters
	if f == nil || finding.Verdict != check.Holds || request.Redirect != nil {
		return finding
	}
	if answer.URL != request.URL() { // which another rule may have answered
		finding.Found += "; what the rule's filters do cannot be seen, as the application redirects to " + answer.URL
		return finding
	}
	differs, seen := f.AnswerDiffers(answer.Header), []string{f.OnAnswer()}
	echo := answer.Echo()
	hidden := f.OnRequest() != "" && echo == nil
	if f.OnRequest() != "" && !hidden {
		differs = cmp.Or(f.RequestDiffers(request, gateway.Arrival{Path: echo.Path, Host: echo.Host, Header: echo.Header}), differs)
		seen = append(seen, f.OnRequest())
	}
	if differs != "" {
		return because(Filtered, "%s", differs)
	}
	if seen = slices.DeleteFunc(seen, func(name string) bool { return name == "" }); len(seen) > 0 {
		finding.Found += fmt.Sprintf("; %s as the rule says", strings.Join(seen, " and "))
		if unseen := f.Unseen(request); len(unseen) > 0 && !hidden {
			finding.Found += ", but what becomes of " + strings.Join(unseen, ", ") + " cannot be seen"
		}
	}
	if hidden {
		finding.Found += fmt.Sprintf("; what %s made of the request cannot be seen", f.OnRequest())
	}
	return finding
}

// mostRedirects bounds those that are followed from one request.
const mostRedirects = 5

// follow goes on from where a rule redirects to, as a browser would, through the redirects of other rules. It is broken where that leads back
// to where it has been, and warns where nothing here serves what it leads to.
func (t trial) follow(ctx context.Context, location string) check.Finding {
	found := fmt.Sprintf("redirected with %d to %s", t.request.Redirect.Status, location)
	warns := func(format string, args ...any) check.Finding {
		return check.Finding{Verdict: check.Warns, Found: found + "; " + fmt.Sprintf(format, args...)}
	}
	been, table, warning := []string{t.request.URL()}, t.table(t.s), ""
	for at := t.request; len(been) <= mostRedirects; {
		to, named, reached := t.target(at, location)
		if reached && named != to.Port && !t.Careful {
			warning = cmp.Or(warning, fmt.Sprintf("port %d is not published here: what it stands for is at port %d; set %s=%d, or write port: %[2]d into the redirect",
				named, to.Port, map[string]string{"http": "KINDGATE_HTTP_PORT", "https": "KINDGATE_HTTPS_PORT"}[to.Scheme], named))
		}
		switch {
		case !hosts.Reserved(to.Host) && !table.Serves(to.Host):
			return holds("%s, which is not among the hosts here", found)
		case !reached:
			return warns("no port of this machine leads to that of %s", to.URL())
		case to.URL() == been[len(been)-1] && len(been) == 1:
			return because(RedirectLoop, "%s: it redirects to itself", found)
		case to.URL() == been[len(been)-1]:
			return because(RedirectLoop, "%s, and so to %s, which redirects to itself", found, to.URL())
		case slices.Contains(been, to.URL()):
			return because(RedirectLoop, "%s, and in a circle: %s", found, strings.Join(append(been, to.URL()), " → "))
		}
		winner := table.Takes(to)
		switch {
		case winner == nil:
			return warns("no route here serves %s", to.URL())
		case winner.Taking(to).Redirect == nil:
			if there := t.atTarget(ctx, winner.Taking(to)); there.Fails() {
				return check.Finding{Verdict: there.Verdict, Cause: WrongAnswer, Found: found + "; there: " + there.Found}
			}
			if warning != "" {
				return warns("%s", warning)
			}
			return holds("%s", found)
		}
		answer, err := t.Prober.Get(ctx, to.Method, to.URL(), to.Header, false)
		if err != nil {
			return warns("%s: %s", to.URL(), unanswered(err).Found)
		}
		been, at, location = append(been, to.URL()), to, answer.Header.Get("Location")
		if _, err := url.Parse(location); err != nil || location == "" {
			return holds("%s", found) // what is wrong there, its own proof says
		}
	}
	return warns("that leads through more than %d redirects", mostRedirects)
}

// atTarget asks once for what a redirect leads to. Where the cluster is somebody's, or the request may change something, that is not asked for.
func (t trial) atTarget(ctx context.Context, target gateway.Request) check.Finding {
	at := trial{t.Proof, target, t.s}
	if at.once() || target.Unproven != "" {
		return check.Finding{Verdict: check.Unknown}
	}
	answer, problem := at.ask(ctx)
	if problem.Fails() {
		problem = mayStart(problem, answer, target, t.s, time.Now())
	}
	return at.certified(answer, problem)
}

// target returns the request to which a header Location leads from another, the port that it names, and false where no port of this machine leads
// there. The usual port of a scheme is that of the node which leads to the entry point: this machine's may be another.
func (t trial) target(from gateway.Request, location string) (to gateway.Request, named int, reached bool) {
	base, _ := url.Parse(from.URL())
	u, err := base.Parse(location)
	if err != nil {
		return from, 0, false
	}
	to = gateway.Request{Scheme: u.Scheme, Method: from.Method, Host: u.Hostname(), Path: gateway.PathOf(u), Query: map[string]string{}, Header: from.Header}
	if to.Path == "" {
		to.Path = "/"
	}
	for name, values := range u.Query() {
		to.Query[name] = values[0]
	}
	port := u.Port()
	if port == "" {
		port = gateway.DefaultPort(u.Scheme)
	}
	named, _ = strconv.Atoi(port)
	to.Port = named
	for _, usual := range []bool{false, true} {
		for _, p := range t.ports(t.known(t.s)) {
			if !usual && port == strconv.Itoa(p.here) || usual && port == strconv.Itoa(int(p.usual)) {
				to.Listener, to.Port = p.listener, p.here
				return to, named, true
			}
		}
	}
	return to, named, false
}
