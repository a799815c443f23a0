package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/doctor"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/machine"
	"kindgate/magefiles/internal/ui"
)

// Doctor looks at all that a run depends on, before it runs, and changes nothing. Its error says how many things are in the way.
func (e *examiner) Doctor(ctx context.Context) error {
	errorsFound, facts := 0, e.facts(ctx)
	for _, r := range doctor.Judge(facts) {
		if r.Fails() {
			errorsFound++
		}
		e.ui.Check(ui.Check{What: r.String(), Finding: r.Finding, Hint: r.Remedy})
	}
	if errorsFound > 0 {
		found := fmt.Errorf("%s: mend them before up", count(errorsFound, "error"))
		return e.run.Failed("doctor", "", dueTo{found, errors.Join(e.wrong, facts.EngineError)})
	}
	return nil
}

// An examiner looks at all that a run depends on, and changes nothing.
type examiner struct {
	*session
	names   *hostNames
	release *helmRelease
	routes  *verification
	faults  func() []fault // what judge finds, once
}

// facts looks at all that a run depends on.
func (e *examiner) facts(ctx context.Context) doctor.Facts {
	f := doctor.Facts{Files: e.wrong, EngineCommand: e.cluster.EngineName()}
	info, err := e.cluster.Info(ctx)
	if err != nil {
		f.EngineError = err
	} else {
		f.Engine = &info
	}
	if available, total, err := machine.Memory(ctx); err == nil {
		f.Memory = &doctor.Memory{Available: available, Total: total}
	}
	if free, err := freeDisk(ctx, info); err == nil {
		f.Disk = &free
	}
	if watches, instances, ok := machine.Inotify(); ok {
		f.Inotify = &doctor.Inotify{Watches: watches, Instances: instances}
	}
	f.Proxies = proxies(os.Getenv)
	names, err := e.names.look(ctx)
	if err != nil {
		f.HostsError = e.names.explain(err)
	}
	for _, name := range names {
		f.Names = append(f.Names, doctor.Name{Name: name.Name, Here: name.Here(), Remedy: e.names.remedy(name)})
	}
	if out, err := exec.CommandContext(ctx, "go", "version").Output(); err == nil {
		f.Go = strings.TrimPrefix(strings.TrimSpace(string(out)), "go version ")
	}
	f.Chart, f.Authority = e.chartFacts(), authorityFacts()
	var wanted []kube.Object
	if f.GatewayAPI.Version, f.GatewayAPI.Err = crds.Version(); f.GatewayAPI.Err == nil {
		wanted, f.GatewayAPI.Err = definitions(ctx)
	}
	f.Cluster = e.clusterFacts(ctx, wanted)
	f.Ports = e.portFacts(ctx, e.cluster.Published) // after the cluster has said which node has them
	return f
}

// proxies are those that kind takes from the environment for the nodes.
func proxies(get func(string) string) []doctor.Proxy {
	var all []doctor.Proxy
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		if value := cmp.Or(get(name), get(strings.ToLower(name))); value != "" {
			all = append(all, doctor.Proxy{Variable: name, Value: value})
		}
	}
	return all
}

// freeDisk returns the free bytes where the engine keeps images and nodes; where that is not on this machine, in the current folder.
func freeDisk(ctx context.Context, engine cluster.Info) (uint64, error) {
	if free, err := machine.Disk(ctx, engine.Root); engine.Root != "" && err == nil {
		return free, nil
	}
	return machine.Disk(ctx, ".")
}

// portFacts looks at the ports that the cluster takes on this machine, each with the variable that moves it. published tells of those that
// are taken by the cluster itself.
func (e *examiner) portFacts(ctx context.Context, published func(context.Context, int) (bool, error)) []doctor.Port {
	var facts []doctor.Port
	for _, port := range []struct {
		variable string
		number   int
	}{{"KINDGATE_HTTP_PORT", e.config.HTTPPort}, {"KINDGATE_HTTPS_PORT", e.config.HTTPSPort}} {
		fact := doctor.Port{Number: port.number}
		fact.Published, _ = published(ctx, port.number) // an engine that does not answer publishes nothing
		if !fact.Published {
			fact.Holder, _ = e.cluster.PortHolder(ctx, port.number)
		}
		if fact.Holder != "" {
			fact.Free = fmt.Sprintf("%s=%d", port.variable, e.freePort(ctx, port.number))
		}
		facts = append(facts, fact)
	}
	return facts
}

// freePort suggests a port like the given one: 8080 for 80.
func (e *examiner) freePort(ctx context.Context, port int) int {
	for candidate := 8000 + port%1000; candidate < 65535; candidate++ {
		if _, taken := machine.PortHolder(ctx, candidate); !taken {
			return candidate
		}
	}
	return 0
}

// checkFree is the cheap part of doctor, before a cluster is made: what would make its making fail late, and with a message of Docker's.
func (e *examiner) checkFree(ctx context.Context, engine cluster.Info) error {
	var problems []error
	noNode := func(context.Context, int) (bool, error) { return false, nil }
	for _, port := range e.portFacts(ctx, noNode) {
		if port.Holder != "" {
			problems = append(problems, fmt.Errorf("port %d is taken by %s: end it, or move the port: %s", port.Number, port.Holder, port.Free))
		}
	}
	if free, err := freeDisk(ctx, engine); err == nil && free < doctor.LeastDisk {
		problems = append(problems, fmt.Errorf("only %.1f GiB are free on the disk, and the node needs about 2: %s system prune frees what nothing uses", doctor.GiB(free), engine.Name))
	}
	return errors.Join(problems...)
}

// chartFacts renders the chart where it is at hand: doctor fetches nothing.
func (e *examiner) chartFacts() doctor.Chart {
	facts := doctor.Chart{Own: e.config.TraefikChart != "", Version: e.config.TraefikVersion, Tried: serving.TriedChart, Implementation: serving.Name,
		BuiltAgainst: serving.GatewayAPI, ValuesFile: e.config.valuesPath(), Unjudged: e.wrong != nil, Here: e.helm().AtHand()}
	if !facts.Unjudged && facts.Here {
		facts.Err = advised(e.release.check())
	}
	return facts
}

// clusterFacts looks at the cluster, and whether the definitions could take the place of those that it has.
func (e *examiner) clusterFacts(ctx context.Context, definitions []kube.Object) doctor.Cluster {
	facts := doctor.Cluster{Name: e.config.Cluster}
	facts.Observation, facts.Err = e.cluster.Observe(ctx)
	facts.Err = advised(facts.Err)
	switch {
	case facts.Err != nil:
	case facts.Observation.Foreign != nil:
		facts.Remedy = remedy(facts.Observation.Foreign)
	case facts.Observation.State == cluster.Ready:
		if notReady := facts.Observation.NotReady(); len(notReady) > 0 {
			facts.Look = e.proof.Place.Kubectl("describe node " + notReady[0].Name)
		}
		facts.Err = e.checkDefinitions(ctx, definitions)
	}
	return facts
}

func (e *examiner) checkDefinitions(ctx context.Context, definitions []kube.Object) error {
	e.cluster.Attach(ctx)
	client, err := e.kube()
	if err != nil {
		return err
	}
	live, err := client.Live(ctx, definitions)
	if err != nil {
		return err
	}
	return crds.CheckReplace(unstructureds(definitions), live)
}
