// Package sandbox runs kindgate's targets in a copy of the project's folder, on a cluster with a name and ports of its own: beside the
// user's, which it never touches.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"kindgate/magefiles/internal/machine"
)

// A Sandbox is a copy of the folder, a cluster's name, and the environment that leads runs to both. New makes one.
type Sandbox struct {
	// Name is the cluster's, Dir the copy of the folder.
	Name, Dir string
	// HTTPPort and HTTPSPort are the ports that the cluster takes on this machine.
	HTTPPort, HTTPSPort int
	// Env are the variables that are set for every run.
	Env map[string]string

	binary, root string
}

// New copies the folders kind and manifests of the project's folder root, and chooses free ports. binary is kindgate's targets, compiled
// by mage -compile. No cluster is made yet.
func New(name, root, binary string) (*Sandbox, error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return nil, err
	}
	http, err := FreePort()
	if err != nil {
		return nil, err
	}
	https, err := FreePort()
	if err != nil {
		return nil, err
	}
	s := &Sandbox{Name: name, Dir: dir, HTTPPort: http, HTTPSPort: https, binary: binary, root: root, Env: map[string]string{
		"KINDGATE_CLUSTER":    name,
		"KINDGATE_HTTP_PORT":  fmt.Sprint(http),
		"KINDGATE_HTTPS_PORT": fmt.Sprint(https),
		"KINDGATE_KUBECONFIG": filepath.Join(dir, "kubeconfig"),
		"KINDGATE_HOSTS_FILE": filepath.Join(dir, "hosts"),
		"KINDGATE_TIMEOUT":    "8m",                         // for slow machines
		"XDG_CONFIG_HOME":     filepath.Join(dir, "config"), // for an authority of its own, on Linux
	}}
	return s, s.Reset()
}

// Reset makes the copy as the project's folder is.
func (s *Sandbox) Reset() error {
	for _, folder := range []string{"kind", "manifests"} {
		target := filepath.Join(s.Dir, folder)
		if err := errors.Join(os.RemoveAll(target), os.CopyFS(target, os.DirFS(filepath.Join(s.root, folder)))); err != nil {
			return err
		}
	}
	return nil
}

// Command is a run of targets that can be interrupted or killed with all that it has started. Its environment is this process's without
// the settings for the user's clusters, and Env.
func (s *Sandbox) Command(ctx context.Context, targets ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.binary, targets...)
	cmd.Dir = s.Dir
	cmd.Env = slices.DeleteFunc(os.Environ(), forUsersClusters)
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	machine.OwnGroup(cmd)
	return cmd
}

// forUsersClusters tells whether a variable is a setting for the user's clusters only, or has GitHub show what becomes of them. Which node image and which chart to use holds for
// a sandbox, too: there may be no others on this machine.
func forUsersClusters(variable string) bool {
	return strings.HasPrefix(variable, "GITHUB_") || strings.HasPrefix(variable, "KINDGATE_") &&
		!strings.HasPrefix(variable, "KINDGATE_NODE_IMAGE=") && !strings.HasPrefix(variable, "KINDGATE_TRAEFIK_")
}

// Run runs targets to their end. The error has all that they printed.
func (s *Sandbox) Run(ctx context.Context, targets ...string) error {
	out, err := s.Command(ctx, targets...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mage %v: %w\n%s", targets, err, out)
	}
	return nil
}

// Node is the name of the control plane's container.
func (s *Sandbox) Node() string { return s.Name + "-control-plane" }

// Remove takes away the cluster and the copy.
func (s *Sandbox) Remove() error {
	err := s.Run(context.Background(), "teardown")
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// FreePort returns a port of 127.0.0.1 on which nobody listens.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
