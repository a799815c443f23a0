// Package stack puts the parts together: the configuration, the steps that the targets run, and what the user is told of them.
package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-logr/logr"
	"github.com/gofrs/flock"
	"golang.org/x/term"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/inventory"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/place"
	"kindgate/magefiles/internal/probe"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/traefik"
	"kindgate/magefiles/internal/ui"
)

// A Stack is one run of kindgate in the current folder. New makes one. Its parts have the steps of the graph, which may run side by side, and
// the targets that stand alone.
type Stack struct {
	Cluster   clusterSteps
	Release   *helmRelease
	Objects   *objectSteps
	Routes    *verification
	Explainer *explainer
	Names     *hostNames
	Examiner  *examiner
	Planner   *planner
	Trials    *trials

	*session
	misconfigured error
	environ       []string
	running       atomic.Int32 // targets that have begun and not ended
}

// A session is what the parts of a run share.
type session struct {
	config  Config
	inputs  inputs
	wrong   error // what is wrong with the files
	ui      *ui.UI
	run     *run.Run
	cluster *cluster.Cluster
	ground  ground // the cluster, or that of a context
	proof   *proof.Proof
	// far is the way to the cluster of a context, read once: whoever changes the kubeconfig while a run is under way, or waits to be approved, does not
	// lead it to another cluster.
	far   func() (*rest.Config, error)
	lock  func() error // waits until it is this run's turn
	held  *flock.Flock // the lock, once it is
	kube  func() (*kube.Client, error)
	helm  func() *traefik.Traefik
	drawn *drawing.Drawing // what the run has proven; nil where it has not come to that
	// images are what the engine and the nodes have, when these have been copied; nil where they are not held against each other.
	images       *cluster.Images
	leftOutdated atomic.Bool // pods run an older image, and are not replaced by themselves

	proven *verified // by the routes' wait; nil where it has not ended, or something was changed since

	inventory func() (*inventory.Store, error)
}

// New reads the configuration from environ, and all files of the current folder that a run depends on. It touches nothing else. Where the
// configuration is wrong, no target runs its steps, and where the files could not be read, only those that can do without.
func New(environ []string) *Stack {
	config, err := ReadConfig(environ)
	setUpProcess()
	s := &Stack{session: newSession(config), misconfigured: err, environ: environ}
	s.Names = &hostNames{file: hosts.File{Path: config.HostsFile, Cluster: config.Cluster}, all: config.Hosts == allNames, session: s.session}
	s.Release = &helmRelease{chart: &chart{session: s.session}}
	s.Release.rendered = sync.OnceValues(s.Release.render)
	s.Objects = &objectSteps{session: s.session}
	s.Routes = &verification{session: s.session, names: s.Names}
	s.Explainer = &explainer{s.session, s.Routes}
	s.Examiner = &examiner{session: s.session, names: s.Names, release: s.Release, routes: s.Routes}
	s.Examiner.faults = sync.OnceValue(s.Examiner.judge)
	s.Trials = &trials{s.session}
	s.cluster = s.newCluster()
	s.Planner = &planner{session: s.session, release: s.Release, objects: s.Objects}
	s.ground, s.Cluster = s.cluster, &kindSteps{session: s.session, release: s.Release}
	if config.Context != "" {
		ground := &contextGround{session: s.session}
		s.ground, s.Cluster = ground, &contextSteps{session: s.session, ground: ground, planner: s.Planner}
	}
	s.proof = s.newProof()
	return s
}

func newSession(config Config) *session {
	s := &session{config: config, ui: newUI(config)}
	s.run = run.New(run.Options{UI: s.ui, Limit: config.Timeout, Expired: fmt.Errorf("gave up after %s (KINDGATE_TIMEOUT)", config.Timeout), Advise: advised})
	s.inputs, s.wrong = readInputs(config)
	s.far = sync.OnceValues(func() (*rest.Config, error) { return contextOf(config) })
	s.kube = sync.OnceValues(s.connect)
	s.inventory = sync.OnceValues(s.newInventory)
	s.helm = sync.OnceValue(s.newTraefik)
	s.lock = sync.OnceValue(func() (err error) {
		name, err := s.lockName()
		if err == nil {
			s.held, err = takeLock(s.run.Context(), name, s.ui.Note)
		}
		return err
	})
	return s
}

func (s *Stack) newCluster() *cluster.Cluster {
	return cluster.New(cluster.Options{
		Name: s.config.Cluster, Config: s.inputs.kind, NodeImage: s.config.NodeImage, Kubeconfig: s.config.Kubeconfig, Provider: s.config.Provider,
		Adopt: s.config.Adopt,
		BeforeCreate: func(ctx context.Context, engine cluster.Info) error {
			if err := s.Examiner.checked(); err != nil {
				return err
			}
			if err := s.Examiner.checkFree(ctx, engine); err != nil {
				return err
			}
			return errors.Join(s.Release.check(), undefined(s.inputs.objects))
		},
		Connect: func(cfg *rest.Config) *rest.Config { return kube.Patient(s.run.Context(), cfg, s.run.Note) },
	})
}

func (s *session) newProof() *proof.Proof {
	manifests := proof.Manifests{Classes: s.inputs.classes, Gateways: s.inputs.gateways, Routes: s.inputs.served, Objects: s.inputs.routes}
	if s.config.Context != "" {
		return &proof.Proof{Manifests: manifests, Implementation: implementation.Of(serving.Controller), Careful: true,
			Place: &place.Existing{Context: s.config.Context, Kubeconfig: s.config.Kubeconfig}}
	}
	return &proof.Proof{
		Manifests:      manifests,
		Implementation: s.inputs.implementation(),
		Authority:      sync.OnceValue(roots), Made: tlsSecret,
		Prober: probe.New(probe.Options{}),
		Place: &place.Kind{Cluster: s.cluster, Name: s.config.Cluster, Kubeconfig: s.config.Kubeconfig, Ports: s.inputs.ports(s.config),
			Client: s.kube},
	}
}

// Ready tells whether the files that a run depends on could all be read. What is wrong with them, Check says. A look at an existing cluster
// needs none.
func (s *Stack) Ready(looks bool) bool {
	return s.wrong == nil || looks && (s.config.Context != "" || s.config.BundleFile != "")
}

// Failure returns what has failed in this run, each failed step once.
func (s *Stack) Failure() error { return s.run.Failure() }

// setUpProcess sets what holds for the whole process: client-go and Helm keep their remarks to themselves, as what matters comes back as an
// error.
func setUpProcess() {
	klog.SetLogger(logr.Discard())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	traefik.UseManager()
}

func newUI(config Config) *ui.UI {
	terminal := term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("TERM") != "dumb" && ui.EnableTerminal(os.Stdout)
	json := config.Output == "json"
	return ui.New(os.Stdout, ui.Options{
		Errors: os.Stderr, JSON: json, Live: terminal && !json, Color: terminal && !json && !config.NoColor,
		Width: func() int {
			if width, _, err := term.GetSize(int(os.Stdout.Fd())); terminal && err == nil && width > 0 {
				return width
			}
			return 80
		},
	})
}

func (s *session) connect() (*kube.Client, error) {
	cfg, err := s.ground.API(s.run.Context())
	if err != nil {
		return nil, err
	}
	record := func(ctx context.Context, first []kube.First) error {
		store, err := s.inventory()
		if err != nil {
			return err
		}
		return store.Record(ctx, first)
	}
	return kube.New(cfg, kube.Options{TakeOver: s.config.Adopt, Kubectl: s.proof.Place.Kubectl(""), Record: record})
}

func (s *session) newInventory() (*inventory.Store, error) {
	client, err := s.kube()
	if err != nil {
		return nil, err
	}
	return inventory.NewStore(client, serving.Namespace), nil
}

func (s *session) newTraefik() *traefik.Traefik {
	return traefik.New(s.run.Context(), traefik.Options{
		Release: serving.Release, Namespace: serving.Namespace, Chart: s.config.TraefikChart, Repo: s.config.TraefikRepo, Name: serving.Chart,
		Version: strings.TrimPrefix(s.config.TraefikVersion, "v"), Digest: s.config.TraefikDigest,
		Cache: filepath.Join(cacheDir(), "charts"), Values: s.inputs.values, ValuesFile: s.config.valuesPath(),
	})
}

// cacheDir is the user's folder for what can be made again.
func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "kindgate")
}
