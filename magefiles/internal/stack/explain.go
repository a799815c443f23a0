package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/ui"
)

// mostLosses bounds the matches of which explain says why they do not take the request.
const mostLosses = 20

// An explainer says which route takes a request, and why.
type explainer struct {
	*session
	routes *verification
}

// Explain says which match takes a request and why the others do not; where the cluster is up, by its routes, and goes along the request's
// hops. Its error is one of the arguments, that nothing takes the request, or that a hop is broken.
// With files, it is by the files, and where there is a context by what its cluster has, too, as if the files were applied; then nothing is sent.
func (v *explainer) Explain(ctx context.Context, url, method, header string, files bool) error {
	var headers []string
	if header != "" {
		headers = strings.Split(header, "\n")
	}
	if v.config.BundleFile != "" {
		return v.explainBundle(ctx, url, method, headers)
	}
	if v.wrong != nil && (v.config.Context == "" || files) {
		return v.wrong
	}
	switch {
	case v.config.Context != "" && files:
		return v.explainApplied(ctx, url, method, headers)
	case v.config.Context != "":
		return v.explainExisting(ctx, url, method, headers)
	}
	request, err := v.proof.Asked(url, method, headers)
	if err != nil {
		return err
	}
	snapshot, source := (*proof.Snapshot)(nil), "the files alone"
	if !files {
		snapshot, source = v.live(ctx)
	}
	return v.say(v.proof, v.proof.Explain(ctx, request, snapshot), source)
}

// explainExisting explains a request by the routes of an existing cluster.
func (v *explainer) explainExisting(ctx context.Context, url, method string, headers []string) error {
	of, err := v.routes.survey(ctx, false)
	if err != nil {
		return err
	}
	v.routes.sayExisting(of)
	defer of.close()
	snapshot, err := of.take(ctx)
	if err != nil {
		return err
	}
	return v.explainAt(ctx, of.requests, snapshot, "", func(p *proof.Proof) (gateway.Request, error) { return p.Asked(url, method, headers) })
}

// explainApplied explains a request by the routes of an existing cluster, as they would be with the files applied.
func (v *explainer) explainApplied(ctx context.Context, url, method string, headers []string) error {
	at, take, err := v.reader()
	if err != nil {
		return err
	}
	s, err := take(ctx)
	if err != nil {
		return err
	}
	s, served, err := s.Applied(v.inputs.routes)
	if err != nil {
		return err
	}
	var sites []*proof.Proof
	for _, site := range s.Sites(served) {
		p := siteProof(s, site, placeOf(s, site, at), nil)
		p.Via = gatewaysOf(p)
		sites = append(sites, p)
	}
	return v.explainAt(ctx, sites, nil, ", with these files applied,", func(p *proof.Proof) (gateway.Request, error) { return p.Asked(url, method, headers) })
}

// explainAt explains a request at each site that has a listener for it, or only at those where a match takes it. A nil snapshot leaves the
// sites' own routes to decide, and nothing is sent.
func (v *explainer) explainAt(ctx context.Context, sites []*proof.Proof, snapshot *proof.Snapshot, changed string,
	asked func(*proof.Proof) (gateway.Request, error)) error {
	var taken, heard []func() error
	var unreached error
	for _, p := range sites {
		request, err := asked(p)
		if err != nil {
			unreached = err
			continue
		}
		e := p.Explain(ctx, request, snapshot)
		source := "the routes of context " + v.config.Context + changed
		if p.Via != "" {
			source += " at " + p.Via
		}
		say := func() error { return v.say(p, e, source) }
		switch {
		case e.Winner != nil:
			taken = append(taken, say)
		case slices.ContainsFunc(e.Listeners, func(l gateway.Hearing) bool { return l.Why == "" }):
			heard = append(heard, say)
		}
	}
	if len(taken) == 0 {
		taken = heard
	}
	if len(taken) == 0 {
		return cmp.Or(unreached, errors.New("no listener of any Gateway takes the request"))
	}
	var all error
	for _, say := range taken {
		all = errors.Join(all, say())
	}
	return all
}

// say prints an explanation by a Proof. Its error is that nothing takes the request, or that a hop is broken.
func (v *explainer) say(by *proof.Proof, e proof.Explanation, source string) error {
	v.ui.Print(e.Request.String()+", by "+source, "")
	v.ui.Object(explained(e, source))
	if e.Winner == nil {
		v.ui.Check(ui.Check{What: "no match", Finding: check.Finding{Verdict: check.Broken, Found: "takes the request: " + by.Name + " answers 404"}})
	} else {
		v.ui.Check(ui.Check{What: e.Winner.String(), Finding: check.Finding{Verdict: winnerVerdict(e), Found: winnerFound(e)}})
	}
	v.ui.Print(details(e)...)
	if e.Choice != nil {
		v.ui.Check(ui.Check{What: by.Name + "'s own list of routers", Finding: *e.Choice})
	}
	v.sayLosses(e)
	return v.sayHops(by, e)
}

// details are lines about the listeners, the filters and the backends of a request, and about what comes near it.
func details(e proof.Explanation) []string {
	var lines []string
	for _, l := range e.Listeners {
		if l.Why == "" {
			lines = append(lines, fmt.Sprintf("  %s takes it", l.Listener))
		} else {
			lines = append(lines, fmt.Sprintf("  %s does not: %s", l.Listener, l.Why))
		}
	}
	if len(e.Filters) > 0 {
		lines = append(lines, "  filters: "+strings.Join(e.Filters, ", "))
	}
	for _, b := range e.Backends {
		line := fmt.Sprintf("  %s, port %d: weight %d of %d", b, b.Port, b.Weight, b.Sum)
		if b.Ready >= 0 {
			line += ", " + count(b.Ready, "ready endpoint")
		}
		lines = append(lines, line)
	}
	for _, near := range e.Nearest {
		lines = append(lines, fmt.Sprintf("  %s is near: %s", near.Match, strings.Join(near.Differs, "; ")))
	}
	return lines
}

// live returns the cluster's state and what to call it; nil where it is not up, or there is no engine to ask.
func (v *explainer) live(ctx context.Context) (*proof.Snapshot, string) {
	observation, err := v.cluster.Observe(ctx)
	if err != nil || observation.State != cluster.Ready {
		return nil, v.filesAlone(observation)
	}
	v.cluster.Attach(ctx)
	snapshot, err := v.routes.snapshot(ctx)
	if err != nil {
		return nil, fmt.Sprintf("the manifests alone, as the cluster cannot be read: %v", err)
	}
	return snapshot, "the routes of cluster " + v.config.Cluster
}

// filesAlone is what to call the manifests where a cluster that was looked at, or could not be, is not ready.
func (s *session) filesAlone(o cluster.Observation) string {
	if o.State == cluster.Running {
		return "the manifests alone, as cluster " + s.config.Cluster + " is running, but not ready"
	}
	return "the manifests alone, as no cluster is up"
}

func winnerVerdict(e proof.Explanation) check.Verdict {
	if e.Tied || e.Specified != nil {
		return check.Warns
	}
	return check.Holds
}

// winnerFound says what the match that takes the request does with it.
func winnerFound(e proof.Explanation) string {
	taken := e.Winner.Taking(e.Request)
	found := "takes it"
	for i, backend := range taken.Backends {
		found += []string{" to ", " or "}[min(i, 1)] + backend.String()
	}
	switch {
	case taken.Redirect != nil:
		found = fmt.Sprintf("takes it, and redirects with %d", taken.Redirect.Status)
	case len(taken.Backends) == 0:
		found = "takes it, and has no backend"
	}
	switch {
	case e.Tied:
		found += "; or another: chance decides, as two have the same priority"
	case e.Specified != nil:
		found += "; by the specification, " + e.Specified.String() + " would"
	}
	return found
}

func (v *explainer) sayLosses(e proof.Explanation) {
	more := 0
	for i, loss := range e.Losses {
		near := func(miss gateway.Miss) bool { return miss.Match == loss.Match }
		switch {
		case slices.ContainsFunc(e.Nearest, near):
			continue
		case i >= mostLosses || !loss.Host && (e.Winner != nil || len(e.Nearest) > 0):
			more++
			continue
		}
		v.ui.Print(fmt.Sprintf("  %s does not: %s", loss.Match, loss.Why))
	}
	if more > 0 {
		v.ui.Print(fmt.Sprintf("  and %d more do not", more))
	}
}

func (v *explainer) sayHops(by *proof.Proof, e proof.Explanation) error {
	if e.Unsent != "" {
		v.ui.Print("", "The request is not sent: "+e.Unsent)
	}
	if len(e.Hops) > 0 {
		v.ui.Print("", "Its way:")
	}
	for _, hop := range e.Hops {
		hint := ""
		if hop.Fails() {
			hint = fmt.Sprintf("expected: %s\nlook at:  %s", hop.Expect, hop.Look)
		}
		v.ui.Check(ui.Check{What: hop.String(), Finding: hop.Finding, Hint: hint, At: source(by.Objects, hop.ID)})
	}
	switch {
	case e.Winner == nil:
		return fmt.Errorf("no match takes %s", e.Request)
	case len(e.Hops) > 0 && e.Hops[len(e.Hops)-1].Fails():
		return fmt.Errorf("the request stops at %s", e.Hops[len(e.Hops)-1].String())
	}
	return nil
}

// explained is an explanation for machines.
func explained(e proof.Explanation, source string) explainLine {
	line := explainLine{Request: e.Request.String(), Source: source, Tied: e.Tied, Losses: []lossLine{}, Listeners: []listenerLine{},
		Filters: append([]string{}, e.Filters...), Backends: []backendLine{}, Choice: e.Choice, Nearest: []nearLine{}, Unsent: e.Unsent, Hops: []hopLine{}}
	if e.Winner != nil {
		line.Takes = e.Winner.String()
	}
	if e.Specified != nil {
		line.Specified = e.Specified.String()
	}
	for _, loss := range e.Losses {
		line.Losses = append(line.Losses, lossLine{loss.Match.String(), loss.Why})
	}
	for _, l := range e.Listeners {
		line.Listeners = append(line.Listeners, listenerLine{l.Listener.String(), l.Why == "", l.Why})
	}
	for _, b := range e.Backends {
		backend := backendLine{Backend: b.String(), Port: b.Port, Weight: b.Weight}
		if b.Ready >= 0 {
			backend.Ready = &b.Ready
		}
		line.Backends = append(line.Backends, backend)
	}
	for _, near := range e.Nearest {
		line.Nearest = append(line.Nearest, nearLine{near.Match.String(), near.Differs})
	}
	for _, hop := range e.Hops {
		line.Hops = append(line.Hops, hopLine{hop.String(), hop.Verdict, hop.Found})
	}
	return line
}
