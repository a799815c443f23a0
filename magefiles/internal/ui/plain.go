package ui

import (
	"strings"
	"unicode"
)

// Plain returns a text without what a terminal would obey rather than show: control characters but for line ends and tabs, and those that
// turn the direction of writing. Logs, answers, and names of files and processes are anybody's to write, and must not draw over what
// kindgate says.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Bidi_Control) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}
