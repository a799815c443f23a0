package probe

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// An Echo is a request as an application that repeats it in its answer got it.
type Echo struct {
	// Pod is the hostname of the application's pod, or where a Namespace is given, the pod's name.
	Pod, Namespace string
	Path, Host     string
	Header         http.Header
}

// Echo returns the request that the answer's body repeats as whoami or echo-basic do, nil where it is no such body as a whole. See
// https://github.com/traefik/whoami and https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance/echo-basic.
func (a *Answer) Echo() *Echo {
	if strings.HasPrefix(a.Body, "{") {
		return a.echoBasic()
	}
	head, request, found := strings.Cut(a.Body, "\nRemoteAddr: ")
	_, request, whole := strings.Cut(request, "\n")
	if !found || !whole || !strings.HasPrefix(head, "Hostname: ") && !strings.HasPrefix(head, "Name: ") {
		return nil
	}
	got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request + "\n")))
	if err != nil {
		return nil
	}
	_, pod, _ := strings.Cut("\n"+head, "\nHostname: ")
	pod, _, _ = strings.Cut(pod, "\n")
	return &Echo{pod, "", got.URL.Path, got.Host, got.Header}
}

func (a *Answer) echoBasic() *Echo {
	var body struct {
		Path, Host, Proto, Namespace, Pod string
		Headers                           http.Header
	}
	if json.Unmarshal([]byte(a.Body), &body) != nil || body.Proto == "" || body.Headers == nil || body.Pod == "" {
		return nil
	}
	path, err := url.ParseRequestURI(body.Path)
	if err != nil {
		return nil
	}
	return &Echo{body.Pod, body.Namespace, path.Path, body.Host, body.Headers}
}
