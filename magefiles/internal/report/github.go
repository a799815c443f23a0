package report

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// mostAnnotations is how many of a step GitHub shows.
const mostAnnotations = 10

// Annotations are workflow commands that have GitHub show what failed, the most important first: the checks by the order of a request's way,
// then those whose reason another has said, then the steps, and the run. folder is kindgate's in the repository, empty for its root. See
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
func (r Run) Annotations(folder string) []string {
	failed := slices.DeleteFunc(r.Cases(), func(c Case) bool { return c.Outcome != Failed })
	slices.SortStableFunc(failed, func(a, b Case) int { return rank(a) - rank(b) })
	more := ""
	if len(failed) > mostAnnotations {
		more = fmt.Sprintf("\nand %s more that failed: the log has them", counted(len(failed)-mostAnnotations, "case"))
		failed = failed[:mostAnnotations]
	}
	var lines []string
	for i, c := range failed {
		text := c.text()
		if i == len(failed)-1 {
			text += more
		}
		var properties []string
		if c.File != "" {
			properties = append(properties, "file="+property(path.Join(folder, c.File)))
		}
		if c.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", c.Line))
		}
		properties = append(properties, "title="+property(c.Name))
		lines = append(lines, "::error "+strings.Join(properties, ",")+"::"+data.Replace(text))
	}
	return lines
}

// rank orders failures by how much they say.
func rank(c Case) int {
	switch {
	case c.Group == "checks" && !c.Again:
		return 0
	case c.Group == "checks":
		return 1
	case c.Group == "steps":
		return 2
	}
	return 3
}

// data escapes the text of a workflow command, as GitHub's own toolkit does, and property one of its properties.
var data = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")

func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data.Replace(text))
}

// mostRows bounds the table on the page.
const mostRows = 100

// Page is a page about the run in Markdown: the checks, the waterfall, and a drawing in Mermaid, which may be empty.
func (r Run) Page(drawing string) string {
	cases := r.Cases()
	count := func(o Outcome) (n int) {
		for _, c := range cases {
			if c.Outcome == o {
				n++
			}
		}
		return n
	}
	mark := map[Outcome]string{Passed: "✅", Failed: "❌", Skipped: "⚪"}
	var page strings.Builder
	result := "holds"
	if r.Err != nil {
		result = "failed"
	}
	fmt.Fprintf(&page, "## kindgate %s: %s\n\n%d passed, %d failed, %d not proven or not finished\n", cell(r.Name), result, count(Passed), count(Failed), count(Skipped))
	// What failed comes first, so that the bound never hides it.
	slices.SortStableFunc(cases, func(a, b Case) int { return onPage(a) - onPage(b) })
	var rows []string
	for _, c := range cases {
		switch {
		case c.Group == "steps" && c.Outcome == Passed: // the waterfall has it
		case c.Outcome == Failed && c.Hint != "":
			rows = append(rows, fmt.Sprintf("| %s | %s | %s<br>%s |", mark[c.Outcome], cell(c.Name), cell(c.Says), cell(c.Hint)))
		default:
			rows = append(rows, fmt.Sprintf("| %s | %s | %s |", mark[c.Outcome], cell(c.Name), cell(c.Says)))
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(&page, "\n| | check | found |\n|---|---|---|\n%s\n", strings.Join(rows[:min(len(rows), mostRows)], "\n"))
	}
	if len(rows) > mostRows {
		fmt.Fprintf(&page, "\nand %d more\n", len(rows)-mostRows)
	}
	if drawing != "" {
		fmt.Fprintf(&page, "\n```mermaid\n%s```\n", drawing)
	}
	if len(r.Waterfall) > 0 {
		fmt.Fprintf(&page, "\n```\n%s\n```\n", strings.Join(r.Waterfall, "\n"))
	}
	return page.String()
}

// onPage orders the cases: what failed, the most important first, and then the others.
func onPage(c Case) int {
	if c.Outcome == Failed {
		return rank(c)
	}
	return 10
}

// mostInCell bounds a cell: GitHub takes a page of a megabyte.
const mostInCell = 2000

// cell is a text in a cell of a table, which shows it as it is.
func cell(text string) string {
	if runes := []rune(text); len(runes) > mostInCell {
		text = string(runes[:mostInCell]) + "…"
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "\\|", "\n", "<br>", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "\\", "\\\\").Replace(text)
}
