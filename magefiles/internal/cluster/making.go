package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
)

// making is the course of a cluster's creation: other steps begin as soon as the stage they need is reached.
type making struct {
	node, api, done, failed chan struct{}
	err                     error
	kubeconfig              string // the administrator's, as kind gives it
	rest                    *rest.Config
	observation             Observation
	result                  result.Result
	detail                  string
}

// Begin starts to bring the cluster up, once, and tells report what it is doing. The methods Node, API and Done wait for its stages.
func (c *Cluster) Begin(ctx context.Context, report func(string)) {
	c.start.Do(func() {
		go func() {
			if err := c.converge(ctx, report); err != nil {
				c.making.err = err
				close(c.making.failed)
			}
		}()
	})
}

// Attach is Begin for those who only look: a cluster that is not ready is an error, and nothing is done about it.
func (c *Cluster) Attach(ctx context.Context) {
	c.start.Do(func() {
		m := c.making
		m.observation, m.err = c.Observe(ctx)
		if m.err == nil && m.observation.State != Ready {
			m.err = fmt.Errorf("cluster %s is %s: run up first", c.options.Name, m.observation.State)
		}
		if m.err != nil {
			close(m.failed)
			return
		}
		m.rest, m.result = m.observation.REST, result.Unchanged
		close(m.node)
		close(m.api)
		close(m.done)
	})
}

// Node waits until the control plane's container runs.
func (c *Cluster) Node(ctx context.Context) error { return c.making.wait(ctx, c.making.node) }

// Observation returns what there was when Begin looked, or when the nodes had been started again. Node must have returned.
func (c *Cluster) Observation() Observation { return c.making.observation }

// API waits until the API server answers, and returns the way to it.
func (c *Cluster) API(ctx context.Context) (*rest.Config, error) {
	if err := c.making.wait(ctx, c.making.api); err != nil {
		return nil, err
	}
	return c.making.rest, nil
}

// Services waits until pods can reach Services, for which kube-proxy must run. A pod that asks before, as for the API server, asks the
// network outside, and may wait 30 s for an answer. In a cluster that was there before, there is nothing to wait for, nor to report.
func (c *Cluster) Services(ctx context.Context, report func(string)) error {
	cfg, err := c.API(ctx)
	if err != nil || c.making.result == result.Unchanged || c.options.Config.Networking.KubeProxyMode == "none" {
		return err
	}
	report("waiting for kube-proxy")
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-c.making.failed:
			stop(c.making.err)
		case <-ctx.Done():
		}
	}()
	err = c.await(ctx, cfg, daemonSetResource, metav1.NamespaceSystem, "kube-proxy", func(set *unstructured.Unstructured) (string, bool) {
		ready, _, _ := unstructured.NestedInt64(set.Object, "status", "numberReady")
		return "kube-proxy", ready > 0
	})
	if err != nil {
		return fmt.Errorf("DaemonSet/%s/kube-proxy: %w", metav1.NamespaceSystem, err)
	}
	return nil
}

// Done waits until the cluster is complete. It returns what was done, a detail for the user, and what is different from how the
// cluster would be made now.
func (c *Cluster) Done(ctx context.Context) (result.Result, string, []string, error) {
	if err := c.making.wait(ctx, c.making.done); err != nil {
		return "", "", nil, err
	}
	return c.making.result, c.making.detail, c.making.observation.Differences, nil
}

func (m *making) wait(ctx context.Context, stage chan struct{}) error {
	select {
	case <-stage:
		return nil
	default:
	}
	select {
	case <-stage:
		return nil
	case <-m.failed:
		return m.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Cluster) converge(ctx context.Context, report func(string)) error {
	if err := c.awaitRemoval(ctx, report); err != nil {
		return err
	}
	observation, err := c.Observe(ctx)
	if err != nil {
		return err
	}
	m := c.making
	m.result, m.observation = result.Unchanged, observation
	switch observation.State {
	case Ready:
		m.rest = observation.REST
		if observation.kubeconfig != "" {
			m.result, m.detail = result.Repaired, "its context was not in the kubeconfig: put back"
			if err := c.putContext(observation.kubeconfig); err != nil {
				m.result, m.detail = result.Unchanged, err.Error()
			}
		}
		close(m.node)
		close(m.api)
		close(m.done)
		return nil
	case Absent:
		m.result = result.Created
		return c.create(ctx, report)
	}
	e, err := c.engine()
	if err != nil {
		return err
	}
	if observation.State == Stopped {
		report("starting the node again")
		m.result, m.detail = result.Repaired, "was stopped, started again"
		left, err := c.startNodes(ctx, e)
		if err != nil {
			return err
		}
		if !left {
			m.result, m.detail = result.Created, ""
			return c.create(ctx, report)
		}
	}
	whole, err := c.resume(ctx, e, report)
	if err != nil {
		return err
	}
	if !whole {
		report("removing a cluster whose creation was interrupted")
		if err := c.deleteNodes(ctx, e); err != nil {
			return fmt.Errorf("delete the half-made cluster: %w", err)
		}
		m.result, m.detail = result.Repaired, "its creation had been interrupted: made anew"
		return c.create(ctx, report)
	}
	return c.complete(ctx, m.rest)
}

// awaitRemoval waits for nodes that are being removed, perhaps by a run that was ended a moment ago.
func (c *Cluster) awaitRemoval(ctx context.Context, report func(string)) error {
	if client, err := c.kubeconfig.client(); err != nil || client != nil {
		return err // made to its end once: Observe asks the API server first
	}
	e, err := c.engine()
	if err != nil {
		return err
	}
	return poll(ctx, fmt.Sprintf("the old nodes of cluster %s to be removed", c.options.Name), func() (bool, error) {
		nodes, err := e.nodes(ctx, c.options.Name)
		removing := slices.ContainsFunc(nodes, func(node container) bool { return node.State == "removing" })
		if removing {
			report("waiting for the old nodes to be removed")
		}
		return !removing, err
	})
}

// poll asks again and again until ask is done. It is for what cannot be watched: the engines have no events in common, and an API server
// that does not answer yet has none.
func poll(ctx context.Context, waitingFor string, ask func() (done bool, err error)) error {
	err := wait.PollUntilContextCancel(ctx, 150*time.Millisecond, true, func(context.Context) (bool, error) { return ask() })
	if ctx.Err() != nil {
		return fmt.Errorf("%w while waiting for %s", context.Cause(ctx), waitingFor)
	}
	return err
}

// startNodes starts what does not run. It returns false where no node is left: an engine lists a container while it makes it, but cannot
// start it yet, and takes it back when the run that wanted it was killed.
func (c *Cluster) startNodes(ctx context.Context, e engine) (left bool, err error) {
	err = poll(ctx, fmt.Sprintf("the nodes of cluster %s to be there as a whole", c.options.Name), func() (bool, error) {
		nodes, err := e.nodes(ctx, c.options.Name)
		left = len(nodes) > 0
		if err != nil {
			return false, err
		}
		for _, node := range nodes {
			verb := map[string]string{"paused": "unpause", "stopped": "start"}[node.State]
			if verb == "" {
				continue
			}
			_, err := e.run(ctx, verb, node.Name)
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "no such container") {
				return false, nil
			}
			if err != nil {
				return false, explainPort(err)
			}
		}
		return true, nil
	})
	return left, err
}

// resume connects to a cluster whose nodes run. It returns false for one that was never completed: kubeadm has not come to write what
// the control plane is started from, or kind has not come to its last step, the storage class.
func (c *Cluster) resume(ctx context.Context, e engine, report func(string)) (whole bool, err error) {
	const halfMade = `for f in admin.conf manifests/etcd.yaml manifests/kube-apiserver.yaml manifests/kube-controller-manager.yaml manifests/kube-scheduler.yaml; do [ -s /etc/kubernetes/$f ] || echo $f; done`
	missing, err := e.exec(ctx, c.NodeName(), halfMade)
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(missing) != "" {
		return false, nil
	}
	client, err := c.nodeClient(e)
	if err != nil {
		return false, err
	}
	report("waiting for the API server")
	clientset, err := c.waitAPI(ctx, e, client)
	if errors.Is(err, errNoAdministrator) {
		out, lookErr := e.exec(ctx, c.NodeName(), "kubectl --kubeconfig /etc/kubernetes/super-admin.conf get storageclasses --output name")
		if lookErr == nil && out == "" {
			return false, nil // see completed
		}
		return false, errors.Join(err, lookErr)
	}
	if err != nil {
		return false, err
	}
	node, err := clientset.CoreV1().Nodes().Get(ctx, c.NodeName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && node.Annotations[signatureAnnotation] == "" {
		if whole, err := c.completed(ctx, clientset); !whole || err != nil {
			return false, err
		}
		if apierrors.IsNotFound(err) {
			report("having the kubelet register the node again")
			_, _ = e.exec(ctx, c.NodeName(), "systemctl restart kubelet")
			if err := c.awaitRegistered(ctx, c.connect(client)); err != nil {
				return false, err
			}
			node, err = clientset.CoreV1().Nodes().Get(ctx, c.NodeName(), metav1.GetOptions{})
		}
	}
	if err != nil {
		return false, err
	}
	if started := time.Now(); c.making.result == result.Repaired {
		// What the API server says of pods is from before the stop until the kubelet has reported again.
		report("waiting for the kubelet to report")
		if err := c.awaitKubelet(ctx, c.connect(client), started); err != nil {
			return false, err
		}
	}
	c.making.rest = c.connect(client)
	c.making.observation = c.ready(node, client)
	close(c.making.node)
	close(c.making.api)
	return true, nil
}

// completed tells whether kind came to its end: the storage class is made after the network, and then the other nodes join.
func (c *Cluster) completed(ctx context.Context, clientset kubernetes.Interface) (bool, error) {
	classes, err := clientset.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil || len(classes.Items) == 0 {
		return false, err
	}
	nodes, err := clientset.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	return err == nil && len(nodes.Items) >= len(c.options.Config.Nodes)-1, err
}

// await waits until check is done with the named object of a resource.
func (c *Cluster) await(ctx context.Context, cfg *rest.Config, resource schema.GroupVersionResource, namespace, name string,
	check func(*unstructured.Unstructured) (waitingFor string, done bool)) error {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	return kube.Watch(ctx, client.Resource(resource).Namespace(namespace), func(objects []*unstructured.Unstructured) (string, bool, error) {
		for _, object := range objects {
			if object.GetName() == name {
				waitingFor, done := check(object)
				return waitingFor, done, nil
			}
		}
		return fmt.Sprintf("%s/%s to appear", resource.Resource, name), false, nil
	})
}

var (
	daemonSetResource = appsv1.SchemeGroupVersion.WithResource("daemonsets")
	nodeResource      = corev1.SchemeGroupVersion.WithResource("nodes")
	leaseResource     = coordinationv1.SchemeGroupVersion.WithResource("leases")
)

// awaitRegistered waits until the control plane's node is registered.
func (c *Cluster) awaitRegistered(ctx context.Context, cfg *rest.Config) error {
	return c.await(ctx, cfg, nodeResource, "", c.NodeName(), func(*unstructured.Unstructured) (string, bool) { return "", true })
}

// awaitKubelet waits until the node's kubelet has renewed its lease, which it does every 10 s, and at its start.
func (c *Cluster) awaitKubelet(ctx context.Context, cfg *rest.Config, since time.Time) error {
	return c.await(ctx, cfg, leaseResource, corev1.NamespaceNodeLease, c.NodeName(), func(lease *unstructured.Unstructured) (string, bool) {
		text, _, _ := unstructured.NestedString(lease.Object, "spec", "renewTime")
		renewed, err := time.Parse(time.RFC3339, text)
		return "the kubelet of " + c.NodeName() + " to report", err == nil && renewed.After(since.Add(-time.Second))
	})
}

// awaitReady waits until the control plane's node can take pods.
func (c *Cluster) awaitReady(ctx context.Context, cfg *rest.Config) error {
	return c.await(ctx, cfg, nodeResource, "", c.NodeName(), func(u *unstructured.Unstructured) (string, bool) {
		var node corev1.Node
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &node)
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return "Node/" + node.Name + " to be Ready: " + condition.Message, condition.Status == corev1.ConditionTrue
			}
		}
		return "Node/" + node.Name + " to be Ready", false
	})
}

// errNoAdministrator is an API server that refuses its administrator for good: kubeadm was ended before it had appointed one, or somebody
// has dismissed him.
var errNoAdministrator = errors.New("the API server refuses its administrator: there is no ClusterRoleBinding/kubeadm:cluster-admins")

// refusing is how long an API server that starts may refuse its administrator until it has read its own rules.
const refusing = 5 * time.Second

// waitAPI waits until the API server answers an administrator, which a starting one does some time after it listens.
func (c *Cluster) waitAPI(ctx context.Context, e engine, client *rest.Config) (*kubernetes.Clientset, error) {
	probe := rest.CopyConfig(client)
	probe.QPS = -1
	clientset, err := kubernetes.NewForConfig(probe)
	if err != nil {
		return nil, err
	}
	last := errors.New("no answer yet")
	var refused time.Time
	err = poll(ctx, fmt.Sprintf("the API server of cluster %s", c.options.Name), func() (bool, error) {
		look, cancel := context.WithTimeout(ctx, quickly)
		defer cancel()
		_, err := clientset.CoreV1().Namespaces().Get(look, metav1.NamespaceSystem, metav1.GetOptions{})
		if ctx.Err() == nil {
			last = err
		}
		switch {
		case !apierrors.IsForbidden(err):
			refused = time.Time{}
		case refused.IsZero():
			refused = time.Now()
		case time.Since(refused) > refusing:
			if kubeadm, err := e.exec(ctx, c.NodeName(), "pgrep -x kubeadm || true"); err == nil && kubeadm == "" {
				return false, errNoAdministrator
			}
		}
		return err == nil, nil
	})
	if errors.Is(err, errNoAdministrator) {
		return nil, fmt.Errorf("%w\nThis puts it back: %s exec %s kubectl --kubeconfig /etc/kubernetes/super-admin.conf create clusterrolebinding kubeadm:cluster-admins --clusterrole=cluster-admin --group=kubeadm:cluster-admins",
			err, c.EngineName(), c.NodeName())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w\nLook at: %s logs %s. If nothing in the cluster matters, teardown and up make a new one.",
			err, last, c.EngineName(), c.NodeName())
	}
	return kubernetes.NewForConfig(c.connect(client))
}

// complete does what is left when the API server answers: the user's context, the annotation that says so, and a node that is Ready.
func (c *Cluster) complete(ctx context.Context, client *rest.Config) error {
	if err := c.putContext(c.making.kubeconfig); err != nil {
		c.making.detail = strings.TrimPrefix(c.making.detail+"; "+err.Error(), "; ")
	}
	clientset, err := kubernetes.NewForConfig(client)
	if err != nil {
		return err
	}
	if c.making.observation.Node == nil || c.making.observation.Node.Annotations[signatureAnnotation] == "" {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, signatureAnnotation, c.signature())
		if _, err := clientset.CoreV1().Nodes().Patch(ctx, c.NodeName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("Node/%s: %w", c.NodeName(), err)
		}
	}
	if err := c.awaitReady(ctx, client); err != nil {
		return err
	}
	close(c.making.done)
	return nil
}

// putContext writes the user's kubeconfig. A file that may not be written is no reason to stop: the run itself does not need it.
func (c *Cluster) putContext(raw string) error {
	entries, err := clientcmd.Load([]byte(raw))
	if err != nil {
		return err
	}
	if _, err = c.kubeconfig.put(entries); err != nil {
		return fmt.Errorf("the context %s was not written (%w); kind export kubeconfig --name %s --kubeconfig FILE does that", c.kubeconfig.context, err, c.options.Name)
	}
	return nil
}

// nodeClient reads the administrator's credentials from the node.
func (c *Cluster) nodeClient(e engine) (*rest.Config, error) {
	raw, err := c.kindProvider(e, nil).KubeConfig(c.options.Name, false)
	if err != nil {
		return nil, err
	}
	c.making.kubeconfig = raw
	return clientcmd.RESTConfigFromKubeConfig([]byte(raw))
}

// ForKind returns kind's provider and the configuration as create gives it to kind, for those who want to do the same by kind alone.
func (c *Cluster) ForKind() (*cluster.Provider, *v1alpha4.Cluster, error) {
	e, err := c.engine()
	if err != nil {
		return nil, nil, err
	}
	info, err := c.Info(context.Background())
	if err != nil {
		return nil, nil, err
	}
	return c.kindProvider(e, nil), c.config(info), nil
}

// config is the configuration with what the host needs.
func (c *Cluster) config(info Info) *v1alpha4.Cluster {
	config := c.options.Config.DeepCopy()
	if info.CgroupVersion == "1" {
		config.KubeadmConfigPatches = append(config.KubeadmConfigPatches, failCgroupV1)
	}
	return config
}

// create makes the cluster with kind. kind's call cannot be interrupted: when ctx ends, it is left to itself, and the next run finds
// and remakes what it leaves.
func (c *Cluster) create(ctx context.Context, report func(string)) error {
	e, err := c.engine()
	if err != nil {
		return err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if c.options.BeforeCreate != nil {
		if err := c.options.BeforeCreate(info); err != nil {
			return err
		}
	}
	scratch, err := os.MkdirTemp("", "kindgate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	creation, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	created, nodesRun := make(chan error, 1), make(chan struct{})
	go func() {
		err := c.kindProvider(e, afterNodes(report, sync.OnceFunc(func() { close(nodesRun) }))).Create(c.options.Name,
			cluster.CreateWithV1Alpha4Config(c.config(info)),
			cluster.CreateWithNodeImage(c.options.NodeImage),
			cluster.CreateWithKubeconfigPath(filepath.Join(scratch, "kubeconfig")),
			cluster.CreateWithRetain(true), // what a failure leaves is removed below, with more care
		)
		if err != nil {
			stop(err)
		}
		created <- err
	}()
	if err := c.followCreation(creation, e, nodesRun); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failure := <-created; failure != nil {
			err = c.explainCreate(ctx, e, failure) // kind has more to say than those who were waiting for it
		}
		return errors.Join(err, c.deleteNodes(ctx, e))
	}
	select {
	case err := <-created:
		if err != nil {
			return errors.Join(c.explainCreate(ctx, e, err), c.deleteNodes(ctx, e))
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return c.complete(ctx, c.making.rest)
}

// afterNodes is report, which also calls run when kind announces the phase that follows the one in which it makes the nodes.
func afterNodes(report func(string), run func()) func(string) {
	making := false
	return func(phase string) {
		report(phase)
		switch {
		case strings.HasPrefix(phase, "preparing nodes"):
			making = true
		case making:
			run()
		}
	}
}

// followCreation announces the stages that kind's one call goes through.
func (c *Cluster) followCreation(ctx context.Context, e engine, nodesRun chan struct{}) error {
	select {
	case <-nodesRun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	close(c.making.node)
	if _, err := e.exec(ctx, c.NodeName(), `until [ -s /etc/kubernetes/admin.conf ]; do sleep 0.1; done`); err != nil {
		return err
	}
	client, err := c.nodeClient(e)
	if err != nil {
		return err
	}
	if _, err := c.waitAPI(ctx, e, client); err != nil {
		return err
	}
	c.making.rest = c.connect(client)
	close(c.making.api)
	return nil
}

// explainCreate says what the user can do about an error of kind's.
func (c *Cluster) explainCreate(ctx context.Context, e engine, err error) error {
	message := err.Error()
	switch {
	case strings.Contains(message, "failed to pull image"), strings.Contains(message, "pull access denied"):
		image := c.options.NodeImage
		if image == "" {
			image = "kind's default node image"
		}
		have := "none"
		if out, err := e.run(ctx, "images", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node"); err == nil && strings.TrimSpace(out) != "" {
			have = strings.Join(strings.Fields(out), ", ")
		}
		return fmt.Errorf("%s is not here and cannot be pulled: %s\nkindest/node images that are here: %s. KINDGATE_NODE_IMAGE=IMAGE uses one of them.", image, lastLine(err), have)
	}
	return explainPort(err)
}

// explainPort says which setting moves a port that is taken.
func explainPort(err error) error {
	message := err.Error()
	if strings.Contains(message, "port is already allocated") || strings.Contains(message, "address already in use") || strings.Contains(message, "ports are not available") {
		return fmt.Errorf("a host port is taken: %s\nKINDGATE_HTTP_PORT and KINDGATE_HTTPS_PORT move the ports.", lastLine(err))
	}
	if output := kindOutput(err); output != "" {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return err
}

func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(kindOutput(err)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return strings.TrimSpace(err.Error())
}
