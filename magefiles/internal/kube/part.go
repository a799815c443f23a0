package kube

import (
	"regexp"
	"strconv"

	goyaml "go.yaml.in/yaml/v3"
)

// A part is a part of a file: where it and the parts below it are.
type part struct {
	node  *goyaml.Node
	place func(*goyaml.Node) string // file:line
}

func newPart(node *goyaml.Node, place func(*goyaml.Node) string) *part {
	if node == nil {
		return nil
	}
	return &part{node, place}
}

// At returns where a field of the object is written, as file:line, or the nearest part above it that is. The field is named as in the API
// server's messages: spec.rules[0].matches[1].path.
func (o Object) At(field string) string {
	if o.written == nil {
		return o.Source
	}
	begins, node := o.written.node, o.written.node
	for _, step := range Steps(field) {
		at, below := child(node, step.Name+step.Key)
		if below == nil {
			break
		}
		begins, node = at, below
	}
	return o.written.place(begins)
}

// A Step leads to a field: by its Name, or by the Key in brackets, which is an index or a map's key.
type Step struct{ Name, Key string }

// Steps returns the steps to a field, which is named as in the API server's messages.
func Steps(field string) []Step {
	var steps []Step
	for _, found := range fieldSteps.FindAllStringSubmatch(field, -1) {
		steps = append(steps, Step{found[1], found[2]})
	}
	return steps
}

var fieldSteps = regexp.MustCompile(`([^.\[\]]+)|\[([^\]]*)\]`)

// child returns a field of a mapping, or an item of a sequence, and the node on whose line it begins, which for a field is its name's.
func child(node *goyaml.Node, step string) (begins, found *goyaml.Node) {
	if node == nil {
		return nil, nil
	}
	switch node.Kind {
	case goyaml.AliasNode:
		return child(node.Alias, step)
	case goyaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	case goyaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
		if step != "<<" {
			_, merged := child(node, "<<")
			return child(merged, step)
		}
	}
	return nil, nil
}
