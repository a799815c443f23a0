//go:build unix

package machine

import (
	"os/exec"
	"syscall"
)

// OwnGroup keeps a command that is not started yet apart from this process, so that it gets no Ctrl-C but by Interrupt.
func OwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Interrupt does to a running command, and to all that it has started, what Ctrl-C in a terminal does.
func Interrupt(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }

// Kill ends a running command, and all that it has started, at once.
func Kill(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
