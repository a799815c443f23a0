package stack

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/traefik"
	"kindgate/magefiles/internal/ui"
)

// reporting is a run in an empty folder that writes a report, which junit reads.
func reporting(t *testing.T, environ ...string) (s *Stack, junit func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.xml")
	t.Chdir(t.TempDir())
	return New(append([]string{"KINDGATE_JUNIT=" + path}, environ...)), func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
}

func TestAReportIsWrittenOnEveryWayOut(t *testing.T) {
	fails := func(s *Stack) func(context.Context) error {
		return func(ctx context.Context) error {
			return s.run.Step("apps", func(*ui.Step) (result.Result, string, error) { return "", "", errors.New("broken") })
		}
	}
	for name, test := range map[string]struct {
		environ []string
		work    func(*Stack) func(context.Context) error
		want    string
		status  int
	}{
		"success": {nil, func(s *Stack) func(context.Context) error {
			return func(context.Context) error {
				s.ui.Check(ui.Check{What: "a route", Finding: check.Finding{Verdict: check.Holds}})
				return nil
			}
		}, `name="a route"`, 0},
		"failure":             {nil, fails, `<failure message="apps: broken">`, 1},
		"wrong configuration": {[]string{"KINDGATE_X=1", "KINDGATE_TIMEOUT=0", "KINDGATE_HTTP_PORT=x"}, fails, `<failure message="KINDGATE_HTTP_PORT=&#34;x&#34;: it must be`, 3},
		"time limit": {[]string{"KINDGATE_TIMEOUT=1s"}, func(s *Stack) func(context.Context) error {
			return func(ctx context.Context) error {
				return s.run.Step("apps", func(*ui.Step) (result.Result, string, error) {
					<-ctx.Done()
					return "", "", ctx.Err()
				})
			}
		}, `<failure message="apps: gave up after 1s (KINDGATE_TIMEOUT)`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, junit := reporting(t, test.environ...)
			err := s.Target(t.Context(), test.work(s))
			if got := junit(); !strings.Contains(got, test.want) || s.ExitStatus(err) != test.status {
				t.Errorf("%v, exit status %d:\n%s", err, s.ExitStatus(err), got)
			}
		})
	}
}

// mage ends the process five seconds after Ctrl-C, whether or not the steps have come to their end.
func TestAReportIsWrittenAtAnInterruptionBeforeTheStepsHaveEnded(t *testing.T) {
	s, junit := reporting(t)
	ctx, interrupt := context.WithCancel(t.Context())
	err := s.Target(ctx, func(context.Context) error {
		step := s.ui.Begin("cluster")
		step.Report("preparing nodes")
		interrupt()
		for !strings.Contains(junit(), "preparing nodes") {
		}
		if got := junit(); !strings.Contains(got, `<skipped message="it did not come to its end; last: preparing nodes">`) || !strings.Contains(got, `<failure message="interrupted; the next run goes on from here">`) {
			t.Errorf("before the end:\n%s", got)
		}
		err := s.run.Failed("cluster", "", errors.New("something"))
		step.End("", "", err)
		return err
	})
	if got := junit(); !strings.Contains(got, `<failure message="cluster: interrupted; the next run goes on from here">`) || strings.Contains(got, "<skipped") || s.ExitStatus(err) != 130 {
		t.Errorf("%v:\n%s", err, got)
	}
}

func TestAPanicGoesOnWhenTheReportIsWritten(t *testing.T) {
	s, junit := reporting(t)
	defer func() {
		if got := recover(); got != "a bug" || !strings.Contains(junit(), `<failure message="panic: a bug">`) {
			t.Errorf("%v:\n%s", got, junit())
		}
	}()
	_ = s.Target(t.Context(), func(context.Context) error { panic("a bug") })
}

func TestOnlyTheTargetThatNoOtherWaitsForWritesTheReport(t *testing.T) {
	s, junit := reporting(t)
	none := func(context.Context) error { return nil }
	err := s.Target(t.Context(), func(ctx context.Context) error {
		if err := s.Target(ctx, none); err != nil || !strings.Contains(junit(), "no such file") {
			t.Errorf("a dependency: %v\n%s", err, junit())
		}
		return nil
	})
	if err != nil || !strings.Contains(junit(), `tests="0"`) {
		t.Errorf("%v\n%s", err, junit())
	}
	s.ui.Begin("second").End("done", "", nil)
	if err := s.Target(t.Context(), none); err != nil || !strings.Contains(junit(), `name="second"`) {
		t.Errorf("the next target of the same command: %v\n%s", err, junit())
	}
}

func TestAReportThatCannotBeWrittenIsAnErrorAndOnlyRegularFilesAre(t *testing.T) {
	dir := t.TempDir()
	s := New([]string{"KINDGATE_JUNIT=" + dir})
	if err := s.Target(t.Context(), func(context.Context) error { return nil }); err == nil || !strings.Contains(err.Error(), "KINDGATE_JUNIT: "+dir+" is a folder: it must be a regular file") {
		t.Error(err)
	}
}

func TestAReportTakesThePlaceOfAnEarlierOneAndOfNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	t.Chdir(t.TempDir())
	for _, test := range []struct{ text, want string }{
		{"apiVersion: v1\nkind: Config\n", "has something else than a report of kindgate's, and was left as it is"},
		{xml.Header + "<testsuites name=\"go test\"></testsuites>\n", "left as it is"},
		{xml.Header + "<testsuites name=\"kindgate up\"></testsuites>\n", ""},
		{"", ""},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := New([]string{"KINDGATE_JUNIT=" + path}).Target(t.Context(), func(context.Context) error { return nil })
		text, _ := os.ReadFile(path)
		if kept := string(text) == test.text; kept != (test.want != "") || kept && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q: %v\n%s", test.text, err, text)
		}
	}
}

func TestGitHubGetsAPageAfterWhatIsThere(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary")
	if err := os.WriteFile(summary, []byte("of another step\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := reporting(t, "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY="+summary, "KINDGATE_OUTPUT=json")
	if err := s.Target(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(summary); err != nil || !strings.HasPrefix(string(text), "of another step\n## kindgate ") {
		t.Errorf("%v\n%s", err, text)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for workspace, want := range map[string]string{"": "", filepath.Dir(here): filepath.Base(here), here: ".", filepath.Join(here, "below"): ""} {
		if s.config.Workspace = workspace; s.folder() != want {
			t.Errorf("%s: %s", workspace, s.folder())
		}
	}
}

func TestTheExitStatusSaysWhatKindOfFailureItWas(t *testing.T) {
	s, _ := reporting(t)
	s.wrong = errors.New("manifests/a.yaml:1: no")
	engine := fmt.Errorf("cluster: %w", &cluster.EngineError{})
	for err, want := range map[error]int{
		nil: 0, errors.New("anything"): 1, context.DeadlineExceeded: 1, &cluster.PortError{Err: errors.New("taken")}: 1,
		fmt.Errorf("%w: 3", errPending): 2,
		fmt.Errorf("x: %w", s.wrong):    3, fmt.Errorf("check: %w", errFiles): 3, &unknownContextError{}: 3, &cluster.KubeconfigError{}: 3,
		&traefik.ChartError{Path: "x"}: 3, &traefik.ChartError{}: 1,
		engine: 4, errors.Join(engine, errFiles): 3,
		errors.Join(engine, fmt.Errorf("apps: %w", run.ErrInterrupted)): 130,
	} {
		if got := s.ExitStatus(err); got != want {
			t.Errorf("%v: %d, expected %d", err, got, want)
		}
	}
}
