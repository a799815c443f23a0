package kube

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	goyaml "go.yaml.in/yaml/v3"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	sigsjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// A document is one of a file's documents that has content. The file is cut, and the values are read, by the code that kubectl runs
// (k8s.io/apimachinery/pkg/util/yaml and sigs.k8s.io/yaml, which is YAML 1.1). A parser that knows positions reads the same bytes a second
// time: for the lines, and for what the first leaves unsaid, which is a doubled key and text after the document's end.
type document struct {
	line  int          // where the content begins in the file, from 1
	first int          // the line of the file on which text and node begin
	text  []byte       // as it is in the file, in UTF-8
	json  []byte       // what it says
	node  *goyaml.Node // where its parts are; nil for JSON that is no YAML
}

// place returns the file:line of a part of the document.
func (d document) place(source string) func(*goyaml.Node) string {
	return func(node *goyaml.Node) string {
		if node == nil {
			return fmt.Sprintf("%s:%d", source, d.line)
		}
		return fmt.Sprintf("%s:%d", source, d.first+node.Line-1)
	}
}

// OneDocument returns the only document with content of a YAML or JSON file, in UTF-8 and on the lines that it has in the file; nothing
// when there is none. The error has all that is wrong with it: syntax, a doubled key, a second document, text after its end.
func OneDocument(data []byte, source string) ([]byte, error) {
	docs, err := documents(data, source)
	if err != nil || len(docs) == 0 {
		return nil, err
	}
	if len(docs) > 1 {
		return nil, fmt.Errorf("%s:%d: a second document: this file has only one", source, docs[1].line)
	}
	return append(bytes.Repeat([]byte("\n"), docs[0].first-1), docs[0].text...), nil
}

// documents cuts a file as kubectl does (NewYAMLOrJSONDecoder): JSON values one after the other, or YAML documents between lines that
// begin with ---, also after one JSON value.
func documents(data []byte, source string) ([]document, error) {
	text, err := inUTF8(data, source)
	if err != nil {
		return nil, err
	}
	docs, rest, err := jsonDocuments(text, source)
	if err != nil || len(rest) == 0 {
		return docs, err
	}
	line := lineAt(text, len(text)-len(rest))
	if at := inline.FindIndex(rest); at != nil {
		return docs, fmt.Errorf("%s:%d: after --- only a comment may follow on the line: kubectl refuses the file", source, line+lineAt(rest, at[0])-1)
	}
	var problems []error
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rest)))
	for {
		docText, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return docs, errors.Join(problems...)
		}
		if err != nil {
			return docs, errors.Join(append(problems, fmt.Errorf("%s:%d: %w", source, line, err))...)
		}
		doc := document{first: line, text: docText}
		if err := doc.parse(source); err != nil {
			problems = append(problems, err)
		} else if doc.node != nil && string(doc.json) != "null" {
			docs = append(docs, doc)
		}
		line += bytes.Count(docText, []byte("\n")) + 1 // the reader drops the separator's line
	}
}

// inline matches a separator with something after it, which YAML allows and kubectl does not.
var inline = regexp.MustCompile(`(?m)^---[\t\v\f\r\x{85}\pZ]*[^\s\v\x{85}\pZ#]`)

// inUTF8 returns a text file without its byte order mark, which a file in UTF-16 must have: kubectl goes by it too.
func inUTF8(data []byte, source string) ([]byte, error) {
	text, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	utf16 := len(data) > 1 && (data[0] == 0xFF || data[0] == 0xFE)
	for i, line := 0, 1; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == 0, r == utf8.RuneError && (size == 1 || utf16):
			return nil, fmt.Errorf("%s:%d: neither UTF-8 nor UTF-16 with a byte order mark: save the file as UTF-8", source, line)
		case r == '\uFEFF' && (i == 0 || text[i-1] == '\n'):
			return nil, fmt.Errorf("%s:%d: an invisible byte order mark (U+FEFF) at the line's beginning, as where files were put together: "+
				"take it out", source, line)
		case r == '\n':
			line++
		}
		i += size
	}
	return text, nil
}

// jsonDocuments reads the JSON values that a file begins with, and returns what is left for YAML: all of it where it begins with none.
// As with kubectl, at most one value stands before YAML.
func jsonDocuments(text []byte, source string) (docs []document, rest []byte, err error) {
	if !utilyaml.IsJSONBuffer(text) {
		return nil, text, nil
	}
	var problems []error
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		var value json.RawMessage
		end := decoder.InputOffset()
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) {
			return docs, nil, errors.Join(problems...)
		}
		if err != nil && len(docs) <= 1 {
			return docs, bytes.TrimLeft(text[end:], " \t\r"), errors.Join(problems...)
		}
		begin := int(decoder.InputOffset()) - len(value)
		if err != nil {
			begin = len(text) - len(bytes.TrimLeft(text[end:], " \t\r\n"))
			return docs, nil, errors.Join(append(problems, fmt.Errorf("%s:%d: %w", source, lineAt(text, begin), err))...)
		}
		line := lineAt(text, begin)
		doc := document{line: line, first: line, text: value, json: value}
		var node goyaml.Node
		if goyaml.Unmarshal(value, &node) == nil && len(node.Content) == 1 {
			doc.node = node.Content[0]
		}
		if doubled, err := sigsjson.UnmarshalStrict(value, new(any), sigsjson.DisallowDuplicateFields); err != nil || len(doubled) > 0 {
			problems = append(problems, fmt.Errorf("%s:%d: %w", source, line, errors.Join(append(doubled, err)...)))
		}
		docs = append(docs, doc)
	}
}

// parse reads a document of YAML: its values, and the positions of its parts.
func (d *document) parse(source string) error {
	var err error
	if d.json, err = yaml.YAMLToJSON(d.text); err != nil {
		return d.atLine(err, source)
	}
	var whole, more goyaml.Node
	decoder := goyaml.NewDecoder(bytes.NewReader(d.text))
	err = decoder.Decode(&whole)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		d.node = whole.Content[0]
		d.line = d.first + d.node.Line - 1
		err = decoder.Decode(&more)
	}
	if err == nil {
		err = fmt.Errorf("yaml: line %d: there is text after the document's end", more.Line)
	}
	if !errors.Is(err, io.EOF) {
		return d.atLine(fmt.Errorf("%w: kubectl drops what follows the first document without a word; the next begins with ---", err), source)
	}
	return errors.Join(d.doubled(d.node, source)...)
}

// doubled finds the keys that a mapping has twice. One that a merge key (<<) brings may be there again: it is overridden.
func (d *document) doubled(node *goyaml.Node, source string) []error {
	var problems []error
	seen := map[string]bool{}
	for i, child := range node.Content {
		if node.Kind == goyaml.MappingNode && i%2 == 0 && child.Kind == goyaml.ScalarNode {
			name := keyName(child)
			if seen[name] {
				problems = append(problems, fmt.Errorf("%s: key %q already set in map", d.place(source)(child), child.Value))
			}
			seen[name] = true
		}
		problems = append(problems, d.doubled(child, source)...)
	}
	return problems
}

// yaml11 matches the words that YAML 1.1, and so kubectl, reads as true or false, and YAML 1.2 as text.
var yaml11 = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)

// keyName returns the name that a key has in JSON, where 1 and "1" are one, as yes and true are.
func keyName(key *goyaml.Node) string {
	if key.Style == 0 && (key.ShortTag() != "!!str" || yaml11.MatchString(key.Value)) {
		var content map[string]any
		if err := yaml.Unmarshal([]byte("? "+key.Value+"\n: 0"), &content); err == nil {
			for name := range content {
				return name
			}
		}
	}
	return key.Value
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// atLine puts file:line in front of a parser's message: the line that it names, or else the document's own.
func (d *document) atLine(err error, source string) error {
	line, message := max(d.line, d.first), err.Error()
	if found := yamlLine.FindStringSubmatch(message); found != nil {
		n, _ := strconv.Atoi(found[1])
		line, message = d.first+n-1, message[len(found[0]):]
	}
	return fmt.Errorf("%s:%d: %s", source, line, message)
}

// lineAt returns the number of the line, from 1, on which an offset is.
func lineAt(text []byte, offset int) int { return bytes.Count(text[:offset], []byte("\n")) + 1 }
