package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/proof"
)

func TestAContextThatTheKubeconfigDoesNotHaveIsNamedWithTheNearest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ kubeconfig, context, want string }{
		{"contexts: [{name: staging, context: {cluster: a, user: a}}, {name: production, context: {cluster: a, user: a}}]", "stagign",
			"the kubeconfig has no context \"stagign\"; is staging meant?\nIt has: production, staging"},
		{"contexts: [{name: arn:aws:eks:eu-1:1:cluster/staging, context: {cluster: a, user: a}}]", "staging", "is arn:aws:eks:eu-1:1:cluster/staging meant?"},
		{"contexts: [{name: kind-a, context: {cluster: a, user: a}}]", "something-else", "the kubeconfig has no context \"something-else\"\nIt has: kind-a"},
		{"kind: Config", "staging", "the kubeconfig has no context \"staging\", nor any other"},
		{"contexts: [{name: staging, context: {cluster: gone, user: a}}]", "staging", "context staging: "},
		{"contexts: [", "staging", path},
	} {
		write("apiVersion: v1\n" + test.kubeconfig + "\n")
		if _, err := contextOf(Config{Context: test.context, Kubeconfig: path}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.kubeconfig, err)
		}
	}
	if _, err := contextOf(Config{Context: "staging", Kubeconfig: path + "-not-there"}); err == nil || !strings.Contains(err.Error(), path+"-not-there") {
		t.Errorf("no file: %v", err)
	}
	write("{apiVersion: v1, kind: Config, contexts: [{name: c, context: {cluster: a, user: a}}], clusters: [{name: a, cluster: {server: \"https://127.0.0.1:1\"}}], users: [{name: a, user: {}}]}")
	if cfg, err := contextOf(Config{Context: "c", Kubeconfig: path}); err != nil || cfg.Host != "https://127.0.0.1:1" || onlyRead(cfg).WrapTransport == nil {
		t.Errorf("%v: %+v", err, cfg)
	}
}

func TestAKubeconfigThatChangesWhileARunWaitsLeadsItToNoOtherCluster(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	leadTo := func(server string) {
		t.Helper()
		text := "{apiVersion: v1, kind: Config, contexts: [{name: c, context: {cluster: a, user: a}}], clusters: [{name: a, cluster: {server: '" + server + "'}}], users: [{name: a, user: {}}]}"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leadTo("https://127.0.0.1:1")
	s := newSession(Config{Context: "c", Kubeconfig: path, Timeout: time.Minute})
	first, err := s.lockName()
	if err != nil || s.farName() != "context c (https://127.0.0.1:1)" {
		t.Fatal(first, s.farName(), err)
	}
	leadTo("https://127.0.0.1:2")
	s.run.Begin(t.Context())
	if cfg, err := (&contextGround{session: s, approved: true}).API(t.Context()); err != nil || cfg.Host != "https://127.0.0.1:1" {
		t.Error(cfg, err)
	}
	if at, _, err := s.reader(); err != nil || at.REST.Host != "https://127.0.0.1:1" || at.REST.Timeout == 0 {
		t.Error(at.REST, err)
	}
}

func TestOfManyRequestsThePlanIsSaidAndThatTheRunHasNoTimeForThem(t *testing.T) {
	slow := Config{Rate: 10, Timeout: time.Minute}
	for _, test := range []struct {
		requests int
		config   Config
		verdict  check.Verdict
		want     string
	}{
		{50, slow, "", ""},
		{51, slow, check.Holds, "51 requests to 2 sites, GET and HEAD only, at most 10 a second: about 5 s. KINDGATE_RATE sets another rate, KINDGATE_NAMESPACES leaves routes out"},
		{601, slow, check.Holds, "about 60 s. KINDGATE_RATE"},
		{611, slow, check.Warns, "about 61 s, and the run ends after 1m0s (KINDGATE_TIMEOUT). KINDGATE_RATE"},
		{2000, Config{Timeout: time.Minute}, check.Holds, "2000 requests to 2 sites, GET and HEAD only"},
	} {
		if plan := requestPlan(test.requests, 2, test.config); plan.Verdict != test.verdict || !strings.HasSuffix(plan.Found, test.want) && !strings.Contains(plan.Found, test.want) {
			t.Errorf("%d: %s %q", test.requests, plan.Verdict, plan.Found)
		}
	}
}

func TestTheSnapshotThatSitesWereFoundByIsUsedOnce(t *testing.T) {
	first, second := &proof.Snapshot{}, &proof.Snapshot{}
	take := reusing(first, func(context.Context) (*proof.Snapshot, error) { return second, nil })
	for i, want := range []*proof.Snapshot{first, second, second} {
		if got, err := take(t.Context()); err != nil || got != want {
			t.Errorf("%d: another one", i)
		}
	}
	failing := reusing(nil, func(context.Context) (*proof.Snapshot, error) { return nil, errors.New("gone") })
	if _, err := failing(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestACredentialThatMayReadNothingIsAnErrorAndOneThatMayReadSomeIsNone(t *testing.T) {
	none := []string{}
	for name, test := range map[string]struct {
		partial map[string][]string
		fails   bool
	}{
		"all":                 {nil, false},
		"nothing":             {map[string][]string{"Gateway": none, "HTTPRoute": none, "GRPCRoute": none, "Pod": none}, true},
		"routes of one":       {map[string][]string{"Gateway": none, "HTTPRoute": {"shop"}, "GRPCRoute": none}, false},
		"no kind GRPCRoute":   {map[string][]string{"Gateway": none, "HTTPRoute": none}, false},
		"all but the classes": {map[string][]string{"GatewayClass": none}, false},
	} {
		err := nothingRead(&proof.Snapshot{Partial: test.partial, Unread: []string{"cannot list gateways: Forbidden"}})
		if (err != nil) != test.fails || err != nil && !strings.Contains(err.Error(), "cannot list gateways: Forbidden\nKINDGATE_NAMESPACES") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOfManyFindingsThoseThatHoldAreCountedAndOnlyTheFirstWarningsAreShown(t *testing.T) {
	count := func(s *summary) (shown int) {
		for range 300 {
			for _, f := range []check.Finding{{Verdict: check.Holds}, {Verdict: check.Unknown}} {
				if s.shows("URL", f) {
					shown++
				}
			}
		}
		s.shows("Gateway", check.Finding{Verdict: check.Holds})
		return shown
	}
	few := &summary{whole: true}
	if shown := count(few); shown != 600 || len(few.rest()) != 0 {
		t.Errorf("%d shown, %+v", shown, few.rest())
	}
	many := &summary{}
	shown := count(many)
	var rest []string
	for _, more := range many.rest() {
		rest = append(rest, fmt.Sprintf("%s %s: %s", more.Verdict, more.ID.Kind, more.Found))
	}
	want := "warns URL: 280 checks more warned, or not known: KINDGATE_OUTPUT=json has each; holds Gateway: 1 check passed; holds URL: 300 checks passed"
	if got := strings.Join(rest, "; "); shown != mostWarnings || got != want {
		t.Errorf("%d shown, %s", shown, got)
	}
}

func TestWhereSomethingIsNotIsSaidByItsNamespaces(t *testing.T) {
	if got := within(nil) + within([]string{"a", "b"}); got != " in namespaces a, b" {
		t.Errorf("%q", got)
	}
}

// client-go would wait for a named pipe for ever, and print the tokens of two users of one name.
func TestAKubeconfigThatIsNoneIsSaidBeforeItsContextIsLookedFor(t *testing.T) {
	doubled := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(doubled, []byte("apiVersion: v1\nkind: Config\nusers: [{name: a, user: {token: SECRET}}, {name: a, user: {}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), doubled} {
		_, err := contextOf(Config{Kubeconfig: path, Context: "a"})
		if !errors.As(err, new(*cluster.KubeconfigError)) || strings.Contains(err.Error(), "SECRET") {
			t.Error(err)
		}
	}
}
