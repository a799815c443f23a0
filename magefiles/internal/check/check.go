// Package check has the one shape in which kindgate says what it looks at, and what it found.
package check

import (
	"context"
	"strings"
)

// An ID says which object a check is about, for programs as for people.
type ID struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	// Part is the part of the object that is meant, such as a listener; empty for the whole.
	Part string `json:"part,omitempty"`
}

// String returns Kind/namespace/name, without what is empty, and the part after a comma.
func (id ID) String() string {
	text := id.Kind + "/" + id.Path()
	if id.Name == "" {
		text = id.Kind
	}
	if id.Part != "" {
		text += ", " + id.Part
	}
	return text
}

// Path returns namespace/name, or the name of an object that has no namespace.
func (id ID) Path() string {
	if id.Namespace == "" {
		return id.Name
	}
	return id.Namespace + "/" + id.Name
}

// Resource returns the object as kubectl takes it: "gateway -n traefik web".
func (id ID) Resource() string {
	words := []string{strings.ToLower(id.Kind)}
	if id.Namespace != "" {
		words = append(words, "-n", id.Namespace)
	}
	return strings.Join(append(words, id.Name), " ")
}

// A Verdict says what came of a check. The zero value is none, and counts as Broken.
type Verdict string

const (
	// Holds: it is as expected.
	Holds Verdict = "holds"
	// Warns: it is as expected, but something about it may cause trouble.
	Warns Verdict = "warns"
	// Unknown: it could not be found out.
	Unknown Verdict = "unknown"
	// Pending: it is not as expected, and may come to be by itself.
	Pending Verdict = "pending"
	// Broken: it is not as expected.
	Broken Verdict = "broken"
)

// A Cause names why something does not hold, for code that decides by it. It is empty where nothing does.
type Cause string

// A Finding is what came of a check.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Found is what there is, in a line for people, and Remedy what the user can do about it, in lines; both may be empty.
	Found  string `json:"found,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	Cause  Cause  `json:"cause,omitempty"`
}

// Fails tells whether something is not as expected.
func (f Finding) Fails() bool {
	return f.Verdict != Holds && f.Verdict != Warns && f.Verdict != Unknown
}

// A Check is something that must hold. Judge finds out whether it does; it changes nothing.
type Check struct {
	ID ID
	// Title is what people call it, where that is not the ID.
	Title string
	// Expect says what must hold, and Look is the command that shows more; both may be empty.
	Expect, Look string
	Judge        func(context.Context) Finding
}

// String is the check's title, or the object that it is about.
func (c Check) String() string {
	if c.Title != "" {
		return c.Title
	}
	return c.ID.String()
}

// A Result is a check with what came of it.
type Result struct {
	Check
	Finding
}
