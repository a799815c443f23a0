package stack

import (
	"os"
	"slices"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/proof"
)

func TestTheREADMEHasTheDrawingOfTheDemo(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("../../..")
	s := New([]string{"KINDGATE_TRAEFIK_REPO=http://127.0.0.1:1", "KINDGATE_TRAEFIK_VERSION=0.0.1"})
	s.run.Begin(t.Context())
	if want := "```mermaid\n" + s.Examiner.drawFiles().Mermaid() + "```\n"; !strings.Contains(string(readme), want) {
		t.Errorf("README.md does not have\n%s", want)
	}
}

func TestADrawingOfTheFilesShowsWhatCheckFinds(t *testing.T) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for _, folder := range []string{"kind", "manifests"} {
		if err := os.CopyFS(folder, os.DirFS(root+"/../../../"+folder)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("manifests/httproute-host.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("manifests/httproute-host.yaml", []byte(strings.ReplaceAll(string(text), "port: 80", "port: 81")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New([]string{"KINDGATE_TRAEFIK_REPO=http://127.0.0.1:1", "KINDGATE_TRAEFIK_VERSION=0.0.1"})
	s.run.Begin(t.Context())
	var failing []string
	for _, n := range s.Examiner.drawFiles().Nodes {
		if n.Verdict != "" && n.Fails() {
			failing = append(failing, n.What+" "+n.Name)
		}
	}
	if !slices.Equal(failing, []string{"HTTPRoute demo/whoami-host"}) {
		t.Errorf("%q", failing)
	}
	if text := s.pageDrawing(); !strings.HasPrefix(text, "flowchart LR\n") {
		t.Errorf("the page of a run that has proven nothing: %q", text)
	}
	s.drawn = &drawing.Drawing{}
	if text := s.pageDrawing(); text != "" {
		t.Errorf("nothing to draw: %q", text)
	}
}

func TestStatusGroupsByGatewayListenerAndRoute(t *testing.T) {
	class := proof.Promise{Check: check.Check{ID: check.ID{Kind: "GatewayClass", Name: "traefik"}}}
	v := view{context: "staging", promises: []proof.Promise{class}, findings: []check.Finding{{Found: "Accepted"}}, others: []proof.Promise{class}}
	node := func(what, name string) int {
		return v.drawing.Node(drawing.Node{What: what, Name: name, Finding: check.Finding{Found: "found"}})
	}
	route := node("HTTPRoute", "demo/a")
	for _, listener := range []int{node("listener", "web"), node("listener", "websecure")} {
		v.drawing.Edge(node("Gateway", "traefik/gw"), listener, "")
		v.drawing.Edge(listener, route, "")
	}
	v.drawing.Edge(route, node("URL", "http://a/"), "")
	v.drawing.Edge(node("URL", "http://a/"), node(drawing.Service, "demo/a"), "")
	var got []string
	for _, row := range v.rows() {
		got = append(got, strings.Join(row, "|"))
	}
	want := []string{"context|staging|only read", "GatewayClass|traefik|Accepted", "Gateway|traefik/gw|found", "  listener|web|found", "    HTTPRoute|demo/a|found",
		"      URL|http://a/|found", "  listener|websecure|found", "    HTTPRoute|demo/a|found", "      URL|http://a/|found"}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func TestTheManifestsAloneAreWhatIsLeftWhereAClusterIsNotReady(t *testing.T) {
	s := &session{config: Config{Cluster: "dev"}}
	for state, why := range map[cluster.State]string{"": "no cluster is up", cluster.Absent: "no cluster is up", cluster.Running: "cluster dev is running, but not ready"} {
		if got := s.filesAlone(cluster.Observation{State: state}); got != "the manifests alone, as "+why {
			t.Errorf("%q: %s", state, got)
		}
	}
}
