package ui

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func newUI(options Options) (*UI, *strings.Builder) {
	var out strings.Builder
	if options.Width == nil {
		options.Width = func() int { return 80 }
	}
	return New(&out, options), &out
}

func TestPlainLinesHaveNoEscapes(t *testing.T) {
	u, out := newUI(Options{})
	step := u.Begin("cluster")
	step.Report("preparing nodes")
	step.End("created", "3 objects", nil)
	u.Begin("apps").End("", "", errors.New("no"))
	u.Check(Error, "HTTPRoute/a/b", "not accepted", "look here\nand there")
	for _, want := range []string{"· cluster   preparing nodes\n", "✓ cluster   created", "3 objects", "✗ apps      failed", "✗ HTTPRoute/a/b  not accepted\n    look here\n    and there\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out)
	}
}

func TestJSONIsOneObjectALine(t *testing.T) {
	u, out := newUI(Options{JSON: true})
	step := u.Begin("traefik")
	step.Report("installing")
	step.Pause("created", "chart")
	u.Begin("traefik").End("", "", nil)
	u.Begin("apps").End("", "", errors.New("broken"))
	u.Print("for people")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	var first, second record
	if err := errors.Join(json.Unmarshal([]byte(lines[0]), &first), json.Unmarshal([]byte(lines[1]), &second)); err != nil {
		t.Fatal(err)
	}
	if first.Step != "traefik" || first.Result != "created" || first.Start.IsZero() || first.End.Before(first.Start) || second.Result != "failed" || second.Error != "broken" {
		t.Errorf("%+v %+v", first, second)
	}
}

func TestTheWaterfallFitsItsWidth(t *testing.T) {
	steps := []*Step{
		{Name: "cluster", spans: []span{{0, 10 * time.Second}}},
		{Name: "apps", spans: []span{{5 * time.Second, 6 * time.Second}, {9 * time.Second, 12 * time.Second}}},
	}
	for _, width := range []int{40, 80, 100} {
		for _, line := range waterfall(steps, width) {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("width %d, line of %d: %s", width, n, line)
			}
		}
	}
	if lines := waterfall(steps, 80); !strings.Contains(lines[2], "█·") {
		t.Errorf("the pause is not shown: %s", lines[2])
	}
}

func TestLiveLinesNeverWrap(t *testing.T) {
	u, out := newUI(Options{Live: true, Width: func() int { return 40 }})
	step := u.Begin("images")
	step.Report(strings.Repeat("long ", 40) + "\nand more")
	step.Bytes(50<<20, 100<<20)
	u.Print("a line above")
	step.End("created", "", nil)
	for _, line := range strings.Split(out.String(), "\n") {
		if i := strings.LastIndex(line, "\x1b[J"); i >= 0 {
			line = line[i+3:]
		}
		if strings.HasPrefix(line, "⠋") && utf8.RuneCountInString(line) > 39 {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}
