package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"

	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/result"
)

// systemResolver asks as the system's programs do, the hosts file included.
var systemResolver hosts.Resolver = net.DefaultResolver

// writeHosts makes the block hold exactly names. A user who may not is told which command would, and nothing fails: the proof of the
// routes needs no hosts entry.
func (d *Demo) writeHosts(names []string, first bool) (result.Result, string, error) {
	_, err := d.hosts.Set(names)
	switch {
	case mayNot(err):
		d.ui.Note(fmt.Sprintf("%s may not be written by this user (%v).\nFor a browser or curl to find the names, run: %s", d.config.HostsFile, err, d.hostsCommand(names, first)))
		return result.Unchanged, "not written: no permission", nil
	case err != nil:
		return "", "", err
	case len(names) == 0:
		return result.Updated, "no name is needed any more in " + d.config.HostsFile, nil
	case first:
		return result.Created, fmt.Sprintf("%d names in %s", len(names), d.config.HostsFile), nil
	}
	return result.Updated, fmt.Sprintf("%d names in %s", len(names), d.config.HostsFile), nil
}

// nameRemedy says what makes a name lead to this machine that does not.
func (d *Demo) nameRemedy(name string) string {
	text, _ := os.ReadFile(d.hosts.Path)
	if place, ok := hosts.Elsewhere(text, d.hosts.Cluster, []string{name})[name]; ok {
		return d.remedyElsewhere(place)
	}
	if slices.Contains(hosts.Block(text, d.hosts.Cluster), name) {
		return d.hosts.Path + " has it, but the system does not ask that file, or asks another first"
	}
	return "go tool mage hosts writes it into " + d.hosts.Path
}

func (d *Demo) remedyElsewhere(place hosts.Place) string {
	return fmt.Sprintf("line %d of %s leads it to %s: remove that", place.Line, d.hosts.Path, place.Address)
}

func mayNot(err error) bool {
	return errors.Is(err, fs.ErrPermission) || err != nil && strings.Contains(err.Error(), "read-only file system")
}

// hostsCommand is what a user would type to do it themselves; its lines are the fenced block, so that later runs find it.
func (d *Demo) hostsCommand(names []string, first bool) string {
	if runtime.GOOS == "windows" && (len(names) == 0 || !first) {
		return "an editor as administrator, and replace the lines between # BEGIN kindgate and # END kindgate in " + d.config.HostsFile
	}
	remove := fmt.Sprintf(`sudo sed -i.bak '/^# BEGIN kindgate %s[[:space:]]*$/,/^# END kindgate %[1]s[[:space:]]*$/d' %s`, d.config.Cluster, quoted(d.hosts.Path))
	if len(names) == 0 {
		return remove
	}
	block, err := hosts.Edit(nil, d.config.Cluster, names)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(block)), "\n")
	if text, _ := os.ReadFile(d.hosts.Path); len(text) > 0 && !strings.HasSuffix(string(text), "\n") {
		lines = append([]string{""}, lines...) // ends the file's last line
	}
	if runtime.GOOS == "windows" {
		return fmt.Sprintf("Add-Content -Path '%s' -Value '%s' (in a PowerShell that runs as administrator)", d.config.HostsFile, strings.Join(lines, "','"))
	}
	add := fmt.Sprintf(`printf '%%s\n' '%s' | sudo tee -a %s`, strings.Join(lines, "' '"), quoted(d.hosts.Path))
	if first {
		return add
	}
	return remove + " && " + add
}

// quoted is a path as a shell takes it for one word.
func quoted(path string) string {
	if strings.ContainsAny(path, " '\"\\$&;()*?[]`<>|#~!") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
