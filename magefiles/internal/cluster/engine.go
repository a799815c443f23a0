package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"sigs.k8s.io/kind/pkg/cluster"

	"kindgate/magefiles/internal/machine"
)

// engine is the command line of the container engine that kind uses: docker, podman or nerdctl. Its calls are those that the three
// understand alike.
type engine string

// An EngineError is that no container engine is installed, answers, or lets this user talk to it.
type EngineError struct{ said string }

// Error says which engine it is about, and what the user can do.
func (e *EngineError) Error() string { return e.said }

// findEngine follows kind: KIND_EXPERIMENTAL_PROVIDER's value, given as preferred, or else the first that is installed.
func findEngine(preferred string) (engine, error) {
	if preferred != "" {
		return engine(preferred), nil
	}
	for _, name := range []engine{"docker", "nerdctl", "podman"} {
		if _, err := exec.LookPath(string(name)); err == nil {
			return name, nil
		}
	}
	return "", &EngineError{"no container engine is installed: kind needs one of docker, podman and nerdctl; see https://docs.docker.com/get-docker/"}
}

// provider is kind's side of the engine.
func (e engine) provider() cluster.ProviderOption {
	switch e {
	case "podman":
		return cluster.ProviderWithPodman()
	case "docker":
		return cluster.ProviderWithDocker()
	default:
		return cluster.ProviderWithNerdctl(string(e))
	}
}

// run returns what a command of the engine prints; its error has what the command said, and what the user can do where that is known.
func (e engine) run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := e.stream(ctx, nil, &out, args...)
	return out.String(), err
}

func (e engine) stream(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, string(e), args...)
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &complaint
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w while %s %s was running", context.Cause(ctx), e, args[0])
	}
	var lines []string
	for line := range strings.Lines(complaint.String()) {
		if !strings.Contains(line, "level=warning") { // containerd's, about its own configuration
			lines = append(lines, line)
		}
	}
	said := strings.TrimSpace(strings.Join(lines, ""))
	if said == "" {
		said = err.Error()
	}
	text := fmt.Sprintf("%s %s: %s%s", e, args[0], said, e.remedy(said))
	if errors.Is(err, exec.ErrNotFound) || refused(said) || silent(said) {
		return &EngineError{text}
	}
	return errors.New(text)
}

func (e engine) remedy(said string) string {
	switch {
	case refused(said):
		return fmt.Sprintf("\nThis user may not talk to %s: join its group (sudo usermod -aG docker %s, then log in again), or run as a user who may.", e, cmp.Or(os.Getenv("USER"), "$(id -un)"))
	case silent(said), strings.Contains(said, "no such host"):
		return fmt.Sprintf("\nThe %s engine does not answer: start it (Docker Desktop, or: sudo systemctl start %s), then run again.", e, e)
	case strings.Contains(said, "no space left on device"):
		return fmt.Sprintf("\nThe disk with %[1]s's images and nodes is full: %[1]s system df shows what takes it, %[1]s system prune frees what nothing uses.", e)
	case strings.Contains(said, "not found in $PATH"), strings.Contains(said, "executable file not found"):
		return fmt.Sprintf("\n%s is not installed; see https://docs.docker.com/get-docker/", e)
	}
	return ""
}

// refused tells whether an engine's command said that this user may not talk to the engine, and silent that none answers.
func refused(said string) bool {
	return strings.Contains(said, "permission denied") && strings.Contains(said, "socket")
}

func silent(said string) bool {
	return strings.Contains(said, "Cannot connect to") || strings.Contains(said, "failed to connect") || strings.Contains(said, "error during connect")
}

// Info is what there is to know about the engine before it is given work.
type Info struct {
	Name, Version string
	// CgroupVersion is "1" or "2", empty where the engine does not say.
	CgroupVersion string
	Rootless      bool
	// Root is the folder with its images and containers; on this machine, unless the engine is in a virtual one.
	Root string
	// CPUs and MemoryBytes are what the engine can give to containers, in cores and bytes.
	CPUs        int
	MemoryBytes int64
	// containerd is set where images are kept in containerd's store, with all their platforms.
	containerd bool
}

// info asks the engine about itself; it is the first thing asked, so its error is what tells that no engine answers.
func (e engine) info(ctx context.Context) (Info, error) {
	out, err := e.run(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return Info{}, err
	}
	var docker struct {
		ServerVersion   string
		DockerRootDir   string
		CgroupVersion   string
		NCPU            int
		MemTotal        int64
		SecurityOptions []string
		DriverStatus    [][]string
		ServerErrors    []string
		Host            struct {
			CgroupVersion string
			CPUs          int
			MemTotal      int64
			Security      struct{ Rootless bool }
		}
		Store   struct{ GraphRoot string }
		Version struct{ Version string }
	}
	if err := json.Unmarshal([]byte(out), &docker); err != nil {
		return Info{}, fmt.Errorf("%s info: %w", e, err)
	}
	if said := strings.Join(docker.ServerErrors, "\n"); said != "" { // Docker 20.10 exits with 0 all the same
		return Info{}, &EngineError{fmt.Sprintf("%s info: %s%s", e, said, e.remedy(said))}
	}
	info := Info{Name: string(e), Version: docker.ServerVersion, CgroupVersion: docker.CgroupVersion, Root: docker.DockerRootDir, CPUs: docker.NCPU, MemoryBytes: docker.MemTotal}
	for _, option := range docker.SecurityOptions {
		info.Rootless = info.Rootless || strings.Contains(option, "rootless")
	}
	for _, status := range docker.DriverStatus {
		info.containerd = info.containerd || strings.Contains(strings.Join(status, " "), "io.containerd.snapshotter")
	}
	if e == "podman" {
		info.Version, info.CgroupVersion = docker.Version.Version, strings.TrimPrefix(docker.Host.CgroupVersion, "v")
		info.Root = docker.Store.GraphRoot
		info.CPUs, info.MemoryBytes, info.Rootless = docker.Host.CPUs, docker.Host.MemTotal, docker.Host.Security.Rootless
	}
	return info, nil
}

// exec runs a shell line in a node.
func (e engine) exec(ctx context.Context, node, script string) (string, error) {
	return e.run(ctx, "exec", node, "sh", "-c", script)
}

// published returns the ports of this machine that a node's container publishes.
func (e engine) published(ctx context.Context, node string) (map[int]bool, error) {
	out, err := e.run(ctx, "port", node)
	if err != nil {
		return nil, err
	}
	ports := map[int]bool{}
	for line := range strings.Lines(out) {
		_, host, _ := strings.Cut(strings.TrimSpace(line), " -> ")
		if port, err := strconv.Atoi(host[strings.LastIndex(host, ":")+1:]); err == nil {
			ports[port] = true
		}
	}
	return ports, nil
}

// portHolder names who listens on a port of this machine, the container that publishes it or else the process; false for a free port.
func (e engine) portHolder(ctx context.Context, port int) (string, bool) {
	holder, taken := machine.PortHolder(ctx, port)
	if !taken {
		return "", false
	}
	if e != "" {
		if out, _ := e.run(ctx, "ps", "--filter", fmt.Sprintf("publish=%d", port), "--format", "{{.Names}}"); strings.TrimSpace(out) != "" {
			return "container " + strings.TrimSpace(out), true
		}
	}
	return holder.String(), true
}
