package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
)

// MissingImages returns those of refs that a node does not say it has. A node tells of its fifty largest images only, so one that is
// returned may be there all the same.
func MissingImages(node *corev1.Node, refs []string) []string {
	have := map[string]bool{}
	if node != nil {
		for _, image := range node.Status.Images {
			for _, name := range image.Names {
				have[name] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return have[normal(ref)] })
}

// normal is an image's reference in full, docker.io/library/traefik:v3 for traefik:v3; one that is malformed stays as it is.
func normal(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ref
	}
	return named.String()
}

// LoadImages copies those of refs that the engine has and the nodes lack into the nodes, as one stream from the engine to containerd,
// and returns them. What the engine lacks, too, is left for the nodes to pull, and returned as left. progress is told of the bytes copied
// and their total, which is the engine's estimate. The control plane's container must run; Kubernetes need not.
func (c *Cluster) LoadImages(ctx context.Context, refs []string, progress func(copied, total int64)) (loaded, left []string, err error) {
	n, err := c.nodes()
	if err != nil {
		return nil, nil, err
	}
	found, err := n.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, nil, err
	}
	local, total := n.localImages(ctx, refs)
	for _, node := range found {
		if node.loadBalancer {
			continue
		}
		out, err := n.exec(ctx, node.Name, waitContainerd+`ctr -n k8s.io images list -q`)
		if err != nil {
			return nil, nil, fmt.Errorf("images of node %s: %w", node.Name, err)
		}
		have := strings.Fields(out)
		var lacking []string
		for _, ref := range refs {
			switch {
			case slices.Contains(have, normal(ref)):
			case slices.Contains(local, ref):
				lacking = append(lacking, ref)
			default:
				left = append(left, ref)
			}
		}
		if len(lacking) == 0 {
			continue
		}
		if err := n.copyImages(ctx, info, lacking, node.Name, func(copied int64) { progress(copied, total) }); err != nil {
			return nil, nil, fmt.Errorf("images into node %s: %w", node.Name, err)
		}
		loaded = append(loaded, lacking...)
	}
	return distinct(loaded), distinct(left), nil
}

func distinct(refs []string) []string { return slices.Compact(slices.Sorted(slices.Values(refs))) }

// waitContainerd lets a shell line begin when containerd answers, some tenths of a second after the container has started.
const waitContainerd = `n=0; until [ -S /run/containerd/containerd.sock ] && ctr version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 300 ] || { echo containerd does not answer >&2; exit 1; }; sleep 0.1; done; `

// localImages returns those of refs that the engine has, and the sum of their sizes in bytes.
func (e engine) localImages(ctx context.Context, refs []string) (local []string, total int64) {
	for _, ref := range refs {
		// One call for each: with several, an engine that lacks one of them gives an error for all.
		out, err := e.run(ctx, "image", "inspect", normal(ref))
		var images []struct{ Size int64 }
		if err != nil || json.Unmarshal([]byte(out), &images) != nil || len(images) == 0 {
			continue
		}
		local = append(local, ref)
		total += images[0].Size
	}
	return local, total
}

// copyImages streams images from the engine into a node's containerd.
func (e engine) copyImages(ctx context.Context, info Info, refs []string, node string, progress func(int64)) error {
	save := []string{"save"}
	switch {
	case e == "podman":
		save = append(save, "--multi-image-archive") // without it, the second is a further name of the first
	case info.containerd:
		// That store lists platforms whose content it lacks, which an import of all would miss:
		// https://github.com/kubernetes-sigs/kind/issues/3795.
		save = append(save, "--platform", "linux/"+runtime.GOARCH)
	}
	for _, ref := range refs {
		save = append(save, normal(ref)) // as the node looks for it: by a short name, podman gives one of localhost first
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	reader, writer := io.Pipe()
	saved := make(chan error, 1)
	go func() {
		err := e.stream(ctx, nil, writer, save...)
		_ = writer.CloseWithError(err)
		saved <- err
	}()
	// From containerd 2 on, ctr imports by way of its transfer service unless it is told not to, which takes twice the processor time.
	const load = `s=$(containerd config dump | sed -n "s/^ *snapshotter = [\"']\(..*\)[\"']/\1/p" | head -n 1); ` +
		`l=$(ctr images import --help | grep -o -- ' --local ' || true); exec ctr -n k8s.io images import $l --snapshotter="${s:-overlayfs}" -`
	err := e.stream(ctx, &counting{reader, 0, progress}, io.Discard, "exec", "-i", node, "sh", "-c", waitContainerd+load)
	_ = reader.CloseWithError(io.ErrClosedPipe) // a save that nobody reads any more ends
	if err != nil {
		stop(err)
		<-saved
		return err
	}
	return <-saved
}

type counting struct {
	io.Reader
	read     int64
	progress func(int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	c.progress(c.read)
	return n, err
}
