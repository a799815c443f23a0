package proof

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

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

// certified adds to what was found of a request over TLS that the certificate is for another name. A route that takes every name has none to
// ask for.
func certified(request gateway.Request, answer *probe.Answer, finding check.Finding) check.Finding {
	if answer == nil || answer.Certificate == nil || finding.Fails() || gateway.AnyHost(request.Host) || answer.Certificate.VerifyHostname(request.Host) == nil {
		return finding
	}
	names := cmp.Or(strings.Join(answer.Certificate.DNSNames, ", "), answer.Certificate.Subject.CommonName, "no name")
	finding.Found += fmt.Sprintf("; the certificate is for %s, and not for %s, so that clients refuse it", names, request.Host)
	if finding.Verdict == check.Holds {
		finding.Verdict = check.Warns
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
	been, table := []string{t.request.URL()}, t.table(t.s)
	for at := t.request; len(been) <= mostRedirects; {
		to, reached := t.target(at, location)
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
			return holds("%s", found)
		}
		answer, err := t.Prober.Get(ctx, to.Method, to.URL(), to.Header, false)
		if err != nil {
			return warns("%s gives no answer: %v", to.URL(), err)
		}
		been, at, location = append(been, to.URL()), to, answer.Header.Get("Location")
		if _, err := url.Parse(location); err != nil || location == "" {
			return holds("%s", found) // what is wrong there, its own proof says
		}
	}
	return warns("that leads through more than %d redirects", mostRedirects)
}

// target returns the request to which a header Location leads from another, and false where no port of this machine leads there. The usual
// port of a scheme is that of the node which leads to the entry point: this machine's may be another.
func (t trial) target(from gateway.Request, location string) (gateway.Request, bool) {
	base, _ := url.Parse(from.URL())
	u, err := base.Parse(location)
	if err != nil {
		return from, false
	}
	to := gateway.Request{Scheme: u.Scheme, Method: from.Method, Host: u.Hostname(), Path: u.Path, Query: map[string]string{}, Header: from.Header}
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
	to.Port, _ = strconv.Atoi(port)
	for _, usual := range []bool{false, true} {
		for _, p := range t.ports(t.known(t.s)) {
			if !usual && port == strconv.Itoa(p.here) || usual && port == strconv.Itoa(int(p.usual)) {
				to.Listener, to.Port = p.listener, p.here
				return to, true
			}
		}
	}
	return to, false
}
