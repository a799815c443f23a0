package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/traefik"
	"kindgate/magefiles/internal/ui"
)

// A helmRelease is the implementation's Helm release, and what is done until its data plane serves.
type helmRelease struct {
	*chart
	stored *traefik.Release // after Install
}

// A chart is what the implementation's chart renders, and what is wrong with that.
type chart struct {
	*session
	rendered func() ([]kube.Object, error) // once
}

// Install installs, upgrades or repairs the release. Await waits for what it runs.
func (r *helmRelease) Install(ctx context.Context) error {
	return r.run.Part("traefik", func(step *ui.Step) (result.Result, string, error) { return r.install(ctx, step.Report) })
}

// Await returns when Traefik's pod is ready on the node whose ports are this machine's, and these lead to it.
func (r *helmRelease) Await(ctx context.Context) error {
	return r.run.Step("traefik", func(step *ui.Step) (result.Result, string, error) { return r.await(ctx, step.Report) })
}

// mayTakeOver tells whether a release that kindgate has not installed may be changed. In the cluster of an earlier kindgate, one without an
// owner is ours.
func (r *helmRelease) mayTakeOver() bool { return r.config.Adopt || r.ground.Earlier() }

func (r *chart) render() ([]kube.Object, error) {
	manifest, err := r.helm().Rendered(cluster.KubernetesVersion(r.config.NodeImage))
	if err != nil {
		return nil, err
	}
	return chartObjects(manifest)
}

// check finds what is wrong with the chart and its values before there is a cluster. A chart that is not at hand is fetched.
func (r *chart) check() error {
	objects, err := r.rendered()
	if err != nil {
		return err
	}
	return errors.Join(judgeRendering(r.config.valuesPath(), objects), r.missing(objects, hasNothing))
}

// missing returns what the chart's objects need that neither the manifests nor the cluster have; has tells whether the cluster has an object's
// kind.
func (r *chart) missing(objects []kube.Object, has func(kube.Object) (bool, error)) error {
	return errors.Join(r.missingKinds(objects, has), r.missingProviders(objects, has))
}

// hasNothing is of a cluster that is not there.
func hasNothing(kube.Object) (bool, error) { return false, nil }

// checkUpgrade finds what is wrong with the chart and its values before they take the place of the stored release, nil for none, and says
// what the upgrade removes.
func (r *helmRelease) checkUpgrade(ctx context.Context, client *kube.Client, stored *traefik.Release) error {
	objects, err := r.rendered()
	if err != nil {
		return err
	}
	has := func(o kube.Object) (bool, error) { return client.Has(ctx, o.GroupVersionKind()) }
	err = errors.Join(judgeRendering(r.config.valuesPath(), objects), r.missing(objects, has))
	if err != nil {
		return err
	}
	if stored == nil {
		if err := r.alone(ctx, client); err != nil {
			return err
		}
		return r.sayTakenOver(ctx, client, slices.Clone(objects)) // nothing runs that could be lost, and the nodes may still be joining
	}
	nodes, err := client.List(ctx, nodeKind, "")
	if err != nil {
		return err
	}
	if err := cmp.Or(judgePlaces(r.config.valuesPath(), objects, nodes), judgeDoor(r.config.valuesPath(), objects, nodes, r.door())); err != nil {
		return err
	}
	before, err := objectsOf(stored)
	if err != nil {
		return err
	}
	used, err := client.List(ctx, proof.GatewayKind, "")
	if err != nil {
		return err
	}
	gone := removed(before, objects)
	if err := errors.Join(r.judgeRemoval(gone, used), r.judgeServing(before, objects, used, r.door())); err != nil {
		return err
	}
	if len(gone) == 0 {
		return nil
	}
	if err := checkDeletion(ctx, client, gone); err != nil {
		return err
	}
	var names []string
	for _, o := range gone {
		names = append(names, o.Name())
	}
	r.run.Note("The upgrade of Helm release " + serving.Namespace + "/" + serving.Release + " removes " + strings.Join(names, ", ") + ".")
	return nil
}

// checkDeletion is judgeDeletion of the release's objects as they are in the cluster now.
func checkDeletion(ctx context.Context, client *kube.Client, doomed []kube.Object) error {
	doomed = allInRelease(doomed)
	live, err := client.Live(ctx, doomed)
	if err != nil {
		return err
	}
	return judgeDeletion(doomed, live)
}

// pullImages has the node with the ports pull the images that an upgrade of the stored release, nil for none, needs: a DaemonSet's pod is
// stopped before the new one is started. It refuses those that no registry has.
func (r *helmRelease) pullImages(ctx context.Context, stored *traefik.Release) error {
	if stored == nil || r.door() == "" {
		return nil
	}
	before, err := objectsOf(stored)
	if err != nil {
		return err
	}
	objects, err := r.rendered()
	if err != nil {
		return err
	}
	for _, image := range newImages(before, objects) {
		if err := r.cluster.Pull(ctx, r.door(), image); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s: with these values %s cannot start again: the node %s cannot have image %s: %w", r.config.valuesPath(), serving.Name, r.door(), image, err)
		}
	}
	return nil
}

// alone returns an error where somebody else's release of the implementation serves the cluster of a context.
func (r *helmRelease) alone(ctx context.Context, client *kube.Client) error {
	known, err := client.Known(proof.ClassKind)
	if err != nil || !known || r.config.Context == "" || r.config.Adopt {
		return err
	}
	classes, err := client.List(ctx, proof.ClassKind, "")
	if err != nil {
		return err
	}
	return judgeOthers(classes)
}

// sayTakenOver names the objects that Helm takes over, as they are there without a release and say that they are of one of this name: only its
// record was lost. Helm refuses the rest. It is an error where no Helm has written such an object, and somebody has set a field to another
// value than the chart.
func (r *helmRelease) sayTakenOver(ctx context.Context, client *kube.Client, objects []kube.Object) error {
	for i := range objects {
		objects[i] = inRelease(objects[i])
	}
	live, err := client.Live(ctx, objects)
	if err != nil {
		return err
	}
	var conflicts []error
	for i, o := range objects {
		if live[i] != nil && !ofRelease(live[i]) {
			conflicts = append(conflicts, fmt.Errorf("%s is there, and is not of Helm release %s/%s: Helm would refuse to install over it. Name it otherwise in %s, or take it out of the cluster",
				o.Name(), serving.Namespace, serving.Release, r.config.valuesPath()))
		} else if ofRelease(live[i]) && !r.mayTakeOver() && !kube.WrittenBy(live[i], traefik.Manager) {
			conflicts = append(conflicts, kube.Conflict(ctx, client, o, live[i]))
		}
	}
	if err := errors.Join(conflicts...); err != nil {
		return err
	}
	if names := takenOver(objects, live); len(names) > 0 {
		r.run.Note("There before Helm release " + serving.Namespace + "/" + serving.Release + ", and a part of it from now on: " + strings.Join(names, ", ") + ".")
	}
	return nil
}

// objects returns the chart's objects: as stored with a release that is as it should be, so that no chart is needed, or else as
// the chart renders.
func (r *helmRelease) objects(observation cluster.Observation) ([]kube.Object, error) {
	if observation.State == cluster.Ready {
		stored, err := r.helm().Stored(observation.REST)
		if err != nil {
			return nil, err
		}
		if ok, _, err := r.helm().UpToDate(stored); ok || err != nil {
			if err != nil {
				return nil, err
			}
			return objectsOf(stored)
		}
	}
	return r.rendered()
}

func objectsOf(release *traefik.Release) ([]kube.Object, error) {
	return chartObjects(release.Manifest)
}

// chartObjects reads what a chart renders: it has no lines in a file of the user's.
func chartObjects(manifest string) ([]kube.Object, error) {
	objects, err := kube.Decode([]byte(manifest), "")
	for i := range objects {
		objects[i].Source = ""
	}
	return objects, err
}

// install installs, upgrades or repairs the release. await waits for what it runs.
func (r *helmRelease) install(ctx context.Context, report func(string)) (result.Result, string, error) {
	client, err := r.kube()
	if err != nil {
		return "", "", err
	}
	cfg, err := r.ground.API(ctx)
	if err != nil {
		return "", "", err
	}
	changes, err := client.Apply(ctx, []kube.Object{namespaceObject(serving.Namespace)})
	sayChanges(r.ui.Note, changes)
	if err != nil {
		return "", "", err
	}
	stored, plan, err := r.decide(ctx, client, cfg)
	if err != nil {
		return "", "", err
	}
	if plan.result == result.Unchanged {
		r.stored = stored
		return r.restartOutdated(ctx, client)
	}
	if err := r.pullImages(ctx, stored); err != nil {
		return "", "", err
	}
	if err := r.record(ctx, stored); err != nil {
		return "", "", err
	}
	for _, o := range plan.restore {
		err := client.Restore(ctx, o, traefik.Manager)
		if errors.As(err, new(*kube.FixedError)) && o.GroupVersionKind().Group == crds.Group { // with which nothing else goes
			err = client.Delete(ctx, []kube.Object{o})
		}
		if err != nil {
			return "", "", err
		}
	}
	if err := r.ground.Services(ctx, report); err != nil {
		return "", "", err
	}
	report("installing the chart")
	if r.stored, err = r.helm().Reconcile(ctx, cfg, stored, r.mayTakeOver()); err != nil {
		return "", "", err
	}
	return plan.result, strings.TrimSuffix(describe(r.stored)+": "+plan.reason, ": "), nil
}

// restartOutdated restarts the workloads of a release that is as it should be of which an image was rebuilt.
func (r *helmRelease) restartOutdated(ctx context.Context, client *kube.Client) (result.Result, string, error) {
	objects, err := objectsOf(r.stored)
	if err != nil {
		return "", "", err
	}
	outdated, err := r.outdated(ctx, client, allInRelease(objects))
	if err != nil {
		return "", "", err
	}
	restarted, err := r.restart(ctx, client, outdated)
	if err != nil || len(restarted) == 0 {
		return result.Unchanged, describe(r.stored), err
	}
	return result.Updated, describe(r.stored) + ": " + restarts(restarted), nil
}

// decide finds out what is to be done about the release, and changes nothing. It returns the stored one, nil for none. The error is that it may
// not be done.
func (r *helmRelease) decide(ctx context.Context, client *kube.Client, cfg *rest.Config) (*traefik.Release, releasePlan, error) {
	stored, err := r.helm().Stored(cfg)
	if err != nil {
		return nil, releasePlan{}, err
	}
	ok, reason, err := r.helm().UpToDate(stored)
	if err != nil {
		return nil, releasePlan{}, err
	}
	var drifted []kube.Object
	if ok {
		drifted, err = r.drifted(ctx, client, stored)
	} else {
		err = r.checkUpgrade(ctx, client, stored)
	}
	if err != nil {
		return nil, releasePlan{}, err
	}
	plan := planRelease(stored, ok, reason, drifted)
	if plan.result != result.Unchanged {
		err = cmp.Or(r.helm().MayChange(stored, r.mayTakeOver()), r.checkOverwriting(ctx, client, stored))
	}
	return stored, plan, err
}

// checkOverwriting is judgeOverwriting of the stored release, nil for none, unless what others have made may be taken over.
func (r *helmRelease) checkOverwriting(ctx context.Context, client *kube.Client, stored *traefik.Release) error {
	if stored == nil || r.config.Adopt {
		return nil
	}
	objects, err := objectsOf(stored)
	if err != nil {
		return err
	}
	objects = allInRelease(objects)
	live, err := client.Live(ctx, objects)
	if err != nil {
		return err
	}
	return judgeOverwriting(objects, live)
}

// record puts the release into the inventory before it is installed, or taken over.
func (r *helmRelease) record(ctx context.Context, stored *traefik.Release) error {
	if stored != nil && stored.Ours {
		return nil
	}
	store, err := r.inventory()
	if err != nil {
		return err
	}
	return store.Record(ctx, []kube.First{{Object: releaseEntry.Object(), Before: stored != nil}})
}

// releaseEntry is the Helm release in the inventory. What it consists of, Helm records.
var releaseEntry = inventory.Entry{Kind: schema.GroupVersionKind{Group: "helm.sh", Version: "v3", Kind: "Release"}, Namespace: serving.Namespace, Name: serving.Release}

// drifted returns the release's objects that are not in the cluster as the chart has them.
func (r *helmRelease) drifted(ctx context.Context, client *kube.Client, stored *traefik.Release) ([]kube.Object, error) {
	objects, err := objectsOf(stored)
	if err != nil {
		return nil, err
	}
	if err := judgeRendering(r.config.valuesPath(), objects); err != nil {
		return nil, err
	}
	return client.Drifted(ctx, objects, traefik.Manager)
}

func namespaceObject(name string) kube.Object {
	return kube.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}}
}

func describe(release *traefik.Release) string {
	return fmt.Sprintf("Traefik %s, chart %s, revision %d", release.AppVersion, release.ChartVersion, release.Revision)
}

// await returns when Traefik's pod is ready on the node whose ports are this machine's, and these lead to it. A workload that
// somebody has kept from the node, by a field that the chart does not set, or whose pod has lost its way, is made anew.
func (r *helmRelease) await(ctx context.Context, report func(string)) (result.Result, string, error) {
	client, err := r.kube()
	if err != nil {
		return "", "", err
	}
	objects, err := objectsOf(r.stored)
	if err != nil {
		return "", "", err
	}
	if err := awaitRollout(ctx, client, objects, serving.Namespace, report); err != nil {
		return "", "", err
	}
	if r.door() == "" { // no port of a node leads to it
		return "", "", r.sayPending(ctx, client, objects)
	}
	problem, err := r.dataPlane(ctx, report)
	if err != nil || !problem.Fails() {
		return "", "", err
	}
	if problem.Verdict == check.Pending { // a pod that is under way would only be in the way of a new one
		return "", "", fmt.Errorf("%s; look at: %s", problem.Found, r.proof.Place.Kubectl("describe pods -n "+serving.Namespace))
	}
	nodes, err := client.List(ctx, nodeKind, "")
	if err != nil {
		return "", "", err
	}
	if err := judgeDoor(r.config.valuesPath(), objects, nodes, r.door()); err != nil {
		return "", "", err
	}
	report("making Traefik's " + r.proof.Workload.Kind + " anew")
	if err := r.remake(ctx, objects, report); err != nil {
		return "", "", err
	}
	still, err := r.dataPlane(ctx, report)
	if err != nil {
		return "", "", err
	}
	if still.Fails() {
		return "", "", fmt.Errorf("%s; look at: %s", still.Found, r.proof.Place.Kubectl("describe "+strings.ToLower(r.proof.Workload.Kind)+",pods -n "+serving.Namespace))
	}
	return result.Repaired, problem.Found + ": made anew", nil
}

// sayPending names the Services of the release whose load balancer has no address.
func (r *helmRelease) sayPending(ctx context.Context, client *kube.Client, objects []kube.Object) error {
	services := slices.DeleteFunc(slices.Clone(objects), func(o kube.Object) bool { return o.GetKind() != "Service" })
	for i := range services {
		services[i] = inRelease(services[i])
	}
	live, err := client.Live(ctx, services)
	if err != nil {
		return err
	}
	for i, o := range services {
		if pendingBalancer(live[i]) {
			r.run.Note(o.Name() + " is of type LoadBalancer, and its address is pending: the cluster may have no controller that gives one. Its node ports lead to Traefik; " +
				"service.type: NodePort in " + r.config.valuesPath() + " asks for no more.")
		}
	}
	return nil
}

// dataPlane finds out whether Traefik's pod is ready and the node's port leads to it.
func (r *helmRelease) dataPlane(ctx context.Context, report func(string)) (check.Finding, error) {
	take := func(ctx context.Context) (*proof.Snapshot, error) {
		client, err := r.kube()
		if err != nil {
			return nil, err
		}
		return proof.Pods(ctx, client)
	}
	promise := func(s *proof.Snapshot) []proof.Promise {
		return []proof.Promise{{Check: check.Check{ID: r.proof.Workload, Judge: func(ctx context.Context) check.Finding {
			return r.proof.DataPlane(ctx, s, "http")
		}}}}
	}
	giveUp := func(last proof.Round, waited time.Duration) bool { return stays(last.Findings[0], waited) }
	last, err := proof.Settle(ctx, take, promise, giveUp, report)
	if err != nil {
		return check.Finding{}, err
	}
	return last.Findings[0], nil
}

// stays tells whether what was found of the data plane is no more what it was before the node stopped.
func stays(finding check.Finding, waited time.Duration) bool {
	switch {
	case finding.Verdict == check.Pending:
		return waited > limits.PodReturns
	case finding.Cause == proof.NotLed:
		return waited > limits.PortLeads
	}
	return true
}

// door is the node whose ports are this machine's.
func (r *helmRelease) door() string { return r.proof.Place.Node(r.config.HTTPPort) }

func (r *helmRelease) remake(ctx context.Context, objects []kube.Object, report func(string)) error {
	client, err := r.kube()
	if err != nil {
		return err
	}
	cfg, err := r.ground.API(ctx)
	if err != nil {
		return err
	}
	if err := r.helm().MayChange(r.stored, r.mayTakeOver()); err != nil {
		return err
	}
	dataPlane := slices.DeleteFunc(slices.Clone(objects), func(o kube.Object) bool { return !runsPods(o) || o.GetName() != serving.Workload.Name })
	if err := client.Delete(ctx, dataPlane); err != nil {
		return err
	}
	if r.stored, err = r.helm().Reconcile(ctx, cfg, r.stored, r.mayTakeOver()); err != nil {
		return err
	}
	return awaitRollout(ctx, client, objects, serving.Namespace, report)
}
