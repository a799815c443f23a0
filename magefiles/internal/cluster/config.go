package cluster

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// The ports on which the node receives requests; Traefik's pod takes them there as its hostPorts.
const (
	nodeHTTPPort  = 80
	nodeHTTPSPort = 443
)

// failCgroupV1 lets the kubelet start on a host with cgroup v1, which it refuses from Kubernetes v1.35 on.
// See https://kubernetes.io/docs/concepts/architecture/cgroups/.
const failCgroupV1 = "kind: KubeletConfiguration\nfailCgroupV1: false\n"

// untainted lets control planes take pods where there is no other node, as kind does where there is one node in all.
var untainted = []string{
	"kind: InitConfiguration\nnodeRegistration:\n  taints: []\n",
	"kind: JoinConfiguration\nnodeRegistration:\n  taints: []\n",
}

// electing takes out of patches what switches leader election off: without it, the controllers and schedulers of several control planes
// would all act at once. What cannot be read is for kind to refuse.
func electing(patches []v1alpha4.PatchJSON6902) []v1alpha4.PatchJSON6902 {
	kept := slices.Clone(patches)
	for i := range kept {
		var operations []map[string]any
		if err := yaml.Unmarshal([]byte(kept[i].Patch), &operations); err != nil {
			continue
		}
		operations = slices.DeleteFunc(operations, func(operation map[string]any) bool {
			if list, ok := operation["value"].([]any); ok {
				operation["value"] = slices.DeleteFunc(list, unelected)
			}
			return unelected(operation["value"])
		})
		if text, err := json.Marshal(operations); err == nil {
			kept[i].Patch = string(text)
		}
	}
	return kept
}

// unelected tells whether a value is the argument of a component that switches leader election off.
func unelected(value any) bool {
	argument, _ := value.(map[string]any)
	return argument["name"] == "leader-elect" && fmt.Sprint(argument["value"]) == "false"
}

// ParseConfig decodes kind's configuration file strictly and sets the host ports that are mapped to the ports 80 and 443 of the first node
// that maps them; a mapping that is not there is added to the first control plane, on 127.0.0.1. file names the data in the error, which joins all that is wrong, with lines.
func ParseConfig(data []byte, file string, httpPort, httpsPort int) (*v1alpha4.Cluster, error) {
	config := &v1alpha4.Cluster{}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(config); err != nil && !errors.Is(err, io.EOF) {
		return nil, atFile(file, err)
	}
	if config.Kind != "Cluster" || config.APIVersion != "kind.x-k8s.io/v1alpha4" {
		return nil, fmt.Errorf("%s: it must have kind: Cluster and apiVersion: kind.x-k8s.io/v1alpha4, not %q and %q", file, config.Kind, config.APIVersion)
	}
	if len(config.Nodes) == 0 {
		config.Nodes = []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}
	}
	mapPort(config.Nodes, nodeHTTPPort, int32(httpPort))
	mapPort(config.Nodes, nodeHTTPSPort, int32(httpsPort))
	if err := checkPorts(config.Nodes); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return config, nil
}

// checkPorts returns an error for each port of this machine that is mapped twice, to whichever nodes: the engine would refuse the second.
func checkPorts(nodes []v1alpha4.Node) error {
	type claim struct {
		node    int
		mapping v1alpha4.PortMapping
	}
	var claims []claim
	var problems []error
	for i, node := range nodes {
		for _, m := range node.ExtraPortMappings {
			for _, earlier := range claims {
				if collide(earlier.mapping, m) {
					problems = append(problems, fmt.Errorf("port %d of this machine is mapped twice: to port %d of node %d, and to port %d of node %d",
						m.HostPort, earlier.mapping.ContainerPort, earlier.node, m.ContainerPort, i))
				}
			}
			claims = append(claims, claim{i, m})
		}
	}
	return errors.Join(problems...)
}

// collide tells whether two mappings take the same port of this machine, at one of its addresses.
func collide(a, b v1alpha4.PortMapping) bool {
	protocol := func(m v1alpha4.PortMapping) string { return cmp.Or(strings.ToUpper(string(m.Protocol)), "TCP") }
	all := func(m v1alpha4.PortMapping) bool {
		return slices.Contains([]string{"", "0.0.0.0", "::"}, m.ListenAddress)
	}
	return a.HostPort == b.HostPort && a.HostPort > 0 && protocol(a) == protocol(b) && (all(a) || all(b) || a.ListenAddress == b.ListenAddress)
}

// Replaced returns the mappings of a configuration file whose host port ParseConfig sets to another, where the file has a port of the user's own:
// neither the node's, as in the file that comes with kindgate, nor the one that is set.
func Replaced(data []byte, httpPort, httpsPort int) []v1alpha4.PortMapping {
	var config v1alpha4.Cluster
	_ = yaml.Unmarshal(data, &config) // what is wrong with it, ParseConfig says
	var replaced []v1alpha4.PortMapping
	for node, host := range map[int32]int{nodeHTTPPort: httpPort, nodeHTTPSPort: httpsPort} {
		if m := mappingOf(config.Nodes, node); m != nil && !slices.Contains([]int32{0, node, int32(host)}, m.HostPort) {
			replaced = append(replaced, *m)
		}
	}
	slices.SortFunc(replaced, func(a, b v1alpha4.PortMapping) int { return cmp.Compare(a.ContainerPort, b.ContainerPort) })
	return replaced
}

// mappingOf returns the first mapping to a node's port, nil where there is none.
func mappingOf(nodes []v1alpha4.Node, containerPort int32) *v1alpha4.PortMapping {
	for _, node := range nodes {
		for i := range node.ExtraPortMappings {
			if m := &node.ExtraPortMappings[i]; m.ContainerPort == containerPort && (m.Protocol == "" || m.Protocol == v1alpha4.PortMappingProtocolTCP) {
				return m
			}
		}
	}
	return nil
}

// HostPort returns the port of this machine's loopback that a configuration maps to a node's, and false where it has none that is known before the
// engine chooses it.
func HostPort(config *v1alpha4.Cluster, nodePort int32) (int, bool) {
	if config == nil {
		return 0, false
	}
	m := mappingOf(config.Nodes, nodePort)
	if m == nil || m.HostPort <= 0 || !slices.Contains([]string{"", "0.0.0.0", "127.0.0.1"}, m.ListenAddress) {
		return 0, false
	}
	return int(m.HostPort), true
}

func mapPort(nodes []v1alpha4.Node, containerPort, hostPort int32) {
	if m := mappingOf(nodes, containerPort); m != nil {
		m.HostPort = hostPort
		return
	}
	node := &nodes[max(0, slices.IndexFunc(nodes, controls))] // without a control plane, kind refuses the file
	node.ExtraPortMappings = append(node.ExtraPortMappings, v1alpha4.PortMapping{
		ContainerPort: containerPort, HostPort: hostPort, ListenAddress: "127.0.0.1", Protocol: v1alpha4.PortMappingProtocolTCP,
	})
}

// controls tells whether a node is a control plane, which is what kind makes of one without a role.
func controls(n v1alpha4.Node) bool { return n.Role != v1alpha4.WorkerRole }

func controlPlanes(config *v1alpha4.Cluster) int {
	count := 0
	for _, node := range config.Nodes {
		if controls(node) {
			count++
		}
	}
	return count
}

// publisher returns the name that kind gives to the node that publishes a port of this machine, empty where none does: of each role the
// first has no number.
func publisher(config *v1alpha4.Cluster, cluster string, port int) string {
	if config == nil {
		return ""
	}
	count := map[bool]int{}
	for _, node := range config.Nodes {
		name := cluster + "-" + string(v1alpha4.WorkerRole)
		if controls(node) {
			name = cluster + "-" + string(v1alpha4.ControlPlaneRole)
		}
		if count[controls(node)]++; count[controls(node)] > 1 {
			name += strconv.Itoa(count[controls(node)])
		}
		if slices.ContainsFunc(node.ExtraPortMappings, func(m v1alpha4.PortMapping) bool { return int(m.HostPort) == port }) {
			return name
		}
	}
	return ""
}

// atFile turns the decoder's complaints, "line 3: …", into one line each with the file in front.
func atFile(file string, err error) error {
	var wrong *yaml.TypeError
	complaints := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if errors.As(err, &wrong) {
		complaints = wrong.Errors
	}
	problems := make([]error, len(complaints))
	for i, complaint := range complaints {
		if at, what, ok := strings.Cut(strings.TrimPrefix(complaint, "line "), ": "); ok && strings.HasPrefix(complaint, "line ") {
			problems[i] = fmt.Errorf("%s:%s: %s", file, at, what)
		} else {
			problems[i] = fmt.Errorf("%s: %s", file, complaint)
		}
	}
	return errors.Join(problems...)
}

// signature is what a cluster is remembered to have been made from: the configuration, ports included, and the node image.
type signature struct {
	Image  string            `json:"image,omitempty"`
	Config *v1alpha4.Cluster `json:"config"`
}

func (s signature) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // plain data: a bug, not a user's mistake
	}
	return string(text)
}

// configOf returns the configuration of a signature's text, nil where it has none.
func configOf(made string) *v1alpha4.Cluster {
	var was signature
	_ = json.Unmarshal([]byte(made), &was)
	return was.Config
}

// differences says in which settings a cluster that was made from the given signature is not what is wanted now.
func (s signature) differences(made string) []string {
	var was signature
	if err := json.Unmarshal([]byte(made), &was); err != nil || was.Config == nil {
		return nil // made by somebody else: nothing is known of how
	}
	var now signature // as it reads after the same round trip
	_ = json.Unmarshal([]byte(s.String()), &now)
	var differences []string
	if was.Image != now.Image {
		differences = append(differences, fmt.Sprintf("the node image was %s, is now %s", orDefault(was.Image), orDefault(now.Image)))
	}
	if len(was.Config.Nodes) == len(now.Config.Nodes) {
		for i := range now.Config.Nodes {
			before, after := was.Config.Nodes[i].ExtraPortMappings, now.Config.Nodes[i].ExtraPortMappings
			if !reflect.DeepEqual(before, after) {
				differences = append(differences, fmt.Sprintf("the ports were %s, are now %s", ports(before), ports(after)))
			}
			was.Config.Nodes[i].ExtraPortMappings, now.Config.Nodes[i].ExtraPortMappings = nil, nil
		}
	}
	if !reflect.DeepEqual(was.Config, now.Config) {
		differences = append(differences, "kind/cluster.yaml has changed")
	}
	return differences
}

func orDefault(image string) string {
	if image == "" {
		return "kind's default"
	}
	return image
}

func ports(mappings []v1alpha4.PortMapping) string {
	var texts []string
	for _, m := range mappings {
		texts = append(texts, fmt.Sprintf("%s:%d→%d", m.ListenAddress, m.HostPort, m.ContainerPort))
	}
	return strings.Join(texts, " ")
}

// kubernetesTag is the version in a node image's tag.
var kubernetesTag = regexp.MustCompile(`:(v\d+\.\d+\.\d+)`)

// KubernetesVersion returns the version of Kubernetes that a node image has, as v1.37.0, by its tag; for an image without such a tag, and for
// none, that of kind's default.
func KubernetesVersion(nodeImage string) string {
	for _, image := range []string{nodeImage, defaults.Image} {
		if found := kubernetesTag.FindStringSubmatch(image); found != nil {
			return found[1]
		}
	}
	return ""
}
