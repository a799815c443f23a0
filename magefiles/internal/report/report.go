// Package report makes what a run has said into what a CI system shows: JUnit XML, and annotations and a page for GitHub Actions. It writes no
// file.
package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/ui"
)

// A Run is what a run has said, and how it has ended.
type Run struct {
	// Name is what was run, as "up".
	Name string
	ui.Said
	// Err is what it failed with; nil for success.
	Err error
}

// An Outcome is what came of a case.
type Outcome int

const (
	// Passed: it is as expected, though perhaps with a warning.
	Passed Outcome = iota
	// Failed: it is not as expected.
	Failed
	// Skipped: it is not known, or did not come to its end.
	Skipped
)

// A Case is one step or check of a run.
type Case struct {
	// Group is what kind of thing it is: "steps", "checks", or "run" for what failed outside of both.
	Group, Name string
	Took        time.Duration
	// File and Line are where the object is written; empty and 0 where that is not known.
	File string
	Line int
	Outcome
	// Says is what was found, in a line or a few, Cause the kind of failure, and Hint where to look and what to do. Again: another case has the
	// same hint.
	Says, Cause, Hint string
	Again             bool
}

// Cases returns a case for each step and check of the run, and one for the run itself where it failed with what none of them says.
func (r Run) Cases() []Case {
	var all []Case
	for _, s := range r.Steps {
		c := Case{Group: "steps", Name: s.Step, Took: s.Took, Says: strings.TrimSpace(s.Result + "  " + s.Detail)}
		switch {
		case s.Err != nil:
			c.Outcome, c.Says = Failed, s.Err.Error()
			c.File, c.Line = place(placeOf(s.Err))
		case !s.Ended:
			c.Outcome, c.Says = Skipped, strings.TrimSpace("it did not come to its end; last: "+s.Phase)
		}
		all = append(all, c)
	}
	for _, k := range r.Checks {
		c := Case{Group: "checks", Name: k.What, Says: k.Found, Cause: string(k.Cause), Hint: k.Hint, Again: k.Above}
		c.File, c.Line = place(k.At)
		switch {
		case k.Fails():
			c.Outcome = Failed
		case k.Verdict == check.Unknown:
			c.Outcome = Skipped
		case k.Verdict == check.Warns:
			c.Says = "warning: " + c.Says
		}
		all = append(all, c)
	}
	if r.Err != nil && !slices.ContainsFunc(all, func(c Case) bool { return c.Outcome == Failed }) {
		c := Case{Group: "run", Name: r.Name, Outcome: Failed, Says: r.Err.Error()}
		c.File, c.Line = place(placeOf(r.Err))
		all = append(all, c)
	}
	for i := range all {
		all[i].Name, all[i].Says, all[i].Hint = ui.Plain(all[i].Name), ui.Plain(all[i].Says), ui.Plain(all[i].Hint)
	}
	return all
}

// placeOf returns the file:line of the object that an error is about; empty where it is about none.
func placeOf(err error) string {
	for ; err != nil; err = unwrapped(err) {
		if about, ok := err.(interface{ At() string }); ok {
			return about.At()
		}
	}
	return ""
}

// unwrapped is the error that another wraps, the first of several.
func unwrapped(err error) error {
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return err.Unwrap()
	case interface{ Unwrap() []error }:
		if all := err.Unwrap(); len(all) > 0 {
			return all[0]
		}
	}
	return nil
}

// place cuts file:line; a file alone has the line 0.
func place(at string) (file string, line int) {
	if i := strings.LastIndexByte(at, ':'); i > 0 {
		if n, err := strconv.Atoi(at[i+1:]); err == nil {
			return at[:i], n
		}
	}
	return at, 0
}

// text is all that a case says of itself.
func (c Case) text() string {
	if c.Hint == "" {
		return c.Says
	}
	return c.Says + "\n" + c.Hint
}

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
