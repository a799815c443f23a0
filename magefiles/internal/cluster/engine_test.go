package cluster

import (
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
	if info, err := engine.info(t.Context()); err == nil || !strings.Contains(err.Error(), "Cannot connect to the Docker daemon.\n") ||
		!strings.Contains(err.Error(), "engine does not answer: start it") {
		t.Errorf("%+v, %v", info, err)
	}
}
