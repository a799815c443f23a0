package cluster

import (
	"context"
	"crypto/rand"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"kindgate/magefiles/internal/limits"
)

// A mark says that kindgate made a cluster, and which one: NAME/IDENTITY, the identity being random. It stands in three places: on the
// container of every node from the moment that it exists, on the control plane's Node, and on the entries in the user's kubeconfig.
// A cluster without it is somebody else's, whatever its name, its address or its contents.
type mark string

func newMark(cluster string) mark { return mark(cluster + "/" + rand.Text()) }

// of tells whether the mark is that of a cluster of the given name.
func (m mark) of(cluster string) bool { return strings.HasPrefix(string(m), cluster+"/") }

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
		owner, err = e.readMarks(ctx, c.options.Name, nodes)
		if isGone(err) { // between the two questions
			return false, nil
		}
		return true, err
	})
	return nodes, owner, err
}

// readMarks reads the marks of the nodes, and returns the one that all of them have. A load balancer before several control planes is left
// out: kind takes no mounts for it.
func (e engine) readMarks(ctx context.Context, cluster string, nodes []container) (mark, error) {
	var names []string
	for _, node := range nodes {
		if !node.loadBalancer {
			names = append(names, node.Name)
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	marks, err := e.marks(ctx, cluster, names)
	if err != nil || len(marks) != len(names) {
		return "", err
	}
	for i := range nodes {
		if at := slices.Index(names, nodes[i].Name); at >= 0 {
			nodes[i].mark = marks[at]
		}
	}
	return common(marks), nil
}

// marks returns the marks of containers, in the order of their names.
func (e engine) marks(ctx context.Context, cluster string, names []string) ([]mark, error) {
	out, err := e.run(ctx, append([]string{"container", "inspect", "--format", "{{range .Mounts}}{{.Destination}}\t{{end}}"}, names...)...)
	if err != nil {
		return nil, err
	}
	var marks []mark
	for line := range strings.Lines(out) {
		marks = append(marks, markAmong(cluster, strings.Split(strings.TrimSpace(line), "\t")))
	}
	return marks, nil
}

// identity is what rand.Text gives.
var identity = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// markAmong returns the mark of the cluster that is among the mounts of a container. Another's, or what only looks like one, does not count.
func markAmong(cluster string, mounts []string) mark {
	for _, mount := range mounts {
		if found, ok := strings.CutPrefix(mount, marksFolder+"/"+cluster+"/"); ok && identity.MatchString(found) {
			return mark(cluster + "/" + found)
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
	// Another: kindgate made it, but not the one that the user's kubeconfig knows.
	Another bool
	// Start and Delete are the engine's commands that start and delete its nodes.
	Start, Delete string
}

func (f *ForeignError) Error() string {
	if f.Another {
		return fmt.Sprintf("there is a cluster %s that another user, or a run with another kubeconfig, has made: %s", f.Cluster, f.Found)
	}
	return fmt.Sprintf("there is a kind cluster %s that kindgate did not make: %s", f.Cluster, f.Found)
}

// another returns an error where the user's kubeconfig knows a cluster of this name that kindgate made, and the nodes are of another one.
func (c *Cluster) another(e engine, nodes []container, owner, entry mark) *ForeignError {
	if entry == owner || !entry.of(c.options.Name) || c.options.Adopt {
		return nil
	}
	return &ForeignError{Cluster: c.options.Name, Another: true, Delete: deletion(e, nodes),
		Found: fmt.Sprintf("its mark is %s, and that of the context %s in %s is %s", owner, c.kubeconfig.context, c.kubeconfig.path, entry)}
}

// deletion is the engine's command that deletes containers.
func deletion(e engine, nodes []container) string {
	command := fmt.Sprintf("%s rm --force --volumes", e)
	for _, node := range nodes {
		command += " " + node.Name
	}
	return command
}

// foreign looks at a cluster whose containers have no mark. One of an earlier release is known by its Node's annotation.
func (c *Cluster) foreign(ctx context.Context, e engine, nodes []container) (Observation, error) {
	var names, unmarked []string
	verb := "start"
	for _, node := range nodes {
		names = append(names, node.Name)
		if node.mark == "" && !node.loadBalancer {
			unmarked = append(unmarked, node.Name)
		}
		if node.State == "paused" {
			verb = "unpause"
		}
	}
	found := &ForeignError{Cluster: c.options.Name, Start: fmt.Sprintf("%s %s %s", e, verb, strings.Join(names, " ")),
		Delete: deletion(e, nodes)}
	if len(unmarked) > 0 && slices.ContainsFunc(nodes, func(node container) bool { return node.mark != "" }) {
		found.Found = "of its containers, " + strings.Join(unmarked, ", ") + " has no mark of kindgate's, as the others have"
		found.Delete = fmt.Sprintf("%s rm --force --volumes %s", e, strings.Join(unmarked, " "))
		return Observation{State: Foreign, Foreign: found}, nil
	}
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
		traces, err := e.exec(ctx, c.NodeName(), tracesOfKubernetes)
		if err != nil && !isGone(err) {
			return Observation{}, err
		}
		found.HalfMade = err == nil && strings.TrimSpace(traces) == ""
		found.Found = "its nodes have no mark of kindgate's, and its API server does not answer"
		if found.HalfMade {
			found.Found = "its nodes have no mark of kindgate's; Kubernetes was never set up in it, or is about to be"
		}
	}
	return Observation{State: Foreign, Foreign: found}, nil
}

// tracesOfKubernetes prints what kubeadm and Kubernetes have left in a node: nothing where kubeadm has not begun.
const tracesOfKubernetes = `ls -d /etc/kubernetes/*.conf /etc/kubernetes/pki /etc/kubernetes/manifests/* /var/lib/etcd/* /var/lib/kubelet/config.yaml 2>/dev/null || true`

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
	look, cancel := context.WithTimeout(ctx, limits.FirstAnswer)
	defer cancel()
	plain := rest.CopyConfig(client)
	plain.Timeout = limits.FirstAnswer
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
	if err != nil {
		return "", err
	}
	if entry == owner || c.looksComplete(ctx, e) {
		return c.signature().String(), nil
	}
	return "", nil
}

// looksComplete tells whether kind came to its end, for a cluster whose records are all gone: its last steps are the storage class, and then
// the other nodes. That they are missing proves nothing.
func (c *Cluster) looksComplete(ctx context.Context, e engine) bool {
	out, err := e.exec(ctx, c.NodeName(), "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 2s get storageclasses,nodes --output name")
	return err == nil && strings.Contains(out, "storageclass") && strings.Count(out, "node/") >= len(c.options.Config.Nodes)
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
