package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/machine"
)

// watched is what watch has printed of a round, or a note.
type watched struct {
	Watch, Done, Answers []string
	Exit                 *int
	Seconds              float64
	Error, Note          string
}

// watching begins a session of watch, and returns what it prints, a line at a time, and what interrupts it.
func (w *world) watching(t *testing.T) (next func() watched, interrupt func()) {
	t.Helper()
	w.env["KINDGATE_OUTPUT"] = "json"
	cmd := w.command("watch")
	delete(w.env, "KINDGATE_OUTPUT")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = machine.Kill(cmd) })
	lines := make(chan watched, 1000)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			decoded(t, scanner.Text())
			var line watched
			if json.Unmarshal(scanner.Bytes(), &line) == nil && (line.Watch != nil || line.Note != "" || line.Exit != nil) {
				lines <- line
			}
		}
	}()
	next = func() watched {
		t.Helper()
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("watch has ended: %s", complaint.String())
			}
			return line
		case <-time.After(time.Minute):
			t.Fatalf("watch prints nothing: %s", complaint.String())
		}
		return watched{}
	}
	interrupt = func() {
		t.Helper()
		at := time.Now()
		if err := machine.Interrupt(cmd); err != nil {
			t.Error(err)
		}
		for range lines {
		}
		_ = cmd.Wait()
		if status, took := cmd.ProcessState.ExitCode(), time.Since(at); status != 130 || took > 2*time.Second {
			t.Errorf("interrupted, it ended with %d after %s: %s", status, took, complaint.String())
		}
	}
	return next, interrupt
}

func TestWatchAppliesAndProvesEachSaveAndEachRebuiltImageUntilCtrlC(t *testing.T) {
	enterShared(t)
	const route, image = "manifests/httproute-host.yaml", "kindgate-e2e/watched:dev"
	w := up(t)
	w.build(t, image, "one")
	w.write(t, "manifests/rebuilt.yaml", strings.ReplaceAll(rebuilt, "kindgate-e2e/rebuilt:dev", image))
	next, interrupt := w.watching(t)
	round := func(of string, exit int) watched {
		t.Helper()
		for {
			line := next()
			if line.Watch == nil {
				continue
			}
			if !slices.Equal(line.Watch, []string{of}) || *line.Exit != exit {
				t.Errorf("%+v, expected one of %s that exits with %d", line, of, exit)
			}
			return line
		}
	}
	for line := next(); line.Exit == nil || *line.Exit != 0; line = next() { // the first up
	}

	w.edit(t, route, "whoami-v1\n          port", "whoami-v2\n          port")
	line := round(route, 0)
	if len(line.Done) != 1 || line.Done[0] != "updated HTTPRoute/demo/whoami-host" || len(line.Answers) != 2 || !strings.Contains(line.Answers[0], "Service/demo/whoami-v2") {
		t.Errorf("%+v", line)
	}
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v2")
	t.Logf("a route: %.2fs", line.Seconds)

	// An editor writes another file, and gives it the name. What does not hold is not applied.
	text, err := os.ReadFile(filepath.Join(w.dir, route))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		w.write(t, "manifests/.saved", text)
		if err := os.Rename(filepath.Join(w.dir, "manifests/.saved"), filepath.Join(w.dir, route)); err != nil {
			t.Fatal(err)
		}
	}
	replace(strings.Replace(string(text), "hostnames:", "hostname:", 1))
	round(route, 3)
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v2")
	replace(strings.Replace(string(text), "whoami-v2\n", "whoami-v1\n", 1))
	round(route, 0)
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")

	w.build(t, image, "two")
	line = round(image, 0)
	w.named(t, "two")
	t.Logf("a rebuilt image: %.2fs %v", line.Seconds, line.Done)

	// The lock is not held between rounds.
	w.mage(t, "routes")

	if err := os.Remove(filepath.Join(w.dir, "manifests/rebuilt.yaml")); err != nil {
		t.Fatal(err)
	}
	for line := next(); ; line = next() {
		if line.Watch != nil {
			t.Fatalf("what is left is not named: %+v", line)
		}
		if strings.Contains(line.Note, "delete deployment -n demo rebuilt") && strings.Contains(line.Note, "KINDGATE_PRUNE=yes") {
			break
		}
	}
	round("manifests/rebuilt.yaml", 0)

	// A cluster that is lost is waited for, and what was saved meanwhile is applied when it is back.
	w.docker(t, "stop", "--time", "0", w.node())
	w.edit(t, route, "whoami-v1\n          port", "whoami-v2\n          port")
	for line := next(); !strings.Contains(line.Note, "Waiting: cluster "+w.name+" is"); line = next() {
		if line.Watch != nil {
			t.Fatalf("it is not waited for: %+v", line)
		}
	}
	w.mage(t, "cluster")
	round(route, 0)
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v2")
	interrupt()
}
