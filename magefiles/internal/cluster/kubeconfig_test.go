package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	runtimeapi "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const here = "https://127.0.0.1:1234"

const ourMark = mark("k/ours")

// ours is a cluster k whose API server is here, with what kind gives for it.
func ours() written { return written{owner: ourMark, entries: kinds()} }

func kinds() *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters["kind-k"] = &clientcmdapi.Cluster{Server: here}
	config.AuthInfos["kind-k"] = &clientcmdapi.AuthInfo{Token: "ours"}
	config.Contexts["kind-k"] = &clientcmdapi.Context{Cluster: "kind-k", AuthInfo: "kind-k"}
	return config
}

func file(t *testing.T, content string, mode fs.FileMode) kubeconfig {
	t.Helper()
	k := newKubeconfig(filepath.Join(t.TempDir(), "config"), "k")
	if content != "" {
		if err := os.WriteFile(k.path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func read(t *testing.T, k kubeconfig) *clientcmdapi.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(k.path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func put(t *testing.T, k kubeconfig) {
	t.Helper()
	if _, changed, err := k.put(ours()); !changed || err != nil {
		t.Fatal(changed, err)
	}
}

const theirs = `apiVersion: v1
kind: Config
current-context: theirs
clusters: [{name: theirs, cluster: {server: "https://example.com"}}, {name: kind-k, cluster: {server: "https://build.example.com:6443"}}]
contexts: [{name: theirs, context: {cluster: theirs, user: theirs}}, {name: kind-k, context: {cluster: kind-k, user: kind-k}}]
users: [{name: theirs, user: {token: secret}}, {name: kind-k, user: {token: also-theirs}}]
`

func TestAContextIsAddedAndTakenAwayAndTheUsersStay(t *testing.T) {
	k := file(t, theirs, 0o640)
	put(t, k)
	config := read(t, k)
	if config.CurrentContext != "theirs" || config.AuthInfos["theirs"].Token != "secret" || config.AuthInfos["kind-k"].Token != "ours" {
		t.Errorf("%+v", config)
	}
	kept := config.Clusters["kind-k-kept"]
	if kept == nil || kept.Server != "https://build.example.com:6443" || config.AuthInfos["kind-k-kept"].Token != "also-theirs" {
		t.Error("the entry that led to another machine is lost")
	}
	if info, _ := os.Stat(k.path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the administrator's key: mode %o", info.Mode().Perm())
	}
	if _, changed, err := k.put(ours()); changed || err != nil {
		t.Error("the second time", changed, err)
	}
	if changed, err := k.remove(ours()); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if config := read(t, k); config.Clusters["kind-k"] != nil || config.Clusters["theirs"] == nil || config.Clusters["kind-k-kept"] == nil {
		t.Errorf("%+v", config)
	}
	if _, err := os.Stat(k.path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the lock file is left", err)
	}
}

func TestANewFileGetsOurContextAsTheCurrentOne(t *testing.T) {
	k := file(t, "", 0)
	put(t, k)
	if config := read(t, k); config.CurrentContext != "kind-k" {
		t.Errorf("%+v", config)
	}
	if _, err := k.remove(ours()); err != nil {
		t.Fatal(err)
	}
	if config := read(t, k); config.CurrentContext != "" {
		t.Errorf("%+v", config)
	}
}

func TestWhatIsWrongWithAFileIsSaidWithoutItsSecrets(t *testing.T) {
	const head = "apiVersion: v1\nkind: Config\n"
	for _, wrong := range []string{
		"users: [{name: a, user: {token: SECRET}}, {name: a, user: {password: SECRET}}]",
		"users: [{name: a, user: {token: [SECRET]}}]",
		"users: [{name: a, user: {token: {SECRET: SECRET}}}]",
		"users: [{name: a, user: {client-key-data: SECRET!}}]",
		"users: [{name: a, user: {token: SECRET, token: SECRET}}]",
		"users: [{name: a, user: {tok: SECRET}}]",
		"users: [{name: a, user: SECRET}]",
		"users: [{name: a, user: {token: SECRET",
		"users: {a: SECRET}",
		"token: SECRET",
		"...\nSECRET",
		"---\ntoken: SECRET",
		"clusters: [{name: a, cluster: {server: SECRET}}, {name: a, cluster: {}}]",
	} {
		k := file(t, head+wrong, 0o600)
		if _, changed, err := k.put(ours()); changed || err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), k.path) {
			t.Errorf("%s: %v, %v", wrong, changed, err)
		}
	}
}

func TestAFileThatCannotBeReadOrWrittenIsLeftAsItIs(t *testing.T) {
	for _, test := range []struct {
		content string
		mode    fs.FileMode
		want    string
	}{
		{"clusters: [\n", 0o600, "left as it is"},
		{theirs, 0o444, "permission"},
	} {
		k := file(t, test.content, test.mode)
		if _, _, err := k.put(ours()); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Error(err)
		}
		if text, _ := os.ReadFile(k.path); string(text) != test.content {
			t.Errorf("%q", text)
		}
	}
}

func TestAClientComesFromOurContextWhateverTheCurrentOne(t *testing.T) {
	k := file(t, "", 0)
	for _, content := range []string{"", "apiVersion: v1\nkind: Config\n", strings.ReplaceAll(theirs, "kind-k", "kind-other")} {
		if content != "" {
			k = file(t, content, 0o600)
		}
		if client, _, err := k.find(); client != nil || err != nil {
			t.Errorf("without our context: %v %v", client != nil, err)
		}
		put(t, k)
		if client, _, err := k.find(); err != nil || client.Host != here || client.BearerToken != "ours" {
			t.Errorf("another client than ours, or none: %v", err)
		}
	}
	if _, _, err := file(t, "clusters: [\n", 0o600).find(); err == nil || !strings.Contains(err.Error(), "left as it is") {
		t.Error(err)
	}
}

// A context whose cluster or user is gone must be no error for a reader, as putting it back mends it.
func TestOurContextIsMendedWhateverItLacksAndKeepsItsNamespace(t *testing.T) {
	for _, damage := range []func(*clientcmdapi.Config){
		func(c *clientcmdapi.Config) { delete(c.Clusters, "kind-k") },
		func(c *clientcmdapi.Config) { delete(c.AuthInfos, "kind-k") },
		func(c *clientcmdapi.Config) { c.Clusters["kind-k"].CertificateAuthority = "/no/such/file" },
		func(c *clientcmdapi.Config) { c.Clusters["kind-k"].Server = "https://127.0.0.1:1" }, // the port of a cluster that was made anew
		func(c *clientcmdapi.Config) { c.AuthInfos["kind-k"].Token = "old" },
		func(c *clientcmdapi.Config) { c.CurrentContext = "" },
		func(c *clientcmdapi.Config) { c.Contexts["kind-k"].AuthInfo = "theirs" },
	} {
		k := file(t, strings.ReplaceAll(theirs, "kind-k", "kind-other"), 0o600)
		put(t, k)
		config := read(t, k)
		config.Contexts["kind-k"].Namespace = "demo"
		damage(config)
		if err := clientcmd.WriteToFile(*config, k.path); err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.find(); err != nil {
			t.Errorf("the cluster can never be observed again: %v", err)
		}
		if _, changed, err := k.put(ours()); !changed || err != nil {
			t.Errorf("changed %v: %v", changed, err)
		}
		if client, _, err := k.find(); err != nil || client == nil || client.Host != here {
			t.Errorf("it was not mended: %v", err)
		}
		config = read(t, k)
		c := config.Contexts["kind-k"]
		if c.Namespace != "demo" || c.Cluster != "kind-k" || c.AuthInfo != "kind-k" || config.CurrentContext == "" {
			t.Errorf("%+v, current %q", c, config.CurrentContext)
		}
		if config.Clusters["kind-k"].Server != here || config.AuthInfos["kind-k"].Token != "ours" || len(config.Clusters) != 3 {
			t.Errorf("%+v", config)
		}
	}
}

func TestWhatIsAsItShouldBeIsNotWritten(t *testing.T) {
	k := file(t, "", 0)
	put(t, k)
	commented, _ := os.ReadFile(k.path)
	commented = append([]byte("# the user's comment\n"), commented...)
	if err := os.WriteFile(k.path, commented, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := k.put(ours()); changed || err != nil {
		t.Error(changed, err)
	}
	other := newKubeconfig(k.path, "other")
	if changed, err := other.remove(written{owner: "other/ours"}); changed || err != nil {
		t.Error(changed, err)
	}
	if text, _ := os.ReadFile(k.path); string(text) != string(commented) {
		t.Errorf("%s", text)
	}
	nowhere := newKubeconfig(filepath.Join(t.TempDir(), "folder", "config"), "k")
	if changed, err := nowhere.remove(ours()); changed || err != nil {
		t.Error(changed, err)
	}
	if _, err := os.Stat(filepath.Dir(nowhere.path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a folder was made to remove nothing", err)
	}
}

// Somebody's context may have our name, and lead elsewhere, also by entries of other names.
func TestSomebodysContextOfOurNameIsKeptWithWhateverItRefersTo(t *testing.T) {
	const remote = "https://build.example.com:6443"
	for name, content := range map[string]string{
		"all of our name": `clusters: [{name: kind-k, cluster: {server: "` + remote + `"}}]
users: [{name: kind-k, user: {token: secret}}]
contexts: [{name: kind-k, context: {cluster: kind-k, user: kind-k, namespace: ci}}]
`,
		"its own user": `clusters: [{name: kind-k, cluster: {server: "` + remote + `"}}]
users: [{name: admin, user: {token: secret}}]
contexts: [{name: kind-k, context: {cluster: kind-k, user: admin, namespace: ci}}]
`,
		"its own cluster and user": `clusters: [{name: build, cluster: {server: "` + remote + `"}}]
users: [{name: admin, user: {token: secret}}]
contexts: [{name: kind-k, context: {cluster: build, user: admin, namespace: ci}}]
`,
	} {
		t.Run(name, func(t *testing.T) {
			content := "apiVersion: v1\nkind: Config\ncurrent-context: kind-k\n" + content
			untouched := file(t, content, 0o600)
			if changed, err := untouched.remove(ours()); changed || err != nil {
				t.Error("removed:", changed, err)
			}
			k := file(t, content, 0o600)
			defer func() {
				if r := recover(); r != nil {
					t.Error("panic:", r)
				}
			}()
			put(t, k)
			config := read(t, k)
			client, err := clientcmd.NewDefaultClientConfig(*config, &clientcmd.ConfigOverrides{}).ClientConfig()
			if err != nil || client.Host != remote || client.BearerToken != "secret" {
				t.Errorf("the user's current context %q now leads elsewhere (%v)", config.CurrentContext, err)
			}
			if kept := config.Contexts[config.CurrentContext]; kept == nil || kept.Namespace != "ci" {
				t.Errorf("%+v", kept)
			}
		})
	}
}

// Whatever of our name is somebody else's, each of their contexts leads with the same credentials to the same server afterwards.
func TestNothingOfSomebodysIsLostThatHasOurName(t *testing.T) {
	for name, content := range map[string]string{
		"kept once before": `clusters: [{name: kind-k, cluster: {server: "https://second.example.com"}}, {name: kind-k-kept, cluster: {server: "https://first.example.com"}}]
users: [{name: kind-k, user: {token: second}}, {name: kind-k-kept, user: {token: first}}]
contexts: [{name: kind-k, context: {cluster: kind-k, user: kind-k}}, {name: kind-k-kept, context: {cluster: kind-k-kept, user: kind-k-kept}}]
`,
		"a user only": `clusters: [{name: tunnel, cluster: {server: "https://localhost:16443"}}]
users: [{name: kind-k, user: {token: precious}}]
contexts: [{name: prod, context: {cluster: tunnel, user: kind-k}}]
`,
		"a user of several contexts": `clusters: [{name: build, cluster: {server: "https://build.example.com"}}]
users: [{name: kind-k, user: {token: precious}}]
contexts: [{name: prod, context: {cluster: build, user: kind-k}}, {name: kind-k, context: {cluster: build, user: kind-k}}]
`,
	} {
		t.Run(name, func(t *testing.T) {
			leadTo := func(k kubeconfig) map[string]int {
				config, ends := read(t, k), map[string]int{}
				for context := range config.Contexts {
					client, err := clientcmd.NewNonInteractiveClientConfig(*config, context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
					if err != nil {
						t.Fatal(context, err)
					}
					ends[client.Host+" "+client.BearerToken]++
				}
				return ends
			}
			k := file(t, "apiVersion: v1\nkind: Config\n"+content, 0o600)
			want := leadTo(k)
			if changed, err := k.remove(ours()); changed || err != nil {
				t.Error("removed:", changed, err)
			}
			want[here+" ours"]++
			put(t, k)
			if got := leadTo(k); !maps.Equal(got, want) {
				t.Errorf("the contexts lead to %v, expected %v", got, want)
			}
		})
	}
}

func TestOfSeveralFilesTheOneThatKubectlWritesGetsTheContext(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	t.Setenv("KUBECONFIG", first+string(filepath.ListSeparator)+second)
	if got := newKubeconfig("given", "k").path; got != "given" {
		t.Error(got)
	}
	if got := newKubeconfig("", "k").path; got != second {
		t.Errorf("none is there: %s", got)
	}
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(second, strings.ReplaceAll(theirs, "kind-k", "kind-other"))
	if got := newKubeconfig("", "k").path; got != second {
		t.Errorf("one is there: %s", got)
	}
	write(first, "apiVersion: v1\nkind: Config\n")
	k := newKubeconfig("", "k")
	if k.path != first {
		t.Error(k.path)
	}
	put(t, k)
	if merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load(); err != nil || merged.CurrentContext != "theirs" {
		t.Errorf("kubectl's current context was theirs, is now %q (%v)", merged.CurrentContext, err)
	}
	write(second, "apiVersion: v1\nkind: Config\ncurrent-context: kind-k\n")
	t.Setenv("KUBECONFIG", second+string(filepath.ListSeparator)+first) // whichever comes first now
	k = newKubeconfig("", "k")
	if k.path != first {
		t.Errorf("the context is in %s, not in %s", first, k.path)
	}
	if changed, err := k.remove(ours()); !changed || err != nil {
		t.Error(changed, err)
	}
	if merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load(); err != nil || merged.CurrentContext != "" || len(merged.Contexts) != 0 {
		t.Errorf("kubectl's current context is %q, of a cluster that is gone (%v)", merged.CurrentContext, err)
	}
}

func TestNoCredentialsAreWrittenWhereNobodyMeantThemToBe(t *testing.T) {
	t.Chdir(t.TempDir())
	for path, want := range map[string]string{"~/.kube/config": "$HOME/.kube/config", "kubeconfig": "relative path", "../kubeconfig": "relative path"} {
		k := newKubeconfig(path, "k")
		_, _, err := k.put(ours())
		_, _, findErr := k.find()
		for _, err := range []error{err, findErr} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if entries, _ := os.ReadDir("."); len(entries) > 0 {
		t.Errorf("%v was written", entries)
	}
	null := newKubeconfig(os.DevNull, "k")
	if _, changed, err := null.put(ours()); changed || err != nil {
		t.Error(changed, err)
	}
	if client, owner, err := null.find(); client != nil || owner != "" || err != nil {
		t.Error(client, owner, err)
	}
	if changed, err := null.remove(ours()); changed || err != nil {
		t.Error(changed, err)
	}
}

// A cluster of ours may have any address, and be made anew any number of times.
func TestNothingOfOursIsLeftWhateverTheAddress(t *testing.T) {
	for _, server := range []string{here, "https://192.0.2.1:6443", "https://build.example.com:6443"} {
		k := file(t, "", 0)
		for _, owner := range []mark{"k/first", "k/second", "k/third"} {
			w := written{owner: owner, entries: kinds()}
			w.entries.Clusters["kind-k"].Server = server
			w.entries.Clusters["kind-k"].CertificateAuthorityData = []byte(owner)
			if _, changed, err := k.put(w); !changed || err != nil {
				t.Error(changed, err)
			}
			if config := read(t, k); len(config.Contexts) != 1 || config.CurrentContext != "kind-k" {
				t.Errorf("%s: %+v", server, config.Contexts)
			}
			if owner == "k/second" {
				continue // its nodes are removed behind our back
			}
			if changed, err := k.remove(written{owner: owner}); !changed || err != nil {
				t.Error(changed, err)
			}
			if config := read(t, k); len(config.Contexts)+len(config.Clusters)+len(config.AuthInfos) != 0 || config.CurrentContext != "" {
				t.Errorf("%s: %+v", server, config)
			}
		}
	}
}

func TestAnEntryWithoutOurMarkIsNotOursWhateverItsAddress(t *testing.T) {
	for name, test := range map[string]struct {
		cluster clientcmdapi.Cluster
		ours    bool
	}{
		"on this machine":                    {clientcmdapi.Cluster{Server: "https://127.0.0.1:2"}, false},
		"on another":                         {clientcmdapi.Cluster{Server: "https://build.example.com"}, false},
		"of an earlier release, the same":    {clientcmdapi.Cluster{Server: "https://127.0.0.1:2", CertificateAuthorityData: []byte("ca")}, true},
		"of our cluster's address":           {clientcmdapi.Cluster{Server: here, CertificateAuthorityData: []byte("other")}, false},
		"with our mark":                      {clientcmdapi.Cluster{Server: "https://build.example.com", Extensions: ourMark.extensions()}, true},
		"of a cluster of ours that is gone":  {clientcmdapi.Cluster{Server: "https://127.0.0.1:2", Extensions: mark("k/old").extensions()}, true},
		"of another machine's kindgate":      {clientcmdapi.Cluster{Server: "https://192.0.2.1:2", Extensions: mark("k/old").extensions()}, false},
		"of another cluster of ours":         {clientcmdapi.Cluster{Server: "https://127.0.0.1:2", Extensions: mark("other/old").extensions()}, false},
		"with an extension that is not ours": {clientcmdapi.Cluster{Server: "https://192.0.2.1:2", Extensions: map[string]runtimeapi.Object{extension: &runtimeapi.Unknown{Raw: []byte(`"k/ours"`)}}}, false},
	} {
		w := ours()
		w.entries.Clusters["kind-k"].CertificateAuthorityData = []byte("ca")
		w = w.ask([]*clientcmdapi.Config{{Clusters: map[string]*clientcmdapi.Cluster{"kind-k": &test.cluster}}}, "kind-k")
		if got := w.leadsTo(&test.cluster, "kind-k"); got != test.ours {
			t.Errorf("%s: ours is %v", name, got)
		}
	}
}

func TestTheCurrentContextNeverEndsOnAClusterThatIsGone(t *testing.T) {
	live := httptest.NewTLSServer(nil)
	defer live.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: live.Certificate().Raw})
	other, err := makeAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cluster clientcmdapi.Cluster
		current string
	}{
		"it answers":               {clientcmdapi.Cluster{Server: live.URL, CertificateAuthorityData: authority}, "kind-k-kept"},
		"nobody listens":           {clientcmdapi.Cluster{Server: "https://127.0.0.1:2", CertificateAuthorityData: authority}, "kind-k"},
		"another answers":          {clientcmdapi.Cluster{Server: live.URL, CertificateAuthorityData: other}, "kind-k"},
		"it cannot be known":       {clientcmdapi.Cluster{Server: "https://127.0.0.1:2", ProxyURL: "http://127.0.0.1:3"}, "kind-k-kept"},
		"our mark, and it answers": {clientcmdapi.Cluster{Server: live.URL, CertificateAuthorityData: authority, Extensions: mark("k/old").extensions()}, "kind-k-kept"},
	} {
		k, config := file(t, "", 0), clientcmdapi.NewConfig()
		for range 2 { // as often as the user puts the old entries back, they are kept once
			old := kinds()
			config.Clusters["kind-k"], config.AuthInfos["kind-k"], config.Contexts["kind-k"] = &test.cluster, old.AuthInfos["kind-k"], old.Contexts["kind-k"]
			config.CurrentContext = "kind-k"
			if err := clientcmd.WriteToFile(*config, k.path); err != nil {
				t.Fatal(err)
			}
			put(t, k)
			config = read(t, k)
			if config.CurrentContext != test.current || len(config.Contexts) != 2 {
				t.Errorf("%s: it is %q of %d contexts", name, config.CurrentContext, len(config.Contexts))
			}
		}
	}
}

// makeAuthority returns a certificate that has signed nothing.
func makeAuthority() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), err
}

func TestEntriesThatKindDoesNotGiveAreAnError(t *testing.T) {
	if _, _, err := file(t, "", 0).put(written{owner: ourMark, entries: clientcmdapi.NewConfig()}); err == nil || !strings.Contains(err.Error(), "kind-k") {
		t.Error(err)
	}
}

func TestAnAPIServerOfThisMachineIsKnownByItsAddress(t *testing.T) {
	cases := map[string]bool{
		here: true, "https://localhost:1": true, "https://[::1]:1": true, "https://0.0.0.0:1": true,
		"https://192.0.2.1:1": false, "https://example.com": false, "https://127.0.0.1.example.com": false, "": false, "://": false,
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		cases["https://"+net.JoinHostPort(address.(*net.IPNet).IP.String(), "6443")] = true
	}
	for server, want := range cases {
		if got := local(&clientcmdapi.Cluster{Server: server}); got != want {
			t.Errorf("%q: %v", server, got)
		}
	}
}

// An entry of ours that may lead to another machine stays, under another name: it must not say that the cluster which is made now is
// somebody else's.
func TestAnEntryOfOursThatStaysIsSetAsideBeforeAClusterIsMade(t *testing.T) {
	k := file(t, "", 0)
	w := written{owner: mark("k/" + strings.Repeat("A", 26)), entries: kinds()}
	w.entries.Clusters["kind-k"].Server = "https://192.0.2.1:6443"
	if _, _, err := k.put(w); err != nil {
		t.Fatal(err)
	}
	if err := k.setAside("other"); err != nil || read(t, k).Contexts["kind-k"] == nil {
		t.Error("set aside for another cluster", err)
	}
	if err := k.setAside("k"); err != nil {
		t.Fatal(err)
	}
	config := read(t, k)
	if client, entry, err := k.find(); client != nil || entry != "" || err != nil {
		t.Error(entry, err)
	}
	if kept := config.Contexts["kind-k-kept"]; kept == nil || config.Clusters[kept.Cluster].Server != "https://192.0.2.1:6443" || len(config.Clusters) != 1 || len(config.AuthInfos) != 1 {
		t.Errorf("%+v", config)
	}
}

func TestEntriesOfOurNameAreJudgedByAllOfTheFiles(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "{apiVersion: v1, kind: Config, contexts: [{name: kind-k, context: {cluster: prod, user: kind-k, namespace: billing}}], "+
		"users: [{name: kind-k, user: {token: secret}}]}")
	write(b, "{apiVersion: v1, kind: Config, current-context: kind-k, clusters: [{name: prod, cluster: {server: 'https://prod.example.com'}}], "+
		"contexts: [{name: prod, context: {cluster: prod, user: kind-k}}]}")
	t.Setenv("KUBECONFIG", a+string(filepath.ListSeparator)+b)
	k := newKubeconfig("", "k")
	if changed, err := k.remove(ours()); changed || err != nil {
		t.Errorf("somebody's entries are taken out: %t %v", changed, err)
	}
	put(t, k)
	merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		t.Fatal(err)
	}
	kept := merged.Contexts["kind-k-kept"]
	if kept == nil || kept.Cluster != "prod" || kept.Namespace != "billing" || merged.AuthInfos[kept.AuthInfo].Token != "secret" ||
		merged.CurrentContext != "kind-k-kept" || merged.Contexts["prod"].AuthInfo != kept.AuthInfo {
		t.Errorf("kept %+v, current context %s, prod %+v", kept, merged.CurrentContext, merged.Contexts["prod"])
	}
	if mine := merged.Contexts["kind-k"]; mine.Namespace != "" || merged.AuthInfos["kind-k"].Token != "ours" {
		t.Errorf("%+v", mine)
	}
}

func TestANameThatIsTakenInAnotherOfTheFilesIsNotGivenToWhatIsKept(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	entry := func(name, server string) string {
		return "clusters: [{name: " + name + ", cluster: {server: 'https://" + server + "'}}], users: [{name: " + name + ", user: {token: " + server + "}}], " +
			"contexts: [{name: " + name + ", context: {cluster: " + name + ", user: " + name + "}}]"
	}
	err := errors.Join(os.WriteFile(a, []byte("{apiVersion: v1, kind: Config, "+entry("kind-k-kept", "first.example.com")+"}"), 0o600),
		os.WriteFile(b, []byte("{apiVersion: v1, kind: Config, current-context: kind-k, "+entry("kind-k", "second.example.com")+"}"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", a+string(filepath.ListSeparator)+b)
	kept, _, err := newKubeconfig("", "k").put(ours())
	if err != nil {
		t.Fatal(err)
	}
	merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, server := range map[string]string{"kind-k-kept": "first.example.com", kept: "second.example.com", merged.CurrentContext: "second.example.com"} {
		context := merged.Contexts[name]
		if merged.Clusters[context.Cluster].Server != "https://"+server || merged.AuthInfos[context.AuthInfo].Token != server {
			t.Errorf("%s leads to %+v", name, merged.Clusters[context.Cluster])
		}
	}
}

func TestAUserOfOurNameWithoutAClusterIsKept(t *testing.T) {
	k := file(t, "{apiVersion: v1, kind: Config, users: [{name: kind-k, user: {token: secret}}]}", 0o600)
	put(t, k)
	if kept := read(t, k).AuthInfos["kind-k-kept"]; kept == nil || kept.Token != "secret" {
		t.Errorf("%+v", kept)
	}
}

func TestAFileWithMoreInItThanAKubeconfigIsLeftAsItIs(t *testing.T) {
	for name, content := range map[string]string{
		"another tool's file": "services:\n  db: {image: postgres}\n",
		"a second document":   "apiVersion: v1\nkind: Config\n---\napiVersion: v1\nkind: Config\nusers: [{name: b, user: {token: b}}]\n",
		"an unknown field":    "apiVersion: v1\nkind: Config\nusers: [{name: b, user: {token: b, colour: red}}]\n",
	} {
		k := file(t, content, 0o600)
		_, _, err := k.put(ours())
		if now, _ := os.ReadFile(k.path); err == nil || !strings.Contains(err.Error(), "is left as it is") || string(now) != content {
			t.Errorf("%s: %v, now\n%s", name, err, now)
		}
	}
}

// kubectl config set-cluster keeps the extensions of an entry.
func TestAnEntryOfOursThatSomebodyHasLedToAnotherClusterIsKept(t *testing.T) {
	for name, lead := range map[string]func(*clientcmdapi.Cluster){
		"of another authority": func(c *clientcmdapi.Cluster) { c.CertificateAuthorityData = []byte("another") },
		"by a file": func(c *clientcmdapi.Cluster) {
			c.CertificateAuthorityData, c.CertificateAuthority = nil, "/etc/another.pem"
		},
		"whoever answers":     func(c *clientcmdapi.Cluster) { c.CertificateAuthorityData, c.InsecureSkipTLSVerify = nil, true },
		"the same, elsewhere": nil, // as through a tunnel
	} {
		t.Run(name, func(t *testing.T) {
			const elsewhere = "https://build.example.com:6443"
			w := ours()
			w.entries.Clusters["kind-k"].CertificateAuthorityData = []byte("ca")
			led := func() kubeconfig {
				k := file(t, "", 0)
				if _, _, err := k.put(w); err != nil {
					t.Fatal(err)
				}
				config := read(t, k)
				config.Clusters["kind-k"].Server = elsewhere
				if lead != nil {
					lead(config.Clusters["kind-k"])
				}
				if err := clientcmd.WriteToFile(*config, k.path); err != nil {
					t.Fatal(err)
				}
				return k
			}
			for _, known := range []written{w, {owner: ourMark}} { // the second of a node that does not run
				k := led()
				if changed, err := k.remove(known); err != nil || changed != (lead == nil) {
					t.Error("removed:", changed, err)
				}
			}
			k := led()
			if _, _, err := k.put(w); err != nil {
				t.Fatal(err)
			}
			config := read(t, k)
			kept := config.Contexts["kind-k-kept"]
			if (kept != nil) != (lead != nil) || kept != nil && config.Clusters[kept.Cluster].Server != elsewhere || config.Clusters["kind-k"].Server != here {
				t.Errorf("%+v, kept %+v", config.Clusters["kind-k"], kept)
			}
		})
	}
}
