// Package probe sends real requests through the gateway's ports on this machine.
package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"syscall"
	"time"

	"kindgate/magefiles/internal/limits"
)

// A Client sends every request by the port that its URL names, whatever its host is. New makes one.
type Client struct {
	http    *http.Client // by HTTP/1.1, whose answers show the order of their header
	secure  *http.Client // by TLS, and the HTTP that server and client agree on
	calls   *http.Client // of gRPC, by HTTP/2 alone
	options Options
}

// Options say how a Client reaches the gateway, and what it may ask.
type Options struct {
	// Dial connects to what the port of a URL leads to; nil for that port of this machine.
	Dial func(ctx context.Context, port string) (net.Conn, error)
	// Wait is called before each request, and returns when it may be sent; nil for at once. Its error is the request's.
	Wait func(context.Context) error
	// ReadOnly: no request is sent but GET and HEAD.
	ReadOnly bool
}

// ErrNotSent is the error of a request that may not be sent to this cluster, or for which this machine has no socket: it says nothing of who would
// have answered.
var ErrNotSent = errors.New("not sent")

var errReadOnly = fmt.Errorf("%w: only GET and HEAD are sent to a cluster that kindgate did not make", ErrNotSent)

// An UnreadableError is that something has answered, and not with what can be read.
type UnreadableError struct {
	Status int
	Why    string // it follows the status
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%d %s%s", e.Status, http.StatusText(e.Status), e.Why)
}

// maxBody is how much of an answer is read; what a proof looks for is at its beginning.
const maxBody = 64 << 10

// New returns a client. It takes any certificate, and tells it in its answers: whether that is a good one is a verdict, and not why there is no
// answer.
func New(options Options) *Client {
	if options.Dial == nil {
		options.Dial = dialLoopback
	}
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return options.Dial(ctx, port)
	}
	requests, secure, calls := transport(), transport(), transport()
	requests.DialContext, requests.DialTLSContext = recorded(dial), recorded(secured(dial))
	for _, t := range []*http.Transport{secure, calls} {
		t.DialContext = dial
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP2(true)
	}
	secure.Protocols.SetHTTP1(true)
	calls.Protocols.SetUnencryptedHTTP2(true)
	client := func(transport *http.Transport) *http.Client {
		return &http.Client{Transport: transport, Timeout: limits.Request,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Client{client(requests), client(secure), client(calls), options}
}

func transport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 4, MaxIdleConns: 64, IdleConnTimeout: limits.IdleConnection}
}

func dialLoopback(ctx context.Context, port string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: limits.Request}
	return dialer.DialContext(ctx, "tcp", "127.0.0.1:"+port)
}

// allowed returns when a request of a method may be sent. Its error is that it may not be, or what Wait says.
func (c *Client) allowed(ctx context.Context, method string) error {
	switch {
	case c.options.ReadOnly && method != http.MethodGet && method != http.MethodHead:
		return errReadOnly
	case c.options.Wait == nil:
		return nil
	}
	return c.options.Wait(ctx)
}

// An Answer is what came back for a request.
type Answer struct {
	Status int
	Header http.Header
	// Order has the names of Header as they came. Of an answer by HTTP/2 it is not known: one to a GET or HEAD has a status below 400.
	Order []string
	HTTP2 bool
	// TLS is what client and server agreed on, with the server's certificates; nil without TLS.
	TLS *tls.ConnectionState
	// Body is the answer's beginning: at most 64 KiB, and of one that does not end, such as a stream of events, what came in limits.Body.
	Body string
	// URL is the one that answered at last, after redirects within the host and the scheme.
	URL string
}

// ErrNoTLS is the error of a server that answers without TLS where it was asked for.
var ErrNoTLS = errors.New("it answers without TLS")

// Get sends a request with the given header, following redirects only where follow is set and only within the host and the scheme: another
// scheme has another port. Its error is an *UnreadableError where something has answered.
func (c *Client) Get(ctx context.Context, method, url string, header map[string]string, follow bool) (*Answer, error) {
	const most = 5
	var status int
	for range most {
		answer, next, err := c.once(ctx, method, url, header)
		if err != nil {
			return nil, withoutPort(err)
		}
		if !follow || next == "" {
			return answer, nil
		}
		status, url = answer.Status, next
	}
	return nil, &UnreadableError{status, fmt.Sprintf(", and after %d requests it still redirects, to %s", most, url)}
}

// once sends a request, and returns beside the answer where it redirects to within the host and the scheme. By TLS it is sent as a browser would.
// Where it matters who has written the answer, or what HTTP/1.1 makes of a header, it is sent by that.
func (c *Client) once(ctx context.Context, method, url string, header map[string]string) (answer *Answer, next string, err error) {
	if strings.HasPrefix(url, "https:") && (method == http.MethodGet || method == http.MethodHead) && header["Expect"]+header["Upgrade"] == "" {
		answer, next, err = c.sent(ctx, c.secure, method, url, header)
		if err != nil || answer.Status < http.StatusBadRequest {
			return answer, next, err
		}
	}
	return c.sent(ctx, c.http, method, url, header)
}

func (c *Client) sent(ctx context.Context, by *http.Client, method, url string, header map[string]string) (answer *Answer, next string, err error) {
	if err := c.allowed(ctx, method); err != nil {
		return nil, "", err
	}
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
	resp, err := by.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer = &Answer{Status: resp.StatusCode, Header: resp.Header, Order: conn.names(), HTTP2: resp.ProtoMajor == 2,
		TLS: cmp.Or(resp.TLS, conn.secure()), URL: url}
	if answer.Status == http.StatusSwitchingProtocols {
		return answer, "", nil // what follows is of another protocol
	}
	defer time.AfterFunc(limits.Body, func() { cancel(errGoesOn) }).Stop()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	switch ended := context.Cause(ctx); {
	case err == nil || errors.Is(ended, errGoesOn):
	case ended != nil:
		return nil, "", err
	default:
		return nil, "", &UnreadableError{answer.Status, ", and its body cannot be read: " + withoutPort(err).Error()}
	}
	answer.Body = string(body)
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 && to.Hostname() == req.URL.Hostname() && to.Scheme == req.URL.Scheme {
		to.Host = req.URL.Host // a server behind the gateway does not know the port on this machine
		next = to.String()
	}
	return answer, next, nil
}

// errGoesOn ends the reading of a body.
var errGoesOn = errors.New("the answer does not end")

// withoutPort leaves the connection's own port out of an error, as it is new each time.
func withoutPort(err error) error {
	if errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError)) {
		return ErrNoTLS
	}
	var network *net.OpError
	if errors.As(err, &network) {
		at := "127.0.0.1"
		if network.Addr != nil {
			if host, _, err := net.SplitHostPort(network.Addr.String()); err == nil {
				at = host
			}
		}
		err = fmt.Errorf("%s %s: %w", network.Op, at, network.Err)
		var call *os.SyscallError // too many files are open, or no local port is free
		if errors.As(err, &call) && (call.Syscall == "socket" || errors.Is(call, syscall.EADDRNOTAVAIL)) {
			err = fmt.Errorf("%w: %w", ErrNotSent, err)
		}
	}
	return err
}

// HTML tells whether the answer is a page.
func (a *Answer) HTML() bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && strings.Contains(strings.ToLower(a.Body), "<html")
}
