package demo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/ui"
)

// awaitServed returns when every condition holds and every request is answered as it should be, or when something that is wrong stays so.
func (d *Demo) awaitServed(ctx context.Context, step *ui.Step) error {
	client, err := d.kube()
	if err != nil {
		return err
	}
	for _, kind := range []schema.GroupVersionKind{proof.ClassKind, proof.GatewayKind, proof.RouteKind} {
		if err := d.awaitConditions(ctx, client, kind, step); err != nil {
			return err
		}
	}
	return d.awaitAnswers(ctx, step)
}

// awaitConditions watches the objects of a kind until all conditions hold, or until one that is wrong has been so for long enough.
func (d *Demo) awaitConditions(ctx context.Context, client *kube.Client, kind schema.GroupVersionKind, step *ui.Step) error {
	s, err := proof.Take(ctx, client)
	if err != nil {
		return err
	}
	var bad time.Time // since when a condition is wrong, not just missing
	return client.Until(ctx, kind, "", func(objects []*unstructured.Unstructured) (string, bool, error) {
		if err := s.Replace(kind, objects); err != nil {
			return "", false, err
		}
		round := proof.Round{Promises: slices.DeleteFunc(d.proof.Conditions(s), func(p proof.Promise) bool { return p.ID.Kind != kind.Kind })}
		round.Findings = proof.JudgeAll(ctx, round.Promises, nil)
		problems := round.Problems()
		switch {
		case len(problems) == 0:
			return "", true, nil
		case round.Pending():
			bad = time.Time{}
		case bad.IsZero():
			bad = time.Now()
		case time.Since(bad) >= patience:
			return "", false, errors.New(strings.Join(problems, "\n"))
		}
		step.Report(proof.WaitingFor(problems))
		return strings.Join(problems, "\n"), false, nil
	})
}

// awaitAnswers returns when every request is answered as it should be: Traefik serves a route some time after it has accepted it, and
// tells nobody when.
func (d *Demo) awaitAnswers(ctx context.Context, step *ui.Step) error {
	giveUp := func(r proof.Round, waited time.Duration) bool { return waited > servedWithin && !r.Pending() }
	last, err := proof.Settle(ctx, d.snapshot, d.proof.Requests, giveUp, step.Report)
	if problems := last.Problems(); err == nil && len(problems) > 0 {
		err = fmt.Errorf("%s\nmage verify names the hop that is broken", strings.Join(problems, "\n"))
	}
	return err
}

// servedWithin is how long Traefik may take to serve routes it has accepted, and a changed Service's pods to take requests.
const servedWithin = 30 * time.Second

func (d *Demo) snapshot(ctx context.Context) (*proof.Snapshot, error) {
	client, err := d.kube()
	if err != nil {
		return nil, err
	}
	return proof.Take(ctx, client)
}

// Verify checks what is there, and changes nothing: the conditions, then real requests. Its error says how many checks failed; each is
// printed with what was found and what to look at.
func (d *Demo) Verify(ctx context.Context) error {
	step := d.ui.Begin("verify")
	failed, total, err := d.verify(ctx, step)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %s failed", failed, count(total, "check"))
	}
	err = d.run.Failed("verify", step.Phase(), err)
	step.End("passed", count(total, "check"), err)
	return err
}

func (d *Demo) verify(ctx context.Context, step *ui.Step) (failed, total int, err error) {
	if err := d.lookAtCluster(ctx); err != nil {
		return 0, 0, err
	}
	step.Report("checking conditions and sending requests")
	results, err := d.proof.Verify(ctx, d.snapshot, step.Report)
	if err != nil {
		return 0, 0, err
	}
	said := map[string]bool{}
	for _, r := range results {
		hint := ""
		if r.Fails() {
			failed++
			hint = hintOf(r)
			if said[hint] {
				hint = "as above"
			}
			said[hint] = true
		}
		d.ui.Check(level(r.Finding), r.String(), r.Found, hint)
	}
	d.warnOfNames(ctx)
	return failed, len(results), nil
}

// hintOf says about a failed promise what to look at; for a request, which hop on its way is broken.
func hintOf(r proof.Result) string {
	switch {
	case r.Hop != nil:
		return "The hop that is broken: " + lines(*r.Hop, r.AtHop.Found)
	case r.Request != nil:
		return "The hop that is broken is not known: " + r.AtHop.Found + ", before all were looked at."
	}
	return "look at: " + r.Look
}

func lines(c check.Check, found string) string {
	return fmt.Sprintf("%s\n  expected: %s\n  found:    %s\n  look at:  %s", c, c.Expect, found, c.Look)
}

// level is how serious a finding is for a person.
func level(f check.Finding) ui.Level {
	switch {
	case f.Fails():
		return ui.Error
	case f.Verdict == check.Holds:
		return ui.OK
	}
	return ui.Warning
}

// warnOfNames tells of hostnames that a browser would not find: the first hop of its requests. It is no failure, and no reason to stop at
// it: verify's own requests need no name.
func (d *Demo) warnOfNames(ctx context.Context) {
	names, _ := d.names.look(ctx) // what is wrong with the hosts file is for hosts to say
	missing := slices.DeleteFunc(names, hosts.Name.Here)
	if len(missing) == 0 {
		return
	}
	first := missing[0].Name
	look := "getent hosts " + first
	if runtime.GOOS != "linux" {
		look = "ping " + first
	}
	name := check.Check{Title: "the name", Expect: first + " leads to this machine", Look: look + "; " + d.names.remedy(missing[0])}
	hint := "A browser stops at the first hop: " + lines(name, "the system's resolver does not lead there (verify did without it)")
	shown := []string{first}
	for _, other := range missing[1:min(3, len(missing))] {
		shown = append(shown, other.Name)
		hint += fmt.Sprintf("\n  and for %s: %s", other.Name, d.names.remedy(other))
	}
	if more := len(missing) - len(shown); more > 0 {
		hint += fmt.Sprintf("\n  and %d more: go tool mage doctor", more)
	}
	d.ui.Check(ui.Warning, "names", strings.Join(shown, ", "), hint)
}

// lookAtCluster connects to the cluster as it is; one that is not up is an error.
func (d *Demo) lookAtCluster(ctx context.Context) error {
	d.cluster.Attach(ctx)
	_, err := d.kube()
	return err
}
