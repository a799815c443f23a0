package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// A mark says that kindgate made a cluster, and which one: NAME/IDENTITY, the identity being random. It stands in three places: on the
// container of every node from the moment that it exists, on the control plane's Node, and on the entries in the user's kubeconfig.
// A cluster without it is somebody else's, whatever its name, its address or its contents.
type mark string

func newMark(cluster string) mark { return mark(cluster + "/" + rand.Text()) }

// marksFolder is where a node's container has its mark.
const marksFolder = "/kind/kindgate"

// mount puts the mark on a container. kind gives containers labels of its own only, and what is set later would be missing from a node
// whose creation was interrupted. A mount is set when the container is made; kind mounts /lib/modules in the same manner.
func (m mark) mount() v1alpha4.Mount {
	return v1alpha4.Mount{HostPath: "/lib/modules", ContainerPath: path.Join(marksFolder, string(m)), Readonly: true}
}

// madeFromFile is written into the control plane's container when the cluster is complete, and has what it was made from.
func (c *Cluster) madeFromFile() string { return path.Join(marksFolder, c.options.Name, "made-from") }

// Annotations of the control plane's Node. Earlier releases of kindgate only set the first, when the cluster was complete.
const (
	madeFromAnnotation = "kindgate/made-from"
	ownerAnnotation    = "kindgate/owner"
)

// madeBy tells whether a Node says that its cluster is complete, and has the given mark; earlier releases left none.
func madeBy(owner mark, node *corev1.Node) bool {
	return node != nil && node.Annotations[madeFromAnnotation] != "" && mark(node.Annotations[ownerAnnotation]) == owner
}

// ownedNodes returns the containers of the cluster's nodes, and the mark that all of them have: none where one of them has none, or
// another.
func (c *Cluster) ownedNodes(ctx context.Context, e engine) (nodes []container, owner mark, err error) {
	err = poll(ctx, fmt.Sprintf("the nodes of cluster %s to be listed", c.options.Name), func() (bool, error) {
		if nodes, err = e.nodes(ctx, c.options.Name); err != nil || len(nodes) == 0 {
			return true, err
		}
		owner, err = e.commonMark(ctx, nodes)
		if isGone(err) { // between the two questions
			return false, nil
		}
		return true, err
	})
	return nodes, owner, err
}

// commonMark returns the mark that all of the nodes have. A load balancer before several control planes is left out: kind takes no
// mounts for it.
func (e engine) commonMark(ctx context.Context, nodes []container) (mark, error) {
	var names []string
	for _, node := range nodes {
		if !node.loadBalancer() {
			names = append(names, node.Name)
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	out, err := e.run(ctx, append([]string{"container", "inspect", "--format", "{{range .Mounts}}{{.Destination}}\t{{end}}"}, names...)...)
	if err != nil {
		return "", err
	}
	var marks []mark
	for line := range strings.Lines(out) {
		marks = append(marks, markAmong(strings.Split(strings.TrimSpace(line), "\t")))
	}
	return common(marks), nil
}

// markAmong returns the mark that is among the mounts of a container.
func markAmong(mounts []string) mark {
	for _, mount := range mounts {
		if found, ok := strings.CutPrefix(mount, marksFolder+"/"); ok {
			return mark(found)
		}
	}
	return ""
}

// common returns the value that all marks have, empty where they differ.
func common(marks []mark) mark {
	if slices.ContainsFunc(marks, func(m mark) bool { return m != marks[0] }) || len(marks) == 0 {
		return ""
	}
	return marks[0]
}

// A ForeignError is about a kind cluster of the wanted name that does not say that kindgate made it. Nothing was done to it.
type ForeignError struct {
	Cluster string
	// Found says what of it was looked at, and what was not there.
	Found string
	// Stopped: its nodes do not run, so that it could not be asked.
	Stopped bool
	// HalfMade: Kubernetes was never completely set up in it.
	HalfMade bool
	// Start and Delete are the engine's commands that start and delete its nodes.
	Start, Delete string
}

func (f *ForeignError) Error() string {
	return fmt.Sprintf("there is a kind cluster %s that kindgate did not make: %s", f.Cluster, f.Found)
}

// foreign looks at a cluster whose containers have no mark. One of an earlier release is known by its Node's annotation.
func (c *Cluster) foreign(ctx context.Context, e engine, nodes []container) (Observation, error) {
	found := &ForeignError{Cluster: c.options.Name}
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = node.Name
	}
	found.Start = fmt.Sprintf("%s start %s", e, strings.Join(names, " "))
	found.Delete = fmt.Sprintf("%s rm --force --volumes %s", e, strings.Join(names, " "))
	if anyNot(nodes, "running") {
		found.Stopped, found.Found = true, "its nodes have no mark of kindgate's, and are not all running, so that it cannot be asked"
		return Observation{State: Foreign, Foreign: found}, nil
	}
	raw, client, node := c.askNode(ctx, e)
	switch {
	case madeBy("", node):
		observation := c.ready(node, client)
		observation.kubeconfig = raw
		return observation, nil
	case node != nil:
		found.Found = "neither its nodes' containers nor its Node has a mark of kindgate's"
	default:
		missing, err := e.exec(ctx, c.NodeName(), missingFiles)
		if err != nil && !isGone(err) {
			return Observation{}, err
		}
		found.HalfMade = err == nil && strings.TrimSpace(missing) != ""
		found.Found = "its nodes have no mark of kindgate's, and its API server does not answer"
		if found.HalfMade {
			found.Found = "its nodes have no mark of kindgate's; it is half made, or is being made"
		}
	}
	return Observation{State: Foreign, Foreign: found}, nil
}

// missingFiles prints those files that kubeadm has not come to write, without which a control plane cannot run.
const missingFiles = `for f in admin.conf manifests/etcd.yaml manifests/kube-apiserver.yaml manifests/kube-controller-manager.yaml manifests/kube-scheduler.yaml; do [ -s /etc/kubernetes/$f ] || echo $f; done`

// askNode looks at the control plane's Node with the credentials that its container has. It returns no Node where the API server does
// not answer soon.
func (c *Cluster) askNode(ctx context.Context, e engine) (raw string, client *rest.Config, node *corev1.Node) {
	raw, err := c.kindProvider(e, nil).KubeConfig(c.options.Name, false)
	if err != nil {
		return "", nil, nil
	}
	client, err = clientcmd.RESTConfigFromKubeConfig([]byte(raw))
	if err != nil {
		return "", nil, nil
	}
	return raw, client, c.ask(ctx, client)
}

// ask looks at the control plane's Node, nil where the API server does not answer soon.
func (c *Cluster) ask(ctx context.Context, client *rest.Config) *corev1.Node {
	look, cancel := context.WithTimeout(ctx, quickly)
	defer cancel()
	plain := rest.CopyConfig(client)
	plain.Timeout = quickly
	node, err := c.getNode(look, plain)
	if err != nil {
		return nil
	}
	return node
}

// madeFrom returns what a marked cluster says that it was made from, empty for one that was never completed. Any of the records that
// complete leaves will do: whatever its owner took out of it, a complete cluster is not half made.
func (c *Cluster) madeFrom(ctx context.Context, e engine, owner mark) (string, error) {
	out, err := e.exec(ctx, c.NodeName(), "cat "+c.madeFromFile()+" 2>/dev/null || true")
	if err != nil || strings.TrimSpace(out) != "" {
		return strings.TrimSpace(out), err
	}
	if _, _, node := c.askNode(ctx, e); madeBy(owner, node) {
		return node.Annotations[madeFromAnnotation], nil
	}
	_, entry, err := c.kubeconfig.find()
	if err == nil && entry == owner {
		return c.signature().String(), nil
	}
	return "", err
}

// writeMadeFrom leaves the first record of a complete cluster: from here on it is never remade.
func (c *Cluster) writeMadeFrom(ctx context.Context, e engine, signature string) error {
	script := fmt.Sprintf("cat >%[1]s.new && mv %[1]s.new %[1]s", c.madeFromFile())
	err := e.stream(ctx, strings.NewReader(signature), nil, "exec", "-i", c.NodeName(), "sh", "-c", script)
	if err != nil {
		return fmt.Errorf("mark node %s as complete: %w", c.NodeName(), err)
	}
	return nil
}
