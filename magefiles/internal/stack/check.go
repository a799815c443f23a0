package stack

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/manifest"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// Check prints all that is wrong with the files, or may be, as far as that is known without a cluster, or for the cluster of a context, if they
// were applied there. What is wrong is an error.
func (e *examiner) Check(context.Context) error {
	return e.run.Step("check", func(*ui.Step) (result.Result, string, error) {
		if left := e.inputs.leftOut; len(left) > 0 {
			e.run.Note("Left out, as by their names they are for other clusters than this: " + strings.Join(left, ", ") + ".")
		}
		for _, f := range e.faults() {
			e.ui.Check(ui.Check{What: f.at, Finding: f.Finding, Hint: f.Remedy, At: f.source()})
		}
		return "passed", count(len(e.inputs.objects), "object"), e.checked()
	})
}

// Errors of what must not go on when Check has found something wrong, or could not find out.
var (
	errFiles    = errors.New("the files, or what they are for, are wrong, as said above")
	errUnjudged = errors.New("whether the files are right is not known, as said above")
)

func (e *examiner) checked() error {
	var err error
	for _, f := range e.faults() {
		switch {
		case !f.Fails():
		case f.at != e.unread():
			return errFiles
		default:
			err = dueTo{errUnjudged, f.cause}
		}
	}
	return err
}

// unread is the place of a fault that is none of the files: the cluster that they would be applied to cannot be read.
func (e *examiner) unread() string { return "context " + e.config.Context }

// A fault is something that is wrong with the files, or may be. at is the place: file:line, or a file.
type fault struct {
	at     string
	object check.ID // that it is about; zero where it is about none
	check.Finding
	cause error // why the files could not be judged; nil of one of the files
}

func idOf(o kube.Object) check.ID {
	return check.ID{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// leading is how a message begins that says in which file something is wrong, and where.
var leading = regexp.MustCompile(`^([^\s:]+:\d+): `)

// source is the file of the fault, with the line where that is known; empty where it is of none.
func (f fault) source() string {
	if found := leading.FindStringSubmatch(f.Found); found != nil {
		return found[1]
	}
	if strings.Contains(f.at, "/") {
		return f.at
	}
	return ""
}

// judge finds the faults of the files. A chart that is not at hand is not fetched: what depends on it is not judged.
func (e *examiner) judge() []fault {
	var faults []fault
	for _, err := range parts(e.wrong) {
		faults = append(faults, fault{at: "files", Finding: check.Finding{Verdict: check.Broken, Found: err.Error()}})
	}
	for _, m := range e.inputs.replaced {
		set := map[int32]string{80: "KINDGATE_HTTP_PORT", 443: "KINDGATE_HTTPS_PORT"}[m.ContainerPort]
		faults = append(faults, fault{at: clusterFile, Finding: check.Finding{Verdict: check.Warns, Remedy: fmt.Sprintf("set %s=%d", set, m.HostPort),
			Found: fmt.Sprintf("the hostPort %d of the mapping to port %d has no effect: %s sets it", m.HostPort, m.ContainerPort, set)}})
	}
	provided, err := e.rendered()
	faults = append(faults, aboutValues(err, check.Broken)...)
	faults = append(faults, aboutValues(e.release.missing(provided, hasNothing), check.Warns)...)
	on, err := e.on(e.run.Context())
	if err != nil {
		return append(faults, fault{at: e.unread(), Finding: check.Finding{Verdict: check.Broken, Found: strings.TrimPrefix(err.Error(), e.unread()+": ")}, cause: err})
	}
	faults = append(faults, on.faults...)
	if on.bare && !crds.TakenBy(on.kubernetes) {
		faults = append(faults, fault{at: "Kubernetes", Finding: check.Finding{Verdict: check.Broken,
			Found: fmt.Sprintf("%s is older than %s, which the Gateway API's definitions need", on.kubernetes, crds.Kubernetes)}})
	}
	problems, err := e.problems(e.run.Context(), provided, on)
	if err != nil {
		faults = append(faults, fault{at: "schemas", Finding: check.Finding{Verdict: check.Unknown, Found: "not judged, as the Gateway API's definitions cannot be read: " + err.Error()}})
	}
	for _, p := range problems {
		faults = append(faults, fault{at: p.At(), object: idOf(p.Object), Finding: check.Finding{Verdict: p.Verdict, Found: p.Says(), Remedy: p.Remedy}})
	}
	return faults
}

// rendered is what the chart renders, nothing where it is not at hand. The error is that it cannot, or that nothing would serve.
func (e *examiner) rendered() ([]kube.Object, error) {
	if !e.helm().AtHand() {
		return nil, nil
	}
	objects, err := e.release.rendered()
	if err != nil {
		return nil, err
	}
	return objects, judgeRendering(e.config.valuesPath(), objects)
}

// aboutValues are faults of the chart's values.
func aboutValues(err error, verdict check.Verdict) []fault {
	var faults []fault
	for _, problem := range parts(err) {
		faults = append(faults, fault{at: "values", Finding: check.Finding{Verdict: verdict, Found: problem.Error(), Remedy: remedy(problem)}})
	}
	return faults
}

// on is what the files are to be applied to: nothing, where that is a new cluster.
func (e *examiner) on(ctx context.Context) (beneath, error) {
	if e.config.Context == "" {
		return beneath{kubernetes: cluster.KubernetesVersion(e.config.NodeImage), bare: true}, nil
	}
	return e.beneath(ctx)
}

// problems are those of the manifests, in their order. provided is what the chart renders, where a cluster has not got it already. The error is that the schemas cannot be had: then all
// that does not depend on them is returned.
func (e *examiner) problems(ctx context.Context, provided []kube.Object, on beneath) ([]manifest.Problem, error) {
	objects, by := e.inputs.objects, on.by(e.inputs.routes)
	if on.provides(provided) {
		provided = nil
	}
	problems := slices.Concat(manifest.ReferencesOn(on.objects, objects, provided, by, time.Now()), e.features(objects, provided, by), manifest.Undefined(objects, by))
	standard, err := crds.Channel(ctx, "standard")
	if err == nil {
		passed := inUsersCache()
		schemas := manifest.Schemas{Standard: standard, Live: on.definitions, Kubernetes: on.kubernetes, Passed: passed.read()}
		schemas.Experimental, _ = crds.Channel(ctx, "experimental") // it only explains
		problems = slices.Concat(schemas.Problems(ctx, objects), manifest.Owned(objects, standard, serving.Namespace), problems)
		passed.write(schemas.Passed)
	}
	order := map[*unstructured.Unstructured]int{}
	for i, object := range objects {
		order[object.Unstructured] = i
	}
	slices.SortStableFunc(problems, func(a, b manifest.Problem) int { return order[a.Object.Unstructured] - order[b.Object.Unstructured] })
	return problems, err
}

// features are the problems of routes with what the implementation lacks. Another release of it may have more: then they only warn.
func (e *examiner) features(objects, provided []kube.Object, by *implementation.Implementation) []manifest.Problem {
	problems := manifest.Features(objects, provided, by)
	if slices.ContainsFunc(kube.Images(provided), func(image string) bool { return strings.Contains(image, ":"+serving.Tried+".") }) {
		return problems
	}
	for i := range problems {
		problems[i].Verdict = check.Warns
		problems[i].Found += fmt.Sprintf(" (known of %s %s)", serving.Name, serving.Tried)
	}
	return problems
}

// undefined is an error for each object of which a cluster that is made anew cannot have the kind.
func undefined(objects []kube.Object) error {
	var problems []error
	for _, p := range manifest.Undefined(objects, serving) {
		problems = append(problems, fmt.Errorf("%s (%s): %s: %s", p.Object.Name(), p.At(), p.Found, p.Remedy))
	}
	return errors.Join(problems...)
}

// parts are the errors that were joined to one; those of an error that is whole is itself.
func parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok || errors.Join(joined.Unwrap()...).Error() != err.Error():
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		all = append(all, parts(part)...)
	}
	return all
}
