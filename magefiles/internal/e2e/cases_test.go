package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// reported is an application and routes as people report them: some work, some do not, and each for a reason of its own. Of the two Services of
// same-pods both select the same pod, canary's targetPort is no port of the pod, and plain's port makes Traefik speak TLS.
var reported = `
apiVersion: v1
kind: Namespace
metadata: {name: case}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: case}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "traefik/whoami:v1.11.0", ports: [{name: http, containerPort: 80}], readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}}]}
` + servicesOfWeb + routesOfWeb

const servicesOfWeb = `---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: case}
spec: {selector: {app: web}, clusterIP: 10.96.77.77, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: case}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: canary, namespace: case}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: case}
spec: {selector: {app: web}, ports: [{name: http, port: 443, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: case}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside, namespace: case, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints: [{addresses: [10.96.77.77], conditions: {ready: true}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: for-nobody, namespace: case}
spec:
  targetRefs: [{group: "", kind: Service, name: none}]
  validation: {hostname: case.test, wellKnownCACertificates: System}
`

// routesOfWeb are one route for each name, on the host of this name.
var routesOfWeb = caseRoute("same-pods", "", "{backendRefs: [{name: web, port: 80}, {name: alias, port: 80}]}") +
	caseRoute("canary", "", "{backendRefs: [{name: web, port: 80, weight: 90}, {name: canary, port: 80, weight: 10}]}") +
	caseRoute("plain", "", "{backendRefs: [{name: plain, port: 443}]}") +
	caseRoute("outside", "", "{backendRefs: [{name: outside, port: 80}]}") +
	caseRoute("mirror", "", "{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}], backendRefs: [{name: web, port: 80}]}") +
	caseRoute("limited", "", "{timeouts: {request: 1s}, backendRefs: [{name: web, port: 80}]}") +
	strings.Replace(caseRoute("mesh", "", "{backendRefs: [{name: web, port: 80}]}"), "sectionName: web}]", `sectionName: web}, {group: "", kind: Service, name: web, port: 80}]`, 1) +
	caseRoute("orders", "kindgate/probe: \"POST /orders 200\\nX-Tenant: a\\nGET /orders/7 201\"", "{matches: [{path: {value: /orders}, method: POST, headers: [{name: X-Tenant, value: a}]}], backendRefs: [{name: web, port: 80}]}, "+
		"{matches: [{path: {type: RegularExpression, value: '/orders/[0-9]+'}}], backendRefs: [{name: web, port: 80}]}")

func caseRoute(name, annotations, rules string) string {
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: case, annotations: {%s}}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik, sectionName: web}]
  hostnames: [%[1]s.localhost]
  rules: [%[3]s]
`, name, annotations, rules)
}

func TestOfRoutesAsPeopleReportThemEachIsJudgedByWhatItIs(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.feed(t, reported)
	w.kubectl(t, "rollout status --namespace case deployment/web")
	w.write(t, "manifests/cases.yaml", reported)
	at := func(host, path string) string {
		return fmt.Sprintf("http://%s.localhost:%d%s  ", host, w.httpPort, path)
	}
	wants := []string{
		"✓ " + at("same-pods", "/") + "Service/case/web or Service/case/alias: 1 of 1 pods",
		"✗ " + at("canary", "/") + "2 of 20 requests answered 502 Bad Gateway",
		"✗ " + at("plain", "/") + "500 Internal Server Error instead of an answer of Service/case/plain",
		"Traefik's log says of it: tls: first record does not look like a TLS handshake",
		"✓ " + at("outside", "/") + "Service/case/outside: answered by ",
		"✗ " + at("mirror", "/") + "HTTPRoute/case/mirror, rule 1: Traefik does not implement the filter RequestMirror",
		"! " + at("limited", "/") + "Service/case/web: 1 of 1 pods in 2 requests; timeouts are accepted and ignored by Traefik",
		"! HTTPRoute/case/mesh  Accepted, ResolvedRefs; its parent Service/case/web is no Gateway, and no controller has accepted it there",
		"✓ " + at("mesh", "/") + "Service/case/web: 1 of 1 pods",
		"! BackendTLSPolicy/case/for-nobody  Service/case/none is not there: for that it has no effect",
		fmt.Sprintf("✓ POST http://orders.localhost:%d/orders [X-Tenant: a]  Service/case/web: answered by its pod ", w.httpPort), "200, as kindgate/probe expects",
		"✗ " + at("orders", "/orders/7") + "200 text/plain; charset=utf-8, where kindgate/probe expects 201",
	}
	eventually(t, func() bool { // Traefik has taken all of them over
		for _, host := range []string{"same-pods", "canary", "plain", "outside", "mirror", "limited", "mesh"} {
			if status, _, err := w.get(host+".localhost", "/"); err != nil || status == http.StatusNotFound {
				return false
			}
		}
		status, _, err := w.get("orders.localhost", "/orders/7")
		return err == nil && status != http.StatusNotFound
	})
	out, _ := w.run("verify")
	contains(t, out, wants...)
}
