package stack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestARoundIsSummedUpInALineByWhatUpHasPrinted(t *testing.T) {
	const held = `{"v":1,"step":"check","result":"passed"}
{"v":1,"check":"http://a.localhost/","level":"ok","verdict":"holds","found":"Service/ns/a: 1 of 1 pods","hint":"","at":"manifests/a.yaml:7"}
{"v":1,"check":"https://a.localhost/","level":"ok","verdict":"holds","found":"Service/ns/a: 1 of 1 pods","hint":"","at":"manifests/a.yaml:7"}
{"v":1,"check":"HTTPRoute/ns/a","level":"ok","verdict":"holds","found":"Accepted","hint":"","at":"manifests/a.yaml:7"}
{"v":1,"check":"http://b.localhost/","level":"ok","verdict":"holds","found":"Service/ns/b","hint":"","at":"manifests/b.yaml:7"}
{"v":1,"check":"names","level":"warning","verdict":"warns","found":"a.localhost","hint":""}
{"v":1,"note":"said"}
{"v":1,"open":"http://a.localhost/"}
`
	for _, test := range []struct{ out, want string }{
		{held + `{"v":1,"step":"images","result":"created","detail":"busybox:1"}` + "\n" + `{"v":1,"step":"routes","result":"updated","detail":"updated HTTPRoute/ns/a"}` + "\n" + `{"v":1,"exit":0}`,
			"✓ manifests/a.yaml  images created busybox:1, updated HTTPRoute/ns/a; http://a.localhost/ Service/ns/a: 1 of 1 pods (and 1 more); 4 checks passed; 0.62s"},
		{`{"v":1,"step":"apps","result":"unchanged"}` + "\n" + `{"v":1,"exit":0}` + "\n", "✓ manifests/a.yaml  nothing to do; 0 checks passed; 0.62s"},
		{`{"v":1,"step":"check","result":"failed","error":"x"}` + "\n" + `{"v":1,"exit":3,"error":"check: the files are wrong"}` + "\n", "✗ manifests/a.yaml  check: the files are wrong; 0.62s"},
	} {
		said, err := readRound(strings.NewReader(test.out))
		if err != nil || said.exit == nil {
			t.Fatalf("%v: %+v", err, said)
		}
		if got := said.line([]string{"manifests/a.yaml"}, 620*time.Millisecond).String(); got != test.want {
			t.Errorf("%s\nexpected\n%s", got, test.want)
		}
	}
	said, err := readRound(strings.NewReader(held + "panic: no\n"))
	if err == nil || !strings.Contains(err.Error(), "panic: no") || said.exit != nil || !slices.Equal(said.notes, []string{"said"}) || len(said.checks) != 5 {
		t.Errorf("%v: %+v", err, said)
	}
}

func TestWatchDoesNotBeginWhereItWouldChangeSomebodysClusterUnasked(t *testing.T) {
	s := New([]string{"KINDGATE_CONTEXT=staging"})
	if err := s.Watch(t.Context()); err == nil || !strings.Contains(err.Error(), "KINDGATE_APPROVE=yes") {
		t.Error(err)
	}
	wrong := New([]string{"KINDGATE_OUTPUT=xml"})
	if err := wrong.Watch(t.Context()); err == nil || wrong.ExitStatus(err) != exitMisconfigured {
		t.Error(fmt.Sprint(err), wrong.ExitStatus(err))
	}
}
