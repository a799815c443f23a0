// Package hosts keeps one fenced block in the system's hosts file, and touches nothing else in it.
package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/limits"
)

// loopback is the address that every name of the block gets.
const loopback = "127.0.0.1"

func begin(cluster string) string { return "# BEGIN kindgate " + cluster }
func end(cluster string) string   { return "# END kindgate " + cluster }
func entry(name string) string    { return loopback + " " + name }

// isEntry tells whether a line is written as ours are; another in our block is somebody else's.
func isEntry(line string) bool {
	fields := strings.Fields(line)
	return len(fields) == 2 && line == entry(fields[1])
}

// Edit returns the hosts file's text with the cluster's block holding exactly names, or without the block where there are no names.
// Everything else stays byte for byte, in its order; line ends follow the file's. A block that is there stays where it is; of several
// the first stays. What somebody else has written into the block comes after it. A fence without its other half is an error, as what it
// encloses cannot be known.
func Edit(text []byte, cluster string, names []string) ([]byte, error) {
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("it is no text in UTF-8 (UTF-16, perhaps), and is left as it is")
	}
	newline := "\n"
	if bytes.Contains(text, []byte("\r\n")) || bytes.HasSuffix(text, []byte("\r")) {
		newline = "\r\n"
	}
	var block string
	if len(names) > 0 {
		block = begin(cluster) + newline
		for _, name := range names {
			block += entry(name) + newline
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
			if inside == 0 || !isEntry(strings.TrimSpace(line)) {
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
	ours   bool // it is in the cluster's block, and as Edit writes it
}

// lines yields the lines of a hosts file but for the cluster's fences.
func lines(text []byte, cluster string) iter.Seq[line] {
	return func(yield func(line) bool) {
		inside, number := false, 0
		for text := range strings.Lines(string(text)) {
			number++
			switch text = strings.TrimSpace(text); text {
			case begin(cluster):
				inside = true
			case end(cluster):
				inside = false
			default:
				if !yield(line{number, text, inside && isEntry(text)}) {
					return
				}
			}
		}
	}
}

// Block returns the names that Edit has written into the cluster's block.
func Block(text []byte, cluster string) []string {
	var names []string
	for l := range lines(text, cluster) {
		if l.ours {
			names = append(names, strings.Fields(l.text)[1])
		}
	}
	return names
}

// A Place is a line of a hosts file, the first being 1, and the address that it has.
type Place struct {
	Line    int
	Address string
}

// elsewhere returns for those of names that lead to another machine the first line that leads them there. Our own do not count.
func elsewhere(text []byte, cluster string, names []string) map[string]Place {
	found := map[string]Place{}
	for l := range lines(text, cluster) {
		entry, _, _ := strings.Cut(l.text, "#")
		fields := strings.Fields(entry)
		if l.ours || len(fields) < 2 || net.ParseIP(fields[0]).IsLoopback() {
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
	text, err := atomicfile.ReadIfThere(f.Path)
	return Block(text, f.Cluster), err
}

// Set makes the block hold exactly names, or go away, and returns false where it was so already. The file is replaced as a whole,
// keeping its mode and owner. An error that is fs.ErrPermission means that this user may not.
func (f File) Set(names []string) (changed bool, err error) {
	return atomicfile.Edit(f.Path, 0o644, func(text []byte) ([]byte, error) {
		edited, err := Edit(text, f.Cluster, names)
		if err != nil {
			return nil, fmt.Errorf("%s, %w", f.Path, err)
		}
		if len(names) > 0 && ofAnotherKind(text) {
			return nil, fmt.Errorf("%s is no hosts file: none of its lines has an address and a name. It is left as it is", f.Path)
		}
		return edited, nil
	})
}

// ofAnotherKind tells whether a text is no hosts file's: it has lines, and none of them leads a name anywhere.
func ofAnotherKind(text []byte) bool {
	other := false
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if _, err := netip.ParseAddr(fields[0]); err == nil && len(fields) > 1 {
			return false
		}
		other = true
	}
	return other
}

// A Resolver turns a name into addresses; *net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// A Name is a hostname, and what is known of where it leads.
type Name struct {
	Name      string
	Addresses []string // what the resolver answers; none where it knows no such name
	InBlock   bool     // the cluster's block in the hosts file has it
	Place     Place    // the first other line of the file that leads it to another machine; zero where there is none
}

// Look returns what is known of names, in their order; the look-ups run side by side. The error is the hosts file's: what the resolver
// knows is returned all the same.
func (f File) Look(ctx context.Context, resolver Resolver, names []string) ([]Name, error) {
	text, err := atomicfile.ReadIfThere(f.Path)
	block, places := Block(text, f.Cluster), elsewhere(text, f.Cluster, names)
	ctx, cancel := context.WithTimeout(ctx, limits.NameLookup)
	defer cancel()
	found := make([]Name, len(names))
	var lookups sync.WaitGroup
	for i, name := range names {
		lookups.Go(func() {
			addresses, _ := resolver.LookupHost(ctx, name) // an error is a name that leads nowhere
			found[i] = Name{name, addresses, slices.Contains(block, name), places[name]}
		})
	}
	lookups.Wait()
	return found, err
}

// Here tells whether the name leads to this machine, and nowhere else.
func (n Name) Here() bool { return len(n.Addresses) > 0 && len(n.others()) == 0 }

func (n Name) others() []string {
	return slices.DeleteFunc(slices.Clone(n.Addresses), func(address string) bool { return net.ParseIP(address).IsLoopback() })
}

// local are the domains under which a name is nobody's on the internet: RFC 6761 (localhost, test, example), RFC 6762 (local), RFC 8375
// (home.arpa), and internal by ICANN's resolution 2024.07.29.06.
var local = []string{"localhost", "test", "example", "internal", "home.arpa", "local"}

// Reserved tells whether name is one of the domains that nobody can own, or below one: localhost, test, example, internal, home.arpa
// and local.
func Reserved(name string) bool {
	name = "." + strings.ToLower(strings.TrimSuffix(name, "."))
	return slices.ContainsFunc(local, func(domain string) bool { return strings.HasSuffix(name, "."+domain) })
}

// Withheld returns why the name must not be led to this machine unless somebody asks for it: the name is, or may be, another machine's.
// It is empty where there is no such reason.
func (n Name) Withheld() string {
	switch others := n.others(); {
	case n.Place.Line > 0:
		return fmt.Sprintf("line %d of the hosts file leads it to %s", n.Place.Line, n.Place.Address)
	case len(others) > 0:
		return "it leads to " + strings.Join(others, ", ")
	case !Reserved(n.Name):
		return "it may be somebody's on the internet, as it is not under " + strings.Join(local, ", ")
	}
	return ""
}

// Choose divides names into those that the block must have and those that are withheld from it: with all, none is. A name that leads here
// without the block is in neither.
func Choose(names []Name, all bool) (wanted []string, withheld []Name) {
	for _, name := range names {
		switch {
		case name.Here() && !name.InBlock:
		case all || name.Withheld() == "":
			wanted = append(wanted, name.Name)
		default:
			withheld = append(withheld, name)
		}
	}
	return wanted, withheld
}
