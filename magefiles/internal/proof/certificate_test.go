package proof

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/authority"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/probe"
)

const secureShop, secureCart = "https://shop.localhost:8443/", "https://cart.localhost:8443/"

// selfSigned is a certificate for some names, from one time until another.
func selfSigned(t *testing.T, subject string, from, until time.Time, names ...string) (*x509.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: subject}, DNSNames: names, NotBefore: from, NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return c, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// issued is a certificate of an authority's.
func issued(t *testing.T, a *authority.Authority, names ...string) *x509.Certificate {
	t.Helper()
	certificate, key, err := a.Issue(names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func newAuthority(t *testing.T) *authority.Authority {
	t.Helper()
	a, err := authority.New("me@here", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// presenting presents a certificate for every name.
func presenting(c *x509.Certificate) func(string) *tls.ConnectionState {
	return func(string) *tls.ConnectionState {
		return &tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{c}}
	}
}

// secureWorld is a world with a listener of HTTPS besides, whose Secret has the certificate that it presents, signed by kindgate's authority.
func secureWorld(t *testing.T) (*world, *authority.Authority) {
	t.Helper()
	w, a := whole(t), newAuthority(t)
	listener := parse[gatewayv1.Listener](t, "{name: secure, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: ours}]}}")
	w.proof.Gateways[0].Spec.Listeners = append(w.proof.Gateways[0].Spec.Listeners, listener)
	live := &w.snapshot.Gateways[0]
	live.Spec.Listeners = append(live.Spec.Listeners, listener)
	live.Status.Listeners = append(live.Status.Listeners, gatewayv1.ListenerStatus{Name: "secure", Conditions: judged(1, "Accepted", "ResolvedRefs", "Programmed")})
	ports := &w.snapshot.Pods[0].Spec.Containers[0].Ports
	*ports = append(*ports, corev1.ContainerPort{ContainerPort: 8443, HostPort: 443})
	w.proof.Authority = func() []*x509.Certificate { return []*x509.Certificate{a.Certificate} }
	w.proof.Made = check.ID{Kind: "Secret", Namespace: "traefik", Name: "ours"}
	w.present(issued(t, a, "shop.localhost", "cart.localhost"))
	return w, a
}

// present puts a certificate into the Secret, and has it presented.
func (w *world) present(c *x509.Certificate) {
	w.snapshot.Certificates = map[string]Certificate{"Secret/traefik/ours": {Chain: [][]byte{c.Raw}}}
	w.gateway.tls = presenting(c)
}

func TestARouteIsProvenOverHTTPSWithWhatWasAgreedOn(t *testing.T) {
	w, _ := secureWorld(t)
	results := w.verify(t)
	for name, found := range map[string]string{
		shop: "Service/demo/shop: 2 of 2 pods in 4 requests", secureShop: "Service/demo/shop: 2 of 2 pods in 4 requests; HTTP/2, TLS 1.3",
		"https://no-such-route.localhost:8443/": "404 from Traefik, as no route has this host",
	} {
		if r := results[name]; r.Verdict != check.Holds || r.Found != found {
			t.Errorf("%s: %+v", name, r.Finding)
		}
	}
}

func TestACertificateThatClientsRefuseIsTheHopThatIsBroken(t *testing.T) {
	now := time.Now()
	const day = 24 * time.Hour
	selfSigned := func(subject string, from, until time.Time, names ...string) *x509.Certificate {
		c, _ := selfSigned(t, subject, from, until, names...)
		return c
	}
	good := func(names ...string) *x509.Certificate {
		return selfSigned("mine", now.Add(-day), now.Add(day), names...)
	}
	standard := good()
	standard.Subject.CommonName = "TRAEFIK DEFAULT CERT"
	for _, test := range []struct {
		name            string
		change          func(w *world, a *authority.Authority)
		verdict         check.Verdict // on kindgate's cluster,
		elsewhere       check.Verdict // and on somebody's
		found, notFound string
	}{
		{"a self-signed one that is in the Secret", func(w *world, _ *authority.Authority) { w.present(good("shop.localhost")) }, check.Holds, check.Holds, "; HTTP/2, TLS 1.3", ""},
		{"for another name", func(w *world, _ *authority.Authority) { w.present(good("b.example", "c.example")) }, check.Broken, check.Warns,
			"the certificate is for b.example, c.example, and not for shop.localhost, so that clients refuse it; Secret/traefik/ours has b.example, c.example", ""},
		{"without a name", func(w *world, _ *authority.Authority) { w.present(good()) }, check.Broken, check.Warns, "the certificate is for mine, and not", ""},
		{"with many", func(w *world, _ *authority.Authority) {
			w.present(good("a.x", "b.x", "c.x", "d.x", "e.x", "f.x", "g.x"))
		}, check.Broken, check.Warns, "d.x, e.x, 2 more", "f.x"},
		{"Traefik's default", func(w *world, _ *authority.Authority) { w.gateway.tls = presenting(standard) }, check.Broken, check.Warns,
			"the certificate is Traefik's default one: it has none for shop.localhost; Secret/traefik/ours has shop.localhost, cart.localhost", ""},
		{"Traefik's default, as the Secret is not there", func(w *world, _ *authority.Authority) {
			w.gateway.tls = presenting(standard)
			w.snapshot.Certificates = map[string]Certificate{"Secret/traefik/ours": {Problem: "is not there"}}
		}, check.Broken, check.Warns, "none for shop.localhost; Secret/traefik/ours is not there", ""},
		{"expired", func(w *world, _ *authority.Authority) {
			w.present(selfSigned("mine", now.Add(-2*day), now.Add(-day), "shop.localhost"))
		}, check.Broken, check.Broken, "has expired: it was valid until 20", ""},
		{"of the future", func(w *world, _ *authority.Authority) {
			w.present(selfSigned("mine", now.Add(day), now.Add(2*day), "shop.localhost"))
		}, check.Broken, check.Broken, "is not valid before 20", ""},
		{"from another issuer", func(w *world, _ *authority.Authority) {
			w.gateway.tls = presenting(selfSigned("theirs", now.Add(-day), now.Add(day), "shop.localhost"))
		}, check.Broken, check.Warns, "ssuer is CN=theirs", ""},
		{"from another issuer, where the Secret may not be read", func(w *world, _ *authority.Authority) {
			w.gateway.tls = presenting(selfSigned("theirs", now.Add(-day), now.Add(day), "shop.localhost"))
			w.snapshot.Certificates = map[string]Certificate{"Secret/traefik/ours": {Unread: true}}
		}, check.Warns, check.Warns, "the certificate is not trusted here: its issuer is CN=theirs", ""},
		{"of another listener", func(w *world, _ *authority.Authority) {
			other := good("other.localhost")
			w.snapshot.Certificates["Secret/traefik/other"] = Certificate{Chain: [][]byte{other.Raw}}
			for _, gw := range []*gatewayv1.Gateway{&w.proof.Gateways[0], &w.snapshot.Gateways[0]} {
				gw.Spec.Listeners = append(gw.Spec.Listeners, parse[gatewayv1.Listener](t, "{name: other, port: 8443, protocol: HTTPS, hostname: other.localhost, tls: {certificateRefs: [{name: other}]}}"))
			}
			w.snapshot.Gateways[0].Status.Listeners = append(w.snapshot.Gateways[0].Status.Listeners, gatewayv1.ListenerStatus{Name: "other", Conditions: judged(1, "Accepted", "ResolvedRefs", "Programmed")})
			w.gateway.tls = presenting(other)
		}, check.Broken, check.Warns, "the certificate of another listener, other (Secret/traefik/other), to which the name leads, is for other.localhost, and not", ""},
		{"no TLS at all", func(w *world, _ *authority.Authority) { w.gateway.tls = nil }, check.Broken, check.Broken, "no TLS at all: port 8443 answers without", ""},
		{"of the authority, whose key signs what it must not", func(w *world, a *authority.Authority) {
			c := issued(t, a, "shop.localhost")
			c.DNSNames = append(c.DNSNames, "www.example.com")
			w.gateway.tls = presenting(c)
		}, check.Broken, check.Warns, "refused: x509", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for careful, verdict := range map[bool]check.Verdict{false: test.verdict, true: test.elsewhere} {
				w, a := secureWorld(t)
				test.change(w, a)
				w.proof.Careful = careful
				r := w.verifyAtOnce(t)[secureShop]
				if r.Verdict != verdict || !strings.Contains(r.Found, test.found) || test.notFound != "" && strings.Contains(r.Found, test.notFound) {
					t.Errorf("careful %t: %+v", careful, r.Finding)
				}
				if r.Fails() && (r.Hop == nil || r.Hop.Title != "the listener's certificate") {
					t.Errorf("careful %t: the hop is %v: %s", careful, r.Hop, r.AtHop.Found)
				}
			}
		})
	}
}

func TestAListenersOwnConditionIsTheHopBeforeItsCertificateAndItsSecretIsNamed(t *testing.T) {
	w, _ := secureWorld(t)
	c, _ := selfSigned(t, "TRAEFIK DEFAULT CERT", time.Now(), time.Now().Add(time.Hour))
	w.gateway.tls = presenting(c)
	w.snapshot.Certificates = map[string]Certificate{"Secret/traefik/ours": {Problem: "is not there"}}
	w.snapshot.Gateways[0].Status.Listeners[1].Conditions = judged(1, "Accepted", "ResolvedRefs=False", "Programmed=False")
	r := w.verifyAtOnce(t)[secureShop]
	if r.Hop == nil || r.Hop.String() != "Gateway/traefik/gw" || !strings.HasPrefix(r.AtHop.Found, "listener secure: ResolvedRefs is False") || !strings.HasSuffix(r.AtHop.Found, "; Secret/traefik/ours is not there") {
		t.Errorf("%v: %+v", r.Hop, r.AtHop)
	}
}

func TestADataPlaneThatHasNeitherTheRouteNorTheCertificateIsAtFaultForTheRoute(t *testing.T) {
	w, _ := secureWorld(t)
	c, _ := selfSigned(t, "TRAEFIK DEFAULT CERT", time.Now(), time.Now().Add(time.Hour))
	w.gateway.tls, w.gateway.answers = presenting(c), nil
	if r := w.verifyAtOnce(t)[secureShop]; r.Hop == nil || r.Hop.Title != "Traefik's routes" || !strings.HasPrefix(r.Found, "404 from Traefik: it has no such route; the certificate is Traefik's default one") {
		t.Errorf("%v: %+v", r.Hop, r.Finding)
	}
}

func TestASecretThatTheSpecificationDoesNotKnowIsWarnedOfThoughItIsServed(t *testing.T) {
	w, a := secureWorld(t)
	c := issued(t, a, "shop.localhost", "cart.localhost")
	w.present(c)
	w.snapshot.Certificates["Secret/traefik/ours"] = Certificate{Chain: [][]byte{c.Raw}, Problem: "is of the type Opaque, not kubernetes.io/tls"}
	results := w.verify(t)
	if r := results["Gateway/traefik/gw"]; r.Verdict != check.Warns || !strings.HasSuffix(r.Found, "; Secret/traefik/ours is of the type Opaque, not kubernetes.io/tls") {
		t.Errorf("%+v", r.Finding)
	}
	if r := results[secureShop]; r.Verdict != check.Holds {
		t.Errorf("%+v", r.Finding)
	}
}

func TestANameThatTheAuthorityDoesNotSignIsWarnedOf(t *testing.T) {
	for _, test := range []struct {
		hostname, url string
		verdict       check.Verdict
	}{
		{"www.example.com", "https://www.example.com:8443/", check.Warns}, {"*.shop.localhost", "https://any.shop.localhost:8443/", check.Warns},
		{"forgotten.localhost", "https://forgotten.localhost:8443/", check.Broken},
	} {
		w, _ := secureWorld(t)
		w.proof.Routes[0].Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(test.hostname)}
		w.snapshot.HTTPRoutes[0].Spec.Hostnames = w.proof.Routes[0].Spec.Hostnames
		w.gateway.answers[strings.Split(strings.TrimPrefix(test.url, "https://"), ":")[0]] = w.gateway.answers["shop.localhost"]
		if r := w.verifyAtOnce(t)[test.url]; r.Verdict != test.verdict {
			t.Errorf("%s: %+v", test.hostname, r.Finding)
		}
		if test.verdict == check.Warns { // somebody else's certificate under the same name is judged as any other
			c, _ := selfSigned(t, "theirs", time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "shop.localhost")
			w.present(c)
			if r := w.verifyAtOnce(t)[test.url]; r.Verdict != check.Broken {
				t.Errorf("%s, of another: %+v", test.hostname, r.Finding)
			}
		}
	}
}

func TestARouteThatTakesEveryNameHasNoCertificateToAskFor(t *testing.T) {
	w, _ := secureWorld(t)
	w.proof.Routes[0].Spec.Hostnames, w.snapshot.HTTPRoutes[0].Spec.Hostnames = nil, nil
	w.gateway.answers["any-host.localhost"] = w.gateway.answers["shop.localhost"]
	c, _ := selfSigned(t, "TRAEFIK DEFAULT CERT", time.Now(), time.Now().Add(time.Hour))
	w.gateway.tls = presenting(c)
	if r := w.verifyAtOnce(t)["https://any-host.localhost:8443/"]; r.Verdict != check.Holds || !strings.Contains(r.Found, "the certificate is not judged, as the route takes every name") {
		t.Errorf("%+v", r.Finding)
	}
}

func TestOfASecretWhatIsWrongIsReadAndNothingOfItsKey(t *testing.T) {
	now := time.Now()
	c, key := selfSigned(t, "mine", now, now.Add(time.Hour), "a.test")
	_, other := selfSigned(t, "mine", now, now.Add(time.Hour), "a.test")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	secret := func(kind string, certificate, key []byte) *unstructured.Unstructured {
		data := map[string]any{}
		for name, value := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
			if value != nil {
				data[name] = base64.StdEncoding.EncodeToString(value)
			}
		}
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "ours", "namespace": "traefik"}, "type": kind, "data": data}}
	}
	const kind = "kubernetes.io/tls"
	both := slices.Concat(certificate, key)
	odd := secret(kind, certificate, key)
	odd.Object["data"] = "none"
	for name, test := range map[string]struct {
		secret  *unstructured.Unstructured
		problem string
		chain   int
	}{
		"sound":               {secret(kind, certificate, key), "", 1},
		"with its key beside": {secret(kind, both, key), "", 1},
		"none":                {nil, "is not there", 0},
		"another type":        {secret("Opaque", certificate, key), "is of the type Opaque, not kubernetes.io/tls", 1},
		"without a key":       {secret(kind, certificate, nil), "has not both tls.crt and tls.key", 1},
		"another's key":       {secret(kind, certificate, other), "cannot be used: tls: private key does not match public key", 1},
		"nonsense":            {secret(kind, []byte("none"), key), "cannot be used: tls: failed to find any PEM data", 0},
		"no Secret at all":    {odd, "cannot be read", 0},
	} {
		got := certificateOf(test.secret)
		text, err := json.Marshal(got)
		if err != nil || !strings.HasPrefix(got.Problem, test.problem) || (got.Problem == "") != (test.problem == "") || len(got.Chain) != test.chain {
			t.Errorf("%s: %+v", name, got)
		}
		block, _ := pem.Decode(key)
		if bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString(block.Bytes)[:40])) {
			t.Errorf("%s: the snapshot has the key", name)
		}
	}
	if got := (Certificate{Chain: [][]byte{[]byte("none")}}).certificates(); len(got) != 0 {
		t.Error(got)
	}
}

func TestTheSecretsOfListenersAreReadWithTheSnapshot(t *testing.T) {
	w, _ := secureWorld(t)
	g := w.guardedBy(t)
	s, err := Survey(t.Context(), g, nil)
	if err != nil || s.Certificates["Secret/traefik/ours"].Problem != "is not there" {
		t.Errorf("%v %+v", err, s)
	}
	if s, err = Survey(t.Context(), w.guardedBy(t, "Secret/traefik"), nil); err != nil || !s.Certificates["Secret/traefik/ours"].Unread || slices.ContainsFunc(s.Unread, func(u string) bool { return strings.Contains(u, "ecret") }) {
		t.Errorf("%v %+v", err, s)
	}
	g.broken = "Secret"
	if _, err := Survey(t.Context(), g, nil); !errors.Is(err, errRefused) {
		t.Error(err)
	}
}

func TestTheCertificateIsExplainedByARequestOfItsOwn(t *testing.T) {
	w, _ := secureWorld(t)
	request := w.proof.Planned()[1]
	hop := func() check.Finding {
		return way{trial{w.proof, request, w.snapshot}, holds("fine")}.certificateHop().Judge(t.Context())
	}
	if f := hop(); request.Scheme != "https" || f.Verdict != check.Holds || f.Found != "HTTP/2, TLS 1.3" {
		t.Errorf("%s: %+v", request, f)
	}
	w.gateway.answers = map[string][]*probe.Answer{request.Host: {nil}}
	if f := hop(); f.Verdict != check.Unknown {
		t.Errorf("no answer: %+v", f)
	}
	w.gateway.tls = nil
	if f := hop(); f.Cause != Uncertified {
		t.Errorf("no TLS: %+v", f)
	}
	request.Method = "POST"
	if f := hop(); f.Found != "fine" {
		t.Errorf("a request that may change something: %+v", f)
	}
}
