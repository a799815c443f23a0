package manifest

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/kube"
)

// soon is how long before its end a certificate is warned of.
const soon = 14 * 24 * time.Hour

// secretsOf returns the Secrets that a listener names, each with its field.
func secretsOf(l *listener) (fields []string, secrets []key) {
	if l.TLS == nil || l.TLS.Mode != nil && *l.TLS.Mode != gatewayv1.TLSModeTerminate {
		return nil, nil
	}
	for i, ref := range l.TLS.CertificateRefs {
		id, ok := gateway.SecretOf(keyOf(l.gateway).namespace, ref)
		if !ok {
			continue
		}
		to := key{"", "Secret", id.Namespace, id.Name}
		fields, secrets = append(fields, fmt.Sprintf("%s.tls.certificateRefs[%d]", l.field, i)), append(secrets, to)
	}
	return fields, secrets
}

// certificateRefs judges what a listener names as its certificates, and for which names they are. See
// https://gateway-api.sigs.k8s.io/reference/spec/#listenertlsconfig.
func (l *listener) certificateRefs() []Problem {
	var problems []Problem
	var known []*x509.Certificate
	fields, secrets := secretsOf(l)
	for i, to := range secrets {
		problems = append(problems, l.folder.permitted(l.gateway, fields[i], to)...)
		secret, ok := l.folder.has(to)
		if !ok {
			problems = append(problems, l.folder.absent(l.gateway, fields[i], to)...)
			continue
		}
		if pair, _, err := keyPair(secret); err == nil {
			known = append(known, pair.Leaf)
		}
	}
	if len(known) == 0 || len(known) < len(l.TLS.CertificateRefs) { // one that is not known may be for any name
		return problems
	}
	names := slices.Clone(l.hosts)
	if len(names) == 0 && l.hostname() != "" {
		names = []string{l.hostname()}
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(known, func(c *x509.Certificate) bool { return isFor(c, name) })
	})
	if len(names) == 0 {
		return problems
	}
	slices.Sort(names)
	var its []string
	for _, c := range known {
		its = append(its, c.DNSNames...)
	}
	remedy := "put a certificate into the Secret that has these as DNS names"
	return append(problems, warning(l.gateway, fields[0], remedy, "listener %s: the certificate of %s is for %s, and not for %s, so that clients refuse it",
		l.Name, joined(secrets), cmp.Or(strings.Join(its, ", "), "no DNS name"), strings.Join(slices.Compact(names), ", ")))
}

// isFor tells whether a certificate is for a name; for one that is a wildcard, whether it is for any name of it.
func isFor(c *x509.Certificate, name string) bool {
	if strings.HasPrefix(name, "*") {
		return slices.ContainsFunc(c.DNSNames, func(its string) bool { return gateway.Meet(strings.ToLower(its), name) })
	}
	return c.VerifyHostname(name) == nil
}

// certificate judges a Secret that a listener names.
func (f *folder) certificate(o kube.Object) []Problem {
	if !f.presented[keyOf(o)] {
		return nil
	}
	var problems []Problem
	if kind, ok := o.Object["type"]; !ok || kind != string(corev1.SecretTypeTLS) {
		problems = append(problems, warning(o, "type", "write type: kubernetes.io/tls", "a listener names it, and its type is not kubernetes.io/tls"))
	}
	pair, field, err := keyPair(o)
	if err != nil {
		return append(problems, wrong(o, field, "write a certificate and its key, in PEM, as kubectl create secret tls makes them", "%v", err))
	}
	switch leaf := pair.Leaf; {
	case f.now.After(leaf.NotAfter):
		problems = append(problems, wrong(o, field, "renew the certificate", "its certificate has expired: it was valid until %s", day(leaf.NotAfter)))
	case f.now.Before(leaf.NotBefore):
		problems = append(problems, wrong(o, field, "write a certificate that is valid now", "its certificate is not valid yet: it will be from %s on", day(leaf.NotBefore)))
	case f.now.Add(soon).After(leaf.NotAfter):
		problems = append(problems, warning(o, field, "renew the certificate", "its certificate is valid only until %s", day(leaf.NotAfter)))
	}
	return problems
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// keyPair returns the certificate and the key in a Secret, and the field of the certificate; else the field that an error is about.
func keyPair(o kube.Object) (pair tls.Certificate, field string, err error) {
	secret, ok := read[corev1.Secret](o)
	if !ok {
		return pair, "data", fmt.Errorf("its data cannot be read: each value is base64")
	}
	var parts [2][]byte
	for i, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		in := "data"
		parts[i] = secret.Data[name]
		if text, ok := secret.StringData[name]; ok {
			in, parts[i] = "stringData", []byte(text)
		}
		if len(parts[i]) == 0 {
			return pair, in, fmt.Errorf("it has no %s", name)
		}
		if i == 0 {
			field = in + "[" + name + "]"
		}
	}
	pair, err = tls.X509KeyPair(parts[0], parts[1])
	if err != nil {
		return pair, field, fmt.Errorf("its certificate and key cannot be used: %w", err)
	}
	return pair, field, nil
}
