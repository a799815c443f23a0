package manifest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// pair is a certificate for some names and its key, in PEM.
func pair(t *testing.T, from, until time.Time, names ...string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, DNSNames: names}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func secret(namespace, kind, certificate, key string) string {
	encoded := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("\n---\n{apiVersion: v1, kind: Secret, metadata: {name: tls, namespace: %s}, type: %s, data: {tls.crt: %q, tls.key: %q}}\n",
		namespace, kind, encoded([]byte(certificate)), encoded([]byte(key)))
}

func TestTheCertificateOfAListenerIsOneThatClientsTake(t *testing.T) {
	const day = 24 * time.Hour
	certificate, key := pair(t, now.Add(-day), now.Add(90*day), "a.x", "*.wild.x")
	_, otherKey := pair(t, now.Add(-day), now.Add(90*day), "a.x")
	old, oldKey := pair(t, now.Add(-90*day), now.Add(-day), "a.x")
	young, youngKey := pair(t, now.Add(day), now.Add(90*day), "a.x")
	ending, endingKey := pair(t, now.Add(-90*day), now.Add(13*day), "a.x")
	nameless, namelessKey := pair(t, now.Add(-day), now.Add(90*day))
	const kind = "kubernetes.io/tls"
	sound := secret("infra", kind, certificate, key)
	listener := func(hostname, ref string) string {
		return gatewayOf("{name: tls, port: 8443, protocol: HTTPS, " + hostname + "allowedRoutes: {namespaces: {from: All}}, tls: {certificateRefs: [" + ref + "]}}")
	}
	const ref = "{name: tls}"
	for _, test := range []struct {
		name, folder string
		want         []string
	}{
		{"sound", sound + listener("hostname: a.x, ", ref), nil},
		{"for the names of the routes", sound + web + listener("", ref) + httpRoute("r", toEdge+", hostnames: [a.x, b.wild.x], "+toWeb), nil},
		{"not for one of them", sound + web + listener("", ref) + httpRoute("r", toEdge+", hostnames: [a.x, b.x], "+toWeb),
			[]string{"warns*Gateway/infra/edge: spec.listeners[0].tls.certificateRefs[0]: listener tls: the certificate of Secret/infra/tls is for a.x, *.wild.x, and not for b.x"}},
		{"not for two labels", sound + web + listener("hostname: '*.wild.x', ", ref) + httpRoute("r", toEdge+", hostnames: [a.b.wild.x], "+toWeb), []string{"not for a.b.wild.x"}},
		{"for a wildcard", sound + listener("hostname: '*.wild.x', ", ref), nil},
		{"for the narrower of two wildcards", sound + web + listener("hostname: '*.wild.x', ", ref) + httpRoute("r", toEdge+", hostnames: ['*.x'], "+toWeb), nil},
		{"for no name of a wildcard", sound + listener("hostname: '*.y', ", ref), []string{"not for *.y"}},
		{"for no name", secret("infra", kind, nameless, namelessKey) + listener("hostname: a.x, ", ref), []string{"is for no DNS name, and not for a.x"}},
		{"one of two is for it", sound + secret("other", kind, nameless, namelessKey) + listener("hostname: a.x, ", ref+", {name: tls, namespace: other}") + grant("Gateway", "infra", "{group: '', kind: Secret}"), nil},
		{"one of two is not known", sound + listener("hostname: b.x, ", ref+", {name: elsewhere}"), nil},
		{"the key of another", secret("infra", kind, certificate, otherKey) + listener("", ref),
			[]string{"broken: m.yaml:*: Secret/infra/tls: data[tls.crt]: its certificate and key cannot be used: tls: private key does not match public key"}},
		{"no certificate", secret("infra", kind, "", key) + listener("", ref), []string{"broken*data: it has no tls.crt"}},
		{"as text", "\n---\n" + fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: tls, namespace: infra}, type: %s, stringData: {tls.crt: %q, tls.key: %q}}", kind, certificate, otherKey) + listener("", ref),
			[]string{"Secret/infra/tls: stringData[tls.crt]"}},
		{"expired", secret("infra", kind, old, oldKey) + listener("hostname: a.x, ", ref), []string{"broken*has expired: it was valid until 2030-01-14 12:00 UTC; renew"}},
		{"not valid yet", secret("infra", kind, young, youngKey) + listener("hostname: a.x, ", ref), []string{"broken*not valid yet: it will be from 2030-01-16"}},
		{"about to expire", secret("infra", kind, ending, endingKey) + listener("hostname: a.x, ", ref), []string{"warns*valid only until 2030-01-28"}},
		{"of another type", secret("infra", "Opaque", certificate, key) + listener("hostname: a.x, ", ref), []string{"warns*Secret/infra/tls: type: a listener names it, and its type is not kubernetes.io/tls"}},
		{"that no listener names", secret("infra", "Opaque", certificate, otherKey), nil},
		{"in another namespace", secret("other", kind, certificate, key) + listener("hostname: a.x, ", "{name: tls, namespace: other}"),
			[]string{"broken*no ReferenceGrant in namespace other permits it to name Secret/other/tls"}},
		{"that is not there", secret("other", kind, certificate, key) + listener("hostname: a.x, ", ref), []string{"warns*there is no Secret/infra/tls*there is Secret/other/tls; write namespace: other"}},
		{"of another kind", listener("", "{group: example.com, kind: Vault, name: tls}"), nil},
		{"passed through", secret("infra", "Opaque", certificate, otherKey) + gatewayOf("{name: tls, port: 8443, protocol: TLS, tls: {mode: Passthrough, certificateRefs: ["+ref+"]}}"), nil},
	} {
		t.Run(test.name, func(t *testing.T) { expect(t, judged(t, test.folder, takingTLS), test.want...) })
	}
}
