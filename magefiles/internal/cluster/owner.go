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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// A mark says that kindgate made a cluster, and which one: NAME/IDENTITY, the identity being random. It stands in three places: on the
// container of every node from the moment that it exists, on the control plane's Node, and on the entries in the user's kubeconfig.
// A cluster without it is somebody else's, whatever its name, its address or its contents.
type mark string

func newMark(cluster string) mark { return mark(cluster + "/" + rand.Text()) }

// of tells whether the mark is that of a cluster of the given name.
func (m mark) of(cluster string) bool { return strings.HasPrefix(string(m), cluster+"/") }

// context is the name of the context of the cluster that has the mark, empty for none.
func (m mark) context() string {
	cluster, _, found := strings.Cut(string(m), "/")
	if !found {
		return ""
	}
	return Context(cluster)
}

// marksFolder is where a node's container has its mark.
const marksFolder = "/kind/kindgate"

// mount puts the mark on a container. kind gives containers labels of its own only, and what is set later would be missing from a node
// whose creation was interrupted. A mount is set when the container is made; kind mounts /lib/modules in the same manner.
func (m mark) mount() v1alpha4.Mount {
	return v1alpha4.Mount{HostPath: "/lib/modules", ContainerPath: path.Join(marksFolder, string(m)), Readonly: true}
}

// Annotations of the control plane's Node. Earlier releases of kindgate only set the first, when the cluster was complete.
const (
	madeFromAnnotation = "kindgate/made-from"
	ownerAnnotation    = "kindgate/owner"
)

// madeBy tells whether a Node says that its cluster is complete, and has the given mark; earlier releases left none.
func madeBy(owner mark, node *corev1.Node) bool {
	return node != nil && node.Annotations[madeFromAnnotation] != "" && mark(node.Annotations[ownerAnnotation]) == owner
}

// MadeAs returns the name of the cluster that kindgate has made and that a Node says it is of; empty where the Node says nothing.
func MadeAs(node metav1.Object) string {
	if cluster, _, ok := strings.Cut(node.GetAnnotations()[ownerAnnotation], "/"); ok {
		return cluster
	}
	if node.GetAnnotations()[madeFromAnnotation] != "" { // by an earlier release
		return strings.TrimSuffix(node.GetName(), "-control-plane")
	}
	return ""
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

// deletion is the engine's command that deletes containers.
func deletion(e engine, nodes []container) string {
	command := fmt.Sprintf("%s rm --force --volumes", e)
	for _, node := range nodes {
		command += " " + node.Name
	}
	return command
}
