package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/authority"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/ui"
)

// tlsSecret is the Secret that kindgate makes for the listeners which name it.
var tlsSecret = check.ID{Kind: "Secret", Namespace: serving.Namespace, Name: "kindgate-tls"}

// certificateNames are those that the Secret's certificate must have, and those that the authority cannot sign. ok is false where the Secret is not
// kindgate's to make: no listener of the manifests names it, or it is in them.
func (in inputs) certificateNames() (names, others []string, ok bool) {
	names, others, ok = gateway.CertificateNames(tlsSecret, in.served, in.gateways)
	if slices.ContainsFunc(in.apps, func(o kube.Object) bool {
		return o.GetKind() == tlsSecret.Kind && o.GetNamespace() == tlsSecret.Namespace && o.GetName() == tlsSecret.Name
	}) {
		return nil, nil, false
	}
	covered := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !authority.Covers(name) })
	others = append(slices.DeleteFunc(names, authority.Covers), others...)
	if len(covered) == 0 {
		covered = []string{"localhost"} // without any certificate the listener would not be programmed
	}
	return covered, others, ok
}

// made are the objects that kindgate makes beside those of the manifests.
func (in inputs) made() []kube.Object {
	if _, _, ok := in.certificateNames(); !ok {
		return nil
	}
	return []kube.Object{secretObject()}
}

// authorityDir is the folder of this user's authority. The error is that the user has no configuration directory.
func authorityDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the folder for the local certificate authority: %w", err)
	}
	return filepath.Join(dir, "kindgate"), nil
}

// ownerName names this user and machine in the authority's certificate.
func ownerName() string {
	name, host := "a user", "this machine"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// openAuthority returns this user's authority, and makes it where there is none.
func (s *session) openAuthority(ctx context.Context) (*authority.Authority, error) {
	dir, err := authorityDir()
	if err != nil {
		return nil, err
	}
	a, made, err := authority.Open(ctx, dir, ownerName(), time.Now())
	if made && err == nil {
		s.run.Note("Made a local certificate authority for this user and machine, which can sign nothing but names under " + strings.Join(authority.Domains, ", ") +
			": " + authority.Path(dir) + "\nNothing trusts it before you say so: " + shipped.Command("trust") + "; or, for one request: curl --cacert " + authority.Path(dir))
	}
	return a, err
}

// findAuthority returns this user's authority, nil where there is none, and makes none.
func findAuthority() (*authority.Authority, string, error) {
	dir, err := authorityDir()
	if err != nil {
		return nil, "", err
	}
	a, err := authority.Find(dir, time.Now())
	return a, authority.Path(dir), err
}

// roots are the certificates of this user's authority, as far as it can be read. Certify comes before the first proof that asks for them.
func roots() []*x509.Certificate {
	if a, _, err := findAuthority(); err == nil && a != nil {
		return []*x509.Certificate{a.Certificate}
	}
	return nil
}

// certificate returns the Secret with a certificate for some names, and until when that is valid. live is the Secret as the cluster has it, nil
// for none, whose certificate is kept while it does. The error is that the authority cannot sign one.
func certificate(a *authority.Authority, names []string, live *unstructured.Unstructured, now time.Time) (kube.Object, time.Time, error) {
	certPEM, keyPEM := secretData(live)
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil || a.Lacks(pair.Leaf, names, now) != "" {
		if certPEM, keyPEM, err = a.Issue(names, now); err != nil {
			return kube.Object{}, time.Time{}, err
		}
		if pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
			return kube.Object{}, time.Time{}, err
		}
	}
	secret := secretObject()
	secret.Object["type"] = string(corev1.SecretTypeTLS)
	secret.Object["data"] = map[string]any{
		corev1.TLSCertKey: base64.StdEncoding.EncodeToString(certPEM), corev1.TLSPrivateKeyKey: base64.StdEncoding.EncodeToString(keyPEM)}
	return secret, pair.Leaf.NotAfter, nil
}

func secretObject() kube.Object {
	return inventory.Entry{Kind: corev1.SchemeGroupVersion.WithKind(tlsSecret.Kind), Namespace: tlsSecret.Namespace, Name: tlsSecret.Name}.Object()
}

// secretData are the certificate and the key in a Secret, nothing where they cannot be read.
func secretData(live *unstructured.Unstructured) (certificate, key []byte) {
	if live == nil {
		return nil, nil
	}
	data, _, _ := unstructured.NestedStringMap(live.Object, "data")
	certificate, _ = base64.StdEncoding.DecodeString(data[corev1.TLSCertKey])
	key, _ = base64.StdEncoding.DecodeString(data[corev1.TLSPrivateKeyKey])
	return certificate, key
}

// A wantedCertificate is the Secret that a cluster is to have, and as it has it now, nil for not at all. Both lists are empty where it is not
// kindgate's to make. detail says what the certificate is, or why that is so.
type wantedCertificate struct {
	secret []kube.Object
	live   []*unstructured.Unstructured
	detail string
}

// wantCertificate says what the Secret is to be, by the authority that sign returns. One that somebody else has made is used as it is.
func (s *session) wantCertificate(ctx context.Context, client *kube.Client, sign func() (*authority.Authority, error)) (wantedCertificate, error) {
	names, others, ok := s.inputs.certificateNames()
	if !ok {
		return wantedCertificate{detail: fmt.Sprintf("none: no HTTPS listener names %s, or it is in %s/", tlsSecret, manifestsDir)}, nil
	}
	live, err := client.Live(ctx, s.inputs.made())
	if err != nil {
		return wantedCertificate{}, err
	}
	if live[0] != nil && !kube.IsOurs(live[0]) {
		return wantedCertificate{detail: fmt.Sprintf("%s was not made by kindgate: it is used as it is", tlsSecret)}, nil
	}
	if len(others) > 0 {
		s.run.Note(fmt.Sprintf("Not in the certificate: %s. kindgate's authority signs names under %s alone, and no wildcards. "+
			"For others, put a certificate of your own into a Secret, and name that in the listener.", shortened(others), strings.Join(authority.Domains, ", ")))
	}
	by, err := sign()
	if err != nil {
		return wantedCertificate{}, err
	}
	secret, until, err := certificate(by, names, live[0], time.Now())
	return wantedCertificate{[]kube.Object{secret}, live, count(len(names), "name") + ", until " + until.Local().Format(time.DateOnly)}, err
}

// Certify makes the certificate of the listeners that name kindgate's Secret, and renews it.
func (s *objectSteps) Certify(ctx context.Context) error {
	return s.run.Step("certificates", func(*ui.Step) (result.Result, string, error) {
		client, err := s.kube()
		if err != nil {
			return "", "", err
		}
		if len(s.inputs.made()) > 0 { // the namespace first: with one that is being deleted, the Secret goes, too
			changes, err := client.Apply(ctx, []kube.Object{namespaceObject(serving.Namespace)})
			sayChanges(s.ui.Note, changes)
			if err != nil {
				return "", "", err
			}
		}
		want, err := s.wantCertificate(ctx, client, func() (*authority.Authority, error) { return s.openAuthority(ctx) })
		if err != nil || len(want.secret) == 0 {
			return result.Unchanged, want.detail, err
		}
		changes, err := client.ApplyTo(ctx, want.secret, want.live)
		sayChanges(s.ui.Note, changes)
		if err != nil {
			return "", "", err
		}
		return changes[0].Result, want.detail, nil
	})
}

// plannedCertificate is what Certify would apply. Where there is no authority yet, one that is in no file signs it.
func (s *session) plannedCertificate(ctx context.Context, client *kube.Client) ([]kube.Object, error) {
	want, err := s.wantCertificate(ctx, client, func() (*authority.Authority, error) {
		a, _, err := findAuthority()
		if err == nil && a == nil {
			a, err = authority.New(ownerName(), time.Now())
		}
		return a, err
	})
	return want.secret, err
}
