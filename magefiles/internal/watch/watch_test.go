package watch

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/limits"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatHasChangedIsToldByTheContentAlone(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll("manifests/deep", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "manifests/a.yaml", "a")
	write(t, "manifests/b.YML", "b")
	write(t, "manifests/deep/c.json", "c")
	before := Look("manifests", "nothing")
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, ""},
		{func() { write(t, "manifests/a.yaml~", "a") }, ""},
		{func() { write(t, "manifests/a.yaml", "a") }, ""}, // saved, and not changed
		{func() { write(t, "manifests/new", "a"); _ = os.Rename("manifests/new", "manifests/a.yaml") }, ""},
		{func() { write(t, "manifests/a.yaml", "x") }, "manifests/a.yaml"},
		{func() { _ = os.Remove("manifests/b.YML") }, "manifests/a.yaml manifests/b.YML"},
		{func() { write(t, "manifests/deep/d.yaml", "") }, "manifests/a.yaml manifests/b.YML manifests/deep/d.yaml"},
		{func() { _ = os.Remove("manifests/deep/c.json"); _ = os.Mkdir("manifests/deep/c.json", 0o700) }, "manifests/a.yaml manifests/b.YML manifests/deep/c.json manifests/deep/d.yaml"},
	} {
		step.do()
		if got := strings.Join(Look("manifests", "nothing").Since(before), " "); got != step.want {
			t.Errorf("%q, expected %q", got, step.want)
		}
	}
}

// A change is seen when the system tells of it, and at the latest with the next look.
func TestAChangeIsSeenAlsoInAFileThatIsReplacedAndInAFolderThatIsNew(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	signals := Folders(ctx, dir)
	before := Look(dir)
	for _, change := range []func(){
		func() { write(t, filepath.Join(dir, "a.yaml"), "a") },
		func() {
			write(t, filepath.Join(dir, "new"), "b")
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "a.yaml")); err != nil {
				t.Error(err)
			}
		},
		func() {
			if err := os.Mkdir(filepath.Join(dir, "deep"), 0o700); err != nil {
				t.Error(err)
			}
			write(t, filepath.Join(dir, "deep", "c.yaml"), "c")
		},
		func() { write(t, filepath.Join(dir, "deep", "c.yaml"), "d") },
	} {
		change()
		for deadline := time.After(5 * limits.FilesAgain); len(Look(dir).Since(before)) == 0; {
			select {
			case <-signals:
			case <-deadline:
				t.Fatal("no signal")
			}
		}
		before = Look(dir)
	}
}

func TestItIsQuietWhenNoSignalHasComeForAWhile(t *testing.T) {
	signals := make(chan struct{}, 1)
	Signal(signals)
	Signal(signals) // no second
	begun := time.Now()
	Quiet(t.Context(), signals, 20*time.Millisecond)
	if took := time.Since(begun); took < 20*time.Millisecond || len(signals) != 0 {
		t.Errorf("after %s", took)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	Quiet(ended, signals, time.Hour)
}
