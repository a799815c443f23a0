package ui

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// live is the block of lines at the bottom of a terminal, one for each running step, that is drawn over again and again.
type live struct {
	drawn   int // lines on the screen
	frame   int
	ticking bool
}

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// erase removes the block, so that other lines can be printed.
func (l *live) erase(out io.Writer) {
	if l.drawn > 0 {
		fmt.Fprintf(out, "\x1b[%dA\x1b[J", l.drawn)
		l.drawn = 0
	}
}

// refresh draws the block anew, and sees to it that this goes on while steps are running. The caller holds the lock.
func (u *UI) refresh() {
	if !u.options.Live {
		return
	}
	u.live.erase(u.out)
	width := u.options.Width()
	for _, s := range u.steps {
		if s.running() {
			fmt.Fprintln(u.out, clip(u.runningLine(s), width-1))
			u.live.drawn++
		}
	}
	if u.live.drawn > 0 && !u.live.ticking {
		u.live.ticking = true
		go u.tick()
	}
}

func (u *UI) tick() {
	for range time.Tick(100 * time.Millisecond) {
		u.mu.Lock()
		u.live.frame++
		u.refresh()
		over := u.live.drawn == 0
		if over {
			u.live.ticking = false
		}
		u.mu.Unlock()
		if over {
			return
		}
	}
}

func (s *Step) running() bool {
	return !s.ended && len(s.spans) > 0 && s.spans[len(s.spans)-1].to < 0
}

func (u *UI) runningLine(s *Step) string {
	spinner := []rune(frames)
	line := fmt.Sprintf("%c %-*s %6s  ", spinner[u.live.frame%len(spinner)], nameWidth, s.Name, seconds(s.took()))
	if s.total > 0 {
		const cells = 20
		full := int(min(s.copied, s.total) * cells / s.total)
		line += fmt.Sprintf("%s%s %d/%d MB ", strings.Repeat("█", full), strings.Repeat("░", cells-full), s.copied>>20, max(s.copied, s.total)>>20)
	}
	return line + s.phase
}

// clip cuts a line that would wrap, which would spoil the count of lines to draw over.
func clip(line string, width int) string {
	line, _, _ = strings.Cut(line, "\n")
	runes := []rune(line)
	if width < 1 || len(runes) <= width {
		return line
	}
	return string(runes[:width-1]) + "…"
}
