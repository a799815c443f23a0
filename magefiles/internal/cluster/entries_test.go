package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const here = "https://127.0.0.1:1234"

func put(t *testing.T, k kubeconfig, server string) {
	t.Helper()
	if changed, err := k.put(entries(server)); !changed || err != nil {
		t.Fatal(changed, err)
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
		put(t, k, here)
		if client, err := k.client(); err != nil || client.Host != here || client.BearerToken != "ours" {
			t.Errorf("another client than ours, or none: %v", err)
		}
	}
	if _, err := file(t, "clusters: [\n", 0o600).client(); err == nil || !strings.Contains(err.Error(), "left as it is") {
		t.Error(err)
	}
}

// A context whose cluster or user is gone must be no error, as putting it back mends it.
func TestAContextWithoutItsClusterOrUserIsMendedAndNoError(t *testing.T) {
	for _, broken := range []func(*clientcmdapi.Config){
		func(c *clientcmdapi.Config) { delete(c.Clusters, "kind-k") },
		func(c *clientcmdapi.Config) { delete(c.AuthInfos, "kind-k") },
		func(c *clientcmdapi.Config) { c.Clusters["kind-k"].CertificateAuthority = "/no/such/file" },
	} {
		k := file(t, "", 0)
		put(t, k, here)
		config := read(t, k)
		broken(config)
		if err := clientcmd.WriteToFile(*config, k.path); err != nil {
			t.Fatal(err)
		}
		if _, err := k.client(); err != nil {
			t.Errorf("the cluster can never be observed again: %v", err)
		}
		put(t, k, here)
		if client, err := k.client(); err != nil || client.Host != here {
			t.Errorf("it was not mended: %v", err)
		}
	}
}

func TestOurContextLeadsToOurClusterAndKeepsItsNamespace(t *testing.T) {
	for _, change := range []func(*clientcmdapi.Config){
		func(c *clientcmdapi.Config) { c.Clusters["kind-k"].Server = "https://127.0.0.1:1" }, // the port of a cluster that was made anew
		func(c *clientcmdapi.Config) { c.AuthInfos["kind-k"].Token = "old" },
		func(c *clientcmdapi.Config) { c.CurrentContext = "" },
		func(c *clientcmdapi.Config) { c.Contexts["kind-k"].AuthInfo = "theirs" },
	} {
		k := file(t, strings.ReplaceAll(theirs, "kind-k", "kind-other"), 0o600)
		put(t, k, here)
		config := read(t, k)
		config.Contexts["kind-k"].Namespace = "demo"
		change(config)
		if err := clientcmd.WriteToFile(*config, k.path); err != nil {
			t.Fatal(err)
		}
		if changed, err := k.put(entries(here)); !changed || err != nil {
			t.Errorf("changed %v: %v", changed, err)
		}
		config = read(t, k)
		if c := config.Contexts["kind-k"]; c.Namespace != "demo" || c.Cluster != "kind-k" || c.AuthInfo != "kind-k" || config.CurrentContext == "" {
			t.Errorf("%+v, current %q", c, config.CurrentContext)
		}
		if config.Clusters["kind-k"].Server != here || config.AuthInfos["kind-k"].Token != "ours" || len(config.Clusters) != 3 {
			t.Errorf("%+v", config)
		}
	}
}

func TestWhatIsAsItShouldBeIsNotWritten(t *testing.T) {
	k := file(t, "", 0)
	put(t, k, here)
	commented, _ := os.ReadFile(k.path)
	commented = append([]byte("# the user's comment\n"), commented...)
	if err := os.WriteFile(k.path, commented, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.put(entries(here)); changed || err != nil {
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

// Somebody's context may have our name, and lead elsewhere by entries of other names.
func TestSomebodysContextOfOurNameIsKeptWithWhateverItRefersTo(t *testing.T) {
	const remote = "https://build.example.com:6443"
	for name, content := range map[string]string{
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
			put(t, k, here)
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
	put(t, k, here)
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
