package kube

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"kindgate/magefiles/internal/limits"
)

// A Client reads and writes objects of any kind in one cluster. It is safe for concurrent use.
type Client struct {
	// Options are those that New was given.
	Options Options

	dynamic   dynamic.Interface
	everyKind dynamic.Interface // passes no warnings on: who lists all kinds lists deprecated ones, too
	core      corev1client.CoreV1Interface
	discovery discovery.DiscoveryInterface
	looked    discovery.CachedDiscoveryInterface // what mapper goes by
	mapper    meta.ResettableRESTMapper
}

// Options say how a Client works.
type Options struct {
	// TakeOver allows it to overwrite what others have set in objects that were there before.
	TakeOver bool
	// Kubectl is how messages call kubectl for the cluster, with a context.
	Kubectl string
	// DryRun has the API server say what applying objects would come to, and write nothing.
	DryRun bool
	// Record, where it is set, is told which objects are about to be applied for the first time, before any of them is. Its error keeps all of
	// them from being applied.
	Record func(context.Context, []First) error
}

// A First is an object that is about to be applied for the first time.
type First struct {
	Object Object
	// Before: it was in the cluster already.
	Before bool
}

// New returns a client for the cluster of cfg. It connects when it is first used.
func New(cfg *rest.Config, options Options) (*Client, error) {
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, err
	}
	silent := rest.CopyConfig(cfg)
	silent.WarningHandler = rest.NoWarnings{}
	everyKind, err := dynamic.NewForConfigAndClient(silent, httpClient)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, err
	}
	core, err := corev1client.NewForConfigAndClient(cfg, httpClient)
	if err != nil {
		return nil, err
	}
	looked := memory.NewMemCacheClient(disco)
	return &Client{dynamic: dyn, everyKind: everyKind, core: core, discovery: disco, looked: looked, mapper: restmapper.NewDeferredDiscoveryRESTMapper(looked),
		Options: options}, nil
}

// With returns a client of the same cluster that works otherwise.
func (c *Client) With(options Options) *Client {
	other := *c
	other.Options = options
	return &other
}

// unknownKind is the error of a kind that the cluster does not have.
type unknownKind struct{ schema.GroupVersionKind }

func (k unknownKind) Error() string {
	return fmt.Sprintf("the cluster has no kind %s in %s: is its CustomResourceDefinition missing?", k.Kind, k.GroupVersion())
}

// find returns where the API server has a kind, as it was last asked. Its refusal to say which kinds it has is "unknown" in client-go's words.
func (c *Client) find(kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if refused := (*apierrors.StatusError)(nil); errors.As(err, &refused) && refused.ErrStatus.Message == "unknown" {
		err = fmt.Errorf("cannot discover which kinds the cluster has: %s", refused.ErrStatus.Reason)
	}
	return mapping, err
}

// mapping returns where the API server has a kind, and waits for one that was defined a moment ago.
func (c *Client) mapping(ctx context.Context, kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	deadline := time.Now().Add(limits.Discovery)
	for {
		mapping, err := c.find(kind)
		if err == nil || !meta.IsNoMatchError(err) {
			return mapping, err
		}
		if c.Options.DryRun || time.Now().After(deadline) { // a dry run defines none that could still appear
			return nil, cmp.Or(c.unanswered(kind.Group), error(unknownKind{kind}))
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
		c.mapper.Reset()
	}
}

// Resource returns the client for the objects of a kind in a namespace, which is "default" where the kind has namespaces and none is named.
func (c *Client) Resource(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapping(ctx, kind)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.dynamic.Resource(mapping.Resource), nil
	}
	if namespace == "" {
		namespace = "default"
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(namespace), nil
}

// Has tells whether the cluster has a kind.
func (c *Client) Has(ctx context.Context, kind schema.GroupVersionKind) (bool, error) {
	_, err := c.Resource(ctx, kind, "")
	if errors.As(err, &unknownKind{}) {
		return false, nil
	}
	return err == nil, err
}

// Known tells whether the cluster has a kind now, where Has waits for one that was defined a moment ago.
func (c *Client) Known(kind schema.GroupVersionKind) (bool, error) {
	_, err := c.find(kind)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset()
		_, err = c.find(kind)
	}
	if meta.IsNoMatchError(err) {
		return false, c.unanswered(kind.Group)
	}
	return err == nil, err
}

// unanswered returns the error of a group whose kinds the API server could not say, as when the server of an extension does not answer: the
// mapper leaves them out, as if there were none.
func (c *Client) unanswered(group string) error {
	_, _, err := c.looked.ServerGroupsAndResources()
	failed := (*discovery.ErrGroupDiscoveryFailed)(nil)
	if !errors.As(err, &failed) {
		return err
	}
	for version, err := range failed.Groups {
		if version.Group == group {
			return fmt.Errorf("which kinds the cluster has in %s cannot be found out: %w", version, err)
		}
	}
	return nil
}

// Version returns that of the cluster's Kubernetes, as v1.37.2.
func (c *Client) Version(ctx context.Context) (string, error) {
	data, err := c.core.RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	var info version.Info
	if err == nil {
		err = json.Unmarshal(data, &info)
	}
	return info.GitVersion, err
}

// Patient returns a copy of cfg whose requests end when ctx does, whoever makes them, and are sent again for as long while the API
// server cannot be reached: a server that restarts costs time, not the run, nor does one that at first refuses what it allows. What the server warns of
// is given to warn, and that it is waited for.
func Patient(ctx context.Context, cfg *rest.Config, warn func(string)) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.WarningHandler = warnings(warn)
	cfg.QPS = -1 // one user, one cluster: the server's own priority and fairness suffices
	away := &atomic.Int64{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return patient{ctx, next, warn, away} })
	return cfg
}

type warnings func(string)

// HandleWarningHeader is client-go's; see https://www.rfc-editor.org/rfc/rfc7234#section-5.5 for the header.
func (w warnings) HandleWarningHeader(code int, _ string, text string) {
	if code == 299 && text != "" {
		w("The API server warns: " + text)
	}
}

type patient struct {
	run  context.Context
	next http.RoundTripper
	warn func(string)
	away *atomic.Int64 // when the server was last out of reach of any request, in Unix nanoseconds
}

// An unreachable API server was so until the run's end.
type unreachable struct{ cause, last error }

func (u *unreachable) Error() string {
	return fmt.Sprintf("%v; the API server cannot be reached: %v", u.cause, u.last)
}

func (u *unreachable) Unwrap() []error { return []error{u.cause, u.last} }

func (p patient) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	stop := context.AfterFunc(p.run, func() { cancel(context.Cause(p.run)) })
	release := func() { stop(); cancel(nil) }
	started := time.Now()
	var last error // why the server could not be reached, which the run's end is not
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		attempt := req.WithContext(ctx)
		if req.GetBody != nil {
			body, err := req.GetBody()
			if err != nil {
				release()
				return nil, err
			}
			attempt.Body = body
		}
		resp, err := p.next.RoundTrip(attempt)
		if err == nil && again(req) {
			err = withoutStore(resp)
		}
		if err == nil && resp.StatusCode == http.StatusForbidden && time.Since(time.Unix(0, p.away.Load())) < limits.Refusing {
			_ = resp.Body.Close()
			err = errNoRules
		}
		if err == nil {
			resp.Body = &releasing{resp.Body, release}
			return resp, nil
		}
		cause := context.Cause(p.run)
		if last == nil || cause == nil {
			last = err
		}
		if !repeatable(req, err) || sleep(ctx, pause) != nil {
			release()
			if cause = context.Cause(p.run); cause != nil && !errors.Is(last, context.Canceled) && !errors.Is(last, cause) { // not only slow
				return nil, &unreachable{cause, last}
			}
			return nil, err
		}
		if !errors.Is(err, errNoRules) {
			p.away.Store(time.Now().UnixNano())
		}
		if time.Since(started) > limits.Unreachable {
			p.warn(fmt.Sprintf("The API server cannot be reached, and is waited for: %v\nIf its node is gone, interrupt this run, and begin another.", err))
		}
	}
}

// repeatable tells whether a failed request may be sent again: nothing of it was sent, or sending it twice does no harm. A PATCH of
// ours is a server-side apply, and Helm's are strategic merges: both give the same object twice.
func repeatable(req *http.Request, err error) bool {
	if utilnet.IsConnectionRefused(err) || errors.Is(err, errNoRules) {
		return true
	}
	return again(req) && (utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err) || errors.As(err, new(storeError)))
}

func again(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodPatch
}

// errNoRules is that a server which was out of reach a moment ago refuses a request: it may not have read yet whom it allows what.
var errNoRules = errors.New("it refuses what it may allow in a moment: it has just started")

// A storeError is an answer of an API server whose etcd did not answer.
type storeError string

func (e storeError) Error() string { return string(e) }

// storeErrors are what etcd says when it has no leader, or not the time; see https://pkg.go.dev/go.etcd.io/etcd/api/v3/v3rpc/rpctypes. The API
// server passes them on as an internal error.
var storeErrors = []string{"etcdserver: request timed out", "etcdserver: leader changed", "etcdserver: no leader"}

// withoutStore is the error of an answer that only says that the server's etcd did not answer; nil of any other, which can be read as before.
func withoutStore(resp *http.Response) error {
	if resp.StatusCode != http.StatusInternalServerError {
		return nil
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	if err != nil {
		return err
	}
	for _, said := range storeErrors {
		if bytes.Contains(text, []byte(said)) {
			return storeError(said)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// releasing ends a request's context when its answer has been read: a watch reads on long after RoundTrip has returned.
type releasing struct {
	io.ReadCloser
	release func()
}

func (r *releasing) Close() error {
	defer r.release()
	return r.ReadCloser.Close()
}
