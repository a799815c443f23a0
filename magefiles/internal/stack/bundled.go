package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/bundle"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/place"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/ui"
)

// A bundled is what a bundle has, in place of a cluster.
type bundled struct {
	about
	snapshot *proof.Snapshot
	proven   []proven
	proof    *proof.Proof
}

// errNoSnapshot is the error of a bundle that was made where the cluster did not answer.
var errNoSnapshot = errors.New("it has no snapshot of a cluster: " + bundle.LeftOut + " in it says why")

// readBundle reads a bundle. Its error is that it is none, or has no snapshot.
func readBundle(path string) (bundled, error) {
	data, err := atomicfile.Read(path)
	if err != nil {
		return bundled{}, err
	}
	files, err := bundle.Read(data)
	if err != nil {
		return bundled{}, fmt.Errorf("%s: %w", path, err)
	}
	b := bundled{snapshot: &proof.Snapshot{}}
	if files[snapshotFile] == nil {
		return b, fmt.Errorf("%s: %w", path, errNoSnapshot)
	}
	for name, value := range map[string]any{aboutFile: &b.about, snapshotFile: b.snapshot, provenFile: &b.proven} {
		if content, ok := files[name]; ok {
			if err := json.Unmarshal(content, value); err != nil {
				return b, fmt.Errorf("%s: %s: %w", path, name, err)
			}
		}
	}
	manifests, by := b.snapshot.Existing(nil), serving
	if b.Context != "" {
		by = implementation.Of("")
		for _, class := range b.snapshot.Classes {
			if len(manifests.Classes) > 0 && class.Name == manifests.Classes[0] {
				by = implementation.Of(string(class.Spec.ControllerName))
			}
		}
	}
	b.proof = &proof.Proof{Manifests: manifests, Implementation: by, Careful: b.Context != "", Silent: "a bundle stands for the cluster",
		Place: &place.Recorded{Ports: b.Ports, Files: files, Command: strings.TrimSpace(b.Kubectl)}}
	return b, nil
}

// from says what the bundle is of.
func (b bundled) from() string {
	return fmt.Sprintf("the bundle of %s, made %s", cmp.Or(b.Context, b.Settings["KINDGATE_CLUSTER"], "kindgate"), b.snapshot.Taken.Format(time.DateTime))
}

// verifyBundle judges the conditions of a bundle's snapshot, and prints what was found of the requests when it was made.
func (v *verification) verifyBundle(ctx context.Context) (total int, err error) {
	b, err := readBundle(v.config.BundleFile)
	if err != nil {
		return 0, err
	}
	v.ui.Print("By " + b.from() + ": requests are as they were found then.")
	failed, promises := 0, b.proof.Conditions(b.snapshot)
	for i, f := range proof.JudgeAll(ctx, promises, nil) {
		c := ui.Check{What: promises[i].String(), Finding: f}
		if f.Fails() {
			c.Hint = "look at: " + promises[i].Look + remedied(f.Remedy)
			failed++
		}
		v.ui.Check(c)
	}
	requests := 0
	for _, p := range b.proven {
		if !p.Request {
			continue
		}
		requests++
		if p.Finding.Fails() {
			failed++
		}
		v.ui.Check(ui.Check{What: p.What, Finding: p.Finding, Hint: p.Hint, At: p.At})
	}
	if requests == 0 {
		v.ui.Check(ui.Check{What: "requests", Finding: check.Finding{Verdict: check.Unknown, Found: "not known: none had been sent when the bundle was made"}})
	}
	v.drawn = &drawing.Drawing{}
	all := append(promises, b.proof.Requests(b.snapshot)...)
	b.proof.Draw(v.drawn, b.snapshot, all, b.found(ctx))
	total = len(promises) + requests
	return total, failedOf(failed, total)
}

// found is what was found of a promise: of a request when the bundle was made, of conditions by its snapshot.
func (b bundled) found(ctx context.Context) func(proof.Promise) check.Finding {
	return func(p proof.Promise) check.Finding {
		for _, one := range b.proven {
			if one.Request && one.What == p.String() {
				return one.Finding
			}
		}
		return p.Judge(ctx)
	}
}

// explainBundle explains a request by a bundle.
func (v *explainer) explainBundle(ctx context.Context, url, method string, headers []string) error {
	b, err := readBundle(v.config.BundleFile)
	if err != nil {
		return err
	}
	request, err := b.proof.Asked(url, method, headers)
	if err != nil {
		return err
	}
	return v.say(b.proof, b.proof.Explain(ctx, request, b.snapshot), b.from())
}
