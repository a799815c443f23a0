// Package graph compares the drawings of the targets' graph with the code.
package graph

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTheDrawingsShowTheDependenciesThatTheCodeHas(t *testing.T) {
	paths, err := filepath.Glob("../../*.go")
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, path := range paths {
		if filepath.Base(path) != "mage_output_file.go" { // mage writes it while it compiles, as the end-to-end suite may have it do now
			sources = append(sources, text(t, path))
		}
	}
	g, err := read(sources...)
	if err != nil {
		t.Fatal(err)
	}
	drawing := strings.TrimSuffix(g.draw(), "\n")
	for path, want := range map[string]string{
		"../../../README.md": "```\n" + drawing + "\n```\n",
		"../../targets.go":   "//\n//\t" + indented(drawing, "//\t") + "\n//\n",
	} {
		if !strings.Contains(text(t, path), want) {
			t.Errorf("%s does not show the graph as the code has it:\n%s", path, want)
		}
	}
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

// A graph is what targets and steps depend on, by the names that mage prints, in the order in which they are declared.
type graph struct {
	names []string
	needs map[string][]string
}

// dependants are the functions that run dependencies, and how many arguments come before these.
var dependants = map[string]int{"after": 2, "mg.Deps": 0, "mg.CtxDeps": 1, "mg.SerialDeps": 0, "mg.SerialCtxDeps": 1}

// read takes the graph from source files. What it could not draw is an error: a dependency that is no function, or two functions whose
// names mage would print alike.
func read(sources ...string) (graph, error) {
	g := graph{needs: map[string][]string{}}
	positions := token.NewFileSet()
	var functions []*ast.FuncDecl
	for _, source := range sources {
		file, err := parser.ParseFile(positions, "", source, 0)
		if err != nil {
			return g, err
		}
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Recv != nil {
				continue
			}
			if name := printed(function.Name); slices.Contains(g.names, name) {
				return g, fmt.Errorf("two functions are %s to mage", name)
			}
			functions, g.names = append(functions, function), append(g.names, printed(function.Name))
		}
	}
	var problem error
	for _, function := range functions {
		if function.Name.Name == "after" { // it hands on what it gets
			continue
		}
		name := printed(function.Name)
		ast.Inspect(function, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			before, ok := dependants[spelled(call.Fun)]
			if !ok {
				return true
			}
			for _, argument := range call.Args[before:] {
				need, ok := argument.(*ast.Ident)
				if !ok || !slices.Contains(g.names, printed(need)) {
					problem = fmt.Errorf("%s: a dependency of %s is no function of these files", positions.Position(argument.Pos()), name)
					return false
				}
				g.needs[name] = append(g.needs[name], printed(need))
			}
			return true
		})
	}
	return g, problem
}

// printed is how mage prints a function's name.
func printed(name *ast.Ident) string { return strings.ToLower(name.Name[:1]) + name.Name[1:] }

// spelled is how a function is called: name or package.name.
func spelled(function ast.Expr) string {
	switch f := function.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return spelled(f.X) + "." + f.Sel.Name
	}
	return ""
}

// draw returns the graph as text: a line leads from a function to each that it needs. What several need is drawn where it comes first, and
// is only a name elsewhere. Functions that stand alone are left out.
func (g graph) draw() string {
	drawn := map[string]bool{}
	plain := func(name string) bool { return drawn[name] || len(g.needs[name]) == 0 }
	// block draws a function with all that it needs, its name as wide as given.
	var block func(name string, width int) string
	block = func(name string, width int) string {
		if plain(name) {
			return name
		}
		drawn[name] = true
		needs, head := g.needs[name], name+" "+strings.Repeat("─", width-len(name))
		longest := 0
		for _, need := range needs {
			if !plain(need) {
				longest = max(longest, len(need))
			}
		}
		if longest == 0 {
			return head + "── " + strings.Join(needs, ", ")
		}
		var blocks []string
		for i, need := range needs {
			first, rest := " ├─ ", " │  "
			switch {
			case len(needs) == 1:
				first, rest = "── ", "   "
			case i == 0:
				first = "─┬─ "
			case i == len(needs)-1:
				first, rest = " └─ ", "    "
			}
			blocks = append(blocks, first+indented(block(need, longest), rest))
		}
		return head + indented(strings.Join(blocks, "\n"), strings.Repeat(" ", utf8.RuneCountInString(head)))
	}
	var drawing strings.Builder
	for _, name := range g.names {
		if !plain(name) {
			fmt.Fprintln(&drawing, block(name, len(name)))
		}
	}
	return drawing.String()
}

// indented puts the prefix before each line but the first.
func indented(lines, prefix string) string { return strings.ReplaceAll(lines, "\n", "\n"+prefix) }

func TestADependencyIsReadHoweverItIsGiven(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"none", `func Up(ctx C) error { return after(ctx, step) }; func Down() {}`, ""},
		{"of after", `func Up(ctx C) error { return after(ctx, func() { Down() }, a, B) }; func a() {}; func B() {}`, "up ── a, b\n"},
		{"of mage's own functions", `func Up(ctx C) { mg.Deps(a); mg.CtxDeps(ctx, b); if x { mg.SerialDeps(c) }; func() { mg.SerialCtxDeps(ctx, d) }() }
			func a() {}; func b() {}; func c() {}; func d() {}`, "up ── a, b, c, d\n"},
		{"of one that others need, too", `func Up() { mg.Deps(long, b, d) }; func long() { mg.Deps(b) }; func b() { mg.Deps(c, d) }
			func c() { mg.Deps(d) }; func d() {}; func Other() { mg.Deps(long) }`, "" +
			"up ─┬─ long ── b ─┬─ c ── d\n" +
			"    │             └─ d\n" +
			"    ├─ b\n" +
			"    └─ d\n" +
			"other ── long\n"},
		{"of after itself, which hands on", `func after(ctx C, step S, needs ...any) { mg.CtxDeps(ctx, needs...) }`, ""},
	} {
		g, err := read("package main\n" + test.source)
		if err != nil || g.draw() != test.want {
			t.Errorf("%s: %v\n%s", test.name, err, g.draw())
		}
	}
}

func TestWhatCannotBeDrawnIsAnError(t *testing.T) {
	for _, source := range []string{
		`func Up() { mg.Deps(other.Target) }`,
		`func Up() { mg.Deps(mg.F(a, 1)) }; func a(n int) {}`,
		`func Up() { mg.Deps(all...) }; var all []any`,
		`func Up() { mg.Deps(crds) }; func crds() {}; func Crds() {}`,
		`func Up() {`,
	} {
		if g, err := read("package main\n" + source); err == nil {
			t.Errorf("%s: drawn as\n%s", source, g.draw())
		}
	}
}
