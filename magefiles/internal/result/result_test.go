package result

import "testing"

func TestTheSumOfAStepsPartsSaysTheMostTellingThing(t *testing.T) {
	for _, test := range []struct {
		parts []Result
		want  Result
	}{
		{nil, Unchanged},
		{[]Result{Unchanged, Unchanged}, Unchanged},
		{[]Result{Created, Created}, Created},
		{[]Result{Unchanged, Created}, Updated}, // a step that was there, and got another object
		{[]Result{Updated, Unchanged}, Updated},
		{[]Result{Unchanged, Repaired, Updated}, Repaired},
		{[]Result{Created, Unchanged, Repaired}, Repaired},
		{[]Result{Repaired, Created}, Repaired},
	} {
		if got := Of(test.parts...); got != test.want {
			t.Errorf("%v: got %s, want %s", test.parts, got, test.want)
		}
	}
}
