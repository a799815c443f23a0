package traefik

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
)

// saved puts a small chart into a folder, as an archive, and returns its path.
func saved(t *testing.T, version, template string) string {
	t.Helper()
	ch := &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "traefik", Version: version, AppVersion: "v3"},
		Templates: []*chart.File{{Name: "templates/a.yaml", Data: []byte(template)}}, Values: map[string]any{"a": 1}}
	path, err := chartutil.Save(ch, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: {{ .Release.Namespace }}}\ndata: {v: {{ .Capabilities.KubeVersion.Version }}}\n"

func TestTheChartIsRenderedForTheGivenKubernetesWithoutACluster(t *testing.T) {
	tr := New(t.Context(), Options{Release: "traefik", Namespace: "ns", Chart: saved(t, "1.0.0", configMap), ValuesFile: "values.yaml"})
	manifest, err := tr.Rendered("v1.37.2")
	if err != nil || !strings.Contains(manifest, "namespace: ns") || !strings.Contains(manifest, "v: v1.37.2") {
		t.Errorf("%v\n%s", err, manifest)
	}
	if _, err := tr.Rendered("latest"); err == nil {
		t.Error("rendered for no version")
	}
	broken := New(t.Context(), Options{Release: "traefik", Namespace: "ns", Chart: saved(t, "1.0.0", "{{ fail \"no\" }}"), ValuesFile: "values.yaml"})
	if _, err := broken.Rendered("v1.37.2"); err == nil || !strings.Contains(err.Error(), "values.yaml: the chart cannot be rendered") {
		t.Error(err)
	}
}

func TestAReleaseIsUpToDateWhenItsStatusItsValuesAndItsChartAre(t *testing.T) {
	path := saved(t, "1.0.0", configMap)
	load := func(path string) *chart.Chart {
		ch, err := New(t.Context(), Options{Chart: path}).loadChart()
		if err != nil {
			t.Fatal(err)
		}
		return ch
	}
	values := map[string]any{"b": 2}
	stored := func(status string, config map[string]any, ch *chart.Chart) *Release {
		return &Release{Status: status, ChartVersion: ch.Metadata.Version, stored: &release.Release{Config: config, Chart: ch}}
	}
	local, fromRepo := Options{Chart: path, Values: values}, Options{Version: "1.0.0", Values: values}
	for _, test := range []struct {
		name    string
		options Options
		stored  *Release
		ok      bool
		reason  string
	}{
		{"none", local, nil, false, "it is not installed"},
		{"pending", local, stored("pending-install", values, load(path)), false, "it was left pending-install"},
		{"other values", local, stored(Deployed, nil, load(path)), false, "its values have changed"},
		{"the same, its numbers as JSON has them", local, stored(Deployed, map[string]any{"b": float64(2)}, load(path)), true, ""},
		{"another template", local, stored(Deployed, values, load(saved(t, "1.0.0", "kind: A\n"))), false, "its chart has changed"},
		{"the repository's, same version", fromRepo, stored(Deployed, values, load(path)), true, ""},
		{"the repository's, another version", fromRepo, stored(Deployed, values, load(saved(t, "2.0.0", configMap))), false, "its chart was 2.0.0"},
	} {
		ok, reason, err := New(t.Context(), test.options).UpToDate(test.stored)
		if err != nil || ok != test.ok || !ok && reason != test.reason {
			t.Errorf("%s: %t %q %v", test.name, ok, reason, err)
		}
	}
	if _, _, err := New(t.Context(), Options{Chart: "nowhere", Values: values}).UpToDate(stored(Deployed, values, load(path))); err == nil {
		t.Error("a chart that is not there is up to date")
	}
}

func TestAReleaseOfSomebodyElsesIsChangedOnlyWhenItMayBeTakenOver(t *testing.T) {
	tr := New(t.Context(), Options{Release: "traefik", Namespace: "ns"})
	theirs := &Release{stored: &release.Release{Chart: &chart.Chart{Metadata: &chart.Metadata{Name: "other", Version: "9"}}}}
	foreign := (*ForeignError)(nil)
	if err := tr.MayChange(theirs, false); !errors.As(err, &foreign) || foreign.Chart != "other 9" || !strings.Contains(err.Error(), "ns/traefik") {
		t.Error(err)
	}
	for _, allowed := range []error{tr.MayChange(theirs, true), tr.MayChange(nil, false), tr.MayChange(&Release{Ours: true}, false)} {
		if allowed != nil {
			t.Error(allowed)
		}
	}
	if got := (&Release{stored: &release.Release{}}).chart(); got != "unknown" {
		t.Error(got)
	}
}

func TestWhatIsNoChartIsSaidBeforeAnythingBegins(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{"nowhere", folder, os.DevNull} {
		chartError := (*ChartError)(nil)
		if err := New(t.Context(), Options{Chart: path}).Missing(); path != os.DevNull && (!errors.As(err, &chartError) || chartError.Path != path) {
			t.Errorf("%s: %v", path, err)
		}
		tr := New(t.Context(), Options{Chart: path})
		if !tr.AtHand() {
			t.Errorf("%s is to be fetched", path)
		}
		if _, err := tr.loadChart(); err == nil {
			t.Errorf("%s is loaded", path)
		}
	}
	if err := New(t.Context(), Options{}).Missing(); err != nil {
		t.Error(err)
	}
}

func TestAChartOfARepositoryIsFetchedOnceAndKeptByItsDigest(t *testing.T) {
	archive, err := os.ReadFile(saved(t, "1.0.0", configMap))
	if err != nil {
		t.Fatal(err)
	}
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path == "/index.yaml" {
			_, _ = w.Write([]byte("apiVersion: v1\nentries: {traefik: [{apiVersion: v2, name: traefik, version: 1.0.0, urls: [traefik-1.0.0.tgz]}]}\n"))
			return
		}
		_, _ = w.Write(archive)
	}))
	t.Cleanup(server.Close)
	options := Options{Repo: server.URL, Name: "traefik", Version: "1.0.0", Cache: filepath.Join(t.TempDir(), "charts")}
	first := New(t.Context(), options)
	if first.AtHand() {
		t.Error("at hand before it was fetched")
	}
	if ch, err := first.loadChart(); err != nil || ch.Metadata.Version != "1.0.0" || requests != 2 {
		t.Errorf("%v, %d requests", err, requests)
	}
	if again := New(t.Context(), options); !again.AtHand() || requests != 2 {
		t.Error("fetched again")
	}
	pinned := options
	pinned.Digest, pinned.Cache = strings.Repeat("0", 64), t.TempDir()
	if _, err := New(t.Context(), pinned).loadChart(); err == nil || !strings.Contains(err.Error(), "it is another chart, and is refused") {
		t.Error(err)
	}
	unknown := options
	unknown.Version = "2.0.0"
	if _, err := New(t.Context(), unknown).loadChart(); !errors.Is(err, ErrNoSuchChart) || !strings.Contains(err.Error(), "chart traefik 2.0.0 from "+server.URL+" cannot be fetched") {
		t.Error(err)
	}
	server.Close()
	gone := options
	gone.Cache = t.TempDir()
	chartError := (*ChartError)(nil)
	if _, err := New(t.Context(), gone).loadChart(); !errors.As(err, &chartError) || chartError.Repo != server.URL {
		t.Error(err)
	}
}
