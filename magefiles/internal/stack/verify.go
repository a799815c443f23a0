package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/ui"
)

// A verification proves the routes: routes waits until they hold, verify says what does not.
type verification struct {
	*session
	names *hostNames
}

// Await returns when every route is accepted and its requests are answered as they should be. What is not, it prints as Verify does.
func (v *verification) Await(ctx context.Context) error {
	return v.run.Step("routes", func(step *ui.Step) (result.Result, string, error) {
		if err := v.awaitAccepted(ctx, step.Report); err != nil {
			return "", "", err
		}
		found, err := v.proveCluster(ctx, true, proof.ServedInTime(v.ui.Took()), step.Report)
		if err != nil {
			return "", "", err
		}
		if found.Failed() > 0 {
			defer found.of.close()
			return "", "", v.say(ctx, found)
		}
		v.proven = &found
		return "", "", nil
	})
}

// Verify checks what is there, and changes nothing: the conditions, then real requests. Its error says how many checks failed; each is
// printed with what was found and what to look at.
func (v *verification) Verify(ctx context.Context) error {
	return v.prove(func(step *ui.Step) (int, error) {
		if v.config.BundleFile != "" {
			return v.verifyBundle(ctx)
		}
		return v.proveAndSay(ctx, nil, false, step.Report)
	})
}

// VerifyManifests is Verify of what the manifests have, whatever else is on the cluster of a context. What Await has proven is not asked again.
func (v *verification) VerifyManifests(ctx context.Context) error {
	return v.prove(func(step *ui.Step) (int, error) {
		return v.proveAndSay(ctx, v.proven, true, step.Report)
	})
}

// proveAndSay prints what was found, and returns how many checks that were. It finds it out where found is nil.
func (v *verification) proveAndSay(ctx context.Context, found *verified, own bool, report func(string)) (int, error) {
	if found == nil {
		fresh, err := v.proveCluster(ctx, own, proof.SettlesSoon, report)
		if err != nil {
			return 0, err
		}
		found = &fresh
	}
	defer found.of.close()
	return len(found.Results), v.say(ctx, *found)
}

// prove runs the step verify, whose work returns how many checks there were.
func (v *verification) prove(work func(*ui.Step) (int, error)) error {
	return v.run.Step("verify", func(step *ui.Step) (result.Result, string, error) {
		total, err := work(step)
		return "passed", count(total, "check"), err
	})
}

// verified is what was found of a survey.
type verified struct {
	proof.Found
	of survey
}

// proveCluster finds out what holds on the cluster, of what the manifests have alone where own.
func (v *verification) proveCluster(ctx context.Context, own bool, giveUp func(proof.Round, time.Duration) bool, report func(string)) (verified, error) {
	of, err := v.survey(ctx, own)
	if err != nil {
		return verified{}, err
	}
	v.sayExisting(of)
	v.sayPlan(of)
	report("checking conditions and sending requests")
	found, err := proof.Verify(ctx, of.conditions, of.requests, of.take, giveUp, report)
	if err != nil {
		of.close()
		if found.Snapshot != nil {
			v.draw(of, found)
		}
	}
	return verified{found, of}, err
}

// awaitAccepted returns when every condition holds, or when one that is wrong stays so.
func (v *verification) awaitAccepted(ctx context.Context, report func(string)) error {
	client, err := v.kube()
	if err != nil {
		return err
	}
	s, err := proof.Take(ctx, client)
	if err != nil {
		return err
	}
	for _, kind := range []schema.GroupVersionKind{proof.ClassKind, proof.GatewayKind, proof.HTTPRouteKind, proof.GRPCRouteKind} {
		if err := v.awaitConditions(ctx, client, s, kind, report); err != nil {
			return err
		}
	}
	return nil
}

// awaitConditions returns when all conditions of the objects of a kind hold in a snapshot. Until then it watches them, and keeps the snapshot as
// they are. Its error is one that has been wrong for long enough.
func (v *verification) awaitConditions(ctx context.Context, client *kube.Client, s *proof.Snapshot, kind schema.GroupVersionKind, report func(string)) error {
	judge := func() proof.Round {
		round := proof.Round{Promises: slices.DeleteFunc(v.proof.Conditions(s), func(p proof.Promise) bool { return p.ID.Kind != kind.Kind })}
		round.Findings = proof.JudgeAll(ctx, round.Promises, nil)
		return round
	}
	if len(judge().Problems()) == 0 {
		return nil
	}
	var bad time.Time // since when a condition is wrong, not just missing
	return client.Until(ctx, kind, "", func(objects []*unstructured.Unstructured) (string, bool, error) {
		if err := s.Replace(kind, objects); err != nil {
			return "", false, err
		}
		round := judge()
		problems := round.Problems()
		switch {
		case len(problems) == 0:
			return "", true, nil
		case round.Pending():
			bad = time.Time{}
		case bad.IsZero():
			bad = time.Now()
		case time.Since(bad) >= limits.BadSign:
			return "", false, errors.New(strings.Join(problems, "\n"))
		}
		report(proof.WaitingFor(problems))
		return strings.Join(problems, "\n"), false, nil
	})
}

func (v *verification) snapshot(ctx context.Context) (*proof.Snapshot, error) {
	client, err := v.kube()
	if err != nil {
		return nil, err
	}
	return proof.Take(ctx, client)
}

// mostLines is from how many checks on a summary stands for those that do not fail. JSON has them all.
const mostLines = 100

func (v *verification) draw(of survey, found proof.Found) {
	findings := make(map[check.ID]check.Finding, len(found.Results))
	promises := make([]proof.Promise, len(found.Results))
	for i, r := range found.Results {
		promises[i], findings[r.ID] = r.Promise, r.Finding
	}
	v.drawn = &drawing.Drawing{}
	of.conditions.Draw(v.drawn, found.Snapshot, promises, func(p proof.Promise) check.Finding { return findings[p.ID] })
}

// say prints what was found, and draws it. Its error says how many checks failed.
func (v *verification) say(ctx context.Context, p verified) error {
	v.draw(p.of, p.Found)
	said := map[string]bool{}
	shown := summary{whole: len(p.Results) <= mostLines || v.config.Output == "json"}
	for _, r := range p.Results {
		c := ui.Check{What: r.String(), Finding: r.Finding, At: source(p.of.conditions.Objects, subject(r))}
		if r.Fails() {
			c.Hint = hintOf(r)
			c.Above, said[c.Hint] = said[c.Hint], true
		}
		v.ui.Keep(c)
		if r.Fails() || shown.shows(r.ID.Kind, r.Finding) {
			v.ui.Show(c)
		}
	}
	for _, more := range shown.rest() {
		v.ui.Show(ui.Check{What: more.ID.Kind, Finding: more.Finding})
	}
	switch {
	case v.config.Context == "":
		v.warnOfNames(ctx)
	case len(p.Results) == 0:
		return fmt.Errorf("there is nothing to verify: context %s has no Gateway and no route%s", v.config.Context, within(v.config.namespaces()))
	}
	return failedOf(p.Failed(), len(p.Results))
}

// failedOf is the error of checks some of which failed; nil where none did.
func failedOf(failed, total int) error {
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s failed", failed, count(total, "check"))
}

// within says in which namespaces something is; empty for all.
func within(namespaces []string) string {
	if len(namespaces) == 0 {
		return ""
	}
	return " in namespaces " + strings.Join(namespaces, ", ")
}

// A summary counts, by the kinds of what they are about, the findings that are not shown one by one: where there are many, those that hold, and
// all but the first of those that warn.
type summary struct {
	whole           bool // each is shown
	warned          int
	held, uncertain map[string]int
}

// mostWarnings is how many of many findings that warn are shown one by one.
const mostWarnings = 20

// shows tells whether a finding that does not fail is shown, and counts it otherwise.
func (s *summary) shows(kind string, f check.Finding) bool {
	counts := &s.held
	if f.Verdict != check.Holds {
		s.warned++
		counts = &s.uncertain
	}
	if s.whole || f.Verdict != check.Holds && s.warned <= mostWarnings {
		return true
	}
	if *counts == nil {
		*counts = map[string]int{}
	}
	(*counts)[kind]++
	return false
}

// rest are a finding for each kind of what was only counted.
func (s *summary) rest() []check.Result {
	var all []check.Result
	for _, of := range []struct {
		counts  map[string]int
		verdict check.Verdict
		says    string
	}{{s.uncertain, check.Warns, " more warned, or not known: KINDGATE_OUTPUT=json has each"}, {s.held, check.Holds, " passed"}} {
		for _, kind := range slices.Sorted(maps.Keys(of.counts)) {
			all = append(all, check.Result{Check: check.Check{ID: check.ID{Kind: kind}},
				Finding: check.Finding{Verdict: of.verdict, Found: count(of.counts[kind], "check") + of.says}})
		}
	}
	return all
}

// hintOf says about a failed promise what to look at; for a request, which hop on its way is broken.
func hintOf(r proof.Result) string {
	switch {
	case r.Hop != nil:
		return "The hop that is broken: " + lines(*r.Hop, r.AtHop.Found) + remedied(cmp.Or(r.AtHop.Remedy, r.Remedy))
	case r.Request != nil:
		return "The hop that is broken is not known: " + r.AtHop.Found + ", before all were looked at."
	}
	return "look at: " + r.Look + remedied(r.Remedy)
}

// remedied is the line of a hint that says what the user can do; empty for nothing.
func remedied(remedy string) string {
	if remedy == "" {
		return ""
	}
	return "\n  remedy:   " + remedy
}

// subject is the object that a promise is about: for a request, its route.
func subject(r proof.Result) check.ID {
	if r.Request != nil {
		return r.Request.Route
	}
	return r.ID
}

// source returns where an object is written, as file:line; empty for one that is not among those given.
func source(objects []kube.Object, id check.ID) string {
	for _, o := range objects {
		if idOf(o) == id {
			return o.Source
		}
	}
	return ""
}

func lines(c check.Check, found string) string {
	return fmt.Sprintf("%s\n  expected: %s\n  found:    %s\n  look at:  %s", c, c.Expect, found, c.Look)
}

// warnOfNames tells of hostnames that a browser would not find: the first hop of its requests. It is no failure, and no reason to stop at
// it: verify's own requests need no name.
func (v *verification) warnOfNames(ctx context.Context) {
	names, _ := v.names.look(ctx) // what is wrong with the hosts file is for hosts to say
	missing := slices.DeleteFunc(names, hosts.Name.Here)
	if len(missing) == 0 {
		return
	}
	first := missing[0].Name
	look := "getent hosts " + first
	if runtime.GOOS != "linux" {
		look = "ping " + first
	}
	name := check.Check{Title: "the name", Expect: first + " leads to this machine", Look: look + "; " + v.names.remedy(missing[0])}
	hint := "A browser stops at the first hop: " + lines(name, "the system's resolver does not lead there (verify did without it)")
	shown := []string{first}
	for _, other := range missing[1:min(3, len(missing))] {
		shown = append(shown, other.Name)
		hint += fmt.Sprintf("\n  and for %s: %s", other.Name, v.names.remedy(other))
	}
	if more := len(missing) - len(shown); more > 0 {
		hint += fmt.Sprintf("\n  and %d more: %s", more, shipped.Command("doctor"))
	}
	v.ui.Check(ui.Check{What: "names", Finding: check.Finding{Verdict: check.Warns, Found: strings.Join(shown, ", ")}, Hint: hint})
}

// Summary ends a successful up: where to go, and what took how long.
func (v *verification) Summary() {
	v.ui.Waterfall()
	if v.config.Context != "" {
		return // where its routes are reached, verify has said
	}
	lines := []string{"", "Open:"}
	for _, request := range v.proof.Planned() {
		if request.Method == "GET" && len(request.Header) == 0 && request.Unproven == "" {
			lines = append(lines, "  "+v.proof.Open(request))
			v.ui.Object(openLine{v.proof.Open(request)})
		}
	}
	if len(lines) > 22 {
		lines = append(lines[:20], fmt.Sprintf("  and %d more: %s", len(lines)-20, shipped.Command("status")))
	}
	v.ui.Print(lines...)
}
