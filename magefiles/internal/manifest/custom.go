package manifest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
)

// unknownField is the type of error of a field that the schema does not declare, beside those of the API server.
const unknownField field.ErrorType = "FieldUnknown"

// custom judges custom resources of one kind and version by the kind's definition; standard tells that it is the Gateway API's own.
func (s Schemas) custom(ctx context.Context, d *definition, gvk schema.GroupVersionKind, objects []kube.Object, standard bool) [][]Problem {
	if served := d.served(); !slices.Contains(served, gvk.GroupVersion().String()) {
		return each(objects, func(o kube.Object) []Problem { return []Problem{otherVersion(o, d.source, served)} })
	}
	compiled, err := d.schema(gvk.Version)
	if err != nil {
		return each(objects, func(o kube.Object) []Problem { return []Problem{unjudged(o, err)} })
	}
	contents, errs := make([]any, len(objects)), make([]field.ErrorList, len(objects))
	inParallel(len(objects), func(i int) { contents[i], errs[i] = compiled.check(ctx, objects[i]) })
	rules := compiled.rules(contents)
	experimental := sync.OnceValue(func() *schemaOf { return s.experimental(gvk, standard) })
	found := make([][]Problem, len(objects))
	inParallel(len(objects), func(i int) {
		if rules != nil && !blocking(errs[i]) {
			broken, _ := rules.Validate(ctx, nil, compiled.structural, contents[i], nil, celconfig.RuntimeCELCostBudget)
			errs[i] = append(errs[i], broken...)
		}
		found[i] = compiled.problems(ctx, objects[i], errs[i], experimental)
	})
	return found
}

// otherVersion is the problem of an object that is of a version which is not served; instead are those that are.
func otherVersion(o kube.Object, server string, instead []string) Problem {
	kind := o.GroupVersionKind()
	if len(instead) == 0 {
		return wrong(o, "apiVersion", "", "%s does not serve %s as %s, nor as anything else", server, kind.Kind, o.GetAPIVersion())
	}
	return wrong(o, "apiVersion", "write apiVersion: "+instead[0]+", and see which fields it has",
		"%s does not serve %s as %s; it serves %s", server, kind.Kind, o.GetAPIVersion(), strings.Join(instead, ", "))
}

// experimental returns the experimental channel's schema of a kind and version of the standard one; nil where there is none.
func (s Schemas) experimental(gvk schema.GroupVersionKind, standard bool) *schemaOf {
	if !standard {
		return nil
	}
	d, err := released(s.Experimental, gvk)
	if err != nil || d == nil {
		return nil
	}
	compiled, _ := d.schema(gvk.Version)
	return compiled
}

// undefined is the problem of an object of the Gateway API's group whose kind neither the standard channel nor the manifests define.
func (s Schemas) undefined(o kube.Object) Problem {
	if d, err := released(s.Experimental, o.GroupVersionKind()); err == nil && d != nil {
		return wrong(o, "kind", "leave it out, or put the definition of its kind into the manifests",
			"%s has %s in its experimental channel only, and kindgate installs the standard one", d.source, o.GetKind())
	}
	return wrong(o, "kind", "", "the Gateway API has no kind %s", o.GetKind())
}

// unjudged says that an object could not be judged by its kind's definition.
func unjudged(o kube.Object, err error) Problem {
	return Problem{o, "", check.Finding{Verdict: check.Unknown, Found: "not judged by the definition of its kind: " + err.Error()}}
}

// check returns an object as the API server would take it, with the defaults of its fields and without those that it does not know, and
// what the server would have against it, apart from the rules in CEL. The steps and their order are the server's, of
// k8s.io/apiextensions-apiserver, unstructuredSchemaCoercer.apply and customResourceStrategy.Validate, for server-side apply, which does not
// drop a field that is null. The status and what only a server writes into the metadata are not sent to it, and so are not judged.
func (s *schemaOf) check(ctx context.Context, o kube.Object) (map[string]any, field.ErrorList) {
	content := o.DeepCopy().Object
	delete(content, "status")
	var errs field.ErrorList
	unknown := func(paths []string) {
		for _, path := range paths {
			errs = append(errs, &field.Error{Type: unknownField, Field: path})
		}
	}
	_, _, paths, _ := objectmeta.GetObjectMetaWithOptions(content, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	unknown(paths)
	unknown(pruning.PruneWithOptions(content, s.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}))
	malformed, paths := objectmeta.CoerceWithOptions(nil, content, s.structural, false, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	unknown(paths)
	if malformed != nil {
		errs = append(errs, malformed)
	}
	defaulting.Default(content, s.structural)
	delete(content, "status") // which may have a default

	errs = append(errs, checkMetadata(o, metavalidation.NameIsDNSSubdomain)...)
	errs = append(errs, validation.ValidateCustomResource(nil, content, s.validator)...)
	errs = append(errs, objectmeta.Validate(ctx, nil, content, s.structural, false)...)
	return content, append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, content)...)
}

// checkMetadata judges what every object has: its name, labels, annotations, finalizers and owners.
func checkMetadata(o kube.Object, name metavalidation.ValidateNameFunc) field.ErrorList {
	metadata, found, err := objectmeta.GetObjectMeta(o.Object, true)
	if err != nil || !found {
		return nil // not an object that package kube returns
	}
	metadata.Generation, metadata.ManagedFields = 0, []metav1.ManagedFieldsEntry(nil)
	return metavalidation.ValidateObjectMeta(metadata, metadata.Namespace != "", name, field.NewPath("metadata"))
}

// blocking tells whether an object has errors with which the API server does not go on to the rules in CEL.
func blocking(errs field.ErrorList) bool {
	return slices.ContainsFunc(errs, func(err *field.Error) bool {
		return slices.Contains([]field.ErrorType{field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany,
			field.ErrorTypeTypeInvalid}, err.Type)
	})
}

// rules compiles the rules in CEL for the parts that any of the objects have: compiling all of HTTPRoute's takes longer than all else that
// is done with the demo's manifests. It is nil where there are none.
func (s *schemaOf) rules(objects []any) *cel.Validator {
	return cel.NewValidator(used(s.structural, objects), true, celconfig.PerCallLimit)
}

// used returns a schema with the rules of those parts only that any of the values has. All else stays, as rules refer to it.
func used(s *structural.Structural, values []any) *structural.Structural {
	if s == nil {
		return nil
	}
	trimmed := *s
	if len(values) == 0 {
		trimmed.XValidations = nil
	}
	var items []any
	fields := map[string][]any{}
	for _, value := range values {
		switch value := value.(type) {
		case []any:
			items = append(items, value...)
		case map[string]any:
			for name, content := range value {
				fields[name] = append(fields[name], content)
			}
		}
	}
	trimmed.Items = used(s.Items, items)
	if len(s.Properties) > 0 {
		trimmed.Properties = maps.Clone(s.Properties)
		for name, property := range s.Properties {
			trimmed.Properties[name] = *used(&property, fields[name])
		}
	}
	if s.AdditionalProperties != nil {
		additional := *s.AdditionalProperties
		additional.Structural = used(additional.Structural, slices.Concat(slices.Collect(maps.Values(fields))...))
		trimmed.AdditionalProperties = &additional
	}
	return &trimmed
}
