package stack

import (
	"maps"
	"testing"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"
)

func TestAPortOfThisMachineLeadsToAFurtherEntryPointWhereBothFilesSaySo(t *testing.T) {
	config := Config{HTTPPort: 80, HTTPSPort: 443}
	for _, test := range []struct {
		name, entryPoints, mappings string
		want                        map[int32]int
	}{
		{"none", "", "[]", nil},
		{"one", "{admin: {port: 8100, hostPort: 81}}", "[{containerPort: 81, hostPort: 8081, listenAddress: 127.0.0.1}]", map[int32]int{8100: 8081}},
		{"that is not mapped", "{admin: {port: 8100, hostPort: 81}}", "[{containerPort: 82, hostPort: 8081}]", nil},
		{"that is not on the node", "{admin: {port: 8100}}", "[{containerPort: 8100, hostPort: 8081}]", nil},
		{"on another address", "{admin: {port: 8100, hostPort: 81}}", "[{containerPort: 81, hostPort: 8081, listenAddress: 10.0.0.1}]", nil},
		{"at a port that the engine chooses", "{admin: {port: 8100, hostPort: 81}}", "[{containerPort: 81}]", nil},
		{"of UDP", "{admin: {port: 8100, hostPort: 81}}", "[{containerPort: 81, hostPort: 8081, protocol: UDP}]", nil},
		{"the usual ones", "{web: {port: 8000, hostPort: 80}}", "[{containerPort: 80, hostPort: 8080}]", nil},
		{"what is no entry point", "{web: no, admin: {port: x}}", "[]", nil},
	} {
		in := inputs{kind: &v1alpha4.Cluster{Nodes: []v1alpha4.Node{{}}}}
		mappings := "extraPortMappings: " + test.mappings
		if err := yaml.Unmarshal([]byte(mappings), &in.kind.Nodes[0]); err != nil {
			t.Fatal(err)
		}
		if test.entryPoints != "" {
			if err := yaml.Unmarshal([]byte("ports: "+test.entryPoints), &in.values); err != nil {
				t.Fatal(err)
			}
		}
		want := map[int32]int{8000: 80, 8443: 443}
		maps.Copy(want, test.want)
		if got := in.ports(config); !maps.Equal(got, want) {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	if got := (inputs{values: map[string]any{"ports": map[string]any{"a": map[string]any{"port": 1.0, "hostPort": 2.0}}}}).ports(config); len(got) != 2 {
		t.Errorf("without a file for kind: %v", got)
	}
}

func TestTheDataPlanesWorkloadIsOfTheKindThatTheValuesAskFor(t *testing.T) {
	for values, want := range map[string]string{"deployment: {kind: DaemonSet}": "DaemonSet/traefik/traefik", "deployment: {replicas: 1}": "Deployment/traefik/traefik", "{}": "Deployment/traefik/traefik"} {
		var in inputs
		if err := yaml.Unmarshal([]byte(values), &in.values); err != nil {
			t.Fatal(err)
		}
		if got := in.implementation().Workload.String(); got != want {
			t.Errorf("%s: %s", values, got)
		}
	}
	if serving.Workload.Kind != "DaemonSet" {
		t.Error("what is known of Traefik was changed")
	}
}
