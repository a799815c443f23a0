package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/proof"
)

// Status prints what there is, and changes nothing.
func (d *Demo) Status(ctx context.Context) error {
	observation, err := d.cluster.Observe(d.run)
	if err != nil {
		return d.failed("status", "", err)
	}
	rows := [][]string{{"WHAT", "NAME", "STATE"}}
	row := func(what, name, state string) { rows = append(rows, []string{what, name, state}) }
	row("cluster", d.config.Cluster, string(observation.State)+differs(observation))
	if observation.State == cluster.Ready {
		d.cluster.Attach(d.run)
		info := observation.Node.Status.NodeInfo
		row("node", observation.Node.Name, fmt.Sprintf("Kubernetes %s, %s", info.KubeletVersion, info.ContainerRuntimeVersion))
		if err := d.statusOfContents(row); err != nil {
			return d.failed("status", "", err)
		}
	}
	for _, r := range rows[1:] {
		d.ui.Object(map[string]string{"what": r[0], "name": r[1], "state": r[2]})
	}
	d.ui.Table(rows)
	return nil
}

func differs(observation cluster.Observation) string {
	if observation.Foreign != nil {
		return ": " + observation.Foreign.Found
	}
	if len(observation.Differences) == 0 {
		return ""
	}
	return ", but " + strings.Join(observation.Differences, "; ")
}

func (d *Demo) statusOfContents(row func(what, name, state string)) error {
	cfg, err := d.cluster.API(d.run)
	if err != nil {
		return err
	}
	stored, err := d.helm().Stored(cfg)
	switch {
	case err != nil:
		return err
	case stored == nil:
		row("release", serving.Namespace+"/"+serving.Release, "not installed")
	default:
		row("release", serving.Namespace+"/"+serving.Release, stored.Status+": "+describe(stored))
	}
	client, err := d.kube()
	if err != nil {
		return err
	}
	definition, err := client.Get(d.run, crdKind, "", "httproutes."+crds.Group)
	if err != nil {
		return err
	}
	if definition == nil {
		row("crds", "Gateway API", "not installed")
		return d.statusOfPods(row)
	}
	bundle, _ := crds.BundleOf(definition)
	row("crds", "Gateway API", bundle.String())
	s, err := proof.Take(d.run, client)
	if err != nil {
		return err
	}
	promises := slices.DeleteFunc(append(d.proof.Conditions(s), d.proof.Requests(s)...), func(p proof.Promise) bool { return p.Control })
	for i, finding := range proof.JudgeAll(d.run, promises, nil) {
		row(promises[i].ID.Kind, promises[i].ID.Path(), finding.Found)
	}
	return d.statusOfPods(row)
}

// statusOfPods lists the pods in the namespaces of the manifests and of Traefik.
func (d *Demo) statusOfPods(row func(what, name, state string)) error {
	client, err := d.kube()
	if err != nil {
		return err
	}
	s, err := proof.Pods(d.run, client)
	if err != nil {
		return err
	}
	ours := map[string]bool{serving.Namespace: true}
	for _, object := range d.inputs.apps {
		ours[object.GetNamespace()] = true
	}
	for _, pod := range s.Pods {
		if !ours[pod.Namespace] {
			continue
		}
		ready, restarts := 0, int32(0)
		for _, status := range pod.Status.ContainerStatuses {
			restarts += status.RestartCount
			if status.Ready {
				ready++
			}
		}
		state := fmt.Sprintf("%s, %d/%d ready", pod.Status.Phase, ready, len(pod.Spec.Containers))
		if restarts > 0 {
			state += fmt.Sprintf(", %d restarts", restarts)
		}
		row("pod", pod.Namespace+"/"+pod.Name, state)
	}
	return nil
}

// Summary ends a successful up: where to go, and what took how long.
func (d *Demo) Summary() {
	d.ui.Waterfall()
	lines := []string{"", "Open:"}
	for _, request := range d.proof.Planned() {
		if request.Method == "GET" && len(request.Header) == 0 && request.Unproven == "" {
			lines = append(lines, "  "+d.proof.Open(request))
		}
	}
	if len(lines) > 22 {
		lines = append(lines[:20], fmt.Sprintf("  and %d more: mage status", len(lines)-20))
	}
	d.ui.Print(lines...)
}
