package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/ui"
)

// systemResolver asks as the system's programs do, the hosts file included.
var systemResolver hosts.Resolver = net.DefaultResolver

// allNames is the value of KINDGATE_HOSTS with which also those names are led to this machine that are, or may be, somebody else's.
const allNames = "all"

// hostNames sees to it that the routes' hostnames lead to this machine.
type hostNames struct {
	*session
	file hosts.File
	all  bool // also those that are, or may be, somebody else's
}

// Converge sees to it that every hostname leads to this machine, as far as that harms nobody. Where the system's resolver does not know a
// name, the hosts file must; a user who may not write it is told how.
func (n *hostNames) Converge(ctx context.Context) error {
	return n.run.Step("hosts", func(*ui.Step) (result.Result, string, error) { return n.converge(ctx) })
}

// look returns what is known of the routes' hostnames. The error is the hosts file's.
func (n *hostNames) look(ctx context.Context) ([]hosts.Name, error) {
	return n.file.Look(ctx, systemResolver, gateway.Hostnames(n.proof.Routes, n.proof.Gateways))
}

// converge makes the file's block have the names that need it.
func (n *hostNames) converge(ctx context.Context) (result.Result, string, error) {
	if n.config.Context != "" {
		return result.Unchanged, "not written: the cluster of a context is not on this machine", nil
	}
	if atomicfile.IsNull(n.file.Path) {
		return result.Unchanged, "not written: the hosts file is " + os.DevNull, nil
	}
	if err := n.lock(); err != nil { // what another run does to the file now would make what is said of it untrue
		return "", "", err
	}
	names, err := n.look(ctx)
	if err != nil {
		return "", "", n.explain(err)
	}
	have, err := n.file.Names()
	if err != nil {
		return "", "", n.explain(err)
	}
	slices.Sort(have)
	have = slices.Compact(have)
	wanted, withheld := hosts.Choose(names, n.all)
	n.sayWithheld(withheld)
	if !slices.Equal(wanted, have) {
		// Where the name is somebody else's cluster's, the run leaves all as it is. Without an engine there is none.
		if observation, err := n.cluster.Observe(ctx); err == nil && observation.Foreign != nil {
			return result.Unchanged, "not written, as kindgate did not make the cluster " + n.config.Cluster, nil
		}
		return n.write(wanted, have)
	}
	detail := count(len(names)-len(withheld), "name") + " led to this machine"
	if len(have) > 0 {
		detail = fmt.Sprintf("%s, %d by %s", count(len(names)-len(withheld), "name"), len(have), n.file.Path)
	}
	if len(withheld) > 0 {
		detail += fmt.Sprintf(", %d left out", len(withheld))
	}
	return result.Unchanged, detail, nil
}

// remove takes the names out of the file.
func (n *hostNames) remove() (result.Result, string, error) {
	have, err := n.file.Names()
	if err != nil {
		return "", "", n.explain(err)
	}
	if len(have) == 0 {
		return result.Unchanged, "no names of ours in " + n.file.Path, nil
	}
	return n.write(nil, have)
}

// sayWithheld tells which names are not led to this machine, and how a user reaches them all the same.
func (n *hostNames) sayWithheld(names []hosts.Name) {
	if len(names) == 0 {
		return
	}
	text := "Not led to this machine:\n"
	for _, name := range names {
		text += fmt.Sprintf("  %s: %s\n", name.Name, name.Withheld())
	}
	n.ui.Note(text + n.withheldRemedy(names[0].Name))
}

func (n *hostNames) withheldRemedy(name string) string {
	return fmt.Sprintf("KINDGATE_HOSTS=%s, set for every run, leads such names here all the same; without: %s", allNames, n.curl(name))
}

// curl is a command that reaches a name here, wherever it leads.
func (n *hostNames) curl(name string) string {
	request := gateway.Request{Scheme: "http", Host: name, Path: "/", Port: n.config.HTTPPort}
	for _, r := range n.proof.Planned() {
		if r.Host == name {
			request.Scheme, request.Path, request.Port = r.Scheme, r.Path, r.Port
			break
		}
	}
	return fmt.Sprintf("curl --resolve %s:%d:127.0.0.1 %s", name, request.Port, shellescape.Quote(request.URL()))
}

// write makes the block hold exactly names, where it has had others. A user who may not is told which command would, and nothing
// fails: the proof of the routes needs no hosts entry.
func (n *hostNames) write(names, had []string) (result.Result, string, error) {
	_, err := n.file.Set(names)
	switch {
	case mayNot(err):
		n.ui.Note(fmt.Sprintf("%s may not be written by this user (%v).\nFor a browser or curl to find the names, run: %s",
			n.file.Path, err, n.command(names, len(had) == 0)))
		return result.Unchanged, "not written: no permission", nil
	case err != nil:
		return "", "", n.explain(err)
	}
	res, detail := result.Created, fmt.Sprintf("%s in %s", count(len(names), "name"), n.file.Path)
	if len(had) > 0 {
		res = result.Updated
	}
	if len(names) == 0 {
		detail = "no name is needed any more in " + n.file.Path
	}
	if gone := without(had, names); len(gone) > 0 {
		detail += ", no longer " + strings.Join(gone, ", ")
	}
	return res, detail, nil
}

// explain adds the setting to the error of a hosts file that is none.
func (n *hostNames) explain(err error) error {
	if errors.As(err, new(*atomicfile.NotRegular)) {
		return fmt.Errorf("%w\nKINDGATE_HOSTS_FILE names the hosts file; with %s, none is written.", err, os.DevNull)
	}
	return err
}

// remedy says what makes a name lead to this machine that does not.
func (n *hostNames) remedy(name hosts.Name) string {
	withheld := name.Withheld()
	switch {
	case atomicfile.IsNull(n.file.Path):
		return fmt.Sprintf("no name is written, as the hosts file is %s; without: %s", os.DevNull, n.curl(name.Name))
	case name.Place.Line > 0:
		return fmt.Sprintf("line %d of %s leads it to %s: remove that", name.Place.Line, n.file.Path, name.Place.Address)
	case withheld != "" && !n.all:
		return withheld + "; " + n.withheldRemedy(name.Name)
	case name.InBlock:
		return n.file.Path + " has it, but the system does not ask that file, or asks another first"
	}
	return shipped.Command("hosts") + " writes it into " + n.file.Path
}

// count is a number of things, whose name is an English noun with a regular plural.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func mayNot(err error) bool {
	return errors.Is(err, fs.ErrPermission) || err != nil && strings.Contains(err.Error(), "read-only file system")
}

// command is what a user would type to do it themselves; its lines are the fenced block, so that later runs find it.
func (n *hostNames) command(names []string, first bool) string {
	if runtime.GOOS == "windows" && (len(names) == 0 || !first) {
		return "an editor as administrator, and replace the lines between # BEGIN kindgate and # END kindgate in " + n.file.Path
	}
	opened := fmt.Sprintf(`/^# BEGIN kindgate %s[[:space:]]*$/`, regexp.QuoteMeta(n.file.Cluster))
	closed := fmt.Sprintf(`/^# END kindgate %s[[:space:]]*$/`, regexp.QuoteMeta(n.file.Cluster))
	const ours = `/^127\.0\.0\.1 [^[:space:]]*[[:space:]]*$/` // what else is between the fences is somebody else's
	remove := fmt.Sprintf(`sudo sed -i.bak -e '%s,%s{' -e '%[1]s d' -e '%[2]s d' -e '%[3]s d' -e '}' %[4]s`,
		opened, closed, ours, shellescape.Quote(n.file.Path))
	if len(names) == 0 {
		return remove
	}
	block, err := hosts.Edit(nil, n.file.Cluster, names)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(block)), "\n")
	if text, _ := atomicfile.Read(n.file.Path); len(text) > 0 && !strings.HasSuffix(string(text), "\n") {
		lines = append([]string{""}, lines...) // ends the file's last line
	}
	if runtime.GOOS == "windows" {
		return fmt.Sprintf("Add-Content -Path '%s' -Value '%s' (in a PowerShell that runs as administrator)",
			n.file.Path, strings.Join(lines, "','"))
	}
	add := fmt.Sprintf(`printf '%%s\n' '%s' | sudo tee -a %s`, strings.Join(lines, "' '"), shellescape.Quote(n.file.Path))
	if first {
		return add
	}
	return remove + " && " + add
}

func without(names, these []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(these, name) })
}
