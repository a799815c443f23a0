// Package stack puts the parts together: the configuration, the steps that the targets run, and what the user is told of them.
package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"github.com/gofrs/flock"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/crds"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/place"
	"kindgate/magefiles/internal/probe"
	"kindgate/magefiles/internal/proof"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/traefik"
	"kindgate/magefiles/internal/ui"
)

// A Stack is one run of kindgate in the current folder. New makes one; its methods are the steps of the graph, and may run side by side.
type Stack struct {
	config  Config
	ui      *ui.UI
	inputs  inputs
	wrong   error
	cluster *cluster.Cluster
	names   *hostNames
	proof   *proof.Proof

	run  *run.Run
	lock func() error
	held *flock.Flock
	kube func() (*kube.Client, error)
	helm func() *traefik.Traefik

	release      *helmRelease
	examiner     *examiner
	verification *verification
	applied      []kube.Change // what the apps step has applied
}

// New reads the configuration from environ, and all files of the current folder that a run depends on. It touches nothing else. Its
// error has all that is wrong with the configuration; what is wrong with the files is Ready's.
func New(environ []string) (*Stack, error) {
	config, err := ReadConfig(environ)
	if err != nil {
		return nil, err
	}
	setUpProcess()
	s := &Stack{config: config, ui: newUI(config)}
	s.run = run.New(run.Options{UI: s.ui, Limit: config.Timeout, Expired: fmt.Errorf("gave up after %s (KINDGATE_TIMEOUT)", config.Timeout), Advise: advised})
	s.inputs, s.wrong = readInputs(config)
	s.cluster = cluster.New(cluster.Options{
		Name: config.Cluster, Config: s.inputs.kind, NodeImage: config.NodeImage, Kubeconfig: config.Kubeconfig, Provider: config.Provider,
		Adopt: config.Adopt,
		BeforeCreate: func(ctx context.Context, engine cluster.Info) error {
			if err := s.examiner.checkFree(ctx, engine); err != nil {
				return err
			}
			return s.release.check()
		},
		Connect: func(cfg *rest.Config) *rest.Config { return kube.Patient(s.run.Context(), cfg, s.run.Note) },
	})
	s.proof = &proof.Proof{
		Manifests:      proof.Manifests{Classes: s.inputs.classes, Gateways: s.inputs.gateways, Routes: s.inputs.httpRoutes, Objects: s.inputs.routes},
		Implementation: serving,
		Prober:         probe.New(),
		Place: &place.Kind{Cluster: s.cluster, Name: config.Cluster, Kubeconfig: config.Kubeconfig, Ports: s.nodePorts(),
			Client: func() (*kube.Client, error) { return s.kube() }},
	}
	s.names = &hostNames{file: hosts.File{Path: config.HostsFile, Cluster: config.Cluster}, all: config.Hosts == allNames, proof: s.proof,
		httpPort: config.HTTPPort, note: s.ui.Note}
	s.lock = sync.OnceValue(func() (err error) {
		s.held, err = takeLock(s.run.Context(), config.Cluster, s.ui.Note)
		return err
	})
	s.kube = sync.OnceValues(s.connect)
	s.helm = sync.OnceValue(s.newTraefik)
	s.release = &helmRelease{helm: s.helm, kube: func() (*kube.Client, error) { return s.kube() }, api: s.cluster.API, services: s.cluster.Services,
		mayTakeOver: func() bool { return config.Adopt || s.cluster.Earlier() }, // in the cluster of an earlier kindgate, a release without an owner is ours
		proof:       s.proof, inputs: s.inputs, kubernetes: cluster.KubernetesVersion(config.NodeImage), note: s.ui.Note}
	s.examiner = &examiner{config: config, files: s.wrong, cluster: s.cluster, names: s.names, proof: s.proof, release: s.release, helm: s.helm,
		kube: s.kube}
	s.verification = &verification{proof: s.proof, names: s.names, kube: s.kube, ui: s.ui}
	s.release.rendered = sync.OnceValues(s.release.render)
	return s, nil
}

// setUpProcess sets what holds for the whole process: client-go and Helm keep their remarks to themselves, as what matters comes back as an
// error.
func setUpProcess() {
	klog.SetLogger(logr.Discard())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	traefik.UseManager()
}

// Ready returns what is wrong with the files that a run depends on, all of it.
func (s *Stack) Ready() error { return s.wrong }

func newUI(config Config) *ui.UI {
	terminal := term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("TERM") != "dumb" && ui.EnableTerminal(os.Stdout)
	json := config.Output == "json"
	return ui.New(os.Stdout, ui.Options{
		JSON: json, Live: terminal && !json, Color: terminal && !json && !config.NoColor,
		Width: func() int {
			if width, _, err := term.GetSize(int(os.Stdout.Fd())); terminal && err == nil && width > 0 {
				return width
			}
			return 80
		},
	})
}

// inputs are the files that a run depends on.
type inputs struct {
	kind       *v1alpha4.Cluster
	apps       []kube.Object // every object that is not the Gateway API's
	routes     []kube.Object // those that are
	values     map[string]any
	gateways   []gatewayv1.Gateway
	httpRoutes []gatewayv1.HTTPRoute
	classes    []string // the GatewayClasses that the Gateways name
}

func readInputs(config Config) (inputs, error) {
	var in inputs
	var problems []error
	data, err := atomicfile.Read(clusterFile)
	if err != nil {
		return in, fmt.Errorf("%w\nkindgate runs in its own folder, where %s and %s/ are.", err, clusterFile, manifestsDir)
	}
	if data, err = kube.OneDocument(data, clusterFile); err == nil {
		in.kind, err = cluster.ParseConfig(data, clusterFile, config.HTTPPort, config.HTTPSPort)
	}
	problems = append(problems, err)
	objects, err := kube.ReadDir(atomicfile.DirFS(manifestsDir), manifestsDir, func(path string) bool { return path == valuesFile })
	problems = append(problems, err)
	for _, object := range objects {
		if object.GroupVersionKind().Group == crds.Group {
			if object.GetKind() != "GatewayClass" && object.GetNamespace() == "" {
				object.SetNamespace("default") // as kubectl would
			}
			in.routes = append(in.routes, object)
		} else {
			in.apps = append(in.apps, object)
		}
	}
	data, err = atomicfile.Read(filepath.FromSlash(valuesPath))
	problems = append(problems, err)
	data, err = kube.OneDocument(data, valuesPath)
	problems = append(problems, err)
	if err := yaml.Unmarshal(data, &in.values); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", valuesPath, err))
	}
	in.gateways, err = ofKind[gatewayv1.Gateway](in.routes, "Gateway")
	problems = append(problems, err)
	in.httpRoutes, err = ofKind[gatewayv1.HTTPRoute](in.routes, "HTTPRoute")
	problems = append(problems, err)
	for _, gw := range in.gateways {
		in.classes = append(in.classes, string(gw.Spec.GatewayClassName))
	}
	slices.Sort(in.classes)
	in.classes = slices.Compact(in.classes)
	return in, errors.Join(problems...)
}

// nodePorts are the ports of this machine, by those of the node that they lead to.
func (s *Stack) nodePorts() map[int32]int {
	ports := map[int32]int{}
	for _, door := range serving.Doors {
		if port := s.config.port(door.Scheme); port != 0 {
			ports[door.OnNode] = port
		}
	}
	return ports
}

func ofKind[T any](objects []kube.Object, kind string) ([]T, error) {
	var raw []unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind {
			raw = append(raw, *object.Unstructured)
		}
	}
	return kube.As[T](raw)
}

func (s *Stack) connect() (*kube.Client, error) {
	cfg, err := s.cluster.API(s.run.Context())
	if err != nil {
		return nil, err
	}
	return kube.New(cfg, kube.Options{TakeOver: s.config.Adopt, Kubectl: s.proof.Place.Kubectl("")})
}

func (s *Stack) newTraefik() *traefik.Traefik {
	return traefik.New(s.run.Context(), traefik.Options{
		Release: serving.Release, Namespace: serving.Namespace, Chart: s.config.TraefikChart, Repo: s.config.TraefikRepo, Name: serving.Chart,
		Version: strings.TrimPrefix(s.config.TraefikVersion, "v"), Digest: s.config.TraefikDigest,
		Cache: filepath.Join(cacheDir(), "charts"), Values: s.inputs.values, ValuesFile: valuesPath,
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

// Context returns the context of the whole run, which ends with ctx, the first that is given, and at the time limit.
func (s *Stack) Context(ctx context.Context) context.Context { return s.run.Begin(ctx) }

// Failure returns what has failed in this run, each failed step once.
func (s *Stack) Failure() error { return s.run.Failure() }

// summarize says in a few words which of the changes made a step more than unchanged.
func summarize(changes []kube.Change) (result.Result, string) {
	var results []result.Result
	var names []string
	for _, change := range changes {
		results = append(results, change.Result)
		if change.Result != result.Unchanged {
			names = append(names, fmt.Sprintf("%s %s", change.Result, change.Object.Name()))
		}
	}
	sum := result.Of(results...)
	if sum == result.Created || sum == result.Unchanged {
		return sum, count(len(changes), "object")
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("and %d more", more))
	}
	return sum, strings.Join(names, ", ")
}
