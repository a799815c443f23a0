package proof

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/limits"
)

// A Round is what was found of promises, in their order, and the snapshot that they were judged by.
type Round struct {
	Snapshot *Snapshot
	Promises []Promise
	Findings []check.Finding
}

// Problems returns a line for each promise that does not hold.
func (r Round) Problems() []string {
	var problems []string
	for i, finding := range r.Findings {
		if finding.Fails() {
			problems = append(problems, r.Promises[i].String()+": "+finding.Found)
		}
	}
	return problems
}

// Pending tells whether all that does not hold may still come to.
func (r Round) Pending() bool {
	for _, finding := range r.Findings {
		if finding.Fails() && finding.Verdict != check.Pending {
			return false
		}
	}
	return true
}

// Final tells whether all that does not hold is so by what the routes say, or by the implementation's order of precedence and its features, which
// no time changes.
func (r Round) Final() bool {
	final := []check.Cause{Precedence, Unsupported, RedirectLoop}
	return !slices.ContainsFunc(r.Findings, func(f check.Finding) bool { return f.Fails() && !slices.Contains(final, f.Cause) })
}

// WaitingFor says in a line what is waited for when there are problems.
func WaitingFor(problems []string) string {
	if more := len(problems) - 1; more > 0 {
		return fmt.Sprintf("waiting for %s (and %d more)", problems[0], more)
	}
	return "waiting for " + problems[0]
}

// Settle judges promises until all hold in one round: what a change that is under way disturbs, such as pods that make room for others,
// is well again within seconds. Between such rounds only those are repeated that did not hold. What does not hold when giveUp says so, from
// the second round on, stays as it was found last. take reads a snapshot for each round; its error, and the end of ctx, are Settle's,
// which then returns the last round that came to its end.
func Settle(ctx context.Context, take func(context.Context) (*Snapshot, error), promises func(*Snapshot) []Promise,
	giveUp func(last Round, waited time.Duration) bool, report func(string)) (Round, error) {
	started := time.Now()
	held := map[check.ID]check.Finding{}
	pause := limits.FirstPause
	var last Round // that ctx has let come to its end
	for n := 1; ; n++ {
		whole := len(held) == 0
		r, err := round(ctx, take, promises, held)
		problems := r.Problems()
		switch {
		case err == nil && len(problems) == 0 && whole:
			return r, nil
		case ctx.Err() != nil:
			return last, last.ended(ctx)
		case err != nil:
			return last, err
		case len(problems) == 0:
			clear(held)
			continue
		case n > 1 && giveUp(r, time.Since(started)):
			return r, nil
		}
		last = r
		for i, finding := range r.Findings {
			if !finding.Fails() {
				held[r.Promises[i].ID] = finding
			}
		}
		report(WaitingFor(problems))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return r, r.ended(ctx)
		}
		pause = min(2*pause, limits.LongestPause)
	}
}

// round takes a snapshot, and judges the promises about it but for those that held has.
func round(ctx context.Context, take func(context.Context) (*Snapshot, error), promises func(*Snapshot) []Promise,
	held map[check.ID]check.Finding) (Round, error) {
	s, err := take(ctx)
	if err != nil {
		return Round{}, err
	}
	r := Round{Snapshot: s, Promises: promises(s)}
	r.Findings = JudgeAll(ctx, r.Promises, held)
	return r, nil
}

// ended is the error of rounds that ctx has ended, this being the last that was whole.
func (r Round) ended(ctx context.Context) error {
	if problems := r.Problems(); len(problems) > 0 {
		return fmt.Errorf("%w: %s", context.Cause(ctx), strings.Join(problems, "\n"))
	}
	return context.Cause(ctx)
}

// atOnce is how many promises are judged side by side.
const atOnce = 16

// JudgeAll judges promises side by side, and returns the findings in their order. Those that held has are taken from there.
func JudgeAll(ctx context.Context, promises []Promise, held map[check.ID]check.Finding) []check.Finding {
	findings := make([]check.Finding, len(promises))
	var judging errgroup.Group
	judging.SetLimit(atOnce)
	for i, promise := range promises {
		judging.Go(func() error {
			finding, ok := held[promise.ID]
			if !ok {
				finding = promise.Judge(ctx)
			}
			findings[i] = finding
			return nil
		})
	}
	_ = judging.Wait()
	return findings
}

// A Result is what was found of a promise, and for a request that failed the hop that is broken.
type Result struct {
	Promise
	check.Finding
	// Hop is the first hop that is broken, and AtHop what was found there; nil where no hop was looked for, or none is known.
	Hop   *check.Check
	AtHop check.Finding
}

// Found is what was found of promises, a result for each, and the snapshot that they were judged by last.
type Found struct {
	Results  []Result
	Snapshot *Snapshot
}

// Failed is how many of the promises do not hold.
func (f Found) Failed() int {
	failed := 0
	for _, r := range f.Results {
		if r.Fails() {
			failed++
		}
	}
	return failed
}

// SettlesSoon gives up on what has not come to hold in the time that a change takes which is under way.
func SettlesSoon(_ Round, waited time.Duration) bool { return waited > limits.Settle }

// ServedInTime gives up on what does not hold when the implementation has had the time to serve what was applied, and sooner where no time changes
// it. What the run took before is had once more, where that is longer: on a machine that is slow to start a node, all is slow that follows from it.
func ServedInTime(before time.Duration) func(last Round, waited time.Duration) bool {
	within := max(limits.RoutesServed, before)
	return func(last Round, waited time.Duration) bool {
		return !last.Pending() && (waited > within || waited > limits.Settle && last.Final())
	}
}

// Verify judges the conditions that one Proof promises, and the requests of others, which are at as many places, until all hold or giveUp says so
// (see Settle). With an error comes what was found until then, without the hops that are broken. Nothing is changed.
func Verify(ctx context.Context, conditions *Proof, requests []*Proof, take func(context.Context) (*Snapshot, error),
	giveUp func(last Round, waited time.Duration) bool, report func(string)) (Found, error) {
	leads := map[*Proof]map[int]func() check.Finding{}
	for _, p := range requests {
		leads[p] = p.lookAtPorts(ctx)
	}
	promises := func(s *Snapshot) []Promise {
		all := conditions.Conditions(s)
		for _, p := range requests {
			all = append(all, p.Requests(s)...)
		}
		return all
	}
	last, err := Settle(ctx, take, promises, func(r Round, waited time.Duration) bool {
		return giveUp(r, waited) || waited > limits.Settle && astray(r, leads)
	}, report)
	if err == nil {
		distrust(last, leads)
	}
	walks := map[*Proof]walk{} // the same port of two places is two hops
	results := make([]Result, len(last.Promises))
	for i, promise := range last.Promises {
		r := Result{Promise: promise, Finding: last.Findings[i]}
		if err == nil && r.Fails() && promise.Request != nil {
			if walks[promise.by] == nil {
				walks[promise.by] = walk{}
			}
			r.Hop, r.AtHop = walks[promise.by].firstBroken(ctx, way{trial{promise.by, *promise.Request, last.Snapshot}, r.Finding}.hops())
		}
		results[i] = r
	}
	return Found{results, last.Snapshot}, err
}

// lookAtPorts begins to find out, beside the requests, whether each port that they take leads to the node.
func (p *Proof) lookAtPorts(ctx context.Context) map[int]func() check.Finding {
	leads := map[int]func() check.Finding{}
	for _, port := range p.ports(p.Gateways) {
		leads[port.here] = sync.OnceValue(func() check.Finding { return p.Place.Entry(port.here).Judge(ctx) })
	}
	for _, request := range p.Planned() {
		if look := leads[request.Port]; look != nil && request.Unproven == "" {
			go look()
		}
	}
	return leads
}

// distrust takes back what was found of the requests on a port that does not lead to the node: somebody else has answered them. That the
// control holds proves little then, as any server written in Go passes it, or another cluster's Traefik.
func distrust(r Round, leads map[*Proof]map[int]func() check.Finding) {
	for _, control := range r.Promises {
		if !control.Control {
			continue
		}
		finding := leads[control.by][control.Request.Port]()
		if !finding.Fails() {
			continue
		}
		finding.Cause = Stranger
		for j, promise := range r.Promises {
			if promise.Request != nil && promise.by == control.by && promise.Request.Unproven == "" && promise.Request.Port == control.Request.Port {
				r.Findings[j] = finding
			}
		}
	}
}

// astray tells whether all that does not hold are requests on ports that do not lead to the node, which no time changes.
func astray(r Round, leads map[*Proof]map[int]func() check.Finding) bool {
	for i, p := range r.Promises {
		if !r.Findings[i].Fails() {
			continue
		}
		if p.Request == nil {
			return false
		}
		if look := leads[p.by][p.Request.Port]; look == nil || !look().Fails() {
			return false
		}
	}
	return true
}

// A walk goes along the ways of requests, and looks at each hop once.
type walk map[string]check.Finding

// firstBroken returns the first hop that does not hold, and what was found there; nil where the end of ctx came first.
func (w walk) firstBroken(ctx context.Context, hops []check.Check) (*check.Check, check.Finding) {
	for _, hop := range hops {
		key := hop.ID.String() + "\n" + hop.Title + "\n" + hop.Expect
		finding, ok := w[key]
		if !ok {
			finding = hop.Judge(ctx)
		}
		if ctx.Err() != nil {
			return nil, check.Finding{Verdict: check.Unknown, Found: context.Cause(ctx).Error()}
		}
		w[key] = finding
		if finding.Fails() {
			return &hop, finding
		}
	}
	return nil, check.Finding{Verdict: check.Unknown, Found: "every hop holds"}
}
