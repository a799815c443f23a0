package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"kindgate/magefiles/internal/limits"
)

// everywhere is resource, but with all namespaces for an empty one.
func (c *Client) everywhere(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	if namespace == "" {
		namespace = metav1.NamespaceAll
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil {
			return c.dynamic.Resource(mapping.Resource), nil
		}
	}
	return c.Resource(ctx, kind, namespace)
}

// A Check looks at all objects that are watched, in the order of their names, and says what it is waiting for unless it is done.
type Check = func(objects []*unstructured.Unstructured) (waitingFor string, done bool, err error)

// Until is Watch for the objects of a kind in a namespace, all for an empty one.
func (c *Client) Until(ctx context.Context, kind schema.GroupVersionKind, namespace string, check Check) error {
	client, err := c.everywhere(ctx, kind, namespace)
	if err != nil {
		return err
	}
	return Watch(ctx, client, check)
}

// Watch calls check first, after every change of the objects, and every second, as time may count too, until it reports that it is done
// or returns an error. An API server that fails for a while is waited for. A deadline's error says what check last said it was waiting
// for.
func Watch(ctx context.Context, client dynamic.ResourceInterface, check Check) error {
	waitingFor := "a first look"
	for ctx.Err() == nil {
		done, err := watchOnce(ctx, client, func(objects []*unstructured.Unstructured) (done bool, err error) {
			waitingFor, done, err = check(objects)
			return done, err
		})
		var silent *unreachable
		switch {
		case errors.As(err, &silent):
			waitingFor = fmt.Sprintf("the API server, which cannot be reached: %v (before that for %s)", silent.last, waitingFor)
		case done, err != nil && ctx.Err() == nil && !passing(err):
			return err
		case err != nil && ctx.Err() == nil:
			waitingFor = "the API server: " + err.Error()
		}
		_ = sleep(ctx, 50*time.Millisecond) // the server ended the watch: look again, but do not spin
	}
	return fmt.Errorf("%w while waiting for %s", context.Cause(ctx), waitingFor)
}

// passing tells whether an error of a list or a watch may be gone at the next.
func passing(err error) bool {
	return apierrors.IsGone(err) || apierrors.IsResourceExpired(err) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err)
}

// watchOnce lists and then follows the objects until check is done or the server ends the watch.
func watchOnce(ctx context.Context, client dynamic.ResourceInterface, check func([]*unstructured.Unstructured) (bool, error)) (bool, error) {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	objects := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		objects[Name(&list.Items[i])] = &list.Items[i]
	}
	if done, err := check(sorted(objects)); done || err != nil {
		return done, err
	}
	events, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return false, err
	}
	defer events.Stop()
	for {
		open, err := takeAll(ctx, events.ResultChan(), objects)
		if !open || err != nil {
			return false, err
		}
		if done, err := check(sorted(objects)); done || err != nil {
			return done, err
		}
	}
}

// takeAll waits for a change, but not for ever, and takes in all that come together with it. It returns false when there will be no
// more.
func takeAll(ctx context.Context, events <-chan watch.Event, objects map[string]*unstructured.Unstructured) (open bool, err error) {
	over := time.NewTimer(limits.LookAgain)
	defer over.Stop()
	for taken := 0; ; taken++ {
		select {
		case <-ctx.Done():
			return false, nil
		case <-over.C:
			return true, nil
		case event, open := <-events:
			if !open {
				return taken > 0, nil
			}
			if err := take(event, objects); err != nil {
				return false, err
			}
			if taken == 0 {
				over.Reset(limits.WatchBatch)
			}
		}
	}
}

func take(event watch.Event, objects map[string]*unstructured.Unstructured) error {
	object, ok := event.Object.(*unstructured.Unstructured)
	if event.Type == watch.Error || !ok {
		return apierrors.FromObject(event.Object)
	}
	objects[Name(object)] = object
	if event.Type == watch.Deleted {
		delete(objects, Name(object))
	}
	return nil
}

func sorted(objects map[string]*unstructured.Unstructured) []*unstructured.Unstructured {
	all := make([]*unstructured.Unstructured, 0, len(objects))
	for _, object := range objects {
		all = append(all, object)
	}
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int { return strings.Compare(Name(a), Name(b)) })
	return all
}
