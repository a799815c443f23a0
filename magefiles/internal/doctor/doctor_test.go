package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/implementation"
)

// well are the facts of a machine on which nothing is wrong.
func well() Facts {
	disk := uint64(100 << 30)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	node.Status.NodeInfo.KubeletVersion = "v1.37.2"
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	return Facts{
		Engine: &cluster.Info{Name: "docker", Version: "28.2", CgroupVersion: "2", CPUs: 4, MemoryBytes: 8 << 30}, EngineCommand: "docker",
		Memory: &Memory{4 << 30, 8 << 30}, Disk: &disk, Inotify: &Inotify{GoodWatches, GoodInstances},
		Ports: []Port{{Number: 80, Published: true}, {Number: 443}}, Names: []Name{{Name: "a.localhost", Here: true}}, Go: "go1.26",
		GatewayAPI: GatewayAPI{Version: "v1.4.0"},
		Chart: Chart{Version: "39.0.7", Tried: "39.0.7", Implementation: "Traefik", BuiltAgainst: implementation.Traefik.GatewayAPI,
			Here: true, ValuesFile: "values.yaml"},
		Authority: Authority{Path: "/a.pem", Until: time.Date(2036, 1, 2, 12, 0, 0, 0, time.Local), Trusted: true},
		Cluster:   Cluster{Name: "kindgate", Observation: cluster.Observation{State: cluster.Ready, Node: node}, Look: "kubectl describe node n"},
	}
}

func TestAMachineOnWhichNothingIsWrongIsSaidToBeSo(t *testing.T) {
	found := map[string]string{}
	for _, r := range Judge(well()) {
		if r.Verdict != check.Holds || r.Remedy != "" {
			t.Errorf("%s: %+v", r, r.Finding)
		}
		found[r.String()] = r.Found
	}
	for what, want := range map[string]string{
		"engine": "docker 28.2", "cgroup": "v2", "cpus": "4 for containers", "engine's memory": "8.0 GiB", "memory": "4.0 of 8.0 GiB free",
		"disk": "100.0 GiB free", "inotify": "524288 watches, 512 instances", "port 80": "published by the cluster's node", "port 443": "free",
		"a.localhost": "leads to this machine", "go": "go1.26", "gateway-api": "v1.4.0, with chart 39.0.7", "chart": "takes the values of values.yaml",
		"cluster": "kindgate is ready, Kubernetes v1.37.2", "authority": "valid until 2036-01-02, trusted by this system; curl --cacert /a.pem",
	} {
		if found[what] != want {
			t.Errorf("%s: %q instead of %q", what, found[what], want)
		}
	}
}

func TestWhatIsWrongIsJudgedByHowMuchItMattersAndHasARemedy(t *testing.T) {
	bytes := func(n uint64) *uint64 { return &n }
	for _, test := range []struct {
		name          string
		damage        func(*Facts)
		what          string
		verdict       check.Verdict
		found, remedy string
	}{
		{"files", func(f *Facts) { f.Files = errors.New("bad") }, "files", check.Broken, "", "bad"},
		{"no engine", func(f *Facts) { f.Engine, f.EngineError = nil, errors.New("no engine\nstart it") }, "engine", check.Broken, "", "start it"},
		{"rootless", func(f *Facts) { f.Engine.Rootless = true }, "engine", check.Holds, "docker 28.2, rootless", ""},
		{"cgroup v1", func(f *Facts) { f.Engine.CgroupVersion = "1" }, "cgroup", check.Warns, "v1", "cgroup v2"},
		{"one core", func(f *Facts) { f.Engine.CPUs = 1 }, "cpus", check.Warns, "1 for containers", "twice as long"},
		{"little memory for containers", func(f *Facts) { f.Engine.MemoryBytes = 1 << 29 }, "engine's memory", check.Broken, "0.5 GiB", "give the engine more"},
		{"some memory", func(f *Facts) { f.Memory.Available = 3 << 29 }, "memory", check.Warns, "1.5 of 8.0", "close something"},
		{"little disk", func(f *Facts) { f.Disk = bytes(1 << 29) }, "disk", check.Broken, "0.5 GiB", "docker system prune"},
		{"low limits", func(f *Facts) { f.Inotify.Instances = 128 }, "inotify", check.Warns, "128 instances", "sysctl"},
		{"a port that is taken", func(f *Facts) { f.Ports[1] = Port{Number: 443, Holder: "process 1", Free: "X=8443"} }, "port 443", check.Broken, "taken by process 1",
			"move the port: X=8443 (after a teardown"},
		{"a port that is taken before there is a cluster", func(f *Facts) {
			f.Ports[1] = Port{Number: 443, Holder: "process 1", Free: "X=8443"}
			f.Cluster.Observation = cluster.Observation{State: cluster.Absent}
		}, "port 443", check.Broken, "", "X=8443"},
		{"no authority yet", func(f *Facts) { f.Authority.Until = time.Time{} }, "authority", check.Holds, "none yet", ""},
		{"an authority that nobody trusts", func(f *Facts) { f.Authority.Trusted = false }, "authority", check.Holds, "not trusted by this system; curl --cacert /a.pem", ""},
		{"a damaged authority", func(f *Facts) { f.Authority.Err = errors.New("damaged\ndelete it") }, "authority", check.Broken, "", "delete it"},
		{"a proxy on this machine", func(f *Facts) { f.Proxies = []Proxy{{"HTTPS_PROXY", "http://localhost:3128"}} }, "HTTPS_PROXY", check.Warns,
			"http://localhost:3128: kind sets it in the nodes, too, where localhost is the node itself", "pulls no images"},
		{"a proxy on this machine, without a scheme", func(f *Facts) { f.Proxies = []Proxy{{"HTTP_PROXY", "127.0.0.1:3128"}} }, "HTTP_PROXY", check.Warns, "where 127.0.0.1 is the node itself", "pulls no images"},
		{"a proxy elsewhere", func(f *Facts) { f.Proxies = []Proxy{{"HTTPS_PROXY", "http://me:secret@proxy.test:3128"}} }, "HTTPS_PROXY", check.Holds, "http://me:xxxxx@proxy.test:3128, which the nodes use, too", ""},
		{"a proxy that is none", func(f *Facts) { f.Proxies = []Proxy{{"HTTPS_PROXY", "http://%"}} }, "HTTPS_PROXY", check.Warns, "cannot be read", "unset it"},
		{"a name", func(f *Facts) { f.Names[0] = Name{Name: "b.test", Remedy: "write it"} }, "b.test", check.Warns, "does not lead to this machine", "write it; verify works without"},
		{"the hosts file", func(f *Facts) { f.HostsError = errors.New("a device") }, "hosts file", check.Broken, "", "a device"},
		{"no go", func(f *Facts) { f.Go = "" }, "go", check.Warns, "not found", "module"},
		{"no definitions", func(f *Facts) { f.GatewayAPI = GatewayAPI{"v1.4.0", errors.New("no folder")} }, "gateway-api", check.Broken, "v1.4.0", "no folder"},
		{"the user's chart", func(f *Facts) { f.Chart.Own = true }, "gateway-api", check.Holds, "a chart of your own", ""},
		{"a chart nobody tried", func(f *Facts) { f.Chart.Version = "99.0.0" }, "gateway-api", check.Warns, "chart 99.0.0", "chart 39.0.7 is the one that was"},
		{"a chart that needs more", func(f *Facts) { f.Chart.Version = "v40.0.0" }, "gateway-api", check.Broken, "", "go get sigs.k8s.io/gateway-api@v1.5.0"},
		{"a Gateway API that is newer", func(f *Facts) { f.GatewayAPI.Version = "v1.5.1" }, "gateway-api", check.Warns, "v1.5.1", "built against the Gateway API v1.4"},
		{"a chart that must be fetched", func(f *Facts) { f.Chart.Here = false }, "chart", check.Holds, "not here yet", ""},
		{"values that the chart refuses", func(f *Facts) { f.Chart.Err = errors.New("refused") }, "chart", check.Broken, "", "refused"},
		{"somebody else's cluster", func(f *Facts) {
			f.Cluster.Observation = cluster.Observation{State: cluster.Foreign, Foreign: &cluster.ForeignError{Cluster: "kindgate", Found: "no mark"}}
			f.Cluster.Remedy = "delete it"
		}, "cluster", check.Broken, "no mark", "delete it"},
		{"no cluster", func(f *Facts) { f.Cluster.Observation = cluster.Observation{State: cluster.Absent} }, "cluster", check.Holds, "kindgate is absent", ""},
		{"other definitions in the cluster", func(f *Facts) { f.Cluster.Err = errors.New("experimental channel") }, "cluster", check.Broken, "kindgate", "experimental channel"},
		{"a node that is not Ready", func(f *Facts) {
			f.Cluster.Observation.Node.Status.Conditions[0] = corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "stopped"}
		}, "cluster", check.Broken, "Node/n is not Ready: stopped", "kubectl describe node n"},
		{"another node that is not Ready", func(f *Facts) {
			other := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n-worker"}}
			other.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "no network"}}
			f.Cluster.Observation.Others = []corev1.Node{other}
		}, "cluster", check.Broken, "Node/n-worker is not Ready: no network", "kubectl describe node n"},
		{"a node that is stopped", func(f *Facts) {
			f.Cluster.Observation.Down = []cluster.Down{{Node: "n-worker", State: "stopped"}, {Node: "n-worker2", State: "paused"}}
		}, "cluster", check.Warns, "kindgate: n-worker is stopped, n-worker2 is paused", "up starts"},
		{"a node that was removed", func(f *Facts) {
			f.Cluster.Observation.Down = []cluster.Down{{Node: "n-worker", State: cluster.Gone}, {Node: "n-worker2", State: "stopped"}}
		}, "cluster", check.Broken, "n-worker is gone", "kubectl delete node n-worker"},
		{"a cluster of which a node does not run, and does not answer", func(f *Facts) {
			f.Cluster.Observation = cluster.Observation{State: cluster.Stopped, Down: []cluster.Down{{Node: "n", State: "stopped"}}}
		}, "cluster", check.Holds, "kindgate is stopped: n is stopped", ""},
		{"other settings", func(f *Facts) { f.Cluster.Observation.Differences = []string{"a port"} }, "cluster", check.Warns, "ready", "a port\nteardown and then up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := well()
			test.damage(&f)
			lines := 0
			for _, r := range Judge(f) {
				if r.String() != test.what {
					continue
				}
				lines++
				if r.Verdict != test.verdict || !strings.Contains(r.Found, test.found) || !strings.Contains(r.Remedy, test.remedy) || (r.Remedy == "") != (test.remedy == "") {
					t.Errorf("%+v", r.Finding)
				}
			}
			if lines != 1 {
				t.Errorf("%d lines", lines)
			}
		})
	}
}

func TestAClusterThatCannotBeLookedAtIsSaidOnceAndWithItsReason(t *testing.T) {
	f := well()
	f.Cluster = Cluster{Name: "kindgate", Err: errors.New("the engine does not answer")}
	var said []string
	for _, r := range Judge(f) {
		if r.String() == "cluster" {
			said = append(said, string(r.Verdict)+" "+r.Remedy)
		}
	}
	if len(said) != 1 || said[0] != "broken the engine does not answer" {
		t.Errorf("%q", said)
	}
}

func TestWhatCouldNotBeFoundOutIsNotSaid(t *testing.T) {
	f := Facts{Chart: Chart{Unjudged: true, Own: true}, Cluster: Cluster{Observation: cluster.Observation{State: cluster.Absent}}}
	for _, r := range Judge(f) {
		if what := r.String(); what != "go" && what != "gateway-api" && what != "cluster" {
			t.Errorf("%s: %+v", what, r.Finding)
		}
	}
}
