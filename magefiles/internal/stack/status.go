package stack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/traefik"
)

// A view is what status shows.
type view struct {
	name        string // the cluster's
	context     string // of an existing one; then the promises are all there is
	observation cluster.Observation
	release     *traefik.Release
	bundle      string // of the Gateway API; empty where it is not installed
	promises    []proof.Promise
	findings    []check.Finding
	drawing     drawing.Drawing // of the promises,
	others      []proof.Promise // and those that are not in it
	pods        []corev1.Pod
	authority   string
	brief       bool // of many promises, those that do not fail are summed up
}

// Status prints what there is, and changes nothing.
func (e *examiner) Status(ctx context.Context) error {
	v, err := e.look(ctx)
	if err != nil {
		return e.run.Failed("status", "", err)
	}
	facts := authorityFacts()
	if v.authority = facts.Found(); facts.Err != nil {
		v.authority = facts.Err.Error()
	}
	for _, r := range v.rows() {
		e.ui.Object(statusLine{strings.TrimSpace(r[0]), r[1], r[2]})
	}
	v.brief = len(v.promises) > mostLines
	rows := v.rows()
	e.ui.Table(append([][]string{{"WHAT", "NAME", "STATE"}}, rows...))
	return nil
}

// look reads what status shows.
func (e *examiner) look(ctx context.Context) (v view, err error) {
	if e.config.Context != "" {
		return e.lookAtExisting(ctx)
	}
	v.name = e.config.Cluster
	if v.observation, err = e.cluster.Observe(ctx); err != nil || v.observation.State != cluster.Ready {
		return v, err
	}
	e.cluster.Attach(ctx)
	cfg, err := e.cluster.API(ctx)
	if err != nil {
		return v, err
	}
	if v.release, err = e.helm().Stored(cfg); err != nil {
		return v, err
	}
	client, err := e.kube()
	if err != nil {
		return v, err
	}
	definition, err := client.Get(ctx, crdKind, "", "httproutes."+crds.Group)
	if err != nil {
		return v, err
	}
	read := proof.Pods
	if definition != nil {
		bundle, _ := crds.BundleOf(definition)
		v.bundle, read = bundle.String(), proof.Take
	}
	snapshot, err := read(ctx, client)
	if err != nil {
		return v, err
	}
	ours := e.inputs.ownNamespaces()
	v.pods = slices.DeleteFunc(slices.Clone(snapshot.Pods), func(pod corev1.Pod) bool { return !ours[pod.Namespace] })
	if definition != nil {
		v.promises = slices.DeleteFunc(append(e.proof.Conditions(snapshot), e.proof.Requests(snapshot)...), func(p proof.Promise) bool { return p.Control })
		v.judge(ctx, e.proof, snapshot)
	}
	return v, nil
}

// lookAtExisting reads what status shows of an existing cluster.
func (e *examiner) lookAtExisting(ctx context.Context) (v view, err error) {
	of, err := e.routes.survey(ctx, false)
	if err != nil {
		return v, err
	}
	defer of.close()
	snapshot, err := of.take(ctx)
	if err != nil {
		return v, err
	}
	e.routes.sayExisting(of)
	e.routes.sayPlan(of)
	v.context = e.config.Context
	v.promises = of.conditions.Conditions(snapshot)
	for _, p := range of.requests {
		v.promises = append(v.promises, p.Requests(snapshot)...)
	}
	v.judge(ctx, of.conditions, snapshot)
	return v, nil
}

// judge judges the promises, and draws them.
func (v *view) judge(ctx context.Context, by *proof.Proof, snapshot *proof.Snapshot) {
	v.findings = proof.JudgeAll(ctx, v.promises, nil)
	v.others = by.Draw(&v.drawing, snapshot, v.promises, v.found)
}

// found is what was found of one of the promises.
func (v *view) found(promise proof.Promise) check.Finding {
	return v.findings[slices.IndexFunc(v.promises, func(p proof.Promise) bool { return p.ID == promise.ID })]
}

// ownNamespaces are those of the manifests and of the implementation.
func (in *inputs) ownNamespaces() map[string]bool {
	ours := map[string]bool{serving.Namespace: true}
	for _, object := range in.apps {
		ours[object.GetNamespace()] = true
	}
	return ours
}

// promised are a row for each promise: what it is about, and what was found. They are grouped by Gateway, listener and route; of many, those that
// fail are shown alone.
func (v view) promised() [][]string {
	var rows [][]string
	if !v.brief && len(v.drawing.Nodes) > 0 {
		for _, promise := range v.others {
			rows = append(rows, []string{promise.ID.Kind, cmp.Or(promise.Title, promise.ID.Path()), v.found(promise).Found})
		}
		v.drawing.Walk(func(depth int, n drawing.Node) {
			if n.What != drawing.Service {
				rows = append(rows, []string{strings.Repeat("  ", depth) + n.What, n.Name, n.Found})
			}
		})
		return rows
	}
	shown := summary{whole: !v.brief}
	for i, promise := range v.promises {
		if f := v.findings[i]; !f.Fails() && !shown.shows(promise.ID.Kind, f) {
			continue
		}
		name := promise.ID.Path()
		if promise.Request != nil {
			name = promise.String()
		}
		rows = append(rows, []string{promise.ID.Kind, name, v.findings[i].Found})
	}
	for _, more := range shown.rest() {
		rows = append(rows, []string{more.ID.Kind, "", more.Found})
	}
	return rows
}

// rows are what there is, its name, and its state.
func (v view) rows() [][]string {
	if v.context != "" {
		return append([][]string{{"context", v.context, "only read"}}, v.promised()...)
	}
	state := v.observation.String()
	switch {
	case v.observation.Foreign != nil:
		state += ": " + v.observation.Foreign.Found
	case len(v.observation.Differences) > 0:
		state += ", but " + strings.Join(v.observation.Differences, "; ")
	}
	rows := [][]string{{"cluster", v.name, state}}
	if v.authority != "" {
		rows = append(rows, []string{"authority", "of this user", v.authority})
	}
	if v.observation.State != cluster.Ready {
		return rows
	}
	for _, node := range v.observation.Nodes() {
		info := node.Status.NodeInfo
		state := fmt.Sprintf("Kubernetes %s, %s", info.KubeletVersion, info.ContainerRuntimeVersion)
		ready := cluster.ReadyCondition(&node)
		switch down := v.observation.StateOf(node.Name); {
		case down != "":
			state = down
		case ready != nil && ready.Status != corev1.ConditionTrue:
			state += ", not Ready: " + ready.Message
		}
		rows = append(rows, []string{"node", node.Name, state})
	}
	release := "not installed"
	if v.release != nil {
		release = v.release.Status + ": " + describe(v.release)
	}
	rows = append(rows, []string{"release", serving.Namespace + "/" + serving.Release, release},
		[]string{"crds", "Gateway API", cmp.Or(v.bundle, "not installed")})
	rows = append(rows, v.promised()...)
	for _, pod := range v.pods {
		ready, restarts := 0, int32(0)
		for _, status := range pod.Status.ContainerStatuses {
			restarts += status.RestartCount
			if status.Ready {
				ready++
			}
		}
		state := fmt.Sprintf("%s, %d/%d ready", pod.Status.Phase, ready, len(pod.Spec.Containers))
		if restarts > 0 {
			state += ", " + count(int(restarts), "restart")
		}
		rows = append(rows, []string{"pod", pod.Namespace + "/" + pod.Name, state})
	}
	return rows
}
