package place

import (
	"context"
	"errors"
	"fmt"

	"kindgate/magefiles/internal/bundle"
	"kindgate/magefiles/internal/check"
)

// A Recorded is a cluster as a bundle has it. Nothing is asked.
type Recorded struct {
	// Ports are those of URLs, by the listeners' to which they led; those of listeners for nil.
	Ports map[int32]int
	// Files are the bundle's, and Command is how kubectl asked the cluster.
	Files   map[string][]byte
	Command string
}

// Node is none: the requests do not leave this machine.
func (r *Recorded) Node(int) string { return "" }

// Down is empty: which nodes ran is not known.
func (r *Recorded) Down(context.Context, string) string { return "" }

// Port returns the port of URLs that led to a listener's.
func (r *Recorded) Port(listener int32) (int, bool) {
	if r.Ports == nil {
		return int(listener), true
	}
	port, ok := r.Ports[listener]
	return port, ok
}

// Entry is not known.
func (r *Recorded) Entry(port int) check.Check {
	return check.Check{Title: "the way into the cluster", ID: check.ID{Kind: "Port", Name: fmt.Sprint(port)},
		Judge: func(context.Context) check.Finding {
			return check.Finding{Verdict: check.Unknown, Found: "not known: a bundle stands for the cluster"}
		}}
}

// PodAnswers is false: no pod can be asked.
func (r *Recorded) PodAnswers(context.Context, string, string, string, int32) bool { return false }

// errNotInBundle is the error of what the bundle does not have.
var errNotInBundle = errors.New("the bundle does not have it")

func (r *Recorded) file(name string) ([]byte, error) {
	if content, ok := r.Files[name]; ok {
		return content, nil
	}
	return nil, errNotInBundle
}

// PodGet returns the list of routers of a pod, whatever is asked for.
func (r *Recorded) PodGet(_ context.Context, namespace, pod string, _ int32, _ string) ([]byte, error) {
	return r.file(bundle.Routers(namespace, pod))
}

// PodLog returns the log of a container.
func (r *Recorded) PodLog(_ context.Context, namespace, pod, container string, _ int64) ([]byte, error) {
	return r.file(bundle.Log(namespace, pod, container))
}

// Kubectl is a command for the cluster, as it was asked where the bundle was made.
func (r *Recorded) Kubectl(arguments string) string { return r.Command + " " + arguments }
