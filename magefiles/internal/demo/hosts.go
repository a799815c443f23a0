package demo

import (
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
)

// systemResolver asks as the system's programs do, the hosts file included.
var systemResolver hosts.Resolver = net.DefaultResolver

// allNames is the value of KINDGATE_HOSTS with which also those names are led to this machine that are, or may be, somebody else's.
const allNames = "all"

// names returns what is known of the routes' hostnames. The error is the hosts file's.
func (d *Demo) names() ([]hosts.Name, error) {
	return d.hosts.Look(d.run, systemResolver, gateway.Hostnames(d.inputs.httpRoutes, d.inputs.gateways))
}

// sayWithheld tells which names are not led to this machine, and how a user reaches them all the same.
func (d *Demo) sayWithheld(names []hosts.Name) {
	if len(names) == 0 {
		return
	}
	text := "Not led to this machine:\n"
	for _, name := range names {
		text += fmt.Sprintf("  %s: %s\n", name.Name, name.Withheld())
	}
	d.ui.Note(text + d.withheldRemedy(names[0].Name))
}

func (d *Demo) withheldRemedy(name string) string {
	return fmt.Sprintf("KINDGATE_HOSTS=%s, set for every run, leads such names here all the same; without: %s", allNames, d.curl(name))
}

// curl is a command that reaches a name here, wherever it leads.
func (d *Demo) curl(name string) string {
	request := gateway.Request{Scheme: "http", Host: name, Path: "/", Port: d.config.HTTPPort}
	for _, r := range d.proof.Planned() {
		if r.Host == name {
			request.Scheme, request.Path, request.Port = r.Scheme, r.Path, r.Port
			break
		}
	}
	return fmt.Sprintf("curl --resolve %s:%d:127.0.0.1 %s", name, request.Port, shellescape.Quote(request.URL()))
}

// writeHosts makes the block hold exactly names, where it has had others. A user who may not is told which command would, and nothing
// fails: the proof of the routes needs no hosts entry.
func (d *Demo) writeHosts(names, had []string) (result.Result, string, error) {
	_, err := d.hosts.Set(names)
	switch {
	case mayNot(err):
		d.ui.Note(fmt.Sprintf("%s may not be written by this user (%v).\nFor a browser or curl to find the names, run: %s",
			d.config.HostsFile, err, d.hostsCommand(names, len(had) == 0)))
		return result.Unchanged, "not written: no permission", nil
	case err != nil:
		return "", "", d.hostsError(err)
	case len(names) == 0:
		return result.Updated, "no name is needed any more in " + d.config.HostsFile, nil
	}
	res, detail := result.Created, fmt.Sprintf("%s in %s", count(len(names), "name"), d.config.HostsFile)
	if len(had) > 0 {
		res = result.Updated
	}
	if gone := without(had, names); len(gone) > 0 {
		detail += ", no longer " + strings.Join(gone, ", ")
	}
	return res, detail, nil
}

// hostsError adds the setting to the error of a hosts file that is none.
func (d *Demo) hostsError(err error) error {
	if errors.As(err, new(*atomicfile.NotRegular)) {
		return fmt.Errorf("%w\nKINDGATE_HOSTS_FILE names the hosts file; with %s, none is written.", err, os.DevNull)
	}
	return err
}

// nameRemedy says what makes a name lead to this machine that does not.
func (d *Demo) nameRemedy(name hosts.Name) string {
	withheld := name.Withheld()
	switch {
	case atomicfile.IsNull(d.hosts.Path):
		return fmt.Sprintf("no name is written, as the hosts file is %s; without: %s", os.DevNull, d.curl(name.Name))
	case name.Place.Line > 0:
		return fmt.Sprintf("line %d of %s leads it to %s: remove that", name.Place.Line, d.hosts.Path, name.Place.Address)
	case withheld != "" && d.config.Hosts != allNames:
		return withheld + "; " + d.withheldRemedy(name.Name)
	case name.InBlock:
		return d.hosts.Path + " has it, but the system does not ask that file, or asks another first"
	}
	return "go tool mage hosts writes it into " + d.hosts.Path
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

// hostsCommand is what a user would type to do it themselves; its lines are the fenced block, so that later runs find it.
func (d *Demo) hostsCommand(names []string, first bool) string {
	if runtime.GOOS == "windows" && (len(names) == 0 || !first) {
		return "an editor as administrator, and replace the lines between # BEGIN kindgate and # END kindgate in " + d.config.HostsFile
	}
	opened := fmt.Sprintf(`/^# BEGIN kindgate %s[[:space:]]*$/`, regexp.QuoteMeta(d.config.Cluster))
	closed := fmt.Sprintf(`/^# END kindgate %s[[:space:]]*$/`, regexp.QuoteMeta(d.config.Cluster))
	const ours = `/^127\.0\.0\.1 [^[:space:]]*[[:space:]]*$/` // what else is between the fences is somebody else's
	remove := fmt.Sprintf(`sudo sed -i.bak -e '%s,%s{' -e '%[1]s d' -e '%[2]s d' -e '%[3]s d' -e '}' %[4]s`,
		opened, closed, ours, shellescape.Quote(d.hosts.Path))
	if len(names) == 0 {
		return remove
	}
	block, err := hosts.Edit(nil, d.config.Cluster, names)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(block)), "\n")
	if text, _ := atomicfile.Read(d.hosts.Path); len(text) > 0 && !strings.HasSuffix(string(text), "\n") {
		lines = append([]string{""}, lines...) // ends the file's last line
	}
	if runtime.GOOS == "windows" {
		return fmt.Sprintf("Add-Content -Path '%s' -Value '%s' (in a PowerShell that runs as administrator)",
			d.config.HostsFile, strings.Join(lines, "','"))
	}
	add := fmt.Sprintf(`printf '%%s\n' '%s' | sudo tee -a %s`, strings.Join(lines, "' '"), shellescape.Quote(d.hosts.Path))
	if first {
		return add
	}
	return remove + " && " + add
}

func without(names, these []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(these, name) })
}
