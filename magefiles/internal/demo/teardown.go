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
		return d.failed("teardown", "", err)
	}
	clusterErr := d.step("cluster", func(step *ui.Step) (result.Result, string, error) {
		deleted, err := d.cluster.Delete(d.run, step.Report)
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
	hostsErr := d.step("hosts", func(*ui.Step) (result.Result, string, error) {
		have, err := d.hosts.Names()
		if err != nil {
			return "", "", d.hostsError(err)
		}
		if len(have) == 0 {
			return result.Unchanged, "no names of ours in " + d.config.HostsFile, nil
		}
		return d.writeHosts(nil, have)
	})
	return errors.Join(clusterErr, hostsErr)
}
