package kube

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// A RefusedError is the error of a request to the API server that might write, by a client that only reads.
type RefusedError struct{ Method, Path string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused, as this client only reads: %s %s", e.Method, e.Path)
}

// ReadOnly returns a copy of cfg whose clients get, list, watch, and forward a pod's port. Whatever else they ask is a RefusedError, and is not
// sent.
func ReadOnly(cfg *rest.Config) *rest.Config { return wrapped(cfg, false) }

// DryRunOnly is ReadOnly, but lets requests pass that ask the API server what they would change.
// See https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run.
func DryRunOnly(cfg *rest.Config) *rest.Config { return wrapped(cfg, true) }

func wrapped(cfg *rest.Config, dryRun bool) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return reading{next, dryRun} })
	return cfg
}

type reading struct {
	next   http.RoundTripper
	dryRun bool
}

// Of the subresources that a GET may open, exec and attach run something, and proxy of anything but a pod may be whatever an API serves.
var (
	forwards = regexp.MustCompile(`/api/v1/namespaces/[^/]+/pods/[^/]+/portforward$`)
	runs     = regexp.MustCompile(`/api/v1/(namespaces/[^/]+/)?([^/]+)/[^/]+/(exec|attach|proxy)(/|$)`)
)

func (r reading) RoundTrip(req *http.Request) (*http.Response, error) {
	path := req.URL.Path
	opened := runs.FindStringSubmatch(path)
	switch {
	case forwards.MatchString(path):
	case r.dryRun && opened == nil && slices.Equal(req.URL.Query()["dryRun"], []string{metav1.DryRunAll}):
	case req.Method != http.MethodGet && req.Method != http.MethodHead,
		opened != nil && (opened[2] != "pods" || opened[3] != "proxy"):
		return nil, &RefusedError{req.Method, path}
	}
	return r.next.RoundTrip(req)
}
