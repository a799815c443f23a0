// Package commands is the command line of the one binary, which reads like kubectl's.
package commands

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"kindgate/magefiles/internal/spelling"
)

// A Command is one of a program's.
type Command struct {
	Name string
	// Usage is what follows the name, as URL [-files]; Short says in a line what the command does.
	Usage, Short string
	// Flags declares the command's flags, nil for none, and returns what is run when they are read. Arguments is how many others it takes.
	Flags     func(*flag.FlagSet) Run
	Arguments int
}

// Run does a command's work.
type Run func(ctx context.Context, args []string) error

// Plain is a command without arguments.
func Plain(work func(context.Context) error) func(*flag.FlagSet) Run {
	return func(*flag.FlagSet) Run { return func(ctx context.Context, _ []string) error { return work(ctx) } }
}

// A Group has commands that belong together, under a title.
type Group struct {
	Title    string
	Commands []Command
}

// A Program is what is run.
type Program struct {
	Name, About string
	Groups      []Group
	Out, Errors io.Writer
}

// The exit statuses of what is no command's: as mage has it for a target that does not exist, and of a shell for a process that SIGINT ended.
const exitUsage, exitInterrupted = 2, 130

// grace is how long an interrupted command may take to end by itself.
const grace = 5 * time.Second

// Main runs what the arguments say, and returns the exit status: that of the error, where it has one.
func (p Program) Main(args []string) int {
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	done := make(chan int, 1)
	go func() { done <- p.run(ctx, args) }()
	select {
	case status := <-done:
		return status
	case <-signals:
		interrupt()
	}
	select {
	case status := <-done:
		return status
	case <-signals:
	case <-time.After(grace):
	}
	return exitInterrupted
}

func (p Program) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		args = []string{"help"}
	}
	name, rest := args[0], args[1:]
	if slices.Contains([]string{"help", "-h", "-help", "--help"}, name) {
		if len(rest) == 0 {
			p.help()
			return 0
		}
		name, rest = rest[0], []string{"-h"}
	}
	command, ok := p.find(name)
	if !ok {
		return p.unknown(name)
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	run := command.Flags(flags)
	given, err := parse(flags, rest)
	switch {
	case errors.Is(err, flag.ErrHelp):
		p.describe(command, flags)
		return 0
	case err == nil && len(given) != command.Arguments:
		err = fmt.Errorf("it takes %d arguments, not %d", command.Arguments, len(given))
	}
	if err != nil {
		fmt.Fprintf(p.Errors, "error: %s: %v\nSee '%s %s --help' for usage.\n", name, err, p.Name, name)
		return exitUsage
	}
	if err := run(ctx, given); err != nil {
		fmt.Fprintln(p.Errors, "Error:", err)
		var status interface{ ExitStatus() int }
		if errors.As(err, &status) {
			return status.ExitStatus()
		}
		return 1
	}
	return 0
}

// parse reads flags before, between and after the other arguments, which it returns.
func parse(flags *flag.FlagSet, args []string) (given []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		args = flags.Args()
		if len(args) == 0 {
			return given, nil
		}
		given, args = append(given, args[0]), args[1:]
	}
}

func (p Program) find(name string) (Command, bool) {
	for _, group := range p.Groups {
		for _, command := range group.Commands {
			if command.Name == name {
				return command, true
			}
		}
	}
	return Command{}, false
}

func (p Program) unknown(name string) int {
	fmt.Fprintf(p.Errors, "error: unknown command %q for %q\n", name, p.Name)
	var near []string
	for _, group := range p.Groups {
		for _, command := range group.Commands {
			if spelling.Near(name, command.Name) {
				near = append(near, "\t"+command.Name)
			}
		}
	}
	if len(near) > 0 {
		fmt.Fprintf(p.Errors, "\nDid you mean this?\n%s\n", strings.Join(near, "\n"))
	}
	return exitUsage
}

func (p Program) help() {
	width := 0
	for _, group := range p.Groups {
		for _, command := range group.Commands {
			width = max(width, len(command.Name))
		}
	}
	fmt.Fprintln(p.Out, p.About)
	for _, group := range p.Groups {
		fmt.Fprintf(p.Out, "\n%s:\n", group.Title)
		for _, command := range group.Commands {
			fmt.Fprintf(p.Out, "  %-*s   %s\n", width, command.Name, command.Short)
		}
	}
	fmt.Fprintf(p.Out, "\nUsage:\n  %s COMMAND [arguments]\n\nUse \"%s COMMAND --help\" for more information about a command.\n", p.Name, p.Name)
}

func (p Program) describe(command Command, flags *flag.FlagSet) {
	fmt.Fprintf(p.Out, "%s.\n", command.Short)
	var options []string
	flags.VisitAll(func(f *flag.Flag) {
		value, about := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if value != "" {
			name += "=" + cmp.Or(f.DefValue, "''")
		}
		options = append(options, fmt.Sprintf("    %s:\n\t%s", name, about))
	})
	if len(options) > 0 {
		fmt.Fprintf(p.Out, "\nOptions:\n%s\n", strings.Join(options, "\n\n"))
	}
	fmt.Fprintf(p.Out, "\nUsage:\n  %s\n", strings.TrimSpace(p.Name+" "+command.Name+" "+command.Usage))
}
