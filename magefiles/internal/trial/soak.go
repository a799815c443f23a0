package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/machine"
	"kindgate/magefiles/internal/sandbox"
)

// moments is at how many moments of a cold run each way of ending it is tried, restarts at how many the engine is restarted.
const (
	moments  = 20
	restarts = 3
)

// fault is a kind of damage, how often it was tried, and what the next up made of it.
type fault struct {
	name             string
	tries, recovered int
	slowest          time.Duration
	problems         []string
}

// Soak interrupts and kills up at moments spread over a cold run, and restarts the container engine during one and after it, each time
// followed by an up that must succeed without deleting a cluster that was complete. It prints a table of faults, tries and recoveries.
func Soak(ctx context.Context, options Options) error {
	s, err := options.sandbox(ctx, "kindgate-soak")
	if err != nil {
		return err
	}
	defer func() { _ = s.Remove() }()
	start := time.Now()
	if err := s.Run(ctx, "up"); err != nil {
		return err
	}
	cold := time.Since(start)
	during := func(f *fault, i, of int, damage func(*exec.Cmd) error) {
		if ctx.Err() != nil {
			return
		}
		at := cold * time.Duration(2*i+1) / time.Duration(2*of)
		options.Print(fmt.Sprintf("%2d of %d: %s after %.1fs", i+1, of, f.name, at.Seconds()))
		f.during(ctx, s, at, damage)
	}
	restarted, restartedDuring := &fault{name: "engine restarted"}, &fault{name: "engine restarted during up from nothing"}
	killed, interrupted := &fault{name: "SIGKILL during up from nothing"}, &fault{name: "SIGINT during up from nothing"}
	faults := []*fault{killed, interrupted, restarted, restartedDuring}
	restart := func(*exec.Cmd) error { return exec.CommandContext(ctx, "sh", "-c", options.Restart).Run() }
	for i := range restarts {
		if options.Restart == "" {
			options.Print("engine restarts are left out: KINDGATE_SOAK_RESTART names no command")
			faults = faults[:2]
			break
		}
		during(restartedDuring, i, restarts, restart)
		if ctx.Err() != nil {
			break
		}
		options.Print("engine restarted when all is up")
		complete := completeCluster(ctx, s)
		restarted.recover(ctx, s, "all up", complete, restart(nil))
	}
	for i := range moments {
		during(killed, i, moments, machine.Kill)
		during(interrupted, i, moments, machine.Interrupt)
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
	return errors.Join(append(problems, context.Cause(ctx))...)
}

// during starts from nothing, does the damage at a moment of the run, and sees whether the next run comes through.
func (f *fault) during(ctx context.Context, s *sandbox.Sandbox, at time.Duration, damage func(*exec.Cmd) error) {
	cmd := s.Command(ctx, "up")
	if err := errors.Join(s.Run(ctx, "teardown"), cmd.Start()); err != nil {
		f.recover(ctx, s, "the run that is damaged", "", err)
		return
	}
	damaged := make(chan error, 1)
	var complete string
	timer := time.AfterFunc(at, func() {
		complete = completeCluster(ctx, s)
		damaged <- damage(cmd)
	})
	_ = cmd.Wait() // with what it ends is no matter
	var err error
	if !timer.Stop() {
		err = <-damaged
	}
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH) {
		err = nil // it was faster than the moment
	}
	f.recover(ctx, s, fmt.Sprintf("after %.1fs", at.Seconds()), complete, err)
}

// recover runs up, which must succeed. complete is the cluster that was complete before the damage, empty where there was none: it must
// still be there. damage is the error that kept the damage from being done.
func (f *fault) recover(ctx context.Context, s *sandbox.Sandbox, what, complete string, damage error) {
	complete = cmp.Or(complete, completeCluster(ctx, s))
	start := time.Now()
	err := errors.Join(damage, s.Run(ctx, "up"))
	if ctx.Err() != nil {
		return // no try: the user has ended it
	}
	f.tries++
	if err == nil && complete != "" && complete != authority(s) {
		err = errors.New("a complete cluster was deleted")
	}
	if err != nil {
		f.problems = append(f.problems, what+": "+err.Error())
		return
	}
	f.recovered++
	f.slowest = max(f.slowest, time.Since(start))
}

// completeCluster tells the cluster whose creation has come to its end from any other; it is empty where there is none.
func completeCluster(ctx context.Context, s *sandbox.Sandbox) string {
	out, err := s.Command(ctx, "status").Output()
	complete := err == nil && slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "cluster ") && strings.Contains(line, " ready")
	})
	if !complete {
		return ""
	}
	return authority(s)
}

// authority is the cluster's certificate authority, which each has for itself.
func authority(s *sandbox.Sandbox) string {
	config, err := clientcmd.LoadFromFile(s.Env["KINDGATE_KUBECONFIG"])
	if err != nil || config.Clusters[cluster.Context(s.Name)] == nil {
		return ""
	}
	return string(config.Clusters[cluster.Context(s.Name)].CertificateAuthorityData)
}
