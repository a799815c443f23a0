package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	kinderrors "sigs.k8s.io/kind/pkg/errors"
	"sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"
)

func TestKindsPhasesAreSaidInPlainWordsAndNothingElseIs(t *testing.T) {
	var said []string
	logger := phases{func(phase string) { said = append(said, phase) }}
	for _, message := range []string{
		"Creating cluster \"k\" ...", " • Ensuring node image (kindest/node:v1.37.0) 🖼️  ...", " ✓ Ensuring node image (kindest/node:v1.37.0) 🖼",
		" • Preparing nodes 📦 📦   ...", " • Waiting ≤ 5m0s for control-plane = Ready ⏳  ...",
		" • Starting control-plane 🕹️  ...\n", " • 🎉  ...", " • ", "",
	} {
		logger.V(0).Info(message)
		logger.V(1).Info(message)
		logger.Warn(message)
		logger.Error(message)
	}
	logger.V(0).Infof(" • Installing %s 🔌 ...", "CNI")
	want := []string{"ensuring node image (kindest/node:v1.37.0)", "preparing nodes",
		"waiting ≤ 5m0s for control-plane = Ready", "starting control-plane", "installing CNI"}
	if !slices.Equal(said, want) {
		t.Errorf("%q", said)
	}
	var silent log.Logger = phases{}
	silent.V(0).Info(" • Preparing nodes 📦  ...") // nobody listens
}

func TestTheCommandThatMadeKindFailIsQuotedByItsLastLines(t *testing.T) {
	var output []string
	for i := range 30 {
		output = append(output, fmt.Sprint("line ", i))
	}
	failed := &exec.RunError{Command: []string{"docker", "run"}, Output: []byte(strings.Join(output, "\n") + "\n"), Inner: errors.New("exit status 1")}
	want := strings.Join(output[18:], "\n")
	for name, err := range map[string]error{
		"bare": failed, "by kind": kinderrors.Wrap(kinderrors.WithStack(failed), "failed to init node"),
		"by us": fmt.Errorf("kind: %w", kinderrors.WithStack(failed)),
	} {
		if got := kindOutput(err); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, err := range []error{nil, errors.New("no command"), kinderrors.New("no command")} {
		if got := kindOutput(err); got != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
}
