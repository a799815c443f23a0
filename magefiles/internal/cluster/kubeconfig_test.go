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

// entries are what kind gives for a cluster k whose API server is at the given address.
func entries(server string) *clientcmdapi.Config {
	config := clientcmdapi.NewConfig()
	config.Clusters["kind-k"] = &clientcmdapi.Cluster{Server: server}
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

const theirs = `apiVersion: v1
kind: Config
current-context: theirs
clusters: [{name: theirs, cluster: {server: "https://example.com"}}, {name: kind-k, cluster: {server: "https://build.example.com:6443"}}]
contexts: [{name: theirs, context: {cluster: theirs, user: theirs}}, {name: kind-k, context: {cluster: kind-k, user: kind-k}}]
users: [{name: theirs, user: {token: secret}}, {name: kind-k, user: {token: also-theirs}}]
`

func TestAContextIsAddedAndTakenAwayAndTheUsersStay(t *testing.T) {
	k := file(t, theirs, 0o640)
	if changed, err := k.put(entries("https://127.0.0.1:1234")); !changed || err != nil {
		t.Fatal(changed, err)
	}
	config := read(t, k)
	if config.CurrentContext != "theirs" || config.AuthInfos["theirs"].Token != "secret" || config.AuthInfos["kind-k"].Token != "ours" {
		t.Errorf("%+v", config)
	}
	if kept := config.Clusters["kind-k-kept"]; kept == nil || kept.Server != "https://build.example.com:6443" || config.AuthInfos["kind-k-kept"].Token != "also-theirs" {
		t.Error("the entry that led to another machine is lost")
	}
	if info, _ := os.Stat(k.path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	if changed, err := k.put(entries("https://127.0.0.1:1234")); changed || err != nil {
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

func TestAContextOfAnotherMachineIsNotTakenAway(t *testing.T) {
	k := file(t, theirs, 0o600)
	if changed, err := k.remove(); changed || err != nil {
		t.Error(changed, err)
	}
}

func TestANewFileGetsOurContextAsTheCurrentOne(t *testing.T) {
	k := file(t, "", 0)
	if _, err := k.put(entries("https://127.0.0.1:1234")); err != nil {
		t.Fatal(err)
	}
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
		if _, err := k.put(entries("https://127.0.0.1:1234")); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Error(err)
		}
		if text, _ := os.ReadFile(k.path); string(text) != test.content {
			t.Errorf("%q", text)
		}
	}
}
