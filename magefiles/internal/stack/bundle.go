package stack

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/bundle"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/doctor"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/readiness"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// bundleFile is the archive that is made, in the current folder.
const bundleFile = "kindgate-bundle.tar.gz"

// Bundle writes an archive of what a failure is looked into with. Its error is that it cannot be written: what cannot be found out is listed in it.
func (s *Stack) Bundle(ctx context.Context) error {
	return s.run.Step("bundle", func(step *ui.Step) (result.Result, string, error) {
		return s.bundle(ctx, step.Report, s.ui.Said())
	})
}

// bundleFailure makes a bundle of a run that has failed, and may have no time left: with another session, and time of its own.
func (s *Stack) bundleFailure() {
	fresh := New(append(slices.Clone(s.environ), prefix+"TIMEOUT="+limits.Bundle.String()))
	fresh.environ, fresh.session.ui = s.environ, s.ui
	ctx, cancel := context.WithTimeout(context.Background(), limits.Bundle)
	defer cancel()
	_, detail, err := fresh.bundle(fresh.run.Begin(ctx), func(string) {}, s.ui.Said())
	if err != nil {
		detail = "it cannot be made: " + err.Error()
	}
	s.ui.Note("The bundle for whoever looks into this: " + detail)
}

func (s *Stack) bundle(ctx context.Context, report func(string), said ui.Said) (result.Result, string, error) {
	if s.config.BundleFile != "" { // which may be the file that this would write
		return "", "", errors.New("KINDGATE_BUNDLE_FILE is set, so this is about another bundle: one is made of a cluster")
	}
	c := &collector{Stack: s, report: report}
	c.collect(ctx, said)
	data, err := c.Archive(said.Start)
	if err == nil {
		err = atomicfile.Write(bundleFile, data, 0o600)
	}
	return result.Created, fmt.Sprintf("%s, %d KiB; what was left out is listed in it", bundleFile, len(data)>>10), err
}

// A collector gathers what goes into a bundle. What cannot be had is listed as left out, with the reason.
type collector struct {
	*Stack
	*bundle.Bundle
	report func(string)
}

// about is what a bundle says of itself and of what it is from.
type about struct {
	Kindgate string            `json:"kindgate"`
	Go       string            `json:"go"`
	System   string            `json:"system"`
	Modules  map[string]string `json:"modules"`
	Engine   *cluster.Info     `json:"engine,omitempty"`
	Settings map[string]string `json:"settings"`
	Cluster  string            `json:"cluster"`
	Context  string            `json:"context,omitempty"`
	Kubectl  string            `json:"kubectl"`
	// Ports are those of this machine, by the listeners' to which they lead; none for the cluster of a context.
	Ports map[int32]int `json:"ports,omitempty"`
}

// A proven is what was found of a promise.
type proven struct {
	What    string        `json:"what"`
	Request bool          `json:"request"`
	Finding check.Finding `json:"finding"`
	Hint    string        `json:"hint,omitempty"`
	At      string        `json:"at,omitempty"`
}

// The files of a bundle that are read again.
const (
	aboutFile    = "about.json"
	snapshotFile = "snapshot.json"
	provenFile   = "proven.json"
)

func (c *collector) collect(ctx context.Context, said ui.Said) {
	client, state := c.connected(ctx)
	c.Bundle = bundle.New(c.secrets(ctx, client)...)
	if client != nil && c.config.Context != "" {
		c.Leave("logs", "the Secrets of a cluster that kindgate did not make are not read, so that no text was searched for their values")
	}
	c.json(aboutFile, c.about(ctx, state))
	c.json("said.json", saidLines(said))
	if c.misconfigured != nil {
		c.Leave("everything of the cluster", "the settings are wrong")
		return
	}
	c.files()
	c.report("looking at this machine")
	c.json("doctor.json", c.doctor(ctx))
	if client == nil {
		c.Leave("everything of the cluster", state)
	} else {
		c.report("reading the cluster")
		c.cluster(ctx, client)
	}
	if c.config.Context == "" {
		c.report("collecting the nodes' logs")
		c.nodeLogs(ctx)
	}
}

// json adds a value, of which nothing keeps it from being written.
func (c *collector) json(name string, value any) {
	if err := c.JSON(name, value); err != nil {
		c.Leave(name, err.Error())
	}
}

// connected returns what reads the cluster; nil where there is none that answers, and in what state it is.
func (c *collector) connected(ctx context.Context) (*kube.Client, string) {
	switch {
	case c.misconfigured != nil:
		return nil, c.misconfigured.Error()
	case c.config.Context != "":
		at, _, err := c.reader()
		if err != nil {
			return nil, err.Error()
		}
		return at.Client, ""
	}
	observation, err := c.Stack.cluster.Observe(ctx)
	if err != nil {
		return nil, err.Error()
	}
	if observation.State != cluster.Ready {
		return nil, "the cluster is " + observation.String()
	}
	c.Stack.cluster.Attach(ctx)
	client, err := c.kube()
	if err != nil {
		return nil, err.Error()
	}
	return client, observation.String()
}

// secrets are the values of the Secrets in the files and in kindgate's own cluster, so that no text with one of them is taken.
func (c *collector) secrets(ctx context.Context, client *kube.Client) []string {
	var all []string
	add := func(o *unstructured.Unstructured) {
		if o.GetKind() != "Secret" {
			return
		}
		for _, field := range []string{"data", "stringData"} {
			values, _, _ := unstructured.NestedMap(o.Object, field)
			for _, value := range values {
				text, _ := value.(string)
				if decoded, err := base64.StdEncoding.DecodeString(text); err == nil && field == "data" {
					text = string(decoded)
				}
				all = append(all, text)
			}
		}
	}
	for _, o := range c.inputs.objects {
		add(o.Unstructured)
	}
	if client != nil && c.config.Context == "" {
		objects, _ := client.List(ctx, corev1.SchemeGroupVersion.WithKind("Secret"), "")
		for i := range objects {
			add(&objects[i])
		}
	}
	return all
}

func (c *collector) about(ctx context.Context, state string) about {
	a := about{Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Modules: map[string]string{}, Settings: map[string]string{}, Cluster: state, Context: c.config.Context,
		Kubectl: c.proof.Place.Kubectl("")}
	if info, ok := debug.ReadBuildInfo(); ok {
		a.Kindgate = info.Main.Version
		for _, m := range info.Deps {
			switch m.Path {
			case "sigs.k8s.io/kind", "sigs.k8s.io/gateway-api", "helm.sh/helm/v3", "k8s.io/client-go", "github.com/magefile/mage":
				a.Modules[m.Path] = m.Version
			}
		}
	}
	if info, err := c.Stack.cluster.Info(ctx); err == nil {
		a.Engine = &info
	}
	for _, entry := range c.environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) || name == "KIND_EXPERIMENTAL_PROVIDER" {
			a.Settings[name] = value
		}
	}
	if c.config.Context == "" && c.misconfigured == nil {
		a.Ports = c.inputs.ports(c.config)
	}
	return a
}

// saidLines are what a run has said, as machines read it.
func saidLines(said ui.Said) []any {
	lines := []any{}
	for _, s := range said.Steps {
		lines = append(lines, s.StepLine)
	}
	for _, k := range said.Checks {
		lines = append(lines, ui.CheckLine{Check: k.What, Level: ui.LevelOf(k.Finding), Verdict: k.Verdict, Found: k.Found, Hint: k.Hint, Cause: k.Cause, At: k.At})
	}
	return lines
}

// files adds the configuration: the objects of the manifests, the values of the chart, and the file for kind.
func (c *collector) files() {
	type written struct {
		At     string         `json:"at"`
		Object map[string]any `json:"object"`
	}
	objects := []written{}
	for _, o := range c.inputs.objects {
		if o.GetKind() == "Secret" {
			c.Leave("manifests.json", o.Name()+", as it is a Secret")
			continue
		}
		objects = append(objects, written{o.Source, o.Object})
	}
	c.json("manifests.json", objects)
	c.json("values.json", c.inputs.values)
	if data, err := readFile(clusterFile); err == nil {
		c.Text("kind-cluster.yaml", data)
	}
}

func (c *collector) doctor(ctx context.Context) []ui.CheckLine {
	lines := []ui.CheckLine{}
	for _, r := range doctor.Judge(c.Examiner.facts(ctx)) {
		lines = append(lines, ui.CheckLine{Check: r.String(), Level: ui.LevelOf(r.Finding), Verdict: r.Verdict, Found: r.Found, Hint: r.Remedy})
	}
	return lines
}

// cluster adds the snapshot, what verify finds of it, the events, and what pods say.
func (c *collector) cluster(ctx context.Context, client *kube.Client) {
	events, err := client.List(ctx, corev1.SchemeGroupVersion.WithKind("Event"), "")
	if err != nil {
		c.Leave("events.json", err.Error())
	} else {
		c.json("events.json", events)
	}
	snapshot := c.proven(ctx)
	if snapshot == nil {
		return
	}
	c.json(snapshotFile, snapshot)
	for i := range snapshot.Pods {
		pod := &snapshot.Pods[i]
		speaks := c.proof.Runs(pod) || c.proof.Labelled(pod)
		if speaks && c.proof.Lists.Read != nil {
			c.routers(ctx, client, pod)
		}
		if speaks || !readiness.PodReady(pod) && pod.Status.Phase != corev1.PodSucceeded {
			c.logs(ctx, client, pod)
		}
	}
}

// proven adds what verify finds, and returns the snapshot that it was found by; nil where there is none.
func (c *collector) proven(ctx context.Context) *proof.Snapshot {
	of, err := c.Routes.survey(ctx, false)
	if err != nil {
		c.Leave(snapshotFile, err.Error())
		return nil
	}
	defer of.close()
	found, err := proof.Verify(ctx, of.conditions, of.requests, of.take, proof.SettlesSoon, c.report)
	if err != nil {
		c.Leave(provenFile, err.Error())
		return found.Snapshot
	}
	all := []proven{}
	for _, r := range found.Results {
		one := proven{r.String(), r.Request != nil, r.Finding, "", source(of.conditions.Objects, subject(r))}
		if r.Fails() {
			one.Hint = hintOf(r)
		}
		all = append(all, one)
	}
	c.json(provenFile, all)
	return found.Snapshot
}

func (c *collector) routers(ctx context.Context, client *kube.Client, pod *corev1.Pod) {
	name := bundle.Routers(pod.Namespace, pod.Name)
	answer, err := client.Pods().Get(ctx, pod.Namespace, pod.Name, c.proof.Lists.Port, c.proof.Lists.Path)
	if err != nil {
		c.Leave(name, err.Error())
		return
	}
	c.said(name, answer)
}

// said adds what somebody else has written: of JSON, which may be all in one line, the fields that may be secret are left out, of other texts the
// lines.
func (c *collector) said(name string, content []byte) {
	var object any
	if strings.HasSuffix(name, ".json") && json.Unmarshal(content, &object) == nil {
		c.json(name, object)
		return
	}
	c.Text(name, content)
}

// logs adds the logs of a pod's containers, and of those that ran before them.
func (c *collector) logs(ctx context.Context, client *kube.Client, pod *corev1.Pod) {
	for _, container := range append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		name, lines := bundle.Log(pod.Namespace, pod.Name, container.Name), int64(10_000)
		log, err := client.Pods().Log(ctx, pod.Namespace, pod.Name, &corev1.PodLogOptions{Container: container.Name, TailLines: &lines})
		if err != nil {
			c.Leave(name, err.Error())
		} else {
			c.Text(name, log)
		}
		if before, err := client.Pods().Log(ctx, pod.Namespace, pod.Name, &corev1.PodLogOptions{Container: container.Name, TailLines: &lines, Previous: true}); err == nil {
			c.Text(strings.TrimSuffix(name, ".log")+".previous.log", before)
		}
	}
}

// nodeLogs adds what kind collects of kindgate's own nodes.
func (c *collector) nodeLogs(ctx context.Context) {
	observation, err := c.Stack.cluster.Observe(ctx)
	if err != nil || observation.State == cluster.Absent || observation.Foreign != nil {
		c.Leave("nodes", "the cluster is "+observation.String())
		return
	}
	dir, err := os.MkdirTemp("", "kindgate-bundle-")
	if err != nil {
		c.Leave("nodes", err.Error())
		return
	}
	defer os.RemoveAll(dir)
	if err := c.Stack.cluster.Logs(ctx, dir); err != nil {
		c.Leave("nodes", "not complete: "+err.Error())
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Base(filepath.Dir(path)) == "containers" { // the same logs as in pods/
			return err
		}
		content, err := atomicfile.Read(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		c.said("nodes/"+filepath.ToSlash(name), content)
		return nil
	})
	if err != nil {
		c.Leave("nodes", err.Error())
	}
}
