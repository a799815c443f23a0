package stack

import (
	"context"
	"errors"
	"fmt"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// Teardown deletes the cluster, its context in the kubeconfig, and the block in the hosts file; of a context's cluster, what kindgate has
// brought there.
func (s *Stack) Teardown(ctx context.Context) error {
	if s.config.Context != "" {
		return s.withdraw(ctx)
	}
	if err := s.lock(); err != nil {
		return s.run.Failed("teardown", "", err)
	}
	clusterErr := s.run.Step("cluster", func(step *ui.Step) (result.Result, string, error) {
		deleted, err := s.cluster.Delete(ctx, step.Report)
		if deleted.Left != "" {
			s.ui.Note(fmt.Sprintf("The context %s stays: it leads to %s, of which this machine cannot tell that it is gone. If it is: kubectl config delete-context %[1]s",
				cluster.Context(s.config.Cluster), deleted.Left))
		}
		switch {
		case deleted.Nodes || err != nil:
			return "deleted", "", err
		case deleted.Context:
			return "deleted", "there were no nodes any more, only the context", nil
		}
		return "absent", "there was no cluster " + s.config.Cluster, nil
	})
	if errors.As(clusterErr, new(*cluster.ForeignError)) {
		return clusterErr // its names stay with it
	}
	s.sayTrusted()
	hostsErr := s.run.Step("hosts", func(*ui.Step) (result.Result, string, error) { return s.Names.remove() })
	return errors.Join(clusterErr, hostsErr)
}
