package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"kindgate/magefiles/internal/limits"
)

// A look finds out what there is of a cluster, and whose it is, and changes nothing.
type look struct {
	options    Options
	kubeconfig kubeconfig
	nodes      func() (nodes, error) // the error is that there is no engine
	asking     sync.Mutex
	info       *Info // what the engine said, nil until it has been asked
	publishing singleflight.Group
	made       atomic.Pointer[v1alpha4.Cluster] // what the cluster says that it was made from, nil until it has been asked
}

// nodeName is the name of the first control plane's node, which is also its container's.
func (l *look) nodeName() string { return nodes{cluster: l.options.Name}.controlPlane() }

// Publisher returns the name of the node whose container publishes a port of this machine: by what the cluster was made from, where a look
// has found that out, else by how it would be made. It is the first control plane's where none has the port.
func (l *look) Publisher(port int) string {
	config := l.made.Load()
	if config == nil {
		config = l.options.Config
	}
	return cmp.Or(publisher(config, l.options.Name, port), l.nodeName())
}

// Info asks the engine about itself. It fails where there is none, or none that answers, and says what to do.
func (l *look) Info(ctx context.Context) (Info, error) {
	n, err := l.nodes()
	if err != nil {
		return Info{}, err
	}
	l.asking.Lock()
	defer l.asking.Unlock()
	if l.info == nil {
		info, err := n.info(ctx)
		if err != nil {
			return Info{}, err
		}
		l.info = &info
	}
	return *l.info, nil
}

// Published tells whether the container that is to publish a port of this machine does. Who asks at the same time, of whichever port, has the
// same answer: the engine's command takes longer than all else that a run does when all is up to date.
func (l *look) Published(ctx context.Context, port int) (bool, error) {
	n, err := l.nodes()
	if err != nil {
		return false, err
	}
	node := l.Publisher(port)
	ports, err, _ := l.publishing.Do(node, func() (any, error) { return n.published(ctx, node) })
	if err != nil {
		return false, err
	}
	return ports.(map[int]bool)[port], nil
}

// PortHolder names who listens on a port of this machine, the container that publishes it or else the process; false for a free port.
func (l *look) PortHolder(ctx context.Context, port int) (string, bool) {
	n, _ := l.nodes() // without an engine, the process is named
	return n.portHolder(ctx, port)
}

// Observe looks at the cluster. When all is well that is one request to the API server; else the engine is asked. An unreadable
// kubeconfig is an error.
func (l *look) Observe(ctx context.Context) (Observation, error) {
	client, entry, err := l.kubeconfig.find()
	if err != nil {
		return Observation{}, err
	}
	if client != nil {
		if all := l.ask(ctx, client); madeBy(entry, l.first(all)) {
			return l.ready(ctx, all, client), nil
		}
	}
	n, err := l.nodes()
	if err != nil {
		return Observation{}, err
	}
	found, owner, err := n.owned(ctx)
	switch {
	case err != nil:
		return Observation{}, err
	case len(found) == 0:
		return Observation{State: Absent}, nil
	case owner == "":
		return l.foreign(ctx, n, found)
	}
	if another := l.another(n, found, owner, entry); another != nil {
		return Observation{State: Foreign, Foreign: another}, nil
	}
	if anyNot(found, "running") {
		observation := Observation{State: Stopped, owner: owner}
		if len(found) > 1 {
			observation.Down = notRunning(found)
		}
		return observation, nil
	}
	if raw, client, all := l.askNode(ctx, n); madeBy(owner, l.first(all)) {
		observation := l.ready(ctx, all, client)
		observation.kubeconfig = raw
		return observation, nil
	}
	return Observation{State: Running, owner: owner}, nil
}

func anyNot(found []container, state string) bool {
	for _, node := range found {
		if node.State != state {
			return true
		}
	}
	return false
}

// ready is the observation of a cluster that has the given Nodes, the first control plane's among them.
func (l *look) ready(ctx context.Context, all []corev1.Node, client *rest.Config) Observation {
	node := l.first(all)
	others := slices.DeleteFunc(slices.Clone(all), func(other corev1.Node) bool {
		return other.Name == node.Name || !ofKind(l.options.Name, &other)
	})
	observation := Observation{State: Ready, Node: node, Others: others, Down: l.downBeside(ctx, others), REST: l.connect(client),
		owner: mark(node.Annotations[ownerAnnotation])}
	made := node.Annotations[madeFromAnnotation]
	l.made.Store(configOf(made))
	if l.options.Config != nil {
		observation.Differences = l.options.signature().differences(made)
	}
	return observation
}

// first returns the first control plane's Node, nil where it is not there.
func (l *look) first(all []corev1.Node) *corev1.Node {
	for i := range all {
		if all[i].Name == l.nodeName() {
			return &all[i]
		}
	}
	return nil
}

func (l *look) connect(client *rest.Config) *rest.Config {
	if l.options.Connect == nil {
		return client
	}
	return l.options.Connect(client)
}

// EngineName is the command of the container engine, docker where there is none.
func (l *look) EngineName() string {
	if n, err := l.nodes(); err == nil {
		return string(n.engine)
	}
	return "docker"
}

// checkOwner returns a ForeignError for nodes that are not this user's to delete.
func (l *look) checkOwner(ctx context.Context, n nodes, found []container, owner mark) error {
	if owner != "" {
		_, entry, err := l.kubeconfig.find()
		if another := l.another(n, found, owner, entry); err == nil && another != nil {
			return another
		}
		return nil // an unreadable kubeconfig knows of no other
	}
	observation, err := l.foreign(ctx, n, found)
	if err != nil {
		return err
	}
	if observation.State == Foreign && !l.mayDelete(observation.Foreign) {
		return observation.Foreign
	}
	return nil
}

// mayDelete tells whether a cluster without a mark may be deleted.
func (l *look) mayDelete(foreign *ForeignError) bool { return l.options.Adopt && foreign.HalfMade }

// another returns an error where the user's kubeconfig knows a cluster of this name that kindgate made, and the nodes are of another one.
func (l *look) another(n nodes, found []container, owner, entry mark) *ForeignError {
	if entry == owner || !entry.of(l.options.Name) || l.options.Adopt {
		return nil
	}
	return &ForeignError{Cluster: l.options.Name, Another: true, Delete: deletion(n.engine, found),
		Found: fmt.Sprintf("its mark is %s, and that of the context %s in %s is %s", owner, l.kubeconfig.context, l.kubeconfig.path, entry)}
}

// foreign looks at a cluster whose containers have no mark. One of an earlier release is known by its Node's annotation.
func (l *look) foreign(ctx context.Context, n nodes, containers []container) (Observation, error) {
	var names, unmarked []string
	verb := "start"
	for _, node := range containers {
		names = append(names, node.Name)
		if node.mark == "" && !node.loadBalancer {
			unmarked = append(unmarked, node.Name)
		}
		if node.State == "paused" {
			verb = "unpause"
		}
	}
	found := &ForeignError{Cluster: l.options.Name, Start: fmt.Sprintf("%s %s %s", n.engine, verb, strings.Join(names, " ")),
		Delete: deletion(n.engine, containers)}
	if len(unmarked) > 0 && slices.ContainsFunc(containers, func(node container) bool { return node.mark != "" }) {
		found.Found = "of its containers, " + strings.Join(unmarked, ", ") + " has no mark of kindgate's, as the others have"
		found.Delete = fmt.Sprintf("%s rm --force --volumes %s", n.engine, strings.Join(unmarked, " "))
		return Observation{State: Foreign, Foreign: found}, nil
	}
	if anyNot(containers, "running") {
		found.Stopped, found.Found = true, "its nodes have no mark of kindgate's, and are not all running, so that it cannot be asked"
		return Observation{State: Foreign, Foreign: found}, nil
	}
	raw, client, all := l.askNode(ctx, n)
	switch {
	case madeBy("", l.first(all)):
		observation := l.ready(ctx, all, client)
		observation.kubeconfig = raw
		return observation, nil
	case l.first(all) != nil:
		found.Found = "neither its nodes' containers nor its Node has a mark of kindgate's"
	default:
		traces, err := n.exec(ctx, n.controlPlane(), tracesOfKubernetes)
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

// askNode looks at the Nodes with the credentials that the first control plane's container has. It returns none where the API server does
// not answer soon.
func (l *look) askNode(ctx context.Context, n nodes) (raw string, client *rest.Config, all []corev1.Node) {
	raw, err := n.administrator()
	if err != nil {
		return "", nil, nil
	}
	client, err = clientcmd.RESTConfigFromKubeConfig([]byte(raw))
	if err != nil {
		return "", nil, nil
	}
	return raw, client, l.ask(ctx, client)
}

// ask looks at the Nodes, none where the API server does not answer soon.
func (l *look) ask(ctx context.Context, client *rest.Config) []corev1.Node {
	soon, cancel := context.WithTimeout(ctx, limits.FirstAnswer)
	defer cancel()
	plain := rest.CopyConfig(client)
	plain.Timeout = limits.FirstAnswer
	clientset, err := kubernetes.NewForConfig(plain)
	if err != nil {
		return nil
	}
	list, err := clientset.CoreV1().Nodes().List(soon, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return list.Items
}

// madeOf returns what a marked cluster says that it was made from, empty for one that was never completed. Any of the records that
// complete leaves will do: whatever its owner took out of it, a complete cluster is not half made.
func (l *look) madeOf(ctx context.Context, n nodes, owner mark) (string, error) {
	out, err := n.exec(ctx, n.controlPlane(), "cat "+n.madeFromFile()+" 2>/dev/null || true")
	if err != nil || strings.TrimSpace(out) != "" {
		return strings.TrimSpace(out), err
	}
	_, _, all := l.askNode(ctx, n)
	if node := l.first(all); madeBy(owner, node) {
		return node.Annotations[madeFromAnnotation], nil
	}
	_, entry, err := l.kubeconfig.find()
	if err != nil {
		return "", err
	}
	if entry == owner || l.looksComplete(ctx, n) {
		return l.options.signature().String(), nil
	}
	return "", nil
}

// looksComplete tells whether kind came to its end, for a cluster whose records are all gone: its last steps are the storage class, and then
// the other nodes. That they are missing proves nothing.
func (l *look) looksComplete(ctx context.Context, n nodes) bool {
	out, err := n.exec(ctx, n.controlPlane(), "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout 2s get storageclasses,nodes --output name")
	return err == nil && strings.Contains(out, "storageclass") && strings.Count(out, "node/") >= len(l.options.Config.Nodes)
}
