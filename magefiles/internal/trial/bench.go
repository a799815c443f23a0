// Package trial holds kindgate against its promises on a cluster of its own: how long it takes (Bench), and what it survives (Soak).
package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/kind/pkg/cluster"

	kindgate "kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/sandbox"
)

// Options say what is tried and how it is told.
type Options struct {
	// Binary is kindgate's targets, compiled; Root the project's folder.
	Binary, Root string
	// Kind says how kind makes a cluster with the given host ports, for up to be held against.
	Kind func(httpPort, httpsPort int) (kindgate.Options, error)
	// Markdown asks for tables in Markdown.
	Markdown bool
	// Restart is a command that restarts the container engine; without one those faults are left out.
	Restart string
	// Print prints lines, Table rows, the first of them the heads.
	Print func(...string)
	Table func([][]string)
}

// benchRuns is how often each is measured, in turn, so that a machine whose speed changes is unfair to none.
const benchRuns = 5

// a row of the table: what was measured, and the limit of its ratio to kind's time, 0 where it has none.
type row struct {
	name  string
	limit float64
	took  []time.Duration
}

// Bench measures up from nothing, up with everything there, an edited route, and mage's own start, against what kind takes for the same
// cluster in the same run, and prints a table.
func Bench(ctx context.Context, options Options) error {
	s, err := options.sandbox(ctx, "kindgate-bench")
	if err != nil {
		return err
	}
	defer func() { _ = s.Remove() }()
	rows := []*row{
		{name: "kind create cluster --wait 60s"},
		{name: "up from nothing", limit: 1.30},
		{name: "up, all up to date", limit: 0.08},
		{name: "routes after an edited route", limit: 0.12},
		{name: "mage -l (mage's own start)"},
	}
	for i := range benchRuns {
		options.Print(fmt.Sprintf("round %d of %d", i+1, benchRuns))
		steps := []func() error{
			func() error { return options.kindCreate(s) },
			func() error { return s.Run(ctx, "up") },
			func() error { return s.Run(ctx, "up") },
			func() error { return editRoute(s, func() error { return s.Run(ctx, "routes") }) },
			func() error { return s.Run(ctx, "-l") },
		}
		for j, step := range steps {
			start := time.Now()
			if err := step(); err != nil {
				return fmt.Errorf("%s: %w", rows[j].name, err)
			}
			rows[j].took = append(rows[j].took, time.Since(start))
			if j == 0 { // kind's cluster makes room
				if err := options.kindDelete(s); err != nil {
					return err
				}
			}
		}
		if err := s.Run(ctx, "teardown"); err != nil {
			return err
		}
	}
	options.print(rows)
	return nil
}

// sandbox makes a copy of the project's folder for a cluster of its own, which must not be there yet: it is deleted in the end.
func (o Options) sandbox(ctx context.Context, name string) (*sandbox.Sandbox, error) {
	kind, err := o.Kind(80, 443) // whose ports do not matter here
	if err != nil {
		return nil, err
	}
	kind.Name, kind.Kubeconfig = name, os.DevNull
	found, err := kindgate.New(kind).Observe(ctx)
	if err != nil {
		return nil, err
	}
	if found.State != kindgate.Absent {
		return nil, fmt.Errorf("there is a cluster %s already, and it is left as it is: delete it first", name)
	}
	return sandbox.New(name, o.Root, o.Binary)
}

func editRoute(s *sandbox.Sandbox, run func() error) error {
	path := filepath.Join(s.Dir, "manifests", "httproute-host.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "name: whoami-v1", "name: whoami-v2", 1)), 0o644); err != nil {
		return err
	}
	defer os.WriteFile(path, text, 0o644)
	return run()
}

// kindCreate is kind's own command for the same configuration and image.
func (o Options) kindCreate(s *sandbox.Sandbox) error {
	kind, provider, config, err := o.forKind(s)
	if err != nil {
		return err
	}
	return provider.Create(s.Name, cluster.CreateWithV1Alpha4Config(config), cluster.CreateWithNodeImage(kind.NodeImage),
		cluster.CreateWithWaitForReady(time.Minute), cluster.CreateWithKubeconfigPath(kindKubeconfig(s)))
}

// kindDelete takes away what kindCreate has made.
func (o Options) kindDelete(s *sandbox.Sandbox) error {
	_, provider, _, err := o.forKind(s)
	if err != nil {
		return err
	}
	return provider.Delete(s.Name, kindKubeconfig(s))
}

func (o Options) forKind(s *sandbox.Sandbox) (kindgate.Options, *cluster.Provider, *v1alpha4.Cluster, error) {
	kind, err := o.Kind(s.HTTPPort, s.HTTPSPort)
	if err != nil {
		return kind, nil, nil, err
	}
	provider, config, err := kindgate.New(kind).ForKind()
	return kind, provider, config, err
}

func kindKubeconfig(s *sandbox.Sandbox) string { return filepath.Join(s.Dir, "kind-kubeconfig") }

// print shows each row's times, and the ratio of each round's to kind's of the same round.
func (o Options) print(rows []*row) {
	table := [][]string{{"what", "min", "median", "max", "ratio, median", "limit"}}
	for _, r := range rows {
		ratios := make([]float64, len(r.took))
		for i := range r.took {
			ratios[i] = r.took[i].Seconds() / rows[0].took[i].Seconds()
		}
		slices.Sort(ratios)
		took := slices.Sorted(slices.Values(r.took))
		limit := ""
		if r.limit > 0 {
			limit = fmt.Sprintf("%.2f", r.limit)
		}
		second := func(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }
		table = append(table, []string{r.name, second(took[0]), second(took[len(took)/2]), second(took[len(took)-1]), fmt.Sprintf("%.3f", ratios[len(ratios)/2]), limit})
	}
	o.table(table)
	o.Print(fmt.Sprintf("\n%d rounds on %s/%s with %d processors", benchRuns, runtime.GOOS, runtime.GOARCH, runtime.NumCPU()))
}

func (o Options) table(rows [][]string) {
	if !o.Markdown {
		o.Table(rows)
		return
	}
	for i, r := range rows {
		o.Print("| " + strings.Join(r, " | ") + " |")
		if i == 0 {
			o.Print("|" + strings.Repeat(" --- |", len(r)))
		}
	}
}
