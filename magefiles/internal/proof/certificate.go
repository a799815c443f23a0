package proof

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/authority"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/probe"
)

// A Certificate is what a Snapshot has of a Secret that a listener names: nothing of its key.
type Certificate struct {
	// Chain is what the Secret's certificate has, each in DER, the server's own first.
	Chain [][]byte `json:"chain,omitempty"`
	// Problem is why no listener can present it; empty where one can. Unread: whether it can is not known, as the Secret may not be read.
	Problem string `json:"problem,omitempty"`
	Unread  bool   `json:"unread,omitempty"`
}

// readCertificates reads the Secrets that the snapshot's listeners name. One that may not be read is no error.
func (s *Snapshot) readCertificates(ctx context.Context, cluster Lister) error {
	var ids []check.ID
	for i := range s.Gateways {
		for _, listener := range s.Gateways[i].Spec.Listeners {
			for _, id := range gateway.SecretsOf(&s.Gateways[i], listener) {
				if !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	read := make([]Certificate, len(ids))
	reads, ctx := errgroup.WithContext(ctx)
	for i, id := range ids {
		reads.Go(func() error {
			secret, err := cluster.Get(ctx, secretKind, id.Namespace, id.Name)
			switch {
			case apierrors.IsForbidden(err):
				read[i].Unread = true
			case err != nil:
				return fmt.Errorf("%s: %w", id, err)
			default:
				read[i] = certificateOf(secret)
			}
			return nil
		})
	}
	s.Certificates = map[string]Certificate{}
	err := reads.Wait()
	for i, id := range ids {
		s.Certificates[id.String()] = read[i]
	}
	return err
}

// certificateOf returns what a Secret has, which is nil where it is not there.
func certificateOf(live *unstructured.Unstructured) (c Certificate) {
	if live == nil {
		return Certificate{Problem: "is not there"}
	}
	var secret corev1.Secret
	if err := gotype.Decode(live.Object, &secret); err != nil {
		return Certificate{Problem: "cannot be read"}
	}
	for rest := secret.Data[corev1.TLSCertKey]; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			c.Chain = append(c.Chain, block.Bytes)
		}
	}
	switch {
	case secret.Type != corev1.SecretTypeTLS:
		c.Problem = fmt.Sprintf("is of the type %s, not %s", secret.Type, corev1.SecretTypeTLS)
	case len(secret.Data[corev1.TLSCertKey]) == 0 || len(secret.Data[corev1.TLSPrivateKeyKey]) == 0:
		c.Problem = fmt.Sprintf("has not both %s and %s", corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	default:
		if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
			c.Problem = "cannot be used: " + err.Error()
		}
	}
	return c
}

// certificates are those of the Chain, as far as they can be read.
func (c Certificate) certificates() []*x509.Certificate {
	var all []*x509.Certificate
	for _, der := range c.Chain {
		if certificate, err := x509.ParseCertificate(der); err == nil {
			all = append(all, certificate)
		}
	}
	return all
}

// secretProblems says what is wrong with the Secrets that some of a Gateway's listeners name, as the end of a sentence.
func (s *Snapshot) secretProblems(gw *gatewayv1.Gateway, listeners []gatewayv1.SectionName) string {
	var problems []string
	for _, listener := range gw.Spec.Listeners {
		for _, id := range gateway.SecretsOf(gw, listener) {
			if problem := s.Certificates[id.String()].Problem; problem != "" && slices.Contains(listeners, listener.Name) {
				problems = append(problems, fmt.Sprintf("; %s %s", id, problem))
			}
		}
	}
	return strings.Join(slices.Compact(problems), "")
}

// secrets are those that the listeners name which take the request.
func (t trial) secrets() []check.ID {
	var all []check.ID
	for _, gw := range t.known(t.s) {
		for _, entry := range t.request.Through {
			for _, listener := range gw.Spec.Listeners {
				if entry.Gateway == idOf(&gw) && slices.Contains(entry.Listeners, listener.Name) {
					all = append(all, gateway.SecretsOf(&gw, listener)...)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b check.ID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// certified goes on with what was found of a request, by the certificate that the listener has presented: a client looks at it before it sends
// anything. A request to every name has none to ask for.
func (t trial) certified(answer *probe.Answer, finding check.Finding) check.Finding {
	if answer == nil || answer.TLS == nil {
		return finding
	}
	presented := t.presented(answer)
	switch {
	case presented.Fails() && finding.Cause == NoRoute && t.has(t.request.Host): // it has nothing of the listener
		finding.Found += "; " + presented.Found
	case presented.Fails():
		return presented
	case finding.Fails():
	case presented.Verdict == check.Warns:
		finding.Found += "; " + presented.Found
		if finding.Verdict == check.Holds {
			finding.Verdict = check.Warns
		}
	default:
		finding.Found += "; " + presented.Found
	}
	return finding
}

// presented judges the certificate in an answer over TLS, as a client does that trusts the authority, what the listener's Secret has, and what
// this system trusts. On somebody's cluster it does not hold against the listener that clients here may see another certificate than others do, or
// do not trust it.
func (t trial) presented(answer *probe.Answer) check.Finding {
	chain, host, now := answer.TLS.PeerCertificates, t.request.Host, t.s.Taken
	leaf, spoken := chain[0], "HTTP/1.1, "
	if answer.HTTP2 {
		spoken = "HTTP/2, "
	}
	spoken += tls.VersionName(answer.TLS.Version)
	if gateway.AnyHost(host) {
		return holds("%s; the certificate is not judged, as the route takes every name", spoken)
	}
	fault := func(format string, args ...any) check.Finding {
		finding := because(Uncertified, format, args...)
		if t.Careful {
			finding.Verdict = check.Warns
		}
		return finding
	}
	switch err := leaf.VerifyHostname(host); {
	case err != nil && t.unsigned(host):
		return check.Finding{Verdict: check.Warns, Found: fmt.Sprintf("no certificate for %s, which kindgate's authority does not sign: clients refuse it", host)}
	case t.IsDefault != nil && t.IsDefault(leaf):
		return fault("the certificate is %s's default one: it has none for %s%s", t.Name, host, t.have())
	case err != nil:
		return fault("the certificate%s is for %s, and not for %s, so that clients refuse it%s", t.of(leaf), namesOf(leaf), host, t.have())
	case now.After(leaf.NotAfter):
		return because(Uncertified, "the certificate%s has expired: it was valid until %s", t.of(leaf), leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return because(Uncertified, "the certificate%s is not valid before %s, or this machine's clock is wrong", t.of(leaf), leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	mine, known := t.roots()
	options := x509.VerifyOptions{DNSName: host, CurrentTime: now, Intermediates: x509.NewCertPool(), Roots: mine}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(options)
	if errors.As(err, &x509.UnknownAuthorityError{}) {
		options.Roots = nil // the system's
		_, err = leaf.Verify(options)
	}
	switch issuer := cmp.Or(leaf.Issuer.String(), "nobody named"); {
	case err == nil:
		return holds("%s", spoken)
	case !errors.As(err, &x509.UnknownAuthorityError{}):
		return fault("the certificate%s is refused: %v", t.of(leaf), err)
	case !known || t.Careful:
		return check.Finding{Verdict: check.Warns, Found: fmt.Sprintf("the certificate is not trusted here: its issuer is %s", issuer)}
	default:
		return fault("the certificate's issuer is %s, which neither kindgate's authority is, nor in the listener's Secret, nor trusted by this system%s", issuer, t.have())
	}
}

// unsigned tells whether a name is one that kindgate's own certificate does not have, as its authority does not sign it: a wildcard's, or one of
// another domain.
func (t trial) unsigned(host string) bool {
	return t.Made != (check.ID{}) && slices.Contains(t.secrets(), t.Made) && t.Authority != nil &&
		slices.ContainsFunc(t.s.Certificates[t.Made.String()].certificates(), func(c *x509.Certificate) bool {
			return slices.ContainsFunc(t.Authority(), func(a *x509.Certificate) bool { return c.CheckSignatureFrom(a) == nil })
		}) && !(authority.Covers(host) && slices.Contains(gateway.Hostnames(t.served(t.s), t.known(t.s)), host))
}

// roots are the certificates that are taken for good ones beside the system's: the authority's, and those of the Secrets that the listeners name. known
// tells whether these were read.
func (t trial) roots() (pool *x509.CertPool, known bool) {
	pool = x509.NewCertPool()
	if t.Authority != nil {
		for _, c := range t.Authority() {
			pool.AddCert(c)
		}
	}
	for _, id := range t.secrets() {
		for _, c := range t.s.Certificates[id.String()].certificates() {
			pool.AddCert(c)
			known = true
		}
	}
	return pool, known
}

// has tells whether a Secret that the listeners name has a certificate for a name.
func (t trial) has(host string) bool {
	return slices.ContainsFunc(t.secrets(), func(id check.ID) bool {
		c := t.s.Certificates[id.String()]
		all := c.certificates()
		return c.Problem == "" && len(all) > 0 && all[0].VerifyHostname(host) == nil
	})
}

// of says of which other listener a certificate is than those that take the request, as the rest of its name: the name of the server leads there.
func (t trial) of(leaf *x509.Certificate) string {
	own := t.secrets()
	for _, gw := range t.known(t.s) {
		for _, listener := range gw.Spec.Listeners {
			for _, id := range gateway.SecretsOf(&gw, listener) {
				has := t.s.Certificates[id.String()].Chain
				if len(has) > 0 && slices.Equal(has[0], leaf.Raw) && !slices.Contains(own, id) && int32(listener.Port) == t.request.Listener {
					return fmt.Sprintf(" of another listener, %s (%s), to which the name leads,", listener.Name, id)
				}
			}
		}
	}
	return ""
}

// have says which names the Secrets have that the listeners name, or what is wrong with them, as the end of a sentence.
func (t trial) have() string {
	var all string
	for _, id := range t.secrets() {
		switch c := t.s.Certificates[id.String()]; {
		case c.Unread:
		case c.Problem != "":
			all += fmt.Sprintf("; %s %s", id, c.Problem)
		case len(c.certificates()) > 0:
			all += fmt.Sprintf("; %s has %s", id, namesOf(c.certificates()[0]))
		}
	}
	return all
}

// mostNames bounds the names of a certificate that are said.
const mostNames = 5

func namesOf(c *x509.Certificate) string {
	names := c.DNSNames
	if more := len(names) - mostNames; more > 0 {
		names = append(slices.Clone(names[:mostNames]), fmt.Sprintf("%d more", more))
	}
	return cmp.Or(strings.Join(names, ", "), c.Subject.CommonName, "no name")
}

// certificateHop is that of the certificate which the listeners present for a request.
func (w way) certificateHop() check.Check {
	look := "describe " + w.request.Through[0].Gateway.Resource()
	if secrets := w.secrets(); len(secrets) > 0 {
		look = "describe " + secrets[0].Resource()
	}
	return check.Check{ID: check.ID{Kind: "Certificate", Name: w.request.Host, Part: fmt.Sprint(w.request.Listener)}, Title: "the listener's certificate",
		Expect: fmt.Sprintf("one for %s, valid now, that the authority, the listener's Secret or this system vouches for", w.request.Host),
		Look:   w.Place.Kubectl(look), Judge: func(ctx context.Context) check.Finding {
			if w.finding.Cause == Uncertified || w.once() {
				return given(w.finding)(ctx)
			}
			answer, err := w.Prober.Get(ctx, "GET", w.request.URL(), w.request.Header, false)
			switch {
			case errors.Is(err, probe.ErrNoTLS):
				return noTLS(w.request)
			case err != nil || answer.TLS == nil:
				return check.Finding{Verdict: check.Unknown, Found: "no answer by which to judge it"}
			}
			finding := w.presented(answer)
			if finding.Fails() && w.finding.Cause == NoRoute {
				finding.Verdict = check.Unknown // whether it lacks the certificate alone: certified has found that it has nothing of the listener
			}
			return finding
		}}
}

// noTLS is the finding of a port that answers without TLS.
func noTLS(request gateway.Request) check.Finding {
	return because(Uncertified, "no TLS at all: port %d answers without", request.Port)
}
