package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
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
}

// errOwnOnly is the error of a target that writes to the cluster, where a context names one that kindgate did not make.
var errOwnOnly = errors.New("KINDGATE_CONTEXT names a cluster that kindgate did not make: verify, explain, status and check work on it, and change nothing. " +
	"What brings up or deletes a cluster works on kindgate's own: unset KINDGATE_CONTEXT")

// Own returns an error unless the run is about kindgate's own cluster.
func (s *Stack) Own() error {
	if s.config.Context != "" {
		return errOwnOnly
	}
	return nil
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

// contextOf returns the configuration of a context's cluster, of which no client writes.
func contextOf(config Config) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = config.Kubeconfig
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
	cfg.QPS, cfg.Timeout = -1, limits.Reading
	return kube.ReadOnly(cfg), nil
}

// survey returns what is proven: the manifests on kindgate's own cluster, or what the cluster of a context has.
func (v *verification) survey(ctx context.Context) (survey, error) {
	if v.config.Context == "" {
		v.cluster.Attach(ctx)
		_, err := v.kube()
		return survey{v.proof, []*proof.Proof{v.proof}, v.snapshot, func() {}}, err
	}
	cfg, err := contextOf(v.config)
	if err != nil {
		return survey{}, err
	}
	client, err := kube.New(cfg, kube.Options{})
	if err != nil {
		return survey{}, err
	}
	take := func(ctx context.Context) (*proof.Snapshot, error) {
		s, err := proof.Survey(ctx, client, v.config.namespaces())
		if err != nil {
			err = fmt.Errorf("context %s: %w", v.config.Context, err)
		}
		return s, err
	}
	s, err := take(ctx)
	if err != nil {
		return survey{}, err
	}
	return v.existing(ctx, s, place.Existing{Context: v.config.Context, Kubeconfig: v.config.Kubeconfig, REST: cfg, Client: client}, take), nil
}

// existing is what a snapshot has of a cluster that is somebody's. Each of its sites is reached, and said how.
func (v *verification) existing(ctx context.Context, s *proof.Snapshot, at place.Existing, take func(context.Context) (*proof.Snapshot, error)) survey {
	manifests := s.Existing(v.config.namespaces())
	for _, unread := range s.Unread {
		v.ui.Check(ui.Warning, "rights", unread, "What depends on it is not known. KINDGATE_NAMESPACES=NAME,… reads some namespaces only.")
	}
	sites, wait := s.Sites(manifests), probe.AtMost(v.config.Rate)
	all := survey{conditions: &proof.Proof{Manifests: manifests, Implementation: implementation.Of(""), Place: &at, Careful: true},
		requests: make([]*proof.Proof, len(sites)), take: take}
	var places []*place.Existing
	var reaching errgroup.Group
	for i, site := range sites {
		facts := place.Facts{Services: s.Services, Slices: s.Slices, Pods: s.Pods, Runs: implementation.Of(site.Controller).Labelled}
		here := &place.Existing{Context: at.Context, Kubeconfig: at.Kubeconfig, REST: at.REST, Client: at.Client, Targets: targets(site.Gateways, facts)}
		places = append(places, here)
		all.requests[i] = siteProof(s, site, here, wait)
		reaching.Go(func() error { here.Reach(ctx); return nil })
	}
	_ = reaching.Wait()
	if len(sites) > 1 {
		for _, p := range all.requests {
			p.Via = gatewaysOf(p)
		}
	}
	v.sayPlan(s, all.requests)
	all.close = func() {
		for _, p := range places {
			p.Close()
		}
	}
	return all
}

// mostUnplanned is how many requests are sent without their plan having been said.
const mostUnplanned = 50

// sayPlan says how each site is reached, and of many requests how many there will be.
func (v *verification) sayPlan(s *proof.Snapshot, sites []*proof.Proof) {
	sum := 0
	for _, p := range sites {
		asked := slices.DeleteFunc(p.Requests(s), func(r proof.Promise) bool { return r.Request == nil || r.Request.Unproven != "" })
		sum += len(asked)
		v.sayReached(p)
	}
	if sum <= mostUnplanned {
		return
	}
	plan := fmt.Sprintf("%d requests to %s, GET and HEAD only", sum, count(len(sites), "site"))
	if v.config.Rate > 0 {
		plan += fmt.Sprintf(", at most %d a second: about %d s. KINDGATE_RATE sets another rate, KINDGATE_NAMESPACES leaves routes out", v.config.Rate, sum/v.config.Rate)
	}
	v.ui.Check(ui.OK, "plan", plan, "")
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
			v.ui.Check(level(finding), gatewaysOf(p), fmt.Sprintf("port %d %s", port, finding.Found), "")
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
	return &proof.Proof{Manifests: site.Manifests, Implementation: serving, Place: at, Apart: true, Careful: true,
		Prober: probe.New(probe.Options{Dial: at.Dial, Wait: wait, ReadOnly: true})}
}

func gatewaysOf(p *proof.Proof) string {
	var names []string
	for i := range p.Gateways {
		names = append(names, check.ID{Kind: "Gateway", Namespace: p.Gateways[i].Namespace, Name: p.Gateways[i].Name}.String())
	}
	return strings.Join(names, ", ")
}
