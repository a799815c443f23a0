package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/traefik"
	"kindgate/magefiles/internal/ui"
)

// Begin starts to bring up the cluster, when it is this run's turn, and returns when its node runs. What follows waits for Cluster.
func (d *Demo) Begin(ctx context.Context) error {
	return d.run.Part("cluster", func(step *ui.Step) (result.Result, string, error) {
		if err := d.helm().Missing(); err != nil {
			return "", "", err
		}
		if err := d.lock(); err != nil {
			return "", "", err
		}
		d.cluster.Begin(ctx, step.Report)
		return "", "", d.cluster.Node(ctx)
	})
}

// API returns when the API server answers: all that only needs that may begin.
func (d *Demo) API(context.Context) error {
	_, err := d.kube()
	return err // told by Cluster, whose part this is
}

// Cluster returns when the cluster is complete.
func (d *Demo) Cluster(ctx context.Context) error {
	return d.run.Step("cluster", func(step *ui.Step) (result.Result, string, error) {
		res, detail, differences, err := d.cluster.Done(ctx)
		if len(differences) > 0 {
			d.ui.Note("The cluster is not as it would be made now: " + strings.Join(differences, "; ") + ".\nIt stays as it is; teardown and then up would make it anew.")
		}
		return res, detail, err
	})
}

// LoadImages copies the images of the chart and the manifests from the engine into the node.
func (d *Demo) LoadImages(ctx context.Context) error {
	return d.run.Step("images", func(step *ui.Step) (result.Result, string, error) {
		observation := d.cluster.Observation()
		rendered, err := d.renderedObjects(observation)
		if err != nil {
			return "", "", err
		}
		images := kube.Images(slices.Concat(rendered, d.inputs.apps))
		missing := cluster.MissingImages(observation.Node, images)
		if len(missing) == 0 {
			return result.Unchanged, count(len(images), "image"), nil
		}
		step.Report("copying images into the node")
		loaded, left, err := d.cluster.LoadImages(ctx, missing, step.Bytes)
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

// renderedObjects returns the chart's objects: as stored with a release that is as it should be, so that no chart is needed, or else as
// the chart renders.
func (d *Demo) renderedObjects(observation cluster.Observation) ([]kube.Object, error) {
	if observation.State == cluster.Ready {
		stored, err := d.helm().Stored(observation.REST)
		if err != nil {
			return nil, err
		}
		if ok, _, err := d.helm().UpToDate(stored); ok || err != nil {
			if err != nil {
				return nil, err
			}
			return objectsOf(stored)
		}
	}
	return d.rendered()
}

func objectsOf(release *traefik.Release) ([]kube.Object, error) {
	objects, err := kube.Decode([]byte(release.Manifest), "")
	for i := range objects {
		objects[i].Source = ""
	}
	return objects, err
}

// CRDs installs the Gateway API's definitions, unless the cluster has some that must not be replaced.
func (d *Demo) CRDs(ctx context.Context) error {
	return d.run.Step("crds", func(step *ui.Step) (result.Result, string, error) {
		files, err := crds.Files(ctx)
		if err != nil {
			return "", "", err
		}
		wanted, err := kube.ReadDir(files, "gateway-api", func(string) bool { return false })
		if err != nil {
			return "", "", err
		}
		client, err := d.kube()
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
		d.sayBefore(changes)
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

func unstructureds(objects []kube.Object) []*unstructured.Unstructured {
	all := make([]*unstructured.Unstructured, len(objects))
	for i, object := range objects {
		all[i] = object.Unstructured
	}
	return all
}

// InstallTraefik installs, upgrades or repairs the Helm release. AwaitTraefik waits for what it runs.
func (d *Demo) InstallTraefik(ctx context.Context) error {
	return d.run.Part("traefik", func(step *ui.Step) (result.Result, string, error) {
		client, err := d.kube()
		if err != nil {
			return "", "", err
		}
		cfg, err := d.cluster.API(ctx)
		if err != nil {
			return "", "", err
		}
		changes, err := client.Apply(ctx, []kube.Object{namespaceObject(serving.Namespace)})
		d.sayBefore(changes)
		if err != nil {
			return "", "", err
		}
		stored, err := d.helm().Stored(cfg)
		if err != nil {
			return "", "", err
		}
		ok, reason, err := d.helm().UpToDate(stored)
		if err != nil {
			return "", "", err
		}
		var drifted []kube.Object
		if ok {
			drifted, err = d.drifted(ctx, client, stored)
		} else {
			err = d.checkUpgrade(ctx, client, stored)
		}
		if err != nil {
			return "", "", err
		}
		plan := planRelease(stored, ok, reason, drifted)
		if plan.result == result.Unchanged {
			d.released = stored
			return result.Unchanged, describe(stored), nil
		}
		if err := d.helm().MayChange(stored, d.mayTakeOver()); err != nil {
			return "", "", err
		}
		if err := client.Delete(ctx, plan.remake); err != nil {
			return "", "", err
		}
		if err := d.cluster.Services(ctx, step.Report); err != nil {
			return "", "", err
		}
		step.Report("installing the chart")
		if d.released, err = d.helm().Reconcile(ctx, cfg, stored, d.mayTakeOver()); err != nil {
			return "", "", err
		}
		return plan.result, strings.TrimSuffix(describe(d.released)+": "+plan.reason, ": "), nil
	})
}

// drifted returns the release's objects that are not in the cluster as the chart has them.
func (d *Demo) drifted(ctx context.Context, client *kube.Client, stored *traefik.Release) ([]kube.Object, error) {
	objects, err := objectsOf(stored)
	if err != nil {
		return nil, err
	}
	if err := judgeRendering(objects); err != nil {
		return nil, err
	}
	return client.Drifted(ctx, objects, traefik.Manager)
}

// mayTakeOver tells whether a release without an owner may be upgraded: in the cluster of an earlier kindgate, that is ours.
func (d *Demo) mayTakeOver() bool { return d.config.Adopt || d.cluster.Earlier() }

func namespaceObject(name string) kube.Object {
	return kube.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}}
}

func describe(release *traefik.Release) string {
	return fmt.Sprintf("Traefik %s, chart %s, revision %d", release.AppVersion, release.ChartVersion, release.Revision)
}

// AwaitTraefik returns when Traefik's pod is ready on the node whose ports are this machine's, and these lead to it. A DaemonSet that
// somebody has kept from the node, by a field that the chart does not set, or whose pod has lost its way, is made anew.
func (d *Demo) AwaitTraefik(ctx context.Context) error {
	return d.run.Step("traefik", func(step *ui.Step) (result.Result, string, error) {
		objects, err := objectsOf(d.released)
		if err != nil {
			return "", "", err
		}
		if err := d.awaitRollout(ctx, objects, serving.Namespace, step); err != nil {
			return "", "", err
		}
		problem, err := d.dataPlane(ctx, step)
		if err != nil || !problem.Fails() {
			return "", "", err
		}
		step.Report("making Traefik's DaemonSet anew")
		if err := d.remakeTraefik(ctx, objects, step); err != nil {
			return "", "", err
		}
		still, err := d.dataPlane(ctx, step)
		if err != nil {
			return "", "", err
		}
		if still.Fails() {
			return "", "", fmt.Errorf("%s; look at: %s", still.Found, d.proof.Place.Kubectl("describe daemonset,pods -n "+serving.Namespace))
		}
		return result.Repaired, problem.Found + ": made anew", nil
	})
}

// leadsTimeout is how long the node's port may take to lead to a pod that is ready: after a restart of the node the pod's status is at first
// that of before.
const leadsTimeout = 10 * time.Second

// dataPlane finds out whether Traefik's pod is ready and the node's port leads to it.
func (d *Demo) dataPlane(ctx context.Context, step *ui.Step) (check.Finding, error) {
	take := func(ctx context.Context) (*proof.Snapshot, error) {
		client, err := d.kube()
		if err != nil {
			return nil, err
		}
		return proof.Pods(ctx, client)
	}
	promise := func(s *proof.Snapshot) []proof.Promise {
		return []proof.Promise{{Check: check.Check{ID: serving.Workload, Judge: func(ctx context.Context) check.Finding {
			return d.proof.DataPlane(ctx, s, "http")
		}}}}
	}
	giveUp := func(r proof.Round, waited time.Duration) bool {
		return r.Findings[0].Cause != proof.NotLed || waited > leadsTimeout
	}
	r, err := proof.Settle(ctx, take, promise, giveUp, step.Report)
	if err != nil {
		return check.Finding{}, err
	}
	return r.Findings[0], nil
}

func (d *Demo) remakeTraefik(ctx context.Context, objects []kube.Object, step *ui.Step) error {
	client, err := d.kube()
	if err != nil {
		return err
	}
	cfg, err := d.cluster.API(ctx)
	if err != nil {
		return err
	}
	if err := d.helm().MayChange(d.released, d.mayTakeOver()); err != nil {
		return err
	}
	workloads := slices.DeleteFunc(slices.Clone(objects), func(o kube.Object) bool { return o.GetKind() != "DaemonSet" })
	if err := client.Delete(ctx, workloads); err != nil {
		return err
	}
	if d.released, err = d.helm().Reconcile(ctx, cfg, d.released, d.mayTakeOver()); err != nil {
		return err
	}
	return d.awaitRollout(ctx, objects, serving.Namespace, step)
}

// awaitRollout waits for the workloads among objects. Those of a chart have the release's namespace where they name none.
func (d *Demo) awaitRollout(ctx context.Context, objects []kube.Object, inNamespace string, step *ui.Step) error {
	client, err := d.kube()
	if err != nil {
		return err
	}
	for i := range objects {
		if objects[i].GetNamespace() == "" {
			objects[i] = kube.Object{Unstructured: objects[i].DeepCopy(), Source: objects[i].Source}
			objects[i].SetNamespace(inNamespace)
		}
	}
	return client.WaitReady(ctx, objects, patience, step.Report)
}

// ApplyApps applies every object of the manifests that is not the Gateway API's. AwaitApps waits for what they run.
func (d *Demo) ApplyApps(ctx context.Context) error {
	return d.run.Part("apps", func(step *ui.Step) (result.Result, string, error) {
		if err := d.cluster.Services(ctx, step.Report); err != nil {
			return "", "", err
		}
		changes, err := d.apply(ctx, d.inputs.apps, step)
		if err != nil {
			return "", "", err
		}
		d.applied = changes
		res, detail := summarize(changes)
		return res, detail, nil
	})
}

func (d *Demo) apply(ctx context.Context, objects []kube.Object, step *ui.Step) ([]kube.Change, error) {
	client, err := d.kube()
	if err != nil {
		return nil, err
	}
	changes, err := client.ApplyInTurn(ctx, objects, patience, step.Report)
	d.sayBefore(changes)
	return changes, err
}

// sayBefore names the objects that kindgate has not made, and keeps from now on.
func (d *Demo) sayBefore(changes []kube.Change) {
	for _, change := range changes {
		if change.Before != nil {
			d.ui.Note(fmt.Sprintf("%s was there before (%s); from now on it is kept as its manifest has it.",
				change.Object.Name(), cmp.Or(strings.Join(change.Before, ", "), "written by nobody known")))
		}
	}
}

// AwaitApps returns when every workload of the manifests is up, and all that was created is still there.
func (d *Demo) AwaitApps(ctx context.Context) error {
	return d.run.Step("apps", func(step *ui.Step) (result.Result, string, error) {
		if err := d.awaitRollout(ctx, slices.Clone(d.inputs.apps), "default", step); err != nil {
			return "", "", err
		}
		client, err := d.kube()
		if err != nil {
			return "", "", err
		}
		return "", "", client.StillThere(ctx, d.applied)
	})
}

// ApplyRoutes applies every Gateway API object of the manifests. AwaitRoutes waits until they are served.
func (d *Demo) ApplyRoutes(ctx context.Context) error {
	return d.run.Part("routes", func(step *ui.Step) (result.Result, string, error) {
		changes, err := d.apply(ctx, d.inputs.routes, step)
		if err != nil {
			return "", "", err
		}
		res, detail := summarize(changes)
		return res, detail, nil
	})
}

// AwaitRoutes returns when every route is accepted and its requests are answered as they should be.
func (d *Demo) AwaitRoutes(ctx context.Context) error {
	return d.run.Step("routes", func(step *ui.Step) (result.Result, string, error) { return "", "", d.awaitServed(ctx, step) })
}

// Hosts sees to it that every hostname leads to this machine, as far as that harms nobody. Where the system's resolver does not know a
// name, the hosts file must; a user who may not write it is told how.
func (d *Demo) Hosts(ctx context.Context) error {
	return d.run.Step("hosts", func(*ui.Step) (result.Result, string, error) { return d.names.converge(ctx, d.lock) })
}
