package ui

import (
	"fmt"
	"strings"
	"time"
)

// Waterfall prints a bar for every step on one time axis, so that a reader sees what ran beside what, and what all waited for.
func (u *UI) Waterfall() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.options.JSON || len(u.steps) == 0 {
		return
	}
	u.line("\n" + strings.Join(waterfall(u.steps, min(u.options.Width(), 100)), "\n"))
}

const (
	nameWidth   = 12
	secondWidth = 8
)

func waterfall(steps []*Step, width int) []string {
	end := time.Millisecond
	for _, s := range steps {
		for _, span := range s.spans {
			end = max(end, span.to)
		}
	}
	cells := max(width-nameWidth-secondWidth-4, 10)
	at := func(t time.Duration) int { return int(int64(t) * int64(cells) / int64(end)) }
	lines := []string{axis(end, cells, at)}
	for _, s := range steps {
		bar := []rune(strings.Repeat(" ", cells))
		for i, span := range s.spans {
			to := span.to
			if to < 0 {
				to = end
			}
			if i > 0 {
				for x := at(s.spans[i-1].to); x < at(span.from) && x < cells; x++ {
					bar[x] = '·'
				}
			}
			from := min(at(span.from), cells-1)
			for x := from; x < max(at(to), from+1); x++ {
				bar[x] = '█'
			}
		}
		lines = append(lines, fmt.Sprintf("%-*s %s %*s", nameWidth, s.Name, string(bar), secondWidth, seconds(s.took())))
	}
	return lines
}

// axis has about five marks at round times.
func axis(end time.Duration, cells int, at func(time.Duration) int) string {
	marks := []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond,
		500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}
	every := marks[len(marks)-1]
	for i := len(marks) - 1; i >= 0 && end/marks[i] <= 6; i-- {
		every = marks[i]
	}
	text := []rune(strings.Repeat(" ", cells))
	free := 0 // where there is room for the next mark
	for t := time.Duration(0); t <= end; t += every {
		label := []rune(fmt.Sprintf("│%g", t.Seconds()))
		if x := at(t); x >= free && x+len(label) <= cells {
			copy(text[x:], label)
			free = x + len(label) + 1
		}
	}
	return strings.Repeat(" ", nameWidth+1) + string(text) + " seconds"
}
