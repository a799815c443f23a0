package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/rollout"
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
		objects := slices.Concat(rendered, s.inputs.apps)
		refs := kube.Images(objects)
		images, err := s.lookAtImages(ctx, objects)
		if err != nil {
			if len(cluster.MissingImages(observation.Nodes(), refs)) > 0 {
				return "", "", err
			}
			return result.Unchanged, count(len(refs), "image") + "; not held against the engine's: " + err.Error(), nil
		}
		if images.Settled() {
			s.images = images
			return result.Unchanged, count(len(refs), "image"), nil
		}
		step.Report("copying images into the nodes")
		loaded, err := s.cluster.LoadImages(ctx, images, step.Bytes)
		if err != nil {
			return "", "", err
		}
		s.images = images
		res, detail := sayLoaded(loaded, len(refs))
		return res, detail, nil
	})
}

// lookAtImages finds out what the engine and the nodes have of the images of objects.
func (s *session) lookAtImages(ctx context.Context, objects []kube.Object) (*cluster.Images, error) {
	always := kube.AlwaysPulled(objects)
	return s.cluster.LookAtImages(ctx, kube.Images(objects), func(ref string) bool { return always[ref] != nil })
}

// sayLoaded says which of some images were copied.
func sayLoaded(loaded cluster.Loaded, all int) (result.Result, string) {
	res, details := result.Unchanged, []string{}
	if len(loaded.Missing) > 0 {
		res, details = result.Created, append(details, strings.Join(loaded.Missing, ", "))
	}
	if len(loaded.Rebuilt) > 0 {
		res, details = result.Updated, append(details, "rebuilt: "+strings.Join(loaded.Rebuilt, ", "))
	}
	if len(details) == 0 {
		details = append(details, count(all, "image"))
	}
	if len(loaded.Left) > 0 {
		details = append(details, "left for the node to pull: "+strings.Join(loaded.Left, ", "))
	}
	return res, strings.Join(details, "; ")
}

// outdated finds the workloads among objects of which an image was rebuilt since their pods were started.
func (s *session) outdated(ctx context.Context, client *kube.Client, objects []kube.Object) ([]rollout.Outdated, error) {
	if s.images == nil || s.images.Settled() {
		return nil, nil
	}
	return rollout.FindOutdated(ctx, client, objects, s.images)
}

// restart has the pods of outdated workloads replaced, and says for which this has to be done by hand. It returns what was restarted.
func (s *session) restart(ctx context.Context, client *kube.Client, outdated []rollout.Outdated) ([]rollout.Outdated, error) {
	restarted, left, err := rollout.Restart(ctx, client, outdated)
	if len(left) > 0 {
		s.leftOutdated.Store(true)
	}
	for _, o := range left {
		s.run.Note(fmt.Sprintf("%s runs an image that was %s. Its pods are not replaced by themselves: delete them, and run up again.", o.Object.Name(), o.Why()))
	}
	return restarted, err
}

// settleImages writes down, at the end of an up, that no image is to be copied, and no workload to be restarted.
func (s *session) settleImages(ctx context.Context) error {
	if s.images == nil || s.images.Settled() || s.leftOutdated.Load() {
		return nil
	}
	return s.cluster.RecordImages(ctx, s.images)
}
