// Package run is one run of the program: its time limit, its steps as the user sees them, and what has failed in it.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// A Run begins when its context is first asked for. New makes one. It is safe for concurrent use.
type Run struct {
	options Options
	begin   sync.Once
	ctx     context.Context
	end     context.CancelFunc // with the process: steps go on in the background when the one that began them has returned

	mu       sync.Mutex
	failures []error
	said     map[string]bool
}

// Options say how a run goes.
type Options struct {
	UI *ui.UI
	// Limit is how long it may take, and Expired the error of one that has taken longer.
	Limit   time.Duration
	Expired error
	// Advise adds to an error what the user can do about it, where that is known.
	Advise func(error) error
}

// New returns a run that has not begun.
func New(options Options) *Run { return &Run{options: options, said: map[string]bool{}} }

// Begin returns the run's context, which ends with ctx, the first that is given, at SIGTERM and at the time limit. mage ends ctx at Ctrl-C alone,
// and what stops containers and jobs sends the other.
func (r *Run) Begin(ctx context.Context) context.Context {
	r.begin.Do(func() {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second one kills
		r.ctx, r.end = context.WithTimeoutCause(ctx, r.options.Limit, r.options.Expired)
	})
	return r.ctx
}

// WithoutLimit goes on without the time limit, with work that takes as long as it takes. It returns the context from now on, which all else ends
// that ended the run's.
func (r *Run) WithoutLimit() context.Context {
	limited := r.ctx
	ctx, end := context.WithCancel(context.WithoutCancel(limited))
	context.AfterFunc(limited, func() {
		if limited.Err() == context.Canceled {
			end()
		}
	})
	r.ctx = ctx
	return ctx
}

// Context returns the context of a run that has begun.
func (r *Run) Context() context.Context { return r.ctx }

// Failure returns what has failed so far, each failed step once.
func (r *Run) Failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.failures...)
}

// Note tells the user something, each text once.
func (r *Run) Note(text string) {
	r.mu.Lock()
	said := r.said[text]
	r.said[text] = true
	r.mu.Unlock()
	if !said {
		r.options.UI.Note(text)
	}
}

// Work is what a step does. It returns what it came to, and a detail for the user.
type Work func(*ui.Step) (result.Result, string, error)

// Step runs work as a step of the given name, which ends with what work found. A failure is kept for Failure, under the step's name.
func (r *Run) Step(name string, work Work) error {
	step := r.options.UI.Begin(name)
	res, detail, err := work(step)
	err = r.Failed(name, step.Phase(), err)
	step.End(string(res), detail, err)
	return err
}

// Part runs work as a step's first part: the rest follows when what it waits for is there.
func (r *Run) Part(name string, work Work) error {
	step := r.options.UI.Begin(name)
	res, detail, err := work(step)
	if err = r.Failed(name, step.Phase(), err); err != nil {
		step.End("", "", err)
		return err
	}
	step.Pause(string(res), detail)
	return nil
}

// ErrInterrupted is the error of steps that the user has ended.
var ErrInterrupted = errors.New("interrupted; the next run goes on from here")

// Failed keeps a step's error for Failure, and returns it with the step's name and the remedy. Whatever ends together with the run ends
// because of that, which those below may not have said; doing is what was going on, empty for a step that could not begin yet. No error
// stays none.
func (r *Run) Failed(name, doing string, err error) error {
	if err == nil {
		return nil
	}
	select { // a terminal's Ctrl-C also ends the commands that were running, whose errors may be here before mage has ended the context
	case <-r.ctx.Done():
	case <-time.After(limits.CtrlC):
	}
	switch cause := context.Cause(r.ctx); {
	case r.ctx.Err() == context.Canceled:
		err = ErrInterrupted
	case err == cause:
		err = fmt.Errorf("%w while %s", err, cmp.Or(doing, "waiting for the cluster"))
	case cause != nil && !errors.Is(err, cause):
		err = fmt.Errorf("%w; last: %w", cause, err)
	}
	err = plain{fmt.Errorf("%s: %w", name, r.options.Advise(err))}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, err)
	return err
}

// plain is an error that is printed as package ui prints.
type plain struct{ error }

func (p plain) Error() string { return ui.Plain(p.error.Error()) }

func (p plain) Unwrap() error { return p.error }
