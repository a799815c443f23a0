package stack

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kindgate/magefiles/internal/cluster"
)

// client-go would wait for a named pipe for ever, and print the tokens of two users of one name.
func TestAKubeconfigThatIsNoneIsSaidBeforeItsContextIsLookedFor(t *testing.T) {
	doubled := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(doubled, []byte("apiVersion: v1\nkind: Config\nusers: [{name: a, user: {token: SECRET}}, {name: a, user: {}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), doubled} {
		_, err := contextOf(Config{Kubeconfig: path, Context: "a"})
		if !errors.As(err, new(*cluster.KubeconfigError)) || strings.Contains(err.Error(), "SECRET") {
			t.Error(err)
		}
	}
}
