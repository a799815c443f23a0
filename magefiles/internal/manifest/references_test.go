package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
)

// now is the time of all tests.
var now = time.Date(2030, 1, 15, 12, 0, 0, 0, time.UTC)

// chart is what the chart renders, as far as it matters.
const chart = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: traefik}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: v1
kind: Service
metadata: {name: traefik}
spec: {selector: {app: traefik}, ports: [{name: traefik, port: 9000, targetPort: traefik}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: traefik, namespace: traefik}
spec:
  selector: {matchLabels: {app: traefik}}
  template:
    metadata: {labels: {app: traefik}}
    spec:
      containers:
        - name: traefik
          args: ["--entryPoints.web.address=:8000/tcp", "--entrypoints.more.address=:7000", "--metrics.endpoint=otel:4317"]
          ports: [{name: web, containerPort: 8000}, {name: websecure, containerPort: 8443}]
`

// takingTLS is the same with the argument without which there are no listeners of TLS or TCP.
var takingTLS = strings.Replace(chart, "args: [", `args: ["--providers.kubernetesGateway.experimentalChannel=true", `, 1)

// edge is a Gateway that takes routes from everywhere, web an application in namespace demo.
const (
	edge = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: infra}
spec: {gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}
`
	web = `
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: demo}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}
`
)

func decoded(t testing.TB, text, source string) []kube.Object {
	t.Helper()
	objects, err := kube.Decode([]byte(text), source)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// judged are the problems of a folder, a line each: the verdict, where, what, and what to write.
func judged(t testing.TB, folder, provided string) []string {
	t.Helper()
	return linesOf(t, References(decoded(t, folder, "m.yaml"), decoded(t, provided, ""), implementation.Traefik, now))
}

// linesOf are the lines of problems.
func linesOf(t testing.TB, problems []Problem) []string {
	t.Helper()
	var lines []string
	for _, p := range problems {
		if p.Remedy == "" {
			t.Errorf("nothing says what to write: %s", p)
		}
		lines = append(lines, fmt.Sprintf("%s: %s; %s", p.Verdict, p, p.Remedy))
	}
	return lines
}

// expect compares what was found with what should be: for each problem, parts of its line between asterisks.
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("found %d problems, not %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i, line := range got {
		for part := range strings.SplitSeq(want[i], "*") {
			_, rest, ok := strings.Cut(line, part)
			if !ok {
				t.Errorf("%s\ndoes not say %q", got[i], want[i])
				break
			}
			line = rest
		}
	}
}

// object is a manifest of one object, after a separator.
func object(group, kind, namespace, name, spec string) string {
	return fmt.Sprintf("\n---\n{apiVersion: %s, kind: %s, metadata: {name: %s, namespace: %s}, spec: {%s}}\n", group, kind, name, namespace, spec)
}

func httpRoute(name, spec string) string {
	return object("gateway.networking.k8s.io/v1", "HTTPRoute", "demo", name, spec)
}

func gatewayOf(listeners string) string {
	return object("gateway.networking.k8s.io/v1", "Gateway", "infra", "edge", "gatewayClassName: traefik, listeners: ["+listeners+"]")
}

func namespaceWith(name, labels string) string {
	return fmt.Sprintf("\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s}}}\n", name, labels)
}

const (
	toEdge = "parentRefs: [{name: edge, namespace: infra}]"
	toWeb  = "rules: [{backendRefs: [{name: web, port: 80}]}]"
)

func TestSoundManifestsHaveNoProblem(t *testing.T) {
	expect(t, judged(t, edge+web+httpRoute("r", toEdge+", hostnames: [a.x], "+toWeb), chart))
	expect(t, judged(t, edge+web+httpRoute("r", toEdge+", hostnames: [a.x], "+toWeb), ""))
}

func TestARoutesParentIsAListenerThatTakesIt(t *testing.T) {
	const from = "allowedRoutes: {namespaces: {from: "
	for _, test := range []struct {
		name, folder, want string
	}{
		{"none", edge + httpRoute("r", "hostnames: [a.x]"), "broken: m.yaml:*: HTTPRoute/demo/r: spec.parentRefs: it has no parentRefs"},
		{"in another namespace", edge + httpRoute("r", "parentRefs: [{name: edge}]"),
			"broken*spec.parentRefs[0].name: there is no Gateway/demo/edge in the manifests, but there is Gateway/infra/edge; write namespace: infra"},
		{"nearly the name", edge + httpRoute("r", "parentRefs: [{name: egde, namespace: infra}]"), "there is Gateway/infra/edge; write name: edge"},
		{"no such Gateway", edge + httpRoute("r", "parentRefs: [{name: traefik, namespace: infra}]"), "broken*no Gateway/infra/traefik*name one that there is: Gateway/infra/edge"},
		{"no Gateway at all", httpRoute("r", toEdge), "broken*write the Gateway into the manifests"},
		{"the chart's own", httpRoute("r", "parentRefs: [{name: chart, namespace: traefik}]") + "\n---\n" +
			"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: chart, namespace: traefik}}", ""},
		{"a listener that is not there", edge + httpRoute("r", "parentRefs: [{name: edge, namespace: infra, sectionName: wbe}]"),
			"broken*spec.parentRefs[0].sectionName: Gateway/infra/edge has no listener wbe: it has web; write sectionName: web"},
		{"a port without a listener", edge + httpRoute("r", "parentRefs: [{name: edge, namespace: infra, port: 80}]"),
			"broken*spec.parentRefs[0].port: Gateway/infra/edge has no such listener at port 80: it has web (8000); write port: 8000"},
		{"a Service", web + httpRoute("r", "parentRefs: [{group: '', kind: Service, name: web}]"),
			"warns*spec.parentRefs[0]: its parent Service/demo/web is no Gateway: Traefik serves no mesh"},
		{"another kind", httpRoute("r", "parentRefs: [{group: example.com, kind: Mesh, name: web}]"), ""},
		{"a protocol of another kind", edge + object("gateway.networking.k8s.io/v1alpha2", "TCPRoute", "demo", "r", toEdge),
			"broken*spec.parentRefs[0]: no listener of Gateway/infra/edge takes a TCPRoute: web (protocol HTTP); name a listener for it, of the protocol TCP"},
		{"a protocol that the specification does not know", gatewayOf("{name: own, port: 8000, protocol: example.com/own, "+from+"All}}}") +
			object("gateway.networking.k8s.io/v1alpha2", "TCPRoute", "demo", "r", toEdge), ""},
		{"a kind that is not allowed", gatewayOf("{name: web, port: 8000, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}], namespaces: {from: All}}}") + httpRoute("r", toEdge),
			"broken*takes a HTTPRoute: web (protocol HTTP, allowedRoutes.kinds GRPCRoute)*with {kind: HTTPRoute}"},
		{"a kind that is allowed", gatewayOf("{name: web, port: 8000, protocol: HTTP, allowedRoutes: {kinds: [{kind: HTTPRoute}], namespaces: {from: All}}}") + httpRoute("r", toEdge), ""},
		{"only its own namespace", gatewayOf("{name: web, port: 8000, protocol: HTTP}") + httpRoute("r", toEdge),
			"broken*takes routes from namespace demo: web (only from its own namespace infra)*from: All"},
		{"a selector that the namespace does not meet", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector, selector: {matchLabels: {tenant: 'yes'}}}}}") +
			namespaceWith("demo", "") + httpRoute("r", toEdge), "broken*from namespace demo: web (only from namespaces with the labels tenant=yes, and it has kubernetes.io/metadata.name=demo)"},
		{"a selector that it meets", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector, selector: {matchLabels: {tenant: 'yes'}}}}}") +
			namespaceWith("demo", "tenant: 'yes'") + httpRoute("r", toEdge), ""},
		{"a selector by the name", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector, selector: {matchLabels: {kubernetes.io/metadata.name: demo}}}}}") +
			namespaceWith("demo", "") + httpRoute("r", toEdge), ""},
		{"a namespace of which nothing is known", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector, selector: {matchLabels: {tenant: 'yes'}}}}}") + httpRoute("r", toEdge), ""},
		{"but its name", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector, selector: {matchLabels: {kubernetes.io/metadata.name: other}}}}}") + httpRoute("r", toEdge),
			"broken*only from namespaces with the labels kubernetes.io/metadata.name=other"},
		{"no selector", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector}}}") + httpRoute("r", toEdge), "broken*(from: Selector, and no selector)"},
		{"a selector that says nothing", gatewayOf("{name: web, port: 8000, protocol: HTTP, "+from+"Selector, selector: {matchExpressions: [{key: a, operator: Odd}]}}}}") + httpRoute("r", toEdge), ""},
		{"hostnames that do not meet", gatewayOf("{name: web, port: 8000, protocol: HTTP, hostname: '*.x', "+from+"All}}}") + httpRoute("r", toEdge+", hostnames: [a.y, x]"),
			"broken*none of its hostnames (a.y, x) is one that Gateway/infra/edge has a listener for: web (*.x)"},
		{"one that does not", gatewayOf("{name: web, port: 8000, protocol: HTTP, hostname: '*.x', "+from+"All}}}") + httpRoute("r", toEdge+", hostnames: [a.x, a.y]"),
			"warns*spec.hostnames[1]: no listener of its parents is for a.y: web (*.x)"},
		{"one that another parent may be for", gatewayOf("{name: web, port: 8000, protocol: HTTP, hostname: '*.x', "+from+"All}}}") +
			httpRoute("r", "parentRefs: [{name: edge, namespace: infra}, {group: example.com, kind: Mesh, name: m}], hostnames: [a.x, a.y]"), ""},
		{"no hostnames", gatewayOf("{name: web, port: 8000, protocol: HTTP, hostname: '*.x', "+from+"All}}}") + httpRoute("r", toEdge), ""},
		{"what cannot be read", edge + object("gateway.networking.k8s.io/v1alpha2", "TCPRoute", "demo", "r", "parentRefs: no"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expect(t, judged(t, test.folder, chart+"\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: other}}"), want...)
		})
	}
}

func TestWithoutTheChartAGatewayThatIsNotThereMayBeTheCharts(t *testing.T) {
	expect(t, judged(t, httpRoute("r", "parentRefs: [{name: traefik-gateway, namespace: traefik}]"), ""))
	expect(t, judged(t, edge+httpRoute("r", "parentRefs: [{name: edge}]"), ""), "warns*but there is Gateway/infra/edge")
}

func TestAGatewaysClassPortsAndCertificatesAreThere(t *testing.T) {
	class := func(name, listeners string) string {
		return object("gateway.networking.k8s.io/v1", "Gateway", "infra", "edge", "gatewayClassName: "+name+", listeners: ["+listeners+"]")
	}
	const listener = "{name: web, port: 8000, protocol: HTTP}"
	for _, test := range []struct {
		name, folder, chart string
		want                []string
	}{
		{"a class that is not there", class("example", listener), chart, []string{"broken*spec.gatewayClassName: there is no GatewayClass/example*; write gatewayClassName: traefik"}},
		{"nothing is known of the chart", class("example", "{name: web, port: 80, protocol: HTTP}"), "", nil},
		{"no class of ours", class("example", listener), namespaceWith("traefik", ""), []string{"name a GatewayClass with controllerName: traefik.io/gateway-controller"}},
		{"a class of another controller", class("other", "{name: web, port: 80, protocol: HTTP}") +
			"\n---\n{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: other}, spec: {controllerName: example.com/c}}", chart,
			[]string{"warns*spec.gatewayClassName: Traefik does not serve it: GatewayClass/other is of another controller; write gatewayClassName: traefik"}},
		{"the clients' port", class("traefik", "{name: web, port: 80, protocol: HTTP}"), chart,
			[]string{"broken: m.yaml:*spec.listeners[0].port: listener web: Traefik has no entry point at port 80; its entry points are 7000, 8000 (web), 8443 (websecure); write port: 8000, which clients reach at port 80"}},
		{"another port", class("traefik", "{name: web, port: 8081, protocol: HTTP}"), chart, []string{"no entry point at port 8081*or add an entry point"}},
		{"an entry point by its address", class("traefik", "{name: web, port: 7000, protocol: HTTP}"), chart, nil},
		{"a class and a port", class("example", "{name: web, port: 443, protocol: HTTP}"), chart, []string{"GatewayClass/example", "write port: 8443"}},
		{"HTTPS without a certificate", class("traefik", "{name: tls, port: 8443, protocol: HTTPS}"), chart, []string{"broken*spec.listeners[0]: listener tls has the protocol HTTPS and no certificate"}},
		{"a protocol that only an argument makes it take", class("traefik", "{name: db, port: 8443, protocol: TCP}"), chart,
			[]string{"broken: m.yaml:*spec.listeners[0].protocol: listener db: Traefik takes listeners of the protocol TCP only with --providers.kubernetesgateway.experimentalchannel; take*"}},
		{"a protocol that it is set up for", class("traefik", "{name: db, port: 8443, protocol: TCP}"),
			takingTLS, nil},
		{"a protocol that it does not take", class("traefik", "{name: raw, port: 8000, protocol: UDP}"), chart, []string{"broken*listener raw: Traefik takes no listeners of the protocol UDP; take the listener out"}},
		{"a protocol, of a chart that is not at hand", class("traefik", "{name: raw, port: 8000, protocol: UDP}"), "", nil},
		{"a Gateway that cannot be read", class("traefik", "no"), chart, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "a Gateway that cannot be read" {
				objects := decoded(t, class("traefik", listener), "m.yaml")
				objects[0].Object["spec"].(map[string]any)["listeners"] = "no"
				if problems := References(objects, decoded(t, chart, ""), implementation.Traefik, now); len(problems) > 0 {
					t.Error(problems)
				}
				return
			}
			expect(t, judged(t, test.folder, test.chart), test.want...)
		})
	}
}

func TestWhatAnAPIServerWroteMeansNothingInAnotherCluster(t *testing.T) {
	expect(t, judged(t, `
apiVersion: v1
kind: ConfigMap
metadata: {name: orphan, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: gone, uid: 1-2-3}]}
---
apiVersion: v1
kind: Service
metadata: {name: dumped}
spec: {clusterIP: 10.96.1.2, clusterIPs: [10.96.1.2]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, clusterIPs: [None]}
`, ""), "warns: m.yaml:4: ConfigMap/orphan: metadata.ownerReferences[0]: its owner Deployment/gone*", "warns*Service/dumped: spec.clusterIPs: 10.96.1.2 is*take spec.clusterIP and")
}
