package stack

import (
	"context"
	"errors"
	"os"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/run"
	"kindgate/magefiles/internal/trial"
)

// Bench measures how long things take, on a cluster of its own, beside kind's own command.
func (s *Stack) Bench(ctx context.Context) error { return s.try(ctx, trial.Bench) }

// Soak damages a cluster of its own in many ways, and sees whether up comes through.
func (s *Stack) Soak(ctx context.Context) error { return s.try(ctx, trial.Soak) }

// try runs a trial without the time limit of a single run.
func (s *Stack) try(single context.Context, trialOf func(context.Context, trial.Options) error) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(single))
	defer cancel()
	stop := context.AfterFunc(single, func() {
		if errors.Is(single.Err(), context.Canceled) { // the user's Ctrl-C counts, the limit of a single run does not
			cancel()
		}
	})
	defer stop()
	err = trialOf(ctx, trial.Options{
		Binary: binary, Root: ".", Markdown: s.config.BenchFormat == "markdown", Restart: s.config.SoakRestart,
		Kind: func(httpPort, httpsPort int) (cluster.Options, error) {
			data, err := atomicfile.Read(clusterFile)
			if err != nil {
				return cluster.Options{}, err
			}
			config, err := cluster.ParseConfig(data, clusterFile, httpPort, httpsPort)
			return cluster.Options{Config: config, NodeImage: s.config.NodeImage, Provider: s.config.Provider}, err
		},
		Print: s.ui.Print, Table: s.ui.Table,
	})
	if ctx.Err() != nil {
		return run.ErrInterrupted
	}
	return err
}
