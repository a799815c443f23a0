package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestAnEngineThatReportsItsServersErrorsWithoutFailingDoesNotAnswer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	engine := engine(filepath.Join(t.TempDir(), "engine"))
	script := "#!/bin/sh\necho '" + `{"ServerVersion":"","ServerErrors":["Cannot connect to the Docker daemon."]}` + "'\n"
	if err := os.WriteFile(string(engine), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if info, err := engine.info(t.Context()); !errors.As(err, new(*EngineError)) || !strings.Contains(err.Error(), "Cannot connect to the Docker daemon.\n") ||
		!strings.Contains(err.Error(), "engine does not answer: start it") {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestNoEngineAnEngineThatDoesNotAnswerAndOneThatRefusesThisUserAreTheSameKindOfError(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := findEngine(""); !errors.As(err, new(*EngineError)) {
		t.Errorf("none is installed: %v", err)
	}
	if _, err := engine("podman").run(t.Context(), "ps"); !errors.As(err, new(*EngineError)) {
		t.Errorf("the one that is named is not installed: %v", err)
	}
	for said, missing := range map[string]bool{
		"Cannot connect to the Docker daemon at unix:///var/run/docker.sock.":   true,
		"permission denied while trying to connect to the Docker daemon socket": true,
		"error during connect: Get http://docker:2375":                          true,
		"No such container: x":                      false,
		"lookup registry-1.docker.io: no such host": false,
		`exec failed: unable to start container process: exec: "x": executable file not found in $PATH`: false,
	} {
		engine := engine(filepath.Join(t.TempDir(), "engine"))
		if err := os.WriteFile(string(engine), []byte("#!/bin/sh\necho '"+said+"' >&2\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.run(t.Context(), "ps"); err == nil || errors.As(err, new(*EngineError)) != missing {
			t.Errorf("%q: %v", said, err)
		}
	}
}
