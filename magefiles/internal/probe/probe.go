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
	"strings"
	"time"
)

// A Client sends every request to loopback, whatever host its URL names. New makes one.
type Client struct {
	http *http.Client
}

// perRequest bounds one request: the gateway and its backends are on this machine.
const perRequest = 5 * time.Second

// maxBody is how much of an answer is read; what a proof looks for is at its beginning.
const maxBody = 64 << 10

// New returns a client whose http requests go to 127.0.0.1:httpPort and whose https requests, with any certificate, to
// 127.0.0.1:httpsPort.
func New(httpPort, httpsPort int) *Client {
	dialer := &net.Dialer{Timeout: perRequest}
	to := func(port int) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", port))
		}
	}
	transport := &http.Transport{
		DialContext:         to(httpPort),
		MaxIdleConnsPerHost: 4,
		MaxIdleConns:        64,
		IdleConnTimeout:     time.Second,
	}
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := to(httpsPort)(ctx, network, address)
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(address)
		secure := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // a learner's certificate is self-signed
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
	return &Client{&http.Client{Transport: transport, Timeout: perRequest, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// An Answer is what came back for a request.
type Answer struct {
	Status int
	Header http.Header
	// Body is the answer's beginning, at most 64 KiB.
	Body string
	// URL is the one that answered at last, after redirects within the host.
	URL string
}

// Get sends a request with the given header, following redirects only where follow is set and only within the host.
func (c *Client) Get(ctx context.Context, method, url string, header map[string]string, follow bool) (*Answer, error) {
	for range 5 {
		req, err := http.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			return nil, err
		}
		for name, value := range header {
			req.Header.Set(name, value)
		}
		resp, err := c.http.Do(req)
		var network *net.OpError
		if errors.As(err, &network) {
			return nil, fmt.Errorf("%s 127.0.0.1: %w", network.Op, network.Err) // without the connection's own port, which is new each time
		}
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		next, err := resp.Location()
		if !follow || err != nil || resp.StatusCode/100 != 3 || next.Hostname() != req.URL.Hostname() {
			return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body), URL: url}, nil
		}
		next.Host = req.URL.Host // a server behind the gateway does not know the port on this machine
		url = next.String()
	}
	return nil, fmt.Errorf("%s redirects in a circle", url)
}

// Field returns the value of a line "name: value" in a body such as whoami's, empty where there is none.
func (a *Answer) Field(name string) string {
	for line := range strings.Lines(a.Body) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Unrouted tells whether the answer is the 404 that Traefik gives for a request no route takes. It is that of Go's HTTP library: an
// application written in Go may give the same.
func (a *Answer) Unrouted() bool {
	return a.Status == http.StatusNotFound && a.Body == "404 page not found\n" &&
		a.Header.Get("X-Content-Type-Options") == "nosniff" && a.Header.Get("Server") == ""
}

// HTML tells whether the answer is a page.
func (a *Answer) HTML() bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && strings.Contains(strings.ToLower(a.Body), "<html")
}
