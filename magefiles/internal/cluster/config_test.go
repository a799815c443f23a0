package cluster

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
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

func TestThePortsAreThoseOfTheFirstNodeThatMapsThem(t *testing.T) {
	const mapping = ", extraPortMappings: [{containerPort: 80, hostPort: 80}, {containerPort: 443, hostPort: 443}]"
	for name, test := range map[string]struct{ nodes, http, https string }{
		"one node":              {"", "k-control-plane", "k-control-plane"},
		"nobody":                {"[{role: worker}, {role: control-plane}]", "k-control-plane", "k-control-plane"},
		"a worker":              {"[{role: control-plane}, {role: worker}, {role: worker" + mapping + "}]", "k-worker2", "k-worker2"},
		"another control plane": {"[{role: control-plane}, {role: worker}, {role: control-plane}, {role: control-plane" + mapping + "}]", "k-control-plane3", "k-control-plane3"},
		"without a role":        {"[{role: worker}, {}, {role: control-plane" + mapping + "}]", "k-control-plane2", "k-control-plane2"},
		"one of the two":        {"[{role: control-plane}, {role: worker, extraPortMappings: [{containerPort: 443}]}]", "k-control-plane", "k-worker"},
		"two, with other ports": {"[{role: worker" + mapping + "}, {role: control-plane, extraPortMappings: [{containerPort: 80, hostPort: 81}]}]", "k-worker", "k-worker"},
	} {
		config, err := ParseConfig([]byte(head+"nodes: "+test.nodes+"\n"), "f", 8080, 8443)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l := &look{options: Options{Name: "k", Config: config}}
		if http, https := l.Publisher(8080), l.Publisher(8443); http != test.http || https != test.https {
			t.Errorf("%s: %s and %s", name, http, https)
		}
	}
}

func TestThePortsNodeIsWhereTheClusterHasItNotWhereTheFileHasItNow(t *testing.T) {
	config := func(nodes string) *v1alpha4.Cluster {
		parsed, err := ParseConfig([]byte(head+"nodes: "+nodes+"\n"), "f", 8080, 8443)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	now := config("[{role: control-plane}, {role: worker}]")
	was := config("[{role: control-plane}, {role: worker, extraPortMappings: [{containerPort: 80}, {containerPort: 443}]}]")
	l := &look{options: Options{Name: "k", Config: now}}
	l.made.Store(configOf(signature{"", was}.String()))
	if got := l.Publisher(8080); got != "k-worker" {
		t.Errorf("%s", got)
	}
	l.made.Store(configOf("made by somebody else"))
	if got := l.Publisher(8080); got != "k-control-plane" {
		t.Errorf("a cluster of which nothing is known: %s", got)
	}
	if got := l.Publisher(9); got != "k-control-plane" {
		t.Errorf("a port that no node has: %s", got)
	}
	if got := (&look{options: Options{Name: "k"}}).Publisher(80); got != "k-control-plane" {
		t.Errorf("without a file: %s", got)
	}
}

func TestSeveralControlPlanesElectTheirLeaders(t *testing.T) {
	const patch = `- {op: add, path: /controllerManager/extraArgs/-, value: {name: leader-elect, value: "false"}}
- {op: add, path: /controllerManager/extraArgs/-, value: {name: kube-api-qps, value: "200"}}
- {op: add, path: /scheduler/extraArgs, value: [{name: leader-elect, value: "false"}, {name: v, value: "2"}]}
- {op: add, path: /scheduler/extraArgs/-, value: {name: leader-elect, value: "true"}}
- {op: remove, path: /dns}
`
	made := func(nodes string, patches ...string) []string {
		config, err := ParseConfig([]byte(head+"nodes: "+nodes+"\n"), "f", 8080, 8443)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range patches {
			config.KubeadmConfigPatchesJSON6902 = append(config.KubeadmConfigPatchesJSON6902, v1alpha4.PatchJSON6902{Kind: "ClusterConfiguration", Patch: p})
		}
		var texts []string
		for _, p := range (Options{Config: config}).forHost(Info{}).KubeadmConfigPatchesJSON6902 {
			texts = append(texts, p.Patch)
		}
		if len(patches) > 0 && config.KubeadmConfigPatchesJSON6902[0].Patch != patches[0] {
			t.Error("the user's configuration was changed")
		}
		return texts
	}
	const elected = `[{"op":"add","path":"/controllerManager/extraArgs/-","value":{"name":"kube-api-qps","value":"200"}},` +
		`{"op":"add","path":"/scheduler/extraArgs","value":[{"name":"v","value":"2"}]},` +
		`{"op":"add","path":"/scheduler/extraArgs/-","value":{"name":"leader-elect","value":"true"}},{"op":"remove","path":"/dns"}]`
	three := "[{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: worker}]"
	if got := made(three, patch, "no list"); got[0] != elected || got[1] != "no list" {
		t.Errorf("%s", got)
	}
	if got := made("[{role: control-plane}, {role: worker}]", patch); got[0] != patch {
		t.Errorf("one control plane: %s", got)
	}
}

// kind takes the taint from a node that is alone: https://kind.sigs.k8s.io/docs/user/configuration/#nodes.
func TestControlPlanesTakePodsWhereThereIsNoWorker(t *testing.T) {
	for nodes, want := range map[string]int{
		"[{role: control-plane}]": 0, "[{role: control-plane}, {role: control-plane}]": 2, "[{role: control-plane}, {role: control-plane}, {role: worker}]": 0,
	} {
		config, err := ParseConfig([]byte(head+"nodes: "+nodes+"\n"), "f", 8080, 8443)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Options{Config: config}).forHost(Info{}).KubeadmConfigPatches; len(got) != want {
			t.Errorf("%s: %q", nodes, got)
		}
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

func TestAHostPortThatIsSetOtherwiseIsFoundWhereTheUserHasWrittenOne(t *testing.T) {
	const file = head + "nodes:\n- role: control-plane\n  extraPortMappings: [%s]\n"
	for mappings, want := range map[string]string{
		"":                    "",
		"{containerPort: 80}": "",
		"{containerPort: 80, hostPort: 80}, {containerPort: 443, hostPort: 443}":               "",
		"{containerPort: 80, hostPort: 8080}, {containerPort: 443, hostPort: 8443}":            "",
		"{containerPort: 80, hostPort: 90}, {containerPort: 443, hostPort: 94}":                ":90→80 :94→443",
		"{containerPort: 443, hostPort: 80}, {containerPort: 80, hostPort: 90, protocol: UDP}": ":80→443",
		"{containerPort: 30080, hostPort: 90}":                                                 "",
		"[":                                                                                    "",
	} {
		if got := ports(Replaced(fmt.Appendf(nil, file, mappings), 8080, 8443)); got != want {
			t.Errorf("%s: %s", mappings, got)
		}
	}
}
