package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kindgate/magefiles/internal/kube"
)

// problems puts what the API server would have against an object into words. What only the experimental channel knows is said to be of it.
func (s *schemaOf) problems(ctx context.Context, o kube.Object, errs field.ErrorList, experimental func() *schemaOf) []Problem {
	var still field.ErrorList // what is wrong by the experimental channel's schema too
	if slices.ContainsFunc(errs, mayBeExperimental) && experimental() != nil {
		_, still = experimental().check(ctx, o)
	} else {
		still = errs
	}
	var problems []Problem
	for _, err := range errs {
		if strings.HasPrefix(err.Detail, "rule compile") { // the definition's mistake, not the object's
			problems = append(problems, unjudged(o, errors.New(err.Detail)))
			continue
		}
		found, remedy := s.words(err)
		if mayBeExperimental(err) && !slices.ContainsFunc(still, func(e *field.Error) bool { return e.Type == err.Type && e.Field == err.Field }) {
			found += ": only the Gateway API's experimental channel has it, and kindgate installs the standard one"
		}
		problems = append(problems, wrong(o, err.Field, remedy, "%s", found))
	}
	return sorted(problems)
}

// mayBeExperimental tells whether a channel with more fields and values may have what is wrong.
func mayBeExperimental(err *field.Error) bool {
	return err.Type == unknownField || err.Type == field.ErrorTypeNotSupported
}

// sorted puts problems of one object into an order that does not change from run to run, each once.
func sorted(problems []Problem) []Problem {
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Field+"\n"+a.Found, b.Field+"\n"+b.Found) })
	return slices.CompactFunc(problems, func(a, b Problem) bool { return a.Field == b.Field && a.Found == b.Found })
}

const twiceRemedy = "leave one out, or give it another"

// words says what an error of the API server's is, and what to write instead, where that can be said in general.
func (s *schemaOf) words(err *field.Error) (found, remedy string) {
	value, detail := shown(err.BadValue), err.Detail
	if _, after, ok := strings.Cut(detail, " in body "); ok {
		detail = after // the validator repeats the field's name
	}
	switch err.Type {
	case unknownField:
		return "unknown field", s.declaredAt(err.Field)
	case field.ErrorTypeNotSupported:
		return value + " is not supported", "write one of " + strings.ReplaceAll(strings.TrimPrefix(detail, "supported values: "), `"`, "")
	case field.ErrorTypeRequired:
		return "is missing", "write " + err.Field
	case field.ErrorTypeDuplicate:
		return value + " is there twice", twiceRemedy
	case field.ErrorTypeTypeInvalid:
		if strings.HasSuffix(detail, `: "null"`) {
			remedy = "leave it out: server-side apply takes no null, or nothing after the colon, for what is not set"
		}
		return detail, remedy
	case field.ErrorTypeInvalid:
		if _, rule, ok := strings.Cut(detail, " evaluating rule: "); ok {
			return rule, "" // a rule that could not be evaluated, mostly as it asks for what is not there
		}
		return strings.TrimSpace(value + " " + detail), hostnameRemedy(err)
	}
	return err.ErrorBody(), ""
}

// shown returns a value for a message: nothing for one that has parts, other than a key.
func shown(value any) string {
	switch value.(type) {
	case nil, field.OmitValueType, []any:
		return ""
	}
	data, err := json.Marshal(value)
	if err != nil || len(data) > 200 {
		return ""
	}
	return string(data)
}

var hostnameField = regexp.MustCompile(`(^|\.)(hostname|hostnames\[\d+\])$`)

// hostnameRemedy says what to write in place of a hostname that is none; see
// https://gateway-api.sigs.k8s.io/reference/spec/#hostname.
func hostnameRemedy(err *field.Error) string {
	name, ok := err.BadValue.(string)
	switch {
	case !ok || !hostnameField.MatchString(err.Field):
		return ""
	case name == "*":
		return "leave it out: without a hostname, every host is taken"
	case strings.Contains(name, ":"):
		return "leave the port out: it is the listener's"
	case strings.Contains(name, "_"):
		return "write - in place of _: a hostname has no underscores"
	case strings.ToLower(name) != name:
		return "write it in lower case: " + strings.ToLower(name)
	}
	return "write a DNS name, or *. and a DNS name"
}

// declaredAt says which fields the schema has where an unknown one is; nothing where that is not known.
func (s *schemaOf) declaredAt(path string) string {
	steps := kube.Steps(path)
	at := s.structural
	for _, step := range steps[:max(len(steps)-1, 0)] {
		if at = below(at, step.Name); at == nil {
			return ""
		}
	}
	if len(at.Properties) == 0 {
		return ""
	}
	return "leave it out, or write one of " + strings.Join(slices.Sorted(maps.Keys(at.Properties)), ", ")
}

// below returns the schema of a field, or of an item where name is empty.
func below(s *structural.Structural, name string) *structural.Structural {
	if property, ok := s.Properties[name]; ok {
		return &property
	}
	if name == "" && s.Items != nil {
		return s.Items
	}
	if s.AdditionalProperties != nil {
		return s.AdditionalProperties.Structural
	}
	return nil
}
