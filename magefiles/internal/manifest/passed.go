package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/kube"
)

// Passed remembers the objects that the definition of their kind has nothing against: what has passed passes again, and to compile the rules of
// a kind takes longer than all else that is done with the demo's manifests. It knows digests of all that such a verdict depends on, apart from
// the program and the modules that it was built from. A nil one remembers nothing. It is safe for concurrent use.
type Passed struct {
	mu      sync.Mutex
	before  map[string]bool
	current map[string]bool
}

// NewPassed returns one that knows the digests that another's Digests has returned.
func NewPassed(digests []string) *Passed {
	p := &Passed{before: map[string]bool{}, current: map[string]bool{}}
	for _, digest := range digests {
		p.before[digest] = true
	}
	return p
}

// Digests returns the digests of what has passed since NewPassed, sorted, and whether they are others than NewPassed was given.
func (p *Passed) Digests() (digests []string, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.current)), !maps.Equal(p.before, p.current)
}

// judge returns what a function finds wrong with objects of one kind, and does not call it for those that have passed. on is all else that its
// verdict depends on.
func (p *Passed) judge(gvk schema.GroupVersionKind, objects []kube.Object, on any, judge func() [][]Problem) [][]Problem {
	contents := make([]any, len(objects))
	for i, o := range objects {
		contents[i] = o.Object
	}
	text, err := json.Marshal([]any{gvk, on, contents})
	if p == nil || err != nil {
		return judge()
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	p.mu.Lock()
	passed := p.before[digest]
	p.mu.Unlock()
	found := make([][]Problem, len(objects))
	if !passed {
		found = judge()
		passed = len(slices.Concat(found...)) == 0
	}
	if passed {
		p.mu.Lock()
		p.current[digest] = true
		p.mu.Unlock()
	}
	return found
}
