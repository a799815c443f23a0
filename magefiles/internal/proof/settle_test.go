package proof

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/check"
)

func TestATimeLimitDoesNotTakeThePlaceOfWhatWasFoundBeforeIt(t *testing.T) {
	limit := errors.New("gave up")
	ctx, end := context.WithCancelCause(context.Background())
	rounds := 0
	promises := func(*Snapshot) []Promise {
		return []Promise{{Check: check.Check{Title: "the request", Judge: func(ctx context.Context) check.Finding {
			if rounds++; rounds < 3 {
				return broken("404")
			}
			end(limit)
			return broken("no answer: %v", context.Cause(ctx))
		}}}}
	}
	take := func(context.Context) (*Snapshot, error) { return &Snapshot{}, nil }
	never := func(Round, time.Duration) bool { return false }
	last, err := Settle(ctx, take, promises, never, func(string) {})
	if !errors.Is(err, limit) || !strings.Contains(err.Error(), "the request: 404") || strings.Contains(err.Error(), "no answer") {
		t.Error(err)
	}
	if problems := last.Problems(); len(problems) != 1 || problems[0] != "the request: 404" {
		t.Error(problems)
	}
}
