package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// Context is the name of a kind cluster's context, cluster and user in a kubeconfig.
func Context(name string) string { return "kind-" + name }

// kubeconfig is the user's file, in which one context is ours.
type kubeconfig struct {
	path, context string
	files         []string // all that kubectl reads, path among them
}

// newKubeconfig takes the path that the user has set, or else the file that kubectl would write to: of those that KUBECONFIG lists the
// first that has entries of our name, or the first that exists; without KUBECONFIG, ~/.kube/config.
func newKubeconfig(path, name string) kubeconfig {
	k := kubeconfig{path: path, context: Context(name), files: []string{path}}
	if path != "" {
		return k
	}
	options := clientcmd.NewDefaultPathOptions()
	k.path, k.files = options.GetDefaultFilename(), options.GetEnvVarFiles()
	for _, file := range k.files {
		config, err := load(file)
		if err == nil && (config.Contexts[k.context] != nil || config.Clusters[k.context] != nil || config.AuthInfos[k.context] != nil) {
			k.path = file
			break
		}
	}
	if len(k.files) == 0 {
		k.files = []string{k.path}
	}
	return k
}

// load returns the content of the file, an empty one where there is no file.
func (k kubeconfig) load() (*clientcmdapi.Config, error) {
	if err := checkPath(k.path); err != nil {
		return nil, err
	}
	return load(k.path)
}

func load(path string) (*clientcmdapi.Config, error) {
	content, err := atomicfile.ReadIfThere(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return parse(path, content)
}

// CheckKubeconfig returns a KubeconfigError for a file that is not a kubeconfig, or no regular file; none at all is as good as an empty one.
func CheckKubeconfig(path string) error {
	_, err := load(path)
	return err
}

func parse(path string, content []byte) (*clientcmdapi.Config, error) {
	config, err := clientcmd.Load(content)
	if err != nil {
		// Of two entries with one name, clientcmd quotes the whole list, with its tokens and keys.
		what, _, _ := strings.Cut(err.Error(), " in list: ")
		return nil, unreadable(path, errors.New(what))
	}
	for _, entry := range config.Clusters {
		entry.LocationOfOrigin = path
	}
	return config, nil
}

func unreadable(path string, err error) error {
	return &KubeconfigError{path, fmt.Errorf("it cannot be read, and is left as it is: %w", err)}
}

// A KubeconfigError is about a file that cannot have, or be searched for, the cluster's context.
type KubeconfigError struct {
	Path string
	Err  error
}

func (k *KubeconfigError) Error() string { return fmt.Sprintf("kubeconfig %s: %v", k.Path, k.Err) }

// Unwrap returns the cause.
func (k *KubeconfigError) Unwrap() error { return k.Err }

// checkPath refuses a path that is meant relative to some other folder than the one that kindgate runs in: the administrator's key would
// land among the project's files.
func checkPath(path string) error {
	switch {
	case strings.HasPrefix(path, "~"):
		return &KubeconfigError{path, fmt.Errorf("nobody has replaced the ~ by your home folder; write $HOME%s", strings.TrimPrefix(path, "~"))}
	case !filepath.IsAbs(path):
		folder, _ := os.Getwd()
		return &KubeconfigError{path, fmt.Errorf("a relative path leads into %s, and the cluster's credentials do not belong there", folder)}
	}
	return nil
}

// find returns what our context says, nil when it is not there, and the mark of its cluster's entry.
func (k kubeconfig) find() (*rest.Config, mark, error) {
	config, err := k.load()
	if err != nil || config.Contexts[k.context] == nil {
		return nil, "", err
	}
	client, err := clientcmd.NewNonInteractiveClientConfig(*config, k.context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, "", nil // it lacks its cluster or its user: put mends that
	}
	return client, markOf(config.Clusters[config.Contexts[k.context].Cluster].Extensions), nil
}

// put writes kind's entries into the file. The current context is set only where there is none. Entries of the same name that are
// somebody else's get the name that it returns, with -kept; it is empty where there are none.
func (k kubeconfig) put(w written) (kept string, changed bool, err error) {
	cluster, user := w.entries.Clusters[k.context], w.entries.AuthInfos[k.context]
	if cluster == nil || user == nil {
		return "", false, fmt.Errorf("kind's kubeconfig has no entries named %s", k.context)
	}
	w = k.ask(w)
	w.owner.seal(cluster)
	user.Extensions = w.owner.extensions()
	var theirs entries
	changed, err = edit(k.path, func(config *clientcmdapi.Config) bool {
		cluster, user := cluster.DeepCopy(), user.DeepCopy()
		context := &clientcmdapi.Context{Cluster: k.context, AuthInfo: k.context, Extensions: w.owner.extensions()}
		kept, theirs = "", k.theirs(config, w)
		if old := config.Clusters[k.context]; old != nil && !theirs.cluster {
			cluster.Extensions = others(old.Extensions, cluster.Extensions)
		}
		if old := config.AuthInfos[k.context]; old != nil && !theirs.user {
			user.Extensions = others(old.Extensions, user.Extensions)
		}
		old := config.Contexts[k.context]
		if old != nil && !theirs.context {
			context.Namespace = old.Namespace // what kubens and its like have set
			context.Extensions = others(old.Extensions, context.Extensions)
		}
		unset := k.current() == ""
		if same(config.Clusters[k.context], cluster) && same(config.AuthInfos[k.context], user) && same(old, context) && !unset {
			return false
		}
		renamed := theirs.context && config.CurrentContext == k.context
		if theirs != (entries{}) {
			kept = k.keep(config, theirs)
		}
		config.Clusters[k.context], config.AuthInfos[k.context], config.Contexts[k.context] = cluster, user, context
		if unset || renamed && w.isGone(k.merged(config).Clusters[config.Contexts[config.CurrentContext].Cluster]) {
			config.CurrentContext = k.context
		}
		return true
	})
	if kept == "" || err != nil {
		return kept, changed, err
	}
	for _, path := range k.files { // whose contexts may use what has another name now
		if _, err := load(path); path == k.path || err != nil {
			continue
		}
		if _, err := edit(path, func(config *clientcmdapi.Config) bool { return k.refer(config, theirs, kept) }); err != nil {
			return kept, changed, err
		}
	}
	return kept, changed, nil
}

// remove takes our entries out of all files; a current context that led to our cluster is unset, whichever file has it.
func (k kubeconfig) remove(w written) (changed bool, err error) {
	w = k.ask(w)
	gone, goes := false, false // our context, from one of the files, and from the one that is edited
	each := func(change func(*clientcmdapi.Config) bool) {
		for _, path := range k.files {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				continue // without a lock, which would make a folder and a file where there is none
			}
			if _, err := load(path); err != nil && path != k.path {
				continue // nor has it ever had an entry of ours
			}
			goes = false
			edited, editErr := edit(path, change)
			changed, gone, err = changed || edited, gone || goes, errors.Join(err, editErr)
		}
	}
	each(func(config *clientcmdapi.Config) bool {
		ours := k.ours(config, w)
		dangling := k.currentIsOurs(config, w)
		if dangling {
			config.CurrentContext = ""
		}
		if goes = ours.context; goes {
			delete(config.Contexts, k.context)
		}
		if ours.cluster {
			delete(config.Clusters, k.context)
		}
		if ours.user {
			delete(config.AuthInfos, k.context)
		}
		return dangling || ours != entries{}
	})
	if !gone {
		return changed, err
	}
	each(func(config *clientcmdapi.Config) bool {
		if config.CurrentContext != k.context || config.Contexts[k.context] != nil {
			return false
		}
		config.CurrentContext = ""
		return true
	})
	return changed, err
}

// ask is written.ask of all of the files.
func (k kubeconfig) ask(w written) written {
	var configs []*clientcmdapi.Config
	for _, path := range k.files {
		if config, err := load(path); err == nil {
			configs = append(configs, config)
		}
	}
	return w.ask(configs, k.context)
}

// currentIsOurs tells whether the current context, of whatever name, leads to our cluster.
func (k kubeconfig) currentIsOurs(config *clientcmdapi.Config, w written) bool {
	current := config.Contexts[config.CurrentContext]
	if current == nil || config.Clusters[current.Cluster] == nil {
		return false
	}
	return w.leadsTo(config.Clusters[current.Cluster], k.context)
}

// current is the context that kubectl uses, whichever of the files has it.
func (k kubeconfig) current() string {
	for _, path := range k.files {
		if config, err := load(path); err == nil && config.CurrentContext != "" {
			return config.CurrentContext
		}
	}
	return ""
}

// entries says which of the three entries of our name are meant.
type entries struct{ context, cluster, user bool }

// ours finds out which of the entries of our name are ours.
func (k kubeconfig) ours(config *clientcmdapi.Config, w written) entries {
	theirs := k.theirs(config, w)
	return entries{
		context: config.Contexts[k.context] != nil && !theirs.context,
		cluster: config.Clusters[k.context] != nil && !theirs.cluster,
		user:    config.AuthInfos[k.context] != nil && !theirs.user,
	}
}

// theirs finds out which of the entries of our name are somebody else's: a cluster that is not ours, a context that leads to one, a user that
// is not ours, or whom a context takes to another cluster. What an entry refers to may stand in another of the files.
func (k kubeconfig) theirs(config *clientcmdapi.Config, w written) entries {
	all := k.merged(config)
	other := func(cluster string) bool {
		c := all.Clusters[cluster]
		return c != nil && !w.leadsTo(c, k.context) || c == nil && cluster != k.context
	}
	user := config.AuthInfos[k.context]
	theirs := entries{cluster: config.Clusters[k.context] != nil && other(k.context)}
	if user != nil && !w.isUser(user, k.context) {
		earlier := markOf(user.Extensions).context() == k.context // of a cluster of ours that was there before, as its entry was
		theirs.user = !earlier || all.Clusters[k.context] == nil || other(k.context)
	}
	if context := config.Contexts[k.context]; context != nil {
		theirs.context = other(context.Cluster)
	}
	for name, context := range all.Contexts {
		if user != nil && context.AuthInfo == k.context && (other(context.Cluster) || name != k.context && context.Cluster != k.context) {
			theirs.user = true
		}
	}
	return theirs
}

// merged is a file's content, with the entries of the other files that it has not.
func (k kubeconfig) merged(config *clientcmdapi.Config) *clientcmdapi.Config {
	all := config.DeepCopy()
	for _, path := range k.files {
		more, err := load(path)
		if err != nil {
			continue
		}
		for name, cluster := range more.Clusters {
			if all.Clusters[name] == nil {
				all.Clusters[name] = cluster
			}
		}
		for name, context := range more.Contexts {
			if all.Contexts[name] == nil {
				all.Contexts[name] = context
			}
		}
		for name, user := range more.AuthInfos {
			if all.AuthInfos[name] == nil {
				all.AuthInfos[name] = user
			}
		}
	}
	return all
}

// keep gives somebody else's entries of our name another one, which it returns, and leads all contexts that refer to them there.
func (k kubeconfig) keep(config *clientcmdapi.Config, theirs entries) string {
	kept, all := k.context+"-kept", k.merged(config) // of one name in several files, kubectl takes the first
	free := func() bool {                            // or it has the same already
		cluster, user, context := all.Clusters[kept], all.AuthInfos[kept], all.Contexts[kept]
		return (cluster == nil || theirs.cluster && same(cluster, config.Clusters[k.context])) &&
			(user == nil || theirs.user && same(user, config.AuthInfos[k.context])) &&
			(context == nil || theirs.context && context.Cluster == kept && context.AuthInfo == kept)
	}
	for n := 2; !free(); n++ {
		kept = fmt.Sprintf("%s-kept-%d", k.context, n)
	}
	if theirs.context {
		config.Contexts[kept] = config.Contexts[k.context]
		delete(config.Contexts, k.context)
	}
	if theirs.cluster {
		config.Clusters[kept] = config.Clusters[k.context]
	}
	if theirs.user {
		config.AuthInfos[kept] = config.AuthInfos[k.context]
	}
	k.refer(config, theirs, kept)
	return kept
}

// refer leads what refers to somebody else's entries of our name to the name that they have now, and tells whether anything did.
func (k kubeconfig) refer(config *clientcmdapi.Config, theirs entries, kept string) (changed bool) {
	rename := func(name *string, renamed bool) {
		if renamed && *name == k.context {
			*name, changed = kept, true
		}
	}
	rename(&config.CurrentContext, theirs.context)
	for _, context := range config.Contexts {
		rename(&context.Cluster, theirs.cluster)
		rename(&context.AuthInfo, theirs.user)
	}
	return changed
}

// setAside gives entries another name that have the mark of a cluster of the given name, whatever they lead to now.
func (k kubeconfig) setAside(cluster string) error {
	if _, entry, err := k.find(); err != nil || !entry.of(cluster) {
		return err
	}
	_, err := edit(k.path, func(config *clientcmdapi.Config) bool {
		k.keep(config, entries{context: true, cluster: config.Clusters[k.context] != nil, user: config.AuthInfos[k.context] != nil})
		delete(config.Clusters, k.context)
		delete(config.AuthInfos, k.context)
		return true
	})
	return err
}

// edit changes a file's content under its lock, which not everybody heeds: where somebody has written the file meanwhile, change is called
// again. It returns false where nothing is to be written. The null device stays as it is.
func edit(path string, change func(*clientcmdapi.Config) bool) (changed bool, err error) {
	if err := checkPath(path); err != nil {
		return false, err
	}
	if _, err := load(path); err != nil || atomicfile.IsNull(path) {
		return false, err
	}
	unlock, err := lock(path)
	if err != nil {
		return false, err
	}
	defer unlock()
	return atomicfile.EditPrivate(path, func(content []byte) ([]byte, error) {
		config, err := parse(path, content)
		if err != nil || !change(config) {
			return content, err
		}
		if err := checkWhole(path, content); err != nil {
			return nil, err
		}
		return clientcmd.Write(*config)
	})
}

// checkWhole refuses a file with more in it than a kubeconfig's fields, as writing it would lose the rest: somebody's file of another kind,
// a second document, a field of a later release.
func checkWhole(path string, content []byte) error {
	content, err := kube.OneDocument(content, "it")
	if err == nil {
		err = yaml.UnmarshalStrict(content, &clientcmdv1.Config{})
	}
	if err != nil {
		return &KubeconfigError{path, fmt.Errorf("it has more in it than a kubeconfig, which would be lost, and is left as it is: %w", err)}
	}
	return nil
}

// lock keeps kubectl, kind and other runs of ours from writing the file, by the lock file that they all use.
func lock(file string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	path := file + ".lock"
	for deadline := time.Now().Add(limits.KubeconfigLock); ; time.Sleep(50 * time.Millisecond) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			_ = file.Close()
			return func() { _ = os.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is there since more than %s: remove it if no kubectl or kind is running", path, limits.KubeconfigLock)
		}
	}
}

// same compares two entries as they are written, wherever they were read from.
func same[T any](a, b *T) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
