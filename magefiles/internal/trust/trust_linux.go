package trust

import (
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/smallstep/truststore"
)

// systemCommands are those that truststore runs.
func systemCommands(certificate *x509.Certificate, out bool) string {
	if truststore.SystemTrustCommand == nil {
		return ""
	}
	name := certificate.Subject.CommonName + " " + certificate.SerialNumber.String()
	change := []string{"tee", fmt.Sprintf(truststore.SystemTrustFilename, strings.ReplaceAll(name, " ", "_"))}
	if out {
		change = []string{"rm", "-f", change[1]}
	}
	return fmt.Sprintf("as root: %s; then %s", strings.Join(truststore.CommandWithSudo(change...).Args, " "),
		strings.Join(truststore.CommandWithSudo(truststore.SystemTrustCommand...).Args, " "))
}
