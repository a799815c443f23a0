package stack

import (
	"context"
	"os"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/trial"
)

// trials are measurements and long tests, each on a cluster of its own.
type trials struct{ *session }

// Bench measures how long things take, on a cluster of its own, beside kind's own command.
func (t *trials) Bench(context.Context) error { return t.try(trial.Bench) }

// Soak damages a cluster of its own in many ways, and sees whether up comes through.
func (t *trials) Soak(context.Context) error { return t.try(trial.Soak) }

// try runs a trial without the time limit of a single run.
func (t *trials) try(trialOf func(context.Context, trial.Options) error) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	ctx := t.run.WithoutLimit()
	err = trialOf(ctx, trial.Options{
		Binary: binary, Root: ".", Markdown: t.config.BenchFormat == "markdown" && t.config.Output != "json", Restart: t.config.SoakRestart,
		Kind: func(httpPort, httpsPort int) (cluster.Options, error) {
			data, err := atomicfile.Read(clusterFile)
			if err != nil {
				return cluster.Options{}, err
			}
			config, err := cluster.ParseConfig(data, clusterFile, httpPort, httpsPort)
			return cluster.Options{Config: config, NodeImage: t.config.NodeImage, Provider: t.config.Provider}, err
		},
		Print: t.ui.Print, Table: t.table,
	})
	if ctx.Err() != nil {
		return run.ErrInterrupted
	}
	return err
}

// table prints rows, the first of which are the heads of the columns.
func (t *trials) table(rows [][]string) {
	t.ui.Table(rows)
	for _, cells := range rows[1:] {
		row := map[string]string{}
		for i, cell := range cells {
			row[rows[0][i]] = cell
		}
		t.ui.Object(rowLine{row})
	}
}
