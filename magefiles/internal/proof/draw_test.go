package proof

import (
	"slices"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/gateway"
)

// drawn is a drawing in lines: each node below what leads to it.
func drawn(d *drawing.Drawing) []string {
	var lines []string
	d.Walk(func(depth int, n drawing.Node) {
		lines = append(lines, strings.Repeat("  ", depth)+strings.TrimSpace(n.What+" "+n.Name+" "+string(n.Verdict)+" "+n.Found))
	})
	return lines
}

func TestADrawingLeadsFromEachGatewayToTheEndpointsOfItsServices(t *testing.T) {
	w := whole(t)
	w.snapshot.Slices[1].Endpoints = nil
	promises := append(w.proof.Conditions(w.snapshot), w.proof.Requests(w.snapshot)...)
	found := func(p Promise) check.Finding {
		if p.Request != nil && p.Request.Host == "cart.localhost" {
			return check.Finding{Verdict: check.Broken, Found: "503"}
		}
		return check.Finding{Verdict: check.Holds}
	}
	d := &drawing.Drawing{}
	var others []string
	for _, p := range w.proof.Draw(d, w.snapshot, promises, found) {
		others = append(others, p.String())
	}
	want := []string{"Gateway traefik/gw holds", "  listener web, HTTP, port 8000 holds Accepted, ResolvedRefs, Programmed",
		"    HTTPRoute demo/shop holds", "      URL http://shop.localhost:8080/ holds", "        Service demo/shop holds 2 ready endpoints",
		"    HTTPRoute demo/cart holds", "      URL http://cart.localhost:8080/ broken 503", "        Service demo/cart broken no ready endpoint"}
	if got := drawn(d); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if len(others) != 2 || others[0] != "GatewayClass/traefik" || !strings.HasPrefix(others[1], "http://no-such-route") {
		t.Errorf("%q", others)
	}
}

func TestWithoutAClusterADrawingSaysNothingOfIt(t *testing.T) {
	w := whole(t)
	shop := route(t, "shop", "shop")
	weight := int32(9)
	canary := *shop.Spec.Rules[0].BackendRefs[0].DeepCopy()
	canary.Name, shop.Spec.Rules[0].BackendRefs[0].Weight = "canary", &weight
	shop.Spec.Rules[0].BackendRefs = append(shop.Spec.Rules[0].BackendRefs, canary)
	lost := route(t, "lost", "shop")
	lost.Spec.ParentRefs = []gatewayv1.ParentReference{{Name: "nowhere"}}
	w.proof.Routes = []gateway.Route{shop, lost}
	d := &drawing.Drawing{}
	w.proof.Draw(d, nil, w.proof.Unasked(), func(Promise) check.Finding { return check.Finding{} })
	want := []string{"Gateway traefik/gw", "  listener web, HTTP, port 8000", "    HTTPRoute demo/shop", "      URL http://shop.localhost:8080/",
		"        Service demo/shop", "        Service demo/canary", "HTTPRoute demo/lost", "  URL http://lost.localhost:8080/", "    Service demo/shop"}
	if got := drawn(d); !slices.Equal(got, want) || d.Edges[3].Label != "9 of 10" || d.Edges[4].Label != "1 of 10" {
		t.Errorf("%s\n%+v", strings.Join(got, "\n"), d.Edges)
	}
}

func TestAServiceWhoseEndpointsCannotBeReadIsDrawnAsNotKnown(t *testing.T) {
	w := whole(t)
	w.snapshot.Partial = map[string][]string{"EndpointSlice": {}}
	d := &drawing.Drawing{}
	w.proof.Draw(d, w.snapshot, w.proof.Requests(w.snapshot), func(Promise) check.Finding { return check.Finding{} })
	if got := strings.Join(drawn(d), "\n"); !strings.Contains(got, "Service demo/shop unknown not known: a EndpointSlice in namespace demo cannot be read") {
		t.Error(got)
	}
}
