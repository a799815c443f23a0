package spelling

import "testing"

func TestANameIsNearWhereALetterOrTwoDiffer(t *testing.T) {
	for _, test := range []struct {
		a, b string
		near bool
	}{{"web", "wbe", true}, {"web", "ewb", true}, {"a1", "b2", false}, {"web", "webs", true}, {"web", "web", false}, {"web", "api", false}, {"whoami", "whaomi", true}, {"frontend", "fronted", true}, {"frontend", "backend", false}} {
		if Near(test.a, test.b) != test.near || Near(test.b, test.a) != test.near {
			t.Errorf("%s and %s", test.a, test.b)
		}
	}
}

func TestSlipsAreCountedUpToAsManyAsMatter(t *testing.T) {
	for _, test := range []struct {
		a, b       string
		most, want int
	}{{"", "", 9, 0}, {"", "abc", 9, 3}, {"abc", "", 2, 3}, {"CLUSTR", "CLUSTER", 9, 1}, {"OUTPTU", "OUTPUT", 9, 1}, {"HTTP", "HTTPS_PORT", 2, 3}, {"kitten", "sitting", 9, 3}} {
		if got := Apart(test.a, test.b, test.most); got != test.want {
			t.Errorf("%s and %s: %d", test.a, test.b, got)
		}
	}
}
