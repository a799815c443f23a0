package bundle

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// traits are what text has in it, in lower case, that may have a secret: a word, and an expression that must match besides, nil for none. They are
// drawn wide: a line of a log that is missing is no loss, one that tells a password is.
var traits = []struct {
	word string
	also *regexp.Regexp
}{
	{"authorization", nil}, {"bearer", nil}, {"cookie", nil}, {"credential", nil}, {"-----begin ", nil}, {"-----end ", nil},
	{"-key-data", nil}, {"certificate-data", nil}, {"glpat-", nil},
	{"basic ", regexp.MustCompile(`basic [a-z0-9+/]{6,}`)},
	{"pass", regexp.MustCompile(`pass(word|wd|phrase)?["']?\s*[:= ]`)},
	{"secret", regexp.MustCompile(`secret["']?\s*[:=]|secret[a-z_-]*key`)},
	{"token", regexp.MustCompile(`token["']?\s*[:=]|--[a-z-]*token`)},
	{"key", regexp.MustCompile(`(api|access|private|client|signing|encryption|account)[-_ ]?key`)},
	{"eyj", regexp.MustCompile(`\beyj[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}`)}, // a JSON Web Token
	{"://", regexp.MustCompile(`://[^/\s@:]*:[^/\s@]+@`)},              // a URL with a password
	{"akia", regexp.MustCompile(`akia[a-z0-9]{16}`)}, {"asia", regexp.MustCompile(`asia[a-z0-9]{16}`)},
	{"gh", regexp.MustCompile(`gh[pousr]_[a-z0-9]{20,}`)}, {"xox", regexp.MustCompile(`xox[a-z]-`)}, {"sk-", regexp.MustCompile(`\bsk-[a-z0-9-]{16,}`)},
}

func looksSecret(text string) bool {
	lower := strings.ToLower(text)
	for _, t := range traits {
		if strings.Contains(lower, t.word) && (t.also == nil || t.also.MatchString(lower)) {
			return true
		}
	}
	return joins(lower)
}

// joins tells whether a text has a token by which nodes join a cluster: six characters, a dot, and sixteen. See
// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format. An expression would look at each character.
func joins(text string) bool {
	plain := func(r byte) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' }
	for at := 6; at+17 <= len(text); at++ {
		if text[at] != '.' {
			continue
		}
		before, after := 0, 0
		for before < at && plain(text[at-1-before]) {
			before++
		}
		for at+1+after < len(text) && plain(text[at+1+after]) {
			after++
		}
		if before == 6 && after == 16 {
			return true
		}
	}
	return false
}

// without are the fields that are left out wherever they are: what people put secrets into, and copies of whole objects.
var without = []string{"env", "envfrom", "args", "command", "cmd", "entrypoint", "data", "stringdata", "binarydata", "annotations", "managedfields", "lastapplied", "httpheaders", "cabundle"}

// shortest is how long a secret is at least that is looked for, and word a word of one.
const shortest, word = 8, 12

// forms are a secret and the long words of it, each as it is and encoded.
func forms(secret string) []string {
	var all []string
	for _, text := range append(strings.FieldsFunc(secret, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'{}[],:=", r) }), strings.TrimSpace(secret)) {
		if len(text) < word && text != strings.TrimSpace(secret) || len(text) < shortest || slices.Contains(all, text) {
			continue
		}
		quoted := strconv.Quote(text)
		all = append(all, text, quoted[1:len(quoted)-1], url.QueryEscape(text))
		all = append(all, inBase64(text)...)
	}
	return all
}

// inBase64 are what a text is in base64, be it within a longer one: each of the three ways in which it may lie in the groups of three bytes, without
// the characters that depend on its neighbours.
func inBase64(text string) []string {
	var all []string
	for before := range 3 {
		first, last := (before*8+5)/6, (before+len(text))*8/6
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			if coded := encoding.EncodeToString([]byte(strings.Repeat("x", before) + text))[first:last]; len(coded) >= shortest && !slices.Contains(all, coded) {
				all = append(all, coded)
			}
		}
	}
	return all
}

// secret tells whether a text may have a secret in it.
func (b *Bundle) secret(text string) bool {
	if looksSecret(text) {
		return true
	}
	for i := 0; i+shortest <= len(text) && len(b.secrets) > 0; i++ {
		for _, secret := range b.secrets[text[i:i+shortest]] {
			if strings.HasPrefix(text[i:], secret) {
				return true
			}
		}
	}
	return false
}

// clean returns a value of JSON without what may be secret, and false where all of it may be. dropped counts what is gone by where it was.
func (b *Bundle) clean(value any, path string, dropped map[string]int) (any, bool) {
	switch value := value.(type) {
	case map[string]any:
		if name, _ := value["name"].(string); value["value"] != nil && b.secretName(name) {
			delete(value, "value") // a header, as of a match or a filter
			dropped[strings.TrimPrefix(path+".value", ".")]++
		}
		for key, child := range value {
			at := strings.TrimPrefix(path+"."+b.shown(key), ".")
			cleaned, keep := b.clean(child, at, dropped)
			if name, _ := child.(string); key == "name" && b.secretName(name) && headerName.MatchString(name) {
				keep = true
			}
			if keep && !slices.Contains(without, strings.ToLower(key)) && !(b.secretName(key) && isText(child)) && !b.secret(key) {
				value[key] = cleaned
				continue
			}
			delete(value, key)
			if child != nil {
				dropped[at]++
			}
		}
	case []any:
		kept := value[:0]
		for _, child := range value {
			if cleaned, keep := b.clean(child, path, dropped); keep {
				kept = append(kept, cleaned)
			} else {
				dropped[path]++
			}
		}
		return kept, true
	case string:
		return value, !b.secret(value)
	}
	return value, true
}

// headerName is a name that says what a value is for, and is none itself.
var headerName = regexp.MustCompile(`^[A-Za-z]+(-[A-Za-z]+)*$`)

func isText(value any) bool { _, ok := value.(string); return ok }

// shown is a key as the list of what was left out has it: one that is long may be a secret itself.
func (b *Bundle) shown(key string) string {
	if len(key) > 40 || b.secret(key) {
		return "…"
	}
	return key
}

// secretNames are parts of the names of headers, fields and variables whose values are secret.
var secretNames = regexp.MustCompile(`(?i)authorization|cookie|token|secret|passw|credential|api-?key|access-?key|private-?key|client-?key`)

func (b *Bundle) secretName(name string) bool { return secretNames.MatchString(name) }
