package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The form is what CI systems have in common: see https://github.com/testmoapp/junitxml.
type (
	suites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		sums
		Suites []suite `xml:"testsuite"`
	}
	suite struct {
		Name      string `xml:"name,attr"`
		Timestamp string `xml:"timestamp,attr"`
		sums
		Cases []testcase `xml:"testcase"`
	}
	sums struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Skipped  int    `xml:"skipped,attr"`
		Time     string `xml:"time,attr"`
	}
	testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Time    string   `xml:"time,attr"`
		File    string   `xml:"file,attr,omitempty"`
		Line    int      `xml:"line,attr,omitempty"`
		Failure *message `xml:"failure"`
		Skipped *message `xml:"skipped"`
		Out     string   `xml:"system-out,omitempty"`
	}
	message struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit is a report of a run's cases: a testcase for each, in a testsuite for the steps and one for the checks. What is not proven is skipped.
func (r Run) JUnit() []byte {
	all := suites{Name: "kindgate " + r.Name}
	all.Time = seconds(r.Took)
	for _, group := range []string{"steps", "checks", "run"} {
		s := suite{Name: group, Timestamp: r.Start.UTC().Format(time.RFC3339)}
		var took time.Duration
		for _, c := range r.Cases() {
			if c.Group != group {
				continue
			}
			took += c.Took
			s.Tests++
			one := testcase{Class: "kindgate." + group, Name: c.Name, Time: seconds(c.Took), File: c.File, Line: c.Line}
			first, _, _ := strings.Cut(c.Says, "\n")
			switch c.Outcome {
			case Failed:
				s.Failures++
				one.Failure = &message{first, c.Cause, c.text()}
			case Skipped:
				s.Skipped++
				one.Skipped = &message{first, "", c.text()}
			default:
				one.Out = c.text()
			}
			s.Cases = append(s.Cases, one)
		}
		if s.Time = seconds(took); s.Tests > 0 {
			all.Suites = append(all.Suites, s)
			all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
		}
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		panic(err) // types that are no XML: nothing a user could mend
	}
	return append([]byte(xml.Header), append(text, '\n')...)
}

// IsJUnit tells whether a text is a report that JUnit has made.
func IsJUnit(text []byte) bool {
	return bytes.HasPrefix(text, []byte(xml.Header+"<testsuites name=\"kindgate "))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
