package cluster

import (
	"strings"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

const head = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"

func TestParseConfigMapsThePortsThatTheUserHasSet(t *testing.T) {
	config, err := ParseConfig([]byte(head+"nodes:\n- role: control-plane\n  extraPortMappings:\n  - {containerPort: 443, hostPort: 443, protocol: UDP}\n  - {containerPort: 80, hostPort: 80, listenAddress: 127.0.0.1}\n"), "f", 8080, 8443)
	if err != nil {
		t.Fatal(err)
	}
	got := ports(config.Nodes[0].ExtraPortMappings)
	if got != ":443→443 127.0.0.1:8080→80 127.0.0.1:8443→443" {
		t.Error(got)
	}
}

func TestParseConfigNamesEveryMistakeWithItsLine(t *testing.T) {
	_, err := ParseConfig([]byte(head+"nodes:\n- role: control-plane\n  extraPortMapping: []\nnetworkin: {}\n"), "kind/cluster.yaml", 80, 443)
	if err == nil || !strings.Contains(err.Error(), "kind/cluster.yaml:5: field extraPortMapping not found") || !strings.Contains(err.Error(), "kind/cluster.yaml:6: field networkin not found") {
		t.Error(err)
	}
	if _, err := ParseConfig([]byte("kind: Deployment\n"), "f", 80, 443); err == nil || !strings.Contains(err.Error(), "kind: Cluster") {
		t.Error(err)
	}
}

func TestDifferencesAreSaidInTheUsersWords(t *testing.T) {
	parse := func(text string, port int) *v1alpha4.Cluster {
		config, err := ParseConfig([]byte(head+text), "f", port, 443)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	made := signature{"", parse("", 80)}.String()
	for _, test := range []struct {
		now  signature
		want string
	}{
		{signature{"", parse("", 80)}, ""},
		{signature{"", parse("", 8080)}, "the ports were 127.0.0.1:80→80 127.0.0.1:443→443, are now 127.0.0.1:8080→80 127.0.0.1:443→443"},
		{signature{"kindest/node:v1.37.0", parse("", 80)}, "the node image was kind's default, is now kindest/node:v1.37.0"},
		{signature{"", parse("networking: {ipFamily: ipv6}\n", 80)}, "kind/cluster.yaml has changed"},
	} {
		if got := strings.Join(test.now.differences(made), "|"); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if got := (signature{"", parse("", 80)}).differences("made by somebody else"); got != nil {
		t.Error(got)
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
