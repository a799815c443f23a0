package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/spelling"
)

// A pod is what an object says of the pods that are made of it.
type pod struct {
	object     kube.Object
	field      string // of the labels
	labels     map[string]string
	spec       map[string]any
	containers []map[string]any // those that keep running
}

// podOf returns the pod of a Pod, or the template of a workload of whatever kind.
func podOf(o kube.Object) (pod, bool) {
	at := []string{}
	if o.GetKind() != "Pod" {
		at = []string{"spec", "template"}
		if _, ok, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "jobTemplate"); ok {
			at = []string{"spec", "jobTemplate", "spec", "template"}
		}
	}
	value, _, _ := unstructured.NestedFieldNoCopy(o.Object, at...)
	template, _ := value.(map[string]any)
	value, _, _ = unstructured.NestedFieldNoCopy(template, "spec")
	spec, _ := value.(map[string]any)
	containers := listOf(spec, "containers")
	if len(containers) == 0 {
		return pod{}, false
	}
	for _, c := range listOf(spec, "initContainers") {
		if c["restartPolicy"] == "Always" {
			containers = append(containers, c)
		}
	}
	have, _, _ := unstructured.NestedStringMap(template, "metadata", "labels")
	return pod{o, strings.Join(append(at, "metadata", "labels"), "."), have, spec, containers}, true
}

// RunsWith tells whether a container that an object makes has an argument which sets an option, that is, one without a value, or with true.
func RunsWith(o kube.Object, option string) bool {
	p, _ := podOf(o)
	return slices.ContainsFunc(p.containers, func(container map[string]any) bool {
		arguments, _, _ := unstructured.NestedStringSlice(container, "args")
		return implementation.Sets(arguments, option)
	})
}

// listOf returns the objects of a list.
func listOf(in map[string]any, field string) []map[string]any {
	var all []map[string]any
	items, _ := in[field].([]any)
	for _, item := range items {
		if fields, ok := item.(map[string]any); ok {
			all = append(all, fields)
		}
	}
	return all
}

// workload judges what an object that pods are made of has in itself, and what its pods name.
func (f *folder) workload(o kube.Object) []Problem {
	p, ok := podOf(o)
	if !ok {
		return nil
	}
	return append(ownSelector(o, p), f.uses(o, p)...)
}

// ownSelector judges the selector of a workload, which the API server refuses where it does not select the workload's own template. See
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#selector.
func ownSelector(o kube.Object, p pod) []Problem {
	if gvk := o.GroupVersionKind(); gvk.Group != "apps" {
		return nil
	}
	value, found, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "selector")
	if !found {
		return []Problem{wrong(o, "spec", fmt.Sprintf("write selector: {matchLabels: {%s}}", written(p.labels)), "it has no selector, which the API server refuses")}
	}
	var want metav1.LabelSelector
	if from, ok := value.(map[string]any); !ok || gotype.Decode(from, &want) != nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&want)
	if err != nil || selector.Matches(labels.Set(p.labels)) {
		return nil
	}
	return []Problem{wrong(o, "spec.selector", "write the same labels in both", "it asks for %s, and its own %s has %s, which the API server refuses",
		selector, p.field, cmp.Or(labels.FormatLabels(p.labels), "none"))}
}

// given are the labels that controllers give their pods, of which a manifest does not say the values.
var given = []string{"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "controller-revision-hash", "pod-template-hash",
	"pod-template-generation", "job-name", "batch.kubernetes.io/job-name", "controller-uid", "batch.kubernetes.io/controller-uid",
	"batch.kubernetes.io/job-completion-index"}

// service judges a Service by the pods of the folder that it selects. See https://kubernetes.io/docs/concepts/services-networking/service/.
func (f *folder) service(o kube.Object) []Problem {
	service, ok := read[corev1.Service](o)
	if !ok || len(service.Spec.Selector) == 0 || service.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	want := maps.Clone(service.Spec.Selector)
	maps.DeleteFunc(want, func(name, _ string) bool { return slices.Contains(given, name) })
	var pods []*pod
	for _, p := range f.pods[keyOf(o).namespace] {
		if isSubset(want, p.labels) {
			pods = append(pods, p)
		}
	}
	if len(pods) == 0 {
		return f.selectsNone(o, want)
	}
	var problems []Problem
	for i, port := range service.Spec.Ports {
		problems = append(problems, targetPort(o, fmt.Sprintf("spec.ports[%d].targetPort", i), port, pods)...)
	}
	return problems
}

// isSubset tells whether all labels of a set are in another.
func isSubset(set, of map[string]string) bool {
	for name, value := range set {
		if its, ok := of[name]; !ok || its != value {
			return false
		}
	}
	return true
}

// selectsNone warns of a Service that selects none of the folder's pods. Somebody else's may be meant: where objects of the namespace may make
// pods in a way of their own, it only warns of pods that differ little from those that are asked for.
func (f *folder) selectsNone(o kube.Object, want map[string]string) []Problem {
	namespace := keyOf(o).namespace
	for _, p := range f.pods[namespace] {
		if differs := differing(want, p.labels); differs != "" {
			return []Problem{warning(o, "spec.selector", "write the labels of the pods that are meant",
				"it selects no pods of the manifests: %s has %s", p.object.Name(), differs)}
		}
	}
	if slices.ContainsFunc(f.objects, func(other kube.Object) bool {
		return other.Custom() && other.GroupVersionKind().Group != gatewayv1.GroupName && keyOf(other).namespace == namespace
	}) {
		return nil
	}
	return []Problem{warning(o, "spec.selector", "write the labels of the pods that are meant, or the workload into the manifests",
		"it selects no pods of the manifests: no workload in namespace %s has the labels %s", namespace, labels.FormatLabels(want))}
}

// differing says in which labels a pod is not as a selector asks for, where it is nearly: some are the same, or the value of one is nearly. It
// is empty elsewhere.
func differing(want, have map[string]string) string {
	alike := false
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value, ok := have[name]
		switch {
		case ok && value == want[name]:
			alike = true
		case ok:
			alike = alike || spelling.Near(value, want[name])
			differ = append(differ, fmt.Sprintf("%s=%s where it asks for %s", name, value, want[name]))
		default:
			differ = append(differ, fmt.Sprintf("no label %s where it asks for %s", name, want[name]))
		}
	}
	if !alike {
		return ""
	}
	return strings.Join(differ, ", ")
}

// targetPort judges a port by name, which some container of the pods must declare. A number need not be declared. See
// https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports.
func targetPort(o kube.Object, field string, port corev1.ServicePort, pods []*pod) []Problem {
	if port.TargetPort.Type != intstr.String || port.TargetPort.StrVal == "" {
		return nil
	}
	protocol := cmp.Or(string(port.Protocol), "TCP")
	var names []string
	for _, p := range pods {
		if p.object.Custom() {
			return nil // its controller may add ports
		}
		for _, c := range p.containers {
			for _, declared := range listOf(c, "ports") {
				name, _ := declared["name"].(string)
				its, _ := declared["protocol"].(string)
				if name == port.TargetPort.StrVal && cmp.Or(its, "TCP") == protocol {
					return nil
				}
				names = append(names, strings.TrimSpace(fmt.Sprintf("%v %s", declared["containerPort"], name)))
			}
		}
	}
	slices.Sort(names)
	has := "they declare " + strings.Join(slices.Compact(names), ", ")
	if len(names) == 0 {
		has = "they declare none"
	}
	return []Problem{wrong(o, field, "write the name or the number of a port of the container", "no container of its pods (%s) has a %s port named %s: %s",
		pods[0].object.Name(), protocol, port.TargetPort.StrVal, has)}
}

// written are labels as a manifest has them.
func written(set map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		all = append(all, fmt.Sprintf("%s: %q", name, set[name]))
	}
	return strings.Join(all, ", ")
}
