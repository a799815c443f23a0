package demo

import (
	"context"
	"errors"
	"fmt"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// Teardown deletes the cluster, its context in the kubeconfig, and the block in the hosts file.
func (d *Demo) Teardown(ctx context.Context) error {
	if err := d.lock(); err != nil {
		return d.run.Failed("teardown", "", err)
	}
	clusterErr := d.run.Step("cluster", func(step *ui.Step) (result.Result, string, error) {
		deleted, err := d.cluster.Delete(ctx, step.Report)
		if deleted.Left != "" {
			d.ui.Note(fmt.Sprintf("The context %s stays: it leads to %s, of which this machine cannot tell that it is gone. If it is: kubectl config delete-context %[1]s",
				cluster.Context(d.config.Cluster), deleted.Left))
		}
		switch {
		case deleted.Nodes || err != nil:
			return "deleted", "", err
		case deleted.Context:
			return "deleted", "there were no nodes any more, only the context", nil
		}
		return "absent", "there was no cluster " + d.config.Cluster, nil
	})
	if errors.As(clusterErr, new(*cluster.ForeignError)) {
		return clusterErr // its names stay with it
	}
	hostsErr := d.run.Step("hosts", func(*ui.Step) (result.Result, string, error) { return d.names.remove() })
	return errors.Join(clusterErr, hostsErr)
}
