package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"kindgate/magefiles/internal/kube"
)

// listKeys has the keys by which server-side apply tells the items of lists apart. Reading them takes longer than all else here together, so
// that it is done only for objects that may have a key twice.
var listKeys = sync.OnceValue(func() managedfields.TypeConverter { return applyconfigurations.NewTypeConverter(kubernetes) })

// doubled finds items of keyed lists, and of sets, that have one key. Server-side apply refuses them, also where other ways to create the
// object would let the last one win, as with a container's env; see
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy.
func doubled(o kube.Object) []Problem {
	if !alike(o.Object) {
		return nil
	}
	_, err := listKeys().ObjectToTyped(o.Unstructured)
	var all typed.ValidationErrors
	if !errors.As(err, &all) {
		return nil
	}
	var problems []Problem
	for _, err := range all {
		if key, ok := strings.CutPrefix(err.ErrorMessage, "duplicate entries for key "); ok {
			problems = append(problems, wrong(o, indexed(o.Object, err.Path+key), twiceRemedy, "%s is there twice", strings.Trim(key, "[]=")))
		}
	}
	return problems
}

// keys are the fields of which each keyed list that a manifest may set has one in its key.
var keys = []string{"name", "type", "uid", "mountPath", "devicePath", "ip", "containerPort", "port", "topologyKey"}

// alike tells whether any list of an object has two items that may have one key. Few objects have.
func alike(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for name, content := range value {
			if name != "status" && alike(content) {
				return true
			}
		}
	case []any:
		seen := map[string]bool{}
		twice := func(id string) bool {
			before := seen[id]
			seen[id] = true
			return before
		}
		return slices.ContainsFunc(value, func(item any) bool {
			fields, ok := item.(map[string]any)
			return alike(item) || !ok && twice(fmt.Sprint(item)) || slices.ContainsFunc(keys, func(key string) bool {
				content, ok := fields[key]
				return ok && twice(fmt.Sprint(key, "=", content))
			})
		})
	}
	return false
}

var (
	typedStep = regexp.MustCompile(`\.([^.\[]+)|\[((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]`)
	typedKey  = regexp.MustCompile(`(\w*)=("(?:[^"\\]|\\.)*"|[^,]+)`)
)

// indexed writes the path of a field as the API server's validation does, with the number of an item for its key: spec.ports[1] for
// .spec.ports[port=80,protocol="TCP"]. Of two items with one key it is the later.
func indexed(object any, path string) string {
	var written strings.Builder
	at := object
	for _, step := range typedStep.FindAllStringSubmatch(path, -1) {
		if name := step[1]; name != "" {
			written.WriteString("." + name)
			fields, _ := at.(map[string]any)
			at = fields[name]
			continue
		}
		items, _ := at.([]any)
		for i := len(items) - 1; i >= 0; i-- {
			if hasKey(items[i], step[2]) {
				fmt.Fprintf(&written, "[%d]", i)
				at = items[i]
				break
			}
		}
	}
	return strings.TrimPrefix(written.String(), ".")
}

// hasKey tells whether an item has a key, such as port=80,protocol="TCP"; what it leaves out has the default.
func hasKey(item any, key string) bool {
	fields, _ := item.(map[string]any)
	for _, part := range typedKey.FindAllStringSubmatch(key, -1) {
		content, set := fields[part[1]]
		if part[1] == "" {
			content, set = item, true // of a set
		}
		if set && fmt.Sprint(content) != strings.Trim(part[2], `"`) {
			return false
		}
	}
	return true
}
