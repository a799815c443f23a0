package probe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// unknownEncoding is a compression that no server has: it must refuse the call with the status UNIMPLEMENTED, and cannot read the message. See
// https://github.com/grpc/grpc/blob/master/doc/compression.md.
const unknownEncoding = "kindgate-probe"

// Call makes a call of gRPC with the given header, and an empty message. A call that is not answerable has an encoding and a message that
// any server refuses before the method runs. The answer's header has the trailer, too. See
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. The error is that no answer came, or one that is not HTTP/2.
func (c *Client) Call(ctx context.Context, url string, header map[string]string, answerable bool) (*Answer, error) {
	if err := c.allowed(ctx, http.MethodPost); err != nil {
		return nil, err
	}
	message := []byte{0, 0, 0, 0, 0} // not compressed, of length 0
	if !answerable {
		message = []byte{1, 0, 0, 0, 1, 0}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Te", "trailers")
	if !answerable {
		req.Header.Set("Grpc-Encoding", unknownEncoding)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := c.calls.Do(req)
	if err != nil {
		return nil, withoutPort(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, withoutPort(err)
	}
	maps.Copy(resp.Header, resp.Trailer)
	answer := &Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body), URL: url, HTTP2: true, TLS: resp.TLS}
	if text := echoed(body); answer.GRPC() && text != "" {
		answer.Body = text
	}
	return answer, nil
}

// GRPC tells whether an answer is one of gRPC, by its content type.
func (a *Answer) GRPC() bool {
	return strings.HasPrefix(a.Header.Get("Content-Type"), "application/grpc")
}

// GRPCStatus returns the status of gRPC, and false for an answer that has none.
func (a *Answer) GRPCStatus() (int, bool) {
	code, err := strconv.Atoi(a.Header.Get("Grpc-Status"))
	return code, err == nil && a.GRPC()
}

// echoed returns the call that echo-basic's answer repeats, written as whoami does; empty where it is no such answer. See
// https://github.com/kubernetes-sigs/gateway-api/blob/main/conformance/echo-basic/grpcechoserver/grpcecho.proto.
func echoed(body []byte) string {
	if len(body) < 5 || body[0] != 0 {
		return ""
	}
	assertions := fields(first(fields(body[5:])[1])) // of EchoResponse
	context := fields(first(assertions[4]))
	pod := first(context[4])
	if len(pod) == 0 {
		return ""
	}
	text := fmt.Sprintf("Hostname: %s\nRemoteAddr: \nPOST %s HTTP/1.1\nHost: %s\n", pod, first(assertions[1]), first(assertions[3]))
	for _, header := range assertions[2] {
		entry := fields(header)
		if name := first(entry[1]); !bytes.HasPrefix(name, []byte(":")) {
			text += fmt.Sprintf("%s: %s\n", http.CanonicalHeaderKey(string(name)), first(entry[2]))
		}
	}
	return text
}

// fields are the values of a message's fields that have a length, by their number; nil where it is no such message.
func fields(message []byte) map[protowire.Number][][]byte {
	all := map[protowire.Number][][]byte{}
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 || kind != protowire.BytesType {
			return nil
		}
		value, m := protowire.ConsumeBytes(message[n:])
		if m < 0 {
			return nil
		}
		all[number] = append(all[number], value)
		message = message[n+m:]
	}
	return all
}

func first(values [][]byte) []byte { return slices.Concat(values[:min(1, len(values))]...) }
