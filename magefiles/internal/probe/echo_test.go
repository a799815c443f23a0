package probe

import (
	"net/http"
	"reflect"
	"testing"
)

const (
	whoami = "Hostname: web-1\nIP: 127.0.0.1\nIP: ::1\nRemoteAddr: 10.0.0.1:5000\nGET /api/x?a=b HTTP/1.1\nHost: in.x\nX-Add: one\nX-Add: two\n"
	basic  = `{"path": "/api/x?a=b", "host": "in.x", "method": "GET", "proto": "HTTP/1.1", "headers": {"X-Add": ["one", "two"]}, "namespace": "demo", "pod": "web-1"}`
)

func TestAnApplicationThatRepeatsTheRequestShowsWhatItGot(t *testing.T) {
	for body, namespace := range map[string]string{whoami: "", "Name: shop\n" + whoami: "", basic: "demo"} {
		want := &Echo{"web-1", namespace, "/api/x", "in.x", http.Header{"X-Add": {"one", "two"}}}
		if got := (&Answer{Body: body}).Echo(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%+v", body, got)
		}
	}
}

func TestABodyThatOnlyLooksLikeARepeatedRequestShowsNothing(t *testing.T) {
	for _, body := range []string{"", "hello", "Hostname: web-1\n", "Hostname: web-1\nRemoteAddr: 10.0.0.1:5000", "Hostname: web-1\nRemoteAddr: 10.0.0.1:5000\nHello, world!\n",
		"<html>" + whoami, "{", `{"path": "/"}`, `{"path": "", "host": "in.x", "proto": "HTTP/1.1", "headers": {}, "pod": "web-1"}`} {
		if got := (&Answer{Body: body}).Echo(); got != nil {
			t.Errorf("%s\n%+v", body, got)
		}
	}
}
