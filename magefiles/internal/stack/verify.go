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
	"kindgate/magefiles/internal/ui"
)

// A verification proves the routes: routes waits until they hold, verify says what does not.
type verification struct {
	*session
	names *hostNames
}

// Await returns when every route is accepted and its requests are answered as they should be.
func (v *verification) Await(ctx context.Context) error {
	return v.run.Step("routes", func(step *ui.Step) (result.Result, string, error) {
		return "", "", v.awaitServed(ctx, step.Report)
	})
}

// Verify checks what is there, and changes nothing: the conditions, then real requests. Its error says how many checks failed; each is
// printed with what was found and what to look at.
func (v *verification) Verify(ctx context.Context) error { return v.prove(ctx, false) }

// VerifyManifests is Verify of what the manifests have, whatever else is on the cluster of a context.
func (v *verification) VerifyManifests(ctx context.Context) error { return v.prove(ctx, true) }

func (v *verification) prove(ctx context.Context, own bool) error {
	step := v.ui.Begin("verify")
	failed, total := 0, 0
	var err error
	if v.config.BundleFile != "" && !own {
		failed, total, err = v.verifyBundle(ctx)
	} else {
		failed, total, err = v.verifyCluster(ctx, own, step.Report)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %s failed", failed, count(total, "check"))
	}
	err = v.run.Failed("verify", step.Phase(), err)
	step.End("passed", count(total, "check"), err)
	return err
}

func (v *verification) verifyCluster(ctx context.Context, own bool, report func(string)) (failed, total int, err error) {
	of, err := v.survey(ctx, own)
	if err != nil {
		return 0, 0, err
	}
	defer of.close()
	v.sayExisting(of)
	return v.verify(ctx, of, report)
}

// awaitServed returns when every condition holds and every request is answered as it should be, or when something that is wrong stays so.
func (v *verification) awaitServed(ctx context.Context, report func(string)) error {
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
	return v.awaitAnswers(ctx, report)
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

// awaitAnswers returns when every request is answered as it should be: Traefik serves a route some time after it has accepted it, and
// tells nobody when.
func (v *verification) awaitAnswers(ctx context.Context, report func(string)) error {
	giveUp := func(r proof.Round, waited time.Duration) bool {
		return !r.Pending() && (waited > limits.RoutesServed || waited > limits.Settle && r.Final())
	}
	of, err := v.survey(ctx, true)
	if err != nil {
		return err
	}
	defer of.close()
	requests := func(s *proof.Snapshot) (all []proof.Promise) {
		for _, p := range of.requests {
			all = append(all, p.Requests(s)...)
		}
		return all
	}
	last, err := proof.Settle(ctx, of.take, requests, giveUp, report)
	if last.Snapshot != nil { // verify draws more, where the run comes to it
		v.drawn = drawRound(of.conditions, last)
	}
	if problems := last.Problems(); err == nil && len(problems) > 0 {
		err = fmt.Errorf("%s\nmage verify names the hop that is broken", strings.Join(problems, "\n"))
	}
	return err
}

// drawRound draws what a round has found, and the conditions by its snapshot.
func drawRound(p *proof.Proof, r proof.Round) *drawing.Drawing {
	found := make(map[check.ID]check.Finding, len(r.Promises))
	for i, promise := range r.Promises {
		found[promise.ID] = r.Findings[i]
	}
	d := &drawing.Drawing{}
	conditions := p.Conditions(r.Snapshot)
	for i, f := range proof.JudgeAll(context.Background(), conditions, nil) {
		found[conditions[i].ID] = f
	}
	p.Draw(d, r.Snapshot, append(conditions, r.Promises...), func(p proof.Promise) check.Finding { return found[p.ID] })
	return d
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

func (v *verification) verify(ctx context.Context, of survey, report func(string)) (failed, total int, err error) {
	v.sayPlan(of)
	report("checking conditions and sending requests")
	var last *proof.Snapshot
	take := func(ctx context.Context) (s *proof.Snapshot, err error) {
		s, err = of.take(ctx)
		last = cmp.Or(s, last)
		return s, err
	}
	results, err := proof.Verify(ctx, of.conditions, of.requests, take, report)
	if err != nil {
		return 0, 0, err
	}
	found := make(map[check.ID]check.Finding, len(results))
	promises := make([]proof.Promise, len(results))
	for i, r := range results {
		promises[i], found[r.ID] = r.Promise, r.Finding
	}
	v.drawn = &drawing.Drawing{}
	of.conditions.Draw(v.drawn, last, promises, func(p proof.Promise) check.Finding { return found[p.ID] })
	said := map[string]bool{}
	shown := summary{whole: len(results) <= mostLines || v.config.Output == "json"}
	for _, r := range results {
		c := ui.Check{What: r.String(), Finding: r.Finding, At: source(of.conditions.Objects, subject(r))}
		if r.Fails() {
			failed++
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
	case len(results) == 0:
		return 0, 0, fmt.Errorf("there is nothing to verify: context %s has no Gateway and no route%s", v.config.Context, within(v.config.namespaces()))
	}
	return failed, len(results), nil
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
		hint += fmt.Sprintf("\n  and %d more: go tool mage doctor", more)
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
		lines = append(lines[:20], fmt.Sprintf("  and %d more: mage status", len(lines)-20))
	}
	v.ui.Print(lines...)
}
