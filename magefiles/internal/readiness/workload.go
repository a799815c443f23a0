package readiness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubectl/pkg/polymorphichelpers"

	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// served are the conditions that must be True for the API server to serve what an object defines. See
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ and
// https://kubernetes.io/docs/tasks/extend-kubernetes/setup-extension-api-server/.
var served = map[schema.GroupKind][]string{
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: {"NamesAccepted", "Established"},
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:             {"Available"},
}

// WaitedFor tells whether an object is a workload that comes up by itself, or has the API server serve a kind. A workload that is paused or
// suspended does not come up, nor does one that is only rolled out as its pods are deleted. A CronJob has nothing to run yet.
func WaitedFor(object *unstructured.Unstructured) bool {
	set := func(fields ...string) bool {
		value, _, _ := unstructured.NestedBool(object.Object, fields...)
		return value
	}
	if len(served[object.GroupVersionKind().GroupKind()]) > 0 {
		return true
	}
	switch object.GroupVersionKind().GroupKind() {
	case appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind():
		return !set("spec", "paused")
	case appsv1.SchemeGroupVersion.WithKind("DaemonSet").GroupKind(), appsv1.SchemeGroupVersion.WithKind("StatefulSet").GroupKind():
		return !kube.UpdatesOnDelete(object)
	case batchv1.SchemeGroupVersion.WithKind("Job").GroupKind():
		return !set("spec", "suspend")
	case appsv1.SchemeGroupVersion.WithKind("ReplicaSet").GroupKind(), PodKind.GroupKind():
		return true
	}
	return false
}

// PodsOf returns those of pods that a live workload's controller has made and that are not being deleted. A selector alone proves nothing:
// somebody's pod with the same labels is not the workload's. Of a Deployment's, see OfRevision, too.
func PodsOf(live *unstructured.Unstructured, pods []corev1.Pod) ([]corev1.Pod, error) {
	if live == nil || kube.ClusterScoped(live.GroupVersionKind().GroupKind()) {
		return nil, nil
	}
	belongs := func(pod *corev1.Pod) bool { return pod.Name == live.GetName() }
	if live.GetKind() != PodKind.Kind {
		var selector metav1.LabelSelector
		raw, _, err := unstructured.NestedMap(live.Object, "spec", "selector")
		if err != nil {
			return nil, err
		}
		if err := gotype.Decode(raw, &selector); err != nil {
			return nil, err
		}
		matches, err := metav1.LabelSelectorAsSelector(&selector)
		if err != nil {
			return nil, err
		}
		belongs = func(pod *corev1.Pod) bool { return madeFor(live, pod) && matches.Matches(labels.Set(pod.Labels)) }
	}
	var own []corev1.Pod
	for _, pod := range pods {
		if pod.DeletionTimestamp == nil && belongs(&pod) {
			own = append(own, pod)
		}
	}
	return own, nil
}

// madeFor tells whether a pod's controller is a live workload, or for a Deployment some ReplicaSet.
func madeFor(live *unstructured.Unstructured, pod *corev1.Pod) bool {
	if live.GetKind() == "Deployment" {
		owner := metav1.GetControllerOf(pod)
		return owner != nil && owner.Kind == "ReplicaSet"
	}
	return metav1.IsControlledBy(pod, live)
}

// revision is how a Deployment's controller numbers its templates, on itself and on the ReplicaSets that it makes of them. See
// https://kubernetes.io/docs/reference/labels-annotations-taints/#deployment-kubernetes-io-revision.
const revision = "deployment.kubernetes.io/revision"

// OfRevision returns those of a Deployment's pods that are of its newest template, sets being its namespace's ReplicaSets.
func OfRevision(live *unstructured.Unstructured, sets []unstructured.Unstructured, pods []corev1.Pod) []corev1.Pod {
	newest := map[string]bool{}
	for i := range sets {
		newest[sets[i].GetName()] = metav1.IsControlledBy(&sets[i], live) && sets[i].GetAnnotations()[revision] == live.GetAnnotations()[revision]
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return !newest[ownerOf(&pod)] })
}

// OfOthers tells whether a live workload's pods may be of others than its newest template, or of another Deployment: only those count that
// OfRevision returns. A Deployment gives its ReplicaSets its own name and the template's hash, which their pods have as a label.
func OfOthers(live *unstructured.Unstructured, pods []corev1.Pod) bool {
	if live == nil || live.GetKind() != "Deployment" {
		return false
	}
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
		owner := ownerOf(&pod)
		return owner != ownerOf(&pods[0]) || owner != live.GetName()+"-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	})
}

// ownerOf is the name of the controller that has made a pod, empty for a pod of its own.
func ownerOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return owner.Name
	}
	return ""
}

// Look judges one workload as it is, nil where it is not there, with its pods.
func Look(object kube.Object, live *unstructured.Unstructured, pods []corev1.Pod, now time.Time) (State, error) {
	s := State{Object: object, Name: object.Name()}
	if live == nil {
		s.WaitingFor = "it to appear"
		s.Trouble = &Trouble{weight: gone, message: "it is not there: something in the cluster has deleted it since it was applied"}
		return s, nil
	}
	var err error
	switch {
	case !WaitedFor(live): // somebody has suspended it
		s.Done = true
	case len(served[object.GroupVersionKind().GroupKind()]) > 0:
		s.lookAtConditions(live)
	case live.GetKind() == "Job":
		err = s.lookAtJob(live, pods)
	case live.GetKind() == "Pod":
		s.lookAtPod(pods)
	case live.GetKind() == "ReplicaSet":
		err = s.lookAtReplicas(live)
	default:
		err = s.lookAtRollout(live)
	}
	if s.Done && WaitedFor(live) && live.GetKind() != "Job" {
		s.steady(pods, now)
	}
	s.late = s.Trouble != nil && pastDeadline(live)
	if err != nil || s.Done || s.Trouble != nil && !s.late {
		return s, err
	}
	for i := range pods {
		if t := podTrouble(&pods[i]); t != nil {
			s.Worsen(t)
			s.heard = t.message
		}
	}
	if s.Trouble != nil {
		s.WaitingFor += "; " + s.Trouble.message
	}
	return s, nil
}

// steady takes back that a workload is up when one of its containers, which nobody probes, may be about to crash.
func (s *State) steady(pods []corev1.Pod, now time.Time) {
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if probed(&pods[i], status.Name) || pods[i].Status.Phase == corev1.PodSucceeded {
				continue
			}
			if status.State.Running == nil { // which the workload's own status does not know yet
				s.Done, s.WaitingFor = false, fmt.Sprintf("Pod/%s/%s, container %s, to run", pods[i].Namespace, pods[i].Name, status.Name)
				return
			}
			within, last := limits.Steady, status.LastTerminationState.Terminated
			crashed := status.RestartCount > 0 && last != nil && last.Reason != "Unknown" // that is of a node that was stopped
			if crashed {
				within = min(max(limits.SteadyAgain, 2*last.FinishedAt.Sub(last.StartedAt.Time)), limits.SteadyLong)
			}
			if now.Sub(status.State.Running.StartedAt.Time) >= within {
				continue
			}
			s.Done = false
			s.WaitingFor = fmt.Sprintf("Pod/%s/%s, container %s, to go on running: it has just started", pods[i].Namespace, pods[i].Name, status.Name)
			if crashed {
				s.WaitingFor += fmt.Sprintf(", restarted %s (%s)", times(status.RestartCount), exit(last))
			}
			return
		}
	}
}

func probed(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container && c.ReadinessProbe != nil })
}

func (s *State) lookAtRollout(live *unstructured.Unstructured) error {
	viewer, err := polymorphichelpers.StatusViewerFor(live.GroupVersionKind().GroupKind())
	if err != nil {
		return err
	}
	message, done, err := viewer.Status(live, 0)
	if err != nil {
		s.Trouble = &Trouble{weight: certain, message: err.Error(), look: describe(live)}
		s.WaitingFor = err.Error()
		return nil
	}
	s.Done, s.WaitingFor = done, strings.TrimPrefix(strings.TrimSpace(message), "Waiting for ")
	return nil
}

// pastDeadline tells whether a workload is a Deployment that has not come up in the time that it sets itself: what keeps it is only said by
// its pods. See https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progress-deadline-seconds.
func pastDeadline(live *unstructured.Unstructured) bool {
	return live != nil && slices.ContainsFunc(kube.Conditions(live), func(condition metav1.Condition) bool {
		return condition.Type == string(appsv1.DeploymentProgressing) && condition.Reason == "ProgressDeadlineExceeded"
	})
}

func (s *State) lookAtReplicas(live *unstructured.Unstructured) error {
	var set appsv1.ReplicaSet
	if err := gotype.Decode(live.Object, &set); err != nil {
		return err
	}
	wanted := int32(1)
	if set.Spec.Replicas != nil {
		wanted = *set.Spec.Replicas
	}
	s.Done = set.Status.ObservedGeneration >= set.Generation && set.Status.ReadyReplicas >= wanted
	s.WaitingFor = fmt.Sprintf("%d of %d replicas to be ready", set.Status.ReadyReplicas, wanted)
	return nil
}

// lookAtConditions judges an object that has the API server serve a kind. What serves an APIService may be another workload of the run.
func (s *State) lookAtConditions(live *unstructured.Unstructured) {
	have := kube.Conditions(live)
	for _, name := range served[s.Object.GroupVersionKind().GroupKind()] {
		condition := meta.FindStatusCondition(have, name)
		switch {
		case condition == nil || condition.Status == metav1.ConditionUnknown:
			s.WaitingFor = "it to be " + name
		case condition.Status == metav1.ConditionFalse:
			s.WaitingFor = fmt.Sprintf("%s is False (%s): %s", name, condition.Reason, condition.Message)
			s.Trouble = &Trouble{weight: mayPass, message: s.WaitingFor, look: describe(live)}
			return
		}
	}
	s.Done = s.WaitingFor == ""
}

func describe(live *unstructured.Unstructured) string { return "describe " + kube.Arguments(live) }
