package stack

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/resource"
	scheduling "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/manifest"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/traefik"
)

// A releasePlan says what is to be done about the Helm release.
type releasePlan struct {
	result  result.Result
	reason  string        // of an update or a repair
	restore []kube.Object // what Helm would leave as it is

	drifted []kube.Object // that are not in the cluster as the chart has them
}

// planRelease decides what is to be done about the stored release, nil for none. reason says why it is not up to date, and drifted are the
// objects of one that is which are not in the cluster as they should be.
func planRelease(stored *traefik.Release, upToDate bool, reason string, drifted []kube.Object) releasePlan {
	switch {
	case stored == nil:
		return releasePlan{result: result.Created}
	case !upToDate && stored.Status != traefik.Deployed:
		return releasePlan{result: result.Repaired, reason: reason}
	case !upToDate:
		return releasePlan{result: result.Updated, reason: reason}
	case len(drifted) == 0:
		return releasePlan{result: result.Unchanged}
	}
	// Helm compares a custom resource with what it rendered last, never with the live one: it only makes what is missing.
	custom := slices.DeleteFunc(slices.Clone(drifted), func(o kube.Object) bool { return !o.Custom() })
	return releasePlan{result: result.Repaired, reason: drifted[0].Name() + " was not as the chart has it", restore: custom, drifted: drifted}
}

// judgeRendering refuses a release without a workload: nothing would serve. values is the file that it is rendered with.
func judgeRendering(values string, objects []kube.Object) error {
	if slices.ContainsFunc(objects, runsPods) {
		return nil
	}
	return fmt.Errorf("%s: with these values the chart renders no workload, so that nothing would serve: there is no Deployment, "+
		"DaemonSet or StatefulSet with a pod. Is deployment.kind misspelt, deployment.enabled false, or deployment.replicas 0?", values)
}

func runsPods(o kube.Object) bool {
	if o.GroupVersionKind().Group != "apps" || !slices.Contains([]string{"Deployment", "DaemonSet", "StatefulSet"}, o.GetKind()) {
		return false
	}
	replicas, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "replicas")
	return o.GetKind() == "DaemonSet" || !found || fmt.Sprint(replicas) != "0"
}

// judgePlaces refuses workloads whose pods fit no node: the upgrade would take the running ones away. Of a cluster whose nodes have not
// joined yet, nothing is known.
func judgePlaces(values string, objects []kube.Object, live []unstructured.Unstructured) error {
	nodes, err := kube.As[corev1.Node](live)
	if err != nil || len(nodes) == 0 {
		return err
	}
	for _, o := range objects {
		if !runsPods(o) {
			continue
		}
		pod, err := podOf(values, o)
		if err != nil {
			return err
		}
		required := nodeaffinity.GetRequiredNodeAffinity(pod)
		if !slices.ContainsFunc(nodes, func(node corev1.Node) bool {
			fits, err := required.Match(&node)
			return fits || err != nil // what cannot be read is for the API server to refuse
		}) {
			return fmt.Errorf("%s: with these values %s would run nowhere: no node meets its %s", values, o.Name(), placing(pod))
		}
		requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
		if !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return tooMuch(requests, node.Status.Allocatable) == "" }) {
			return fmt.Errorf("%s: with these values %s would run nowhere: no node has the %s that it requests",
				values, o.Name(), tooMuch(requests, nodes[0].Status.Allocatable))
		}
	}
	return nil
}

// tooMuch says of what a node cannot have as much as is requested, even with nothing else on it; empty where there is enough, or what the node
// has is not known.
func tooMuch(requests, allocatable corev1.ResourceList) string {
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		request := requests[name]
		if have, known := allocatable[name]; known && request.Cmp(have) > 0 {
			return request.String() + " of " + string(name)
		}
	}
	return ""
}

// judgeServing refuses to take from the stored release's workloads what the implementation serves Gateways by: the provider, and the node's
// ports that lead to listeners of Gateways in the manifests or the cluster; node is the one with this machine's ports, empty for none.
func (r *chart) judgeServing(stored, rendered []kube.Object, live []unstructured.Unstructured, node string) error {
	lost := func(has func(kube.Object) bool) bool {
		return slices.ContainsFunc(stored, has) && !slices.ContainsFunc(rendered, has)
	}
	if lost(func(o kube.Object) bool { return runsPods(o) && manifest.RunsWith(o, serving.Provider) }) {
		return fmt.Errorf("%s: with these values %s runs without %s, and would serve no route any more", r.config.valuesPath(), serving.Name, serving.Provider)
	}
	gateways, err := kube.As[gatewayv1.Gateway](live)
	if err != nil {
		return err
	}
	written := func(live gatewayv1.Gateway) bool { // the run applies it as the manifests have it
		return slices.ContainsFunc(r.inputs.gateways, func(gw gatewayv1.Gateway) bool { return gw.Namespace == live.Namespace && gw.Name == live.Name })
	}
	for _, gw := range slices.Concat(r.inputs.gateways, slices.DeleteFunc(gateways, written)) {
		for _, listener := range gw.Spec.Listeners {
			for _, door := range serving.Doors {
				if node != "" && door.EntryPoint == listener.Port && lost(func(o kube.Object) bool { return runsPods(o) && takes(o, door) }) {
					return fmt.Errorf("%s: with these values %s no longer takes the node's port %d for its port %d, so that listener %s of Gateway/%s/%s would no longer be reached: keep the hostPort of that port",
						r.config.valuesPath(), serving.Name, door.OnNode, door.EntryPoint, listener.Name, gw.Namespace, gw.Name)
				}
			}
		}
	}
	return nil
}

// newImages returns the images of a rendering that the stored release has not. Those for which the kubelet has credentials of the pods', only it
// can pull: then there are none to return.
func newImages(stored, rendered []kube.Object) []string {
	secrets := func(o kube.Object) bool {
		account, _, _ := unstructured.NestedSlice(o.Object, "imagePullSecrets")
		pod, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "imagePullSecrets")
		return len(account)+len(pod) > 0
	}
	if slices.ContainsFunc(rendered, secrets) {
		return nil
	}
	return without(kube.Images(rendered), kube.Images(stored))
}

// takes tells whether a workload's pods take a door's port of the node.
func takes(o kube.Object, door implementation.Door) bool {
	pod, err := podOf("", o)
	return err == nil && slices.ContainsFunc(pod.Spec.Containers, func(container corev1.Container) bool {
		return slices.ContainsFunc(container.Ports, func(port corev1.ContainerPort) bool {
			return port.HostPort == door.OnNode && port.ContainerPort == door.EntryPoint
		})
	})
}

// judgeDoor refuses DaemonSets that leave out the node whose ports are this machine's: their pods elsewhere would serve nobody. What the
// control plane taints while a node is in trouble does not count, as every DaemonSet tolerates that. See
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations.
func judgeDoor(values string, objects []kube.Object, live []unstructured.Unstructured, door string) error {
	nodes, err := kube.As[corev1.Node](live)
	at := slices.IndexFunc(nodes, func(node corev1.Node) bool { return node.Name == door })
	if err != nil || at < 0 {
		return err
	}
	for _, o := range objects {
		if o.GetKind() != "DaemonSet" || !runsPods(o) {
			continue
		}
		pod, err := podOf(values, o)
		if err != nil {
			return err
		}
		why := ""
		keepsOut := func(taint *corev1.Taint) bool {
			return taint.Effect != corev1.TaintEffectPreferNoSchedule && !strings.HasPrefix(taint.Key, "node.kubernetes.io/")
		}
		taint, tainted := scheduling.FindMatchingUntoleratedTaint(logr.Discard(), nodes[at].Spec.Taints, pod.Spec.Tolerations, keepsOut, true)
		if fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(&nodes[at]); err == nil && !fits {
			why = "it does not meet its " + placing(pod)
		} else if tainted {
			why = "its tolerations do not have the node's taint " + taint.ToString()
		} else {
			continue
		}
		return fmt.Errorf("%s: with these values %s has no pod on the node %s, whose ports are this machine's: %s. Mend that, or map the ports to another node in %s (extraPortMappings).",
			values, o.Name(), door, why, clusterFile)
	}
	return nil
}

// podOf is a pod as a workload makes it.
func podOf(values string, workload kube.Object) (*corev1.Pod, error) {
	template, _, _ := unstructured.NestedMap(workload.Object, "spec", "template")
	var pod corev1.Pod
	if err := gotype.Decode(template, &pod); err != nil {
		return nil, fmt.Errorf("%s: with these values %s has a pod template that cannot be read: %w", values, workload.Name(), err)
	}
	return &pod, nil
}

// placing says what a pod requires of its node.
func placing(pod *corev1.Pod) string {
	var parts []string
	if selector := pod.Spec.NodeSelector; len(selector) > 0 {
		parts = append(parts, "nodeSelector ("+labels.FormatLabels(selector)+")")
	}
	if affinity := pod.Spec.Affinity; affinity != nil && affinity.NodeAffinity != nil {
		parts = append(parts, "required nodeAffinity")
	}
	return strings.Join(parts, " and ")
}

// missingProviders refuses arguments of the workload that need kinds which neither the manifests nor the cluster define.
func (r *chart) missingProviders(objects []kube.Object, has func(kube.Object) (bool, error)) error {
	var problems []error
	for _, argument := range slices.Sorted(maps.Keys(serving.Needs)) {
		kind := serving.Needs[argument]
		if !slices.ContainsFunc(objects, func(o kube.Object) bool { return runsPods(o) && manifest.RunsWith(o, argument) }) || manifest.Defines(r.inputs.apps, kind.Group, kind.Kind) {
			continue
		}
		one := kube.Object{Unstructured: &unstructured.Unstructured{}}
		one.SetGroupVersionKind(kind)
		there, err := has(one)
		if err != nil {
			return err
		}
		if !there {
			problems = append(problems, fmt.Errorf("%s: with these values %s runs with %s, and serves nothing, as the cluster does not define %s of %s: "+
				"take that value out, or put the definitions into %s/", r.config.valuesPath(), serving.Name, argument, kind.Kind, kind.GroupVersion(), manifestsDir))
		}
	}
	return errors.Join(problems...)
}

// missingKinds refuses objects that could not be applied: neither Kubernetes, the Gateway API nor the manifests define their kind, and
// the cluster does not have it.
func (r *chart) missingKinds(objects []kube.Object, has func(kube.Object) (bool, error)) error {
	var problems []error
	for _, o := range objects {
		kind := o.GroupVersionKind()
		if !o.Custom() || kind.Group == crds.Group || manifest.Defines(r.inputs.apps, kind.Group, kind.Kind) {
			continue
		}
		ok, err := has(o)
		if err != nil {
			return err
		}
		if !ok {
			problems = append(problems, fmt.Errorf("%s: %s cannot be applied, as nothing defines its kind (%s): kindgate installs no "+
				"CustomResourceDefinitions of the chart. Take out %s, or put the definition into %s/",
				r.config.valuesPath(), o.Name(), kind.GroupVersion(), asking(r.inputs.values, kind.Kind), manifestsDir))
		}
	}
	return errors.Join(problems...)
}

// asking names the value that has the kind's name, as ingressRoute for an IngressRoute: charts name their values so.
func asking(values map[string]any, kind string) string {
	var found string
	var walk func(path string, value any)
	walk = func(path string, value any) {
		fields, _ := value.(map[string]any)
		for name, child := range fields {
			at := strings.TrimPrefix(path+"."+name, ".")
			if strings.EqualFold(name, kind) {
				found = "the value " + at
			}
			walk(at, child)
		}
	}
	walk("", values)
	return cmp.Or(found, "the value that asks for it")
}

// keepPolicy is Helm's annotation for what an upgrade does not remove, see
// https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource.
const keepPolicy = "helm.sh/resource-policy"

// removed returns those of the stored release's objects that the new rendering has not, and that an upgrade therefore deletes.
func removed(stored, rendered []kube.Object) []kube.Object {
	key := func(o kube.Object) string {
		return o.GroupVersionKind().GroupKind().String() + "/" + cmp.Or(o.GetNamespace(), serving.Namespace) + "/" + o.GetName()
	}
	stays := map[string]bool{}
	for _, o := range rendered {
		stays[key(o)] = true
	}
	return slices.DeleteFunc(slices.Clone(stored), func(o kube.Object) bool {
		return stays[key(o)] || o.GetAnnotations()[keepPolicy] == "keep"
	})
}

// takenOver names those of objects, live being what is in the cluster of them, that say they are of a release of this name.
func takenOver(objects []kube.Object, live []*unstructured.Unstructured) []string {
	var names []string
	for i, o := range objects {
		if ofRelease(live[i]) {
			names = append(names, o.Name())
		}
	}
	return names
}

// ofRelease tells whether an object, nil for none, says that it is of a release of this name, and of no other namespace's.
func ofRelease(live *unstructured.Unstructured) bool {
	if live == nil {
		return false
	}
	of := live.GetAnnotations()
	return of["meta.helm.sh/release-name"] == serving.Release && cmp.Or(of["meta.helm.sh/release-namespace"], serving.Namespace) == serving.Namespace
}

// judgeDeletion refuses to have Helm delete objects, live being what is in the cluster of them, that are not of the release: Helm deletes whatever
// has the name.
func judgeDeletion(objects []kube.Object, live []*unstructured.Unstructured) error {
	return refuse(objects, live, func(o *unstructured.Unstructured) bool { return !ofRelease(o) },
		"Helm would delete it as its own. Give it another name, or take it out of the cluster, and run again")
}

// judgeOverwriting refuses to have Helm upgrade or repair objects of the stored release, live being what is in the cluster of them, that somebody else
// has made since: Helm overwrites whatever has the name. One that Helm has written and that says of no other release has only lost its annotations.
func judgeOverwriting(objects []kube.Object, live []*unstructured.Unstructured) error {
	return refuse(objects, live, func(o *unstructured.Unstructured) bool {
		another := o.GetAnnotations()["meta.helm.sh/release-name"] != ""
		return !ofRelease(o) && (another || !kube.WrittenBy(o, traefik.Manager))
	}, "Helm would overwrite it as its own. Give it another name, or take it out of the cluster, and run again; KINDGATE_ADOPT=yes overwrites it")
}

// refuse is the error of those objects of the release's names that are somebody else's.
func refuse(objects []kube.Object, live []*unstructured.Unstructured, others func(*unstructured.Unstructured) bool, why string) error {
	var errs []error
	for i, o := range objects {
		if live[i] != nil && others(live[i]) {
			errs = append(errs, fmt.Errorf("%s is there, and is not of Helm release %s/%s: %s", o.Name(), serving.Namespace, serving.Release, why))
		}
	}
	return errors.Join(errs...)
}

// judgeOthers refuses to install the implementation beside another of its kind: both serve every GatewayClass that names their controller, and write
// each other's statuses. classes are the cluster's.
func judgeOthers(classes []unstructured.Unstructured) error {
	for i := range classes {
		controller, _, _ := unstructured.NestedString(classes[i].Object, "spec", "controllerName")
		if controller == serving.Controller && !ofRelease(&classes[i]) {
			return fmt.Errorf("%s is served already: another %s, which kindgate did not install, has the controller %s, and two of them write each other's statuses. "+
				"To prove its routes: %s. KINDGATE_ADOPT=yes installs a second one all the same", kube.Name(&classes[i]), serving.Name, controller, shipped.Command("verify"))
		}
	}
	return nil
}

// pendingBalancer tells whether a Service, nil for none, waits for the address of a load balancer.
func pendingBalancer(live *unstructured.Unstructured) bool {
	if live == nil {
		return false
	}
	kind, _, _ := unstructured.NestedString(live.Object, "spec", "type")
	ingress, _, _ := unstructured.NestedSlice(live.Object, "status", "loadBalancer", "ingress")
	return kind == string(corev1.ServiceTypeLoadBalancer) && len(ingress) == 0
}

// judgeRemoval refuses to remove a GatewayClass that a Gateway of the manifests or the cluster names, unless the manifests have it.
func (r *chart) judgeRemoval(gone []kube.Object, gateways []unstructured.Unstructured) error {
	users := map[string]string{}
	for i := range gateways {
		class, _, _ := unstructured.NestedString(gateways[i].Object, "spec", "gatewayClassName")
		users[class] = kube.Name(&gateways[i])
	}
	for _, gw := range r.inputs.gateways {
		users[string(gw.Spec.GatewayClassName)] = "Gateway/" + gw.Namespace + "/" + gw.Name
	}
	for _, o := range r.inputs.routes {
		if o.GetKind() == proof.ClassKind.Kind {
			delete(users, o.GetName())
		}
	}
	for _, o := range gone {
		if user := users[o.GetName()]; o.GetKind() == proof.ClassKind.Kind && user != "" {
			return fmt.Errorf("%s: with these values the release loses %s, which %s names, so that its routes would no longer be served: "+
				"keep the class (gatewayClass), or put one of that name into %s/", r.config.valuesPath(), o.Name(), user, manifestsDir)
		}
	}
	return nil
}
