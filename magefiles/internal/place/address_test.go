package place

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var object T
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

const (
	loadBalancer = `{metadata: {name: traefik, namespace: infra}, spec: {clusterIPs: [10.96.0.9], ports: [{name: web, port: 80, targetPort: web, protocol: TCP}]},
		status: {loadBalancer: {ingress: [{ip: 172.18.0.5}]}}}`
	endpoints = `{metadata: {name: traefik-1, namespace: infra, labels: {kubernetes.io/service-name: traefik}}, addressType: IPv4, ports: [{name: web, port: 8000}],
		endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}, targetRef: {kind: Pod, name: starting}}, {addresses: [10.0.0.2]},
		{addresses: [10.0.0.3], conditions: {ready: true}, targetRef: {kind: Pod, name: traefik-x}}]}`
	dataPlane = `{metadata: {name: traefik-x, namespace: infra, labels: {app: traefik}}, spec: {containers: [{name: c, ports: [{containerPort: 8000}]}]},
		status: {conditions: [{type: Ready, status: "True"}]}}`
)

func TestAListenerIsReachedByTheServiceThatHasTheGatewaysAddress(t *testing.T) {
	for name, test := range map[string]struct {
		address, service, slice, pod string
		listener                     int32
		want                         Target
	}{
		"at the listener's own port": {"172.18.0.5", loadBalancer, endpoints, dataPlane, 80,
			Target{80, []string{"172.18.0.5:80"}, "infra", "traefik-x", 8000, "Service/infra/traefik"}},
		"at the Service's port that leads to the listener's": {"172.18.0.5", loadBalancer, endpoints, dataPlane, 8000,
			Target{80, []string{"172.18.0.5:80"}, "infra", "traefik-x", 8000, "Service/infra/traefik"}},
		"by a cluster address": {"10.96.0.9", loadBalancer, endpoints, dataPlane, 8000,
			Target{80, []string{"10.96.0.9:80"}, "infra", "traefik-x", 8000, "Service/infra/traefik"}},
		"by the Service's name": {"traefik.infra.svc.cluster.local", loadBalancer, endpoints, dataPlane, 8000,
			Target{80, []string{"traefik.infra.svc.cluster.local:80"}, "infra", "traefik-x", 8000, "Service/infra/traefik"}},
		"without a ready endpoint, by its number": {"172.18.0.5",
			"{metadata: {name: traefik, namespace: infra}, spec: {externalIPs: [172.18.0.5], ports: [{port: 443, protocol: UDP, targetPort: 8000}, {port: 80, targetPort: 8000}]}}",
			"{addressType: IPv4}", "{}", 8000, Target{80, []string{"172.18.0.5:80"}, "", "", 0, "Service/infra/traefik"}},
		"by the label of its Gateway": {"",
			"{metadata: {name: envoy-1, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: gw}}, spec: {ports: [{port: 80, targetPort: 10080}]}}",
			"{metadata: {namespace: shop, labels: {kubernetes.io/service-name: envoy-1}}, addressType: IPv4, ports: [{port: 10080}], endpoints: [{addresses: [a], conditions: {ready: true}, targetRef: {kind: Pod, name: envoy-x}}]}",
			"{}", 80, Target{80, nil, "shop", "envoy-x", 10080, "Service/shop/envoy-1"}},
		"by the pods that are known to be the data plane's": {"10.1.1.1",
			"{metadata: {name: t, namespace: infra}, spec: {selector: {app: traefik}, ports: [{name: web, port: 80}]}}",
			"{metadata: {namespace: infra, labels: {kubernetes.io/service-name: t}}, addressType: IPv4, ports: [{name: web, port: 8000}], endpoints: [{addresses: [a], conditions: {ready: true}, targetRef: {kind: Pod, name: traefik-x}}]}",
			dataPlane, 8000, Target{80, []string{"10.1.1.1:80"}, "infra", "traefik-x", 8000, "Service/infra/t"}},
		"at a node's address, by the port on nodes": {"172.18.0.2",
			"{metadata: {name: t, namespace: infra}, spec: {selector: {app: traefik}, ports: [{name: web, port: 80, nodePort: 30080}]}}",
			"{metadata: {namespace: infra, labels: {kubernetes.io/service-name: t}}, addressType: IPv4, ports: [{name: web, port: 8000}], endpoints: [{addresses: [a], conditions: {ready: true}, targetRef: {kind: Pod, name: traefik-x}}]}",
			"{metadata: {name: traefik-x, namespace: infra, labels: {app: traefik}}, status: {hostIPs: [{ip: 172.18.0.2}]}}", 8000,
			Target{80, []string{"172.18.0.2:30080"}, "infra", "traefik-x", 8000, "Service/infra/t"}},
		"at a node's address that is the Service's, by its port": {"172.18.0.2",
			"{metadata: {name: t, namespace: infra}, spec: {externalIPs: [172.18.0.2], selector: {app: traefik}, ports: [{name: web, port: 8000, nodePort: 30080}]}}",
			"{addressType: IPv4}", "{metadata: {name: x, namespace: infra, labels: {app: traefik}}, status: {hostIPs: [{ip: 172.18.0.2}]}}", 8000,
			Target{8000, []string{"172.18.0.2:8000"}, "", "", 0, "Service/infra/t"}},
		"without a Service, by such a pod": {"10.1.1.1", "{metadata: {name: other, namespace: infra}, spec: {selector: {app: other}}}", "{addressType: IPv4}", dataPlane, 8000,
			Target{8000, []string{"10.1.1.1:8000"}, "infra", "traefik-x", 8000, ""}},
		"not by a pod that is not ready": {"10.1.1.1", "{}", "{addressType: IPv4}", "{metadata: {labels: {app: traefik}}, spec: {containers: [{name: c, ports: [{containerPort: 8000}]}]}}", 8000,
			Target{8000, []string{"10.1.1.1:8000"}, "", "", 0, ""}},
		"and not at this machine, which is not the cluster's": {"127.0.0.1", "{}", "{addressType: IPv4}", dataPlane, 8000,
			Target{8000, nil, "infra", "traefik-x", 8000, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			gw := parse[gatewayv1.Gateway](t, "{metadata: {name: gw, namespace: shop}}")
			if test.address != "" {
				gw.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Value: test.address}}
			}
			facts := Facts{Services: []corev1.Service{parse[corev1.Service](t, test.service)}, Slices: []discoveryv1.EndpointSlice{parse[discoveryv1.EndpointSlice](t, test.slice)},
				Pods: []corev1.Pod{parse[corev1.Pod](t, test.pod)}, Runs: func(pod *corev1.Pod) bool { return pod.Labels["app"] == "traefik" }}
			if got := facts.Target(&gw, test.listener); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}
