package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsWrittenInTheMomentOfTheExchangeIsPutBack(t *testing.T) {
	for name, test := range map[string]struct {
		write func(t *testing.T, path string)
		done  bool
		after string
	}{
		"nothing": {func(*testing.T, string) {}, true, "ours\n"},
		"a line":  {func(t *testing.T, path string) { put(t, path, "old\ntheirs\n", 0o600) }, false, "old\ntheirs\n"},
		"a line of somebody who had opened the file before": {func(t *testing.T, path string) {
			file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			before, _ := file.Stat()
			go func() {
				for now := before; os.SameFile(now, before); { // until the file is exchanged
					now, _ = os.Stat(path)
				}
				_, _ = file.WriteString("theirs\n")
				_ = file.Close()
			}()
		}, false, "old\ntheirs\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path, ours := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "ours")
			put(t, path, "old\n", 0o600)
			put(t, ours, "ours\n", 0o600)
			test.write(t, path)
			if done, err := replace(ours, path, []byte("old\n")); done != test.done || err != nil {
				t.Error(done, err)
			}
			has(t, path, test.after)
		})
	}
}
