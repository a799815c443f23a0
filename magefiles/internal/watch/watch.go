// Package watch tells what has changed in folders, by the content of their files.
package watch

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/limits"
)

// A State is what files have, by their paths.
type State map[string][sha256.Size]byte

// Look returns the state of the .yaml, .yml and .json files in folders, and below them. One that cannot be read has its error.
func Look(folders ...string) State {
	state := State{}
	for _, folder := range folders {
		files := atomicfile.DirFS(folder)
		_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(path.Ext(name))) {
				return nil
			}
			content, err := fs.ReadFile(files, name)
			if err != nil {
				content = []byte(err.Error())
			}
			state[path.Join(folder, name)] = sha256.Sum256(content)
			return nil
		})
	}
	return state
}

// Since returns the paths of the files that have changed since an earlier state, that are new, or that are gone.
func (s State) Since(before State) []string {
	both := maps.Clone(before)
	maps.Copy(both, s)
	var changed []string
	for name := range both {
		now, is := s[name]
		then, was := before[name]
		if is != was || now != then {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return changed
}

// Folders sends a signal when something in folders may have changed, until ctx ends: when the system says so, and every now and then, as some file
// systems tell nothing, such as those that a virtual machine shares with its host.
func Folders(ctx context.Context, folders ...string) <-chan struct{} {
	signals := make(chan struct{}, 1)
	watcher, err := fsnotify.NewWatcher()
	events := make(chan fsnotify.Event)
	if err == nil {
		events = watcher.Events
		follow(watcher, folders)
	}
	go func() {
		again := time.NewTicker(limits.FilesAgain)
		defer again.Stop()
		if watcher != nil {
			defer watcher.Close()
			go func() {
				for range watcher.Errors { // an overflow: the next look sees what was missed
				}
			}()
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-events:
			case <-again.C:
				if watcher != nil {
					follow(watcher, folders) // a folder may be new, or another of the same name
				}
			}
			Signal(signals)
		}
	}()
	return signals
}

// follow has folders watched, and those below them: editors replace files, so that a file alone is soon another.
func follow(watcher *fsnotify.Watcher, folders []string) {
	for _, folder := range folders {
		_ = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				_ = watcher.Add(name)
			}
			return nil
		})
	}
}

// Signal leaves a signal, unless one is left already.
func Signal(signals chan<- struct{}) {
	select {
	case signals <- struct{}{}:
	default:
	}
}

// Quiet returns when no signal has come for a while, or when ctx ends.
func Quiet(ctx context.Context, signals <-chan struct{}, while time.Duration) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		case <-time.After(while):
			return
		}
	}
}
