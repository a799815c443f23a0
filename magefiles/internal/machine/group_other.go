//go:build !unix

package machine

import (
	"errors"
	"os"
	"os/exec"
)

// OwnGroup does nothing: this system has no process groups.
func OwnGroup(*exec.Cmd) {}

// Interrupt needs process groups, which this system does not have.
func Interrupt(*exec.Cmd) error { return errors.ErrUnsupported }

// Kill ends a running command at once.
func Kill(cmd *exec.Cmd) error { return cmd.Process.Signal(os.Kill) }
