package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
)

// MissingImages returns those of refs that not all of the nodes say they have; all of them where no node is known. A node tells of its fifty
// largest images only, so one that is returned may be there all the same.
func MissingImages(nodes []corev1.Node, refs []string) []string {
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool {
		return len(nodes) > 0 && !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return !hasImage(&node, normal(ref)) })
	})
}

func hasImage(node *corev1.Node, name string) bool {
	return slices.ContainsFunc(node.Status.Images, func(image corev1.ContainerImage) bool { return slices.Contains(image.Names, name) })
}

// normal is an image's reference in full, docker.io/library/traefik:v3 for traefik:v3; one that is malformed stays as it is.
func normal(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ref
	}
	return named.String()
}

// LoadImages copies those of refs that the engine has and any node lacks into the nodes that lack one, as one stream from the engine to the
// containerd of each, and returns them. What the engine lacks, too, is left for the nodes to pull, and returned as left. progress is told of
// the bytes copied and their total, which is the engine's estimate. The nodes' containers must run; Kubernetes need not.
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
	lacking, err := n.lacking(ctx, names(found), refs)
	if err != nil {
		return nil, nil, err
	}
	var to []string
	for node, refs := range lacking {
		here, elsewhere := divide(refs, local)
		loaded, left = append(loaded, here...), append(left, elsewhere...)
		if len(here) > 0 {
			to = append(to, node)
		}
	}
	loaded, left = distinct(loaded), distinct(left)
	if len(loaded) == 0 {
		return nil, left, nil
	}
	return loaded, left, n.copyImages(ctx, info, loaded, to, func(copied int64) { progress(copied, total) })
}

// Pull has a node pull an image, unless it has it already. The error, in the container runtime's words, is that the registry has no such image.
// That it cannot be pulled for another reason is none: the kubelet may have credentials, or the network be back in a moment.
func (c *Cluster) Pull(ctx context.Context, node, ref string) error {
	n, err := c.nodes()
	if err != nil {
		return err
	}
	return n.pull(ctx, node, ref)
}

func (e engine) pull(ctx context.Context, node, ref string) error {
	lacks, err := e.lacking(ctx, []string{node}, []string{ref})
	if err != nil || len(lacks[node]) == 0 {
		return err
	}
	_, err = e.run(ctx, "exec", node, "crictl", "pull", normal(ref))
	if err != nil && strings.Contains(err.Error(), "code = NotFound") {
		return err
	}
	return nil
}

// divide returns those of refs that are local, and the others.
func divide(refs, local []string) (here, elsewhere []string) {
	for _, ref := range refs {
		if slices.Contains(local, ref) {
			here = append(here, ref)
		} else {
			elsewhere = append(elsewhere, ref)
		}
	}
	return here, elsewhere
}

// lacking returns those of refs that each node's containerd does not have, by the node's name.
func (e engine) lacking(ctx context.Context, nodes, refs []string) (map[string][]string, error) {
	lacks := make([][]string, len(nodes))
	asking, ctx := errgroup.WithContext(ctx)
	for i, node := range nodes {
		asking.Go(func() error {
			out, err := e.exec(ctx, node, waitContainerd+`ctr -n k8s.io images list -q`)
			if err != nil {
				return fmt.Errorf("images of node %s: %w", node, err)
			}
			have := strings.Fields(out)
			lacks[i] = slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return slices.Contains(have, normal(ref)) })
			return nil
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, err
	}
	byNode := map[string][]string{}
	for i, node := range nodes {
		byNode[node] = lacks[i]
	}
	return byNode, nil
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

// copyImages streams images from the engine into the containerd of several nodes at once: the engine packs them once, and the slowest node
// sets the pace.
func (e engine) copyImages(ctx context.Context, info Info, refs, nodes []string, progress func(int64)) error {
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
	// From containerd 2 on, ctr imports by way of its transfer service unless it is told not to, which takes twice the processor time.
	const load = `s=$(containerd config dump | sed -n "s/^ *snapshotter = [\"']\(..*\)[\"']/\1/p" | head -n 1); ` +
		`l=$(ctr images import --help | grep -o -- ' --local ' || true); exec ctr -n k8s.io images import $l --snapshotter="${s:-overlayfs}" -`
	copying, stop := context.WithCancelCause(ctx) // its cause is the first failure
	defer stop(nil)
	var all sync.WaitGroup
	var into []io.Writer
	var ends []*io.PipeWriter
	for _, node := range nodes {
		reader, writer := io.Pipe()
		into, ends = append(into, writer), append(ends, writer)
		all.Go(func() {
			if err := e.stream(copying, reader, io.Discard, "exec", "-i", node, "sh", "-c", waitContainerd+load); err != nil {
				stop(fmt.Errorf("images into node %s: %w", node, err))
			}
			_ = reader.CloseWithError(io.ErrClosedPipe) // a save that nobody reads any more ends
		})
	}
	err := e.stream(copying, nil, &counting{io.MultiWriter(into...), 0, progress}, save...)
	if err != nil {
		stop(err)
	}
	for _, end := range ends {
		_ = end.CloseWithError(err)
	}
	all.Wait()
	return context.Cause(copying)
}

type counting struct {
	io.Writer
	written  int64
	progress func(int64)
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.written += int64(n)
	c.progress(c.written)
	return n, err
}
