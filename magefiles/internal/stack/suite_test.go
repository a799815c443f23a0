package stack

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestASuiteThatCannotRunIsSkippedWithTheReasonAndInCIOnlyWhereThatIsAllowed(t *testing.T) {
	down := func() error { return errors.New("no engine") }
	up := func() error { return nil }
	notAsked := func() error {
		t.Error("the engine is asked")
		return nil
	}
	for _, test := range []struct {
		environ []string
		engine  func() error
		skipped string
		wrong   []string
	}{
		{nil, up, "", nil},
		{[]string{"CI=true"}, up, "", nil},
		{nil, down, "no engine", nil},
		{[]string{"CI="}, down, "no engine", nil},
		{[]string{"CIRCUS=1", "XCI=1"}, down, "no engine", nil},
		{[]string{"CI=1"}, down, "", []string{"no engine", "CI is set", "KINDGATE_TEST_SKIP_E2E=yes"}},
		{[]string{"CI=1", "KINDGATE_TEST_SKIP_E2E="}, down, "", []string{"no engine"}},
		{[]string{"CI=1", "KINDGATE_TEST_SKIP_E2E=yes"}, notAsked, "KINDGATE_TEST_SKIP_E2E=yes", nil},
		{[]string{"KINDGATE_TEST_SKIP_E2E=yes"}, notAsked, "KINDGATE_TEST_SKIP_E2E=yes", nil},
		{[]string{"KINDGATE_TEST_SKIP_E2E=true"}, notAsked, "", []string{`KINDGATE_TEST_SKIP_E2E="true"`, "yes or empty"}},
	} {
		skipped, err := skipSuite(test.environ, test.engine)
		if skipped != test.skipped || (err != nil) != (test.wrong != nil) ||
			slices.ContainsFunc(test.wrong, func(words string) bool { return !strings.Contains(err.Error(), words) }) {
			t.Errorf("%v: %q, %v", test.environ, skipped, err)
		}
	}
}

func TestWhereDockerIsNotInstalledTheSuiteIsSkipped(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if skipped, err := SkipSuite(t.Context(), nil); err != nil || !strings.Contains(skipped, "docker is not installed") {
		t.Errorf("%q, %v", skipped, err)
	}
}
