package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/kube"
)

// Name is the ConfigMap's name, and Key that of the list in its data. Home is that of the UID of the ConfigMap's namespace, by which a copy that
// somebody has brought from another cluster is known: what was created there need not have been created here.
const Name, Key, Home = "kindgate-inventory", "objects", "namespace-uid"

var (
	configMapKind = corev1.SchemeGroupVersion.WithKind("ConfigMap")
	namespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")
)

// A Store is the inventory of one cluster. NewStore makes one. It is safe for concurrent use.
type Store struct {
	client    *kube.Client
	namespace string

	mu   sync.Mutex
	list List // nil until it has been read
}

// NewStore returns the inventory that a cluster has in a namespace. It touches nothing.
func NewStore(client *kube.Client, namespace string) *Store {
	options := client.Options
	options.Record = nil // what the list itself is kept in is recorded here
	return &Store{client: client.With(options), namespace: namespace}
}

// Object is the identity of what the inventory is kept in.
func (s *Store) Object() kube.Object {
	return Entry{Kind: configMapKind, Namespace: s.namespace, Name: Name}.Object()
}

// Record adds objects that are about to be applied for the first time. It is a client's Record: an object that a run has created and did not
// record would stay for ever.
func (s *Store) Record(ctx context.Context, first []kube.First) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(ctx); err != nil {
		return err
	}
	more := make([]Entry, len(first))
	for i, f := range first {
		more[i] = EntryOf(f.Object)
		more[i].Before = f.Before
	}
	return s.write(ctx, s.list.With(more...))
}

// List returns what was recorded; nothing where there is no inventory.
func (s *Store) List(ctx context.Context) (List, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.read(ctx)
	return slices.Clone(s.list), err
}

// Forget takes entries out of the inventory: those of objects that were deleted.
func (s *Store) Forget(ctx context.Context, gone List) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(ctx); err != nil {
		return err
	}
	return s.write(ctx, s.list.Without(gone.Objects()))
}

func (s *Store) read(ctx context.Context) error {
	if s.list != nil {
		return nil
	}
	found, err := s.client.Get(ctx, configMapKind, s.namespace, Name)
	if err != nil {
		return fmt.Errorf("ConfigMap/%s/%s: %w", s.namespace, Name, err)
	}
	if found == nil {
		s.list = List{}
		return nil
	}
	if home, _, _ := unstructured.NestedString(found.Object, "data", Home); home != "" { // earlier releases did not write it
		namespace, err := s.client.Get(ctx, namespaceKind, "", s.namespace)
		if err != nil {
			return fmt.Errorf("Namespace/%s: %w", s.namespace, err)
		}
		if namespace == nil || string(namespace.GetUID()) != home {
			return fmt.Errorf("ConfigMap/%s/%s is a copy from another cluster, or from an earlier namespace of that name: what kindgate has made here is not known. "+
				"Delete it: what is created from then on is recorded anew, and what is here stays", s.namespace, Name)
		}
	}
	text, _, _ := unstructured.NestedString(found.Object, "data", Key)
	list, err := Read(text)
	if err != nil {
		return fmt.Errorf("ConfigMap/%s/%s: %w", s.namespace, Name, err)
	}
	s.list = append(List{}, list...) // only what was read whole is written again
	return nil
}

// write replaces the list in the cluster, where it has changed. The namespace is made where it is not there, as the first of the entries.
func (s *Store) write(ctx context.Context, list List) error {
	if slices.Equal(list, s.list) {
		return nil
	}
	namespace := Entry{Kind: namespaceKind, Name: s.namespace}
	live, err := s.client.Get(ctx, namespaceKind, "", s.namespace)
	if err != nil {
		return fmt.Errorf("Namespace/%s: %w", s.namespace, err)
	}
	if live == nil {
		if _, err := s.client.Apply(ctx, []kube.Object{namespace.Object()}); err != nil {
			return err
		}
		list = list.With(namespace)
		if live, err = s.client.Get(ctx, namespaceKind, "", s.namespace); err != nil || live == nil {
			return fmt.Errorf("Namespace/%s: %w", s.namespace, cmp.Or(err, errors.New("somebody has deleted it again")))
		}
	}
	configMap := s.Object()
	if err := unstructured.SetNestedStringMap(configMap.Object, map[string]string{Key: list.Text(), Home: string(live.GetUID())}, "data"); err != nil {
		return err
	}
	if _, err := s.client.Apply(ctx, []kube.Object{configMap}); err != nil {
		return err
	}
	s.list = list
	return nil
}
