package trust

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/smallstep/truststore"
)

// prepare has truststore run what leaves nothing behind: without --fresh, Debian's update-ca-certificates keeps the links to a certificate that is gone.
func prepare(out bool) {
	if command := truststore.SystemTrustCommand; out && slices.Equal(command, []string{"update-ca-certificates"}) {
		truststore.SystemTrustCommand = []string{command[0], "--fresh"}
	}
}

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
