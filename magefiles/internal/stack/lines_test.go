package stack

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/plan"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/ui"
)

func fields(line any) []string {
	var names []string
	for i := range reflect.TypeOf(line).NumField() {
		name, _, _ := strings.Cut(reflect.TypeOf(line).Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func TestTheREADMEHasEveryJSONObjectWithItsFieldsAndNoOther(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| line of | fields | values |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var got, want []string
	for line := range strings.Lines(table) {
		var names []string
		for _, name := range regexp.MustCompile("`[a-z]+`").FindAllString(strings.Split(line, "|")[2], -1) {
			names = append(names, strings.Trim(name, "`"))
		}
		got = append(got, strings.Join(names, " "))
	}
	for _, line := range JSONLines {
		want = append(want, strings.Join(fields(line), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md has\n%s\nthe objects are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEachJSONObjectIsToldByItsFirstField(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range JSONLines {
		if first := fields(line)[0]; seen[first] {
			t.Errorf("%T: another begins with %s", line, first)
		} else {
			seen[first] = true
		}
	}
}

func TestEveryObjectIsPrintedWithItsVersionAndReadAgain(t *testing.T) {
	two := 2
	request := gateway.Request{Method: "GET", Scheme: "http", Host: "a.localhost", Path: "/"}
	for _, line := range []any{
		ui.StepLine{Step: "apps", Result: "created"}, ui.CheckLine{Check: "a", Level: ui.OK, Verdict: check.Holds}, ui.NoteLine{Note: "n"},
		planLine{Plan: plan.Create, Object: "Service/a/b", Fields: []string{}}, statusLine{"cluster", "c", "ready"}, openLine{"http://a/"}, watchLine{Watch: []string{"manifests/a.yaml"}, Done: []string{}, Answers: []string{"a"}, Seconds: 0.5, Exit: 1, Error: "no"}, versionOf("v", map[string]string{"sigs.k8s.io/kind": "k"}), rowLine{map[string]string{"what": "up"}},
		exitLine{Exit: 3, Error: "no"}, explained(proof.Explanation{Request: request, Nearest: []gateway.Miss{}}, "the files"),
		explainLine{Request: "GET", Losses: []lossLine{{"m", "w"}}, Listeners: []listenerLine{{"l", true, ""}}, Filters: []string{"f"}, Backends: []backendLine{{"b", 80, 1, &two}},
			Choice: &check.Finding{Verdict: check.Holds}, Nearest: []nearLine{{"n", []string{"d"}}}, Hops: []hopLine{{"h", check.Broken, "f"}}},
	} {
		var out bytes.Buffer
		ui.New(&out, ui.Options{JSON: true}).Object(line)
		again := reflect.New(reflect.TypeOf(line))
		text, versioned := bytes.CutPrefix(out.Bytes(), []byte(`{"v":1,`))
		decoder := json.NewDecoder(bytes.NewReader(append([]byte("{"), text...)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(again.Interface()); err != nil || !versioned || !reflect.DeepEqual(again.Elem().Interface(), line) {
			t.Errorf("%v: %s", err, out.String())
		}
	}
}
