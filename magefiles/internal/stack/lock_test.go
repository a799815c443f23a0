package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLockFileIsWrittenOnlyWhereKindgateMadeIt(t *testing.T) {
	const before = "process 1, `mage up` in /somewhere, since 10:00:00\n"
	const holding = "process 2, `mage hosts` in /else, since 10:00:01\n"
	for name, test := range map[string]struct {
		content, after string
		link           bool
		says           string
	}{
		"a new one":                       {"", holding, false, holding},
		"an earlier run's":                {before, holding, false, holding},
		"somebody's notes":                {"buy milk\n", "buy milk\n", false, "unknown"},
		"somebody's, which begin like it": {before + "buy milk\n", before + "buy milk\n", false, "unknown"},
		"another name of an empty file":   {"", "", true, "unknown"},
		"another name of a file":          {before, before, true, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if test.link {
				if err := os.Link(path, path+".other"); err != nil {
					t.Skip(err)
				}
			}
			signLock(path, holding)
			if now, err := os.ReadFile(path); err != nil || string(now) != test.after {
				t.Errorf("%q, %v", now, err)
			}
			if says := holder(path); says != strings.TrimSpace(test.says) {
				t.Errorf("%q", says)
			}
		})
	}
}
