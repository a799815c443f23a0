package cluster

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// An entry of a cluster of ours that may be gone is asked for, which can take a second. Not everybody heeds the lock file.
func TestWhatOthersWriteWhileAServerIsAskedIsKept(t *testing.T) {
	for name, change := range map[string]func(kubeconfig) (bool, error){
		"put": func(k kubeconfig) (bool, error) {
			_, changed, err := k.put(ours())
			return changed, err
		},
		"remove": func(k kubeconfig) (bool, error) { return k.remove(ours()) },
	} {
		t.Run(name, func(t *testing.T) {
			k := file(t, "", 0)
			var asked sync.Once
			server := httptest.NewUnstartedServer(nil)
			server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				asked.Do(func() {
					if _, err := os.Stat(k.path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
						t.Error("kubectl has to wait for the server's answer")
					}
					config := read(t, k)
					config.AuthInfos["theirs"] = &clientcmdapi.AuthInfo{Token: "new"}
					if err := clientcmd.WriteToFile(*config, k.path); err != nil {
						t.Error(err)
					}
				})
				return nil, nil
			}}
			server.Config.ErrorLog = nil
			server.StartTLS()
			defer server.Close()
			config := kinds()
			config.Clusters["kind-k"] = &clientcmdapi.Cluster{Server: server.URL, Extensions: mark("k/old").extensions()}
			if err := clientcmd.WriteToFile(*config, k.path); err != nil {
				t.Fatal(err)
			}
			if changed, err := change(k); !changed || err != nil {
				t.Error(changed, err)
			}
			asked.Do(func() { t.Error("nobody was asked") })
			if theirs := read(t, k).AuthInfos["theirs"]; theirs == nil || theirs.Token != "new" {
				t.Error("what was written meanwhile is lost")
			}
		})
	}
}

func TestWhatOthersWriteBeforeAnEditIsDoneIsPartOfIt(t *testing.T) {
	k := file(t, theirs, 0o600)
	tries := 0
	changed, err := edit(k.path, func(config *clientcmdapi.Config) bool {
		if tries++; tries == 1 {
			if err := os.WriteFile(k.path, []byte(strings.ReplaceAll(theirs, "token: secret", "token: newer")), 0o600); err != nil {
				t.Error(err)
			}
		}
		config.CurrentContext = "kind-k"
		return true
	})
	if config := read(t, k); !changed || err != nil || config.CurrentContext != "kind-k" || config.AuthInfos["theirs"].Token != "newer" {
		t.Errorf("%v, %v: %+v", changed, err, config)
	}
}
