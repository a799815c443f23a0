package cluster

import (
	"fmt"
	"strings"
	"testing"
)

const head = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"

func TestParseConfigMapsThePortsThatTheUserHasSet(t *testing.T) {
	const mappings = `nodes:
- role: control-plane
  extraPortMappings:
  - {containerPort: 443, hostPort: 443, protocol: UDP}
  - {containerPort: 80, hostPort: 80, listenAddress: 127.0.0.1}
`
	config, err := ParseConfig([]byte(head+mappings), "f", 8080, 8443)
	if err != nil {
		t.Fatal(err)
	}
	got := ports(config.Nodes[0].ExtraPortMappings)
	if got != ":443→443 127.0.0.1:8080→80 127.0.0.1:8443→443" {
		t.Error(got)
	}
}

func TestParseConfigNamesEveryMistakeWithFileAndLine(t *testing.T) {
	for text, wants := range map[string][]string{
		head + "nodes:\n- role: control-plane\n  extraPortMapping: []\nnetworkin: {}\n": {
			"kind/cluster.yaml:5: field extraPortMapping not found", "kind/cluster.yaml:6: field networkin not found",
		},
		head + "nodes: [\n":        {"kind/cluster.yaml:"},
		head + "a: b: c\n":         {"kind/cluster.yaml:3: mapping values"},
		head + "nodes: 3\n":        {"kind/cluster.yaml:3: cannot unmarshal"},
		head + "name: a\nname: b":  {"kind/cluster.yaml:4: "},
		"":                         {"kind/cluster.yaml: it must have kind: Cluster"},
		"just text":                {"kind/cluster.yaml:1: cannot unmarshal"},
		"kind: Deployment\n":       {"kind/cluster.yaml: it must have kind: Cluster", `not "Deployment" and ""`},
		"kind: Cluster\nname: k\n": {`not "Cluster" and ""`},
	} {
		_, err := ParseConfig([]byte(text), "kind/cluster.yaml", 80, 443)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

// everything has a value of every sort that kind's configuration knows.
const everything = `name: k
networking: {ipFamily: dual, apiServerPort: 6443, podSubnet: 10.0.0.0/16, dnsSearch: [], disableDefaultCNI: true}
featureGates: {A: true}
runtimeConfig: {api/all: "true"}
kubeadmConfigPatches: ["kind: KubeletConfiguration"]
kubeadmConfigPatchesJSON6902: [{group: kubeadm.k8s.io, version: v1beta4, kind: ClusterConfiguration, patch: "[]"}]
containerdConfigPatches: ["x = 1"]
nodes:
- role: control-plane
  labels: {a: b}
  extraMounts: [{hostPath: /a, containerPath: /b, propagation: HostToContainer}]
  extraPortMappings: [{containerPort: 80, hostPort: 1, listenAddress: 127.0.0.1}, {containerPort: 53, hostPort: 53, protocol: UDP}]
- {role: worker, image: "kindest/node:v1.37.0"}
`

func TestEachDifferenceIsSaidOnceInTheUsersWordsAndNoneIsFoundInTheSame(t *testing.T) {
	of := func(image, text string, port int) signature {
		t.Helper()
		config, err := ParseConfig([]byte(head+text), "f", port, 443)
		if err != nil {
			t.Fatal(err)
		}
		return signature{image, config}
	}
	changed := func(old, new string) signature { return of("a", strings.Replace(everything, old, new, 1), 80) }
	for _, test := range []struct {
		made, now signature
		want      string
	}{
		{of("", "", 80), of("", "", 80), ""},
		{of("", "", 80), of("", "", 8080),
			"the ports were 127.0.0.1:80→80 127.0.0.1:443→443, are now 127.0.0.1:8080→80 127.0.0.1:443→443"},
		{of("", "", 80), of("kindest/node:v1.37.0", "", 80), "the node image was kind's default, is now kindest/node:v1.37.0"},
		{of("", "", 80), of("", "networking: {ipFamily: ipv6}\n", 80), "kind/cluster.yaml has changed"},
		{of("a", everything, 80), of("a", everything, 80), ""},
		{of("a", everything, 80), changed("role: worker,", "role: control-plane,"), "kind/cluster.yaml has changed"},
		{of("a", everything, 80), changed("A: true", "A: false"), "kind/cluster.yaml has changed"},
		{of("a", everything, 80), changed("hostPort: 53", "hostPort: 54"),
			"the ports were 127.0.0.1:80→80 :53→53 127.0.0.1:443→443, are now 127.0.0.1:80→80 :54→53 127.0.0.1:443→443"},
		{of("a", everything, 80), changed("- {role: worker", "- {role: worker}\n- {role: worker"), "kind/cluster.yaml has changed"},
		{of("a", everything, 80), of("", "", 80), "the node image was a, is now kind's default|kind/cluster.yaml has changed"},
	} {
		if got := strings.Join(test.now.differences(test.made.String()), "|"); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	for _, unknown := range []string{"made by somebody else", "", "{}", "null", `{"image":"a"}`, "["} {
		if got := of("a", "", 80).differences(unknown); got != nil {
			t.Errorf("%q: %q", unknown, got)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(head))
	f.Add([]byte(head + "nodes: [{role: worker}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if config, err := ParseConfig(data, "f", 80, 443); err == nil && len(config.Nodes) == 0 {
			t.Error("a configuration without nodes")
		}
	})
}

func TestAPortOfThisMachineIsMappedOnce(t *testing.T) {
	const file = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: control-plane\n  extraPortMappings: [%s]\n- role: worker\n  extraPortMappings: [%s]\n"
	for name, test := range map[string]struct{ first, second, wrong string }{
		"other ports":      {"{containerPort: 30080, hostPort: 81}", "{containerPort: 30080, hostPort: 82}", ""},
		"another protocol": {"{containerPort: 30080, hostPort: 8080, protocol: UDP}", "", ""},
		"other addresses":  {"{containerPort: 30080, hostPort: 8080, listenAddress: 127.0.0.2}", "", ""},
		"any port":         {"{containerPort: 30080}, {containerPort: 30081}", "", ""},
		"ours":             {"{containerPort: 30080, hostPort: 8080, protocol: tcp}", "", "port 8080 of this machine is mapped twice: to port 30080 of node 0, and to port 80 of node 0"},
		"on another node":  {"", "{containerPort: 30080, hostPort: 8443, listenAddress: 0.0.0.0}", "port 8443 of this machine is mapped twice: to port 443 of node 0, and to port 30080 of node 1"},
		"with each other":  {"{containerPort: 1, hostPort: 90}", "{containerPort: 2, hostPort: 90}", "port 90 of this machine is mapped twice: to port 1 of node 0, and to port 2 of node 1"},
	} {
		_, err := ParseConfig(fmt.Appendf(nil, file, test.first, test.second), "kind/cluster.yaml", 8080, 8443)
		if (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), "kind/cluster.yaml: "+test.wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
