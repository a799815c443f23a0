package stack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/rollout"
	"kindgate/magefiles/internal/ui"
)

// objectSteps hand objects over to the cluster: the Gateway API's definitions and the manifests. They wait for what becomes of the applications.
type objectSteps struct {
	*session
	applied []kube.Change // by ApplyApps
}

// Define installs the Gateway API's definitions, unless the cluster has some that must not be replaced.
func (s *objectSteps) Define(ctx context.Context) error {
	return s.run.Step("crds", func(step *ui.Step) (result.Result, string, error) {
		client, err := s.kube()
		if err != nil {
			return "", "", err
		}
		defined, err := s.lookAtDefinitions(ctx, client)
		if err != nil {
			return "", "", err
		}
		changes, err := client.ApplyTo(ctx, defined.wanted, defined.live)
		sayChanges(s.ui.Note, changes)
		if err != nil {
			return "", "", err
		}
		res, detail := summarize(changes)
		if res != result.Unchanged {
			err = rollout.Wait(ctx, client, defined.wanted, step.Report)
		}
		if res == result.Created || res == result.Unchanged {
			detail = "Gateway API " + defined.bundle.String()
		}
		return res, detail, err
	})
}

// A defined is what is to be done about the Gateway API's definitions: those that are applied, and they as the cluster has them, nil for those
// that it has not. bundle is the release that the cluster has then.
type defined struct {
	wanted []kube.Object
	live   []*unstructured.Unstructured
	bundle crds.Bundle
}

// lookAtDefinitions decides which definitions are applied. On kindgate's own cluster all are, unless what is there must not be replaced; on
// somebody's, those of others are used as they are.
func (s *objectSteps) lookAtDefinitions(ctx context.Context, client *kube.Client) (defined, error) {
	wanted, err := definitions(ctx)
	if err != nil {
		return defined{}, err
	}
	live, err := client.Live(ctx, wanted)
	if err != nil {
		return defined{}, err
	}
	bundle, _ := crds.BundleOf(wanted[0].Unstructured)
	all := defined{wanted, live, bundle}
	if s.config.Context == "" {
		return all, crds.CheckReplace(unstructureds(wanted), live)
	}
	indices, err := crds.Share(unstructureds(wanted), live, func(crd *unstructured.Unstructured) bool { return s.config.Adopt || kube.IsOurs(crd) })
	if err != nil {
		return defined{}, err
	}
	if len(indices) < len(wanted) {
		for _, crd := range live {
			if crd != nil {
				all.bundle, _ = crds.BundleOf(crd)
			}
		}
	}
	all.wanted, all.live = nil, nil
	for _, i := range indices {
		all.wanted, all.live = append(all.wanted, wanted[i]), append(all.live, live[i])
	}
	return all, nil
}

// definitions returns the Gateway API's, as they are installed.
func definitions(ctx context.Context) ([]kube.Object, error) {
	files, err := crds.Files(ctx)
	if err != nil {
		return nil, err
	}
	read, err := crds.Read(files)
	var objects []kube.Object
	for _, object := range read {
		objects = append(objects, kube.Object{Unstructured: object})
	}
	return objects, err
}

func unstructureds(objects []kube.Object) []*unstructured.Unstructured {
	all := make([]*unstructured.Unstructured, len(objects))
	for i, object := range objects {
		all[i] = object.Unstructured
	}
	return all
}

// awaitRollout waits for the workloads among objects. Those of a chart have the release's namespace where they name none.
func awaitRollout(ctx context.Context, client *kube.Client, objects []kube.Object, inNamespace string, report func(string)) error {
	for i := range objects {
		objects[i] = placed(inNamespace, objects[i])
	}
	return rollout.Wait(ctx, client, objects, report)
}

// placed is an object as the cluster has it: one that names no namespace is in the given one, unless its kind has none.
func placed(namespace string, o kube.Object) kube.Object {
	if o.GetNamespace() == "" && !kube.ClusterScoped(o.GroupVersionKind().GroupKind()) {
		o.Unstructured = o.DeepCopy()
		o.SetNamespace(namespace)
	}
	return o
}

// inRelease is an object as the chart's release has it.
func inRelease(o kube.Object) kube.Object { return placed(serving.Namespace, o) }

// ApplyApps applies every object of the manifests that is not the Gateway API's. AwaitApps waits for what they run.
func (s *objectSteps) ApplyApps(ctx context.Context) error {
	return s.run.Part("apps", func(step *ui.Step) (result.Result, string, error) {
		if err := s.ground.Services(ctx, step.Report); err != nil {
			return "", "", err
		}
		client, err := s.kube()
		if err != nil {
			return "", "", err
		}
		outdated, err := s.outdated(ctx, client, s.inputs.apps)
		if err != nil {
			return "", "", err
		}
		changes, err := s.apply(ctx, s.inputs.apps, nil, step)
		if err != nil {
			return "", "", err
		}
		s.applied = changes
		if err := s.sayAlwaysPulled(ctx, client, changes); err != nil {
			return "", "", err
		}
		restarted, err := s.restart(ctx, client, outdated)
		if err != nil {
			return "", "", err
		}
		res, detail := summarize(changes)
		if len(restarted) > 0 {
			if res == result.Unchanged {
				detail = ""
			}
			res, detail = result.Of(res, result.Updated), strings.TrimPrefix(detail+", "+restarts(restarted), ", ")
		}
		return res, detail, nil
	})
}

// sayAlwaysPulled names those of the workloads that have changed whose image is of this machine, and which do not use the copy that the nodes have of it.
// The manifest does not say that: a workload keeps the pull policy that it got by default with another tag.
func (s *objectSteps) sayAlwaysPulled(ctx context.Context, client *kube.Client, changes []kube.Change) error {
	var changed []kube.Object
	for _, change := range changes {
		if s.images != nil && change.Result != result.Unchanged && slices.ContainsFunc(kube.Images([]kube.Object{change.Object}), s.images.Unpushed) {
			changed = append(changed, change.Object)
		}
	}
	live, err := client.Live(ctx, changed)
	if err != nil {
		return err
	}
	for _, object := range live {
		if object == nil {
			continue
		}
		for ref, names := range kube.AlwaysPulled([]kube.Object{{Unstructured: object}}) {
			if s.images.Unpushed(ref) {
				s.run.Note(fmt.Sprintf("%s: image %s was built or loaded on this machine, and its pull policy is Always (the default for the tag latest and for none): "+
					"the node asks a registry for it, and does not use the copy. If none has it, set imagePullPolicy: IfNotPresent, or use another tag.",
					strings.Join(names, ", "), ref))
			}
		}
	}
	return nil
}

// apply applies objects beside others that the run has applied before.
func (s *objectSteps) apply(ctx context.Context, objects, beside []kube.Object, step *ui.Step) ([]kube.Change, error) {
	client, err := s.kube()
	if err != nil {
		return nil, err
	}
	changes, err := rollout.Apply(ctx, client, objects, beside, step.Report)
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
func (s *objectSteps) AwaitApps(ctx context.Context) error {
	return s.run.Step("apps", func(step *ui.Step) (result.Result, string, error) {
		client, err := s.kube()
		if err != nil {
			return "", "", err
		}
		if err := awaitRollout(ctx, client, slices.Clone(s.inputs.apps), "default", step.Report); err != nil {
			return "", "", err
		}
		return "", "", rollout.StillThere(ctx, client, s.applied)
	})
}

// StayUp looks at the workloads of the manifests once more, after all else: a container that nobody probes counts as up when it has run for a
// while, and may have ended since. It says nothing where all are up, and waits for what is not.
func (s *objectSteps) StayUp(ctx context.Context) error {
	client, err := s.kube()
	if err != nil {
		return s.run.Failed("apps", "", err)
	}
	if err := s.settleImages(ctx); err != nil {
		return s.run.Failed("images", "", err)
	}
	if up, err := rollout.AreUp(ctx, client, s.inputs.apps); up && err == nil {
		return nil
	}
	return s.run.Step("apps", func(step *ui.Step) (result.Result, string, error) {
		return result.Unchanged, "up again", awaitRollout(ctx, client, slices.Clone(s.inputs.apps), "default", step.Report)
	})
}

// ApplyRoutes applies every Gateway API object of the manifests. Await waits until they are served.
func (s *objectSteps) ApplyRoutes(ctx context.Context) error {
	return s.run.Part("routes", func(step *ui.Step) (result.Result, string, error) {
		changes, err := s.apply(ctx, s.inputs.routes, s.inputs.apps, step)
		if err != nil {
			return "", "", err
		}
		res, detail := summarize(changes)
		return res, detail, nil
	})
}

// restarts says which workloads were restarted, and why.
func restarts(restarted []rollout.Outdated) string {
	var all []string
	for _, o := range restarted {
		all = append(all, fmt.Sprintf("restarted %s (%s)", o.Object.Name(), o.Why()))
	}
	return strings.Join(all, ", ")
}

// summarize says in a few words which of the changes made a step more than unchanged.
func summarize(changes []kube.Change) (result.Result, string) {
	var results []result.Result
	var names []string
	for _, change := range changes {
		results = append(results, change.Result)
		if change.Result != result.Unchanged {
			names = append(names, fmt.Sprintf("%s %s", change.Result, change.Object.Name()))
		}
	}
	sum := result.Of(results...)
	if sum == result.Created || sum == result.Unchanged {
		return sum, count(len(changes), "object")
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("and %d more", more))
	}
	return sum, strings.Join(names, ", ")
}
