//go:build unix

package authority

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// private: a file's mode says who may read it.
const private = true

// ownerOf returns whose a file is, and whether that is this user.
func ownerOf(path string) (name string, ours bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", true // what reads it says so
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return "", true
	}
	name = strconv.Itoa(int(stat.Uid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return name, false
}
