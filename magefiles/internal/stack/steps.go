package stack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// Begin starts to bring up the cluster, when it is this run's turn, and returns when its node runs. What follows waits for Cluster.
func (s *Stack) Begin(ctx context.Context) error {
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
func (s *Stack) API(context.Context) error {
	_, err := s.kube()
	return err // told by Cluster, whose part this is
}

// Cluster returns when the cluster is complete.
func (s *Stack) Cluster(ctx context.Context) error {
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

// LoadImages copies the images of the chart and the manifests from the engine into the node.
func (s *Stack) LoadImages(ctx context.Context) error {
	return s.run.Step("images", func(step *ui.Step) (result.Result, string, error) {
		observation := s.cluster.Observation()
		rendered, err := s.release.objects(observation)
		if err != nil {
			return "", "", err
		}
		images := kube.Images(slices.Concat(rendered, s.inputs.apps))
		missing := cluster.MissingImages(observation.Node, images)
		if len(missing) == 0 {
			return result.Unchanged, count(len(images), "image"), nil
		}
		step.Report("copying images into the node")
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

// CRDs installs the Gateway API's definitions, unless the cluster has some that must not be replaced.
func (s *Stack) CRDs(ctx context.Context) error {
	return s.run.Step("crds", func(step *ui.Step) (result.Result, string, error) {
		wanted, err := definitions(ctx)
		if err != nil {
			return "", "", err
		}
		client, err := s.kube()
		if err != nil {
			return "", "", err
		}
		live, err := client.Live(ctx, wanted)
		if err != nil {
			return "", "", err
		}
		if err := crds.CheckReplace(unstructureds(wanted), live); err != nil {
			return "", "", err
		}
		changes, err := client.ApplyTo(ctx, wanted, live)
		sayChanges(s.ui.Note, changes)
		if err != nil {
			return "", "", err
		}
		res, detail := summarize(changes)
		if res != result.Unchanged {
			err = client.WaitEstablished(ctx, wanted)
		}
		if bundle, ok := crds.BundleOf(wanted[0].Unstructured); ok && (res == result.Created || res == result.Unchanged) {
			detail = "Gateway API " + bundle.String()
		}
		return res, detail, err
	})
}

// definitions returns the Gateway API's, as they are installed.
func definitions(ctx context.Context) ([]kube.Object, error) {
	files, err := crds.Files(ctx)
	if err != nil {
		return nil, err
	}
	return kube.ReadDir(files, "gateway-api", func(string) bool { return false })
}

func unstructureds(objects []kube.Object) []*unstructured.Unstructured {
	all := make([]*unstructured.Unstructured, len(objects))
	for i, object := range objects {
		all[i] = object.Unstructured
	}
	return all
}

// InstallTraefik installs, upgrades or repairs the Helm release. AwaitTraefik waits for what it runs.
func (s *Stack) InstallTraefik(ctx context.Context) error {
	return s.run.Part("traefik", func(step *ui.Step) (result.Result, string, error) { return s.release.install(ctx, step.Report) })
}

// AwaitTraefik returns when Traefik's pod is ready on the node whose ports are this machine's, and these lead to it.
func (s *Stack) AwaitTraefik(ctx context.Context) error {
	return s.run.Step("traefik", func(step *ui.Step) (result.Result, string, error) { return s.release.await(ctx, step.Report) })
}

// awaitRollout waits for the workloads among objects. Those of a chart have the release's namespace where they name none.
func awaitRollout(ctx context.Context, client *kube.Client, objects []kube.Object, inNamespace string, report func(string)) error {
	for i := range objects {
		if objects[i].GetNamespace() == "" && !kube.ClusterScoped(objects[i].GroupVersionKind().GroupKind()) {
			objects[i].Unstructured = objects[i].DeepCopy()
			objects[i].SetNamespace(inNamespace)
		}
	}
	return client.WaitReady(ctx, objects, limits.BadSign, report)
}

// ApplyApps applies every object of the manifests that is not the Gateway API's. AwaitApps waits for what they run.
func (s *Stack) ApplyApps(ctx context.Context) error {
	return s.run.Part("apps", func(step *ui.Step) (result.Result, string, error) {
		if err := s.cluster.Services(ctx, step.Report); err != nil {
			return "", "", err
		}
		changes, err := s.apply(ctx, s.inputs.apps, step)
		if err != nil {
			return "", "", err
		}
		s.applied = changes
		res, detail := summarize(changes)
		return res, detail, nil
	})
}

func (s *Stack) apply(ctx context.Context, objects []kube.Object, step *ui.Step) ([]kube.Change, error) {
	client, err := s.kube()
	if err != nil {
		return nil, err
	}
	changes, err := client.ApplyInTurn(ctx, objects, limits.BadSign, step.Report)
	sayChanges(s.ui.Note, changes)
	return changes, err
}

// sayChanges tells what people may not expect of objects that were applied.
func sayChanges(note func(string), changes []kube.Change) {
	for _, change := range changes {
		name := change.Object.Name()
		if change.Before != nil {
			note(fmt.Sprintf("%s was there before (%s); from now on it is kept as its manifest has it.",
				name, cmp.Or(strings.Join(change.Before, ", "), "written by nobody known")))
		}
		if change.Altered != "" {
			note(fmt.Sprintf("%s is not as its manifest has it: %s. An admission webhook or policy of the cluster alters it.", name, change.Altered))
		}
		if change.OnDelete {
			note(name + " is changed, and its pods are not: its updateStrategy is OnDelete, so each is replaced when somebody deletes it.")
		}
	}
}

// AwaitApps returns when every workload of the manifests is up, and all that was created is still there.
func (s *Stack) AwaitApps(ctx context.Context) error {
	return s.run.Step("apps", func(step *ui.Step) (result.Result, string, error) {
		client, err := s.kube()
		if err != nil {
			return "", "", err
		}
		if err := awaitRollout(ctx, client, slices.Clone(s.inputs.apps), "default", step.Report); err != nil {
			return "", "", err
		}
		return "", "", client.StillThere(ctx, s.applied)
	})
}

// ApplyRoutes applies every Gateway API object of the manifests. AwaitRoutes waits until they are served.
func (s *Stack) ApplyRoutes(ctx context.Context) error {
	return s.run.Part("routes", func(step *ui.Step) (result.Result, string, error) {
		changes, err := s.apply(ctx, s.inputs.routes, step)
		if err != nil {
			return "", "", err
		}
		res, detail := summarize(changes)
		return res, detail, nil
	})
}

// AwaitRoutes returns when every route is accepted and its requests are answered as they should be.
func (s *Stack) AwaitRoutes(ctx context.Context) error {
	return s.run.Step("routes", func(step *ui.Step) (result.Result, string, error) {
		return "", "", s.verification.awaitServed(ctx, step.Report)
	})
}

// Hosts sees to it that every hostname leads to this machine, as far as that harms nobody. Where the system's resolver does not know a
// name, the hosts file must; a user who may not write it is told how.
func (s *Stack) Hosts(ctx context.Context) error {
	return s.run.Step("hosts", func(*ui.Step) (result.Result, string, error) { return s.names.converge(ctx, s.lock) })
}

// Verify checks what is there, and changes nothing: the conditions, then real requests. Its error says how many checks failed; each is
// printed with what was found and what to look at.
func (s *Stack) Verify(ctx context.Context) error {
	step := s.ui.Begin("verify")
	failed, total := 0, 0
	err := s.attach(ctx)
	if err == nil {
		failed, total, err = s.verification.verify(ctx, step.Report)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %s failed", failed, count(total, "check"))
	}
	err = s.run.Failed("verify", step.Phase(), err)
	step.End("passed", count(total, "check"), err)
	return err
}

// attach connects to the cluster as it is; one that is not up is an error.
func (s *Stack) attach(ctx context.Context) error {
	s.cluster.Attach(ctx)
	_, err := s.kube()
	return err
}
