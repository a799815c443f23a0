package implementation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// Of returns what is known of the implementation whose GatewayClasses name a controller, where it was not kindgate that installed it: nothing
// of where it runs and by which ports it is reached. Of one that is not known at all, the specification alone is expected.
func Of(controller string) *Implementation {
	if controller != Traefik.Controller {
		return unfamiliar(controller)
	}
	i := *Traefik
	i.Doors, i.Workload, i.Pages, i.Namespace, i.Release = nil, check.ID{}, nil, "", ""
	return &i
}

// unfamiliar is an implementation of which nothing is known but its controller's name.
func unfamiliar(controller string) *Implementation {
	no := func(*probe.Answer) bool { return false }
	name := "the controller " + controller
	if controller == "" {
		name = "its controller"
	}
	return &Implementation{Name: name, Controller: controller, Unfamiliar: true, Refuses: no, Own: no, Pong: no,
		Lacks: func(gateway.Use) (Outcome, string) { return "", "" }, Logged: func(string, check.ID, int) string { return "" }}
}

// Unrecognised returns what is known of an implementation where its own answers cannot be told from others'.
func (i *Implementation) Unrecognised() *Implementation {
	plain, none := *i, unfamiliar(i.Controller)
	plain.Unfamiliar, plain.Refuses, plain.Own, plain.Pong = true, none.Refuses, none.Own, none.Pong
	return &plain
}

// DataPlane returns the workload that runs a pod: its DaemonSet, StatefulSet or Deployment; the zero ID for a pod that has none.
func DataPlane(pod *corev1.Pod) check.ID {
	if len(pod.OwnerReferences) == 0 {
		return check.ID{}
	}
	owner := pod.OwnerReferences[0]
	id := check.ID{Kind: owner.Kind, Namespace: pod.Namespace, Name: owner.Name}
	if hash := pod.Labels["pod-template-hash"]; owner.Kind == "ReplicaSet" && hash != "" {
		id.Kind, id.Name = "Deployment", strings.TrimSuffix(owner.Name, "-"+hash)
	}
	return id
}

// Labelled tells whether a pod has all labels that the data plane's pods have where the chart of the implementation made them; false where
// nothing is known of these.
func (i *Implementation) Labelled(pod *corev1.Pod) bool {
	return len(i.Labels) > 0 && labels.SelectorFromSet(i.Labels).Matches(labels.Set(pod.Labels))
}

// Serving returns what tells, of a cluster's pods, those of the data plane that serve Gateways. The same program may run beside it for other
// things, as Ingresses: then the pods that are started with the provider are meant. Where no argument says so, a file may, and all that are
// labelled are.
func (i *Implementation) Serving(pods []corev1.Pod) func(*corev1.Pod) bool {
	serves := func(pod *corev1.Pod) bool {
		return i.Labelled(pod) && slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return Sets(c.Args, i.Provider) })
	}
	if slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return serves(&pod) }) {
		return serves
	}
	return i.Labelled
}

// Sets tells whether arguments set an option: one of them has its name, and no value or true.
func Sets(arguments []string, option string) bool {
	return slices.ContainsFunc(arguments, func(argument string) bool {
		name, value, valued := strings.Cut(argument, "=")
		return strings.EqualFold(name, option) && (!valued || value == "true")
	})
}
