package kube

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"kindgate/magefiles/internal/limits"
)

// ApplyInTurn is Apply for objects among which may be admission webhooks and what serves them. A webhook's configuration is applied when
// the workloads behind its Service are up, and the objects that it must see after it. An object that is refused because a webhook does not
// answer is tried again until it does, or until its pods are in trouble that does not pass by itself. report is told what is waited for;
// for patience see WaitReady.
func (c *Client) ApplyInTurn(ctx context.Context, objects []Object, patience time.Duration, report func(string)) ([]Change, error) {
	t := &turns{client: c, objects: objects, patience: patience, report: report,
		changes: make([]Change, len(objects)), errs: make([]error, len(objects)), had: make([]chan struct{}, len(objects))}
	t.servers, t.after = webhookOrder(objects)
	groups := map[string][]int{} // what waits for the same has its turn together
	for i := range objects {
		t.had[i] = make(chan struct{})
		t.changes[i].Object = objects[i]
		key := fmt.Sprint(t.after[i])
		if len(t.servers[i]) > 0 {
			key = objects[i].Name()
		}
		groups[key] = append(groups[key], i)
	}
	first := fmt.Sprint([]int(nil))
	t.apply(ctx, groups[first])
	delete(groups, first)
	for _, group := range groups {
		t.running.Go(func() { t.take(ctx, group) })
	}
	t.running.Wait()
	return t.changes, errors.Join(t.errs...)
}

// turns are the groups of objects that are applied one after another.
type turns struct {
	client   *Client
	objects  []Object
	patience time.Duration
	report   func(string)
	servers  [][]int         // the workloads that serve a webhook configuration, by its index
	after    [][]int         // the configurations that an object comes after
	had      []chan struct{} // closed when an object has had its turn
	running  sync.WaitGroup
	changes  []Change
	errs     []error
}

// take applies a group when what it waits for is there: a configuration's pods, or the configurations before an object.
func (t *turns) take(ctx context.Context, group []int) {
	problem := t.awaitServers(ctx, t.servers[group[0]])
	for _, before := range t.after[group[0]] {
		if err := t.turn(before); err != nil {
			problem = fmt.Errorf("it is not applied, as %s must see it, and failed", t.objects[before].Name())
		}
	}
	if problem == nil {
		t.apply(ctx, group)
		return
	}
	for _, i := range group {
		t.errs[i] = t.objects[i].failed(problem)
		close(t.had[i])
	}
}

// turn returns what became of an object, when it has had its turn.
func (t *turns) turn(i int) error {
	<-t.had[i]
	return t.errs[i]
}

// awaitServers waits until the workloads that serve a configuration are up. All others of the run may bring what they lack.
func (t *turns) awaitServers(ctx context.Context, servers []int) error {
	var others []Object
	for i, object := range t.objects {
		if !slices.Contains(servers, i) {
			others = append(others, object)
		}
	}
	for _, i := range servers {
		if err := t.turn(i); err != nil {
			return fmt.Errorf("it is not applied, as %s, which serves it, was not", t.objects[i].Name())
		}
	}
	if len(servers) == 0 {
		return nil
	}
	if err := t.client.waitReady(ctx, pick(t.objects, servers), others, t.patience, t.report); err != nil {
		return fmt.Errorf("it is not applied before its pods are ready: %w", err)
	}
	return nil
}

func pick(objects []Object, indices []int) []Object {
	picked := make([]Object, len(indices))
	for n, i := range indices {
		picked[n] = objects[i]
	}
	return picked
}

// apply applies a group, and tries again those that a webhook has kept back.
func (t *turns) apply(ctx context.Context, group []int) {
	objects := pick(t.objects, group)
	live, err := t.client.Live(ctx, objects)
	if err != nil {
		for _, i := range group {
			t.errs[i] = err
			close(t.had[i])
		}
		return
	}
	changes, errs := t.client.applyAll(ctx, objects, live)
	for n, i := range group {
		t.changes[i], t.errs[i] = changes[n], errs[n]
		if !unanswered(errs[n]) {
			close(t.had[i])
			continue
		}
		t.running.Go(func() {
			defer close(t.had[i])
			t.changes[i], t.errs[i] = t.retry(ctx, t.objects[i], errs[n])
		})
	}
}

// unanswered tells whether the API server refuses an object because a webhook does not answer, which may serve a moment later.
func unanswered(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "failed calling webhook") || strings.Contains(err.Error(), "conversion webhook for"))
}

// retry applies an object again and again while a webhook does not answer, and returns its last refusal when it will not.
func (t *turns) retry(ctx context.Context, object Object, refusal error) (Change, error) {
	since := map[string]time.Time{} // when the webhook's state was seen first
	for {
		s, err := t.serving(ctx, object, refusal)
		if err != nil {
			return Change{Object: object}, errors.Join(refusal, err)
		}
		now := time.Now()
		if since[s.waitingFor].IsZero() {
			since[s.waitingFor] = now
		}
		s.since = since[s.waitingFor]
		if s.done && now.Sub(s.since) >= limits.KubeletRetry || s.trouble != nil && len(judge([]sight{s}, time.Time{}, now, t.patience).broken) > 0 {
			return Change{Object: object}, fmt.Errorf("%w\n  waited for %s", refusal, s.waitingFor)
		}
		t.report("waiting for " + object.Name() + ": " + s.waitingFor)
		if err := sleep(ctx, limits.LookAgain/2); err != nil {
			return Change{Object: object}, fmt.Errorf("%w while waiting for %s; last: %w", err, s.waitingFor, refusal)
		}
		live, err := t.client.Get(ctx, object.GroupVersionKind(), object.GetNamespace(), object.GetName())
		if err != nil && !unanswered(err) {
			return Change{Object: object}, object.failed(err)
		}
		change, err := t.client.apply(ctx, object, live)
		if !unanswered(err) {
			return change, err
		}
		refusal = err
	}
}

// serviceURL is how the API server calls a Service, as its refusals have it.
var serviceURL = regexp.MustCompile(`https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc`)

// serving looks at what serves the webhook that a refusal names.
func (t *turns) serving(ctx context.Context, object Object, refusal error) (sight, error) {
	s := sight{object: object, name: object.Name()}
	found := serviceURL.FindStringSubmatch(refusal.Error())
	if found == nil {
		s.done, s.waitingFor = true, "its webhook, which is none of a Service in the cluster, to answer"
		return s, nil
	}
	live, err := t.client.Get(ctx, corev1.SchemeGroupVersion.WithKind("Service"), found[2], found[1])
	if err != nil {
		return s, err
	}
	list, err := t.client.List(ctx, podKind, found[2])
	if err != nil {
		return s, err
	}
	pods, err := As[corev1.Pod](list)
	if err != nil {
		return s, err
	}
	s.behind(found[2]+"/"+found[1], live, pods)
	return s, nil
}

// behind judges a webhook's Service, nil where it is not there, by the pods of its namespace: it is done when one of its pods is ready.
func (s *sight) behind(name string, service *unstructured.Unstructured, pods []corev1.Pod) {
	webhook := "its webhook's Service/" + name
	if service == nil {
		s.waitingFor = webhook + ", which is not there"
		s.trouble = &trouble{weight: lasting}
		return
	}
	raw, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	own := slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool {
		return len(raw) == 0 || pod.DeletionTimestamp != nil || !labels.SelectorFromSet(raw).Matches(labels.Set(pod.Labels))
	})
	s.waitingFor = webhook + " to have a ready pod: "
	if len(own) == 0 {
		s.waitingFor += "it has none at all"
		s.trouble = &trouble{weight: lasting}
		return
	}
	why := fmt.Sprintf("Pod/%s/%s is not ready yet", own[0].Namespace, own[0].Name)
	for i := range own {
		if PodReady(&own[i]) {
			s.done, s.trouble, s.waitingFor = true, nil, webhook+" to answer: its pods are ready"
			return
		}
		s.worsen(podTrouble(&own[i]))
	}
	if s.trouble != nil {
		why = s.trouble.message
	}
	s.waitingFor += why
}

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

// webhookOrder returns, for each object, the indices of the workloads that serve it where it is a webhook configuration, and those of the
// configurations that it must come after: they match it, and their workloads are among objects, too. A webhook that may be ignored holds
// nothing back. Nor is held back what those workloads may need: definitions, objects of the cluster, all in the namespace of a webhook's
// Service but custom resources, and for a webhook that selects nothing, all but custom resources. See
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ for the rules.
func webhookOrder(objects []Object) (servers, after [][]int) {
	servers, after = make([][]int, len(objects)), make([][]int, len(objects))
	namespaces, configs := namespaceLabels(objects), make([]webhookConfig, len(objects))
	serves := map[int]bool{}
	for i, object := range objects {
		if object.GroupVersionKind().Group != admissionv1.GroupName ||
			runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configs[i]) != nil {
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
		if tierOf(object) == 0 || serves[j] || len(servers[j]) > 0 || !object.Custom() && object.GetNamespace() == "" {
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
func namespaceLabels(objects []Object) map[string]labels.Set {
	found := map[string]labels.Set{}
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			found[object.GetName()] = object.GetLabels()
		}
	}
	return found
}

// workloadsBehind returns the indices of the workloads whose pods a Service among objects selects.
func workloadsBehind(objects []Object, namespace, name string) []int {
	var found []int
	for _, service := range objects {
		selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
		if service.GetKind() != "Service" || service.GetNamespace() != namespace || service.GetName() != name || len(selector) == 0 {
			continue
		}
		for i, object := range objects {
			if object.GetNamespace() == namespace && waitedFor(object.Unstructured) &&
				labels.SelectorFromSet(selector).Matches(podLabels(object)) {
				found = append(found, i)
			}
		}
	}
	return found
}

// podLabels returns the labels of the pods that a workload runs.
func podLabels(object Object) labels.Set {
	if object.GetKind() == podKind.Kind {
		return object.GetLabels()
	}
	found, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
	return found
}

// sees tells whether one of the configuration's webhooks is to see an object, or the pods that it runs, when it is applied.
func (w webhookConfig) sees(object Object, namespace labels.Set) bool {
	for _, webhook := range w.Webhooks {
		service := webhook.ClientConfig.Service
		if service == nil || webhook.FailurePolicy == admissionv1.Ignore ||
			!object.Custom() && (service.Namespace == object.GetNamespace() || everything(webhook.NamespaceSelector) && everything(webhook.ObjectSelector)) {
			continue
		}
		there := labels.Merge(namespace, labels.Set{corev1.LabelMetadataName: object.GetNamespace()})
		for _, rule := range webhook.Rules {
			asItself := matchesRule(rule, object.GroupVersionKind().Group, resourceOf(object)) && selects(webhook.ObjectSelector, object.GetLabels())
			asPods := tierOf(object) == workloadTier && matchesRule(rule, corev1.GroupName, "pods") && selects(webhook.ObjectSelector, podLabels(object))
			if (asItself || asPods) && (object.GetNamespace() == "" || selects(webhook.NamespaceSelector, there)) {
				return true
			}
		}
	}
	return false
}

// resourceOf returns the resource of an object's kind; that of a custom kind is only known to its definition.
func resourceOf(object Object) string {
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

func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	if selector == nil {
		return true
	}
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(set)
}
