package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// serve starts a server on loopback, and returns its port.
func serve(t *testing.T, handler http.HandlerFunc) (port string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return portOf(t, server)
}

func portOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestEveryRequestGoesToLoopbackWithTheHostMethodAndHeaderOfTheUser(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Pod", "whoami-1")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, r.Header.Get("X-Version"))
	})
	client := New(Options{})
	for _, host := range []string{"shop.localhost", "www.example.com", "192.0.2.1", "[2001:db8::1]"} {
		url := "http://" + host + ":" + port + "/v1?a=b"
		answer, err := client.Get(t.Context(), "OPTIONS", url, map[string]string{"X-Version": "2"}, false)
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if want := "OPTIONS " + host + ":" + port + " /v1?a=b 2"; answer.Body != want {
			t.Errorf("the server got %q, want %q", answer.Body, want)
		}
		if answer.Status != http.StatusTeapot || answer.Header.Get("X-Pod") != "whoami-1" || answer.URL != url {
			t.Errorf("%+v", answer)
		}
	}
}

func TestAnyCertificateIsTakenAndTold(t *testing.T) {
	var name string
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { name = r.TLS.ServerName }))
	defer server.Close()
	answer, err := New(Options{}).Get(t.Context(), "GET", "https://shop.localhost:"+portOf(t, server)+"/", nil, false)
	if err != nil || answer.Status != http.StatusOK || name != "shop.localhost" || answer.TLS.PeerCertificates[0].VerifyHostname("example.com") != nil {
		t.Errorf("%+v, %v; asked for the certificate of %q", answer, err, name)
	}
}

func TestARequestByTLSIsSentAsABrowserDoesAndOneThatIsRefusedByHTTP1(t *testing.T) {
	var protocols []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols = append(protocols, r.Method+" "+r.Proto)
		if r.URL.Path != "/" {
			http.NotFound(w, r)
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	at := "https://shop.localhost:" + portOf(t, server)
	for _, test := range []struct {
		method, path string
		header       map[string]string
		http2        bool
		sent         []string
	}{
		{"GET", "/", nil, true, []string{"GET HTTP/2.0"}},
		{"HEAD", "/", nil, true, []string{"HEAD HTTP/2.0"}},
		{"GET", "/none", nil, false, []string{"GET HTTP/2.0", "GET HTTP/1.1"}},
		{"POST", "/", nil, false, []string{"POST HTTP/1.1"}},
		{"GET", "/", map[string]string{"Expect": "an answer"}, false, nil}, // which Go's HTTP/1.1 refuses before any handler
	} {
		protocols = nil
		answer, err := New(Options{}).Get(t.Context(), test.method, at+test.path, test.header, false)
		if err != nil || answer.HTTP2 != test.http2 || (len(answer.Order) == 0) != test.http2 || answer.TLS.Version != tls.VersionTLS13 || !slices.Equal(protocols, test.sent) {
			t.Errorf("%s %s: %+v, %v; sent %q", test.method, test.path, answer, err, protocols)
		}
	}
}

func TestAServerWithoutTLSIsToldFromOneThatDoesNotAnswer(t *testing.T) {
	port := serve(t, http.NotFound)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "220 mail.example says something else")
			_ = conn.Close()
		}
	}()
	_, mail, _ := net.SplitHostPort(other.Addr().String())
	for _, method := range []string{"GET", "POST"} {
		for _, port := range []string{port, mail} {
			if _, err := New(Options{}).Get(t.Context(), method, "https://shop.localhost:"+port+"/", nil, false); !errors.Is(err, ErrNoTLS) {
				t.Errorf("%s: %v", method, err)
			}
		}
	}
	if _, err := New(Options{}).Get(t.Context(), "GET", "https://shop.localhost:1/", nil, false); err == nil || errors.Is(err, ErrNoTLS) {
		t.Error(err)
	}
}

func TestOnlyARedirectWithinTheHostIsFollowedAndOnlyIfAsked(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if location := r.URL.Query().Get("to"); location != "" {
			w.Header().Set("Location", location)
		}
		if r.URL.Path == "/from" {
			w.WriteHeader(http.StatusFound)
		}
		fmt.Fprint(w, r.Host, r.URL.Path)
	})
	here := "http://shop.localhost:" + port
	for _, test := range []struct {
		name, from string
		follow     bool
		status     int
		url        string
	}{
		{"a path", "/from?to=/dashboard/", true, 200, here + "/dashboard/"},
		{"a path, not to be followed", "/from?to=/dashboard/", false, 302, here + "/from?to=/dashboard/"},
		{"from a server that does not know this machine's port", "/from?to=http://shop.localhost/next", true, 200, here + "/next"},
		{"from one that knows another", "/from?to=http://shop.localhost:8000/next", true, 200, here + "/next"},
		{"several", "/from?to=/from%3Fto=/next", true, 200, here + "/next"},
		{"another host", "/from?to=http://other.localhost:" + port + "/", true, 302, here + "/from?to=http://other.localhost:" + port + "/"},
		{"a host below", "/from?to=http://a.shop.localhost:" + port + "/", true, 302, here + "/from?to=http://a.shop.localhost:" + port + "/"},
		{"another scheme, which has another port", "/from?to=https://shop.localhost/", true, 302, here + "/from?to=https://shop.localhost/"},
		{"nowhere", "/from", true, 302, here + "/from"},
		{"a location that is no redirect's", "/?to=/dashboard/", true, 200, here + "/?to=/dashboard/"},
	} {
		answer, err := New(Options{}).Get(t.Context(), "GET", here+test.from, nil, test.follow)
		if err != nil || answer.Status != test.status || answer.URL != test.url {
			t.Errorf("%s: %+v, %v", test.name, answer, err)
		}
	}
}

func TestARedirectIsFollowedWithTheHeaderOfTheFirstRequest(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/next", http.StatusFound)
		}
		fmt.Fprint(w, r.Header.Get("X-Version"))
	})
	answer, err := New(Options{}).Get(t.Context(), "GET", "http://shop.localhost:"+port+"/", map[string]string{"X-Version": "2"}, true)
	if err != nil || answer.Body != "2" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestARedirectThatDoesNotEndIsAnErrorAfterAFewRequests(t *testing.T) {
	requests := 0
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
	url := "http://shop.localhost:" + port + "/round"
	answer, err := New(Options{}).Get(t.Context(), "GET", url, nil, true)
	if !errors.As(err, new(*UnreadableError)) || err.Error() != "302 Found, and after 5 requests it still redirects, to "+url || requests != 5 {
		t.Errorf("%+v, %v after %d requests", answer, err, requests)
	}
}

func TestAnAnswerWhoseBodyCannotBeReadIsToldFromNone(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gzip" {
			w.Header().Set("Content-Encoding", "gzip")
		} else {
			w.Header().Set("Content-Length", "1000")
		}
		fmt.Fprint(w, "this is no gzip, nor of that length")
	})
	for path, want := range map[string]string{"gzip": "200 OK, and its body cannot be read: gzip: invalid header", "short": "200 OK, and its body cannot be read: unexpected EOF"} {
		_, err := New(Options{}).Get(t.Context(), "GET", "http://shop.localhost:"+port+"/"+path, nil, false)
		if !errors.As(err, new(*UnreadableError)) || err.Error() != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestOfALongAnswerTheBeginningIsRead(t *testing.T) {
	for _, length := range []int{0, 1, maxBody, maxBody + 1, 3 * maxBody} {
		port := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("a", length)) })
		answer, err := New(Options{}).Get(t.Context(), "GET", "http://shop.localhost:"+port+"/", nil, false)
		if err != nil || len(answer.Body) != min(length, maxBody) {
			t.Errorf("of %d bytes: %v", length, err)
		}
	}
}

// An error's text is compared with that of the round before, and printed once if it is the same.
func TestAnErrorReadsTheSameEveryTime(t *testing.T) {
	broken := func(answered string) string {
		return serve(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprint(conn, answered)
			_ = conn.(*net.TCPConn).SetLinger(0) // closing resets the connection
			_ = conn.Close()
		})
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, port := range map[string]string{
		"nobody listens":                         portOf(t, gone),
		"the connection breaks off":              broken(""),
		"the connection breaks off in an answer": broken("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
	} {
		var said []string
		for range 3 {
			answer, err := New(Options{}).Get(t.Context(), "GET", "http://shop.localhost:"+port+"/", nil, false)
			if err == nil {
				t.Fatalf("%s: %+v", name, answer)
			}
			said = append(said, err.Error())
		}
		if said[0] != said[1] || said[1] != said[2] || !strings.Contains(said[0], " 127.0.0.1: ") {
			t.Errorf("%s:\n%s", name, strings.Join(said, "\n"))
		}
	}
}

func TestWhatCannotBeSentIsAnError(t *testing.T) {
	port := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	for _, request := range []struct{ method, url string }{
		{"GET", "https://shop.localhost:" + port + "/"}, {"GET", "http://shop.localhost:" + port + "/%zz"}, {"A B", "http://shop.localhost:" + port + "/"}, {"GET", "ftp://shop.localhost:" + port + "/"},
	} {
		if answer, err := New(Options{}).Get(t.Context(), request.method, request.url, nil, false); err == nil {
			t.Errorf("%v: %+v", request, answer)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if answer, err := New(Options{}).Get(ctx, "GET", "http://shop.localhost:"+port+"/", nil, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestTheOrderOfAnAnswersHeaderTellsOneThatIsPassedOnFromTheServersOwn(t *testing.T) {
	backend := httptest.NewServer(http.NotFoundHandler())
	defer backend.Close()
	to, _ := url.Parse(backend.URL)
	for _, test := range []struct {
		name string
		own  http.Handler
		want []string
	}{
		{"its own", http.NotFoundHandler(), []string{"Content-Type", "X-Content-Type-Options", "Date", "Content-Length"}},
		{"passed on", httputil.NewSingleHostReverseProxy(to), []string{"Content-Length", "Content-Type", "Date", "X-Content-Type-Options"}},
		{"after an early hint", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			http.NotFound(w, r)
		}), []string{"Content-Type", "X-Content-Type-Options", "Date", "Content-Length"}},
		{"longer than what is kept", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", maxHead))
		}), nil},
	} {
		port, client := serve(t, test.own.ServeHTTP), New(Options{})
		for range 2 { // on one connection
			answer, err := client.Get(t.Context(), "GET", "http://shop.localhost:"+port+"/", nil, false)
			if err != nil || !slices.Equal(answer.Order, test.want) {
				t.Errorf("%s: %+v %v", test.name, answer, err)
			}
		}
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	if answer, err := New(Options{}).Get(t.Context(), "GET", "https://shop.localhost:"+portOf(t, secure)+"/", nil, false); err != nil || len(answer.Order) != 4 {
		t.Errorf("%+v %v", answer, err)
	}
}

func TestAnAnswerWithoutAnEndIsReadForAWhile(t *testing.T) {
	port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "data: 0\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	answer, err := New(Options{}).Get(t.Context(), "GET", "http://shop.localhost:"+port+"/", nil, false)
	if err != nil || answer.Status != http.StatusOK || answer.Body != "data: 0\n\n" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestAWebsocketIsNotReadFrom(t *testing.T) {
	upgrade := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\n\r\n\x81"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = conn.Close() }) // until then, more may come
		_, _ = io.WriteString(conn, upgrade)
	}))
	defer server.Close()
	answer, err := New(Options{}).Get(t.Context(), "GET", server.URL, map[string]string{"Connection": "Upgrade", "Upgrade": "websocket"}, false)
	if err != nil || answer.Status != 101 || answer.Body != "" || !slices.Equal(answer.Order, []string{"Upgrade", "Sec-WebSocket-Accept", "Connection"}) {
		t.Errorf("%v %+v", err, answer)
	}
}

func TestAPageIsWhatSaysSoAndLooksSo(t *testing.T) {
	for _, test := range []struct {
		contentType, body string
		want              bool
	}{
		{"text/html; charset=utf-8", "<!DOCTYPE html>\n<HTML lang=en>", true}, {"text/html", "404 page not found", false},
		{"text/plain", "<html>", false}, {"", "<html>", false},
	} {
		answer := Answer{Header: http.Header{"Content-Type": {test.contentType}}, Body: test.body}
		if got := answer.HTML(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestARequestForWhichThisMachineHasNoSocketWasNotSent(t *testing.T) {
	for err, want := range map[error]bool{
		os.NewSyscallError("socket", syscall.EMFILE):         true,
		os.NewSyscallError("connect", syscall.EADDRNOTAVAIL): true,
		os.NewSyscallError("connect", syscall.ECONNREFUSED):  false,
	} {
		client := New(Options{Dial: func(context.Context, string) (net.Conn, error) { return nil, &net.OpError{Op: "dial", Err: err} }})
		for _, scheme := range []string{"http", "https"} {
			if _, got := client.Get(t.Context(), "GET", scheme+"://shop.localhost:1/", nil, false); errors.Is(got, ErrNotSent) != want {
				t.Errorf("%v", got)
			}
		}
	}
}
