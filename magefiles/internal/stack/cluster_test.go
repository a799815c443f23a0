package stack

import (
	"testing"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/result"
)

func TestWhatBecameOfTheImagesIsSaidInOneLine(t *testing.T) {
	for _, test := range []struct {
		loaded cluster.Loaded
		result result.Result
		want   string
	}{
		{cluster.Loaded{}, result.Unchanged, "3 images"},
		{cluster.Loaded{Left: []string{"c"}}, result.Unchanged, "3 images; left for the node to pull: c"},
		{cluster.Loaded{Missing: []string{"a", "b"}, Left: []string{"c"}}, result.Created, "a, b; left for the node to pull: c"},
		{cluster.Loaded{Rebuilt: []string{"a"}}, result.Updated, "rebuilt: a"},
		{cluster.Loaded{Missing: []string{"b"}, Rebuilt: []string{"a"}}, result.Updated, "b; rebuilt: a"},
	} {
		if res, detail := sayLoaded(test.loaded, 3); res != test.result || detail != test.want {
			t.Errorf("%+v: %s %s", test.loaded, res, detail)
		}
	}
}
