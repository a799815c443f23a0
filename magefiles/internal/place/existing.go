package place

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"al.essio.dev/pkg/shellescape"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// An Existing is a cluster that kindgate did not make, reached by a context of a kubeconfig, and the address that some of its Gateways share.
type Existing struct {
	// Context is the kubeconfig's, and Kubeconfig the file where that is not kubectl's own.
	Context, Kubeconfig string
	// REST leads to the API server, and Client reads there.
	REST   *rest.Config
	Client *kube.Client
	// Targets are how the Gateways' listeners are reached, by their ports.
	Targets map[int32]Target

	doors map[string]*door // by the port of URLs
}

// A door is what the port of URLs leads to.
type door struct {
	address string   // that was reached
	forward *forward // through which it is, nil for the address itself
	found   check.Finding
}

// Node is none: no port of a node is in between.
func (e *Existing) Node(int) string { return "" }

// Down is empty: of nodes, only the API server is asked.
func (e *Existing) Down(context.Context, string) string { return "" }

// Port returns the port that the listener has in URLs.
func (e *Existing) Port(listener int32) (int, bool) {
	target, ok := e.Targets[listener]
	return target.Port, ok
}

// Reach finds out how each listener is reached: at an address of its Gateway, or else through a port-forward. What it found, Entry says.
func (e *Existing) Reach(ctx context.Context) {
	e.doors = map[string]*door{}
	var all sync.WaitGroup
	for _, target := range e.Targets {
		port := strconv.Itoa(target.Port)
		if e.doors[port] != nil {
			continue
		}
		d := &door{}
		e.doors[port] = d
		all.Go(func() { *d = e.open(ctx, target) })
	}
	all.Wait()
}

// Close ends the port-forwards.
func (e *Existing) Close() {
	for _, d := range e.doors {
		if d.forward != nil {
			d.forward.close()
		}
	}
}

func (e *Existing) open(ctx context.Context, t Target) door {
	address, err := firstReached(ctx, t.Addresses)
	if err == nil {
		return door{address: address, found: check.Finding{Verdict: check.Holds, Found: "reached at " + address}}
	}
	if t.Pod == "" {
		return door{found: check.Finding{Verdict: check.Broken, Found: fmt.Sprintf("%v; and no ready pod of its data plane is known, for a port-forward", err)}}
	}
	pod := fmt.Sprintf("Pod/%s/%s, port %d", t.Namespace, t.Pod, t.PodPort)
	forward, failed := newForward(ctx, e.REST, t)
	if failed != nil {
		return door{found: check.Finding{Verdict: check.Broken, Found: fmt.Sprintf("%v; and a port-forward to %s fails: %v", err, pod, failed)}}
	}
	return door{forward: forward, found: check.Finding{Verdict: check.Holds, Found: fmt.Sprintf("reached through a port-forward to %s, as %v", pod, err)}}
}

// firstReached returns the first of the addresses that takes a connection. The error says why none does.
func firstReached(ctx context.Context, addresses []string) (string, error) {
	if len(addresses) == 0 {
		return "", errors.New("its status has no address that leads here")
	}
	var failures []string
	for _, address := range addresses {
		dialer := &net.Dialer{Timeout: limits.PortDial}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			return address, nil
		}
		why := err
		var network *net.OpError
		if errors.As(err, &network) {
			why = network.Err
		}
		failures = append(failures, fmt.Sprintf("%s is not reached from here (%v)", address, why))
	}
	return "", errors.New(strings.Join(failures, ", "))
}

// Dial connects to what a port of URLs leads to. A port-forward that has ended is begun again.
func (e *Existing) Dial(ctx context.Context, port string) (net.Conn, error) {
	d := e.doors[port]
	switch {
	case d == nil:
		return nil, fmt.Errorf("no listener has the port %s", port)
	case d.found.Fails():
		return nil, errors.New(d.found.Found)
	}
	address := d.address
	if d.forward != nil {
		var err error
		if address, err = d.forward.address(ctx); err != nil {
			return nil, err
		}
	}
	dialer := &net.Dialer{Timeout: limits.Request}
	return dialer.DialContext(ctx, "tcp", address)
}

// Entry is that the address of the Gateways is reached, or else a port-forward.
func (e *Existing) Entry(port int) check.Check {
	expect := "the Gateway is reached at its address, or through a port-forward to a ready pod of its data plane"
	return check.Check{Title: "the Gateway's address", ID: check.ID{Kind: "Port", Name: strconv.Itoa(port)}, Expect: expect,
		Look: e.Kubectl("get gateways --all-namespaces"),
		Judge: func(context.Context) check.Finding {
			if d := e.doors[strconv.Itoa(port)]; d != nil {
				return d.found
			}
			return check.Finding{Verdict: check.Broken, Found: "no listener has this port"}
		}}
}

// PodAnswers is false: no port of a node leads to a pod, so that none can be asked past it.
func (e *Existing) PodAnswers(context.Context, string, string, string, int32) bool { return false }

// PodGet asks a pod through the API server.
func (e *Existing) PodGet(ctx context.Context, namespace, pod string, port int32, path string) ([]byte, error) {
	return e.Client.Pods().Get(ctx, namespace, pod, port, path)
}

// PodLog reads a log through the API server.
func (e *Existing) PodLog(ctx context.Context, namespace, pod, container string, lines int64) ([]byte, error) {
	return e.Client.Pods().Log(ctx, namespace, pod, &corev1.PodLogOptions{Container: container, TailLines: &lines})
}

// Kubectl is a command with the context, and the kubeconfig where it is not the one that kubectl reads.
func (e *Existing) Kubectl(arguments string) string {
	return kubectl(e.Kubeconfig, shellescape.Quote(e.Context), arguments)
}
