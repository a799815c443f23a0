package probe

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// grpcServer answers calls over HTTP/2, with TLS or without.
func grpcServer(t *testing.T, withTLS bool, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handle)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if server.EnableHTTP2 = withTLS; withTLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.URL
}

// message is one of bytes fields: a number and its value, in turn.
func message(fields ...any) string {
	var m []byte
	for i := 0; i < len(fields); i += 2 {
		m = protowire.AppendTag(m, protowire.Number(fields[i].(int)), protowire.BytesType)
		m = protowire.AppendString(m, fields[i+1].(string))
	}
	return string(m)
}

func framed(m string) string { return "\x00\x00\x00\x00" + string(rune(len(m))) + m }

func TestACallIsOneOfGRPCOverHTTP2AndItsTrailerIsRead(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		url := grpcServer(t, withTLS, func(w http.ResponseWriter, r *http.Request) {
			sent, _ := io.ReadAll(r.Body)
			if r.ProtoMajor != 2 || r.Method != "POST" || r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" || r.Header.Get("X-A") != "b" {
				t.Errorf("%s %s %v", r.Proto, r.Method, r.Header)
			}
			if string(sent) != "\x00\x00\x00\x00\x00" || r.Header.Get("Grpc-Encoding") != "" {
				t.Errorf("%q %v", sent, r.Header)
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = io.WriteString(w, "\x00\x00\x00\x00\x00")
			w.Header().Set("Grpc-Status", "0")
		})
		answer, err := New(Options{}).Call(t.Context(), url+"/a.B/Get", map[string]string{"X-A": "b"}, true)
		if err != nil {
			t.Fatal(err)
		}
		if code, ok := answer.GRPCStatus(); code != 0 || !ok || !answer.GRPC() || answer.Status != 200 || answer.URL != url+"/a.B/Get" {
			t.Errorf("TLS %t: %+v", withTLS, answer)
		}
	}
}

func TestACallThatIsNotAnswerableIsOneThatAnyServerRefuses(t *testing.T) {
	url := grpcServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		if r.Header.Get("Grpc-Encoding") != unknownEncoding || len(sent) != 6 || sent[0] != 1 {
			t.Errorf("%q %v", sent, r.Header)
		}
		w.Header().Set("Content-Type", "application/grpc+proto")
		w.Header().Set("Grpc-Status", "12")
	})
	answer, err := New(Options{}).Call(t.Context(), url+"/a.B/Get", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if code, ok := answer.GRPCStatus(); code != 12 || !ok {
		t.Errorf("%+v", answer)
	}
}

func TestAnEchoOfACallSaysWhichPodGotWhat(t *testing.T) {
	header := func(name, value string) string { return message(1, name, 2, value) }
	assertions := message(1, "/e.E/Echo", 2, header(":authority", "g.x"), 2, header("x-forwarded-for", "10.0.0.1"), 2, header("x-set", "v"), 3, "g.x",
		4, message(1, "demo", 4, "echo-1"))
	url := grpcServer(t, false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0")
		body := map[string]string{"/echo": framed(message(1, assertions)), "/other": framed(message(1, message(1, "/e.E/Echo"))), "/number": framed("\x08\x01"),
			"/cut": framed("\x0a\x7f"), "/none": ""}[r.URL.Path]
		_, _ = io.WriteString(w, body)
	})
	answer, err := New(Options{}).Call(t.Context(), url+"/echo", nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if echo := answer.Echo(); echo == nil || echo.Pod != "echo-1" || echo.Path != "/e.E/Echo" || echo.Host != "g.x" || echo.Header.Get("X-Set") != "v" || len(echo.Header) != 2 {
		t.Errorf("%+v of %q", echo, answer.Body)
	}
	if got := answer.Echo().Header.Get("X-Forwarded-For"); got != "10.0.0.1" {
		t.Errorf("%q", answer.Body)
	}
	for _, path := range []string{"/other", "/number", "/cut", "/none"} {
		if answer, err := New(Options{}).Call(t.Context(), url+path, nil, true); err != nil || answer.Echo() != nil {
			t.Errorf("%s: %v %+v", path, err, answer)
		}
	}
}

func TestACallThatGetsNoAnswerOfHTTP2IsAnError(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler()) // speaks HTTP/1.1 alone
	if answer, err := New(Options{}).Call(t.Context(), server.URL, nil, true); err == nil {
		t.Errorf("%+v", answer)
	}
	server.Close()
	for _, url := range []string{server.URL, ":"} {
		if answer, err := New(Options{}).Call(t.Context(), url, nil, true); err == nil {
			t.Errorf("%s: %+v", url, answer)
		}
	}
	if _, ok := (&Answer{Header: http.Header{"Content-Type": {"application/json"}, "Grpc-Status": {"0"}}}).GRPCStatus(); ok {
		t.Error("an answer of another type has a status of gRPC")
	}
}
