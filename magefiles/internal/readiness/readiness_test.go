package readiness

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
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

func TestAWaitRemembersSinceWhenSomethingIsWrongAndWhenAWorkloadCameUp(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }
	bad := func(w weight) State { return State{Name: "bad", WaitingFor: "x", Trouble: &Trouble{weight: w}} }
	up, starting := State{Name: "other", Done: true}, State{Name: "other", WaitingFor: "x"}
	h := NewHistory(begun)
	for second, look := range []struct {
		states []State
		broken int
	}{
		0: {[]State{bad(lasting), up}, 0},
		3: {[]State{bad(lasting), up}, 0},
		4: {[]State{bad(lasting), up}, 1},
		5: {[]State{{Name: "bad", WaitingFor: "x"}, up}, 0}, // the trouble has passed
		6: {[]State{bad(lasting), up}, 0},
	} {
		if got := h.Judge(look.states, at(second)); len(got.Broken) != look.broken {
			t.Errorf("after %d s: %+v", second, got)
		}
	}
	h = NewHistory(begun)
	for _, look := range []struct {
		second int
		states []State
		broken int
	}{
		{0, []State{bad(mayPass), starting}, 0},
		{60, []State{bad(mayPass), up}, 0}, // which may have brought what is missing
		{79, []State{bad(mayPass), up}, 0},
		{80, []State{bad(mayPass), up}, 1},
	} {
		if got := h.Judge(look.states, at(look.second)); len(got.Broken) != look.broken {
			t.Errorf("after %d s: %+v", look.second, got)
		}
	}
}

func TestAWaitIsIdleSinceTheLastWorkloadCameUpAndNotWhileOneIsOnItsWay(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	up, starting := State{Name: "other", Done: true}, State{Name: "other", WaitingFor: "x"}
	bad := State{Name: "bad", Trouble: &Trouble{weight: mayPass}}
	h := NewHistory(begun)
	h.Judge([]State{starting, bad}, begun)
	if got := h.Idle([]State{starting, bad}, begun.Add(time.Hour)); got != 0 {
		t.Error(got)
	}
	h.Judge([]State{up, bad}, begun.Add(time.Minute))
	if got := h.Idle([]State{up, bad}, begun.Add(time.Minute+time.Second)); got != time.Second {
		t.Error(got)
	}
}

func TestWhatIsOnlyBesideHoldsAVerdictBackWhileItIsOnItsWay(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	bad := State{Name: "bad", Trouble: &Trouble{weight: mayPass}, since: now.Add(-time.Minute)}
	for name, test := range map[string]struct {
		beside State
		broken int
	}{
		"on its way": {State{Beside: true}, 0},
		"up":         {State{Beside: true, Done: true}, 1},
		"in trouble": {State{Beside: true, Trouble: &Trouble{weight: lasting}}, 1},
	} {
		if v := judge([]State{bad, test.beside}, time.Time{}, now); len(v.Broken) != test.broken || v.Done || len(v.WaitingFor) != 1 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestWhatABrokenWorkloadsLineSays(t *testing.T) {
	of := func(kind string) kube.Object {
		return kube.Object{Unstructured: &unstructured.Unstructured{Object: object(t, "{kind: "+kind+", metadata: {name: w, namespace: ns}}")}}
	}
	for _, test := range []struct {
		kind    string
		trouble Trouble
		want    string
	}{
		{"Deployment", Trouble{message: "why"}, "w: why"},
		{"Deployment", Trouble{message: "why", look: "describe x"}, "w: why; see kubectl describe x"},
		{"Deployment", Trouble{message: "why", image: &pulled{"i", corev1.PullIfNotPresent}}, "w: why"},
		{"Deployment", Trouble{message: "why", image: &pulled{"i", corev1.PullAlways}},
			"w: why; an image in the node is not used, as its pull policy is Always (the default for the tag latest and for none): set imagePullPolicy: IfNotPresent, or use another tag"},
		{"Job", Trouble{message: "why", weight: crashing}, "w: why"},
		{"Job", Trouble{message: "why", weight: certain}, "w: why; to have it run again, delete it: kubectl delete job -n ns w"},
	} {
		s := State{Object: of(test.kind), Name: "w", Trouble: &test.trouble}
		if got := s.Failure("kubectl", nil); got != test.want {
			t.Errorf("%s", got)
		}
	}
	if log := (&Container{"ns", "p", "c"}); (&Trouble{log: log}).Log() != log {
		t.Error("its log is another's")
	}
}

func TestWhatIsToBeAskedOfAWorkload(t *testing.T) {
	live := func(text string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: object(t, text)}
	}
	job, deployment := live("{kind: Job}"), live("{kind: Deployment}")
	refused := live("{kind: Deployment, status: {conditions: [{type: ReplicaFailure, status: 'True'}]}}")
	for name, test := range map[string]struct {
		object, live *unstructured.Unstructured
		state        State
		want         Lacking
	}{
		"it is up":                        {deployment, deployment, State{Done: true}, Nothing},
		"its trouble is known":            {deployment, refused, State{Trouble: &Trouble{weight: lasting}}, Nothing},
		"its time is over":                {deployment, refused, State{Trouble: &Trouble{weight: certain}, late: true}, Pods},
		"a Job that is gone":              {job, nil, State{Trouble: &Trouble{weight: gone}}, Itself},
		"any other that is gone":          {deployment, nil, State{Trouble: &Trouble{weight: gone}}, Nothing},
		"it lacks pods":                   {deployment, refused, State{}, Pods},
		"its pods are not ready, no more": {deployment, deployment, State{}, Readiness},
	} {
		test.state.Object = kube.Object{Unstructured: test.object}
		if got := test.state.Lacks(test.live); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestADeploymentsDeadlineIsSaidWithWhatIsKnownOfItsPods(t *testing.T) {
	s := State{Trouble: &Trouble{weight: certain, message: "its time is over"}, WaitingFor: "it", late: true}
	s.Refuse(nil)
	s.Late()
	if s.Trouble.message != "its time is over" || s.WaitingFor != "it" {
		t.Errorf("%+v", s.Trouble)
	}
	s.Refuse(&Trouble{weight: lasting, message: "refused"})
	s.Late()
	if s.Trouble.message != "its time is over; refused" || s.WaitingFor != "it; refused" {
		t.Errorf("%+v", s.Trouble)
	}
}
