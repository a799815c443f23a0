package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/report"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/traefik"
)

// Target does a target's work in the context of the whole run, which ends with ctx, the first that is given, and at the time limit. Where the
// configuration is wrong, that is the error: each variable, its value and what is allowed. The target that no other waits for ends with the
// reports, whatever becomes of it.
func (s *Stack) Target(ctx context.Context, work func(context.Context) error) (err error) {
	ctx = s.run.Begin(ctx)
	if outermost := s.running.Add(1) == 1; outermost {
		end := s.reporting(ctx)
		defer func() { err = end(err, recover()) }()
	}
	defer s.running.Add(-1)
	if s.misconfigured != nil {
		return s.misconfigured
	}
	return work(ctx)
}

// reporting sees to it that the reports of a target are written, whatever becomes of it: when its context ends, as the process may not live to the
// end of its steps, and at its end, which the function that it returns is for. Its error is the target's, with what went wrong with the reports;
// what the target panicked with goes on.
func (s *Stack) reporting(ctx context.Context) func(err error, panicked any) error {
	var mu sync.Mutex
	over := false
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			_ = s.writeJUnit(s.report(ended(ctx))) // at the end it is written again, with its error
		}
	})
	return func(err error, panicked any) error {
		stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
		if panicked != nil {
			_ = s.reports(fmt.Errorf("panic: %v", panicked))
			panic(panicked)
		}
		err = errors.Join(err, s.reports(err))
		s.ui.Object(exitLine{Exit: s.ExitStatus(err), Error: text(err)})
		return err
	}
}

// ended is the error of a run whose context has ended.
func ended(ctx context.Context) error {
	if ctx.Err() == context.Canceled {
		return run.ErrInterrupted
	}
	return context.Cause(ctx)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// reports writes all that the configuration asks for about a target that has ended with err. Its error is what could not be written.
func (s *Stack) reports(err error) error {
	r := s.report(err)
	problems := s.writeJUnit(r)
	if status := s.ExitStatus(err); s.config.Bundle != "" && status != 0 && status != exitPending && status != exitInterrupted {
		s.bundleFailure()
	}
	if s.config.GitHub {
		for _, line := range r.Annotations(s.folder()) {
			s.ui.Command(line)
		}
		problems = errors.Join(problems, s.writeSummary(r))
	}
	return problems
}

// report is what the run has said, and that it has ended with err. That something is to be done is no failure.
func (s *Stack) report(err error) report.Run {
	if errors.Is(err, errPending) {
		err = nil
	}
	return report.Run{Name: command(), Said: s.ui.Said(), Err: err}
}

// command is the first target of the command line; the default where none is named.
func command() string {
	for _, arg := range os.Args[1:] {
		if !strings.HasPrefix(arg, "-") {
			return arg
		}
	}
	return "up"
}

func (s *Stack) writeJUnit(r report.Run) error {
	if s.config.JUnit == "" {
		return nil
	}
	_, err := atomicfile.Edit(s.config.JUnit, 0o644, func(old []byte) ([]byte, error) {
		if len(old) > 0 && !report.IsJUnit(old) {
			return nil, fmt.Errorf("%s has something else than a report of kindgate's, and was left as it is: name another file", s.config.JUnit)
		}
		return r.JUnit(), nil
	})
	if err != nil {
		return fmt.Errorf("KINDGATE_JUNIT: %w", err)
	}
	return nil
}

// writeSummary appends a page about the run to the file that GitHub shows.
func (s *Stack) writeSummary(r report.Run) error {
	if s.config.Summary == "" {
		return nil
	}
	_, err := atomicfile.Edit(s.config.Summary, 0o644, func(old []byte) ([]byte, error) { return append(old, r.Page(s.pageDrawing())...), nil })
	if err != nil {
		return fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
	}
	return nil
}

// folder is the one that kindgate runs in, as GitHub names it: from the root of the repository.
func (s *Stack) folder() string {
	here, err := os.Getwd()
	if err != nil || s.config.Workspace == "" {
		return ""
	}
	folder, err := filepath.Rel(s.config.Workspace, here)
	if err != nil || !filepath.IsLocal(folder) {
		return ""
	}
	return filepath.ToSlash(folder)
}

// dueTo is an error that says in fewer words what has others as its causes.
type dueTo struct {
	error
	cause error
}

func (d dueTo) Unwrap() error { return d.cause }

// The exit statuses.
const (
	exitFailed        = 1
	exitPending       = 2
	exitMisconfigured = 3
	exitNoEngine      = 4
	exitInterrupted   = 130
)

// ExitStatus is that of a process whose target has ended with an error: 0 for none, 1 failed, 2 changes are pending, 3 the configuration or the
// files are wrong, 4 there is no container engine, 130 interrupted. Of several, what has to be mended first counts.
func (s *Stack) ExitStatus(err error) int {
	var chart *traefik.ChartError
	is := func(target error) bool { return target != nil && errors.Is(err, target) }
	switch {
	case err == nil:
		return 0
	case is(run.ErrInterrupted), s.run.Context() != nil && s.run.Context().Err() == context.Canceled:
		return exitInterrupted
	case is(s.misconfigured), is(s.wrong), is(errFiles), errors.As(err, new(*unknownContextError)), errors.As(err, new(*cluster.KubeconfigError)),
		errors.As(err, &chart) && chart.Path != "":
		return exitMisconfigured
	case errors.As(err, new(*cluster.EngineError)):
		return exitNoEngine
	case is(errPending):
		return exitPending
	}
	return exitFailed
}
