package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kindgate/magefiles/internal/atomicfile"
)

// Context is the name of a kind cluster's context, cluster and user in a kubeconfig.
func Context(name string) string { return "kind-" + name }

// kubeconfig is the user's file, in which one context is ours.
type kubeconfig struct {
	path, context string
	explicit      bool // the user has named the file
}

// newKubeconfig takes the path that the user has set, or else the file that kubectl would write to: the first of KUBECONFIG that
// exists, or ~/.kube/config.
func newKubeconfig(path, name string) kubeconfig {
	explicit := path != ""
	if !explicit {
		path = clientcmd.NewDefaultPathOptions().GetDefaultFilename()
	}
	return kubeconfig{path, Context(name), explicit}
}

// load returns the file's content, an empty one where there is no file.
func (k kubeconfig) load() (*clientcmdapi.Config, error) {
	config, err := clientcmd.LoadFromFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s cannot be read, and is left as it is: %w\nMend it, or name another file in KINDGATE_KUBECONFIG.", k.path, err)
	}
	return config, nil
}

// client returns what our context says, nil when it is not there.
func (k kubeconfig) client() (*rest.Config, error) {
	config, err := k.load()
	if err != nil || config.Contexts[k.context] == nil {
		return nil, err
	}
	client, err := clientcmd.NewNonInteractiveClientConfig(*config, k.context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, nil // it lacks its cluster or its user: put mends that
	}
	return client, nil
}

// put writes kind's entries into the file. The current context is set only where there is none. Entries of the same name that are
// somebody else's stay, with -kept after their name.
func (k kubeconfig) put(entries *clientcmdapi.Config) (changed bool, err error) {
	cluster, user := entries.Clusters[k.context], entries.AuthInfos[k.context]
	if cluster == nil || user == nil {
		return false, fmt.Errorf("kind's kubeconfig has no entries named %s", k.context)
	}
	return k.edit(func(config *clientcmdapi.Config) bool {
		context := &clientcmdapi.Context{Cluster: k.context, AuthInfo: k.context}
		old := config.Contexts[k.context]
		theirs := k.theirs(config)
		if old != nil && !theirs.context {
			context.Namespace = old.Namespace // what kubens and its like have set
		}
		unset := config.CurrentContext == "" && k.current() == ""
		if same(config.Clusters[k.context], cluster) && same(config.AuthInfos[k.context], user) && old != nil &&
			old.Cluster == k.context && old.AuthInfo == k.context && !unset {
			return false
		}
		k.keep(config, theirs)
		config.Clusters[k.context], config.AuthInfos[k.context], config.Contexts[k.context] = cluster, user, context
		if unset {
			config.CurrentContext = k.context
		}
		return true
	})
}

// remove takes our entries out; a current context that was ours is unset.
func (k kubeconfig) remove() (changed bool, err error) {
	if _, err := os.Stat(k.path); errors.Is(err, fs.ErrNotExist) {
		return false, nil // without a lock, which would make a folder and a file where there is none
	}
	return k.edit(func(config *clientcmdapi.Config) bool {
		theirs := k.theirs(config)
		if config.Contexts[k.context] != nil && !theirs.context {
			delete(config.Contexts, k.context)
			if config.CurrentContext == k.context {
				config.CurrentContext = ""
			}
			changed = true
		}
		if config.Clusters[k.context] != nil && !theirs.cluster {
			delete(config.Clusters, k.context)
			changed = true
		}
		if config.AuthInfos[k.context] != nil && !theirs.user {
			delete(config.AuthInfos, k.context)
			changed = true
		}
		return changed
	})
}

// current is the context that kubectl uses, which may be set in another of the files that KUBECONFIG lists.
func (k kubeconfig) current() string {
	if k.explicit {
		return ""
	}
	merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return ""
	}
	return merged.CurrentContext
}

// owned tells of a context, a cluster and a user of our name which of them are somebody else's.
type owned struct{ context, cluster, user bool }

// theirs finds out which entries of our name are not ours: a cluster on another machine, a context that leads there, a user who goes
// there, or whom a context of another name takes to another cluster.
func (k kubeconfig) theirs(config *clientcmdapi.Config) owned {
	remote := func(cluster string) bool { c := config.Clusters[cluster]; return c != nil && !local(c) }
	theirs := owned{cluster: remote(k.context), user: remote(k.context)}
	for name, context := range config.Contexts {
		if name == k.context {
			theirs.context = remote(context.Cluster)
		}
		if context.AuthInfo == k.context && (remote(context.Cluster) || name != k.context && context.Cluster != k.context) {
			theirs.user = true
		}
	}
	theirs.user = theirs.user && config.AuthInfos[k.context] != nil
	return theirs
}

// keep gives somebody else's entries of our name another one, and leads all contexts that refer to them there.
func (k kubeconfig) keep(config *clientcmdapi.Config, theirs owned) {
	kept := k.context + "-kept"
	for n := 2; config.Contexts[kept] != nil || config.Clusters[kept] != nil || config.AuthInfos[kept] != nil; n++ {
		kept = fmt.Sprintf("%s-kept-%d", k.context, n)
	}
	if theirs.context {
		config.Contexts[kept] = config.Contexts[k.context]
		delete(config.Contexts, k.context)
		if config.CurrentContext == k.context {
			config.CurrentContext = kept
		}
	}
	if theirs.cluster {
		config.Clusters[kept] = config.Clusters[k.context]
	}
	if theirs.user {
		config.AuthInfos[kept] = config.AuthInfos[k.context]
	}
	for _, context := range config.Contexts {
		if theirs.cluster && context.Cluster == k.context {
			context.Cluster = kept
		}
		if theirs.user && context.AuthInfo == k.context {
			context.AuthInfo = kept
		}
	}
}

// edit changes the file's content under its lock; change returns false where nothing is to be written.
func (k kubeconfig) edit(change func(*clientcmdapi.Config) bool) (changed bool, err error) {
	unlock, err := k.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	config, err := k.load()
	if err != nil || !change(config) {
		return false, err
	}
	content, err := clientcmd.Write(*config)
	if err != nil {
		return false, err
	}
	return true, atomicfile.Write(k.path, content, 0o600)
}

// local tells whether a cluster's API server is on this machine, as that of every kind cluster is.
func local(cluster *clientcmdapi.Cluster) bool {
	server, err := url.Parse(cluster.Server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(server.Hostname())
	return server.Hostname() == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// lockWithin is how long another program, kubectl or kind, may hold the file's lock.
const lockWithin = 5 * time.Second

// lock keeps kubectl, kind and other runs of ours from writing the file, by the lock file that they all use.
func (k kubeconfig) lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return nil, err
	}
	path := k.path + ".lock"
	for deadline := time.Now().Add(lockWithin); ; time.Sleep(50 * time.Millisecond) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			_ = file.Close()
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is there since more than %s: remove it if no kubectl or kind is running", path, lockWithin)
		}
	}
}

// same compares two entries as they are written, wherever they were read from.
func same(a, b any) bool {
	strip := func(v any) any {
		switch v := v.(type) {
		case *clientcmdapi.Cluster:
			if v == nil {
				return nil
			}
			c := v.DeepCopy()
			c.LocationOfOrigin, c.Extensions = "", nil
			return *c
		case *clientcmdapi.AuthInfo:
			if v == nil {
				return nil
			}
			c := v.DeepCopy()
			c.LocationOfOrigin, c.Extensions = "", nil
			return *c
		}
		return v
	}
	return reflect.DeepEqual(strip(a), strip(b))
}
