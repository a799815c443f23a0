package commands

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

type failure int

func (f failure) Error() string { return fmt.Sprintf("failed with %d", int(f)) }

func (f failure) ExitStatus() int { return int(f) }

// program has a command that does nothing, two that fail, and one with flags, and returns what they were given.
func program() (p Program, out, complaints *bytes.Buffer, ran func() []string) {
	out, complaints = &bytes.Buffer{}, &bytes.Buffer{}
	var calls []string
	named := func(name string, err error) func(*flag.FlagSet) Run {
		return Plain(func(context.Context) error { calls = append(calls, name); return err })
	}
	p = Program{Name: "program", About: "A program.", Out: out, Errors: complaints, Groups: []Group{
		{"First", []Command{{Name: "up", Short: "Bring up", Flags: named("up", nil)}, {Name: "refuse", Short: "Refuse", Flags: named("refuse", fmt.Errorf("wrapped: %w", failure(3)))}}},
		{"Second", []Command{{Name: "fail", Short: "Fail", Flags: named("fail", errors.New("no"))},
			{Name: "explain", Usage: "URL [options]", Short: "Explain", Arguments: 1, Flags: func(flags *flag.FlagSet) Run {
				method, files := flags.String("method", "GET", "The `name`."), flags.Bool("files", false, "By the files.")
				return func(_ context.Context, args []string) error {
					calls = append(calls, fmt.Sprint("explain ", args, *method, *files))
					return nil
				}
			}}}},
	}}
	return p, out, complaints, func() []string { return calls }
}

func TestACommandIsRunWithItsArgumentsAndItsErrorIsTheExitStatus(t *testing.T) {
	for _, test := range []struct {
		args   string
		status int
		ran    string
		words  string
	}{
		{"up", 0, "up", ""},
		{"refuse", 3, "refuse", "Error: wrapped: failed with 3\n"},
		{"fail", 1, "fail", "Error: no\n"},
		{"explain http://a/ -method=PUT -files", 0, "explain [http://a/]PUTtrue", ""},
		{"explain --files http://a/", 0, "explain [http://a/]GETtrue", ""},
		{"explain --method POST http://a/", 0, "explain [http://a/]POSTfalse", ""},
		{"explain", 2, "", "error: explain: it takes 1 arguments, not 0\nSee 'program explain --help' for usage.\n"},
		{"up crds", 2, "", "it takes 0 arguments, not 1"},
		{"explain http://a/ -nothing", 2, "", "flag provided but not defined: -nothing"},
		{"upp", 2, "", "error: unknown command \"upp\" for \"program\"\n\nDid you mean this?\n\tup\n"},
		{"anything", 2, "", "error: unknown command \"anything\" for \"program\"\n"},
	} {
		p, _, complaints, ran := program()
		status := p.Main(strings.Fields(test.args))
		if status != test.status || strings.Join(ran(), " ") != test.ran || !strings.Contains(complaints.String(), test.words) {
			t.Errorf("%s: status %d, ran %v\n%s", test.args, status, ran(), complaints)
		}
	}
}

func TestHelpListsTheCommandsInTheirGroups(t *testing.T) {
	const want = `A program.

First:
  up        Bring up
  refuse    Refuse

Second:
  fail      Fail
  explain   Explain

Usage:
  program COMMAND [arguments]

Use "program COMMAND --help" for more information about a command.
`
	for _, args := range []string{"", "help", "--help", "-h"} {
		p, out, _, ran := program()
		if status := p.Main(strings.Fields(args)); status != 0 || out.String() != want || len(ran()) > 0 {
			t.Errorf("%q: %d\n%s", args, status, out)
		}
	}
}

func TestHelpDescribesACommandWithItsOptions(t *testing.T) {
	const want = "Explain.\n\nOptions:\n    --files:\n\tBy the files.\n\n    --method=GET:\n\tThe name.\n\nUsage:\n  program explain URL [options]\n"
	for _, args := range []string{"help explain", "explain --help", "explain http://a/ -h"} {
		p, out, _, ran := program()
		if status := p.Main(strings.Fields(args)); status != 0 || out.String() != want || len(ran()) > 0 {
			t.Errorf("%q: %d\n%s", args, status, out)
		}
	}
	p, _, complaints, _ := program()
	if status := p.Main([]string{"help", "nothing"}); status != 2 || !strings.Contains(complaints.String(), "unknown command") {
		t.Errorf("%d %s", status, complaints)
	}
}

// The test is its own program, which is interrupted.
func TestCtrlCEndsACommandAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt")
	}
	if os.Getenv("COMMANDS_TEST") != "" {
		wait := func(ctx context.Context) error {
			fmt.Println("begun")
			<-ctx.Done()
			return failure(130)
		}
		os.Exit(Program{Groups: []Group{{Commands: []Command{{Name: "wait", Flags: Plain(wait)}}}}, Errors: os.Stderr}.Main([]string{"wait"}))
	}
	self := exec.Command(os.Args[0], "-test.run=^TestCtrlCEndsACommandAtOnce$")
	self.Env = append(os.Environ(), "COMMANDS_TEST=yes")
	out, err := self.StdoutPipe()
	if err == nil {
		err = self.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Error(err)
	}
	at := time.Now()
	if err := self.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	_ = self.Wait()
	if status := self.ProcessState.ExitCode(); status != 130 || time.Since(at) > grace/2 {
		t.Errorf("status %d after %s", status, time.Since(at))
	}
}

func parsed(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Every target of mage's is a command of the one binary by the same name, and the functions that a command runs are the target's.
func TestTheBinaryHasEveryTargetAsACommand(t *testing.T) {
	var targets []string
	for _, path := range []string{"../../targets.go", "../../develop.go"} {
		for _, declaration := range parsed(t, path).Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.IsExported() {
				targets = append(targets, function.Name.Name)
			}
		}
	}
	main := parsed(t, "../../main.go")
	runs := map[string][]string{} // by the functions that are used for a command, the targets that they run
	for _, declaration := range main.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok {
			ast.Inspect(function.Body, func(node ast.Node) bool {
				if name, ok := node.(*ast.Ident); ok && slices.Contains(targets, name.Name) {
					runs[function.Name.Name] = append(runs[function.Name.Name], name.Name)
				}
				return true
			})
		}
	}
	found := map[string]string{} // the targets, by the commands
	ast.Inspect(main, func(node ast.Node) bool {
		literal, ok := node.(*ast.CompositeLit)
		if !ok {
			return true
		}
		fields := map[string]ast.Expr{}
		for _, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok {
					fields[key.Name] = pair.Value
				}
			}
		}
		name, ok := fields["Name"].(*ast.BasicLit)
		if !ok || fields["Short"] == nil {
			return true
		}
		text, _ := strconv.Unquote(name.Value)
		ast.Inspect(fields["Flags"], func(node ast.Node) bool {
			if used, ok := node.(*ast.Ident); ok {
				for _, target := range append(runs[used.Name], used.Name) {
					if slices.Contains(targets, target) {
						found[text] = target
					}
				}
			}
			return true
		})
		return true
	})
	for _, target := range targets {
		if found[strings.ToLower(target)] != target {
			t.Errorf("the command %s runs %q", strings.ToLower(target), found[strings.ToLower(target)])
		}
	}
	if len(found) != len(targets) {
		t.Errorf("%d commands run %d targets: %v", len(found), len(targets), found)
	}
}
