package check

import "testing"

func TestAnIDIsPrintedWithoutWhatItHasNot(t *testing.T) {
	for _, test := range []struct {
		id                     ID
		text, path, asResource string
	}{
		{ID{Kind: "Gateway", Namespace: "traefik", Name: "web"}, "Gateway/traefik/web", "traefik/web", "gateway -n traefik web"},
		{ID{Kind: "GatewayClass", Name: "traefik"}, "GatewayClass/traefik", "traefik", "gatewayclass traefik"},
		{ID{Kind: "Gateway", Namespace: "a", Name: "b", Part: "listener c"}, "Gateway/a/b, listener c", "a/b", "gateway -n a b"},
		{ID{Kind: "engine"}, "engine", "", "engine "},
	} {
		if test.id.String() != test.text || test.id.Path() != test.path || test.id.Resource() != test.asResource {
			t.Errorf("%q %q %q", test.id, test.id.Path(), test.id.Resource())
		}
	}
	c := Check{ID: ID{Kind: "Gateway", Namespace: "a", Name: "b"}}
	if c.String() != "Gateway/a/b" {
		t.Error(c)
	}
	if c.Title = "the way in"; c.String() != "the way in" {
		t.Error(c)
	}
}

func TestWhatIsNotKnownDoesNotFailAndWhatWasNotJudgedDoes(t *testing.T) {
	for verdict, want := range map[Verdict]bool{Holds: false, Warns: false, Unknown: false, Pending: true, Broken: true, "": true} {
		if got := (Finding{Verdict: verdict}).Fails(); got != want {
			t.Errorf("%q: %t", verdict, got)
		}
	}
}
