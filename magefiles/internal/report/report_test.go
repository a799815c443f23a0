package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/ui"
)

type placedError struct{ error }

func (placedError) At() string { return "manifests/a.yaml:3" }

// sample is a run in which everything has happened that can.
func sample(err error) Run {
	u := ui.New(io.Discard, ui.Options{})
	u.Begin("cluster").End("created", "context kind-x", nil)
	u.Begin("apps").End("", "", fmt.Errorf("apps: %w", errors.Join(placedError{errors.New("Deployment/demo/a is \x1b[31mnot\x00 ready\nBack-off")}, errors.New("b"))))
	u.Begin("routes").Report("waiting for apps")
	u.Check(ui.Check{What: "HTTPRoute/demo/a", Finding: check.Finding{Verdict: check.Holds, Found: "Accepted"}, At: "manifests/a.yaml:9"})
	u.Check(ui.Check{What: "http://a.localhost/", Finding: check.Finding{Verdict: check.Broken, Found: `502 <Bad> & "Gateway"`, Cause: "server error"},
		Hint: "The hop that is broken: the backend\n  expected: an answer", At: "manifests/a.yaml:9"})
	u.Check(ui.Check{What: "http://b.localhost/", Finding: check.Finding{Verdict: check.Pending, Found: "404, for now"}, Hint: "The hop", Above: true})
	u.Check(ui.Check{What: "POST http://a.localhost/", Finding: check.Finding{Verdict: check.Unknown, Found: "not proven: it may change something"}, At: "manifests/a.yaml"})
	u.Check(ui.Check{What: "names", Finding: check.Finding{Verdict: check.Warns, Found: "a.localhost"}, Hint: "write it"})
	return Run{Name: "up", Said: u.Said(), Err: err}
}

// parsed is a JUnit report as another program reads it.
type parsed struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Name      string `xml:"name,attr"`
		Timestamp string `xml:"timestamp,attr"`
		Tests     int    `xml:"tests,attr"`
		Cases     []struct {
			Name    string  `xml:"name,attr"`
			File    string  `xml:"file,attr"`
			Line    int     `xml:"line,attr"`
			Time    float64 `xml:"time,attr"`
			Failure *struct {
				Message string `xml:"message,attr"`
				Type    string `xml:"type,attr"`
				Text    string `xml:",chardata"`
			} `xml:"failure"`
			Skipped *struct {
				Message string `xml:"message,attr"`
			} `xml:"skipped"`
			Out string `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func read(t *testing.T, r Run) (all parsed, said string) {
	t.Helper()
	if err := xml.Unmarshal(r.JUnit(), &all); err != nil {
		t.Fatalf("%v:\n%s", err, r.JUnit())
	}
	var lines []string
	for _, suite := range all.Suites {
		if _, err := time.Parse(time.RFC3339, suite.Timestamp); err != nil || suite.Tests != len(suite.Cases) {
			t.Errorf("%v, %d tests in %+v", err, suite.Tests, suite)
		}
		for _, c := range suite.Cases {
			line := fmt.Sprintf("%s %s %s:%d", suite.Name, c.Name, c.File, c.Line)
			if c.Failure != nil {
				line += fmt.Sprintf(" failed [%s] %s | %s", c.Failure.Type, c.Failure.Message, c.Failure.Text)
			}
			if c.Skipped != nil {
				line += " skipped " + c.Skipped.Message
			}
			lines = append(lines, line+" "+c.Out)
		}
	}
	return all, strings.Join(lines, "\n")
}

func TestAReportHasATestcaseForEachStepAndEachCheck(t *testing.T) {
	all, said := read(t, sample(errors.New("apps failed")))
	want := `steps cluster :0 created  context kind-x
steps apps manifests/a.yaml:3 failed [] apps: Deployment/demo/a is �[31mnot� ready | apps: Deployment/demo/a is �[31mnot� ready
Back-off
b 
steps routes :0 skipped it did not come to its end; last: waiting for apps 
checks HTTPRoute/demo/a manifests/a.yaml:9 Accepted
checks http://a.localhost/ manifests/a.yaml:9 failed [server error] 502 <Bad> & "Gateway" | 502 <Bad> & "Gateway"
The hop that is broken: the backend
  expected: an answer 
checks http://b.localhost/ :0 failed [] 404, for now | 404, for now
The hop 
checks POST http://a.localhost/ manifests/a.yaml:0 skipped not proven: it may change something 
checks names :0 warning: a.localhost
write it`
	if said != want || all.Tests != 8 || all.Failures != 3 || all.Skipped != 2 {
		t.Errorf("%d tests, %d failures, %d skipped:\n%s\nexpected\n%s", all.Tests, all.Failures, all.Skipped, said, want)
	}
}

func TestARunThatFailsBeforeAnyStepHasItsErrorInTheReport(t *testing.T) {
	empty := Run{Name: "up", Said: ui.New(io.Discard, ui.Options{}).Said(), Err: errors.New("KINDGATE_X: there is no such setting\nand more")}
	if all, said := read(t, empty); said != "run up :0 failed [] KINDGATE_X: there is no such setting | KINDGATE_X: there is no such setting\nand more " || all.Failures != 1 {
		t.Errorf("%+v\n%s", all, said)
	}
	empty.Err = nil
	if all, said := read(t, empty); said != "" || all.Tests != 0 {
		t.Errorf("%+v\n%s", all, said)
	}
}

func TestAnnotationsAreEscapedAndSayTheMostImportantFirst(t *testing.T) {
	got := strings.Join(sample(errors.New("failed")).Annotations("sub/folder"), "\n")
	want := `::error file=sub/folder/manifests/a.yaml,line=9,title=http%3A//a.localhost/::502 <Bad> & "Gateway"%0AThe hop that is broken: the backend%0A  expected: an answer
::error title=http%3A//b.localhost/::404, for now%0AThe hop
::error file=sub/folder/manifests/a.yaml,line=3,title=apps::apps: Deployment/demo/a is �[31mnot� ready%0ABack-off%0Ab`
	if got != want {
		t.Errorf("got\n%s\nexpected\n%s", got, want)
	}
	if got := property("50%, a:b\r\n"); got != "50%25%2C a%3Ab%0D%0A" {
		t.Error(got)
	}
}

func TestOfManyFailuresTenAreAnnotatedAndTheOthersCounted(t *testing.T) {
	u := ui.New(io.Discard, ui.Options{})
	for i := range 12 {
		u.Check(ui.Check{What: fmt.Sprint("check ", i), Finding: check.Finding{Verdict: check.Broken, Found: "no"}})
	}
	got := Run{Name: "verify", Said: u.Said(), Err: errors.New("12 of 12 checks failed")}.Annotations("")
	if len(got) != 10 || got[0] != "::error title=check 0::no" || got[9] != "::error title=check 9::no%0Aand 2 cases more that failed: the log has them" {
		t.Errorf("%q", got)
	}
	if got := (Run{Name: "up", Err: errors.New("no")}).Annotations(""); !slices.Equal(got, []string{"::error title=up::no"}) {
		t.Errorf("%q", got)
	}
}

func TestThePageHasWhatFailedFirstAndNoTextOfOthersAsMarkup(t *testing.T) {
	page := sample(errors.New("failed")).Page("flowchart LR\n")
	for _, want := range []string{
		"## kindgate up: failed\n\n3 passed, 3 failed, 2 not proven or not finished\n\n| | check | found |\n|---|---|---|\n| ❌ | http://a.localhost/ |", "| ❌ | apps | apps: Deployment/demo/a is �\\[31mnot� ready<br>Back-off<br>b |\n",
		"| ❌ | http://a.localhost/ | 502 &lt;Bad&gt; &amp; \"Gateway\"<br>The hop that is broken: the backend<br>  expected: an answer |\n",
		"| ⚪ | POST http://a.localhost/ | not proven: it may change something |\n",
		"\n```mermaid\nflowchart LR\n```\n", "\n```\n             │0", "cluster ",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	if strings.Contains(page, "| cluster |") {
		t.Errorf("a step that passed is in the table, too:\n%s", page)
	}
	u := ui.New(io.Discard, ui.Options{})
	for range 200 {
		u.Check(ui.Check{What: "x", Finding: check.Finding{Verdict: check.Holds, Found: strings.Repeat("|", 3000)}})
	}
	page = Run{Name: "verify", Said: u.Said()}.Page("")
	if rows := strings.Count(page, "| ✅ |"); rows != mostRows || !strings.Contains(page, "and 100 more") || !strings.HasPrefix(page, "## kindgate verify: holds") || len(page) > 1<<20 {
		t.Errorf("%d rows, %d bytes", rows, len(page))
	}
	if got := cell("a|b\n`c` *d* \\"); got != "a\\|b<br>\\`c\\` \\*d\\* \\\\" {
		t.Error(got)
	}
}
