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

	"kindgate/magefiles/internal/limits"
)

// A Client sends every request to loopback, at the port that its URL names, whatever its host is. New makes one.
type Client struct {
	http  *http.Client
	calls *http.Client // of gRPC, by HTTP/2 alone
}

// maxBody is how much of an answer is read; what a proof looks for is at its beginning.
const maxBody = 64 << 10

// New returns a client. It takes any certificate: a learner's is self-signed.
func New() *Client {
	calls := loopback()
	calls.Protocols = new(http.Protocols)
	calls.Protocols.SetHTTP2(true)
	calls.Protocols.SetUnencryptedHTTP2(true)
	client := func(transport *http.Transport) *http.Client {
		return &http.Client{Transport: transport, Timeout: limits.Request,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Client{client(loopback()), client(calls)}
}

func loopback() *http.Transport {
	dialer := &net.Dialer{Timeout: limits.Request}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
		},
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 4,
		MaxIdleConns:        64,
		IdleConnTimeout:     time.Second,
	}
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
		if err != nil {
			return nil, withoutPort(err)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		_ = resp.Body.Close()
		if err != nil {
			return nil, withoutPort(err)
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

// withoutPort leaves the connection's own port out of an error, as it is new each time.
func withoutPort(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return fmt.Errorf("%s 127.0.0.1: %w", network.Op, network.Err)
	}
	return err
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

// HTML tells whether the answer is a page.
func (a *Answer) HTML() bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && strings.Contains(strings.ToLower(a.Body), "<html")
}
