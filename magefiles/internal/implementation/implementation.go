// Package implementation says what is known of an implementation of the Gateway API, as one value. Whatever else kindgate does holds for
// any of them.
package implementation

import (
	"crypto/x509"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// An Implementation is what is known of one.
type Implementation struct {
	// Name is what people call it.
	Name string
	// Controller is what its GatewayClasses name. See https://gateway-api.sigs.k8s.io/reference/spec/#gatewaycontroller.
	Controller string
	// Namespace has its Helm release, Release, made from the chart of the name Chart.
	Namespace, Release, Chart string
	// Workload runs its data plane. Labels are those of its pods, where its chart made them.
	Workload check.ID
	Labels   map[string]string
	// Unfamiliar: nothing is known of it but its Controller. Whether an answer is its own cannot be told then.
	Unfamiliar bool
	// Doors are the ports of the node that lead to its entry points, by these. An entry point's port is that of the listeners it serves.
	Doors []Door
	// Refuses tells whether an answer is the one that it gives in the place of a backend that it cannot ask, or for a filter that it does not have.
	Refuses func(*probe.Answer) bool
	// Own tells whether it has written an answer itself, and does not pass it on from a backend.
	Own func(*probe.Answer) bool
	// IsDefault tells whether a certificate is the one that it presents where it has none for a name; nil where that is not known.
	IsDefault func(*x509.Certificate) bool
	// Order is the order in which its matches have precedence.
	Order gateway.Order
	// Lacks says what it does with a rule that uses a feature it does not have, and what to write instead; the outcome is empty for one that it
	// has.
	Lacks func(gateway.Use) (outcome Outcome, remedy string)
	// Lists is where its pods say which routers they have. Logged returns what the last line of a pod's log says that is trouble with a route,
	// or with the rule of that index in it; empty where there is none.
	Lists  Listing
	Logged func(log string, route check.ID, rule int) string
	// Answered returns why it has given an answer of a status in the place of a backend, as the last line of some of a pod's log says that
	// names no route; empty where there is none.
	Answered func(log string, status int) string
	// Ping is the header of a request that it answers itself, whatever routes there are, and Pong tells whether it has.
	Ping map[string]string
	Pong func(*probe.Answer) bool
	// Pages are what a person opens, by the path, where the backend's root only leads there.
	Pages map[gateway.Backend]string
	// GatewayAPI has the release of the Gateway API that it is built against, by the major version of its chart.
	GatewayAPI map[string]string
	// Provider is the argument of its workload without which it serves no Gateway.
	Provider string
	// Protocols are those of the listeners that it takes, each with the argument of its workload without which it does not, empty for none;
	// nil where they are not known.
	Protocols map[gatewayv1.ProtocolType]string
	// Needs are the kinds that must be defined where its workload has an argument: without one of them it serves nothing at all.
	Needs map[string]schema.GroupVersionKind
	// Tried is the release of which all of this is known, as v3.6.
	Tried string
	// TriedChart is the version of the chart that kindgate was tried with.
	TriedChart string
}

// A Door leads from a port of the node to an entry point's.
type Door struct {
	Scheme             string
	EntryPoint, OnNode int32
}

// Unrouted tells whether an answer is the one that it gives for a request no route takes.
func (i *Implementation) Unrouted(a *probe.Answer) bool {
	return a.Status == http.StatusNotFound && i.Own(a)
}

// Defines tells whether a group is one whose kinds a provider of it reads, and no release of the Gateway API defines.
func (i *Implementation) Defines(group string) bool { return i.reading(group) != "" }

// reading returns the argument of the provider that reads the kinds of a group; empty where none does.
func (i *Implementation) reading(group string) string {
	for argument, kind := range i.Needs {
		if kind.Group == group && group != gatewayv1.GroupName {
			return argument
		}
	}
	return ""
}

// Reads returns the argument of its workload that sets it up for a feature which is optional; empty where none is known.
func (i *Implementation) Reads(use gateway.Use) string {
	_, kind, _ := strings.Cut(use.Of, " ")
	group, _, _ := strings.Cut(kind, "/")
	return i.reading(group)
}

// Through returns the door of a scheme, the zero one where there is none.
func (i *Implementation) Through(scheme string) Door {
	for _, door := range i.Doors {
		if door.Scheme == scheme {
			return door
		}
	}
	return Door{}
}

// Page returns the path of what a person opens behind one of the backends, empty where it has no page there.
func (i *Implementation) Page(backends []gateway.Backend) string {
	for _, backend := range backends {
		if path := i.Pages[backend]; path != "" {
			return path
		}
	}
	return ""
}

// Runs tells whether a pod is one of its data plane.
func (i *Implementation) Runs(pod *corev1.Pod) bool {
	return i.Workload.Name != "" && DataPlane(pod) == i.Workload
}

// Logs are kubectl's arguments that show what the data plane says, or where it is not known the Gateways.
func (i *Implementation) Logs() string {
	if i.Workload.Name == "" {
		return "get gateways --all-namespaces"
	}
	return "logs -n " + i.Workload.Namespace + " " + strings.ToLower(i.Workload.Kind) + "/" + i.Workload.Name
}
