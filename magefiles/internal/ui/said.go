package ui

import "time"

// Said is all that was said up to now, in its order, for reports.
type Said struct {
	Start  time.Time
	Took   time.Duration
	Steps  []StepSaid
	Checks []Check
	// Waterfall has a line for each step, on one time axis.
	Waterfall []string
}

// A StepSaid is a step, which may still be under way. Err is what it failed with, and Phase what it was doing last.
type StepSaid struct {
	StepLine
	Took  time.Duration
	Ended bool
	Err   error
	Phase string
}

// Took is how long the run has taken up to now.
func (u *UI) Took() time.Duration { return time.Since(u.start) }

// Said returns what was said up to now.
func (u *UI) Said() Said {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := Said{Start: u.start, Took: u.Took(), Checks: append([]Check(nil), u.checks...)}
	for _, s := range u.steps {
		all.Steps = append(all.Steps, StepSaid{s.record(), s.took(), s.ended, s.err, s.phase})
	}
	if len(u.steps) > 0 {
		all.Waterfall = waterfall(u.steps, 100)
	}
	return all
}
