package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/result"
)

// A FieldChange is one field of an object that applying its manifest would change. From or To is empty where the field is not there. Of a
// Secret's data, no value is told.
type FieldChange struct {
	Path, From, To string
}

func (f FieldChange) String() string {
	switch {
	case f.From == "":
		return fmt.Sprintf("%s: %s is added", f.Path, f.To)
	case f.To == "":
		return fmt.Sprintf("%s: %s is taken out", f.Path, f.From)
	}
	return fmt.Sprintf("%s: %s becomes %s", f.Path, f.From, f.To)
}

// try fills in what applying the object would come to. One that the API server cannot be asked about, as its namespace or its kind is not there
// yet, would be created.
func (a application) try(ctx context.Context, change *Change) error {
	client, err := a.Resource(ctx, a.object.GroupVersionKind(), a.object.GetNamespace())
	switch {
	case a.live == nil && errors.As(err, &unknownKind{}):
		change.Result, change.Unsure = result.Created, "its kind is not defined yet"
		return nil
	case err != nil:
		return err
	case a.live != nil && a.live.GetDeletionTimestamp() != nil:
		change.Result, change.Unsure = result.Created, "it is being deleted"
		return nil
	}
	want, hash, err := wanted(a.object, a.live)
	if err != nil {
		return err
	}
	if isAsWanted(a.live, want, hash) {
		change.Result = result.Unchanged
		return nil
	}
	applied, err := a.patch(ctx, client, want)
	switch {
	case a.live == nil && apierrors.IsNotFound(err):
		change.Unsure = "its namespace is not there yet"
	case err != nil:
		return err
	case a.live != nil:
		change.Fields = ChangedFields(withoutHash(a.live), withoutHash(applied))
	}
	change.Result = a.result(hash, len(change.Fields) == 0 && a.live != nil && IsOurs(a.live))
	return nil
}

// withoutHash is what an object has apart from who wrote it, and from the hash of its manifest.
func withoutHash(u *unstructured.Unstructured) *unstructured.Unstructured {
	u = &unstructured.Unstructured{Object: content(u)}
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", manifestAnnotation)
	if len(u.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
	}
	return u
}

// ChangedFields are the fields in which two states of an object differ, by their paths. Of a Secret, values are left out.
func ChangedFields(from, to *unstructured.Unstructured) []FieldChange {
	var found []FieldChange
	differences(from.Object, to.Object, "", &found)
	if from.GroupVersionKind().Group == "" && from.GetKind() == "Secret" {
		for i := range found {
			found[i].From, found[i].To = hidden(found[i].From), hidden(found[i].To)
		}
	}
	return found
}

func hidden(value string) string {
	if value == "" {
		return ""
	}
	return "(not shown)"
}

// differences appends the fields in which two values differ. Lists of one length are compared item by item, others as a whole.
func differences(from, to any, path string, found *[]FieldChange) {
	old, wasMap := from.(map[string]any)
	now, isMap := to.(map[string]any)
	if wasMap && isMap {
		both := maps.Clone(old)
		maps.Copy(both, now)
		for _, key := range slices.Sorted(maps.Keys(both)) {
			below := key
			if path != "" {
				below = path + "." + key
			}
			differences(old[key], now[key], below, found)
		}
		return
	}
	before, wasList := from.([]any)
	after, isList := to.([]any)
	if wasList && isList && len(before) == len(after) {
		for i := range before {
			differences(before[i], after[i], fmt.Sprintf("%s[%d]", path, i), found)
		}
		return
	}
	if a, b := written(from), written(to); a != b {
		*found = append(*found, FieldChange{path, shortened(a), shortened(b)})
	}
}

// written is a value as JSON; empty for none.
func written(value any) string {
	if value == nil {
		return ""
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// longest bounds how many characters of a value are shown.
const longest = 60

func shortened(text string) string {
	if all := []rune(text); len(all) > longest {
		return string(all[:longest]) + "…"
	}
	return text
}
