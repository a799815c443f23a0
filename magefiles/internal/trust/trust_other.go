//go:build !linux

package trust

import (
	"crypto/x509"
	"runtime"
)

func prepare(bool) {}

// systemCommands are those that truststore runs.
func systemCommands(_ *x509.Certificate, out bool) string {
	verb := map[bool]string{false: "add", true: "remove"}[out]
	switch runtime.GOOS {
	case "darwin":
		return "as root, by sudo: security " + verb + "-trusted-cert, in the system's keychain"
	case "windows":
		return "as this user, in the store ROOT, after Windows has asked"
	case "freebsd":
		return "as root, by sudo: certctl rehash, after a change in /usr/local/share/certs"
	}
	return ""
}
