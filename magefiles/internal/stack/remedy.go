package stack

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"kindgate/magefiles/internal/authority"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/traefik"
)

// remedy says what the user can do about an error, where those below cannot know the settings that it takes. It is empty where there is
// nothing to say.
func remedy(err error) string {
	var (
		conflict   *kube.ConflictError
		release    *traefik.ForeignError
		chart      *traefik.ChartError
		foreign    *cluster.ForeignError
		kubeconfig *cluster.KubeconfigError
		image      *cluster.NodeImageError
		port       *cluster.PortError
		shared     *crds.SharedError
		local      *authority.FileError
	)
	switch {
	case errors.As(err, &conflict):
		return "It was left as it is. Take it out of the manifests, or delete it in the cluster; KINDGATE_ADOPT=yes overwrites it."
	case errors.As(err, &release):
		return "It was left as it is. Uninstall it, or have kindgate take it over: KINDGATE_ADOPT=yes."
	case errors.As(err, &chart):
		return chartRemedy(chart)
	case errors.As(err, &foreign):
		return foreignRemedy(foreign)
	case errors.As(err, &kubeconfig):
		return "Mend it, or name another file, by an absolute path, in KINDGATE_KUBECONFIG."
	case errors.As(err, &image):
		return fmt.Sprintf("kindest/node images that are here: %s. KINDGATE_NODE_IMAGE=IMAGE uses one of them.", cmp.Or(strings.Join(image.Have, ", "), "none"))
	case errors.As(err, &shared):
		return "They were left as they are, as kindgate did not install them. Upgrade them, all from one release; KINDGATE_ADOPT=yes has kindgate do it."
	case errors.As(err, &local):
		return "It was left as it is. " + local.Remedy
	case errors.As(err, &port):
		return "KINDGATE_HTTP_PORT and KINDGATE_HTTPS_PORT move the ports."
	}
	return ""
}

// advised is an error with its remedy; without one, it stays as it is.
func advised(err error) error {
	if advice := remedy(err); err != nil && advice != "" {
		return fmt.Errorf("%w\n%s", err, advice)
	}
	return err
}

func chartRemedy(chart *traefik.ChartError) string {
	switch {
	case chart.Path != "":
		return "KINDGATE_TRAEFIK_CHART must be a chart's folder or a .tgz, or empty for the repository's chart."
	case errors.Is(chart, traefik.ErrNoSuchChart):
		return "KINDGATE_TRAEFIK_VERSION names another version; KINDGATE_TRAEFIK_CHART takes a chart from your disk."
	}
	return fmt.Sprintf("Is the network there? KINDGATE_TRAEFIK_CHART takes a chart from your disk instead (helm pull %s --repo %s --version %s).",
		chart.Name, chart.Repo, chart.Version)
}

func foreignRemedy(foreign *cluster.ForeignError) string {
	if foreign.Another {
		return "It was left as it is. If it is yours, have this user take it over: KINDGATE_ADOPT=yes; or bring up another beside it: KINDGATE_CLUSTER=NAME."
	}
	lines := []string{"It was left as it is. KINDGATE_CLUSTER=NAME brings up another beside it; where nothing in it matters, delete it: " + foreign.Delete,
		"To prove its routes, and change nothing: KINDGATE_CONTEXT=" + cluster.Context(foreign.Cluster) + " " + shipped.Command("verify")}
	switch {
	case foreign.HalfMade:
		lines = append(lines, "If an interrupted run of an earlier kindgate left it, KINDGATE_ADOPT=yes deletes it and goes on.")
	case foreign.Stopped:
		lines = append(lines, "If an earlier kindgate made it, start it, so that it can say so, and run again: "+foreign.Start)
	}
	return strings.Join(lines, "\n")
}
