package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kindgate/magefiles/internal/sandbox"
	"kindgate/magefiles/internal/stack"
)

// ends runs targets and returns their standard output and the exit status.
func (w *world) ends(targets ...string) (string, int) {
	cmd := w.command(targets...)
	out, _ := cmd.Output()
	return string(out), cmd.ProcessState.ExitCode()
}

// decoded returns the value of a line of JSON, as the kind of object that its first field says.
func decoded(t *testing.T, line string) any {
	t.Helper()
	rest, versioned := strings.CutPrefix(line, `{"v":1,`)
	for _, object := range stack.JSONLines {
		name, _, _ := strings.Cut(reflect.TypeOf(object).Field(0).Tag.Get("json"), ",")
		if !versioned || !strings.HasPrefix(rest, `"`+name+`":`) {
			continue
		}
		value := reflect.New(reflect.TypeOf(object))
		decoder := json.NewDecoder(strings.NewReader("{" + rest))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(value.Interface()); err != nil || decoder.More() {
			t.Errorf("%v: %s", err, line)
		}
		return value.Elem().Interface()
	}
	t.Errorf("no documented object: %s", line)
	return nil
}

func TestEveryTargetPrintsDocumentedObjectsAndItsExitStatus(t *testing.T) {
	w := ownWorld(t, "kindgate-e2e-json")
	w.env["KINDGATE_OUTPUT"] = "json"
	at := func(host string) string { return fmt.Sprintf("http://%s:%d/", host, w.httpPort) }
	for _, run := range []struct {
		targets []string
		status  int
	}{
		{[]string{"plan"}, 2}, {[]string{"up"}, 0}, {[]string{"cluster"}, 0}, {[]string{"crds"}, 0}, {[]string{"traefik"}, 0}, {[]string{"apps"}, 0},
		{[]string{"routes"}, 0}, {[]string{"hosts"}, 0}, {[]string{"check"}, 0}, {[]string{"plan"}, 0}, {[]string{"verify"}, 0}, {[]string{"explain", at("whoami.localhost")}, 0},
		{[]string{"explain", at("nowhere.localhost")}, 1}, {[]string{"status"}, 0}, {[]string{"graph"}, 0}, {[]string{"graph", "-dot"}, 0}, {[]string{"doctor"}, 0}, {[]string{"teardown"}, 0},
	} {
		out, status := w.ends(run.targets...)
		var last any
		for line := range strings.Lines(out) {
			last = decoded(t, line)
		}
		if end, err := json.Marshal(last); err != nil || status != run.status || !bytes.HasPrefix(end, []byte(`{"exit":`)) {
			t.Errorf("%v: exit status %d, expected %d\n%s", run.targets, status, run.status, out)
		}
	}
}

// junit returns the report of a run, as another program reads it: what failed, and how many cases there are.
func junit(t *testing.T, path string) (failures []string, cases int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return nil, 0
	}
	var report struct {
		Suites []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				File    string `xml:"file,attr"`
				Failure *struct {
					Text string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		t.Errorf("%v:\n%s", err, data)
	}
	for _, suite := range report.Suites {
		cases += len(suite.Cases)
		for _, c := range suite.Cases {
			if c.Failure != nil {
				failures = append(failures, c.Name+" "+c.File+" "+c.Failure.Text)
			}
		}
	}
	return failures, cases
}

func TestARunThatFailsOrIsInterruptedLeavesAReportAndSaysWhyByItsExitStatus(t *testing.T) {
	w := ownWorld(t, "kindgate-e2e-report")
	path := filepath.Join(t.TempDir(), "junit.xml")
	w.env["KINDGATE_JUNIT"] = path
	for name, test := range map[string]struct {
		env    map[string]string
		status int
		says   string
	}{
		"wrong setting": {map[string]string{"KINDGATE_HTTP_PORT": "x"}, 3, "KINDGATE_HTTP_PORT"},
		"no engine":     {map[string]string{"PATH": t.TempDir()}, 4, "no container engine is installed"},
		"time limit":    {map[string]string{"KINDGATE_TIMEOUT": "3s"}, 1, "gave up after 3s"},
	} {
		before := w.env
		w.env = map[string]string{}
		for key, value := range before {
			w.env[key] = value
		}
		for key, value := range test.env {
			w.env[key] = value
		}
		out, status := w.ends("up")
		w.env = before
		if failures, _ := junit(t, path); status != test.status || !strings.Contains(strings.Join(failures, "\n"), test.says) {
			t.Errorf("%s: exit status %d, %q\n%s", name, status, failures, out)
		}
	}

	cmd := w.command("up")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "starting control-plane") {
			if err := sandbox.Interrupt(cmd); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	if failures, cases := junit(t, path); cmd.ProcessState.ExitCode() != 130 || cases == 0 || !strings.Contains(strings.Join(failures, "\n"), "interrupted; the next run goes on from here") {
		t.Errorf("Ctrl-C: exit status %d, %d cases, %q", cmd.ProcessState.ExitCode(), cases, failures)
	}

	w.mage(t, "up")
	if failures, cases := junit(t, path); len(failures) > 0 || cases < 15 {
		t.Errorf("success: %d cases, %q", cases, failures)
	}
	w.edit(t, "manifests/httproute-host.yaml", "whoami-v1\n          port: 80", "whoami-v1\n          port: 81")
	if out, status := w.ends("up"); status != 3 {
		t.Errorf("a manifest that is wrong: exit status %d\n%s", status, out)
	}
	if failures, _ := junit(t, path); len(failures) == 0 || !strings.Contains(failures[len(failures)-1], "manifests/httproute-host.yaml") {
		t.Errorf("%q", failures)
	}
}

func TestGoToolMageHandsTheExitStatusOn(t *testing.T) {
	cmd := ownWorld(t, "kindgate-e2e-status").command("status")
	tool := exec.Command("go", "tool", "mage", "status")
	tool.Dir, tool.Env = root, append(cmd.Env, "KINDGATE_X=1")
	if out, _ := tool.CombinedOutput(); tool.ProcessState.ExitCode() != 3 {
		t.Errorf("exit status %d\n%s", tool.ProcessState.ExitCode(), out)
	}
}
