// Package gotype turns objects of any kind into Go types, and back. It goes by JSON: apimachinery's converter takes half the time for an object,
// but copies all it knows of Go types whenever it meets another field, which takes a tenth of a second for a Pod, at every start of the program.
package gotype

import (
	"encoding/json"

	sigsjson "sigs.k8s.io/json"
)

// Decode reads an object's content, or a part of it, into the Go type that a pointer leads to. Fields that the type does not have are left out.
// The error is that a field has another type.
func Decode(content any, into any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return sigsjson.UnmarshalCaseSensitivePreserveInts(data, into)
}

// Encode returns the content of an object of a Go type. The error is that JSON cannot have it.
func Encode(object any) (map[string]any, error) {
	var content map[string]any
	err := Decode(object, &content)
	return content, err
}
