// Package rollout brings a run's objects up: it applies them in the order in which they need each other, and waits until what they run is
// ready. What that is, package readiness judges.
package rollout

import (
	"context"
	"errors"

	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/readiness"
	"kindgate/magefiles/internal/result"
)

// StillThere returns an error that names those of the created objects that are not there any more. Workloads are Wait's: a Job may have
// deleted itself.
func StillThere(ctx context.Context, client *kube.Client, changes []kube.Change) error {
	var created []kube.Object
	for _, change := range changes {
		if change.Result == result.Created && !readiness.WaitedFor(change.Object.Unstructured) {
			created = append(created, change.Object)
		}
	}
	live, err := client.Live(ctx, created)
	if err != nil {
		return err
	}
	var problems []error
	for i, object := range created {
		if live[i] == nil {
			problems = append(problems, object.Failed(errors.New("it was created, and is not there any more: something in the cluster has deleted it")))
		}
	}
	return errors.Join(problems...)
}
