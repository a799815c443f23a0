package demo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/mod/semver"
	corev1 "k8s.io/api/core/v1"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/machine"
	"kindgate/magefiles/internal/ui"
)

// What the stack needs, as measured with one node, Traefik and four whoami pods; below the first is an error, below the second a warning.
const (
	leastMemory, goodMemory = 1 << 30, 2 << 30
	leastDisk, goodDisk     = 1 << 30, 5 << 30
	goodCPUs                = 2
	// kind's, see https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files.
	goodWatches, goodInstances = 524288, 512
)

// Doctor looks at all that a run depends on, before it runs, and changes nothing. Its error says how many things are in the way.
func (d *Demo) Doctor(context.Context) error {
	errorsFound := 0
	say := func(level ui.Level, what, found, remedy string) {
		if level == ui.Error {
			errorsFound++
		}
		d.ui.Check(level, what, found, remedy)
	}
	if err := d.Ready(); err != nil {
		say(ui.Error, "files", "", err.Error())
	}
	d.checkMachine(say)
	observation, err := d.cluster.Observe(d.run)
	if err != nil {
		say(ui.Error, "cluster", "", err.Error())
	}
	d.checkPorts(observation, say)
	d.checkNames(say)
	d.checkVersions(observation, say)
	if errorsFound > 0 {
		return d.failed("doctor", "", fmt.Errorf("%d errors: mend them before up", errorsFound))
	}
	return nil
}

type sayer func(level ui.Level, what, found, remedy string)

func (d *Demo) checkMachine(say sayer) {
	info, err := d.cluster.Info(d.run)
	if err != nil {
		first, remedy, _ := strings.Cut(err.Error(), "\n")
		say(ui.Error, "engine", first, remedy)
	} else {
		found := info.Name + " " + info.Version
		if info.Rootless {
			found += ", rootless"
		}
		say(ui.OK, "engine", found, "")
		switch info.CgroupVersion {
		case "2":
			say(ui.OK, "cgroup", "v2", "")
		case "1":
			say(ui.Warning, "cgroup", "v1: the kubelet is told to accept it", "Kubernetes drops it; a host with cgroup v2 is the way out.")
		}
		say(least(float64(info.CPUs), 1, goodCPUs), "cpus", fmt.Sprintf("%d for containers", info.CPUs), shortOf(info.CPUs < goodCPUs, "With one, everything takes twice as long."))
		level := least(float64(info.MemoryBytes), leastMemory, goodMemory)
		say(level, "engine's memory", fmt.Sprintf("%.1f GiB", gib(uint64(info.MemoryBytes))), shortOf(level != ui.OK, "The stack takes about 1 GiB: give the engine more."))
	}
	if available, total, err := machine.Memory(d.run); err == nil {
		level := least(float64(available), leastMemory, goodMemory)
		say(level, "memory", fmt.Sprintf("%.1f of %.1f GiB free", gib(available), gib(total)), shortOf(level != ui.OK, "The stack takes about 1 GiB: close something."))
	}
	if free, err := freeDisk(d.run, info); err == nil {
		level := least(float64(free), leastDisk, goodDisk)
		say(level, "disk", fmt.Sprintf("%.1f GiB free", gib(free)), shortOf(level != ui.OK, "Images and the node take about 2 GiB: "+d.cluster.EngineName()+" system prune frees what nothing uses."))
	}
	if watches, instances, ok := machine.Inotify(); ok {
		level := ui.OK
		if watches < goodWatches || instances < goodInstances {
			level = ui.Warning
		}
		say(level, "inotify", fmt.Sprintf("%d watches, %d instances", watches, instances), shortOf(level != ui.OK,
			fmt.Sprintf("With several clusters, pods fail with \"too many open files\". To raise the limits:\nsudo sysctl fs.inotify.max_user_watches=%d\nsudo sysctl fs.inotify.max_user_instances=%d", goodWatches, goodInstances)))
	}
}

// freeDisk returns the free bytes where the engine keeps images and nodes; where that is not on this machine, in the current folder.
func freeDisk(ctx context.Context, engine cluster.Info) (uint64, error) {
	if free, err := machine.Disk(ctx, engine.Root); engine.Root != "" && err == nil {
		return free, nil
	}
	return machine.Disk(ctx, ".")
}

func least(have, least, good float64) ui.Level {
	switch {
	case have < least:
		return ui.Error
	case have < good:
		return ui.Warning
	}
	return ui.OK
}

func shortOf(short bool, remedy string) string {
	if short {
		return remedy
	}
	return ""
}

func gib(bytes uint64) float64 { return float64(bytes) / (1 << 30) }

// ports are the host ports that the cluster takes, with the variables that move them.
func (d *Demo) ports() map[string]int {
	return map[string]int{"KINDGATE_HTTP_PORT": d.config.HTTPPort, "KINDGATE_HTTPS_PORT": d.config.HTTPSPort}
}

func (d *Demo) checkPorts(observation cluster.Observation, say sayer) {
	made := observation.State != cluster.Absent && observation.State != ""
	for _, variable := range []string{"KINDGATE_HTTP_PORT", "KINDGATE_HTTPS_PORT"} {
		port := d.ports()[variable]
		what := fmt.Sprintf("port %d", port)
		if made {
			if published, err := d.cluster.Published(d.run); err == nil && published[port] {
				say(ui.OK, what, "published by the cluster's node", "")
				continue
			}
		}
		if holder, taken := d.cluster.PortHolder(d.run, port); taken {
			remedy := fmt.Sprintf("End it, or move the port: %s=%d", variable, d.freePort(port))
			if made {
				remedy += " (after a teardown, as the cluster was made with the port it has)"
			}
			say(ui.Error, what, "taken by "+holder, remedy)
			continue
		}
		say(ui.OK, what, "free", "")
	}
}

// freePort suggests a port like the given one: 8080 for 80.
func (d *Demo) freePort(port int) int {
	for candidate := 8000 + port%1000; candidate < 65535; candidate++ {
		if _, taken := machine.PortHolder(d.run, candidate); !taken {
			return candidate
		}
	}
	return 0
}

// checkFree is the cheap part of doctor, before a cluster is made: what would make its making fail late, and with a message of Docker's.
func (d *Demo) checkFree(engine cluster.Info) error {
	var problems []error
	for _, variable := range []string{"KINDGATE_HTTP_PORT", "KINDGATE_HTTPS_PORT"} {
		port := d.ports()[variable]
		if holder, taken := d.cluster.PortHolder(d.run, port); taken {
			problems = append(problems, fmt.Errorf("port %d is taken by %s: end it, or set %s to another port, as %d", port, holder, variable, d.freePort(port)))
		}
	}
	if free, err := freeDisk(d.run, engine); err == nil && free < leastDisk {
		problems = append(problems, fmt.Errorf("only %.1f GiB are free on the disk, and the node needs about 2: %s system prune frees what nothing uses", gib(free), engine.Name))
	}
	return errors.Join(problems...)
}

func (d *Demo) checkNames(say sayer) {
	names, err := d.names()
	if err != nil {
		say(ui.Error, "hosts file", "", d.hostsError(err).Error())
	}
	for _, name := range names {
		if !name.Here() {
			say(ui.Warning, name.Name, "does not lead to this machine", d.nameRemedy(name)+"; verify works without, a browser may not.")
		} else {
			say(ui.OK, name.Name, "leads to this machine", "")
		}
	}
}

// checkVersions holds the pinned versions against one another and against what the cluster has.
func (d *Demo) checkVersions(observation cluster.Observation, say sayer) {
	if out, err := exec.CommandContext(d.run, "go", "version").Output(); err == nil {
		say(ui.OK, "go", strings.TrimPrefix(strings.TrimSpace(string(out)), "go version "), "")
	} else {
		say(ui.Warning, "go", "not found in PATH", "A module that is missing from the cache could not be fetched.")
	}
	version, err := crds.Version()
	if err != nil {
		say(ui.Error, "gateway-api", "", err.Error())
		return
	}
	files, err := crds.Files(d.run)
	var wanted []kube.Object
	if err == nil {
		wanted, err = kube.ReadDir(files, "gateway-api", func(string) bool { return false })
	}
	if err != nil {
		say(ui.Error, "gateway-api", version, err.Error())
		return
	}
	if d.config.TraefikChart == "" {
		level, remedy := fit(d.config.TraefikVersion, version)
		say(level, "gateway-api", fmt.Sprintf("%s, with chart %s", version, d.config.TraefikVersion), remedy)
	} else {
		say(ui.OK, "gateway-api", version+", with the chart of KINDGATE_TRAEFIK_CHART", "")
	}
	d.checkChart(say)
	if observation.Foreign != nil {
		say(ui.Error, "cluster", observation.Foreign.Error(), remedy(observation.Foreign))
		return
	}
	if observation.State != cluster.Ready {
		say(ui.OK, "cluster", d.config.Cluster+" is "+string(observation.State), "")
		return
	}
	d.cluster.Attach(d.run)
	client, err := d.kube()
	if err == nil {
		live, liveErr := client.Live(d.run, wanted)
		if err = liveErr; err == nil {
			err = crds.CheckReplace(unstructureds(wanted), live)
		}
	}
	if err != nil {
		say(ui.Error, "cluster", d.config.Cluster, err.Error())
		return
	}
	found := d.config.Cluster + " is ready, Kubernetes " + observation.Node.Status.NodeInfo.KubeletVersion
	if ready := cluster.ReadyCondition(observation.Node); ready != nil && ready.Status != corev1.ConditionTrue {
		say(ui.Error, "cluster", fmt.Sprintf("%s: Node/%s is not Ready: %s", d.config.Cluster, observation.Node.Name, ready.Message), "look at: "+d.proof.Place.Kubectl("describe node "+observation.Node.Name))
		return
	}
	if len(observation.Differences) > 0 {
		say(ui.Warning, "cluster", found, strings.Join(observation.Differences, "\n")+"\nteardown and then up would make it anew")
		return
	}
	say(ui.OK, "cluster", found, "")
}

// checkChart renders the chart where it is at hand: doctor fetches nothing.
func (d *Demo) checkChart(say sayer) {
	switch {
	case d.wrong != nil: // the values may be missing
	case !d.helm().AtHand():
		say(ui.OK, "chart", "not here yet: up fetches it", "")
	default:
		if err := d.checkRelease(); err != nil {
			say(ui.Error, "chart", "", err.Error())
			return
		}
		say(ui.OK, "chart", "takes the values of "+valuesPath, "")
	}
}

// fit tells whether a release of the Gateway API goes with the Traefik of a chart.
func fit(chart, gatewayAPI string) (ui.Level, string) {
	major := semver.Major("v" + strings.TrimPrefix(chart, "v"))
	built, known := serving.GatewayAPI[major]
	switch {
	case !known:
		return ui.Warning, fmt.Sprintf("Charts %s were not tried with this Gateway API: if routes are not accepted, chart 39.0.7 is the one that was.", major)
	case semver.Compare(semver.MajorMinor(gatewayAPI), built) < 0:
		return ui.Error, fmt.Sprintf("The Traefik of charts %s is built against the Gateway API %s and needs its kinds: go get sigs.k8s.io/gateway-api@%s.0.", major, built, built)
	case semver.MajorMinor(gatewayAPI) != built:
		return ui.Warning, fmt.Sprintf("The Traefik of charts %s is built against the Gateway API %s and knows nothing of what is newer.", major, built)
	}
	return ui.OK, ""
}
