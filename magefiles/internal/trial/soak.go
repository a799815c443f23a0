package trial

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"kindgate/magefiles/internal/sandbox"
)

// moments is at how many moments of a cold run each way of ending it is tried.
const moments = 20

// fault is a kind of damage, how often it was tried, and what the next up made of it.
type fault struct {
	name             string
	tries, recovered int
	slowest          time.Duration
	problems         []string
}

// Soak interrupts and kills up at moments spread over a cold run, and restarts the container engine, each time followed by an up that
// must succeed without deleting a cluster that was complete. It prints a table of faults, tries and recoveries.
func Soak(ctx context.Context, options Options) error {
	s, err := sandbox.New("kindgate-soak", options.Root, options.Binary)
	if err != nil {
		return err
	}
	defer func() { _ = s.Remove() }()
	start := time.Now()
	if err := s.Run(ctx, "up"); err != nil {
		return err
	}
	cold := time.Since(start)
	killed, interrupted := &fault{name: "SIGKILL during up from nothing"}, &fault{name: "SIGINT during up from nothing"}
	for i := range moments {
		at := cold * time.Duration(2*i+1) / (2 * moments)
		options.Print(fmt.Sprintf("%2d of %d: ended after %.1fs", i+1, moments, at.Seconds()))
		endedAt(ctx, s, killed, at, sandbox.Kill)
		endedAt(ctx, s, interrupted, at, sandbox.Interrupt)
	}
	faults := []*fault{killed, interrupted}
	if options.Restart != "" {
		faults = append(faults, options.restarts(ctx, s)...)
	} else {
		options.Print("engine restarts are left out: KINDGATE_SOAK_RESTART names no command")
	}
	rows := [][]string{{"fault", "tries", "recovered", "slowest recovery"}}
	var problems []error
	for _, f := range faults {
		rows = append(rows, []string{f.name, fmt.Sprint(f.tries), fmt.Sprint(f.recovered), fmt.Sprintf("%.1fs", f.slowest.Seconds())})
		for _, problem := range f.problems {
			problems = append(problems, fmt.Errorf("%s: %s", f.name, problem))
		}
	}
	options.table(rows)
	return errors.Join(problems...)
}

// endedAt starts from nothing, ends the run at a moment, and sees whether the next one comes through.
func endedAt(ctx context.Context, s *sandbox.Sandbox, f *fault, at time.Duration, end func(*exec.Cmd) error) {
	if err := s.Run(ctx, "teardown"); err != nil {
		f.problems = append(f.problems, err.Error())
		return
	}
	cmd := s.Command(ctx, "up")
	if err := cmd.Start(); err != nil {
		f.problems = append(f.problems, err.Error())
		return
	}
	timer := time.AfterFunc(at, func() { _ = end(cmd) })
	_ = cmd.Wait()
	timer.Stop()
	f.recover(ctx, s, fmt.Sprintf("ended after %.1fs", at.Seconds()))
}

// recover runs up, which must succeed; a cluster that was complete must still be the same one.
func (f *fault) recover(ctx context.Context, s *sandbox.Sandbox, what string) {
	f.tries++
	before, complete := container(s), isComplete(ctx, s)
	start := time.Now()
	if err := s.Run(ctx, "up"); err != nil {
		f.problems = append(f.problems, what+": "+err.Error())
		return
	}
	if complete && container(s) != before {
		f.problems = append(f.problems, what+": a complete cluster was deleted")
		return
	}
	f.recovered++
	f.slowest = max(f.slowest, time.Since(start))
}

func container(s *sandbox.Sandbox) string {
	out, _ := exec.Command("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", "name=^"+s.Node()+"$").Output()
	return strings.TrimSpace(string(out))
}

// isComplete tells whether the cluster's creation had come to its end.
func isComplete(ctx context.Context, s *sandbox.Sandbox) bool {
	out, err := s.Command(ctx, "status").Output()
	return err == nil && slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "cluster ") && strings.Contains(line, " ready")
	})
}

// restarts are the faults of the engine: restarted when all is up, and while up runs.
func (o Options) restarts(ctx context.Context, s *sandbox.Sandbox) []*fault {
	idle, busy := &fault{name: "engine restarted"}, &fault{name: "engine restarted during up from nothing"}
	restart := func() error { return exec.CommandContext(ctx, "sh", "-c", o.Restart).Run() }
	for i := range 3 {
		o.Print(fmt.Sprintf("engine restarts, %d of 3", i+1))
		if err := errors.Join(s.Run(ctx, "up"), restart()); err != nil {
			idle.problems = append(idle.problems, err.Error())
			continue
		}
		idle.recover(ctx, s, "all up")

		if err := s.Run(ctx, "teardown"); err != nil {
			busy.problems = append(busy.problems, err.Error())
			continue
		}
		cmd := s.Command(ctx, "up")
		if err := cmd.Start(); err != nil {
			busy.problems = append(busy.problems, err.Error())
			continue
		}
		time.Sleep(time.Duration(3+5*i) * time.Second)
		if err := restart(); err != nil {
			busy.problems = append(busy.problems, err.Error())
		}
		_ = cmd.Wait()
		busy.recover(ctx, s, "during up")
	}
	return []*fault{idle, busy}
}
