package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/result"
	"kindgate/magefiles/internal/ui"
)

// errNotApproved is the error of a run that would change somebody's cluster.
var errNotApproved = errors.New("nothing was changed: to have this done, say y on a terminal, or set KINDGATE_APPROVE=yes")

// farName is what the user calls the cluster of a context, and where it leads: a name may lead elsewhere than its user thinks.
func (s *session) farName() string {
	name := "context " + s.config.Context
	if cfg, err := s.far(); err == nil {
		name += " (" + cfg.Host + ")"
	}
	return name
}

// A contextGround is the cluster of a context, which kindgate did not make. Nothing is written to it before that was approved.
type contextGround struct {
	*session
	approved bool // set before any step asks for the API
}

// API returns an error until writing was approved.
func (g *contextGround) API(ctx context.Context) (*rest.Config, error) {
	if !g.approved {
		return nil, errNotApproved
	}
	cfg, err := g.far()
	if err != nil {
		return nil, err
	}
	return kube.Patient(g.run.Context(), cfg, g.run.Note), nil
}

// Services returns at once: the cluster is complete.
func (g *contextGround) Services(context.Context, func(string)) error { return nil }

// Earlier is false: no release of kindgate made it.
func (g *contextGround) Earlier() bool { return false }

// checkOthers returns an error for a cluster that kindgate has made: its own targets work on it, with other values.
func checkOthers(ctx context.Context, client *kube.Client, context string) error {
	nodes, err := client.List(ctx, nodeKind, "")
	if err != nil && !apierrors.IsForbidden(err) {
		return err
	}
	for i := range nodes {
		if name := cluster.MadeAs(&nodes[i]); name != "" {
			return fmt.Errorf("the cluster of context %s is kindgate's own: unset KINDGATE_CONTEXT, and set KINDGATE_CLUSTER=%s", context, name)
		}
	}
	return nil
}

// lockName is what runs that must not be at work at once have in common: the name of kindgate's own cluster, or the API server of a context's,
// whatever that is called.
func (s *session) lockName() (string, error) {
	if s.config.Context == "" {
		return s.config.Cluster, nil
	}
	cfg, err := s.far()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(cfg.Host))
	return "context-" + hex.EncodeToString(sum[:6]), nil
}

// contextSteps bring up nothing: the cluster is there. They ask before others write to it.
type contextSteps struct {
	*session
	ground  *contextGround
	planner *planner
}

// Begin looks for the context, and waits for its turn.
func (s *contextSteps) Begin(context.Context) error {
	return s.run.Step("cluster", func(*ui.Step) (result.Result, string, error) {
		if err := s.helm().Missing(); err != nil {
			return "", "", err
		}
		return result.Unchanged, s.farName() + ", not made by kindgate", s.lock()
	})
}

// API says what the run would do to the cluster, and returns when that was approved.
func (s *contextSteps) API(ctx context.Context) error {
	err := s.run.Part("plan", func(step *ui.Step) (result.Result, string, error) {
		step.Report("asking the API server what would change")
		p, err := s.planner.plan(ctx)
		if err != nil {
			return "", "", err
		}
		s.planner.say(p)
		if err := p.Err(); err != nil {
			return "", "", fmt.Errorf("nothing was changed: %w", err)
		}
		s.ground.approved = p.Pending() == 0
		return "", "", nil
	})
	if err != nil {
		return err
	}
	// The question stands alone: a live line would be drawn over it.
	if !s.ground.approved {
		s.ground.approved, err = s.approve(ctx, "Do this to the cluster of "+s.farName()+"?")
	}
	return s.run.Step("plan", func(*ui.Step) (result.Result, string, error) {
		if err == nil {
			_, err = s.kube()
		}
		return "approved", "", err
	})
}

// Await returns at once: the cluster is there.
func (s *contextSteps) Await(context.Context) error { return nil }

// LoadImages does nothing: the nodes pull what they need.
func (s *contextSteps) LoadImages(context.Context) error { return nil }
