package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
)

// A recorder keeps the beginning of what a connection answers to the request that was written to it last: package net/http tells the names of an
// answer's header, but not their order, by which an answer that a gateway writes itself differs from one that it passes on.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	head []byte
}

// maxHead is how much of an answer is kept.
const maxHead = 8 << 10

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	r.head = r.head[:0]
	r.mu.Unlock()
	return r.Conn.Write(b)
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	r.head = append(r.head, b[:min(n, maxHead-len(r.head))]...)
	r.mu.Unlock()
	return n, err
}

// names returns the names of the answer's header, in their order; none where it is longer than what is kept, and of a connection that is not
// recorded.
func (r *recorder) names() []string {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	head, rest, whole := bytes.Cut(r.head, []byte("\r\n\r\n"))
	for whole && bytes.HasPrefix(head, []byte("HTTP/1.1 1")) && !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) { // says that the answer is to come
		head, rest, whole = bytes.Cut(rest, []byte("\r\n\r\n"))
	}
	if !whole {
		return nil
	}
	var names []string
	for _, line := range strings.Split(string(head), "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	return names
}

// secure returns what client and server agreed on, nil without TLS.
func (r *recorder) secure() *tls.ConnectionState {
	if r == nil {
		return nil
	}
	if secure, ok := r.Conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		return &state
	}
	return nil
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

func recorded(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &recorder{Conn: conn}, nil
	}
}

// secured connects by TLS, as the transport would, which then could not record what is inside.
func secured(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(address)
		secure := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true})
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}
