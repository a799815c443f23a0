package cluster

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const here = "https://127.0.0.1:1234"

// entries are what kind gives for a cluster k whose API server is here.
func entries() *clientcmdapi.Config {
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
	if changed, err := k.put(entries()); !changed || err != nil {
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
	if info, _ := os.Stat(k.path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if changed, err := k.put(entries()); changed || err != nil {
		t.Error("the second time", changed, err)
	}
	if changed, err := k.remove(); !changed || err != nil {
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
	if _, err := k.remove(); err != nil {
		t.Fatal(err)
	}
	if config := read(t, k); config.CurrentContext != "" {
		t.Errorf("%+v", config)
	}
}

func TestAFileThatCannotBeReadOrWrittenIsLeftAsItIs(t *testing.T) {
	for _, test := range []struct {
		content string
		mode    fs.FileMode
		want    string
	}{
		{"clusters: [\n", 0o600, "KINDGATE_KUBECONFIG"},
		{theirs, 0o444, "permission"},
	} {
		k := file(t, test.content, test.mode)
		if _, err := k.put(entries()); err == nil || !strings.Contains(err.Error(), test.want) {
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
		if client, err := k.client(); client != nil || err != nil {
			t.Errorf("without our context: %v %v", client != nil, err)
		}
		put(t, k)
		if client, err := k.client(); err != nil || client.Host != here || client.BearerToken != "ours" {
			t.Errorf("another client than ours, or none: %v", err)
		}
	}
	if _, err := file(t, "clusters: [\n", 0o600).client(); err == nil || !strings.Contains(err.Error(), "left as it is") {
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
		if _, err := k.client(); err != nil {
			t.Errorf("the cluster can never be observed again: %v", err)
		}
		if changed, err := k.put(entries()); !changed || err != nil {
			t.Errorf("changed %v: %v", changed, err)
		}
		if client, err := k.client(); err != nil || client == nil || client.Host != here {
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
	if changed, err := k.put(entries()); changed || err != nil {
		t.Error(changed, err)
	}
	other := newKubeconfig(k.path, "other")
	if changed, err := other.remove(); changed || err != nil {
		t.Error(changed, err)
	}
	if text, _ := os.ReadFile(k.path); string(text) != string(commented) {
		t.Errorf("%s", text)
	}
	nowhere := newKubeconfig(filepath.Join(t.TempDir(), "folder", "config"), "k")
	if changed, err := nowhere.remove(); changed || err != nil {
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
			if changed, err := untouched.remove(); changed || err != nil {
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
			if changed, err := k.remove(); changed || err != nil {
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

func TestTheFileIsTheOneThatKubectlWritesAndItsCurrentContextHolds(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	t.Setenv("KUBECONFIG", first+string(filepath.ListSeparator)+second)
	if got := newKubeconfig("given", "k").path; got != "given" {
		t.Error(got)
	}
	if err := os.WriteFile(second, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := newKubeconfig("", "k").path; got != second {
		t.Error(got)
	}
	if err := os.WriteFile(first, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := newKubeconfig("", "k")
	if k.path != first {
		t.Error(k.path)
	}
	put(t, k)
	if merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load(); err != nil || merged.CurrentContext != "theirs" {
		t.Errorf("kubectl's current context was theirs, is now %q (%v)", merged.CurrentContext, err)
	}
}

func TestEntriesThatKindDoesNotGiveAreAnError(t *testing.T) {
	if _, err := file(t, "", 0).put(clientcmdapi.NewConfig()); err == nil || !strings.Contains(err.Error(), "kind-k") {
		t.Error(err)
	}
}

func TestAnAPIServerOfThisMachineIsKnownByItsAddress(t *testing.T) {
	for server, want := range map[string]bool{
		here: true, "https://localhost:1": true, "https://[::1]:1": true, "https://0.0.0.0:1": true,
		"https://10.0.0.1:1": false, "https://example.com": false, "https://127.0.0.1.example.com": false, "": false, "://": false,
	} {
		if got := local(&clientcmdapi.Cluster{Server: server}); got != want {
			t.Errorf("%q: %v", server, got)
		}
	}
}
