package cluster

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kindgate/magefiles/internal/limits"
)

// extension is the name of the extension that has our mark in an entry of a kubeconfig. kubectl keeps extensions that it does not know.
const extension = "kindgate"

type extensionContent struct {
	Owner mark `json:"owner"`
	// Authority is the SHA-256 of the certificate authority that a cluster's entry was written with; earlier releases left it out.
	Authority string `json:"authority,omitempty"`
}

// extensions are those of an entry that has the mark; none for a cluster without one.
func (m mark) extensions() map[string]runtime.Object { return extensionContent{Owner: m}.extensions() }

// seal puts the mark on a cluster's entry, together with its authority.
func (m mark) seal(entry *clientcmdapi.Cluster) {
	entry.Extensions = extensionContent{m, authorityOf(entry)}.extensions()
}

func (c extensionContent) extensions() map[string]runtime.Object {
	if c.Owner == "" {
		return nil
	}
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err) // plain strings: a bug, not a user's mistake
	}
	return map[string]runtime.Object{extension: &runtime.Unknown{Raw: raw, ContentType: runtime.ContentTypeJSON}}
}

func contentOf(extensions map[string]runtime.Object) (content extensionContent) {
	if raw, ok := extensions[extension].(*runtime.Unknown); !ok || json.Unmarshal(raw.Raw, &content) != nil {
		return extensionContent{}
	}
	return content
}

// markOf returns the mark that an entry's extensions have.
func markOf(extensions map[string]runtime.Object) mark { return contentOf(extensions).Owner }

// ledAway tells whether a cluster's entry trusts another authority than when it was sealed: somebody has led it to another cluster.
func ledAway(entry *clientcmdapi.Cluster) bool {
	authority := contentOf(entry.Extensions).Authority
	return authority != "" && authority != authorityOf(entry)
}

func authorityOf(entry *clientcmdapi.Cluster) string {
	if len(entry.CertificateAuthorityData) == 0 {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(entry.CertificateAuthorityData))
}

// written is what is known of the entries that up writes for a cluster: its mark, empty for one that an earlier release made, and what kind
// gives for it, nil where its node cannot be asked.
type written struct {
	owner   mark
	entries *clientcmdapi.Config
}

// leadsTo tells whether an entry leads to our cluster, whose context has the given name, or to one of ours of that name that is gone. That
// an address is on this machine proves nothing by itself, nor does our mark on an entry that somebody has led to another cluster.
func (w written) leadsTo(entry *clientcmdapi.Cluster, name string) bool {
	if w.entries != nil {
		if now := w.entries.Clusters[name]; now != nil && (entry.Server == now.Server || sameAuthority(entry, now)) {
			return true // nobody else can have the address now
		}
	}
	owner := markOf(entry.Extensions)
	cluster, _, _ := strings.Cut(string(owner), "/")
	return Context(cluster) == name && (owner == w.owner && !ledAway(entry) || local(entry) && gone(entry))
}

func sameAuthority(a, b *clientcmdapi.Cluster) bool {
	return len(a.CertificateAuthorityData) > 0 && bytes.Equal(a.CertificateAuthorityData, b.CertificateAuthorityData)
}

// local tells whether a cluster's API server has an address of this machine.
func local(cluster *clientcmdapi.Cluster) bool {
	server, err := url.Parse(cluster.Server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(server.Hostname())
	if server.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		return true
	}
	addresses, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addresses, func(address net.Addr) bool {
		network, ok := address.(*net.IPNet)
		return ok && network.IP.Equal(ip)
	})
}

// gone tells whether an entry certainly leads nowhere: nobody listens at its address, or somebody whose certificate is of another
// authority or for another name, or who speaks no TLS.
func gone(cluster *clientcmdapi.Cluster) bool {
	if cluster == nil {
		return true
	}
	server, err := url.Parse(cluster.Server)
	if err != nil || server.Port() == "" || cluster.ProxyURL != "" {
		return false
	}
	config := &tls.Config{ServerName: cluster.TLSServerName, InsecureSkipVerify: cluster.InsecureSkipTLSVerify}
	if len(cluster.CertificateAuthorityData) > 0 {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(cluster.CertificateAuthorityData)
	}
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: limits.OldServer}, "tcp", server.Host, config)
	if err == nil {
		_ = connection.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &x509.UnknownAuthorityError{}) ||
		errors.As(err, &x509.HostnameError{}) || errors.As(err, &tls.RecordHeaderError{})
}
