package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"kindgate/magefiles/internal/atomicfile"
)

// takeLock waits until no other run works on the cluster of this name, from whichever folder, and then keeps others waiting until this
// process ends. The system drops the lock of a process that was killed.
func (d *Demo) takeLock() error {
	dir := cacheDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the lock against a second run: %w", err)
	}
	path := filepath.Join(dir, d.config.Cluster+".lock")
	d.held = flock.New(path) // kept: a file that nobody refers to is closed by the garbage collector, and the lock lost
	taken, err := d.held.TryLock()
	if err == nil && !taken {
		d.ui.Note(fmt.Sprintf("Waiting for another run on cluster %s to end: %s", d.config.Cluster, holder(path)))
		_, err = d.held.TryLockContext(d.run, 100*time.Millisecond)
	}
	if err != nil {
		if d.run.Err() != nil {
			return fmt.Errorf("%w while waiting for %s", context.Cause(d.run), holder(path))
		}
		return fmt.Errorf("the lock %s: %w", path, err)
	}
	folder, _ := os.Getwd()
	_ = atomicfile.Write(path+".holder", fmt.Appendf(nil, "process %d, `mage %s` in %s, since %s\n",
		os.Getpid(), strings.Join(os.Args[1:], " "), folder, time.Now().Format(time.TimeOnly)), 0o644) // only for the message
	return nil
}

func holder(lock string) string {
	text, err := os.ReadFile(lock + ".holder")
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(text) == 0 {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
