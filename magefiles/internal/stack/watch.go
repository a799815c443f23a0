package stack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/machine"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/ui"
	"kindgate/magefiles/internal/watch"
)

// Watch runs up, and again whenever a file or an image has changed, until ctx ends. Each of these rounds is a process of its own, which finds out anew
// all that it goes by, and holds the lock alone; what is kept between them only says what has changed. Its error is that it was interrupted, or that it
// cannot begin.
func (s *Stack) Watch(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	err := s.watch(ctx)
	s.ui.Object(exitLine{Exit: s.ExitStatus(err), Error: text(err)})
	return err
}

func (s *Stack) watch(ctx context.Context) error {
	if s.misconfigured != nil {
		return s.misconfigured
	}
	if s.config.Context != "" && !s.config.Approve {
		return errors.New("watch applies what is saved, without a question: with KINDGATE_CONTEXT, it takes KINDGATE_APPROVE=yes")
	}
	for _, dir := range folders {
		if isShipped(dir) {
			return fmt.Errorf("there is no %s/ here whose files could change: %s writes it", dir, shipped.Command("init"))
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	(&watching{Stack: s, self: self}).follow(ctx)
	return run.ErrInterrupted
}

// watching is a session of watch.
type watching struct {
	*Stack
	self   string // the program
	files  watch.State
	images map[string]string // the engine's IDs of those that the files name
	notes  []string          // of the last round
}

// folders are those that are watched.
var folders = []string{shipped.Kind, shipped.Manifests}

// follow runs the first round, and all that follow, until ctx ends.
func (w *watching) follow(ctx context.Context) {
	saved := watch.Folders(ctx, folders...)
	built := make(chan struct{}, 1)
	if w.config.Context == "" {
		go w.cluster.FollowImages(ctx, func() { watch.Signal(built) })
	}
	w.files, w.images = watch.Look(folders...), w.imageIDs(ctx)
	first := w.up(ctx)
	first.Stdout, first.Stderr = os.Stdout, os.Stderr
	_ = first.Run() // what is wrong it has said, and the next save may mend it
	w.ui.Print("", "Watching "+strings.Join(folders, "/ and ")+"/, and the images of this machine. Ctrl-C ends it.")
	for ctx.Err() == nil {
		rebuilt := false // an image, it may be
		select {
		case <-ctx.Done():
		case <-saved:
			if len(watch.Look(folders...).Since(w.files)) == 0 {
				continue
			}
		case <-built:
			rebuilt = true
		}
		since, files := time.Now(), watch.Look(folders...)
		var images map[string]string
		var beside sync.WaitGroup
		beside.Go(func() { w.awaitCluster(ctx) })
		beside.Go(func() { images = w.imageIDs(ctx) })
		watch.Quiet(ctx, saved, limits.Quiet)
		beside.Wait()
		if settled := watch.Look(folders...); len(settled.Since(files)) > 0 { // a file that has changed may name another image
			files, images = settled, w.imageIDs(ctx)
		}
		changed := w.changed(files, images, rebuilt)
		if len(changed) > 0 && ctx.Err() == nil {
			w.round(ctx, changed, since)
		}
	}
}

// changed are what of files has changed since they were last given, and of images. One that is named for the first time has changed only where it was
// said to have: built.
func (w *watching) changed(files watch.State, images map[string]string, built bool) []string {
	changed := files.Since(w.files)
	for _, ref := range slices.Sorted(maps.Keys(images)) {
		if then, known := w.images[ref]; known && then != images[ref] || !known && built {
			changed = append(changed, ref)
		}
	}
	w.files, w.images = files, images
	return changed
}

// imageIDs are the engine's IDs of the images that the files name, but for those that are always pulled.
func (w *watching) imageIDs(ctx context.Context) map[string]string {
	if w.config.Context != "" {
		return nil
	}
	now, end := w.anew(ctx)
	defer end()
	objects := now.inputs.apps
	if now.helm().AtHand() {
		rendered, _ := now.Release.rendered() // what is wrong with it is for up to say
		objects = slices.Concat(objects, rendered)
	}
	always := kube.AlwaysPulled(objects)
	return now.cluster.LocalImages(ctx, slices.DeleteFunc(kube.Images(objects), func(ref string) bool { return always[ref] != nil }))
}

// anew is a look at the files and the cluster as they are now, until its end is called.
func (w *watching) anew(ctx context.Context) (now *Stack, end func()) {
	ctx, end = context.WithCancel(ctx)
	now = New(w.environ)
	now.run.Begin(ctx)
	return now, end
}

// up is a round, which has not begun. Ctrl-C reaches it by the end of ctx alone. It deletes nothing, whatever KINDGATE_PRUNE says: a file may be away,
// or half saved, for a moment only.
func (w *watching) up(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.self, "up")
	cmd.Env = append(slices.Clone(w.environ), prefix+"PRUNE=")
	cmd.WaitDelay = limits.Ending
	machine.OwnGroup(cmd)
	cmd.Cancel = func() error {
		if err := machine.Interrupt(cmd); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	return cmd
}

// round runs up, and says in a line what has changed, what was done about it, who answers, and how long that took since the save.
func (w *watching) round(ctx context.Context, changed []string, since time.Time) {
	cmd := w.up(ctx)
	cmd.Env = append(cmd.Env, prefix+"OUTPUT=json")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.ui.Note(err.Error())
		return
	}
	said, err := readRound(out)
	_ = cmd.Wait()
	if ctx.Err() != nil {
		return
	}
	if said.exit == nil { // it did not come to its end
		said.exit = &exitLine{Exit: exitFailed, Error: strings.TrimSpace(complaint.String())}
	}
	if err != nil {
		w.ui.Note(err.Error())
	}
	for _, note := range said.notes {
		if !slices.Contains(w.notes, note) { // the round before has said it
			w.ui.Note(note)
		}
	}
	w.notes = said.notes
	for _, c := range said.checks {
		if f := (check.Finding{Verdict: c.Verdict, Found: c.Found, Cause: c.Cause}); f.Fails() {
			w.ui.Show(ui.Check{What: c.Check, Finding: f, Hint: c.Hint, At: c.At})
		}
	}
	line := said.line(changed, time.Since(since))
	w.ui.Object(line)
	w.ui.Print(line.String())
}

// awaitCluster returns when the cluster is up and the files are here, or when ctx ends. It says so once where it is not.
func (w *watching) awaitCluster(ctx context.Context) {
	for said := false; ctx.Err() == nil; said = true {
		lost := w.lost(ctx)
		if lost == "" {
			return
		}
		if !said && ctx.Err() == nil {
			w.ui.Note("Waiting: " + lost)
		}
		select {
		case <-ctx.Done():
		case <-time.After(limits.LostAgain):
		}
	}
}

// lost says why no round can do anything but wait; empty where the cluster is up, or where up says better what is wrong.
func (w *watching) lost(ctx context.Context) string {
	for _, dir := range folders {
		if isShipped(dir) { // the program's own files are not those that were watched
			return fmt.Sprintf("there is no %s/ here any more.", dir)
		}
	}
	now, end := w.anew(ctx)
	defer end()
	up := ". " + shipped.Command("up") + " brings it up."
	if now.config.Context != "" {
		cfg, err := now.far()
		if err == nil {
			err = answers(cfg)
		}
		if err != nil {
			return now.farName() + " does not answer: " + err.Error() + up
		}
		return ""
	}
	observation, err := now.cluster.Observe(ctx)
	switch {
	case err != nil:
		return fmt.Sprintf("cluster %s cannot be looked at: %v%s", now.config.Cluster, err, up)
	case observation.State == cluster.Ready, observation.State == cluster.Foreign:
		return ""
	}
	return fmt.Sprintf("cluster %s is %s%s", now.config.Cluster, observation, up)
}

func answers(cfg *rest.Config) error {
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout = limits.FirstAnswer
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err == nil {
		_, err = client.ServerVersion()
	}
	return err
}

// roundSaid is what a round has printed for machines.
type roundSaid struct {
	steps  []ui.StepLine
	checks []ui.CheckLine
	notes  []string
	exit   *exitLine
}

// readRound reads it to its end. The error is that of a line which is none of these.
func readRound(from io.Reader) (roundSaid, error) {
	var said roundSaid
	var wrong error
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			var line struct {
				ui.StepLine
				ui.CheckLine
				ui.NoteLine
				Exit  *int   `json:"exit"`
				Error string `json:"error"`
			}
			if err := json.Unmarshal(text, &line); err != nil {
				wrong = fmt.Errorf("up has printed what is no JSON: %s", bytes.TrimSpace(text))
			}
			line.StepLine.Error = line.Error
			switch {
			case line.Step != "":
				said.steps = append(said.steps, line.StepLine)
			case line.Check != "":
				said.checks = append(said.checks, line.CheckLine)
			case line.Note != "":
				said.notes = append(said.notes, line.Note)
			case line.Exit != nil:
				said.exit = &exitLine{Exit: *line.Exit, Error: line.Error}
			}
		}
		if err != nil {
			return said, wrong
		}
	}
}

// line sums the round up, which was for what has changed, and took so long.
func (r roundSaid) line(changed []string, took time.Duration) watchLine {
	line := watchLine{Watch: changed, Done: []string{}, Answers: []string{}, Seconds: float64(took.Milliseconds()) / 1000, Exit: r.exit.Exit, Error: r.exit.Error}
	for _, s := range r.steps {
		if slices.Contains([]string{"created", "updated", "repaired"}, s.Result) {
			if strings.Contains(s.Detail, "/") {
				line.Done = append(line.Done, s.Detail)
			} else {
				line.Done = append(line.Done, strings.TrimSpace(s.Step+" "+s.Result+" "+s.Detail))
			}
		}
	}
	for _, c := range r.checks {
		if c.Verdict != check.Holds {
			continue
		}
		line.Passed++
		file, _, _ := strings.Cut(c.At, ":")
		if strings.Contains(c.Check, "://") && slices.Contains(changed, path.Clean(file)) {
			line.Answers = append(line.Answers, c.Check+" "+c.Found)
		}
	}
	return line
}

// String is the line for a person: the answers of the first URL stand for all.
func (l watchLine) String() string {
	mark, parts := "✓ ", []string{}
	if len(l.Done) > 0 {
		parts = append(parts, strings.Join(l.Done, ", "))
	} else if l.Exit == 0 {
		parts = append(parts, "nothing to do")
	}
	if len(l.Answers) > 0 {
		answer := l.Answers[0]
		if more := len(l.Answers) - 1; more > 0 {
			answer += fmt.Sprintf(" (and %d more)", more)
		}
		parts = append(parts, answer)
	}
	if l.Exit == 0 {
		parts = append(parts, count(l.Passed, "check")+" passed")
	} else {
		mark = "✗ "
		parts = append(parts, l.Error)
	}
	return fmt.Sprintf("%s%s  %s; %.2fs", mark, strings.Join(l.Watch, ", "), strings.Join(parts, "; "), l.Seconds)
}
