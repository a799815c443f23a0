// Package machine looks at the computer that kindgate runs on: who holds a port, what memory, disk and kernel limits there are. It also ends processes there.
package machine

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	psnet "github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"

	"kindgate/magefiles/internal/limits"
)

// A Holder is who listens on a port.
type Holder struct {
	// PID is the listening process, 0 where the system does not tell this user.
	PID int32
	// Command is the process's name, empty where it is not known.
	Command string
}

// String says who it is as far as is known.
func (h Holder) String() string {
	switch {
	case h.PID == 0:
		return "a program of another user"
	case h.Command == "":
		return fmt.Sprintf("process %d", h.PID)
	}
	return fmt.Sprintf("process %d (%s)", h.PID, h.Command)
}

// PortHolder returns who listens on a TCP port so that 127.0.0.1 is taken, and false when the port is free.
func PortHolder(ctx context.Context, port int) (Holder, bool) {
	connections, err := psnet.ConnectionsWithContext(ctx, "tcp")
	if err == nil {
		for _, c := range connections {
			ip := net.ParseIP(c.Laddr.IP)
			here := c.Laddr.IP == "*" || ip != nil && (ip.IsUnspecified() || ip.Equal(net.IPv4(127, 0, 0, 1)))
			if c.Status == "LISTEN" && c.Laddr.Port == uint32(port) && here {
				holder := Holder{PID: c.Pid}
				if p, err := process.NewProcessWithContext(ctx, c.Pid); c.Pid != 0 && err == nil {
					holder.Command, _ = p.NameWithContext(ctx)
				}
				return holder, true
			}
		}
	}
	// Where the sockets of others cannot be listed, a connection tells that there is somebody.
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), limits.PortDial)
	if err != nil {
		return Holder{}, false
	}
	_ = conn.Close()
	return Holder{}, true
}

// Memory returns the bytes that programs can still have, and those the machine has.
func Memory(ctx context.Context) (available, total uint64, err error) {
	stat, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return 0, 0, err
	}
	return stat.Available, stat.Total, nil
}

// Disk returns the free bytes of the disk that has the folder.
func Disk(ctx context.Context, folder string) (free uint64, err error) {
	stat, err := disk.UsageWithContext(ctx, folder)
	if err != nil {
		return 0, err
	}
	return stat.Free, nil
}

// Inotify returns the limits of watches and instances of each user, and false on a system without inotify.
func Inotify() (watches, instances int, ok bool) {
	if runtime.GOOS != "linux" {
		return 0, 0, false
	}
	read := func(name string) int {
		text, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
		if err != nil {
			return -1
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return -1
		}
		return n
	}
	watches, instances = read("max_user_watches"), read("max_user_instances")
	return watches, instances, watches >= 0 && instances >= 0
}
