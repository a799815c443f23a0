// Package probe sends real requests through the gateway's ports on this machine.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"kindgate/magefiles/internal/limits"
)

// A Client sends every request to loopback, at the port that its URL names, whatever its host is. New makes one.
type Client struct {
	http  *http.Client
	calls *http.Client // of gRPC, by HTTP/2 alone
}

// maxBody is how much of an answer is read; what a proof looks for is at its beginning.
const maxBody = 64 << 10

// New returns a client. It takes any certificate.
func New() *Client {
	requests, calls := transport(), transport()
	requests.DialContext, requests.DialTLSContext = recorded(dialLoopback), recorded(secured(dialLoopback))
	calls.DialContext = dialLoopback
	calls.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	calls.Protocols = new(http.Protocols)
	calls.Protocols.SetHTTP2(true)
	calls.Protocols.SetUnencryptedHTTP2(true)
	client := func(transport *http.Transport) *http.Client {
		return &http.Client{Transport: transport, Timeout: limits.Request,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Client{client(requests), client(calls)}
}

func transport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 4, MaxIdleConns: 64, IdleConnTimeout: time.Second}
}

func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: limits.Request}
	return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
}

// An Answer is what came back for a request.
type Answer struct {
	Status int
	Header http.Header
	// Order has the names of Header as they came. Of an answer by HTTP/2 it is not known.
	Order []string
	HTTP2 bool
	// Body is the answer's beginning: at most 64 KiB, and of one that does not end, such as a stream of events, what came in limits.Body.
	Body string
	// URL is the one that answered at last, after redirects within the host.
	URL string
}

// Get sends a request with the given header, following redirects only where follow is set and only within the host.
func (c *Client) Get(ctx context.Context, method, url string, header map[string]string, follow bool) (*Answer, error) {
	for range 5 {
		answer, next, err := c.once(ctx, method, url, header)
		if err != nil {
			return nil, withoutPort(err)
		}
		if !follow || next == "" {
			return answer, nil
		}
		url = next
	}
	return nil, fmt.Errorf("%s redirects in a circle", url)
}

// once sends a request, and returns beside the answer where it redirects to within the host.
func (c *Client) once(ctx context.Context, method, url string, header map[string]string) (answer *Answer, next string, err error) {
	var conn *recorder
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { conn, _ = got.Conn.(*recorder) }})
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, "", err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer = &Answer{Status: resp.StatusCode, Header: resp.Header, Order: conn.names(), URL: url}
	defer time.AfterFunc(limits.Body, func() { cancel(errGoesOn) }).Stop()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil && !errors.Is(context.Cause(ctx), errGoesOn) {
		return nil, "", err
	}
	answer.Body = string(body)
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 && to.Hostname() == req.URL.Hostname() {
		to.Host = req.URL.Host // a server behind the gateway does not know the port on this machine
		next = to.String()
	}
	return answer, next, nil
}

// errGoesOn ends the reading of a body.
var errGoesOn = errors.New("the answer does not end")

// withoutPort leaves the connection's own port out of an error, as it is new each time.
func withoutPort(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return fmt.Errorf("%s 127.0.0.1: %w", network.Op, network.Err)
	}
	return err
}

// HTML tells whether the answer is a page.
func (a *Answer) HTML() bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && strings.Contains(strings.ToLower(a.Body), "<html")
}
