package drawing

import (
	"fmt"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
)

func sample() *Drawing {
	d := &Drawing{}
	gw := d.Node(Node{What: "Gateway", Name: "a/b", Finding: check.Finding{Verdict: check.Holds, Found: "Accepted"}})
	url := d.Node(Node{What: "URL", Name: `http://a/"<x>#` + "`", Finding: check.Finding{Verdict: check.Pending, Found: "404\\\nmore"}})
	d.Edge(gw, url, "")
	d.Edge(gw, url, "")
	d.Edge(url, d.Node(Node{What: Service, Name: "a/s", Finding: check.Finding{Verdict: check.Holds, Found: "2 ready endpoints"}}), "9 of 10")
	d.Edge(url, d.Node(Node{What: Service, Name: "a/t", Finding: check.Finding{Verdict: check.Unknown, Found: strings.Repeat("é", 200)}}), "1 of 10")
	d.Node(Node{What: "HTTPRoute", Name: "a/alone"})
	return d
}

func TestMermaidHasEachNodeInItsColourAndNoTextThatItWouldObey(t *testing.T) {
	want := `flowchart LR
  n0["Gateway<br>a/b"]:::holds
  n1["URL<br>http://a/#quot;#lt;x#gt;#35;#96;<br>404\"]:::broken
  n2["Service<br>a/s<br>2 ready endpoints"]:::holds
  n3["Service<br>a/t<br>` + strings.Repeat("é", 100) + `…"]:::unknown
  n4["HTTPRoute<br>a/alone"]
  n0 --> n1
  n1 -->|"9 of 10"| n2
  n1 -->|"1 of 10"| n3
  classDef holds fill:#d1e7dd,stroke:#198754,color:#212529
  classDef broken fill:#f8d7da,stroke:#dc3545,color:#212529
  classDef unknown fill:#e2e3e5,stroke:#6c757d,color:#212529
`
	if got := sample().Mermaid(); got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
}

func TestDOTHasEachNodeInItsColourAndNoTextThatItWouldObey(t *testing.T) {
	got := sample().DOT()
	for _, want := range []string{
		"digraph kindgate {\n  rankdir=LR;\n", `  n0 [label="Gateway\na/b", fillcolor="#d1e7dd", color="#198754"];`,
		`  n1 [label="URL\nhttp://a/\"<x>#` + "`" + `\n404\\", fillcolor="#f8d7da", color="#dc3545"];`, `  n4 [label="HTTPRoute\na/alone"];`,
		"  n0 -> n1;\n", `  n1 -> n2 [label="9 of 10"];`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if !strings.HasSuffix(got, "}\n") {
		t.Error(got)
	}
}

func TestANodeThatIsFoundTwiceKeepsWhatFails(t *testing.T) {
	d := &Drawing{}
	holds, broken := check.Finding{Verdict: check.Holds}, check.Finding{Verdict: check.Broken}
	for i, f := range []check.Finding{{}, holds, broken, holds, {}} {
		if d.Node(Node{What: "URL", Name: "x", Finding: f}) != 0 {
			t.Errorf("%d: a second node", i)
		}
	}
	if d.Nodes[0].Verdict != check.Broken || d.Node(Node{What: "URL", Name: "x", Key: "other"}) != 1 {
		t.Errorf("%+v", d.Nodes)
	}
}

func TestAWalkHasEachNodeBelowEveryNodeThatLeadsToIt(t *testing.T) {
	d := sample()
	d.Edge(d.Node(Node{What: "Gateway", Name: "a/c"}), 1, "")
	var got []string
	d.Walk(func(depth int, n Node) { got = append(got, fmt.Sprint(depth, " ", n.Name)) })
	url := "1 http://a/\"<x>#`,2 a/s,2 a/t"
	if want := "0 a/b," + url + ",0 a/alone,0 a/c," + url; strings.Join(got, ",") != want {
		t.Errorf("%q", got)
	}
}
