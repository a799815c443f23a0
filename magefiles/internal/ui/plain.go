package ui

import (
	"regexp"
	"strings"
	"unicode"
)

// Plain returns a text without what a terminal would obey rather than show: control characters but for line ends and tabs, and those that
// turn the direction of writing; and without what GitHub Actions would obey, a workflow command, also after spaces. Logs, answers, and names
// of files and processes are anybody's to write, and must not draw over what kindgate says.
func Plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Bidi_Control) {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
	return strings.ReplaceAll(workflowCommand.ReplaceAllString(text, "$1\uFFFD$2"), "##[", "##\uFFFD[")
}

// workflowCommand is how a line begins that is one, ::error file=a::. The older form begins with ##[ anywhere.
var workflowCommand = regexp.MustCompile(`(?m)^([\s\p{Z}]*)(::[A-Za-z-]+(?: .*)?::)`)
