package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

var errTime = errors.New("gave up after 1s")

func begun(t *testing.T) (*Run, *bytes.Buffer, context.CancelFunc) {
	t.Helper()
	var out bytes.Buffer
	r := New(Options{UI: ui.New(&out, ui.Options{Width: func() int { return 80 }}), Limit: time.Second, Expired: errTime, Advise: func(err error) error {
		if strings.Contains(err.Error(), "mendable") {
			return fmt.Errorf("%w\nmend it", err)
		}
		return err
	}})
	ctx, cancel := context.WithCancel(t.Context())
	r.Begin(ctx)
	return r, &out, cancel
}

func TestAStepEndsWithWhatItsWorkFoundAndItsFailureIsKept(t *testing.T) {
	r, out, cancel := begun(t)
	defer cancel()
	if r.Begin(context.Background()) != r.Context() {
		t.Error("a run begins once")
	}
	if err := r.Step("one", func(*ui.Step) (result.Result, string, error) { return result.Created, "3 things", nil }); err != nil {
		t.Error(err)
	}
	if err := r.Part("two", func(*ui.Step) (result.Result, string, error) { return result.Updated, "first", nil }); err != nil {
		t.Error(err)
	}
	if err := r.Step("two", func(*ui.Step) (result.Result, string, error) { return "", "", nil }); err != nil || r.Failure() != nil {
		t.Error(err, r.Failure())
	}
	err := r.Part("three", func(*ui.Step) (result.Result, string, error) { return "", "", errors.New("mendable") })
	if err == nil || err.Error() != "three: mendable\nmend it" || r.Failure().Error() != err.Error() {
		t.Error(err, r.Failure())
	}
	for _, want := range []string{"✓ one          created", "3 things", "✓ two          updated", "first", "✗ three        failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestAFailureIsPrintedWithoutWhatATerminalWouldObey(t *testing.T) {
	r, _, cancel := begun(t)
	defer cancel()
	cause := errors.New("its log ends with: \x1b[2J✓ verify passed")
	if err := r.Failed("one", "", cause); err.Error() != "one: its log ends with: �[2J✓ verify passed" || !errors.Is(err, cause) {
		t.Errorf("%q", err)
	}
}

func TestWhatEndsWithTheRunSaysWhy(t *testing.T) {
	other := errors.New("other")
	for _, test := range []struct {
		name        string
		doing       string
		interrupted bool
		err         func(context.Context) error
		want        string
	}{
		{"the limit's own error", "pulling", false, context.Cause, "s: gave up after 1s while pulling"},
		{"before it could begin", "", false, context.Cause, "s: gave up after 1s while waiting for the cluster"},
		{"an error that does not know", "", false, func(context.Context) error { return other }, "s: gave up after 1s; last: other"},
		{"Ctrl-C", "pulling", true, func(context.Context) error { return other }, "s: interrupted; the next run goes on from here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := New(Options{Limit: time.Millisecond, Expired: errTime, Advise: func(err error) error { return err }})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.interrupted {
				cancel()
			}
			run := r.Begin(ctx)
			<-run.Done()
			if err := r.Failed("s", test.doing, test.err(run)); err == nil || err.Error() != test.want {
				t.Error(err)
			}
			if err := r.Failed("s", test.doing, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACommandThatCtrlCEndsBeforeTheRunIsInterrupted(t *testing.T) {
	r, _, cancel := begun(t)
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := r.Failed("s", "", errors.New("docker ps: signal: interrupt")); !errors.Is(err, ErrInterrupted) {
		t.Error(err)
	}
}

func TestARunWithoutLimitIsOnlyInterrupted(t *testing.T) {
	r := New(Options{Limit: time.Millisecond, Expired: errTime, Advise: func(err error) error { return err }})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	limited := r.Begin(ctx)
	unlimited := r.WithoutLimit()
	<-limited.Done()
	if err := r.Failed("s", "", errors.New("other")); err.Error() != "s: other" || unlimited.Err() != nil {
		t.Errorf("after the limit: %v, %v", err, unlimited.Err())
	}
	r = New(Options{Limit: time.Minute, Expired: errTime, Advise: func(err error) error { return err }})
	r.Begin(ctx)
	unlimited = r.WithoutLimit()
	cancel()
	<-unlimited.Done()
	if err := r.Failed("s", "", errors.New("other")); !errors.Is(err, ErrInterrupted) {
		t.Errorf("after Ctrl-C: %v", err)
	}
}

func TestANoteIsPrintedOnce(t *testing.T) {
	r, out, cancel := begun(t)
	defer cancel()
	r.Note("careful")
	r.Note("careful")
	if got := strings.Count(out.String(), "careful"); got != 1 {
		t.Error(got)
	}
}

func TestSIGTERMInterruptsARun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such signal")
	}
	r, _, cancel := begun(t)
	defer cancel()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-r.Context().Done()
	if err := r.Step("one", func(*ui.Step) (result.Result, string, error) { return "", "", r.Context().Err() }); !errors.Is(err, ErrInterrupted) {
		t.Error(err)
	}
}
