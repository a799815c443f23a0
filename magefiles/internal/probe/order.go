package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
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

// names returns the names of the answer's header, in their order; none where it is longer than what is kept.
func (r *recorder) names() []string {
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

// certificate returns the one that the server has presented, nil without TLS.
func (r *recorder) certificate() *x509.Certificate {
	if secure, ok := r.Conn.(*tls.Conn); ok {
		return secure.ConnectionState().PeerCertificates[0] // a server has one, or the handshake fails
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

// secured connects by TLS, as the transport would, which then could not record what is inside. It takes any certificate: a learner's is
// self-signed.
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
