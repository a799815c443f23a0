package readiness

import (
	"testing"
	"time"
)

func TestTheVerdictOfAWait(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	up, starting := State{Name: "up", Done: true}, State{Name: "starting", WaitingFor: "x"}
	in := func(w weight, since int) State {
		return State{Name: "bad", Trouble: &Trouble{weight: w, started: ago(10), tried: true}, since: ago(since)}
	}
	untried := in(crashing, 30)
	untried.Trouble.tried = false
	for name, test := range map[string]struct {
		states   []State
		progress time.Time
		done     bool
		broken   int
	}{
		"all are up":                                            {[]State{up, up}, now, true, 0},
		"one is on its way":                                     {[]State{up, starting}, now, false, 0},
		"a first sign of trouble":                               {[]State{up, in(lasting, 1)}, time.Time{}, false, 0},
		"trouble that lasts":                                    {[]State{up, in(lasting, 4)}, time.Time{}, false, 1},
		"trouble that lasts beside one on its way":              {[]State{starting, in(lasting, 4)}, time.Time{}, false, 0},
		"trouble that lasts for long beside one on its way":     {[]State{starting, in(lasting, 12)}, time.Time{}, false, 1},
		"the last word":                                         {[]State{up, in(certain, 0)}, now, false, 1},
		"the last word beside one that crashes":                 {[]State{untried, in(certain, 12)}, now, false, 2},
		"what is gone":                                          {[]State{in(gone, 5)}, time.Time{}, false, 1},
		"what another may bring, which is on its way":           {[]State{starting, in(mayPass, 60)}, time.Time{}, false, 0},
		"what another may bring, and none is on its way":        {[]State{up, in(mayPass, 4)}, time.Time{}, false, 1},
		"what another may have brought a moment ago":            {[]State{up, in(mayPass, 50)}, ago(10), false, 0},
		"what another has not brought":                          {[]State{up, in(mayPass, 50)}, ago(20), false, 1},
		"a crash loop that is young":                            {[]State{up, untried}, time.Time{}, false, 0},
		"a crash loop, tried since everything else is up":       {[]State{up, in(crashing, 30)}, ago(11), false, 1},
		"a crash loop, not tried since everything else is up":   {[]State{up, in(crashing, 30)}, ago(9), false, 0},
		"a crash loop beside one on its way":                    {[]State{starting, in(crashing, 300)}, time.Time{}, false, 0},
		"two crash loops that may wait for each other":          {[]State{in(crashing, 60), in(crashing, 60)}, time.Time{}, false, 2},
		"a crash loop beside one that is not tried long enough": {[]State{untried, in(crashing, 60)}, time.Time{}, false, 0},
	} {
		v := judge(test.states, test.progress, now)
		if v.Done != test.done || len(v.Broken) != test.broken {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
