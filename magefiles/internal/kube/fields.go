package kube

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// ownedFields returns the fields that a manager owns in an object by applying or by updating it: none where they cannot be read. An updater
// has an entry for each version of the kind that it wrote.
// See https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management.
func ownedFields(live *unstructured.Unstructured, manager string, operation metav1.ManagedFieldsOperationType) *fieldpath.Set {
	owned := &fieldpath.Set{}
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == manager && entry.Operation == operation && entry.Subresource == "" && entry.FieldsV1 != nil {
			fields := &fieldpath.Set{}
			if err := fields.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
				return &fieldpath.Set{}
			}
			owned = owned.Union(fields)
		}
	}
	return owned
}

// covers tells whether a manager owns every field that an object sets, apart from those that only identify it. As a change by anybody else takes
// the field from its owner, it then has the value that was last applied.
func covers(want map[string]any, owned *fieldpath.Set) bool {
	fields, metadata := maps.Clone(want), map[string]any{}
	for _, field := range []string{"apiVersion", "kind", "metadata"} {
		delete(fields, field)
	}
	for _, field := range []string{"labels", "annotations", "finalizers", "ownerReferences"} {
		if content, _, _ := unstructured.NestedFieldNoCopy(want, "metadata", field); content != nil {
			metadata[field] = content
		}
	}
	return coversContent(fields, owned) && coversContent(metadata, owned.WithPrefix(fieldpath.FieldNameElement("metadata")))
}

// coversContent is covers for a part of an object. There is no set below a leaf, nor below a map or list that has one owner as a whole.
func coversContent(want any, owned *fieldpath.Set) bool {
	if owned == nil {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		for field, content := range want {
			element := fieldpath.FieldNameElement(field)
			below, isParent := owned.Children.Get(element)
			if !isParent && !owned.Members.Has(element) || !coversContent(content, below) {
				return false
			}
		}
	case []any:
		// An element can be in both; what is owned below it counts.
		elements := slices.AppendSeq(slices.Collect(owned.Children.All()), owned.Members.All())
		for _, item := range want {
			i := slices.IndexFunc(elements, func(element fieldpath.PathElement) bool { return isItem(item, element) })
			if i < 0 {
				return false
			}
			if below, _ := owned.Children.Get(elements[i]); !coversContent(item, below) {
				return false
			}
		}
	}
	return true
}

// exceeds tells whether a manager owns a field that an object, or a part of one, does not set, as one that its manifest had before.
func exceeds(owned *fieldpath.Set, want any) bool {
	exceeding := false
	owned.Members.Iterate(func(element fieldpath.PathElement) {
		_, set := at(want, element)
		exceeding = exceeding || !set
	})
	owned.Children.Iterate(func(element fieldpath.PathElement) {
		content, set := at(want, element)
		exceeding = exceeding || !set || exceeds(owned.WithPrefix(element), content)
	})
	return exceeding
}

// at returns what an object or a list has where an element of a path leads, and whether it has it.
func at(want any, element fieldpath.PathElement) (any, bool) {
	if element.FieldName != nil {
		fields, _ := want.(map[string]any)
		content, set := fields[*element.FieldName]
		return content, set
	}
	items, _ := want.([]any)
	i := slices.IndexFunc(items, func(item any) bool { return isItem(item, element) })
	if i < 0 {
		return nil, false
	}
	return items[i], true
}

// isItem tells whether an element of a path leads to a list's item: by its value in a set, else by its keys, those that the item leaves to
// their defaults aside.
func isItem(item any, element fieldpath.PathElement) bool {
	fields, isMap := item.(map[string]any)
	switch {
	case element.Value != nil && !isMap:
		return value.Equals(*element.Value, value.NewValueInterface(item))
	case element.Key != nil && isMap:
		for _, key := range *element.Key {
			own, set := fields[key.Name]
			if !set && key.Name == "protocol" {
				own, set = "TCP", true // the one default that tells items of one port apart
			}
			if set && !value.Equals(key.Value, value.NewValueInterface(own)) {
				return false
			}
		}
		return true
	}
	return false
}
