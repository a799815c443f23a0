package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var certificate = &x509.Certificate{Subject: pkix.Name{CommonName: "kindgate authority of me@here"}, SerialNumber: big.NewInt(7)}

func TestWhatIsDoneToAStoreIsSaidBeforeAndWhatCannotBeDoneHasACommand(t *testing.T) {
	with, without := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(with, ".pki", "nssdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(with, ".pki", "nssdb", "cert9.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name           string
		home           string
		able, out      bool
		does, yourself string
	}{
		{"put", with, true, false, "certutil -A, as this user", ""},
		{"take", with, true, true, "certutil -D, as this user", ""},
		{"put, without certutil", with, false, false, "", "-A -t C,, -n 'kindgate authority of me@here 7' -i /ca.pem"},
		{"take, without certutil", with, false, true, "", "-D -n 'kindgate authority of me@here 7'"},
		{"put, without a database", without, true, false, "", "-N --empty-password && certutil"},
		{"take, without a database", without, true, true, "", ""},
	} {
		s := nss(test.home, "/ca.pem", certificate, test.able, test.out)
		if (s.Does == "") != (test.does == "") || !strings.HasPrefix(s.Does, test.does) || (s.Yourself == "") != (test.yourself == "") || !strings.Contains(s.Yourself, test.yourself) {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
	t.Setenv("JAVA_HOME", without)
	if s := java(without, false); s.Does != "" || !strings.Contains(s.Yourself, without) {
		t.Errorf("%+v", s)
	}
	if s := java("", false); s.Does+s.Yourself != "" {
		t.Errorf("%+v", s)
	}
}

func TestACertificateThatNobodyKnowsIsNotTrustedByTheSystem(t *testing.T) {
	if System(certificate) {
		t.Error("trusted")
	}
}
