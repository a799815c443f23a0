package crds

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A SharedError is about definitions in somebody's cluster that do not do for the wanted release, and that kindgate did not install. They were
// left as they are.
type SharedError struct {
	// Have is what they say they are from; the zero Bundle where one says nothing. Want is the wanted release.
	Have, Want Bundle
	// Missing are the names of definitions that are not there.
	Missing []string
}

func (e *SharedError) Error() string {
	switch {
	case e.Have == Bundle{}:
		return fmt.Sprintf("the cluster has definitions of the Gateway API that do not say which release they are from, so that it is not known whether they do for %s", e.Want)
	case len(e.Missing) > 0:
		return fmt.Sprintf("the cluster has the Gateway API %s, but not %s: one of another release, %s, would not fit", e.Have, strings.Join(e.Missing, ", "), e.Want)
	}
	return fmt.Sprintf("the cluster has the Gateway API %s, older than %s", e.Have, e.Want)
}

// Share decides which of the wanted definitions, which all are from one release, are applied to a cluster that others use, too: live are those
// that it has, in the same order, with gaps; ours tells whether kindgate has applied one. Definitions of the same release or a newer one, of
// either channel, are used as they are. What kindgate has applied it upgrades. It returns the indices of those to apply. The error is a
// *SharedError.
func Share(wanted, live []*unstructured.Unstructured, ours func(*unstructured.Unstructured) bool) ([]int, error) {
	var apply, absent []int
	var theirs []Bundle
	for i, now := range live {
		want, _ := BundleOf(wanted[i])
		if now == nil {
			absent = append(absent, i)
			continue
		}
		have, known := BundleOf(now)
		newer := semver.Compare(have.Version, want.Version)
		switch {
		case ours(now) && newer <= 0 && have.Channel != "experimental":
			apply = append(apply, i)
		case ours(now):
		case !known || newer < 0:
			return nil, &SharedError{Have: have, Want: want}
		default:
			theirs = append(theirs, have)
		}
	}
	for _, i := range absent {
		want, _ := BundleOf(wanted[i])
		if at := slices.IndexFunc(theirs, func(have Bundle) bool { return have != want }); at >= 0 {
			return nil, &SharedError{Have: theirs[at], Want: want, Missing: namesOf(wanted, absent)}
		}
	}
	apply = append(apply, absent...)
	slices.Sort(apply)
	return apply, nil
}

func namesOf(definitions []*unstructured.Unstructured, indices []int) []string {
	var names []string
	for _, i := range indices {
		names = append(names, definitions[i].GetName())
	}
	return names
}
