package demo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/ui"
)

// awaitServed returns when every condition holds and every request is answered as it should be, or when something that is wrong stays so.
func (d *Demo) awaitServed(step *ui.Step) error {
	client, err := d.kube()
	if err != nil {
		return err
	}
	for _, kind := range []schema.GroupVersionKind{classKind, gatewayKind, routeKind} {
		if err := d.awaitConditions(client, kind, step); err != nil {
			return err
		}
	}
	return d.awaitAnswers(step)
}

// awaitConditions watches the objects of a kind until all conditions hold, or until one that is wrong has been so for long enough.
func (d *Demo) awaitConditions(client *kube.Client, kind schema.GroupVersionKind, step *ui.Step) error {
	s, err := d.readState(d.run)
	if err != nil {
		return err
	}
	var bad time.Time // since when a condition is wrong, not just missing
	return client.Until(d.run, kind, "", func(objects []*unstructured.Unstructured) (string, bool, error) {
		if err := s.replace(kind, objects); err != nil {
			return "", false, err
		}
		var problems []string
		definite := false
		for _, c := range d.conditionChecks(s) {
			if !strings.HasPrefix(c.what, kind.Kind+"/") {
				continue
			}
			if finding := c.judge(); !finding.OK {
				problems = append(problems, c.what+": "+finding.Message)
				definite = definite || !finding.Pending
			}
		}
		switch {
		case len(problems) == 0:
			return "", true, nil
		case !definite:
			bad = time.Time{}
		case bad.IsZero():
			bad = time.Now()
		case time.Since(bad) >= patience:
			return "", false, errors.New(strings.Join(problems, "\n"))
		}
		step.Report(waitingFor(problems))
		return strings.Join(problems, "\n"), false, nil
	})
}

func waitingFor(problems []string) string {
	if more := len(problems) - 1; more > 0 {
		return fmt.Sprintf("waiting for %s (and %d more)", problems[0], more)
	}
	return "waiting for " + problems[0]
}

// awaitAnswers returns when every request is answered as it should be: Traefik serves a route some time after it has accepted it, and
// tells nobody when.
func (d *Demo) awaitAnswers(step *ui.Step) error {
	giveUp := func(r round, waited time.Duration) bool { return waited > servedWithin && !r.pending() }
	last, err := d.settle(giveUp, step, func(s *state) []check { return d.requestChecks(d.run, s) })
	if problems := last.problems(); err == nil && len(problems) > 0 {
		err = fmt.Errorf("%s\nmage verify names the hop that is broken", strings.Join(problems, "\n"))
	}
	return err
}

// servedWithin is how long Traefik may take to serve routes it has accepted, and a changed Service's pods to take requests.
const servedWithin = 30 * time.Second

// pending tells whether all that does not hold may still come.
func (r round) pending() bool {
	return !slices.ContainsFunc(r.findings, func(finding gateway.Finding) bool { return !finding.OK && !finding.Pending })
}

// settling is how long verify lets a change settle that is under way while it looks.
const settling = 2 * time.Second

// A round is what was found of checks, in their order, and the state they were about.
type round struct {
	state    *state
	checks   []check
	findings []gateway.Finding
}

func (r round) problems() []string {
	var problems []string
	for i, finding := range r.findings {
		if !finding.OK {
			problems = append(problems, r.checks[i].what+": "+finding.Message)
		}
	}
	return problems
}

// settle judges checks until all hold in one round: what a change that is under way disturbs, such as pods that make room for others,
// is well again within seconds. Between such rounds only those are repeated that did not hold. What does not hold when giveUp says so, from
// the second round on, stays as it was found last.
func (d *Demo) settle(giveUp func(last round, waited time.Duration) bool, step *ui.Step, checks func(*state) []check) (round, error) {
	started := time.Now()
	held := map[string]gateway.Finding{}
	pause := 20 * time.Millisecond
	for n := 1; ; n++ {
		s, err := d.readState(d.run)
		if err != nil {
			return round{}, err
		}
		whole := len(held) == 0
		r := round{state: s, checks: checks(s)}
		r.findings = judgeAll(r.checks, held)
		problems := r.problems()
		switch {
		case len(problems) == 0 && whole:
			return r, nil
		case len(problems) == 0:
			clear(held)
			continue
		case n > 1 && giveUp(r, time.Since(started)):
			return r, nil
		}
		for i, finding := range r.findings {
			if finding.OK {
				held[r.checks[i].what] = finding
			}
		}
		step.Report(waitingFor(problems))
		select {
		case <-time.After(pause):
		case <-d.run.Done():
			return r, fmt.Errorf("%w: %s", context.Cause(d.run), strings.Join(problems, "\n"))
		}
		pause = min(2*pause, 250*time.Millisecond)
	}
}

// judgeAll judges checks side by side, and returns the findings in their order. Those that held is told of are taken from there.
func judgeAll(checks []check, held map[string]gateway.Finding) []gateway.Finding {
	findings := make([]gateway.Finding, len(checks))
	var judging errgroup.Group
	judging.SetLimit(16)
	for i, c := range checks {
		judging.Go(func() error {
			finding, ok := held[c.what]
			if !ok {
				finding = c.judge()
			}
			findings[i] = finding
			return nil
		})
	}
	_ = judging.Wait()
	return findings
}

// Verify checks what is there, and changes nothing: the conditions, then real requests. Its error says how many checks failed; each is
// printed with what was found and what to look at.
func (d *Demo) Verify(ctx context.Context) error {
	step := d.ui.Begin("verify")
	failed, total, err := d.verify(step)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed", failed, total)
	}
	err = d.failed("verify", step.Phase(), err)
	step.End("passed", fmt.Sprintf("%d checks", total), err)
	return err
}

func (d *Demo) verify(step *ui.Step) (failed, total int, err error) {
	if err := d.lookAtCluster(); err != nil {
		return 0, 0, err
	}
	step.Report("checking conditions and sending requests")
	giveUp := func(_ round, waited time.Duration) bool { return waited > settling }
	last, err := d.settle(giveUp, step, func(s *state) []check {
		return append(d.conditionChecks(s), d.requestChecks(d.run, s)...)
	})
	if err != nil {
		return 0, 0, err
	}
	checks := last.checks
	d.distrust(checks, last.findings)
	walk := &walk{d: d, state: last.state, found: map[string]gateway.Finding{}}
	said := map[string]bool{}
	for i, finding := range last.findings {
		level, hint := ui.OK, ""
		if request := checks[i].request; request != nil && request.Unproven != "" {
			level = ui.Warning
		}
		if !finding.OK {
			level, hint = ui.Error, d.hint(checks[i], finding, walk)
			failed++
			if said[hint] {
				hint = "as above"
			}
			said[hint] = true
		}
		d.ui.Check(level, checks[i].what, finding.Message, hint)
	}
	d.warnOfNames()
	return failed, len(checks), nil
}

// distrust takes back what was found of requests when the control was answered by somebody else: then they were too.
func (d *Demo) distrust(checks []check, findings []gateway.Finding) {
	last := len(checks) - 1
	if last < 0 || checks[last].request == nil || checks[last].request.Route != "" || findings[last].OK {
		return
	}
	if problem, ok := d.findPort(d.run, d.config.HTTPPort); !ok {
		for i := range checks {
			if checks[i].request != nil {
				findings[i] = gateway.Finding{Message: problem}
			}
		}
	}
}

// hint says about a failed check what to look at; for a request, which hop on its way is broken.
func (d *Demo) hint(c check, finding gateway.Finding, w *walk) string {
	if c.request != nil {
		return w.firstBroken(d.run, *c.request, finding)
	}
	return "look at: " + d.lookAt(c.what)
}

// warnOfNames tells of hostnames that a browser would not find: the first hop of its requests. It is no failure, and no reason to stop at
// it: verify's own requests need no name.
func (d *Demo) warnOfNames() {
	names, _ := d.names() // what is wrong with the hosts file is for hosts to say
	missing := slices.DeleteFunc(names, hosts.Name.Here)
	if len(missing) == 0 {
		return
	}
	first := missing[0].Name
	look := "getent hosts " + first
	if runtime.GOOS != "linux" {
		look = "ping " + first
	}
	name := hop{name: "the name", expected: first + " leads to this machine", look: look + "; " + d.nameRemedy(missing[0])}
	found := "the system's resolver does not lead there (verify did without it)"
	hint := "A browser stops at the first hop: " + name.lines(found)
	shown := []string{first}
	for _, other := range missing[1:min(3, len(missing))] {
		shown = append(shown, other.Name)
		hint += fmt.Sprintf("\n  and for %s: %s", other.Name, d.nameRemedy(other))
	}
	if more := len(missing) - len(shown); more > 0 {
		hint += fmt.Sprintf("\n  and %d more: go tool mage doctor", more)
	}
	d.ui.Check(ui.Warning, "names", strings.Join(shown, ", "), hint)
}

// lookAtCluster connects to the cluster as it is; one that is not up is an error.
func (d *Demo) lookAtCluster() error {
	d.cluster.Attach(d.run)
	_, err := d.kube()
	return err
}

// lookAt is the command that shows more of an object, or of Traefik for a request.
func (d *Demo) lookAt(what string) string {
	parts := strings.Split(what, "/")
	switch {
	case strings.Contains(what, "://"):
		return d.kubectl("logs -n %s daemonset/%s", namespace, release)
	case len(parts) == 3:
		return d.kubectl("describe %s -n %s %s", strings.ToLower(parts[0]), parts[1], parts[2])
	}
	return d.kubectl("describe %s %s", strings.ToLower(parts[0]), parts[len(parts)-1])
}
