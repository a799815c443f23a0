package proof

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/probe"
)

// A guarded cluster has objects by kind and namespace, and forbids to list some: by kind, or kind/namespace.
type guarded struct {
	objects   map[string][]any
	forbidden []string
	broken    string // the kind that cannot be listed for another reason
	known     bool
	err       error
}

func (g *guarded) ListJSON(_ context.Context, kind schema.GroupVersionKind, namespace string) ([]byte, error) {
	var listed []any
	switch name := strings.TrimSuffix(kind.Kind+"/"+namespace, "/"); {
	case slices.Contains(g.forbidden, name):
		return nil, apierrors.NewForbidden(schema.GroupResource{Resource: kind.Kind}, "", errors.New("no"))
	case kind.Kind == g.broken:
		return nil, errRefused
	case namespace == "":
		for name, objects := range g.objects {
			if strings.HasPrefix(name, kind.Kind+"/") {
				listed = append(listed, objects...)
			}
		}
	default:
		listed = g.objects[name]
	}
	return json.Marshal(map[string]any{"items": listed})
}

// Get finds nothing, where it may look.
func (g *guarded) Get(ctx context.Context, kind schema.GroupVersionKind, namespace, _ string) (*unstructured.Unstructured, error) {
	_, err := g.ListJSON(ctx, kind, namespace)
	return nil, err
}

func (g *guarded) Known(schema.GroupVersionKind) (bool, error) { return g.known, g.err }

// guardedBy has a world's objects.
func (w *world) guardedBy(t *testing.T, forbidden ...string) *guarded {
	t.Helper()
	g := &guarded{known: true, forbidden: forbidden, objects: map[string][]any{}}
	put := func(kind, namespace string, object any) {
		g.objects[kind+"/"+namespace] = append(g.objects[kind+"/"+namespace], object)
	}
	for i := range w.snapshot.Classes {
		put("GatewayClass", "", &w.snapshot.Classes[i])
	}
	for i := range w.snapshot.Gateways {
		put("Gateway", w.snapshot.Gateways[i].Namespace, &w.snapshot.Gateways[i])
	}
	for i := range w.snapshot.HTTPRoutes {
		put("HTTPRoute", w.snapshot.HTTPRoutes[i].Namespace, &w.snapshot.HTTPRoutes[i])
	}
	for i := range w.snapshot.Pods {
		put("Pod", w.snapshot.Pods[i].Namespace, &w.snapshot.Pods[i])
	}
	for i := range w.snapshot.Slices {
		put("EndpointSlice", w.snapshot.Slices[i].Namespace, &w.snapshot.Slices[i])
	}
	return g
}

func (w *world) surveyed(t *testing.T, namespaces []string, forbidden ...string) *Snapshot {
	t.Helper()
	s, err := Survey(t.Context(), w.guardedBy(t, forbidden...), namespaces)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// existing verifies what a cluster has, as one that is somebody's, by the results' names.
func (w *world) existing(t *testing.T, s *Snapshot, namespaces []string, controller string) map[string]Result {
	t.Helper()
	manifests := s.Existing(namespaces)
	conditions := &Proof{Manifests: manifests, Implementation: implementation.Of(""), Place: w.place, Careful: true}
	var requests []*Proof
	for _, site := range s.Sites(manifests) {
		if controller != "" {
			site.Controller = controller
		}
		requests = append(requests, &Proof{Manifests: site.Manifests, Implementation: implementation.Of(site.Controller), Place: w.place, Prober: w.gateway, Apart: true, Careful: true})
	}
	found, err := Verify(t.Context(), conditions, requests, func(context.Context) (*Snapshot, error) { return s, nil }, SettlesSoon, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Result{}
	for _, r := range found.Results {
		byName[r.String()] = r
	}
	return byName
}

const unfamiliar = "example.com/controller"

func TestTheRoutesOfAnExistingClusterAreProvenByOneRequestEach(t *testing.T) {
	t.Parallel()
	w := whole(t)
	w.place.node = ""
	results := w.existing(t, w.surveyed(t, nil), nil, "")
	for name, r := range results {
		if r.Verdict != check.Holds {
			t.Errorf("%s: %+v", name, r.Finding)
		}
	}
	if got := results[shop].Found; got != `Service/demo/shop: answered by its pod "shop-1", one of 2` || w.gateway.asked["shop.localhost"] != 1 {
		t.Errorf("%s, after %d requests", got, w.gateway.asked["shop.localhost"])
	}
	if len(results) != 6 {
		t.Errorf("%d results", len(results))
	}
}

func TestWhatMayNotBeListedIsSaidAndWhatDependsOnItIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		namespaces, forbidden []string
		unread                string
		result                string
		verdict               check.Verdict
		found                 string
	}{
		"classes":                       {nil, []string{"GatewayClass"}, "cannot list gatewayclasses: Forbidden", "GatewayClass/traefik", check.Unknown, "cannot be read"},
		"pods":                          {nil, []string{"Pod"}, "cannot list pods in all namespaces: Forbidden", shop, check.Holds, "its pods cannot be read"},
		"slices":                        {nil, []string{"EndpointSlice"}, "cannot list endpointslices in all namespaces: Forbidden", shop, check.Holds, "its pods cannot be read"},
		"gateways of another namespace": {[]string{"demo"}, []string{"Gateway"}, "", "HTTPRoute/demo/shop", check.Holds, "Accepted"},
		"a namespace of two":            {[]string{"demo", "closed"}, []string{"HTTPRoute", "HTTPRoute/closed"}, "cannot list httproutes in namespace closed: Forbidden", shop, check.Holds, "answered by its pod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := whole(t)
			w.place.node = ""
			s := w.surveyed(t, test.namespaces, test.forbidden...)
			if got := strings.Join(s.Unread, "; "); got != test.unread {
				t.Errorf("unread: %s", got)
			}
			got, ok := w.existing(t, s, test.namespaces, "")[test.result]
			if !ok || got.Verdict != test.verdict || !strings.Contains(got.Found, test.found) {
				t.Errorf("%v %+v", ok, got.Finding)
			}
		})
	}
}

func TestAnUnreadServiceIsNoBrokenHop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.place.node = ""
		w.gateway.answers["shop.localhost"] = []*probe.Answer{status(503)}
		s := w.surveyed(t, nil, "EndpointSlice")
		if r := w.existing(t, s, nil, "")[shop]; r.Hop == nil || r.Hop.Title != "the backend answers" {
			t.Errorf("%+v at %v", r.AtHop, r.Hop)
		}
	})
}

func TestTheControllerOfAClassThatCannotBeReadIsTheOneThatJudgedTheRoutes(t *testing.T) {
	t.Parallel()
	w := whole(t)
	w.snapshot.HTTPRoutes[1].Status.Parents[0].ControllerName = unfamiliar
	s := w.surveyed(t, nil, "GatewayClass")
	if sites := s.Sites(s.Existing(nil)); len(sites) != 1 || sites[0].Controller != unfamiliar {
		t.Errorf("%+v", sites)
	}
	s = w.surveyed(t, nil)
	s.Classes = nil
	if sites := s.Sites(s.Existing(nil)); sites[0].Controller != "" {
		t.Errorf("a class that is not there has no controller: %+v", sites)
	}
}

func TestWhatCannotBeReadForAnotherReasonIsAnError(t *testing.T) {
	t.Parallel()
	w := whole(t)
	for name, g := range map[string]*guarded{
		"no Gateway API":       {},
		"no answer":            {err: errRefused},
		"a kind":               {known: true, broken: "Pod"},
		"a kind, by namespace": {known: true, broken: "Pod", forbidden: []string{"Pod"}},
		"no such kind":         {known: true, objects: map[string][]any{"Gateway/x": {map[string]any{"spec": "text"}}}},
	} {
		if s, err := Survey(t.Context(), g, []string{"demo"}); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	_ = w
}

func TestOfAControllerThatIsNotKnownTheSpecificationAloneIsJudged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  *probe.Answer
		verdict check.Verdict
		found   string
	}{
		"a page":      {page("<html>"), check.Holds, "reached a backend: 200 text/html"},
		"a login":     {&probe.Answer{Status: 302, Header: http.Header{"Location": {"https://login.example/"}}}, check.Holds, "reached a backend: 302"},
		"401":         {status(401), check.Holds, "reached a backend: 401"},
		"403":         {status(403), check.Holds, "reached a backend: 403"},
		"404":         {notFound(), check.Unknown, "whether the controller example.com/controller has no such route"},
		"502":         {status(502), check.Broken, "502 Bad Gateway"},
		"504":         {status(504), check.Broken, "504 Gateway Timeout"},
		"its own":     {whoamiAlone("shop-1"), check.Holds, "answered by its pod"},
		"not its own": {whoamiAlone("cart-1"), check.Broken, "which is none of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := whole(t)
			w.place.node = ""
			w.gateway.answers["shop.localhost"] = []*probe.Answer{test.answer}
			if r := w.existing(t, w.surveyed(t, nil), nil, unfamiliar)[shop]; r.Verdict != test.verdict || !strings.Contains(r.Found, test.found) {
				t.Errorf("%+v", r.Finding)
			}
		})
	}
}

// whoamiAlone is an answer of a pod that got no header X-Forwarded-For: not every gateway sets it.
func whoamiAlone(pod string) *probe.Answer {
	answer := whoami(pod)
	answer.Body = strings.Replace(answer.Body, "X-Forwarded-For: 127.0.0.1\n", "", 1)
	return answer
}

func TestOnlyGETAndHEADAreSentToAnExistingCluster(t *testing.T) {
	t.Parallel()
	w := whole(t)
	w.place.node = ""
	options := gatewayv1.HTTPMethodOptions
	w.snapshot.HTTPRoutes[0].Spec.Rules[0].Matches = []gatewayv1.HTTPRouteMatch{{Method: &options}}
	s := w.surveyed(t, nil)
	r := w.existing(t, s, nil, "")["OPTIONS "+shop]
	if r.Verdict != check.Unknown || !strings.Contains(r.Found, "only GET and HEAD") || w.gateway.asked["shop.localhost"] != 0 {
		t.Errorf("%+v, asked %v", r.Finding, w.gateway.asked)
	}
	site := s.Sites(s.Existing(nil))[0]
	p := &Proof{Manifests: site.Manifests, Implementation: implementation.Of(unfamiliar), Place: w.place, Prober: w.gateway, Apart: true, Careful: true}
	request, err := p.Asked(shop, "OPTIONS", nil)
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Explain(t.Context(), request, s); e.Winner == nil || !strings.Contains(e.Unsent, "only GET and HEAD") || len(e.Hops) != 0 || e.Choice != nil {
		t.Errorf("%+v", e)
	}
}

func TestARequestThatTheProberRefusesIsNotKnown(t *testing.T) {
	t.Parallel()
	w := whole(t)
	r := trial{w.proof, gateway.Request{Path: "/"}, w.snapshot}
	r.Proof.Prober = refusing{w.gateway}
	if _, finding := r.ask(t.Context()); finding.Verdict != check.Unknown {
		t.Errorf("%+v", finding)
	}
}

type refusing struct{ *fakeGateway }

func (refusing) Get(context.Context, string, string, map[string]string, bool) (*probe.Answer, error) {
	return nil, probe.ErrNotSent
}

func TestOneRequestToSeveralServicesSaysNoMoreThanItShows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.place.node = ""
		rule := &w.snapshot.HTTPRoutes[0].Spec.Rules[0]
		rule.BackendRefs = append(rule.BackendRefs, *rule.BackendRefs[0].DeepCopy())
		rule.BackendRefs[1].Name = "cart"
		if r := w.existing(t, w.surveyed(t, nil), nil, "")[shop]; r.Verdict != check.Holds || !strings.Contains(r.Found, "was not tried") {
			t.Errorf("%+v", r.Finding)
		}
		w.gateway.answers["shop.localhost"] = []*probe.Answer{status(502)}
		if r := w.existing(t, w.surveyed(t, nil), nil, "")[shop]; r.Verdict != check.Broken || !strings.Contains(r.Found, "in one request") {
			t.Errorf("%+v", r.Finding)
		}
	})
}

func TestGatewaysOfOneAddressAreOneSiteAndRoutesAreOfEachThatTheyName(t *testing.T) {
	t.Parallel()
	w := whole(t)
	second, third, bare := *w.snapshot.Gateways[0].DeepCopy(), *w.snapshot.Gateways[0].DeepCopy(), *w.snapshot.Gateways[0].DeepCopy()
	second.Name, third.Name, bare.Name = "second", "third", "bare"
	third.Status.Addresses[0].Value = "172.18.0.9"
	bare.Status.Addresses = nil
	w.snapshot.Gateways = append(w.snapshot.Gateways, second, third, bare)
	route := &w.snapshot.HTTPRoutes[0]
	route.Spec.ParentRefs = append(route.Spec.ParentRefs, *route.Spec.ParentRefs[0].DeepCopy())
	route.Spec.ParentRefs[1].Name = "third"
	s := w.surveyed(t, nil)
	sites := s.Sites(s.Existing(nil))
	var got []string
	for _, site := range sites {
		text := ""
		for _, gw := range site.Gateways {
			text += gw.Name + " "
		}
		for _, route := range site.Routes {
			text += route.ID.Name + " "
		}
		got = append(got, strings.TrimSpace(text))
	}
	slices.Sort(got)
	if want := []string{"bare", "gw second shop cart", "third shop"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if m := s.Existing([]string{"demo"}); len(m.Gateways) != 2 || len(m.Routes) != 2 {
		t.Errorf("the Gateways that the routes of a namespace name: %+v", m.Gateways)
	}
	if m := s.Existing([]string{"other"}); len(m.Gateways)+len(m.Routes) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestAGatewayWithoutAnAddressIsNoFailureWhereItIsReachedOtherwise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := whole(t)
		w.place.node = ""
		w.snapshot.Gateways[0].Status.Addresses = nil
		results := w.existing(t, w.surveyed(t, nil), nil, "")
		if r := results["Gateway/traefik/gw"]; r.Verdict != check.Warns || !strings.Contains(r.Found, "no address") {
			t.Errorf("%+v", r.Finding)
		}
		if r := results[cart]; r.Verdict != check.Holds {
			t.Errorf("%+v", r.Finding)
		}
		w.gateway.answers["shop.localhost"] = []*probe.Answer{status(502)}
		if r := w.existing(t, w.surveyed(t, nil), nil, "")[shop]; r.Hop == nil || r.Hop.Title != "the backend answers" {
			t.Errorf("%+v at %v", r.AtHop, r.Hop)
		}
	})
}

func TestTheSameURLOfTwoSitesIsTwoPromises(t *testing.T) {
	t.Parallel()
	w := whole(t)
	w.place.node = ""
	a, b := *w.proof, *w.proof
	a.Via, b.Via, a.Careful, b.Careful = "Gateway/a/gw", "Gateway/b/gw", true, true
	found, err := Verify(t.Context(), &Proof{Implementation: implementation.Of(""), Place: w.place}, []*Proof{&a, &b}, w.take, SettlesSoon, func(string) {})
	if err != nil || len(found.Results) != 4 || found.Results[0].ID == found.Results[2].ID || found.Results[2].String() != shop+" through Gateway/b/gw" {
		t.Errorf("%v %+v", err, found.Results)
	}
}

func TestRequestsThroughAGatewayThatCannotBeReadAreNotKnown(t *testing.T) {
	t.Parallel()
	w := whole(t)
	w.place.node = ""
	results := w.existing(t, w.surveyed(t, []string{"demo"}, "Gateway"), []string{"demo"}, "")
	r := results["the requests of HTTPRoute/demo/shop through Gateway/traefik/gw"]
	if r.Verdict != check.Unknown || !strings.Contains(r.Found, "a Gateway in namespace traefik cannot be read") {
		t.Errorf("%+v", r.Finding)
	}
}

func TestWhereItsOwnAnswersAreNotRecognisedAnImplementationIsTakenForAnUnfamiliarOne(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		anybody *probe.Answer // what a host gets that no route has
		verdict check.Verdict
		found   string
	}{
		"recognised":             {notFound(), check.Holds, "404, the application's own"},
		"a proxy in front of it": {page("nothing here"), check.Unknown, "whether Traefik has no such route"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := whole(t)
			w.place.node = ""
			w.gateway.answers["*"] = []*probe.Answer{test.anybody}
			w.gateway.answers["shop.localhost"] = []*probe.Answer{passedOn(&probe.Answer{Status: 404, Header: http.Header{}})}
			s := w.surveyed(t, nil)
			site := s.Sites(s.Existing(nil))[0]
			p := &Proof{Manifests: site.Manifests, Implementation: implementation.Of(site.Controller), Place: w.place, Prober: w.gateway, Apart: true, Careful: true}
			for _, promise := range p.Requests(s) {
				if got := promise.Judge(t.Context()); promise.String() == shop && (got.Verdict != test.verdict || !strings.Contains(got.Found, test.found)) {
					t.Errorf("%+v", got)
				}
			}
			if w.gateway.asked["cart.localhost"] != 1 || w.gateway.asked["no-such-route.localhost"] != 1 {
				t.Errorf("asked: %v", w.gateway.asked)
			}
			e := p.Explain(t.Context(), p.Requests(s)[0].by.Planned()[0], s)
			if verdict := e.Hops[1].Verdict; (verdict == check.Unknown) != (test.verdict == check.Unknown) || e.Hops[1].Fails() {
				t.Errorf("the hop %+v", e.Hops[1])
			}
		})
	}
}

func TestWherePodsNameThemselvesNoMoreIsAskedThanTheirRoutes(t *testing.T) {
	t.Parallel()
	w := whole(t)
	w.place.node = ""
	w.existing(t, w.surveyed(t, nil), nil, "")
	if len(w.gateway.asked) != 2 {
		t.Errorf("asked: %v", w.gateway.asked)
	}
}

func TestANamespaceThatTheClusterDoesNotHaveIsNamedWithTheNearest(t *testing.T) {
	t.Parallel()
	s := &Snapshot{}
	if missing := s.Missing([]string{"shpo"}); len(missing) != 0 {
		t.Errorf("where none was read: %v", missing)
	}
	for _, name := range []string{"default", "shop", "cart"} {
		var namespace corev1.Namespace
		namespace.Name = name
		s.Namespaces = append(s.Namespaces, namespace)
	}
	if missing := s.Missing([]string{"shpo", "cart"}); len(missing) != 1 || missing["shpo"] != "shop" {
		t.Errorf("%v", missing)
	}
	s.Partial = map[string][]string{"Namespace": {}}
	if missing := s.Missing([]string{"shpo"}); len(missing) != 0 {
		t.Errorf("where they may not be listed: %v", missing)
	}
}

func TestASnapshotWithFilesAppliedServesTheirRoutesAndTheClustersThatAreAccepted(t *testing.T) {
	t.Parallel()
	w := whole(t)
	s := w.surveyed(t, nil)
	s.HTTPRoutes[1].Status.Parents = nil // cart is not accepted
	objects, err := kube.Decode([]byte(`
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop, namespace: demo}, spec: {hostnames: [new.localhost], parentRefs: [{name: gw, namespace: traefik}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: more, namespace: demo}, spec: {hostnames: [more.localhost], parentRefs: [{name: gw, namespace: traefik}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, metadata: {name: calls, namespace: demo}, spec: {parentRefs: [{name: gw, namespace: traefik}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: traefik}, spec: {gatewayClassName: traefik, listeners: [{name: other, port: 9000, protocol: HTTP}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: second}, spec: {controllerName: example.com/c}}
---
{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: grant, namespace: demo}}
`), "m.yaml")
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.HTTPRoutes)
	with, m, err := s.Applied(objects)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range m.Routes {
		got = append(got, r.ID.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"calls", "more", "shop"}) || len(s.HTTPRoutes) != before || len(with.Classes) != 2 {
		t.Errorf("%v, %d classes", got, len(with.Classes))
	}
	if gw := with.Gateways[0]; len(with.Gateways) != 1 || gw.Spec.Listeners[0].Port != 9000 || len(gw.Status.Addresses) != 1 {
		t.Errorf("%+v", with.Gateways)
	}
	p := &Proof{Manifests: with.Sites(m)[0].Manifests, Implementation: implementation.Of(unfamiliar), Place: w.place, Apart: true, Careful: true}
	w.place.ports = map[int32]int{9000: 80}
	request, err := p.Asked("http://new.localhost/", "GET", nil)
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Explain(t.Context(), request, nil); e.Winner == nil || e.Winner.Route.Name != "shop" || len(e.Hops) != 0 {
		t.Errorf("%+v", e)
	}
	objects[0].Object["spec"] = "text"
	if _, _, err := s.Applied(objects); err == nil {
		t.Error("no error of an object that is none of its kind")
	}
}

func TestKindsAreNamedAsTheAPIServerNamesThem(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"Gateway": "gateways", "GatewayClass": "gatewayclasses", "HTTPRoute": "httproutes", "BackendTLSPolicy": "backendtlspolicies"} {
		if got := Plural(schema.GroupVersionKind{Kind: kind}); got != want {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

func TestTheSamePortOfTwoSitesIsTwoHops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, elsewhere := whole(t), whole(t)
		w.gateway.answers["shop.localhost"] = []*probe.Answer{status(502)}
		elsewhere.place.leads = broken("no way there")
		elsewhere.gateway.answers = map[string][]*probe.Answer{"shop.localhost": {nil}}
		a, b := *w.proof, *w.proof
		a.Via, b.Via, a.Careful, b.Careful = "Gateway/a/gw", "Gateway/b/gw", true, true
		b.Place, b.Prober = elsewhere.place, elsewhere.gateway
		found, err := Verify(t.Context(), &Proof{Implementation: implementation.Of(""), Place: w.place}, []*Proof{&a, &b}, w.take, SettlesSoon, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found.Results {
			if r.String() == shop+" through Gateway/b/gw" && (r.Hop == nil || r.AtHop.Found != "no way there") {
				t.Errorf("%+v at %v", r.AtHop, r.Hop)
			}
		}
	})
}
