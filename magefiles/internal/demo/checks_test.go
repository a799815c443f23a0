package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// inTurn is a gateway that gives each request to the next of some pods; "" stands for one that is gone.
func inTurn(t *testing.T, pods ...string) *Demo {
	t.Helper()
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pod := pods[next%len(pods)]
		next++
		if pod == "" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "Hostname: %s\nX-Forwarded-For: 127.0.0.1\nX-Forwarded-Host: x\nX-Forwarded-Proto: http\n", pod)
	}))
	t.Cleanup(server.Close)
	address, _ := url.Parse(server.URL)
	port, _ := strconv.Atoi(address.Port())
	return &Demo{config: Config{HTTPPort: port}, probe: probe.New(port, port)}
}

func TestAWeightedRouteIsNotProvenByOneServiceWhileAnotherHasNoPods(t *testing.T) {
	stable, canary := gateway.Backend{Namespace: "demo", Name: "stable", Port: 80}, gateway.Backend{Namespace: "demo", Name: "canary", Port: 80}
	request := gateway.Request{Scheme: "http", Method: "GET", Host: "shop.localhost", Path: "/", Backends: []gateway.Backend{stable, canary}, Weighted: true}
	pods := map[string][]string{stable.String(): {"a"}}
	if finding := inTurn(t, "a").prove(t.Context(), request, pods); finding.OK || !strings.Contains(finding.Message, "Service/demo/canary has no ready pod") {
		t.Errorf("%+v", finding)
	}
	pods[canary.String()] = []string{"b"}
	if finding := inTurn(t, "a").prove(t.Context(), request, pods); !finding.OK {
		t.Errorf("%+v", finding)
	}
}

func TestARouteIsProvenOnlyWhenEveryPodBehindItAnswersAndNoOther(t *testing.T) {
	service := gateway.Backend{Namespace: "demo", Name: "shop", Port: 80}
	request := gateway.Request{Scheme: "http", Method: "GET", Host: "shop.localhost", Path: "/", Backends: []gateway.Backend{service}}
	for _, test := range []struct {
		name    string
		serving []string
		problem string // empty where the route is proven
	}{
		{"both pods answer", []string{"a", "b"}, ""},
		{"one of two answers", []string{"a"}, "only 1 of 2 pods answered 20 requests"},
		{"the turn of one that is gone comes after theirs", []string{"a", "b", ""}, "502 Bad Gateway"},
		{"the turn of a stranger comes after theirs", []string{"a", "b", "old"}, `pod "old", which is none of`},
	} {
		t.Run(test.name, func(t *testing.T) {
			finding := inTurn(t, test.serving...).prove(context.Background(), request, map[string][]string{service.String(): {"a", "b"}})
			if finding.OK != (test.problem == "") || !strings.Contains(finding.Message, test.problem) {
				t.Errorf("%+v", finding)
			}
		})
	}
}
