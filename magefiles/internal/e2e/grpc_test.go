package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
)

// whoamiCalls is a GRPCRoute to an application that is no server of gRPC.
const whoamiCalls = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: demo}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik, sectionName: web}]
  hostnames: [calls.localhost]
  rules: [{matches: [{method: {service: a.B, method: Get}}], backendRefs: [{name: whoami-v1, port: 80}]}]
`

func TestACallThatReachesAnApplicationThatIsNoServerOfGRPCFailsAtTheBackend(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.write(t, "manifests/calls.yaml", whoamiCalls)
	w.feed(t, whoamiCalls)
	url := fmt.Sprintf("http://calls.localhost:%d/a.B/Get", w.httpPort)
	w.fails(t, []string{"✓ GRPCRoute/demo/calls  Accepted, ResolvedRefs", "✗ POST " + url, "The hop that is broken: the backend answers",
		"instead of an answer of Service/demo/whoami-v1", "1 of "}, "verify")
	w.fails(t, []string{"GRPCRoute/demo/calls, rule 1, match 1", "takes it to Service/demo/whoami-v1", "GRPCRoute/demo/calls in the cluster", "the request stops at the backend answers"},
		"explain", url, "-method=POST")
}

func TestThePrioritiesOfTraefiksRoutersForGRPCRoutesAreAsStated(t *testing.T) {
	enterShared(t)
	matches := []string{"{}", "{method: {service: a.B, method: Get}}", "{method: {service: a.B}}", "{method: {method: Get}}",
		"{method: {service: 'a[.]D', method: 'G.*', type: RegularExpression}}",
		`{method: {service: a.C, method: Get}, headers: [{name: x-a, value: b}, {name: x-c, value: 'd"\d', type: RegularExpression}]}`}
	rules := ""
	for _, match := range matches {
		rules += "  - {matches: [" + match + "], backendRefs: [{name: whoami-v1, port: 80}]}\n"
	}
	text := strings.Replace(whoamiCalls, "hostnames: [calls.localhost]", "hostnames: [calls.localhost, '*.longer.localhost']", 1)
	text = text[:strings.Index(text, "  rules:")] + "  rules:\n" + rules
	var route gatewayv1.GRPCRoute
	if err := yaml.Unmarshal([]byte(text), &route); err != nil {
		t.Fatal(err)
	}
	w := up(t)
	w.feed(t, text)
	name := regexp.MustCompile(`^grpcroute-demo-calls-.*-(\d+)-[0-9a-f]+@`)
	got := map[string]int{} // by the rule
	eventually(t, func() bool {
		for _, router := range w.routers() {
			if found := name.FindStringSubmatch(router.Name); found != nil {
				got[found[1]] = router.Priority
			}
		}
		return len(got) == len(matches)
	})
	calls := gateway.FromGRPC(&route)
	for i, rule := range calls.Spec.Rules {
		m := gateway.Match{Route: calls.ID, Longest: len("*.longer.localhost"), Path: *rule.Matches[0].Path, Headers: rule.Matches[0].Headers}
		if want := implementation.Traefik.Order.Priority(&m); got[fmt.Sprint(i)] != want {
			t.Errorf("%s: Traefik has %d, stated is %d", matches[i], got[fmt.Sprint(i)], want)
		}
	}
}
