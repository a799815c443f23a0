// Package drawing draws what Gateways serve as a graph, in Mermaid and in DOT. It knows no cluster.
package drawing

import (
	"fmt"
	"slices"
	"strings"

	"kindgate/magefiles/internal/check"
)

// A Drawing has nodes, and edges that lead from what takes a request to where it goes on. The zero value is empty.
type Drawing struct {
	Nodes []Node
	Edges []Edge
}

// A Node is a Gateway, a listener, a route, a request or a Service.
type Node struct {
	// What is the kind of thing, and Name which it is, for people. Key tells nodes of one name apart; it may be empty.
	What, Name, Key string
	// Finding is what was found of it; without a verdict where nothing was looked at.
	check.Finding
}

// An Edge leads from one node to another, by their indices.
type Edge struct {
	From, To int
	Label    string
}

// Node returns the index of a node, which is added where there is none of its kind, name and key. Of two findings, the one that fails stays.
func (d *Drawing) Node(n Node) int {
	i := slices.IndexFunc(d.Nodes, func(o Node) bool { return o.What == n.What && o.Name == n.Name && o.Key == n.Key })
	if i < 0 {
		d.Nodes = append(d.Nodes, n)
		return len(d.Nodes) - 1
	}
	if had := d.Nodes[i].Finding; had.Verdict == "" || n.Verdict != "" && n.Fails() && !had.Fails() {
		d.Nodes[i].Finding = n.Finding
	}
	return i
}

// Edge adds an edge, once.
func (d *Drawing) Edge(from, to int, label string) {
	if e := (Edge{from, to, label}); !slices.Contains(d.Edges, e) {
		d.Edges = append(d.Edges, e)
	}
}

// Walk visits the nodes in the order of the graph, each below every node that leads to it.
func (d *Drawing) Walk(visit func(depth int, n Node)) {
	var below func(i, depth int)
	below = func(i, depth int) {
		visit(depth, d.Nodes[i])
		for _, e := range d.Edges {
			if e.From == i {
				below(e.To, depth+1)
			}
		}
	}
	for i := range d.Nodes {
		if !slices.ContainsFunc(d.Edges, func(e Edge) bool { return e.To == i }) {
			below(i, 0)
		}
	}
}

// classes are the colours of nodes, which are readable on a light and on a dark page.
var classes = []struct{ name, fill, line string }{
	{"holds", "#d1e7dd", "#198754"}, {"warns", "#fff3cd", "#b58900"}, {"broken", "#f8d7da", "#dc3545"}, {"unknown", "#e2e3e5", "#6c757d"},
}

// class is the name of a node's colour; empty where nothing was looked at.
func (n Node) class() string {
	switch {
	case n.Verdict == "":
		return ""
	case n.Fails():
		return "broken"
	}
	return string(n.Verdict)
}

func (n Node) label() string {
	text := n.What + "\n" + n.Name
	if n.Found != "" && n.Verdict != check.Holds || n.What == Service && n.Found != "" {
		first, _, _ := strings.Cut(n.Found, "\n")
		if runes := []rune(first); len(runes) > mostInLabel {
			first = string(runes[:mostInLabel]) + "…"
		}
		text += "\n" + first
	}
	return text
}

// Service is what a node is called whose finding is shown even where it holds: its ready endpoints.
const Service = "Service"

const mostInLabel = 100

// Mermaid returns the drawing as Mermaid's flowchart. See https://mermaid.js.org/syntax/flowchart.html.
func (d *Drawing) Mermaid() string {
	escape := strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "`", "#96;", "\n", "<br>")
	var text strings.Builder
	text.WriteString("flowchart LR\n")
	for i, n := range d.Nodes {
		fmt.Fprintf(&text, "  n%d[\"%s\"]", i, escape.Replace(n.label()))
		if class := n.class(); class != "" {
			text.WriteString(":::" + class)
		}
		text.WriteString("\n")
	}
	for _, e := range d.Edges {
		label := ""
		if e.Label != "" {
			label = `|"` + escape.Replace(e.Label) + `"|`
		}
		fmt.Fprintf(&text, "  n%d -->%s n%d\n", e.From, label, e.To)
	}
	for _, c := range classes {
		if slices.ContainsFunc(d.Nodes, func(n Node) bool { return n.class() == c.name }) {
			fmt.Fprintf(&text, "  classDef %s fill:%s,stroke:%s,color:#212529\n", c.name, c.fill, c.line)
		}
	}
	return text.String()
}

// DOT returns the drawing in the language of Graphviz. See https://graphviz.org/doc/info/lang.html.
func (d *Drawing) DOT() string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var text strings.Builder
	text.WriteString("digraph kindgate {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", fillcolor=white];\n")
	for i, n := range d.Nodes {
		fmt.Fprintf(&text, "  n%d [label=\"%s\"", i, escape.Replace(n.label()))
		for _, c := range classes {
			if n.class() == c.name {
				fmt.Fprintf(&text, ", fillcolor=\"%s\", color=\"%s\"", c.fill, c.line)
			}
		}
		text.WriteString("];\n")
	}
	for _, e := range d.Edges {
		label := ""
		if e.Label != "" {
			label = fmt.Sprintf(" [label=\"%s\"]", escape.Replace(e.Label))
		}
		fmt.Fprintf(&text, "  n%d -> n%d%s;\n", e.From, e.To, label)
	}
	return text.String() + "}\n"
}
