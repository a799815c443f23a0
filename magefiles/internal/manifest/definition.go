package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	goyaml "go.yaml.in/yaml/v3"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
)

// A definition is a CustomResourceDefinition: which versions of a kind are served, and what an object of each must be.
type definition struct {
	crd *unstructured.Unstructured
	// source names the definition in messages, as "Gateway API v1.4.0" or "the definition at manifests/things.yaml:1".
	source string
}

// A schemaOf is what an object of one kind and version must be, apart from the rules in CEL, which are compiled for what uses them.
type schemaOf struct {
	structural *structural.Structural
	validator  validation.SchemaValidator
}

// definitions returns the definitions among objects, by the kind that they define. Those of v1beta1, which had other fields, are left out.
func definitions(objects []kube.Object) map[schema.GroupKind]*definition {
	all := map[schema.GroupKind]*definition{}
	for _, o := range of(objects, apiextensions.GroupName, "CustomResourceDefinition") {
		if o.GroupVersionKind().Version != apiextensionsv1.SchemeGroupVersion.Version {
			continue
		}
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		all[schema.GroupKind{Group: group, Kind: kind}] = &definition{o.Unstructured, "the definition at " + o.Source}
	}
	return all
}

// released returns the definition of a kind from a folder of the Gateway API's, with the schema of one version; nil where the folder has none.
func released(folder fs.FS, kind schema.GroupVersionKind) (*definition, error) {
	if kind.Group != crds.Group || folder == nil {
		return nil, nil
	}
	files, err := fs.Glob(folder, kind.Group+"_*.yaml")
	for _, file := range files {
		data, err := fs.ReadFile(folder, file)
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(data, []byte("\n    kind: "+kind.Kind+"\n")) { // spec.names.kind
			continue
		}
		crd := &unstructured.Unstructured{}
		if err := goyaml.Unmarshal(essential(data, kind.Version), &crd.Object); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if named, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind"); named == kind.Kind {
			bundle, _ := crds.BundleOf(crd)
			return &definition{crd, "Gateway API " + bundle.Version}, nil
		}
	}
	return nil, err
}

// essential leaves out of a definition, as controller-gen writes it in block style, the descriptions and the schemas of other versions than
// the one that is wanted. They are most of the text, and reading them would take as long as all else that is done here. A property that is
// called description has its schema on the lines below, and stays.
func essential(data []byte, version string) []byte {
	kept := make([]byte, 0, len(data)/2)
	outside, name := -1, "" // how far what is being left out is indented, -1 for nothing; the version that the lines are of
	for line := range bytes.Lines(data) {
		text := bytes.TrimLeft(line, " ")
		indent := len(line) - len(text)
		if outside >= 0 && (indent > outside || len(bytes.TrimSpace(text)) == 0) {
			continue
		}
		outside = -1
		if named, ok := bytes.CutPrefix(line, []byte("  - name: ")); ok {
			name = string(bytes.TrimSpace(named))
		}
		if named, ok := bytes.CutPrefix(line, []byte("    name: ")); ok {
			name = string(bytes.TrimSpace(named))
		}
		if bytes.HasPrefix(text, []byte("description: ")) || indent == 4 && name != version && bytes.HasPrefix(text, []byte("schema:")) {
			outside = indent
			continue
		}
		kept = append(kept, line...)
	}
	return kept
}

// content is all that the definition says, nil for none.
func (d *definition) content() map[string]any {
	if d == nil {
		return nil
	}
	return d.crd.Object
}

// served returns the versions that are served, as an object's apiVersion has them.
func (d *definition) served() []string {
	group, _, _ := unstructured.NestedString(d.crd.Object, "spec", "group")
	var served []string
	for _, version := range d.versions() {
		if is, _ := version["served"].(bool); is {
			served = append(served, fmt.Sprint(group, "/", version["name"]))
		}
	}
	return served
}

func (d *definition) versions() []map[string]any {
	raw, _, _ := unstructured.NestedFieldNoCopy(d.crd.Object, "spec", "versions")
	items, _ := raw.([]any)
	var versions []map[string]any
	for _, item := range items {
		if version, ok := item.(map[string]any); ok {
			versions = append(versions, version)
		}
	}
	return versions
}

// schema compiles the schema of a version, as the API server does (customresource_handler.go of k8s.io/apiextensions-apiserver). It is nil
// for a version that is not there. The error says that the definition has none that the server would take.
func (d *definition) schema(name string) (*schemaOf, error) {
	for _, version := range d.versions() {
		if version["name"] != name {
			continue
		}
		compiled, err := compile(version["schema"])
		if err != nil {
			return nil, fmt.Errorf("%s has no schema of %s that can be used: %w", d.source, name, err)
		}
		return compiled, nil
	}
	return nil, nil
}

func compile(raw any) (*schemaOf, error) {
	data, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	var external apiextensionsv1.CustomResourceValidation
	var internal apiextensions.CustomResourceValidation
	if err := json.Unmarshal(data, &external); err != nil {
		return nil, err
	}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(&external, &internal, nil); err != nil {
		return nil, err
	}
	if internal.OpenAPIV3Schema == nil {
		return nil, errors.New("openAPIV3Schema is missing")
	}
	compiled := &schemaOf{}
	if compiled.structural, err = structural.NewStructural(internal.OpenAPIV3Schema); err != nil {
		return nil, err
	}
	if errs := structural.ValidateStructural(nil, compiled.structural); len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	if err := defaulting.PruneDefaults(compiled.structural); err != nil {
		return nil, err
	}
	compiled.validator, _, err = validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	return compiled, err
}
