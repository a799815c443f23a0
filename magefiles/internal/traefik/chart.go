package traefik

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/repo"

	"kindgate/magefiles/internal/atomicfile"
)

// A ChartError is about a chart that cannot be had.
type ChartError struct {
	// Path is where it should be on the user's disk; empty for one of a repository.
	Path string
	// Repo, Name and Version say which of a repository is meant.
	Repo, Name, Version string
	Err                 error
}

func (c *ChartError) Error() string {
	if c.Path != "" {
		return fmt.Sprintf("chart %s: %v", c.Path, c.Err)
	}
	return fmt.Sprintf("chart %s %s from %s %v", c.Name, c.Version, c.Repo, c.Err)
}

// Unwrap returns the cause.
func (c *ChartError) Unwrap() error { return c.Err }

// ErrNoSuchChart is the cause where a repository does not have the chart, or not in that version.
var ErrNoSuchChart = errors.New("the repository has no such chart and version")

// loadChart loads the chart from the user's disk, from the cache, or from the repository.
func (t *Traefik) loadChart() (*chart.Chart, error) {
	if ch, err := t.local(); ch != nil || err != nil {
		return ch, err
	}
	archive, digest, err := t.download()
	if err != nil {
		return nil, &ChartError{Repo: t.options.Repo, Name: t.options.Name, Version: t.options.Version, Err: fmt.Errorf("cannot be fetched: %w", err)}
	}
	ch, err := t.verified(archive, digest)
	if err != nil {
		return nil, fmt.Errorf("chart %s %s from %s: %w", t.options.Name, t.options.Version, t.options.Repo, err)
	}
	if err := os.MkdirAll(t.options.Cache, 0o755); err == nil { // only a cache: the next run would fetch again
		_ = atomicfile.Write(fmt.Sprintf("%s-%x.tgz", t.cached(), sha256.Sum256(archive)), archive, 0o644)
	}
	return ch, nil
}

// cached is where copies of the chart are kept, up to their digest.
func (t *Traefik) cached() string {
	repository := sha256.Sum256([]byte(t.options.Repo))
	return filepath.Join(t.options.Cache, fmt.Sprintf("%s-%s-%.12x", t.options.Name, t.options.Version, repository))
}

// AtHand tells whether the chart need not be fetched, be it for a chart that cannot be loaded.
func (t *Traefik) AtHand() bool {
	ch, err := t.local()
	return ch != nil || err != nil
}

// local loads the chart from the user's disk or from the cache; nil where it must be fetched.
func (t *Traefik) local() (*chart.Chart, error) {
	if t.options.Chart != "" {
		if err := t.Missing(); err != nil {
			return nil, err
		}
		ch, err := loader.Load(t.options.Chart)
		if err != nil {
			return nil, &ChartError{Path: t.options.Chart, Err: err}
		}
		return ch, nil
	}
	cached := t.cached()
	copies, _ := filepath.Glob(cached + "-*.tgz")
	for _, path := range copies { // each has its digest in its name; a damaged copy is passed over
		digest := strings.TrimSuffix(strings.TrimPrefix(path, cached+"-"), ".tgz")
		if archive, err := atomicfile.Read(path); err == nil {
			if ch, err := t.verified(archive, digest); err == nil {
				return ch, nil
			}
		}
	}
	return nil, nil
}

// verified unpacks an archive whose digest is the pinned one and the one that the repository's index has, where these are known.
func (t *Traefik) verified(archive []byte, indexed string) (*chart.Chart, error) {
	sum := sha256.Sum256(archive)
	digest := hex.EncodeToString(sum[:])
	for source, want := range map[string]string{"that is pinned": t.options.Digest, "that the repository's index has": indexed} {
		if want != "" && want != digest {
			return nil, fmt.Errorf("its digest is sha256:%s, but the one %s is sha256:%s: it is another chart, and is refused", digest, source, want)
		}
	}
	return loader.LoadArchive(bytes.NewReader(archive))
}

// download fetches the chart's archive, and the digest that the repository's index gives for it.
func (t *Traefik) download() (archive []byte, digest string, err error) {
	settings := cli.New()
	getters := getter.All(settings)
	scratch, err := os.MkdirTemp("", "kindgate-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(scratch)
	repository, err := repo.NewChartRepository(&repo.Entry{Name: t.options.Name, URL: t.options.Repo}, getters)
	if err != nil {
		return nil, "", err
	}
	repository.CachePath = scratch
	type fetched struct {
		archive []byte
		digest  string
		err     error
	}
	done := make(chan fetched, 1)
	go func() { // Helm's getters take no context
		var f fetched
		f.archive, f.digest, f.err = t.downloadFrom(repository, getters)
		done <- f
	}()
	select {
	case f := <-done:
		return f.archive, f.digest, f.err
	case <-t.fetch.Done():
		return nil, "", context.Cause(t.fetch)
	}
}

func (t *Traefik) downloadFrom(repository *repo.ChartRepository, getters getter.Providers) ([]byte, string, error) {
	file, err := repository.DownloadIndexFile()
	if err != nil {
		return nil, "", err
	}
	index, err := repo.LoadIndexFile(file)
	if err != nil {
		return nil, "", err
	}
	entry, err := index.Get(t.options.Name, t.options.Version)
	if err != nil || len(entry.URLs) == 0 {
		return nil, "", ErrNoSuchChart
	}
	location, err := repo.ResolveReferenceURL(t.options.Repo, entry.URLs[0])
	if err != nil {
		return nil, "", err
	}
	parsed, err := url.Parse(location)
	if err != nil {
		return nil, "", err
	}
	get, err := getters.ByScheme(parsed.Scheme)
	if err != nil {
		return nil, "", err
	}
	content, err := get.Get(location, getter.WithTransport(http.DefaultTransport.(*http.Transport)))
	if err != nil {
		return nil, "", err
	}
	return content.Bytes(), entry.Digest, nil
}

// Missing tells whether a chart that is named on the user's disk is not there, or is none, before anything is begun. Helm would read a
// folder that is no chart to its end, and wait for what is no file.
func (t *Traefik) Missing() error {
	if t.options.Chart == "" {
		return nil
	}
	info, err := os.Stat(t.options.Chart)
	if errors.Is(err, fs.ErrNotExist) {
		return &ChartError{Path: t.options.Chart, Err: errors.New("there is no such folder or file")}
	}
	if err == nil && info.IsDir() {
		_, ignored := atomicfile.Read(filepath.Join(t.options.Chart, ".helmignore"))
		if _, err = atomicfile.Read(filepath.Join(t.options.Chart, "Chart.yaml")); err == nil && !errors.Is(ignored, fs.ErrNotExist) {
			err = ignored
		}
	} else if err == nil {
		_, err = atomicfile.Read(t.options.Chart)
	}
	if err != nil {
		return &ChartError{Path: t.options.Chart, Err: err}
	}
	return nil
}
