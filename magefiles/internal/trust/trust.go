// Package trust puts a certificate into the stores by which programs of this machine decide whom they trust, and takes it out of them.
package trust

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"al.essio.dev/pkg/shellescape"
	"github.com/smallstep/truststore"
)

// A Store is one of those of this machine.
type Store struct {
	// Name says whose programs ask it.
	Name string
	// Does says which commands are run, and with which rights; empty where nothing can be done.
	Does string
	// Yourself says why nothing can be done, and by which commands a user does it; empty where there is nothing to do.
	Yourself string

	options []truststore.Option
}

// Stores are those that a certificate in a file is to be put into, or taken out of.
func Stores(file string, certificate *x509.Certificate, out bool) []Store {
	prepare(out)
	home, _ := os.UserHomeDir()
	_, err := exec.LookPath("certutil")
	return []Store{system(certificate, out), nss(home, file, certificate, err == nil, out), java(os.Getenv("JAVA_HOME"), out)}
}

func system(certificate *x509.Certificate, out bool) Store {
	return Store{Name: "system", Does: systemCommands(certificate, out)}
}

// nss are the databases of Firefox and Chromium. Chromium on Linux asks one in the user's home and not the system's store. See
// https://chromium.googlesource.com/chromium/src/+/main/docs/linux/cert_management.md.
func nss(home, file string, certificate *x509.Certificate, able, out bool) Store {
	s := Store{Name: "Firefox, Chromium", options: []truststore.Option{truststore.WithFirefox(), truststore.WithNoSystem()}}
	chromium := filepath.Join(home, ".pki", "nssdb")
	_, err := os.Stat(filepath.Join(chromium, "cert9.db"))
	profiles, _ := filepath.Glob(truststore.NSSProfile)
	database, name := "sql:"+chromium, certificate.Subject.CommonName+" "+certificate.SerialNumber.String() // as truststore names it
	put := fmt.Sprintf("certutil -d %s -A -t C,, -n %s -i %s", shellescape.Quote(database), shellescape.Quote(name), shellescape.Quote(file))
	switch {
	case able && (err == nil || len(profiles) > 0) && out:
		s.Does = "certutil -D, as this user, in each of their databases"
	case able && (err == nil || len(profiles) > 0):
		s.Does = "certutil -A, as this user, in each of their databases"
	case out && err != nil:
	case out:
		s.Yourself = fmt.Sprintf("certutil is not installed (package libnss3-tools, nss-tools or nss). Then: certutil -d %s -D -n %s", shellescape.Quote(database), shellescape.Quote(name))
	case err != nil:
		s.Yourself = fmt.Sprintf("there is no database yet. For Chromium: mkdir -p %s && certutil -d %s -N --empty-password && %s", shellescape.Quote(chromium), shellescape.Quote(database), put)
	default:
		s.Yourself = "certutil is not installed (package libnss3-tools, nss-tools or nss). Then: " + put
	}
	return s
}

func java(home string, out bool) Store {
	s := Store{Name: "Java", options: []truststore.Option{truststore.WithJava(), truststore.WithNoSystem()}}
	if _, err := truststore.NewJavaTrust(); err != nil {
		if !out && home != "" {
			s.Yourself = "there is no Java with a keytool in JAVA_HOME, " + home
		}
		return s
	}
	s.Does = "keytool of JAVA_HOME, " + home + ", as this user, and by sudo where its cacerts belong to root"
	return s
}

// Put puts the certificate of a file into the store. The error has what the command said that failed.
func (s Store) Put(file string) error { return said(truststore.InstallFile(file, s.options...)) }

// Take takes the certificate of a file out of the store. The error has what the command said that failed.
func (s Store) Take(file string) error { return said(truststore.UninstallFile(file, s.options...)) }

// said is an error with what a command has said.
func said(err error) error {
	if failed, ok := err.(interface{ Out() []byte }); ok && err != nil {
		if out := strings.TrimSpace(string(failed.Out())); out != "" {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return err
}

// System tells whether this system's store has a certificate.
func System(certificate *x509.Certificate) bool {
	_, err := certificate.Verify(x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}
