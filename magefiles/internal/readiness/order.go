package readiness

import (
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/kube"
)

// A webhookConfig is what kindgate reads of a ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
type webhookConfig struct {
	Webhooks []struct {
		ClientConfig      admissionv1.WebhookClientConfig  `json:"clientConfig"`
		FailurePolicy     admissionv1.FailurePolicyType    `json:"failurePolicy"`
		Rules             []admissionv1.RuleWithOperations `json:"rules"`
		NamespaceSelector *metav1.LabelSelector            `json:"namespaceSelector"`
		ObjectSelector    *metav1.LabelSelector            `json:"objectSelector"`
	} `json:"webhooks"`
}

// WebhookOrder returns, for each object, the indices of the workloads that serve it where it is a webhook configuration, and those of the
// configurations that it must come after: they match it, and their workloads are among objects, too. A webhook that may be ignored holds
// nothing back. Nor is held back what those workloads may need: definitions, objects of the cluster, all in the namespace of a webhook's
// Service but custom resources, and for a webhook that selects nothing, all but custom resources. See
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ for the rules.
func WebhookOrder(objects []kube.Object) (servers, after [][]int) {
	servers, after = make([][]int, len(objects)), make([][]int, len(objects))
	namespaces, configs := namespaceLabels(objects), make([]webhookConfig, len(objects))
	serves := map[int]bool{}
	for i, object := range objects {
		if object.GroupVersionKind().Group != admissionv1.GroupName ||
			gotype.Decode(object.Object, &configs[i]) != nil {
			continue
		}
		for _, webhook := range configs[i].Webhooks {
			if service := webhook.ClientConfig.Service; service != nil {
				servers[i] = append(servers[i], workloadsBehind(objects, service.Namespace, service.Name)...)
			}
		}
		slices.Sort(servers[i])
		servers[i] = slices.Compact(servers[i])
		for _, workload := range servers[i] {
			serves[workload] = true
		}
	}
	for j, object := range objects {
		if object.Tier() == kube.Definitions || serves[j] || len(servers[j]) > 0 || !object.Custom() && object.GetNamespace() == "" {
			continue
		}
		for i, config := range configs {
			if len(servers[i]) > 0 && config.sees(object, namespaces[object.GetNamespace()]) {
				after[j] = append(after[j], i)
			}
		}
	}
	return servers, after
}

// namespaceLabels returns the labels of the namespaces among objects.
func namespaceLabels(objects []kube.Object) map[string]labels.Set {
	found := map[string]labels.Set{}
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			found[object.GetName()] = object.GetLabels()
		}
	}
	return found
}

// workloadsBehind returns the indices of the workloads whose pods a Service among objects selects.
func workloadsBehind(objects []kube.Object, namespace, name string) []int {
	var found []int
	for _, service := range objects {
		if service.GetKind() != "Service" || service.GetNamespace() != namespace || service.GetName() != name {
			continue
		}
		for i, object := range objects {
			if object.GetNamespace() == namespace && WaitedFor(object.Unstructured) && selects(service.Unstructured, podLabels(object)) {
				found = append(found, i)
			}
		}
	}
	return found
}

// podLabels returns the labels of the pods that a workload runs.
func podLabels(object kube.Object) labels.Set {
	if object.GetKind() == PodKind.Kind {
		return object.GetLabels()
	}
	found, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
	return found
}

// sees tells whether one of the configuration's webhooks is to see an object, or the pods that it runs, when it is applied.
func (w webhookConfig) sees(object kube.Object, namespace labels.Set) bool {
	for _, webhook := range w.Webhooks {
		service := webhook.ClientConfig.Service
		if service == nil || webhook.FailurePolicy == admissionv1.Ignore ||
			!object.Custom() && (service.Namespace == object.GetNamespace() || everything(webhook.NamespaceSelector) && everything(webhook.ObjectSelector)) {
			continue
		}
		there := labels.Merge(namespace, labels.Set{corev1.LabelMetadataName: object.GetNamespace()})
		for _, rule := range webhook.Rules {
			asItself := matchesRule(rule, object.GroupVersionKind().Group, resourceOf(object)) && allows(webhook.ObjectSelector, object.GetLabels())
			asPods := object.Tier() == kube.Workloads && matchesRule(rule, corev1.GroupName, "pods") && allows(webhook.ObjectSelector, podLabels(object))
			if (asItself || asPods) && (object.GetNamespace() == "" || allows(webhook.NamespaceSelector, there)) {
				return true
			}
		}
	}
	return false
}

// resourceOf returns the resource of an object's kind; that of a custom kind is only known to its definition.
func resourceOf(object kube.Object) string {
	if object.Custom() {
		return "*"
	}
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	return resource.Resource
}

func matchesRule(rule admissionv1.RuleWithOperations, group, resource string) bool {
	writes := slices.ContainsFunc(rule.Operations, func(operation admissionv1.OperationType) bool {
		return operation == admissionv1.OperationAll || operation == admissionv1.Create || operation == admissionv1.Update
	})
	return writes && has(rule.APIGroups, group) && (resource == "*" || has(rule.Resources, resource) || slices.Contains(rule.Resources, "*/*"))
}

func has(values []string, value string) bool {
	return slices.Contains(values, value) || slices.Contains(values, "*")
}

func everything(selector *metav1.LabelSelector) bool {
	return selector == nil || len(selector.MatchLabels)+len(selector.MatchExpressions) == 0
}

func allows(selector *metav1.LabelSelector, set labels.Set) bool {
	if selector == nil {
		return true
	}
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(set)
}
