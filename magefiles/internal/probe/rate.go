package probe

import (
	"context"
	"sync"
	"time"
)

// AtMost returns a function for Options.Wait that lets at most n requests begin in any second, 0 for no limit. Unlike a token bucket, it lets n
// begin at once and never more in the second after. Its error is the end of the request's context.
func AtMost(n int) func(context.Context) error {
	if n == 0 {
		return nil
	}
	var mu sync.Mutex
	begun, next := make([]time.Time, n), 0 // when the last n began, the oldest of which is the next
	return func(ctx context.Context) error {
		mu.Lock()
		at := begun[next].Add(time.Second)
		if now := time.Now(); at.Before(now) {
			at = now
		}
		begun[next], next = at, (next+1)%n
		mu.Unlock()
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
