// Package traefik keeps the Helm release of Traefik as it should be: it installs, upgrades, and recovers a release that an
// interrupted run has left behind. It is the only package that knows Helm.
package traefik

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kindgate/magefiles/internal/limits"
)

// Where a Helm may keep its releases, as HELM_DRIVER has it. See https://helm.sh/docs/topics/advanced/#storage-backends.
const inSecrets, inConfigMaps = "secret", "configmap"

// Deployed is the status of a release that was installed or upgraded to its end.
const Deployed = string(release.StatusDeployed)

// Manager is the field manager under which Helm writes objects.
const Manager = "helm"

// Options says which chart is installed, as what, and with which values.
type Options struct {
	// Release and Namespace name the Helm release.
	Release, Namespace string
	// Chart is a folder, a .tgz, or empty for the repository's chart.
	Chart string
	// Repo is a chart repository's URL, Name the chart's name in it, Version an exact version, and Digest the SHA-256 of its archive in
	// hexadecimal, empty where none is known.
	Repo, Name, Version, Digest string
	// Cache is a folder in which downloaded charts are kept.
	Cache string
	// Values are the user's values for the chart, and ValuesFile is where they are, for messages.
	Values     map[string]any
	ValuesFile string
}

// A Release is what Helm has stored about Traefik.
type Release struct {
	// Status is Helm's word: deployed, failed, pending-install, …
	Status string
	// Revision counts the release's installs, upgrades and rollbacks, from 1.
	Revision int
	// ChartVersion is the chart's version, AppVersion Traefik's.
	ChartVersion, AppVersion string
	// Manifest is the rendered objects, as a YAML stream.
	Manifest string
	// Ours tells whether kindgate installed it. Earlier releases of kindgate left no word of that.
	Ours bool

	stored *release.Release
}

// chart is the chart's name and version as it was stored.
func (r *Release) chart() string {
	if r.stored.Chart == nil || r.stored.Chart.Metadata == nil {
		return "unknown"
	}
	return r.stored.Chart.Metadata.Name + " " + r.stored.Chart.Metadata.Version
}

// Traefik is one Helm release. New makes one.
type Traefik struct {
	options Options
	chart   func() (*chart.Chart, error)
	fetch   context.Context
}

// UseManager has Helm write objects as Manager, in the whole process. Otherwise it would take the program's name.
func UseManager() { kube.ManagedFieldsManager = Manager }

// New touches nothing. fetch bounds the chart's download, which happens when it is first needed.
func New(fetch context.Context, options Options) *Traefik {
	t := &Traefik{options: options, fetch: fetch}
	t.chart = sync.OnceValues(t.loadChart)
	return t
}

// Rendered returns the objects the chart would create on a Kubernetes of the given version (v1.34.0), as a YAML stream. No cluster is
// asked. Values that the chart refuses are an error.
func (t *Traefik) Rendered(kubernetes string) (string, error) {
	ch, err := t.chart()
	if err != nil {
		return "", err
	}
	version, err := chartutil.ParseKubeVersion(kubernetes)
	if err != nil {
		return "", err
	}
	install := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	install.ClientOnly, install.DryRun, install.KubeVersion = true, true, version
	install.ReleaseName, install.Namespace, install.SkipCRDs = t.options.Release, t.options.Namespace, true
	rendered, err := install.RunWithContext(t.fetch, ch, t.options.Values)
	if err != nil {
		return "", fmt.Errorf("%s: the chart cannot be rendered with these values: %w", t.options.ValuesFile, err)
	}
	return rendered.Manifest, nil
}

// Stored returns the newest revision of the release, nil where there is none. One that somebody's Helm keeps in ConfigMaps
// (HELM_DRIVER=configmap) is an error: ours would be a second of the same name.
func (t *Traefik) Stored(cfg *rest.Config) (*Release, error) {
	configuration, err := t.configuration(cfg, inSecrets)
	if err != nil {
		return nil, err
	}
	last, err := configuration.Releases.Last(t.options.Release)
	if isNone(err) {
		return nil, t.checkElsewhere(cfg)
	}
	if err != nil {
		return nil, t.explain("read", err)
	}
	r := &Release{Status: last.Info.Status.String(), Revision: last.Version, Manifest: last.Manifest, Ours: last.Labels[ownerLabel] != "", stored: last}
	if last.Chart != nil && last.Chart.Metadata != nil {
		r.ChartVersion, r.AppVersion = last.Chart.Metadata.Version, last.Chart.Metadata.AppVersion
	}
	return r, nil
}

func isNone(err error) bool {
	return errors.Is(err, driver.ErrReleaseNotFound) || errors.Is(err, driver.ErrNoDeployedReleases)
}

// checkElsewhere returns an error for a release that is kept in ConfigMaps.
func (t *Traefik) checkElsewhere(cfg *rest.Config) error {
	configuration, err := t.configuration(cfg, inConfigMaps)
	if err != nil {
		return err
	}
	_, err = configuration.Releases.Last(t.options.Release)
	switch {
	case isNone(err):
		return nil
	case err != nil:
		return t.explain("look for", err)
	}
	return t.explain("find", errors.New("it is kept in ConfigMaps, by a Helm with HELM_DRIVER=configmap, so kindgate has not installed it, "+
		"and installs no second one of this name. Uninstall it there first"))
}

// UpToDate tells whether the stored release is deployed, from the chart and with the values that are wanted, and if not, why. A chart
// from the repository is told by its version, and not fetched; one from the user's disk by its content, which may change under one version.
func (t *Traefik) UpToDate(stored *Release) (ok bool, reason string, err error) {
	switch {
	case stored == nil:
		return false, "it is not installed", nil
	case stored.Status != Deployed:
		return false, "it was left " + stored.Status, nil
	case !sameValues(stored.stored.Config, t.options.Values):
		return false, "its values have changed", nil
	}
	if t.options.Chart == "" {
		return stored.ChartVersion == t.options.Version, "its chart was " + stored.ChartVersion, nil
	}
	ch, err := t.chart()
	if err != nil {
		return false, "", err
	}
	return sameChart(stored.stored.Chart, ch), "its chart has changed", nil
}

// ownerLabel on a release's record says that kindgate installed it, or has taken it over.
const ownerLabel = "kindgate"

var ownerLabels = map[string]string{ownerLabel: "owner"}

// A ForeignError is about a release of the wanted name that kindgate did not install. It was left as it is.
type ForeignError struct {
	Namespace, Release, Chart string
}

func (f *ForeignError) Error() string {
	return fmt.Sprintf("Helm release %s/%s, of chart %s, was not installed by kindgate", f.Namespace, f.Release, f.Chart)
}

// MayChange returns a ForeignError for a stored release that kindgate did not install, unless it may be taken over.
func (t *Traefik) MayChange(stored *Release, takeOver bool) error {
	if stored != nil && !stored.Ours && !takeOver {
		return &ForeignError{t.options.Namespace, t.options.Release, stored.chart()}
	}
	return nil
}

// Reconcile installs or upgrades the release, and returns the release that is then stored. A release that was left pending is first
// marked as failed, as nobody else is at work on it; objects that are there without a release are taken over, and keep running. A release
// that kindgate did not install is a ForeignError, unless it may be taken over.
func (t *Traefik) Reconcile(ctx context.Context, cfg *rest.Config, stored *Release, takeOver bool) (*Release, error) {
	if err := t.MayChange(stored, takeOver); err != nil {
		return nil, err
	}
	ch, err := t.chart()
	if err != nil {
		return nil, err
	}
	configuration, err := t.configuration(cfg, inSecrets)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return t.install(ctx, configuration, ch)
	}
	if status := stored.stored.Info.Status; status != release.StatusDeployed && status != release.StatusFailed && status != release.StatusSuperseded {
		stored.stored.SetStatus(release.StatusFailed, "kindgate: left "+status.String()+" by an interrupted run")
		if err := configuration.Releases.Update(stored.stored); err != nil {
			return nil, t.explain("recover", err)
		}
	}
	upgrade := action.NewUpgrade(configuration)
	upgrade.Namespace, upgrade.SkipCRDs, upgrade.ResetValues = t.options.Namespace, true, true
	upgrade.DisableOpenAPIValidation, upgrade.MaxHistory, upgrade.Timeout = true, 5, limits.ChartHook
	upgrade.Labels = ownerLabels
	upgraded, err := upgrade.RunWithContext(ctx, t.options.Release, ch, t.options.Values)
	if err != nil {
		return nil, t.explain("upgrade to", err)
	}
	return &Release{Status: upgraded.Info.Status.String(), Revision: upgraded.Version, ChartVersion: ch.Metadata.Version,
		AppVersion: ch.Metadata.AppVersion, Manifest: upgraded.Manifest, Ours: true, stored: upgraded}, nil
}

func (t *Traefik) install(ctx context.Context, configuration *action.Configuration, ch *chart.Chart) (*Release, error) {
	install := action.NewInstall(configuration)
	install.ReleaseName, install.Namespace = t.options.Release, t.options.Namespace
	install.SkipCRDs = true // the Gateway API's come from go.mod's module, and Traefik's own are not used
	install.DisableOpenAPIValidation, install.Timeout, install.Labels = true, limits.ChartHook, ownerLabels
	installed, err := install.RunWithContext(ctx, ch, t.options.Values)
	if err != nil {
		return nil, t.explain("install", err)
	}
	return &Release{Status: installed.Info.Status.String(), Revision: installed.Version, ChartVersion: ch.Metadata.Version,
		AppVersion: ch.Metadata.AppVersion, Manifest: installed.Manifest, Ours: true, stored: installed}, nil
}

// Uninstall deletes the release with its objects, and returns when they are gone. The chart's annotations may keep some.
func (t *Traefik) Uninstall(ctx context.Context, cfg *rest.Config) error {
	configuration, err := t.configuration(cfg, inSecrets)
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(configuration)
	uninstall.Wait, uninstall.Timeout, uninstall.DeletionPropagation = true, limits.Uninstall, "foreground"
	if deadline, ok := ctx.Deadline(); ok {
		uninstall.Timeout = min(uninstall.Timeout, time.Until(deadline))
	}
	if _, err = uninstall.Run(t.options.Release); err != nil {
		return t.explain("uninstall", err)
	}
	return nil
}

func (t *Traefik) explain(verb string, err error) error {
	return fmt.Errorf("%s Helm release %s/%s: %w", verb, t.options.Namespace, t.options.Release, err)
}

// configuration is Helm's for releases that are kept by a driver of its.
func (t *Traefik) configuration(cfg *rest.Config, storage string) (*action.Configuration, error) {
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	configuration := &action.Configuration{}
	err = configuration.Init(&clientGetter{cfg, t.options.Namespace, memory.NewMemCacheClient(disco)}, t.options.Namespace, storage, func(string, ...any) {})
	if err != nil {
		return nil, err
	}
	configuration.HookOutputFunc = func(_, _, _ string) io.Writer { return io.Discard }
	return configuration, nil
}

// clientGetter gives Helm the connection that we have, in place of one it would read from a kubeconfig.
type clientGetter struct {
	cfg       *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
}

// ToRESTConfig is part of Helm's interface, as are the methods below.
func (g *clientGetter) ToRESTConfig() (*rest.Config, error) { return g.cfg, nil }

// ToDiscoveryClient returns the one discovery client, which asks once.
func (g *clientGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

// ToRESTMapper returns a mapper over that discovery client.
func (g *clientGetter) ToRESTMapper() (meta.RESTMapper, error) {
	return restmapper.NewDeferredDiscoveryRESTMapper(g.discovery), nil
}

// ToRawKubeConfigLoader returns a configuration that names the release's namespace and nothing else.
func (g *clientGetter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}})
}

// sameValues compares values as they read from YAML and from the stored JSON, which have numbers of different types.
func sameValues(a, b map[string]any) bool {
	x, errX := chartutil.Values(a).YAML()
	y, errY := chartutil.Values(b).YAML()
	return errX == nil && errY == nil && x == y
}

// sameChart compares what a release is rendered from.
func sameChart(a, b *chart.Chart) bool {
	if a == nil || a.Metadata == nil || a.Metadata.Version != b.Metadata.Version || !sameValues(a.Values, b.Values) || len(a.Templates) != len(b.Templates) {
		return false
	}
	files := map[string]string{}
	for _, template := range a.Templates {
		files[template.Name] = string(template.Data)
	}
	for _, template := range b.Templates {
		if content, ok := files[template.Name]; !ok || content != string(template.Data) {
			return false
		}
	}
	return reflect.DeepEqual(strings.TrimSpace(a.Metadata.AppVersion), strings.TrimSpace(b.Metadata.AppVersion))
}
