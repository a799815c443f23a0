package cluster

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Only what certainly leads nowhere is gone: a teardown takes such an entry out of the file, if it has our mark.
func TestALivingServerIsNotGoneHoweverItsAuthorityIsGiven(t *testing.T) {
	live, plain := httptest.NewTLSServer(nil), httptest.NewServer(nil)
	defer live.Close()
	defer plain.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: live.Certificate().Raw})
	other, err := makeAuthority()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"ca.pem": authority, "other.pem": other, "none.pem": []byte("none")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		cluster clientcmdapi.Cluster
		gone    bool
	}{
		"by its data":               {clientcmdapi.Cluster{Server: live.URL, CertificateAuthorityData: authority}, false},
		"by a file":                 {clientcmdapi.Cluster{Server: live.URL, CertificateAuthority: filepath.Join(dir, "ca.pem")}, false},
		"by a file beside":          {clientcmdapi.Cluster{Server: live.URL, CertificateAuthority: "ca.pem", LocationOfOrigin: filepath.Join(dir, "config")}, false},
		"data counts, not the file": {clientcmdapi.Cluster{Server: live.URL, CertificateAuthorityData: authority, CertificateAuthority: filepath.Join(dir, "other.pem")}, false},
		"another's, by a file":      {clientcmdapi.Cluster{Server: live.URL, CertificateAuthority: filepath.Join(dir, "other.pem")}, true},
		"a file that is not there":  {clientcmdapi.Cluster{Server: live.URL, CertificateAuthority: filepath.Join(dir, "nothing.pem")}, false},
		"a file without any":        {clientcmdapi.Cluster{Server: live.URL, CertificateAuthority: filepath.Join(dir, "none.pem")}, false},
		"data without any":          {clientcmdapi.Cluster{Server: live.URL, CertificateAuthorityData: []byte("none")}, false},
		"nobody listens":            {clientcmdapi.Cluster{Server: "https://127.0.0.1:2", CertificateAuthority: filepath.Join(dir, "nothing.pem")}, true},
		"without TLS":               {clientcmdapi.Cluster{Server: plain.URL}, false},
		"TLS where there is none":   {clientcmdapi.Cluster{Server: "https" + plain.URL[len("http"):]}, true},
		"nobody without TLS":        {clientcmdapi.Cluster{Server: "http://127.0.0.1:2"}, true},
		"whoever it is":             {clientcmdapi.Cluster{Server: live.URL, InsecureSkipTLSVerify: true}, false},
		"no address":                {clientcmdapi.Cluster{Server: "://"}, false},
	} {
		if got := gone(&test.cluster); got != test.gone {
			t.Errorf("%s: gone is %v", name, got)
		}
	}
}

func TestALivingServerWhoseAuthorityIsAFileKeepsItsEntryAndTheCurrentContext(t *testing.T) {
	live := httptest.NewTLSServer(nil)
	defer live.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: live.Certificate().Raw})
	for name, owner := range map[string]mark{"with our mark": "k/old", "without": ""} {
		k := file(t, "", 0)
		if err := os.WriteFile(filepath.Join(filepath.Dir(k.path), "ca.pem"), authority, 0o600); err != nil {
			t.Fatal(err)
		}
		config := kinds()
		config.CurrentContext = "kind-k"
		config.Clusters["kind-k"] = &clientcmdapi.Cluster{Server: live.URL, CertificateAuthority: "ca.pem", Extensions: owner.extensions()}
		if err := clientcmd.WriteToFile(*config, k.path); err != nil {
			t.Fatal(err)
		}
		if _, err := k.remove(written{}); err != nil || read(t, k).Clusters["kind-k"] == nil || read(t, k).CurrentContext != "kind-k" {
			t.Errorf("%s: removed: %v, %+v", name, err, read(t, k))
		}
		put(t, k)
		if config := read(t, k); config.CurrentContext != "kind-k-kept" || config.Clusters["kind-k-kept"].CertificateAuthority != "ca.pem" {
			t.Errorf("%s: %s, %+v", name, config.CurrentContext, config.Clusters)
		}
	}
}

// Somebody's way to an API server may have our name and even our address: through a proxy, to another cluster, or as another user.
func TestAnEntryOfOurNameAndAddressIsNotOursWithoutOurMark(t *testing.T) {
	other, err := makeAuthority()
	if err != nil {
		t.Fatal(err)
	}
	kind := func() written {
		w := ours()
		w.entries.Clusters["kind-k"].CertificateAuthorityData = []byte("ca")
		return w
	}
	for name, test := range map[string]struct {
		lead  func(*clientcmdapi.Config)
		kept  bool // the cluster's entry
		token string
	}{
		"through a proxy":   {func(c *clientcmdapi.Config) { c.Clusters["kind-k"].ProxyURL = "socks5://127.0.0.1:1080" }, true, "theirs"},
		"another authority": {func(c *clientcmdapi.Config) { c.Clusters["kind-k"].CertificateAuthorityData = other }, true, "theirs"},
		"whoever answers": {func(c *clientcmdapi.Config) {
			c.Clusters["kind-k"].CertificateAuthorityData, c.Clusters["kind-k"].InsecureSkipTLSVerify = nil, true
		}, true, "theirs"},
		"another user":             {func(*clientcmdapi.Config) {}, false, "theirs"},
		"as kind has written them": {func(c *clientcmdapi.Config) { c.AuthInfos["kind-k"].Token = "ours" }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k, config := file(t, "", 0), kind().entries
			config.CurrentContext = "kind-k"
			config.AuthInfos["kind-k"].Token = "theirs"
			test.lead(config)
			if err := clientcmd.WriteToFile(*config, k.path); err != nil {
				t.Fatal(err)
			}
			if _, _, err := k.put(kind()); err != nil {
				t.Fatal(err)
			}
			now := read(t, k)
			if kept := now.Clusters["kind-k-kept"]; (kept != nil) != test.kept || kept != nil && kept.ProxyURL != config.Clusters["kind-k"].ProxyURL {
				t.Errorf("%+v", kept)
			}
			if kept := now.AuthInfos["kind-k-kept"]; (kept != nil) != (test.token != "") || kept != nil && kept.Token != test.token {
				t.Errorf("%+v", kept)
			}
			if now.Clusters["kind-k"].ProxyURL != "" || now.AuthInfos["kind-k"].Token != "ours" {
				t.Errorf("%+v", now.Clusters["kind-k"])
			}
			if err := clientcmd.WriteToFile(*config, k.path); err != nil {
				t.Fatal(err)
			}
			if _, err := k.remove(kind()); err != nil {
				t.Fatal(err)
			}
			now = read(t, k)
			if now.Clusters["kind-k"] != nil != test.kept || now.AuthInfos["kind-k"] != nil != (test.token != "") {
				t.Errorf("removed: %+v", now)
			}
		})
	}
}

func TestWhatOthersHaveAddedToOurEntriesStays(t *testing.T) {
	k := file(t, "", 0)
	put(t, k)
	config := read(t, k)
	theirs := &runtime.Unknown{Raw: []byte(`{"colour":"red"}`), ContentType: runtime.ContentTypeJSON}
	config.Contexts["kind-k"].Extensions["theirs"] = theirs
	config.Clusters["kind-k"].Extensions["theirs"] = theirs
	config.AuthInfos["kind-k"].Extensions["theirs"] = theirs
	if err := clientcmd.WriteToFile(*config, k.path); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := k.put(ours()); changed || err != nil {
		t.Error("an extension of somebody's is a reason to write: ", changed, err)
	}
	w := ours()
	w.entries.Clusters["kind-k"].Server = "https://127.0.0.1:4321"
	if _, changed, err := k.put(w); !changed || err != nil {
		t.Error(changed, err)
	}
	config = read(t, k)
	for name, extensions := range map[string]map[string]runtime.Object{
		"context": config.Contexts["kind-k"].Extensions, "cluster": config.Clusters["kind-k"].Extensions, "user": config.AuthInfos["kind-k"].Extensions,
	} {
		if extensions["theirs"] == nil || markOf(extensions) != ourMark || len(extensions) != 2 {
			t.Errorf("%s: %+v", name, extensions)
		}
	}
}

func TestThatSomebodysEntriesHaveAnotherNameNowIsSaid(t *testing.T) {
	for content, want := range map[string]string{"": "", theirs: "kind-k-kept"} {
		k := file(t, content, 0o600)
		if kept, _, err := k.put(ours()); kept != want || err != nil {
			t.Errorf("%q, %v", kept, err)
		}
	}
}
