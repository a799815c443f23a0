package readiness

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// Unanswered tells whether the API server refuses an object because a webhook does not answer, which may serve a moment later.
func Unanswered(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "failed calling webhook") || strings.Contains(err.Error(), "conversion webhook for"))
}

// serviceURL is how the API server calls a Service, as its refusals have it.
var serviceURL = regexp.MustCompile(`https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc`)

// WebhookService returns the Service that a webhook's refusal says was called, false for a webhook that is none of a Service.
func WebhookService(refusal error) (types.NamespacedName, bool) {
	found := serviceURL.FindStringSubmatch(refusal.Error())
	if found == nil {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: found[2], Name: found[1]}, true
}

// Outside is the state of an object that is refused because of a webhook that is none of a Service in the cluster.
func Outside(object kube.Object) State {
	return State{Object: object, Done: true, WaitingFor: "its webhook, which is none of a Service in the cluster, to answer"}
}

// Refusing tells whether nobody listens where the webhook of a refusal should: its pod may not have come to it yet.
func Refusing(refusal error) bool { return strings.Contains(refusal.Error(), "connection refused") }

// Behind judges the Service of the webhook because of which an object is refused. The Service is nil where it is not there. It is done when
// one of its pods is ready, pods being those of its namespace; where the webhook refuses connections, one without a readiness probe may be
// about to listen. What the run has yet to bring is no lasting trouble.
func Behind(object kube.Object, name types.NamespacedName, service *unstructured.Unstructured, pods []corev1.Pod, expected, refusing bool, now time.Time) State {
	s, lacking := State{Object: object}, &Trouble{weight: lasting}
	if expected {
		lacking.weight = mayPass
	}
	webhook := "its webhook's Service/" + name.String()
	if service == nil {
		s.WaitingFor, s.Trouble = webhook+", which is not there", lacking
		return s
	}
	own := Selected(service, pods)
	s.WaitingFor = webhook + " to have a ready pod: "
	if len(own) == 0 {
		s.WaitingFor, s.Trouble = s.WaitingFor+"it has none at all", lacking
		return s
	}
	why := fmt.Sprintf("Pod/%s/%s is not ready yet", own[0].Namespace, own[0].Name)
	for i := range own {
		if PodReady(&own[i]) {
			if refusing && now.Sub(begun(&own[i])) < limits.PodStart {
				why = fmt.Sprintf("Pod/%s/%s has no readiness probe, and may not listen yet", own[i].Namespace, own[i].Name)
				s.Trouble = nil
				break
			}
			return State{Object: object, Done: true, WaitingFor: webhook + " to answer: its pods are ready"}
		}
		s.Worsen(podTrouble(&own[i]))
	}
	if s.Trouble != nil {
		why = s.Trouble.message
	}
	s.WaitingFor += why
	return s
}

// begun is when the last of a pod's containers without a readiness probe began to run, zero for none.
func begun(pod *corev1.Pod) (last time.Time) {
	for _, status := range pod.Status.ContainerStatuses {
		if running := status.State.Running; running != nil && !probed(pod, status.Name) && running.StartedAt.After(last) {
			last = running.StartedAt.Time
		}
	}
	return last
}

// Selected returns the pods that a Service selects and that are not being deleted.
func Selected(service *unstructured.Unstructured, pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool {
		return pod.DeletionTimestamp != nil || !selects(service, labels.Set(pod.Labels))
	})
}

func selects(service *unstructured.Unstructured, pod labels.Set) bool {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(pod)
}

// webhookName is how the API server names a webhook that it could not call.
var webhookName = regexp.MustCompile(`failed calling webhook "([^"]+)"`)

// Serves tells whether a Service selects the pods of a workload.
func Serves(service, workload *unstructured.Unstructured) bool {
	return selects(service, podLabels(kube.Object{Unstructured: workload}))
}

// SelfGuarded judges the refusal of one more pod of a workload: it is lasting trouble where the webhook that did not answer is served by
// this workload's pods, and the Service has no pod at all. Then none can be made, so the webhook will never answer. The Service is the one
// that the refusal names, nil where it is not there, pods are those of its namespace, and configs the cluster's webhook configurations. It
// returns nil for any other refusal. See
// https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/.
func SelfGuarded(live *unstructured.Unstructured, refusal error, service *unstructured.Unstructured, pods []corev1.Pod,
	configs []unstructured.Unstructured, kubectl string) *Trouble {
	named := webhookName.FindStringSubmatch(refusal.Error())
	if named == nil || service == nil || service.GetNamespace() != live.GetNamespace() ||
		!Serves(service, live) || len(Selected(service, pods)) > 0 {
		return nil
	}
	message := fmt.Sprintf("its pods are refused: %v; they serve this webhook themselves, so none can ever be made. Have its namespaceSelector leave out namespace %s",
		refusal, live.GetNamespace())
	for i := range configs {
		if hasWebhook(&configs[i], named[1]) {
			message += fmt.Sprintf(", or delete it and run again: %s delete %s", kubectl, kube.Arguments(&configs[i]))
		}
	}
	return &Trouble{weight: lasting, message: message}
}

// Blame adds what keeps a workload behind a webhook's Service from having pods, nil where nothing is known of it.
func (s *State) Blame(workload *unstructured.Unstructured, t *Trouble) {
	if t != nil {
		s.WaitingFor += "; " + kube.Name(workload) + ": " + t.message
		s.Worsen(t)
	}
}

func hasWebhook(config *unstructured.Unstructured, name string) bool {
	webhooks, _, _ := unstructured.NestedSlice(config.Object, "webhooks")
	return slices.ContainsFunc(webhooks, func(webhook any) bool {
		fields, _ := webhook.(map[string]any)
		return fields["name"] == name
	})
}
