package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func fresh(t *testing.T) *Authority {
	t.Helper()
	a, err := New("me@here", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// leaf is what an authority has issued.
func leaf(t *testing.T, a *Authority, at time.Time, names ...string) *x509.Certificate {
	t.Helper()
	certificate, key, err := a.Issue(names, at)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// forged is a certificate for any names, signed by the authority's key past Issue.
func forged(t *testing.T, a *Authority, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{Organization: []string{"forged"}}, NotBefore: now.Add(-day), NotAfter: now.Add(day),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func verify(a *Authority, c *x509.Certificate, name string, intermediates ...*x509.Certificate) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.Certificate)
	for _, i := range intermediates {
		between.AddCert(i)
	}
	_, err := c.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now})
	return err
}

// openssl is what openssl verify says of a certificate.
func openssl(t *testing.T, a *Authority, c *x509.Certificate) (string, bool) {
	t.Helper()
	dir := t.TempDir()
	root, file := filepath.Join(dir, "root.pem"), filepath.Join(dir, "leaf.pem")
	if err := errors.Join(os.WriteFile(root, a.PEM(), 0o600), os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: c.Raw}), 0o600)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("openssl", "verify", "-attime", "1796040000", "-purpose", "sslserver", "-CAfile", root, file).CombinedOutput()
	return string(out), err == nil
}

func TestACertificateIsForEachOfItsNamesAndGoodFor90Days(t *testing.T) {
	a := fresh(t)
	names := []string{"a.localhost", "b.c.test", "www.example", "localhost"}
	c := leaf(t, a, now, names...)
	for _, name := range names {
		if err := verify(a, c, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !slices.Equal(c.DNSNames, names) || c.IsCA || c.NotAfter.Sub(now) != 90*day || !c.NotBefore.Before(now) {
		t.Errorf("%+v", c)
	}
	if late := leaf(t, a, a.Certificate.NotAfter.Add(-day), "a.test"); late.NotAfter.After(a.Certificate.NotAfter) {
		t.Error("it outlives its authority")
	}
	if _, err := exec.LookPath("openssl"); err == nil {
		if out, ok := openssl(t, a, c); !ok {
			t.Error(out)
		}
	}
}

func TestTheAuthorityCanSignNothingElse(t *testing.T) {
	a := fresh(t)
	for _, name := range []string{"example.com", "localhost.evil.com", "notlocalhost", "*.localhost", "test.", "", "127.0.0.1"} {
		if _, _, err := a.Issue([]string{"a.localhost", name}, now); !errors.Is(err, ErrNotCovered) || Covers(name) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if !a.Certificate.PermittedDNSDomainsCritical || !a.Certificate.MaxPathLenZero || a.Certificate.PublicKey.(*ecdsa.PublicKey).Curve != elliptic.P256() {
		t.Errorf("%+v", a.Certificate)
	}
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		asked  string
	}{
		"a name of the internet": {func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} }, "example.com"},
		"one beside its own":     {func(c *x509.Certificate) { c.DNSNames = []string{"a.localhost", "example.com"} }, "a.localhost"},
		"an address":             {func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }, "192.0.2.1"},
		"an address of IPv6":     {func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} }, "2001:db8::1"},
		"code": {func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"a.test"}, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}, "a.test"},
	} {
		c := forged(t, a, test.change)
		if err := verify(a, c, test.asked); err == nil {
			t.Errorf("%s: Go takes it", name)
		}
		if _, err := exec.LookPath("openssl"); err == nil {
			if out, ok := openssl(t, a, c); ok {
				t.Errorf("%s: %s", name, out)
			}
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	below := &Authority{key: key}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(8), Subject: pkix.Name{CommonName: "below"}, NotBefore: now.Add(-day), NotAfter: now.Add(day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, a.Certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if below.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := verify(a, leaf(t, below, now, "a.test"), "a.test", below.Certificate); err == nil {
		t.Error("an authority below it signs")
	}
}

func TestACertificateIsRenewedWhenAThirdIsLeftOrANameIsMissing(t *testing.T) {
	a, other := fresh(t), fresh(t)
	c := leaf(t, a, now, "a.test", "b.test")
	for want, got := range map[string]string{
		"there is none":               a.Lacks(nil, nil, now),
		"no name c.test":              a.Lacks(c, []string{"a.test", "c.test"}, now),
		"of another authority":        other.Lacks(c, []string{"a.test"}, now),
		"not valid yet":               a.Lacks(c, []string{"a.test"}, now.Add(-2*time.Hour)),
		"valid only until 2027-02-28": a.Lacks(c, []string{"a.test"}, now.Add(60*day+time.Minute)),
		"":                            a.Lacks(c, []string{"a.test"}, now.Add(59*day)),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	end := a.Certificate.NotAfter // near which none is renewed each time
	if why := a.Lacks(leaf(t, a, end.Add(-10*day), "a.test"), []string{"a.test"}, end.Add(-9*day)); why != "" {
		t.Error(why)
	}
}

func open(t *testing.T, dir string) (*Authority, bool) {
	t.Helper()
	a, made, err := Open(t.Context(), dir, "me@here", now)
	if err != nil {
		t.Fatal(err)
	}
	return a, made
}

func TestTheAuthorityIsMadeOnceAndItsKeyIsForItsUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "kindgate")
	if c, err := Find(dir, now); c != nil || err != nil {
		t.Fatal(c, err)
	}
	a, made := open(t, dir)
	again, madeAgain := open(t, dir)
	if !made || madeAgain || !a.Certificate.Equal(again.Certificate) {
		t.Error(made, madeAgain)
	}
	if c, err := Find(dir, now); err != nil || !c.Certificate.Equal(a.Certificate) || !strings.Contains(c.Certificate.Subject.CommonName, "me@here") {
		t.Error(c, err)
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || private && info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	public, err := os.ReadFile(Path(dir))
	if err != nil || !bytes.Equal(public, a.PEM()) || bytes.Contains(public, []byte("PRIVATE")) {
		t.Errorf("%s %v", public, err)
	}
	if err := os.Remove(Path(dir)); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if again, err := os.ReadFile(Path(dir)); err != nil || !bytes.Equal(again, public) {
		t.Error("the certificate is not written again", err)
	}
}

func TestTwoRunsAtOnceHaveOneAuthority(t *testing.T) {
	dir := t.TempDir()
	var all sync.Map
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			a, _, err := Open(t.Context(), dir, "me@here", now)
			if err != nil {
				t.Error(err)
				return
			}
			all.Store(string(a.Certificate.Raw), true)
		})
	}
	running.Wait()
	n := 0
	all.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d authorities", n)
	}
}

func TestAFileThatCannotBeUsedIsNamedAndLeftAsItIs(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, dir, key string)
		at     time.Time
		why    string
	}{
		{"damaged", func(t *testing.T, _, key string) { edit(t, key, func(b []byte) []byte { return b[:len(b)-80] }) }, now, "it is damaged"},
		{"of something else", func(t *testing.T, _, key string) { edit(t, key, func([]byte) []byte { return []byte("mine") }) }, now, "it is damaged"},
		{"a leaf's", func(t *testing.T, dir, key string) {
			certificate, private, err := fresh(t).Issue([]string{"a.test"}, now)
			if err != nil {
				t.Fatal(err)
			}
			edit(t, key, func([]byte) []byte { return append(certificate, private...) })
		}, now, "it is damaged"},
		{"of an authority without limits", func(t *testing.T, dir, key string) {
			private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-day), NotAfter: now.Add(lifetime), IsCA: true, BasicConstraintsValid: true}
			der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
			if err != nil {
				t.Fatal(err)
			}
			secret, err := x509.MarshalPKCS8PrivateKey(private)
			if err != nil {
				t.Fatal(err)
			}
			certificate := pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: der})
			edit(t, key, func([]byte) []byte {
				return append(slices.Clone(certificate), pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: secret})...)
			})
			edit(t, Path(dir), func([]byte) []byte { return certificate })
		}, now, "it is another authority than kindgate makes"},
		{"read by others", func(t *testing.T, _, key string) { chmod(t, key, 0o644) }, now, "others may read the authority's key (its mode is 0644)"},
		{"a folder", func(t *testing.T, _, key string) {
			if err := errors.Join(os.Remove(key), os.Mkdir(key, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, now, "a folder"},
		{"another certificate beside it", func(t *testing.T, dir, _ string) { edit(t, Path(dir), func([]byte) []byte { return fresh(t).PEM() }) }, now, "not the certificate of the authority"},
		{"before its time", func(*testing.T, string, string) {}, now.Add(-2 * time.Hour), "not valid before"},
		{"after its time", func(*testing.T, string, string) {}, now.Add(lifetime + day), "was valid until"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !private && strings.Contains(test.why, "mode") {
				t.Skip("modes say nothing here")
			}
			dir := t.TempDir()
			open(t, dir)
			key := filepath.Join(dir, keyFile)
			secret, _ := os.ReadFile(key)
			test.damage(t, dir, key)
			before, _ := os.ReadFile(key)
			_, _, err := Open(t.Context(), dir, "me@here", test.at)
			var file *FileError
			if !errors.As(err, &file) || !strings.Contains(err.Error(), test.why) || !strings.HasPrefix(err.Error(), dir) || file.Remedy == "" {
				t.Fatal(err)
			}
			if after, _ := os.ReadFile(key); !bytes.Equal(before, after) {
				t.Error("the file has changed")
			}
			for line := range bytes.Lines(secret) {
				if text := strings.TrimSpace(string(line)); len(text) > 30 && strings.Contains(err.Error()+file.Remedy, text) {
					t.Error("the error has a part of the file")
				}
			}
		})
	}
}

func TestTheCertificateIsKnownWhateverHasBecomeOfTheKey(t *testing.T) {
	dir := t.TempDir()
	a, _ := open(t, dir)
	for _, damage := range []func(key string) error{
		func(key string) error { return os.WriteFile(key, []byte("mine"), 0o600) },
		os.Remove,
	} {
		if err := damage(filepath.Join(dir, keyFile)); err != nil {
			t.Fatal(err)
		}
		if known := Published(dir); known == nil || !known.Certificate.Equal(a.Certificate) {
			t.Errorf("%+v", known)
		}
	}
	for name, content := range map[string][]byte{"two certificates": append(a.PEM(), a.PEM()...), "no certificate": []byte("mine"), "nothing": nil} {
		if err := os.WriteFile(Path(dir), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if known := Published(dir); known != nil {
			t.Errorf("%s: %+v", name, known)
		}
	}
}

func TestAFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open(t.Context(), filepath.Join(dir, "kindgate"), "me@here", now)
	if file := (*FileError)(nil); !errors.As(err, &file) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
