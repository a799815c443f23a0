package ui

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/limits"
)

func newUI(options Options) (*UI, *strings.Builder) {
	var out strings.Builder
	if options.Width == nil {
		options.Width = func() int { return 80 }
	}
	return New(&out, options), &out
}

func TestColorsAreAllThatDiffersForThoseWhoAskForThem(t *testing.T) {
	for _, color := range []bool{true, false} {
		u, out := newUI(Options{Color: color})
		step := u.Begin("cluster")
		step.Report("preparing nodes")
		step.End("created", "3 objects", nil)
		u.Begin("apps").End("", "", errors.New("no"))
		u.Check(Check{What: "HTTPRoute/a/b", Finding: check.Finding{Found: "not accepted"}, Hint: "look here\nand there"})
		u.Check(Check{What: "c", Finding: check.Finding{Verdict: check.Warns}})
		for _, escape := range []string{string(green) + "✓", string(red) + "✗", string(yellow) + "!"} {
			if strings.Contains(out.String(), escape) != color {
				t.Errorf("colors %v: %q", color, out)
			}
		}
		plain := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(out.String(), "")
		for _, want := range []string{
			"· cluster      preparing nodes\n", "✓ cluster      created", "3 objects\n", "✗ apps         failed",
			"✗ HTTPRoute/a/b  not accepted\n    look here\n    and there\n", "! c\n",
		} {
			if !strings.Contains(plain, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
		if !color && strings.Contains(out.String(), "\x1b") {
			t.Errorf("%q", out)
		}
	}
}

func TestAPlainPhaseIsPrintedOnceAndAWaitIsSaidAfterAWhileNotAtEveryChange(t *testing.T) {
	u, out := newUI(Options{})
	step := u.Begin("apps")
	for _, phase := range []string{"applying", "applying", "Waiting for 1 of 3", "waiting for 2 of 3"} {
		step.Report(phase)
	}
	if got := strings.Count(out.String(), "·"); got != 1 {
		t.Errorf("%d phases in:\n%s", got, out)
	}
	step.said = time.Now().Add(-limits.WaitLines)
	step.Report("waiting for 2 of 3")
	step.End("created", "", nil)
	step.Report("too late")
	if got := strings.Count(out.String(), "·"); got != 2 || !strings.Contains(out.String(), "· apps         waiting for 2 of 3\n") || !strings.Contains(out.String(), "· apps         applying\n") {
		t.Errorf("%d phases in:\n%s", got, out)
	}
}

func TestTableColumnsAreAlignedWithoutTrailingBlanks(t *testing.T) {
	for _, test := range []struct {
		rows [][]string
		want string
	}{
		{[][]string{{"NAME", "URL", "BY"}, {"x", "http://a.localhost/", ""}, {"long name", "-", "whoami"}},
			"NAME       URL                  BY\nx          http://a.localhost/\nlong name  -                    whoami\n"},
		{[][]string{{"what", "", "limit"}, {"über", "", "é"}, {"a  b", "", "x"}}, "what    limit\nüber    é\na  b    x\n"},
		{[][]string{{"WHAT", "STATE"}, {"route", "refused:\n\tby a webhook that says much"}, {"pod", "ready"}},
			"WHAT   STATE\nroute  refused:\n\tby a webhook that says much\npod    ready\n"},
	} {
		u, out := newUI(Options{})
		u.Table(test.rows)
		if out.String() != test.want {
			t.Errorf("got\n%swant\n%s", out, test.want)
		}
	}
}

func TestAMachineReadsOneJSONObjectALineAndNothingElse(t *testing.T) {
	u, out := newUI(Options{JSON: true, Color: true})
	step := u.Begin("traefik")
	step.Report("installing")
	step.Bytes(1, 2)
	step.Pause("created", "<a> & b")
	u.Begin("traefik").End("", "", nil)
	u.Begin("apps").End("", "", errors.New("broken"))
	u.Check(Check{What: "port 80", Finding: check.Finding{Found: "taken"}, Hint: "stop it\nor choose another"})
	u.Note("look\nhere")
	u.Print("for people")
	u.Table([][]string{{"for", "people"}})
	u.Object(map[string]int{"n": 1})
	u.Waterfall()
	lines := strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
	var keys []string
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, key := range []string{"step", "check", "note", "n"} {
			if object[key] != nil {
				keys = append(keys, key)
			}
		}
	}
	if !slices.Equal(keys, []string{"step", "step", "check", "note", "n"}) || len(lines) != len(keys) ||
		!strings.Contains(out.String(), `"<a> & b"`) || strings.Contains(out.String(), "\x1b") {
		t.Fatalf("%s", out)
	}
	var first, second StepLine
	if err := errors.Join(json.Unmarshal([]byte(lines[0]), &first), json.Unmarshal([]byte(lines[1]), &second)); err != nil {
		t.Fatal(err)
	}
	if first.Step != "traefik" || first.Result != "created" || first.Start.IsZero() || first.End.Before(first.Start) ||
		second.Result != "failed" || second.Error != "broken" {
		t.Errorf("%+v %+v", first, second)
	}
}

func TestAPersonReadsNoJSONNorAWaterfallOfNoSteps(t *testing.T) {
	u, out := newUI(Options{})
	u.Object(map[string]int{"n": 1})
	u.Waterfall()
	if out.Len() > 0 {
		t.Errorf("a person reads %q", out)
	}
}

// screen is what a terminal shows after out: every line that was drawn over is gone. It fails for a line that would have wrapped.
func screen(t *testing.T, out string, width int) []string {
	t.Helper()
	var shown []string
	erase := regexp.MustCompile(`^\x1b\[(\d+)A\x1b\[J`)
	for line := range strings.Lines(out) {
		for found := erase.FindStringSubmatch(line); found != nil; found = erase.FindStringSubmatch(line) {
			n, _ := strconv.Atoi(found[1])
			shown, line = shown[:len(shown)-n], line[len(found[0]):]
		}
		shown = append(shown, strings.TrimSuffix(line, "\n"))
		if n := utf8.RuneCountInString(shown[len(shown)-1]); n >= width && strings.ContainsRune(frames, []rune(line)[0]) {
			t.Errorf("a live line of %d columns on a terminal of %d: %s", n, width, line)
		}
	}
	return shown
}

func TestLiveLinesNeverWrapAndLeaveNothingBehind(t *testing.T) {
	for _, width := range []int{40, 80, 100} {
		u, out := newUI(Options{Live: true, Width: func() int { return width }})
		first, second := u.Begin("cluster"), u.Begin("images")
		long := "waiting for " + strings.Repeat("something ", 30) + "\nwith a second line"
		first.Report(long)
		second.Report(long)
		second.Bytes(1<<30, 1<<20) // more than was announced
		u.Print("a line", "and another")
		second.Pause("created", "2 images")
		u.Note("look\nhere")
		second = u.Begin("images")
		first.End("created", "", nil)
		second.End("", "", nil)
		got := screen(t, out.String(), width)
		want := []string{"a line", "and another", "! look", "  here", "✓ cluster      created", "✓ images       created"}
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("width %d:\n%s", width, strings.Join(got, "\n"))
		}
		if !strings.HasSuffix(got[len(got)-1], "  2 images") {
			t.Errorf("the detail of the part before the pause is lost: %s", got[len(got)-1])
		}
	}
}

func TestALineIsCutWithAMarkAndOnlyWhereItIsTooLong(t *testing.T) {
	for _, test := range []struct {
		line  string
		width int
		want  string
	}{
		{"abcde", 5, "abcde"}, {"abcdef", 5, "abcd…"}, {"äöüßé!", 5, "äöüß…"},
		{"ab\ncdefg", 5, "ab"}, {"abc", 1, "…"}, {"abc", 0, "abc"}, {"", 5, ""},
	} {
		if got := clip(test.line, test.width); got != test.want {
			t.Errorf("%q at %d: %q", test.line, test.width, got)
		}
	}
}

func TestTheWaterfallsBarsAreWhereTheirTimesAre(t *testing.T) {
	steps := []*Step{
		{Name: "first", spans: []span{{0, 5 * time.Second}}},
		{Name: "second", spans: []span{{5 * time.Second, 10 * time.Second}}},
		{Name: "at once", spans: []span{{10 * time.Second, 10 * time.Second}}},
		{Name: "paused", spans: []span{{0, time.Second}, {9 * time.Second, 10 * time.Second}}},
	}
	for _, width := range []int{40, 80, 100} {
		lines := waterfall(steps, width)
		cells := width - nameWidth - secondWidth - 4
		bar := func(i int) []rune { return []rune(lines[i])[nameWidth+1 : nameWidth+1+cells] }
		first, second, once, paused := string(bar(1)), string(bar(2)), string(bar(3)), string(bar(4))
		if strings.Count(first, "█") != cells/2 || !strings.HasPrefix(first, "█") ||
			!strings.HasSuffix(second, "█") || strings.Count(first+second, "█") != cells {
			t.Errorf("width %d: one must begin where the other ends:\n%s\n%s", width, first, second)
		}
		if strings.Count(once, "█") != 1 {
			t.Errorf("width %d: what took no time is still seen: %q", width, once)
		}
		if !regexp.MustCompile(`^█+·+█+$`).MatchString(paused) {
			t.Errorf("width %d: the pause is not shown: %q", width, paused)
		}
		if !strings.Contains(lines[0], "│0") || !strings.HasSuffix(lines[0], "seconds") || strings.Index(lines[0], "│0") != nameWidth+1 {
			t.Errorf("width %d: %s", width, lines[0])
		}
	}
}

func TestTheWaterfallIsAtMost100WideAndStandsAnyTimes(t *testing.T) {
	for _, width := range []int{0, 10, 40, 80, 100, 300} {
		u, out := newUI(Options{Width: func() int { return width }})
		for _, end := range []time.Duration{0, time.Millisecond, 7 * time.Second, 40 * time.Minute} {
			u.steps = append(u.steps, &Step{Name: "s", ui: u, spans: []span{{end / 2, end}}})
		}
		u.Begin("running") // as in a run that has failed
		u.Waterfall()
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > max(min(width, 100), nameWidth+secondWidth+14) {
				t.Errorf("width %d, line of %d: %s", width, n, line)
			}
		}
	}
}
