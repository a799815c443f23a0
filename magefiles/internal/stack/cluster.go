package stack

import (
	"context"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// A ground is the cluster that steps bring something up on.
type ground interface {
	// API returns how the API server is reached, when it answers and may be written to.
	API(ctx context.Context) (*rest.Config, error)
	// Services returns when pods reach Services.
	Services(ctx context.Context, report func(string)) error
	// Earlier tells whether an earlier release of kindgate made it, which left no word of what it had installed.
	Earlier() bool
}

// clusterSteps are the steps until there is a cluster on which the others can bring something up.
type clusterSteps interface {
	Begin(ctx context.Context) error
	API(ctx context.Context) error
	Await(ctx context.Context) error
	LoadImages(ctx context.Context) error
}

// kindSteps bring up kindgate's own cluster, and what its nodes need before any pod.
type kindSteps struct {
	*session
	release *helmRelease
}

// Begin starts to bring up the cluster, when it is this run's turn, and returns when its nodes run. What follows waits for Await.
func (s *kindSteps) Begin(ctx context.Context) error {
	return s.run.Part("cluster", func(step *ui.Step) (result.Result, string, error) {
		if err := s.helm().Missing(); err != nil {
			return "", "", err
		}
		if err := s.lock(); err != nil {
			return "", "", err
		}
		s.cluster.Begin(ctx, step.Report)
		return "", "", s.cluster.Node(ctx)
	})
}

// API returns when the API server answers: all that only needs that may begin.
func (s *kindSteps) API(context.Context) error {
	_, err := s.kube()
	return err // told by Await, whose part this is
}

// Await returns when the cluster is complete.
func (s *kindSteps) Await(ctx context.Context) error {
	return s.run.Step("cluster", func(step *ui.Step) (result.Result, string, error) {
		res, detail, differences, err := s.cluster.Done(ctx)
		if len(differences) > 0 {
			s.ui.Note("The cluster is not as it would be made now: " + strings.Join(differences, "; ") + ".\nIt stays as it is; teardown and then up would make it anew.")
		}
		if err == nil && s.cluster.Unwritten() {
			s.ui.Note("KINDGATE_KUBECONFIG=FILE, set for every run, has the context written into another file.")
		}
		return res, detail, err
	})
}

// LoadImages copies the images of the chart and the manifests from the engine into the nodes.
func (s *kindSteps) LoadImages(ctx context.Context) error {
	return s.run.Step("images", func(step *ui.Step) (result.Result, string, error) {
		observation := s.cluster.Observation()
		rendered, err := s.release.objects(observation)
		if err != nil {
			return "", "", err
		}
		images := kube.Images(slices.Concat(rendered, s.inputs.apps))
		missing := cluster.MissingImages(observation.Nodes(), images)
		if len(missing) == 0 {
			return result.Unchanged, count(len(images), "image"), nil
		}
		step.Report("copying images into the nodes")
		loaded, left, err := s.cluster.LoadImages(ctx, missing, step.Bytes)
		if err != nil {
			return "", "", err
		}
		res, detail := result.Unchanged, count(len(images), "image")
		if len(loaded) > 0 {
			res, detail = result.Created, strings.Join(loaded, ", ")
		}
		if len(left) > 0 {
			detail += "; left for the node to pull: " + strings.Join(left, ", ")
		}
		return res, detail, nil
	})
}
