package probe

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestAtMostSoManyRequestsBeginInAnySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait, start := AtMost(3), time.Now()
		for i, want := range []time.Duration{0, 0, 0, time.Second, time.Second, time.Second, 2 * time.Second} {
			if err := wait(t.Context()); err != nil || time.Since(start) != want {
				t.Errorf("request %d: %v after %s, want %s", i, err, time.Since(start), want)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errRefusedHere)
		for range 3 {
			if err := wait(ctx); err != nil && !errors.Is(err, errRefusedHere) {
				t.Error(err)
			}
		}
		if err := wait(ctx); !errors.Is(err, errRefusedHere) {
			t.Error(err)
		}
	})
	if AtMost(0) != nil {
		t.Error("0 is no limit")
	}
}

var errRefusedHere = errors.New("refused here")

func TestAReadOnlyClientSendsNothingButGETAndHEAD(t *testing.T) {
	asked := 0
	port := serve(t, func(http.ResponseWriter, *http.Request) { asked++ })
	client := New(Options{ReadOnly: true, Wait: func(context.Context) error { return nil }})
	for _, method := range []string{"OPTIONS", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "get"} {
		if _, err := client.Get(t.Context(), method, "http://shop.localhost:"+port+"/", nil, false); !errors.Is(err, ErrNotSent) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if _, err := client.Call(t.Context(), "http://shop.localhost:"+port+"/a.B/C", nil, true); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	if asked != 0 {
		t.Errorf("%d requests were sent", asked)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if _, err := client.Get(t.Context(), method, "http://shop.localhost:"+port+"/", nil, false); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	waiting := New(Options{Wait: func(context.Context) error { return errRefusedHere }})
	if _, err := waiting.Get(t.Context(), "GET", "http://shop.localhost:"+port+"/", nil, false); !errors.Is(err, errRefusedHere) || asked != 2 {
		t.Errorf("%v, %d sent", err, asked)
	}
}
