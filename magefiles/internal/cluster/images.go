package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"kindgate/magefiles/internal/limits"
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

// Images are what the engine and the nodes have of some images. LookAtImages returns them.
type Images struct {
	refs   []string
	local  map[string]localImage           // by reference
	nodes  map[string]map[string]nodeImage // by node, and by name
	pulled func(ref string) bool
}

// A localImage is one that the engine has.
type localImage struct {
	ID          string `json:"Id"`
	Size        int64
	RepoDigests []string
}

// A nodeImage is one that a node has under a name.
type nodeImage struct {
	digest string // of what the name leads to: a manifest, or an index of some
	id     string // what the kubelet calls it, the digest of its configuration; empty where containerd has not said so yet
	copied string // the ID in the engine of the image that it is a copy of; empty for one that kindgate has not copied
}

// is tells whether the image is the one that has an ID in the engine. What an ID is there depends on how the engine stores images.
func (i nodeImage) is(id string) bool { return id == i.copied || id == i.id || id == i.digest }

// LookAtImages finds out what the engine and the nodes have of images. The nodes' containers must run; Kubernetes need not. pulled tells of
// which images the nodes go by their registry whenever they start a container: those are not held against the engine's.
func (c *Cluster) LookAtImages(ctx context.Context, refs []string, pulled func(ref string) bool) (*Images, error) {
	n, err := c.nodes()
	if err != nil {
		return nil, err
	}
	return n.lookAtImages(ctx, c.making.observation.Nodes(), refs, pulled, func() (map[string][]string, error) {
		clientset, err := c.clientset(ctx)
		if err != nil {
			return nil, err
		}
		return running(ctx, clientset)
	})
}

func (c *Cluster) clientset(ctx context.Context) (kubernetes.Interface, error) {
	cfg, err := c.API(ctx)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

// running returns what the kubelets call the images that the cluster's containers run, by the images' references in full.
func running(ctx context.Context, clientset kubernetes.Interface) (map[string][]string, error) {
	pods, err := clientset.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	found := map[string][]string{}
	for _, pod := range pods.Items {
		called := map[string]string{}
		for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			called[status.Name] = status.ImageID
		}
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) { // whose image the status may call otherwise
			if name := normal(c.Image); called[c.Name] != "" && pod.DeletionTimestamp == nil {
				found[name] = distinct(append(found[name], called[c.Name]))
			}
		}
	}
	return found, nil
}

// imagesAnnotation is of the first control plane's Node. It has the images that the nodes were found to have as the engine has them, and of which no
// pod runs an older one, by reference, as JSON.
const imagesAnnotation = "kindgate/images"

// A settledImage is what the annotation has of an image: its ID in the engine, and what the kubelets called it in the pods that ran it then.
type settledImage struct {
	ID      string   `json:"id"`
	Running []string `json:"running,omitempty"`
}

// Settled tells whether the images were found before to be as they should be, the engine has no others since, and no pod runs another: nothing else
// was looked at.
func (i *Images) Settled() bool { return i.nodes == nil }

// settled are those of images that the engine has, as RecordImages writes them.
func (i *Images) settled(running map[string][]string) map[string]settledImage {
	all := map[string]settledImage{}
	for _, ref := range i.refs {
		if id := i.ID(ref); id != "" {
			all[ref] = settledImage{id, running[normal(ref)]}
		}
	}
	return all
}

// recorded tells whether all of the nodes say that they have the images, the first of them that these are the engine's, and no pod runs one that was
// not known of then: somebody may have put another into a node.
func (i *Images) recorded(nodes []corev1.Node, running func() (map[string][]string, error)) bool {
	if len(nodes) == 0 || len(MissingImages(nodes, i.refs)) > 0 {
		return false
	}
	var known map[string]settledImage
	if err := json.Unmarshal([]byte(nodes[0].Annotations[imagesAnnotation]), &known); err != nil {
		return false
	}
	for ref, image := range i.settled(nil) {
		if known[ref].ID != image.ID {
			return false
		}
	}
	now, err := running()
	if err != nil {
		return false
	}
	for ref, image := range i.settled(now) {
		if slices.ContainsFunc(image.Running, func(id string) bool { return !slices.Contains(known[ref].Running, id) }) {
			return false
		}
	}
	return true
}

// RecordImages writes down that the images are as they should be, so that the next run need not look into the nodes.
func (c *Cluster) RecordImages(ctx context.Context, images *Images) error {
	clientset, err := c.clientset(ctx)
	if err != nil {
		return err
	}
	now, err := running(ctx, clientset)
	if err != nil {
		return err
	}
	settled, err := json.Marshal(images.settled(now))
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{imagesAnnotation: string(settled)}}})
	if err != nil {
		return err
	}
	if _, err := clientset.CoreV1().Nodes().Patch(ctx, c.nodeName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("Node/%s: %w", c.nodeName(), err)
	}
	return nil
}

// LocalImages returns the IDs of those of refs that the engine has; none where it cannot be asked.
func (c *Cluster) LocalImages(ctx context.Context, refs []string) map[string]string {
	n, err := c.nodes()
	if err != nil {
		return nil
	}
	ids := map[string]string{}
	for ref, image := range n.localImages(ctx, refs) {
		ids[ref] = image.ID
	}
	return ids
}

// FollowImages calls changed whenever an image of the engine may have changed, until ctx ends: when the engine says so, and every now and then while
// it says nothing.
func (c *Cluster) FollowImages(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		if n, err := c.nodes(); err == nil {
			_ = n.stream(ctx, nil, told(changed), "events", "--filter", "type=image")
		}
		changed()
		select {
		case <-ctx.Done():
		case <-time.After(limits.ImagesAgain):
		}
	}
}

// told is a writer that tells of each write.
type told func()

func (t told) Write(p []byte) (int, error) {
	t()
	return len(p), nil
}

// lookAtImages looks into the nodes that are known, unless they have said that all is well, and where that is none, or one of them is not there any
// more, into those that the engine lists.
func (n nodes) lookAtImages(ctx context.Context, known []corev1.Node, refs []string, pulled func(string) bool,
	running func() (map[string][]string, error)) (*Images, error) {
	images := &Images{refs: refs, pulled: pulled, local: n.localImages(ctx, refs)}
	if images.recorded(known, running) {
		return images, nil
	}
	var there []string
	for _, node := range known {
		there = append(there, node.Name)
	}
	if len(there) > 0 && images.lookInto(ctx, n.engine, there, "") == nil { // in a cluster that is up, containerd answers
		return images, nil
	}
	found, err := n.list(ctx)
	if err != nil {
		return nil, err
	}
	return images, images.lookInto(ctx, n.engine, names(found), waitContainerd)
}

// lookInto finds out what the nodes have now, by a shell line that begins with first.
func (i *Images) lookInto(ctx context.Context, e engine, nodes []string, first string) error {
	found := make([]map[string]nodeImage, len(nodes))
	asking, ctx := errgroup.WithContext(ctx)
	for at, node := range nodes {
		asking.Go(func() (err error) {
			found[at], err = e.imagesOf(ctx, node, first)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return err
	}
	i.nodes = map[string]map[string]nodeImage{}
	for at, node := range nodes {
		i.nodes[node] = found[at]
	}
	return nil
}

// ID is what an image has in the engine; empty where it has none, or where the nodes go by the registry.
func (i *Images) ID(ref string) string {
	if i.pulled(ref) {
		return ""
	}
	return i.local[ref].ID
}

// Unpushed tells whether the engine has an image that it knows of no registry: built there, or loaded from a file.
func (i *Images) Unpushed(ref string) bool {
	local, ok := i.local[ref]
	return ok && len(local.RepoDigests) == 0
}

// Outdated tells whether a container that runs an image, which its status names so, runs another one than the engine has by now under the
// reference. It is false where the engine has none.
func (i *Images) Outdated(ref, running string) bool {
	id := i.ID(ref)
	running = running[strings.LastIndex(running, "@")+1:]
	if id == "" || running == "" || running == id || i.Settled() {
		return false
	}
	for _, node := range i.nodes {
		for _, image := range node {
			if (image.id == running || image.digest == running) && image.is(id) {
				return false
			}
		}
	}
	return true
}

// Rebuilt are the images of which a node has another one than the engine under the same name.
func (i *Images) Rebuilt() []string {
	return slices.DeleteFunc(slices.Clone(i.refs), func(ref string) bool {
		for _, node := range i.nodes {
			if image, has := node[normal(ref)]; has && i.ID(ref) != "" && !image.is(i.ID(ref)) {
				return false
			}
		}
		return true
	})
}

// lacking are the images that a node does not have.
func (i *Images) lacking(node string) []string {
	return slices.DeleteFunc(slices.Clone(i.refs), func(ref string) bool { _, has := i.nodes[node][normal(ref)]; return has })
}

// Loaded are the images that LoadImages has copied: those that a node lacked, and those that were rebuilt in the engine; and those that are left for
// the nodes to pull, as the engine lacks them, too.
type Loaded struct{ Missing, Rebuilt, Left []string }

// LoadImages copies those of images that the engine has and any node lacks, or has another one of, into the nodes, as one stream from the engine to
// the containerd of each. progress is told of the bytes copied and their total, which is the engine's estimate. images are then what the nodes have.
func (c *Cluster) LoadImages(ctx context.Context, images *Images, progress func(copied, total int64)) (Loaded, error) {
	n, err := c.nodes()
	if err != nil {
		return Loaded{}, err
	}
	loaded := Loaded{Rebuilt: images.Rebuilt()}
	var to []string
	for node := range images.nodes {
		lacks := images.lacking(node)
		here, elsewhere := divide(lacks, images.local)
		loaded.Missing, loaded.Left = append(loaded.Missing, here...), append(loaded.Left, elsewhere...)
		if len(here) > 0 || len(loaded.Rebuilt) > 0 {
			to = append(to, node)
		}
	}
	loaded.Left = distinct(loaded.Left)
	loaded.Missing = slices.DeleteFunc(distinct(loaded.Missing), func(ref string) bool { return slices.Contains(loaded.Rebuilt, ref) })
	copied := slices.Concat(loaded.Missing, loaded.Rebuilt)
	if len(copied) == 0 {
		return loaded, nil
	}
	info, err := c.Info(ctx)
	if err != nil {
		return Loaded{}, err
	}
	ids, total := map[string]string{}, int64(0)
	for _, ref := range copied {
		ids[ref] = images.local[ref].ID
		total += images.local[ref].Size
	}
	if err := n.copyImages(ctx, info, ids, loaded.Rebuilt, to, func(copied int64) { progress(copied, total) }); err != nil {
		return loaded, err
	}
	for _, node := range to {
		for _, ref := range loaded.Rebuilt {
			images.nodes[node][normal(ref)] = nodeImage{id: ids[ref], copied: ids[ref]}
		}
	}
	return loaded, nil
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
	images, err := e.imagesOf(ctx, node, waitContainerd)
	if _, has := images[normal(ref)]; err != nil || has {
		return err
	}
	_, err = e.run(ctx, "exec", node, "crictl", "pull", normal(ref))
	if err != nil && strings.Contains(err.Error(), "code = NotFound") {
		return err
	}
	return nil
}

// divide returns those of refs that are local, and the others.
func divide(refs []string, local map[string]localImage) (here, elsewhere []string) {
	for _, ref := range refs {
		if _, ok := local[ref]; ok {
			here = append(here, ref)
		} else {
			elsewhere = append(elsewhere, ref)
		}
	}
	return here, elsewhere
}

// copiedLabel is what an image in a node has as a label that was copied: its ID in the engine. It holds while the image has the digest of
// digestLabel: who imports another one of the name leaves the labels as they are.
const copiedLabel, digestLabel = "kindgate/id", "kindgate/digest"

// imagesOf returns the images that a node's containerd has, by their names, by a shell line that begins with first. A name of the form sha256:… is
// the kubelet's for what another name leads to, too.
func (e engine) imagesOf(ctx context.Context, node, first string) (map[string]nodeImage, error) {
	out, err := e.exec(ctx, node, first+`ctr -n k8s.io images list`)
	if err != nil {
		return nil, fmt.Errorf("images of node %s: %w", node, err)
	}
	images, ids := map[string]nodeImage{}, map[string]string{}
	for line := range strings.Lines(out) { // REF TYPE DIGEST SIZE PLATFORMS LABELS
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		var image nodeImage
		if len(fields) > 2 {
			image.digest = fields[2]
		}
		if id, of := labelled.FindStringSubmatch(line), labelledOf.FindStringSubmatch(line); id != nil && of != nil && of[1] == image.digest {
			image.copied = id[1]
		}
		if strings.HasPrefix(fields[0], "sha256:") {
			ids[image.digest] = fields[0]
		}
		images[fields[0]] = image
	}
	for name, image := range images {
		image.id = ids[image.digest]
		images[name] = image
	}
	return images, nil
}

var labelled, labelledOf = regexp.MustCompile(`\b` + copiedLabel + `=(sha256:[0-9a-f]+)`), regexp.MustCompile(`\b` + digestLabel + `=(sha256:[0-9a-f]+)`)

func distinct(refs []string) []string { return slices.Compact(slices.Sorted(slices.Values(refs))) }

// waitContainerd lets a shell line begin when containerd answers, some tenths of a second after the container has started.
const waitContainerd = `n=0; until [ -S /run/containerd/containerd.sock ] && ctr version >/dev/null 2>&1; do n=$((n+1)); [ $n -lt 300 ] || { echo containerd does not answer >&2; exit 1; }; sleep 0.1; done; `

// localImages returns those of refs that the engine has.
func (e engine) localImages(ctx context.Context, refs []string) map[string]localImage {
	found := map[string]localImage{}
	if all, err := e.inspect(ctx, refs...); err == nil && len(all) == len(refs) {
		for i, ref := range refs {
			found[ref] = all[i]
		}
		return found
	}
	// Where the engine lacks one of several, it gives an error for all.
	each := make([][]localImage, len(refs))
	var asking errgroup.Group
	asking.SetLimit(4)
	for i, ref := range refs {
		asking.Go(func() (err error) {
			each[i], err = e.inspect(ctx, ref)
			return err
		})
	}
	_ = asking.Wait() // one that the engine does not have
	for i, ref := range refs {
		if len(each[i]) > 0 {
			found[ref] = each[i][0]
		}
	}
	return found
}

// inspect returns what the engine knows of images; the error is that it does not have all of them.
func (e engine) inspect(ctx context.Context, refs ...string) ([]localImage, error) {
	args := []string{"image", "inspect"}
	for _, ref := range refs {
		args = append(args, normal(ref))
	}
	out, err := e.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	var images []localImage
	err = json.Unmarshal([]byte(out), &images)
	for i, image := range images {
		if image.ID != "" && !strings.Contains(image.ID, ":") {
			images[i].ID = "sha256:" + image.ID // podman leaves that out
		}
	}
	return images, err
}

// copyImages streams images, which have IDs in the engine, from there into the containerd of several nodes at once: the engine packs them once,
// and the slowest node sets the pace. Some of them the nodes have had as others: those are waited for until the kubelet gets the new ones, which
// containerd gives it a moment after it has them.
func (e engine) copyImages(ctx context.Context, info Info, ids map[string]string, rebuilt, nodes []string, progress func(int64)) error {
	save := []string{"save"}
	switch {
	case e == "podman":
		save = append(save, "--multi-image-archive") // without it, the second is a further name of the first
	case info.containerd:
		// That store lists platforms whose content it lacks, which an import of all would miss:
		// https://github.com/kubernetes-sigs/kind/issues/3795.
		save = append(save, "--platform", "linux/"+runtime.GOARCH)
	}
	then := " && { all=$(ctr -n k8s.io images list 2>/dev/null)"
	for _, ref := range slices.Sorted(maps.Keys(ids)) {
		save = append(save, normal(ref)) // as the node looks for it: by a short name, podman gives one of localhost first
		name, id := shellescape.Quote(normal(ref)), shellescape.Quote(ids[ref])
		if ids[ref] != "" {
			then += fmt.Sprintf(`; d=$(echo "$all" | awk -v ref=%s '$1 == ref {print $3}')`+
				"; ctr -n k8s.io images label %s %s=%s %s=$d >/dev/null 2>&1", name, name, copiedLabel, id, digestLabel)
		}
		if slices.Contains(rebuilt, ref) && !info.containerd { // whose IDs are not the kubelet's
			then += fmt.Sprintf("; n=0; until crictl inspecti %s 2>/dev/null | grep -q %s || [ $n -ge %d ]; do n=$((n+1)); sleep 0.1; done",
				name, id, limits.ImageNamed/(100*time.Millisecond))
		}
	}
	// From containerd 2 on, ctr imports by way of its transfer service unless it is told not to, which takes twice the processor time. What both can
	// do, they are asked at the same time; of the same flag twice, the last one counts.
	const load = `flags=$(containerd config dump | sed -n "s/^ *snapshotter = [\"']\(..*\)[\"']/--snapshotter=\1/p" | head -n 1 & ` +
		`ctr images import --help | grep -o -- ' --local ' & wait); ctr -n k8s.io images import --snapshotter=overlayfs $flags -`
	copying, stop := context.WithCancelCause(ctx) // its cause is the first failure
	defer stop(nil)
	var all sync.WaitGroup
	var into []io.Writer
	var ends []*io.PipeWriter
	for _, node := range nodes {
		reader, writer := io.Pipe()
		into, ends = append(into, writer), append(ends, writer)
		all.Go(func() {
			if err := e.stream(copying, reader, io.Discard, "exec", "-i", node, "sh", "-c", load+then+"; true; }"); err != nil {
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
