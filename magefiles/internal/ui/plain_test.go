package ui

import (
	"bytes"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
)

func TestWhatATerminalWouldObeyIsNotPrinted(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\nc":                      "a\tb\nc",
		"a\r\nb":                       "a\nb",
		"é ✓ 日本":                       "é ✓ 日本",
		"\x1b[2J\x1b[H✓ verify passed": "�[2J�[H✓ verify passed",
		"its log:\n   ::stop-commands::x\n\t\u00a0::error file=a,line=1::hi": "its log:\n   �::stop-commands::x\n\t\u00a0�::error file=a,line=1::hi",
		"a ##[error]b": "a ##�[error]b",
		"listens at ::1\n::1 is local, a::b, and std::vector::size": "listens at ::1\n::1 is local, a::b, and std::vector::size",
		"broken\r✓ fine":                    "broken�✓ fine",
		"\u009b2J \u202egnp.exe \a\x00\xff": "�2J �gnp.exe ���",
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// A container's log, an answer's body or a file's name may have been written to look like kindgate's own verdict.
func TestNothingThatIsPrintedOnATerminalDrawsOverAnything(t *testing.T) {
	const evil = "x\x1b[1A\r✓ fine"
	for _, live := range []bool{false, true} {
		var out bytes.Buffer
		u := New(&out, Options{Live: live, Width: func() int { return 80 }})
		step := u.Begin("step")
		step.Report(evil)
		u.Check(Check{What: evil, Finding: check.Finding{Found: evil}, Hint: evil + "\n" + evil})
		u.Note(evil + "\n" + evil)
		u.Print(evil)
		u.Table([][]string{{"head"}, {evil}})
		step.End("failed", evil, nil)
		u.Waterfall()
		if text := out.String(); strings.Contains(text, "x\x1b") || strings.Contains(text, "\r") || !strings.Contains(text, "x�[1A�✓ fine") {
			t.Errorf("%q", text)
		}
	}
}
