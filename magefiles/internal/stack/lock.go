package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
	"unicode"

	"github.com/gofrs/flock"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/shipped"
)

// takeLock waits until no other run works on the cluster of this name, from whichever folder and by whichever user, and then keeps
// others waiting until this process ends. The system drops the lock of a process that was killed. The file must be kept: the garbage collector
// closes one that nobody refers to, and the lock would be lost.
func takeLock(ctx context.Context, cluster string, note func(string)) (*flock.Flock, error) {
	path := filepath.Join(lockDir(), "kindgate-"+cluster+".lock")
	if err := makeLockFile(path); err != nil {
		return nil, fmt.Errorf("the lock against a second run: %w", err)
	}
	// Without O_CREATE, which Linux refuses for somebody else's file in a folder like /tmp (fs.protected_regular).
	held := flock.New(path, flock.SetFlag(os.O_RDWR))
	taken, err := held.TryLock()
	if err == nil && !taken {
		note(fmt.Sprintf("Waiting for another run on cluster %s to end: %s", cluster, holder(path)))
		_, err = held.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w while waiting for %s", context.Cause(ctx), holder(path))
		}
		return nil, fmt.Errorf("the lock %s: %w\nRemove the file if no other run is under way.", path, err)
	}
	folder, _ := os.Getwd()
	signLock(path, fmt.Sprintf("process %d, `%s %s` in %s, since %s\n", os.Getpid(), strings.TrimPrefix(shipped.Name(), "go tool "), strings.Join(os.Args[1:], " "), folder, time.Now().Format(time.TimeOnly)))
	return held, nil
}

// lockDir is a folder that all users of an engine have in common. TMPDIR may be a shell's own.
func lockDir() string {
	if runtime.GOOS == "windows" {
		return os.TempDir()
	}
	return "/tmp"
}

// makeLockFile makes the file, where it is not there, such that every user can open it.
func makeLockFile(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o666), file.Close()) // the umask may have taken others' rights
}

// signature is what signLock writes.
var signature = regexp.MustCompile("(?s)^process \\d+, `(mage|kindgate) .*` in .*, since \\d\\d:\\d\\d:\\d\\d\n$")

// signLock writes who holds the lock, only for the message, and only into a file that kindgate made: an empty one, or one that it has signed.
// In a folder where everybody may write, what somebody else has put there, or a link to another file of theirs, stays as it is.
func signLock(path, holder string) {
	_, ours := signedBy(path)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer file.Close()
	if opened, err := file.Stat(); err == nil && os.SameFile(opened, ours) && file.Truncate(0) == nil {
		_, _ = file.WriteString(holder)
	}
}

// signedBy returns who has signed the lock file, nobody where it is empty. The file is nil where kindgate did not make it.
func signedBy(path string) (holder string, file fs.FileInfo) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || atomicfile.Names(info) > 1 {
		return "", nil
	}
	text, err := atomicfile.Read(path)
	if err != nil || len(text) > 0 && !signature.Match(text) {
		return "", nil
	}
	return string(text), info
}

// holder reads what signLock wrote, without what a terminal would obey.
func holder(lock string) string {
	text, _ := signedBy(lock)
	if text == "" {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
