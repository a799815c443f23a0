//go:build unix

package authority

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatBelongsToAnotherUserIsNotUsed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	for _, file := range []string{keyFile, "."} {
		dir := t.TempDir()
		open(t, dir)
		if err := os.Chown(filepath.Join(dir, file), 12345, -1); err != nil {
			t.Fatal(err)
		}
		_, _, err := Open(t.Context(), dir, "me@here", now)
		if of := (*FileError)(nil); !errors.As(err, &of) || of.Why != "it belongs to the user 12345" {
			t.Errorf("%s: %v", file, err)
		}
	}
}
