package cluster

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

// Podman takes a short name for one of localhost, which is what it calls an image that was built or loaded by that name, and copies that.
func TestTheEngineIsAskedForImagesByTheNameTheNodeLooksFor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the engine's stand-in is a shell script")
	}
	dir := t.TempDir()
	script := `#!/bin/sh
case "$*" in
"image inspect docker.io/traefik/whoami:v1"|"image inspect localhost/mine:dev") echo '[{"Size": 7}]';;
*) exit 1;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "podman"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	local, total := engine("podman").localImages(t.Context(), []string{"traefik/whoami:v1", "localhost/mine:dev", "mine:dev"})
	if !slices.Equal(local, []string{"traefik/whoami:v1", "localhost/mine:dev"}) || total != 14 {
		t.Errorf("local are %v with %d bytes", local, total)
	}
}
