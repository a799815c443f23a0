package cluster

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kindgate/magefiles/internal/atomicfile"
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
	entry.Extensions = extensionContent{m, hashOfAuthority(entry)}.extensions()
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

// others adds to our extensions of an entry those that somebody else has given it.
func others(old, ours map[string]runtime.Object) map[string]runtime.Object {
	all := maps.Clone(old)
	delete(all, extension)
	if len(all) == 0 {
		return ours
	}
	maps.Copy(all, ours)
	return all
}

// markOf returns the mark that an entry's extensions have.
func markOf(extensions map[string]runtime.Object) mark { return contentOf(extensions).Owner }

// ledAway tells whether a cluster's entry trusts another authority than when it was sealed: somebody has led it to another cluster.
func ledAway(entry *clientcmdapi.Cluster) bool {
	sealed := contentOf(entry.Extensions).Authority
	return sealed != "" && sealed != hashOfAuthority(entry)
}

// hashOfAuthority is empty for an entry without an authority, or one whose file cannot be read.
func hashOfAuthority(entry *clientcmdapi.Cluster) string {
	authority, _ := authorityOf(entry)
	if len(authority) == 0 {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(authority))
}

// authorityOf returns the certificates that an entry trusts, none where it leaves that to the system: its data or else those of its file, which
// is relative to the kubeconfig's folder.
func authorityOf(entry *clientcmdapi.Cluster) ([]byte, error) {
	path := entry.CertificateAuthority
	if len(entry.CertificateAuthorityData) > 0 || path == "" {
		return entry.CertificateAuthorityData, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(entry.LocationOfOrigin), path)
	}
	return atomicfile.Read(path)
}

// written is what is known of the entries that up writes for a cluster: its mark, empty for one that an earlier release made, and what kind
// gives for it, nil where its node cannot be asked. gone are the entries that certainly lead nowhere, by their identities; see ask.
type written struct {
	owner   mark
	entries *clientcmdapi.Config
	gone    map[string]bool
}

// ask finds out which of a kubeconfig's clusters are gone, of those that have the mark of one of that name or are its context's. Their servers
// take up to a second each to answer, so they are asked side by side, and before a file is edited; what is not among them then is not gone.
func (w written) ask(configs []*clientcmdapi.Config, name string) written {
	entries := map[string]*clientcmdapi.Cluster{}
	named := map[string]bool{}
	for _, config := range configs {
		if context := config.Contexts[name]; context != nil {
			named[context.Cluster] = true
		}
	}
	for _, config := range configs {
		for cluster, entry := range config.Clusters {
			if named[cluster] || markOf(entry.Extensions).context() == name {
				entries[identityOf(entry)] = entry
			}
		}
	}
	w.gone = map[string]bool{}
	var asked sync.WaitGroup
	var mu sync.Mutex
	for identity, entry := range entries {
		asked.Go(func() {
			gone := gone(entry)
			mu.Lock()
			defer mu.Unlock()
			w.gone[identity] = gone
		})
	}
	asked.Wait()
	return w
}

// isGone tells whether an entry was found to lead nowhere, or is not there.
func (w written) isGone(entry *clientcmdapi.Cluster) bool {
	return entry == nil || w.gone[identityOf(entry)]
}

// identityOf has all that an entry says, and which file its paths are relative to.
func identityOf(entry *clientcmdapi.Cluster) string {
	content, err := json.Marshal(entry)
	if err != nil {
		panic(err) // it was read from JSON
	}
	return entry.LocationOfOrigin + string(content)
}

// leadsTo tells whether an entry leads to our cluster, whose context has the given name, or to one of ours of that name that is gone. Our
// authority is the proof. An address is none: the entry may be somebody's way to another cluster, through a proxy or at another time. Nor is our
// mark, where somebody has led the entry to another cluster.
func (w written) leadsTo(entry *clientcmdapi.Cluster, name string) bool {
	owner := markOf(entry.Extensions)
	marked := owner.context() == name
	if now := w.cluster(name); now != nil && entry.ProxyURL == now.ProxyURL && (sameAuthority(entry, now) || marked && entry.Server == now.Server) {
		return true
	}
	return marked && (owner == w.owner && !ledAway(entry) || local(entry) && w.isGone(entry))
}

// cluster is kind's entry for the cluster, nil where it is not known.
func (w written) cluster(name string) *clientcmdapi.Cluster {
	if w.entries == nil {
		return nil
	}
	return w.entries.Clusters[name]
}

// isUser tells whether a user's entry is our cluster's: it has our mark, or what kind gives, as an entry of an earlier release has.
func (w written) isUser(entry *clientcmdapi.AuthInfo, name string) bool {
	if w.owner != "" && markOf(entry.Extensions) == w.owner {
		return true
	}
	if w.entries == nil || w.entries.AuthInfos[name] == nil {
		return false
	}
	found, given := *entry, *w.entries.AuthInfos[name]
	found.Extensions, given.Extensions = nil, nil
	return same(&found, &given)
}

func sameAuthority(a, b *clientcmdapi.Cluster) bool {
	hash := hashOfAuthority(a)
	return hash != "" && hash == hashOfAuthority(b)
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
// authority or for another name, or who speaks no TLS. Of an entry whose authority cannot be read, only the first can be known.
func gone(entry *clientcmdapi.Cluster) bool {
	server, err := url.Parse(entry.Server)
	if err != nil || server.Port() == "" || entry.ProxyURL != "" {
		return false
	}
	dialer := &net.Dialer{Timeout: limits.OldServer}
	connection, err := dialer.Dial("tcp", server.Host)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	defer connection.Close()
	config := &tls.Config{ServerName: cmp.Or(entry.TLSServerName, server.Hostname()), InsecureSkipVerify: entry.InsecureSkipTLSVerify}
	authority, err := authorityOf(entry)
	if len(authority) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authority) {
			return false
		}
	}
	if err != nil || server.Scheme != "https" {
		return false
	}
	_ = connection.SetDeadline(time.Now().Add(limits.OldServer))
	err = tls.Client(connection, config).Handshake()
	return errors.As(err, &x509.UnknownAuthorityError{}) || errors.As(err, &x509.HostnameError{}) || errors.As(err, &tls.RecordHeaderError{})
}
