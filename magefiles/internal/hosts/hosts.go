// Package hosts keeps one fenced block in the system's hosts file, and touches nothing else in it.
package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"kindgate/magefiles/internal/atomicfile"
)

// loopback is the address that every name of the block gets.
const loopback = "127.0.0.1"

func begin(cluster string) string { return "# BEGIN kindgate " + cluster }
func end(cluster string) string   { return "# END kindgate " + cluster }

// Edit returns the hosts file's text with the cluster's block holding exactly names, or without the block where there are no names.
// Everything else stays byte for byte, in its order; line ends follow the file's. A block that is there stays where it is; of several
// the first stays. A fence without its other half is an error, as what it encloses cannot be known.
func Edit(text []byte, cluster string, names []string) ([]byte, error) {
	newline := "\n"
	if bytes.Contains(text, []byte("\r\n")) || bytes.HasSuffix(text, []byte("\r")) {
		newline = "\r\n"
	}
	var block string
	if len(names) > 0 {
		block = begin(cluster) + newline
		for _, name := range names {
			block += loopback + " " + name + newline
		}
		block += end(cluster) + newline
	}
	var out strings.Builder
	placed, inside := false, 0
	for i, line := range strings.SplitAfter(string(text), "\n") {
		switch strings.TrimSpace(line) {
		case begin(cluster):
			if inside > 0 {
				return nil, broken(cluster, inside, "is opened again on line %d before it is closed", i+1)
			}
			inside = i + 1
			if !placed {
				out.WriteString(block)
				placed = true
			}
		case end(cluster):
			if inside == 0 {
				return nil, broken(cluster, i+1, "is closed, but never opened")
			}
			inside = 0
		default:
			if inside == 0 {
				out.WriteString(line)
			}
		}
	}
	if inside > 0 {
		return nil, broken(cluster, inside, "is opened, but never closed")
	}
	if !placed && block != "" {
		if out.Len() > 0 && !strings.HasSuffix(out.String(), "\n") {
			out.WriteString(strings.TrimPrefix(newline, lastReturn(out.String())))
		}
		out.WriteString(block)
	}
	return []byte(out.String()), nil
}

// lastReturn is the carriage return at a text's end, where the line end was cut in two.
func lastReturn(text string) string {
	if strings.HasSuffix(text, "\r") {
		return "\r"
	}
	return ""
}

func broken(cluster string, line int, format string, args ...any) error {
	return fmt.Errorf("line %d: kindgate's block for cluster %s %s: mend or remove it by hand", line, cluster, fmt.Sprintf(format, args...))
}

// line is one of a hosts file, trimmed; the first has number 1.
type line struct {
	number int
	text   string
	inside bool // the cluster's block has it
}

// lines yields the lines of a hosts file but for the cluster's fences.
func lines(text []byte, cluster string) iter.Seq[line] {
	return func(yield func(line) bool) {
		l := line{}
		for l.text = range strings.Lines(string(text)) {
			l.number++
			l.text = strings.TrimSpace(l.text)
			switch l.text {
			case begin(cluster):
				l.inside = true
			case end(cluster):
				l.inside = false
			default:
				if !yield(l) {
					return
				}
			}
		}
	}
}

// Block returns the names in the cluster's block.
func Block(text []byte, cluster string) []string {
	var names []string
	for l := range lines(text, cluster) {
		if fields := strings.Fields(l.text); l.inside && !strings.HasPrefix(l.text, "#") && len(fields) > 1 {
			names = append(names, fields[1:]...)
		}
	}
	return names
}

// A Place is a line of a hosts file, the first being 1, and the address that it has.
type Place struct {
	Line    int
	Address string
}

// Elsewhere returns for those of names that lead to another machine the first line that leads them there. The cluster's own block does
// not count.
func Elsewhere(text []byte, cluster string, names []string) map[string]Place {
	found := map[string]Place{}
	for l := range lines(text, cluster) {
		entry, _, _ := strings.Cut(l.text, "#")
		fields := strings.Fields(entry)
		if l.inside || len(fields) < 2 || net.ParseIP(fields[0]).IsLoopback() {
			continue
		}
		for _, name := range names {
			if _, known := found[name]; !known && slices.ContainsFunc(fields[1:], func(have string) bool { return strings.EqualFold(have, name) }) {
				found[name] = Place{l.number, fields[0]}
			}
		}
	}
	return found
}

// A File is a hosts file and the cluster whose block in it is meant.
type File struct {
	Path, Cluster string
}

// Names returns the names that the block has now; a file that is not there has none.
func (f File) Names() ([]string, error) {
	text, err := f.read()
	return Block(text, f.Cluster), err
}

func (f File) read() ([]byte, error) {
	text, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// attempts is how often the edit is made anew when somebody else writes the file in between.
const attempts = 3

// Set makes the block hold exactly names, or go away, and returns false where it was so already. The file is replaced as a whole,
// keeping its mode and owner. An error that is fs.ErrPermission means that this user may not.
func (f File) Set(names []string) (changed bool, err error) {
	for range attempts {
		before, err := f.read()
		if err != nil {
			return false, err
		}
		after, err := Edit(before, f.Cluster, names)
		if err != nil {
			return false, fmt.Errorf("%s, %w", f.Path, err)
		}
		if bytes.Equal(before, after) {
			return false, nil
		}
		if now, err := f.read(); err != nil || !bytes.Equal(before, now) {
			continue // somebody else has just changed it
		}
		if err := atomicfile.Write(f.Path, after, 0o644); err != nil {
			return false, err
		}
		return true, nil
	}
	return false, fmt.Errorf("%s is being changed by somebody else all the time; run again later", f.Path)
}

// A Resolver turns a name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// perLookup bounds one look-up: a network without a name server must not hold up the rest.
const perLookup = 2 * time.Second

// Unresolved returns those of names that the resolver does not lead to loopback, in their order; the look-ups run side by side.
func Unresolved(ctx context.Context, resolver Resolver, names []string) []string {
	ctx, cancel := context.WithTimeout(ctx, perLookup)
	defer cancel()
	local := make([]bool, len(names))
	done := make(chan int)
	for i, name := range names {
		go func() {
			addresses, err := resolver.LookupHost(ctx, name)
			local[i] = err == nil && len(addresses) > 0 && !slices.ContainsFunc(addresses, func(address string) bool {
				return !net.ParseIP(address).IsLoopback()
			})
			done <- i
		}()
	}
	for range names {
		<-done
	}
	var missing []string
	for i, name := range names {
		if !local[i] {
			missing = append(missing, name)
		}
	}
	return missing
}
