package stack

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/traefik"
)

func TestAnErrorOfThoseWhoKnowNoSettingsEndsInTheSettingThatHelps(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&kube.ConflictError{}, "KINDGATE_ADOPT=yes overwrites it"},
		{&traefik.ForeignError{}, "Uninstall it"},
		{&traefik.ChartError{Path: "x", Err: errors.New("y")}, "KINDGATE_TRAEFIK_CHART must be"},
		{&traefik.ChartError{Err: fmt.Errorf("cannot be fetched: %w", traefik.ErrNoSuchChart)}, "KINDGATE_TRAEFIK_VERSION names another"},
		{&traefik.ChartError{Name: "traefik", Repo: "https://r", Version: "1", Err: errors.New("no network")}, "helm pull traefik --repo https://r --version 1"},
		{&cluster.ForeignError{Delete: "docker rm x"}, "delete it: docker rm x"},
		{&cluster.ForeignError{HalfMade: true}, "KINDGATE_ADOPT=yes deletes it"},
		{&cluster.ForeignError{Stopped: true, Start: "docker start x"}, "run again: docker start x"},
		{&cluster.ForeignError{Another: true}, "have this user take it over"},
		{&cluster.KubeconfigError{Path: "x", Err: errors.New("y")}, "KINDGATE_KUBECONFIG"},
		{&cluster.NodeImageError{Image: "x", Err: errors.New("y")}, "that are here: none. KINDGATE_NODE_IMAGE"},
		{&cluster.PortError{Err: errors.New("y")}, "KINDGATE_HTTP_PORT and KINDGATE_HTTPS_PORT"},
	} {
		err := advised(fmt.Errorf("step: %w", test.err))
		if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.err.Error()+"\n") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: %v", test.err, err)
		}
	}
	if plain := errors.New("x"); advised(plain) != plain || advised(nil) != nil {
		t.Error("an error without a remedy is changed")
	}
}
