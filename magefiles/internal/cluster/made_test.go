package cluster

import (
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

func config(t *testing.T, text string) *v1alpha4.Cluster {
	t.Helper()
	parsed, err := ParseConfig([]byte(head+text), "f", 80, 443)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
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

func TestAClusterIsNotDifferentFromItself(t *testing.T) {
	for _, text := range []string{"", everything} {
		made := signature{"image", config(t, text)}
		if got := (signature{"image", config(t, text)}).differences(made.String()); got != nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestEachDifferenceIsNamedOnce(t *testing.T) {
	made := signature{"a", config(t, everything)}.String()
	for old, test := range map[string]struct{ new, want string }{
		"role: worker,":   {"role: control-plane,", "kind/cluster.yaml has changed"},
		"A: true":         {"A: false", "kind/cluster.yaml has changed"},
		"hostPort: 53":    {"hostPort: 54", "the ports were 127.0.0.1:80→80 :53→53 127.0.0.1:443→443, are now 127.0.0.1:80→80 :54→53 127.0.0.1:443→443"},
		"- {role: worker": {"- {role: worker}\n- {role: worker", "kind/cluster.yaml has changed"},
		"networking:":     {"networking:", ""},
	} {
		got := signature{"a", config(t, strings.Replace(everything, old, test.new, 1))}.differences(made)
		if strings.Join(got, "|") != test.want {
			t.Errorf("%s: %q", test.new, got)
		}
	}
	got := signature{"", config(t, "")}.differences(made)
	if len(got) != 2 || got[0] != "the node image was a, is now kind's default" {
		t.Errorf("%q", got)
	}
	for _, unknown := range []string{"", "{}", "null", `{"image":"a"}`, "["} {
		if got := (signature{"a", config(t, "")}).differences(unknown); got != nil {
			t.Errorf("%q: %q", unknown, got)
		}
	}
}

func TestASyntaxErrorIsNamedWithFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		head + "nodes: [\n":        "kind/cluster.yaml:",
		head + "a: b: c\n":         "kind/cluster.yaml:3: mapping values",
		head + "nodes: 3\n":        "kind/cluster.yaml:3: cannot unmarshal",
		head + "name: a\nname: b":  "kind/cluster.yaml:4: ",
		"":                         `kind/cluster.yaml: it must have kind: Cluster`,
		"just text":                "kind/cluster.yaml:1: cannot unmarshal",
		"kind: Cluster\nname: k\n": `not "Cluster" and ""`,
	} {
		if _, err := ParseConfig([]byte(text), "kind/cluster.yaml", 80, 443); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
