package place

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"kindgate/magefiles/internal/limits"
)

// A forward leads from a port of this machine, which it chooses, to a pod's, as kubectl port-forward does.
type forward struct {
	cfg    *rest.Config
	target Target

	mu    sync.Mutex
	port  uint16
	stop  chan struct{}
	ended chan struct{}
}

// newForward begins to forward. Its error is that the API server or the pod refuses.
func newForward(ctx context.Context, cfg *rest.Config, target Target) (*forward, error) {
	f := &forward{cfg: cfg, target: target}
	return f, f.begin(ctx)
}

func (f *forward) begin(ctx context.Context) error {
	dialer, err := f.dialer()
	if err != nil {
		return err
	}
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddressesForStreaming(dialer, []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(f.target.PodPort)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		defer close(ended)
		failed <- forwarder.ForwardPorts()
	}()
	ctx, cancel := context.WithTimeout(ctx, limits.Forward)
	defer cancel()
	select {
	case <-ready:
	case err := <-failed:
		return cmp.Or(err, errEnded)
	case <-ctx.Done():
		close(stop)
		return fmt.Errorf("it is not there after %s", limits.Forward)
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		close(stop)
		return err
	}
	f.port, f.stop, f.ended = ports[0].Local, stop, ended
	return nil
}

var errEnded = errors.New("it has ended")

// dialer opens the connection over a WebSocket, or as older API servers have it over SPDY.
func (f *forward) dialer() (httpstream.Dialer, error) {
	core, err := corev1.NewForConfig(f.cfg)
	if err != nil {
		return nil, err
	}
	url := core.RESTClient().Post().Resource("pods").Namespace(f.target.Namespace).Name(f.target.Pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(f.cfg)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	newer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, f.cfg)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// address returns that on this machine, and forwards again where that has ended.
func (f *forward) address(ctx context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.ended:
		if err := f.begin(ctx); err != nil {
			return "", fmt.Errorf("the port-forward to Pod/%s/%s has ended: %s", f.target.Namespace, f.target.Pod, strings.TrimSpace(err.Error()))
		}
	default:
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(f.port))), nil
}

func (f *forward) close() { close(f.stop) }
