// Package doctor judges whether this machine, its engine and the user's files are fit for a run. It looks at nothing itself: what there is
// comes in as Facts.
package doctor

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/mod/semver"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
)

// What the stack needs, as measured with one node, Traefik and four whoami pods, in bytes and cores: with less than the first it fails, with
// less than the second it may.
const (
	LeastMemory, GoodMemory = 1 << 30, 2 << 30
	LeastDisk, GoodDisk     = 1 << 30, 5 << 30
	GoodCPUs                = 2
	// kind's, see https://kind.sigs.k8s.io/docs/user/known-issues/#pod-errors-due-to-too-many-open-files.
	GoodWatches, GoodInstances = 524288, 512
)

// Facts are what was found of all that a run depends on. What could not be found out is nil.
type Facts struct {
	// Files is what is wrong with the manifests and the cluster's configuration.
	Files error
	// Engine is what the container engine says of itself, or EngineError why it does not. EngineCommand is its command.
	Engine        *cluster.Info
	EngineError   error
	EngineCommand string
	// Memory is the bytes that programs can still have, and those of the machine; Disk the free bytes where the engine keeps images.
	Memory  *Memory
	Disk    *uint64
	Inotify *Inotify
	Ports   []Port
	// Proxies are the variables that name one for what is fetched.
	Proxies []Proxy
	// Names are the routes' hostnames. HostsError is what is wrong with the hosts file.
	Names      []Name
	HostsError error
	// Go is the version of the go command, empty where there is none.
	Go         string
	GatewayAPI GatewayAPI
	Chart      Chart
	Cluster    Cluster
	Authority  Authority
}

// Authority is the local certificate authority of this user. Until is zero where there is none, and Err is why it cannot be used.
type Authority struct {
	Path    string
	Until   time.Time
	Trusted bool // by the system's store
	Err     error
}

// Found says of an authority that can be used until when it is valid, whether the system trusts it, and how curl is told.
func (a Authority) Found() string {
	if a.Until.IsZero() {
		return "none yet: the target certificates makes one"
	}
	trusted := "not trusted by this system"
	if a.Trusted {
		trusted = "trusted by this system"
	}
	return fmt.Sprintf("valid until %s, %s; curl --cacert %s", a.Until.Local().Format(time.DateOnly), trusted, a.Path)
}

// Memory is in bytes.
type Memory struct{ Available, Total uint64 }

// Inotify are the limits of each user.
type Inotify struct{ Watches, Instances int }

// A Port is one that the cluster takes on this machine.
type Port struct {
	Number int
	// Published: the cluster's node has it. Holder is who has it otherwise, empty for nobody.
	Published bool
	Holder    string
	// Free is a setting that moves the port to a free one, as KINDGATE_HTTP_PORT=8080.
	Free string
}

// A Proxy is what a variable of the environment names, as http://proxy:3128. kind sets it in the nodes, too.
type Proxy struct{ Variable, Value string }

// A Name is a hostname of the routes.
type Name struct {
	Name   string
	Here   bool   // it leads to this machine,
	Remedy string // or this makes it
}

// GatewayAPI is the release of the Gateway API that is installed, and why it cannot be.
type GatewayAPI struct {
	Version string
	Err     error
}

// Chart is the implementation's Helm chart.
type Chart struct {
	// Own: the user has named a chart; otherwise Version is the repository's. BuiltAgainst and Tried are the implementation's.
	Own            bool
	Version, Tried string
	Implementation string
	BuiltAgainst   map[string]string
	// Here: the chart is at hand, and Err is what is wrong with it and the values in ValuesFile. Unjudged: the values could not be read.
	Here, Unjudged bool
	Err            error
	ValuesFile     string
}

// Cluster is what there is of the cluster.
type Cluster struct {
	Name        string
	Observation cluster.Observation
	// Err is why it could not be looked at, or why a run could not use it; Remedy what the user can do.
	Err    error
	Remedy string
	// Look is the command that shows more of its node.
	Look string
}

// Judge returns what each of the facts comes to, in the order in which a user would mend them.
func Judge(f Facts) []check.Result {
	var r results
	if f.Files != nil {
		r.add("files", check.Broken, "", f.Files.Error())
	}
	r.machine(f)
	made := f.Cluster.Err == nil && f.Cluster.Observation.State != cluster.Absent
	for _, port := range f.Ports {
		r.port(port, made)
	}
	for _, proxy := range f.Proxies {
		r.proxy(proxy)
	}
	if f.HostsError != nil {
		r.add("hosts file", check.Broken, "", f.HostsError.Error())
	}
	for _, name := range f.Names {
		if name.Here {
			r.add(name.Name, check.Holds, "leads to this machine", "")
		} else {
			r.add(name.Name, check.Warns, "does not lead to this machine", name.Remedy+"; verify works without, a browser may not.")
		}
	}
	if f.Go != "" {
		r.add("go", check.Holds, f.Go, "")
	} else {
		r.add("go", check.Warns, "not found in PATH", "A module that is missing from the cache could not be fetched.")
	}
	r.versions(f.GatewayAPI, f.Chart)
	r.cluster(f.Cluster)
	switch {
	case f.Authority.Err != nil:
		r.add("authority", check.Broken, "", f.Authority.Err.Error())
	case f.Authority.Path != "":
		r.add("authority", check.Holds, f.Authority.Found(), "")
	}
	return r
}

type results []check.Result

// add appends a result. A remedy is for what is not well.
func (r *results) add(what string, verdict check.Verdict, found, remedy string) {
	if verdict == check.Holds {
		remedy = ""
	}
	*r = append(*r, check.Result{Check: check.Check{ID: check.ID{Kind: what}}, Finding: check.Finding{Verdict: verdict, Found: found, Remedy: remedy}})
}

func (r *results) machine(f Facts) {
	if f.EngineError != nil {
		r.add("engine", check.Broken, "", f.EngineError.Error())
	}
	if engine := f.Engine; engine != nil {
		found := engine.Name + " " + engine.Version
		if engine.Rootless {
			found += ", rootless"
		}
		r.add("engine", check.Holds, found, "")
		switch engine.CgroupVersion {
		case "2":
			r.add("cgroup", check.Holds, "v2", "")
		case "1":
			r.add("cgroup", check.Warns, "v1: the kubelet is told to accept it", "Kubernetes drops it; a host with cgroup v2 is the way out.")
		}
		r.add("cpus", enough(float64(engine.CPUs), 1, GoodCPUs), fmt.Sprintf("%d for containers", engine.CPUs), "With one, everything takes twice as long.")
		r.add("engine's memory", enough(float64(engine.MemoryBytes), LeastMemory, GoodMemory), fmt.Sprintf("%.1f GiB", GiB(uint64(engine.MemoryBytes))),
			"The stack takes about 1 GiB: give the engine more.")
	}
	if memory := f.Memory; memory != nil {
		r.add("memory", enough(float64(memory.Available), LeastMemory, GoodMemory), fmt.Sprintf("%.1f of %.1f GiB free", GiB(memory.Available), GiB(memory.Total)),
			"The stack takes about 1 GiB: close something.")
	}
	if f.Disk != nil {
		r.add("disk", enough(float64(*f.Disk), LeastDisk, GoodDisk), fmt.Sprintf("%.1f GiB free", GiB(*f.Disk)),
			"Images and the node take about 2 GiB: "+f.EngineCommand+" system prune frees what nothing uses.")
	}
	if limits := f.Inotify; limits != nil {
		verdict := check.Holds
		if limits.Watches < GoodWatches || limits.Instances < GoodInstances {
			verdict = check.Warns
		}
		r.add("inotify", verdict, fmt.Sprintf("%d watches, %d instances", limits.Watches, limits.Instances), fmt.Sprintf(
			"With several clusters, pods fail with \"too many open files\". To raise the limits:\nsudo sysctl fs.inotify.max_user_watches=%d\nsudo sysctl fs.inotify.max_user_instances=%d",
			GoodWatches, GoodInstances))
	}
}

// enough judges an amount by what a run needs, and by what it needs to go well.
func enough(have, least, good float64) check.Verdict {
	switch {
	case have < least:
		return check.Broken
	case have < good:
		return check.Warns
	}
	return check.Holds
}

// GiB is a number of bytes in gibibytes.
func GiB(bytes uint64) float64 { return float64(bytes) / (1 << 30) }

func (r *results) port(port Port, made bool) {
	what := fmt.Sprintf("port %d", port.Number)
	switch {
	case port.Published:
		r.add(what, check.Holds, "published by the cluster's node", "")
	case port.Holder == "":
		r.add(what, check.Holds, "free", "")
	default:
		remedy := "End it, or move the port: " + port.Free
		if made {
			remedy += " (after a teardown, as the cluster was made with the port it has)"
		}
		r.add(what, check.Broken, "taken by "+port.Holder, remedy)
	}
}

// proxy judges a proxy by whether a node can reach it: each node has a loopback of its own. What it does is known only when it is asked.
func (r *results) proxy(p Proxy) {
	value := p.Value
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil {
		r.add(p.Variable, check.Warns, "it cannot be read as a URL", "Write it as http://HOST:PORT, or unset it.")
		return
	}
	ip := net.ParseIP(u.Hostname())
	if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		r.add(p.Variable, check.Holds, u.Redacted()+", which the nodes use, too", "")
		return
	}
	r.add(p.Variable, check.Warns, u.Redacted()+": kind sets it in the nodes, too, where "+u.Hostname()+" is the node itself",
		"A node then pulls no images: name an address of this machine that the nodes reach, or pull them into the local engine, from which up copies them.")
}

func (r *results) versions(api GatewayAPI, chart Chart) {
	switch {
	case api.Err != nil:
		r.add("gateway-api", check.Broken, api.Version, api.Err.Error())
	case chart.Own:
		r.add("gateway-api", check.Holds, api.Version+", with a chart of your own", "")
	default:
		verdict, remedy := fit(chart, api.Version)
		r.add("gateway-api", verdict, fmt.Sprintf("%s, with chart %s", api.Version, chart.Version), remedy)
	}
	switch {
	case chart.Unjudged:
	case !chart.Here:
		r.add("chart", check.Holds, "not here yet: up fetches it", "")
	case chart.Err != nil:
		r.add("chart", check.Broken, "", chart.Err.Error())
	default:
		r.add("chart", check.Holds, "takes the values of "+chart.ValuesFile, "")
	}
}

// fit tells whether a release of the Gateway API goes with the implementation of a chart.
func fit(chart Chart, gatewayAPI string) (check.Verdict, string) {
	major := semver.Major("v" + strings.TrimPrefix(chart.Version, "v"))
	built, known := chart.BuiltAgainst[major]
	switch {
	case !known:
		return check.Warns, fmt.Sprintf("Charts %s were not tried with this Gateway API: if routes are not accepted, chart %s is the one that was.", major, chart.Tried)
	case semver.Compare(semver.MajorMinor(gatewayAPI), built) < 0:
		return check.Broken, fmt.Sprintf("The %s of charts %s is built against the Gateway API %s and needs its kinds: go get sigs.k8s.io/gateway-api@%s.0.", chart.Implementation, major, built, built)
	case semver.MajorMinor(gatewayAPI) != built:
		return check.Warns, fmt.Sprintf("The %s of charts %s is built against the Gateway API %s and knows nothing of what is newer.", chart.Implementation, major, built)
	}
	return check.Holds, ""
}

func (r *results) cluster(c Cluster) {
	observation := c.Observation
	switch {
	case observation.Foreign != nil:
		r.add("cluster", check.Broken, observation.Foreign.Error(), c.Remedy)
	case c.Err != nil:
		r.add("cluster", check.Broken, c.Name, c.Err.Error())
	case observation.State != cluster.Ready:
		r.add("cluster", check.Holds, c.Name+" is "+observation.String(), "")
	default:
		r.ready(c, observation)
	}
}

func (r *results) ready(c Cluster, observation cluster.Observation) {
	found := c.Name + " is ready, Kubernetes " + observation.Node.Status.NodeInfo.KubeletVersion
	notReady := observation.NotReady()
	switch {
	case len(observation.Down) > 0:
		r.down(c.Name, observation.Down)
	case len(notReady) > 0:
		ready := cluster.ReadyCondition(&notReady[0])
		r.add("cluster", check.Broken, fmt.Sprintf("%s: Node/%s is not Ready: %s", c.Name, notReady[0].Name, ready.Message), "look at: "+c.Look)
	case len(observation.Differences) > 0:
		r.add("cluster", check.Warns, found, strings.Join(observation.Differences, "\n")+"\nteardown and then up would make it anew")
	default:
		r.add("cluster", check.Holds, found, "")
	}
}

// down adds what is to be said of a cluster that answers, but of which some nodes do not run.
func (r *results) down(name string, down []cluster.Down) {
	verdict, remedy := check.Warns, "up starts again what is stopped"
	for _, d := range down {
		if d.State == cluster.Gone {
			verdict, remedy = check.Broken, "kind cannot make a node anew: teardown and then up make a new cluster; to go on without it: kubectl delete node "+d.Node
		}
	}
	r.add("cluster", verdict, name+": "+cluster.Downs(down), remedy)
}
