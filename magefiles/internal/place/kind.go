// Package place says where a cluster is, and how it is reached from this machine.
package place

import (
	"context"
	"fmt"
	"strings"

	"al.essio.dev/pkg/shellescape"
	corev1 "k8s.io/api/core/v1"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
)

// A Kind is a kind cluster on this machine: its nodes' containers publish ports here.
type Kind struct {
	Cluster *cluster.Cluster
	// Name is the cluster's, and Kubeconfig the file that has its context where that is not kubectl's own.
	Name, Kubeconfig string
	// Ports are those of this machine, by the listeners' to which they lead.
	Ports map[int32]int
	// Client connects to the API server.
	Client func() (*kube.Client, error)
}

// Node is the one whose container publishes the port.
func (k *Kind) Node(port int) string { return k.Cluster.Publisher(port) }

// Down asks the engine whether a node runs; one of which nobody knows runs.
func (k *Kind) Down(ctx context.Context, node string) string {
	down, _ := k.Cluster.Down(ctx)
	return cluster.Observation{Down: down}.StateOf(node)
}

// Port returns the port of this machine that leads to a listener's.
func (k *Kind) Port(listener int32) (int, bool) {
	port, ok := k.Ports[listener]
	return port, ok
}

// Entry is that a port of this machine is published by the node.
func (k *Kind) Entry(port int) check.Check {
	return check.Check{Title: "the port on this machine", ID: check.ID{Kind: "Port", Name: fmt.Sprint(port)},
		Expect: fmt.Sprintf("127.0.0.1:%d is published by the node %s", port, k.Node(port)), Look: k.Cluster.EngineName() + " port " + k.Node(port),
		Judge: func(ctx context.Context) check.Finding { return k.leads(ctx, port) }}
}

// leads asks the engine whether the node publishes the port, and if not, who has it. Where the engine does not answer, nobody knows.
func (k *Kind) leads(ctx context.Context, port int) check.Finding {
	published, err := k.Cluster.Published(ctx, port)
	if err != nil {
		return check.Finding{Verdict: check.Unknown, Found: err.Error()}
	}
	node := k.Node(port)
	if published {
		return check.Finding{Verdict: check.Holds, Found: "published by the node " + node}
	}
	if state := k.Down(ctx, node); state != "" {
		return check.Finding{Verdict: check.Broken, Found: fmt.Sprintf("the node %s is %s: up starts it again", node, state)}
	}
	if holder, taken := k.Cluster.PortHolder(ctx, port); taken {
		return check.Finding{Verdict: check.Broken, Found: fmt.Sprintf("%s listens there, not the node", holder)}
	}
	return check.Finding{Verdict: check.Broken, Found: "nothing listens there: the cluster was made with other ports than the settings have now"}
}

// PodAnswers asks a pod through the API server.
func (k *Kind) PodAnswers(ctx context.Context, namespace, pod, scheme string, port int32) bool {
	client, err := k.Client()
	return err == nil && client.Pods().Answers(ctx, namespace, pod, scheme, port)
}

// PodGet asks a pod through the API server.
func (k *Kind) PodGet(ctx context.Context, namespace, pod string, port int32, path string) ([]byte, error) {
	client, err := k.Client()
	if err != nil {
		return nil, err
	}
	return client.Pods().Get(ctx, namespace, pod, port, path)
}

// PodLog reads a log through the API server.
func (k *Kind) PodLog(ctx context.Context, namespace, pod, container string, lines int64) ([]byte, error) {
	client, err := k.Client()
	if err != nil {
		return nil, err
	}
	return client.Pods().Log(ctx, namespace, pod, &corev1.PodLogOptions{Container: container, TailLines: &lines})
}

// Kubectl is a command with the cluster's context, and the kubeconfig where it is not the one that kubectl reads.
func (k *Kind) Kubectl(arguments string) string {
	return kubectl(k.Kubeconfig, cluster.Context(k.Name), arguments)
}

func kubectl(kubeconfig, context, arguments string) string {
	command := "kubectl"
	if kubeconfig != "" && !atomicfile.IsNull(kubeconfig) {
		command += " --kubeconfig " + shellescape.Quote(kubeconfig)
	}
	return strings.TrimSpace(command + " --context " + context + " " + arguments)
}
