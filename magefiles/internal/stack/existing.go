package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
	"kindgate/magefiles/internal/place"
	"kindgate/magefiles/internal/probe"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/spelling"
	"kindgate/magefiles/internal/ui"
)

// A survey is what is proven of a cluster: the conditions that one Proof promises, and the requests of others, each for the Gateways of one
// address.
type survey struct {
	conditions *proof.Proof
	requests   []*proof.Proof
	take       func(context.Context) (*proof.Snapshot, error)
	close      func()
	// first is the snapshot that an existing cluster's sites were found by, which take returns once; nil of kindgate's own.
	first *proof.Snapshot
}

// An unknownContextError is one of a context that the kubeconfig does not have.
type unknownContextError struct {
	context string
	have    []string
}

func (e *unknownContextError) Error() string {
	text := fmt.Sprintf("the kubeconfig has no context %q", e.context)
	if len(e.have) == 0 {
		return text + ", nor any other"
	}
	nearest := slices.MinFunc(e.have, func(a, b string) int { return spelling.Apart(a, e.context, 99) - spelling.Apart(b, e.context, 99) })
	if spelling.Apart(nearest, e.context, 3) <= 3 || strings.Contains(nearest, e.context) {
		text += fmt.Sprintf("; is %s meant?", nearest)
	}
	return text + "\nIt has: " + strings.Join(e.have, ", ")
}

// onlyRead returns a copy of cfg with which no client writes, and none waits for long.
func onlyRead(cfg *rest.Config) *rest.Config {
	cfg = kube.ReadOnly(cfg)
	cfg.Timeout = limits.Reading
	return cfg
}

// contextOf returns the configuration of a context's cluster.
func contextOf(config Config) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = config.Kubeconfig
	for _, path := range rules.GetLoadingPrecedence() {
		if err := cluster.CheckKubeconfig(path); err != nil {
			return nil, err
		}
	}
	kubeconfig, err := rules.Load()
	if err != nil {
		return nil, err
	}
	if kubeconfig.Contexts[config.Context] == nil {
		unknown := &unknownContextError{context: config.Context}
		for name := range kubeconfig.Contexts {
			unknown.have = append(unknown.have, name)
		}
		slices.Sort(unknown.have)
		return nil, unknown
	}
	cfg, err := clientcmd.NewDefaultClientConfig(*kubeconfig, &clientcmd.ConfigOverrides{CurrentContext: config.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("context %s: %w", config.Context, err)
	}
	cfg.QPS, cfg.UserAgent = -1, "kindgate" // the API server's log then says who it was
	return cfg, nil
}

// survey returns what is proven: the manifests on kindgate's own cluster, or what the cluster of a context has, where own only what the manifests
// have of it.
func (v *verification) survey(ctx context.Context, own bool) (survey, error) {
	if v.config.Context == "" {
		v.cluster.Attach(ctx)
		_, err := v.kube()
		return survey{v.proof, []*proof.Proof{v.proof}, v.snapshot, func() {}, nil}, err
	}
	at, take, err := v.reader()
	if err != nil {
		return survey{}, err
	}
	s, err := take(ctx)
	if err != nil {
		return survey{}, err
	}
	manifests := s.Existing(v.config.namespaces())
	if own {
		manifests = s.Live(v.proof.Manifests)
	}
	return v.existing(ctx, s, manifests, at, take), nil
}

// reader connects to the cluster of the context, and returns what reads a snapshot of it.
func (s *session) reader() (at place.Existing, take func(context.Context) (*proof.Snapshot, error), err error) {
	cfg, err := s.far()
	if err != nil {
		return at, nil, err
	}
	cfg = onlyRead(cfg)
	client, err := kube.New(cfg, kube.Options{})
	at = place.Existing{Context: s.config.Context, Kubeconfig: s.config.Kubeconfig, REST: cfg, Client: client}
	return at, func(ctx context.Context) (*proof.Snapshot, error) {
		snapshot, err := proof.Survey(ctx, client, s.config.namespaces())
		if err == nil {
			err = nothingRead(snapshot)
		}
		if err != nil {
			err = fmt.Errorf("context %s: %w", s.config.Context, err)
		}
		return snapshot, err
	}, err
}

// someNamespaces is what helps where objects may not be listed in all namespaces.
const someNamespaces = "KINDGATE_NAMESPACES=NAME,… reads some namespaces only."

// nothingRead is the error of a snapshot in which neither Gateways nor routes could be read, so that nothing could be said of the cluster.
func nothingRead(s *proof.Snapshot) error {
	for _, kind := range []schema.GroupVersionKind{proof.GatewayKind, proof.HTTPRouteKind, proof.GRPCRouteKind} {
		if read, partial := s.Partial[kind.Kind]; !partial || len(read) > 0 {
			return nil
		}
	}
	return fmt.Errorf("neither Gateways nor routes may be read: %s\n%s", strings.Join(s.Unread, ", "), someNamespaces)
}

// sayExisting says what of a cluster that is somebody's may not be read, and how each of its sites is reached.
func (v *verification) sayExisting(of survey) {
	if of.first == nil {
		return
	}
	for _, unread := range of.first.Unread {
		v.ui.Check(ui.Check{What: "rights", Finding: check.Finding{Verdict: check.Unknown, Found: unread}, Hint: "What depends on it is not known. " + someNamespaces})
	}
	for name, nearest := range of.first.Missing(v.config.namespaces()) {
		v.ui.Check(ui.Check{What: "namespaces", Finding: check.Finding{Verdict: check.Warns, Found: fmt.Sprintf("the cluster has no namespace %s; is %s meant?", name, nearest)}})
	}
	for _, p := range of.requests {
		v.sayReached(p)
	}
}

// existing is what a snapshot has of some manifests on a cluster that is somebody's. Each of its sites is reached.
func (v *verification) existing(ctx context.Context, s *proof.Snapshot, manifests proof.Manifests, at place.Existing,
	take func(context.Context) (*proof.Snapshot, error)) survey {
	sites, wait := s.Sites(manifests), probe.AtMost(v.config.Rate)
	all := survey{conditions: &proof.Proof{Manifests: manifests, Implementation: implementation.Of(""), Place: &at, Careful: true},
		requests: make([]*proof.Proof, len(sites)), take: reusing(s, take), first: s}
	var places []*place.Existing
	var reaching errgroup.Group
	for i, site := range sites {
		here := placeOf(s, site, at)
		places = append(places, here)
		all.requests[i] = siteProof(s, site, here, wait)
		all.requests[i].Objects = manifests.Objects
		reaching.Go(func() error { here.Reach(ctx); return nil })
	}
	_ = reaching.Wait()
	if len(sites) > 1 {
		for _, p := range all.requests {
			p.Via = gatewaysOf(p)
		}
	}
	all.close = func() {
		for _, p := range places {
			p.Close()
		}
	}
	return all
}

// placeOf is where a site's Gateways are, which are not reached yet.
func placeOf(s *proof.Snapshot, site proof.Site, at place.Existing) *place.Existing {
	facts := place.Facts{Services: s.Services, Slices: s.Slices, Pods: s.Pods, Runs: implementation.Of(site.Controller).Serving(s.Pods)}
	at.Targets = targets(site.Gateways, facts)
	return &at
}

// reusing returns a snapshot once, and then those that take reads.
func reusing(first *proof.Snapshot, take func(context.Context) (*proof.Snapshot, error)) func(context.Context) (*proof.Snapshot, error) {
	return func(ctx context.Context) (s *proof.Snapshot, err error) {
		if s, first = first, nil; s == nil {
			s, err = take(ctx)
		}
		return s, err
	}
}

// mostUnplanned is how many requests are sent without their plan having been said.
const mostUnplanned = 50

// sayPlan says of many requests to an existing cluster how many there will be, and how long that takes.
func (v *verification) sayPlan(of survey) {
	if of.first == nil {
		return
	}
	sum := 0
	for _, p := range of.requests {
		sum += len(slices.DeleteFunc(p.Requests(of.first), func(r proof.Promise) bool { return r.Request == nil || r.Request.Unproven != "" }))
	}
	if plan := requestPlan(sum, len(of.requests), v.config); plan.Found != "" {
		v.ui.Show(ui.Check{What: "plan", Finding: plan})
	}
}

// requestPlan is the plan of some requests to some sites; empty for few of them. It warns of one that the run has no time for.
func requestPlan(requests, sites int, config Config) check.Finding {
	if requests <= mostUnplanned {
		return check.Finding{}
	}
	plan := fmt.Sprintf("%d requests to %s, GET and HEAD only", requests, count(sites, "site"))
	if config.Rate == 0 {
		return check.Finding{Verdict: check.Holds, Found: plan}
	}
	verdict, takes := check.Holds, time.Duration(requests/config.Rate)*time.Second
	plan += fmt.Sprintf(", at most %d a second: about %d s", config.Rate, int(takes.Seconds()))
	if takes > config.Timeout {
		verdict = check.Warns
		plan += fmt.Sprintf(", and the run ends after %s (KINDGATE_TIMEOUT)", config.Timeout)
	}
	return check.Finding{Verdict: verdict, Found: plan + ". KINDGATE_RATE sets another rate, KINDGATE_NAMESPACES leaves routes out"}
}

// sayReached says once for each Gateway how it is reached.
func (v *verification) sayReached(p *proof.Proof) {
	said := map[int]bool{}
	for i := range p.Gateways {
		for _, listener := range p.Gateways[i].Spec.Listeners {
			port, ok := p.Place.Port(int32(listener.Port))
			if !ok || said[port] {
				continue
			}
			said[port] = true
			finding := p.Place.Entry(port).Judge(v.run.Context())
			finding.Found = fmt.Sprintf("port %d %s", port, finding.Found)
			v.ui.Check(ui.Check{What: gatewaysOf(p), Finding: finding})
		}
	}
}

// targets are how the listeners of Gateways that share an address are reached, by their ports.
func targets(gateways []gatewayv1.Gateway, facts place.Facts) map[int32]place.Target {
	all := map[int32]place.Target{}
	for i := range gateways {
		for _, listener := range gateways[i].Spec.Listeners {
			if _, ok := gateway.Scheme(listener.Protocol); !ok {
				continue
			}
			if known, ok := all[int32(listener.Port)]; !ok || known.Pod == "" {
				all[int32(listener.Port)] = facts.Target(&gateways[i], int32(listener.Port))
			}
		}
	}
	return all
}

// siteProof is the proof of a site's routes, by requests to where it is.
func siteProof(s *proof.Snapshot, site proof.Site, at *place.Existing, wait func(context.Context) error) *proof.Proof {
	serving := implementation.Of(site.Controller)
	for _, target := range at.Targets {
		for i := range s.Pods {
			if pod := &s.Pods[i]; !serving.Unfamiliar && pod.Namespace == target.Namespace && pod.Name == target.Pod {
				serving.Workload = implementation.DataPlane(pod)
			}
		}
	}
	return &proof.Proof{Manifests: site.Manifests, Implementation: serving, Place: at, Apart: true, Careful: true, Authority: sync.OnceValue(roots), Made: tlsSecret,
		Prober: probe.New(probe.Options{Dial: at.Dial, Wait: wait, ReadOnly: true})}
}

func gatewaysOf(p *proof.Proof) string {
	var names []string
	for i := range p.Gateways {
		names = append(names, check.ID{Kind: "Gateway", Namespace: p.Gateways[i].Namespace, Name: p.Gateways[i].Name}.String())
	}
	return strings.Join(names, ", ")
}
