// Package authority is a local certificate authority, one for each user and machine. By its own certificate it can sign nothing but names of
// servers under domains that nobody can own, so that whoever trusts it trusts it with no name of the internet.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// Domains are those that it signs names under. See https://www.rfc-editor.org/rfc/rfc2606#section-2 and
// https://www.rfc-editor.org/rfc/rfc6761#section-6.
var Domains = []string{"localhost", "test", "example"}

const (
	lifetime     = 10 * 365 * 24 * time.Hour
	leafLifetime = 90 * 24 * time.Hour
	// renewal is what a certificate has left when it is renewed.
	renewal = leafLifetime / 3
	// skew is how far the clock of another machine, or of the engine's virtual machine, may be behind.
	skew = time.Hour
)

// An Authority signs certificates. Its key is in its file, and nowhere else.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
}

// Covers tells whether the authority can sign a name: one of a host under its domains, and not a wildcard, which browsers refuse where one label
// follows it.
func Covers(name string) bool {
	return !strings.Contains(name, "*") && slices.ContainsFunc(Domains, func(domain string) bool {
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

// New makes an authority that is in no file, whose certificate names its owner. The error is that no key can be made.
func New(owner string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"kindgate"}, CommonName: "kindgate authority of " + owner},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifetime), KeyUsage: x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: Domains,
		// A kind of name that has no constraint is not constrained: https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.10.
		ExcludedIPRanges: []*net.IPNet{{IP: make(net.IP, net.IPv4len), Mask: make(net.IPMask, net.IPv4len)}, {IP: make(net.IP, net.IPv6len), Mask: make(net.IPMask, net.IPv6len)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &Authority{certificate, key}, err
}

func serial() *big.Int {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes) // which never fails
	bytes[0] &= 0x7f
	return new(big.Int).SetBytes(bytes)
}

// ErrNotCovered is the error of a name that the authority cannot sign.
var ErrNotCovered = errors.New("the authority signs names under " + strings.Join(Domains, ", ") + " alone, and no wildcards")

// Issue signs a certificate with a key of its own for some names, and returns both in PEM. The error is ErrNotCovered for one that it cannot sign,
// or that the authority itself is not valid.
func (a *Authority) Issue(names []string, now time.Time) (certificate, key []byte, err error) {
	if at := slices.IndexFunc(names, func(name string) bool { return !Covers(name) }); at >= 0 {
		return nil, nil, fmt.Errorf("%s: %w", names[at], ErrNotCovered)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	until := now.Add(leafLifetime)
	if until.After(a.Certificate.NotAfter) {
		until = a.Certificate.NotAfter
	}
	template := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"kindgate"}}, DNSNames: names,
		NotBefore: now.Add(-skew), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: secret}), nil
}

// Lacks says why a certificate, which may be nil, is to be issued anew for some names; it is empty where it is not: the authority has signed it, it
// has all the names, and more than a third of its time is left.
func (a *Authority) Lacks(certificate *x509.Certificate, names []string, now time.Time) string {
	if certificate == nil {
		return "there is none"
	}
	for _, name := range names {
		if certificate.VerifyHostname(name) != nil {
			return "no name " + name
		}
	}
	switch {
	case certificate.CheckSignatureFrom(a.Certificate) != nil:
		return "of another authority"
	case now.Before(certificate.NotBefore):
		return "not valid yet"
	case now.Add(min(renewal, certificate.NotAfter.Sub(certificate.NotBefore)/3)).After(certificate.NotAfter):
		return "valid only until " + certificate.NotAfter.UTC().Format(time.DateOnly)
	}
	return ""
}
