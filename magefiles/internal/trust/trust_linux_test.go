package trust

import (
	"strings"
	"testing"

	"github.com/smallstep/truststore"
)

func TestTheCertificateIsTakenOutWithTheLinksToIt(t *testing.T) {
	if truststore.SystemTrustCommand == nil || truststore.SystemTrustCommand[0] != "update-ca-certificates" {
		t.Skip("this system's store is changed by another command")
	}
	before := truststore.SystemTrustCommand
	t.Cleanup(func() { truststore.SystemTrustCommand = before })
	if does := Stores("/ca.pem", certificate, false)[0].Does; !strings.HasSuffix(does, "update-ca-certificates") {
		t.Error(does)
	}
	if does := Stores("/ca.pem", certificate, true)[0].Does; !strings.HasSuffix(does, "update-ca-certificates --fresh") {
		t.Error(does)
	}
}
