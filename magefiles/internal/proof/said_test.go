package proof

import (
	"strings"
	"testing"
	"testing/synctest"

	"kindgate/magefiles/internal/probe"
)

func TestWhyTraefikAnswersInThePlaceOfABackendIsQuotedFromTheLinesOfTheRequestItself(t *testing.T) {
	const tls, others = `{"level":"error","error":"tls: certificate is valid for a, not b","message":"500 Internal Server Error"}` + "\n", "a line\n"
	const plain = "500 Internal Server Error instead of an answer of Service/demo/cart"
	for _, test := range []struct {
		name   string
		answer *probe.Answer
		logs   []string // at each look: for the route's lines, before the request is sent again, and after
		found  string
	}{
		{"at once", status(500), []string{"", others, tls}, plain + "; Traefik's log says of it: tls: certificate is valid for a, not b"},
		{"a moment later", status(500), []string{others, others, "", others + tls}, plain + "; Traefik's log says of it: tls: certificate is valid for a, not b"},
		{"of another request", status(500), []string{tls, tls, others}, plain},
		{"nothing", status(500), nil, plain},
		{"of another answer", status(502), []string{"", "", tls}, "502 Bad Gateway instead of an answer of Service/demo/cart"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := whole(t)
				w.gateway.answers["cart.localhost"] = []*probe.Answer{test.answer}
				w.place.logs = test.logs
				r := w.verify(t)[cart]
				if r.Hop == nil || r.Hop.Title != "the backend answers" || r.AtHop.Found != test.found {
					t.Errorf("%+v", r.AtHop)
				}
			})
		})
	}
}

func TestTheLinesThatALogHasGotAreThoseAfterTheOnesKnown(t *testing.T) {
	for _, test := range []struct{ before, after, new string }{
		{"", "a b", "a b"}, {"a b", "a b", ""}, {"a b", "a b c", "c"}, {"a b c", "b c d", "d"}, {"a b", "c d", "c d"}, {"a a", "a a a", "a"},
	} {
		if got := strings.Join(since(strings.Fields(test.before), strings.Fields(test.after)), " "); got != test.new {
			t.Errorf("%q, %q: %q", test.before, test.after, got)
		}
	}
}
