package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kindgate/magefiles/internal/kube"
)

// usedBy are the kinds that a pod names, by the field that does.
var usedBy = map[string]string{
	"configMap": "ConfigMap", "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap",
	"secret": "Secret", "secretRef": "Secret", "secretKeyRef": "Secret",
	"persistentVolumeClaim": "PersistentVolumeClaim",
}

// uses warns of ConfigMaps, Secrets and claims that a pod cannot start without, where another one of the folder seems to be meant.
func (f *folder) uses(o kube.Object, p pod) []Problem {
	var problems []Problem
	var walk func(field string, value any)
	walk = func(field string, value any) {
		switch value := value.(type) {
		case []any:
			for i, item := range value {
				walk(fmt.Sprintf("%s[%d]", field, i), item)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(value)) {
				at := field + "." + name
				if ref, ok := value[name].(map[string]any); ok && usedBy[name] != "" {
					problems = append(problems, f.used(o, at, usedBy[name], ref)...)
				}
				walk(at, value[name])
			}
		}
	}
	walk(strings.TrimSuffix(p.field, "metadata.labels")+"spec", p.spec)
	return problems
}

func (f *folder) used(o kube.Object, field, kind string, ref map[string]any) []Problem {
	for _, name := range []string{"name", "secretName", "claimName"} {
		named, _ := ref[name].(string)
		to := key{"", kind, keyOf(o).namespace, named}
		if _, there := f.has(to); named == "" || there || ref["optional"] == true {
			continue
		}
		if meant, ok := f.meant(to); ok {
			remedy := "write it into namespace " + to.namespace
			if meant.namespace == to.namespace {
				remedy = fmt.Sprintf("write %s: %s", name, meant.name)
			}
			return []Problem{warning(o, field+"."+name, remedy, "there is no %s %s, but there is %s", to, f.where, meant)}
		}
	}
	return nil
}
