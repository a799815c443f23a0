package stack

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/implementation"
)

// ports are those of this machine, by the listeners' that they lead to: those that the settings name, and those of further entry points in the
// chart's values, as far as the file for kind maps a port to the one that they take on the node.
func (in inputs) ports(config Config) map[int32]int {
	ports := config.ports()
	entryPoints, _, _ := unstructured.NestedMap(in.values, "ports")
	for _, value := range entryPoints {
		fields, _ := value.(map[string]any)
		number := func(name string) int32 {
			n, _ := fields[name].(float64)
			return int32(n)
		}
		if _, known := ports[number("port")]; known || number("port") == 0 || number("hostPort") == 0 {
			continue
		}
		if here, ok := cluster.HostPort(in.kind, number("hostPort")); ok {
			ports[number("port")] = here
		}
	}
	return ports
}

// implementation is the one that kindgate installs, with the kind of workload that the chart's values ask for; the chart's own is a Deployment.
func (in inputs) implementation() *implementation.Implementation {
	i := *serving
	kind, _, _ := unstructured.NestedString(in.values, "deployment", "kind")
	i.Workload.Kind = cmp.Or(kind, "Deployment")
	return &i
}
