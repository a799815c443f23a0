// Package ui is the only one that prints: live lines on a terminal, plain lines elsewhere, or one JSON object a line for machines.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/limits"
)

// Options says for whom the output is.
type Options struct {
	// JSON asks for one JSON object a line.
	JSON bool
	// Color allows colours, Live lines that are drawn over; both are for terminals.
	Color, Live bool
	// Width returns the terminal's width in columns. It is asked again at every drawing.
	Width func() int
	// Errors is the standard error.
	Errors io.Writer
}

// A UI prints what steps say of themselves. It is safe for concurrent use.
type UI struct {
	options Options
	start   time.Time

	mu     sync.Mutex
	out    io.Writer
	steps  []*Step
	checks []Check
	live   live
}

// New returns a UI that prints to out; its clock starts now.
func New(out io.Writer, options Options) *UI {
	return &UI{options: options, out: out, start: time.Now()}
}

// A Step is one bar of the waterfall: something that starts, says what it is doing, and ends, perhaps with pauses in which it waits
// for other steps.
type Step struct {
	Name string

	ui            *UI
	spans         []span
	phase         string
	told          []string  // the phases that were printed as plain lines,
	said          time.Time // and when the last of them was
	copied, total int64
	result        string
	detail        string
	ended         bool
	err           error
}

type span struct{ from, to time.Duration }

// Begin starts a step, or goes on with the one of that name which is paused.
func (u *UI) Begin(name string) *Step {
	u.mu.Lock()
	defer u.mu.Unlock()
	var step *Step
	for _, s := range u.steps {
		if s.Name == name && !s.ended {
			step = s
		}
	}
	if step == nil {
		step = &Step{Name: name, ui: u}
		u.steps = append(u.steps, step)
	}
	step.spans = append(step.spans, span{from: time.Since(u.start), to: -1})
	u.refresh()
	return step
}

// Report says what the step is doing now.
func (s *Step) Report(phase string) {
	s.ui.mu.Lock()
	defer s.ui.mu.Unlock()
	if s.ended {
		return
	}
	phase = Plain(phase)
	if phase != s.phase {
		s.phase, s.total = phase, 0
	}
	waiting := strings.HasPrefix(strings.ToLower(phase), "waiting")
	if s.ui.options.Live || s.ui.options.JSON || waiting && time.Since(s.said) < limits.WaitLines || slices.Contains(s.told, phase) {
		return
	}
	s.told, s.said = append(s.told, phase), time.Now()
	fmt.Fprintf(s.ui.out, "· %-*s %s\n", nameWidth, s.Name, phase)
}

// Phase returns what the step has last reported, empty before that.
func (s *Step) Phase() string {
	s.ui.mu.Lock()
	defer s.ui.mu.Unlock()
	return s.phase
}

// Bytes says how many of total bytes have been copied; the phase stays.
func (s *Step) Bytes(copied, total int64) {
	s.ui.mu.Lock()
	defer s.ui.mu.Unlock()
	s.copied, s.total = copied, total
}

// Pause ends a part of the step whose rest has to wait for others. The result, what was done, is kept for the end.
func (s *Step) Pause(result, detail string) {
	s.ui.mu.Lock()
	defer s.ui.mu.Unlock()
	s.close()
	s.result, s.detail = result, detail
	s.ui.refresh()
}

// End ends the step with what it found or did, in a word and a detail; an empty result leaves what a part has said. An error makes it
// a failed one.
func (s *Step) End(result, detail string, err error) {
	s.ui.mu.Lock()
	defer s.ui.mu.Unlock()
	s.close()
	s.ended, s.err = true, err
	if result != "" {
		s.result = result
	}
	if detail != "" {
		s.detail = detail
	}
	if s.ui.options.JSON {
		s.ui.object(s.record())
		return
	}
	mark, word := s.ui.paint(green, "✓"), s.result
	if err != nil {
		mark, word = s.ui.paint(red, "✗"), "failed"
	}
	text := fmt.Sprintf("%s %-*s %-9s %6s", mark, nameWidth, s.Name, word, seconds(s.took()))
	if s.detail != "" && err == nil {
		text += "  " + Plain(s.detail)
	}
	s.ui.line(text)
}

func (s *Step) close() {
	s.spans[len(s.spans)-1].to = time.Since(s.ui.start)
}

func (s *Step) took() time.Duration {
	var sum time.Duration
	for _, span := range s.spans {
		to := span.to
		if to < 0 {
			to = time.Since(s.ui.start)
		}
		sum += to - span.from
	}
	return sum
}

// A StepLine is a step as a machine reads it.
type StepLine struct {
	Step   string    `json:"step"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Result string    `json:"result"`
	Detail string    `json:"detail,omitempty"`
	Error  string    `json:"error,omitempty"`
}

func (s *Step) record() StepLine {
	r := StepLine{Step: s.Name, Start: s.ui.start.Add(s.spans[0].from), End: s.ui.start.Add(s.spans[len(s.spans)-1].to), Result: s.result, Detail: s.detail}
	if s.err != nil {
		r.Result, r.Error = "failed", s.err.Error()
	}
	return r
}

// Level says how serious a check's outcome is.
type Level string

const (
	// OK is as it should be.
	OK Level = "ok"
	// Warning may cause trouble, but does not keep anything from working; or it could not be found out.
	Warning Level = "warning"
	// Error keeps something from working.
	Error Level = "error"
)

// LevelOf is how serious a finding is for a person.
func LevelOf(f check.Finding) Level {
	switch {
	case f.Fails():
		return Error
	case f.Verdict == check.Holds:
		return OK
	}
	return Warning
}

// A Check is the outcome of one check as it is said: what was looked at, and what was found.
type Check struct {
	What string
	check.Finding
	// Hint is what the user can do, or where to look; it may have several lines. Above: it was printed before, and is not again.
	Hint  string
	Above bool
	// At is where the object is written, as file:line; empty where that is not known.
	At string
}

// A CheckLine is a check as a machine reads it.
type CheckLine struct {
	Check   string        `json:"check"`
	Level   Level         `json:"level"`
	Verdict check.Verdict `json:"verdict"`
	Found   string        `json:"found"`
	Hint    string        `json:"hint"`
	Cause   check.Cause   `json:"cause,omitempty"`
	At      string        `json:"at,omitempty"`
}

// A NoteLine is a remark as a machine reads it.
type NoteLine struct {
	Note string `json:"note"`
}

// Check prints the outcome of one check, and keeps it for reports.
func (u *UI) Check(c Check) {
	u.Keep(c)
	u.Show(c)
}

// Keep keeps a check for reports that is not printed itself, but counted in one that is.
func (u *UI) Keep(c Check) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.checks = append(u.checks, c)
}

// Show prints a check that stands for others.
func (u *UI) Show(c Check) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.options.JSON {
		u.object(CheckLine{c.What, LevelOf(c.Finding), c.Verdict, c.Found, c.Hint, c.Cause, c.At})
		return
	}
	text := u.mark(LevelOf(c.Finding)) + " " + Plain(c.What)
	if c.Found != "" {
		text += "  " + Plain(c.Found)
	}
	u.line(text)
	hint := c.Hint
	if c.Above {
		hint = "as above"
	}
	for hintLine := range strings.Lines(Plain(hint)) {
		u.line("    " + strings.TrimRight(hintLine, "\n"))
	}
}

func (u *UI) mark(level Level) string {
	switch level {
	case OK:
		return u.paint(green, "✓")
	case Warning:
		return u.paint(yellow, "!")
	}
	return u.paint(red, "✗")
}

// Note prints something the user should know.
func (u *UI) Note(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.options.JSON {
		u.object(NoteLine{text})
		return
	}
	first, rest, _ := strings.Cut(Plain(text), "\n")
	u.line(u.mark(Warning) + " " + first)
	for more := range strings.Lines(rest) {
		u.line("  " + strings.TrimRight(more, "\n"))
	}
}

// Print prints lines as they are, for people only.
func (u *UI) Print(lines ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.options.JSON {
		u.line(Plain(strings.Join(lines, "\n")))
	}
}

// Command prints a line that the system obeys in which the run is a job. Machines that read objects do not get it, but the system does, which
// reads the errors, too.
func (u *UI) Command(line string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.options.JSON {
		fmt.Fprintln(u.options.Errors, line)
		return
	}
	u.line(line)
}

// Object prints one JSON object, for machines only.
func (u *UI) Object(value any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.options.JSON {
		u.object(value)
	}
}

// Version is that of the JSON objects, each of which has it as "v". A later one may have fields that this one has not; a field that is gone
// or means something else makes another version.
const Version = 1

// object prints a value that is a JSON object with at least one field.
func (u *UI) object(value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // a type that is no JSON: nothing a user could mend
	}
	fmt.Fprintf(u.out, `{"v":%d,%s`, Version, text.Bytes()[1:]) // to a closed pipe there is nobody to complain to
}

// Table prints rows of equally many cells in columns, the first row as their heads.
func (u *UI) Table(rows [][]string) {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.StripEscape)
	for _, row := range rows {
		for _, cell := range row {
			fmt.Fprintf(columns, "\xff%s\xff\t", cell) // escaped: a tab or a line end in a cell begins no other
		}
		fmt.Fprintln(columns)
	}
	_ = columns.Flush() // a Builder takes everything
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	u.Print(lines...)
}

// line prints above the live lines.
func (u *UI) line(text string) {
	u.live.erase(u.out)
	fmt.Fprintln(u.out, text)
	u.refresh()
}

type color string

const (
	green  color = "\x1b[32m"
	red    color = "\x1b[31m"
	yellow color = "\x1b[33m"
	dim    color = "\x1b[2m"
)

func (u *UI) paint(c color, text string) string {
	if !u.options.Color {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }
