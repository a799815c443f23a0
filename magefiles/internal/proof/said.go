package proof

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/limits"
)

// lastLines is how much of a log is looked through.
const lastLines = 200

// speaker returns a ready pod of the data plane, of those on the node if there is one; nil where none is ready.
func (p *Proof) speaker(s *Snapshot) *corev1.Pod {
	var found *corev1.Pod
	for i := range s.Pods {
		pod := &s.Pods[i]
		if p.Runs(pod) && pod.DeletionTimestamp == nil && kube.PodReady(pod) && (found == nil || pod.Spec.NodeName == p.Place.Node()) {
			found = pod
		}
	}
	return found
}

// routers asks the data plane which routers it has made of a request's rule. Its error says why that cannot be known.
func (p *Proof) routers(ctx context.Context, request gateway.Request, s *Snapshot) ([]implementation.Router, error) {
	pod := p.speaker(s)
	if pod == nil {
		return nil, errors.New("no pod of it is ready")
	}
	ctx, cancel := context.WithTimeout(ctx, limits.OwnAnswer)
	defer cancel()
	answer, err := p.Place.PodGet(ctx, pod.Namespace, pod.Name, p.Lists.Port, p.Lists.Path(request.Route))
	if err != nil {
		return nil, err
	}
	routers, err := p.Lists.Read(answer, request.Route)
	return slices.DeleteFunc(routers, func(r implementation.Router) bool {
		return r.At != request.Rule || r.TLS != (request.Scheme == "https")
	}), err
}

// logged says what the data plane's log has last of a request's route, as the end of a sentence; it is empty where that is nothing, or cannot be read.
func (p *Proof) logged(ctx context.Context, request gateway.Request, s *Snapshot) string {
	pod := p.speaker(s)
	if pod == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, limits.OwnAnswer)
	defer cancel()
	log, err := p.Place.PodLog(ctx, pod.Namespace, pod.Name, pod.Spec.Containers[0].Name, lastLines)
	if said := p.Logged(string(log), request.Route, request.Rule); err == nil && said != "" {
		return fmt.Sprintf("; %s's log says of the route: %s", p.Name, said)
	}
	return ""
}

// unserved goes on with a request for which the data plane has no route: with what it says of the router of the request's rule.
func (p *Proof) unserved(ctx context.Context, request gateway.Request, finding check.Finding, s *Snapshot) check.Finding {
	routers, err := p.routers(ctx, request, s)
	switch {
	case err != nil:
		finding.Found += fmt.Sprintf("; does it reach the API server? (Its list of routers cannot be read: %v)", err)
	case len(routers) == 0:
		finding.Found += fmt.Sprintf("; its list of routers has none for rule %d of %s: does it reach the API server?", request.Rule+1, request.Route)
	case len(routers[0].Errors) > 0:
		finding.Found += fmt.Sprintf("; its router %s does not work: %s", routers[0].Name, strings.Join(routers[0].Errors, "; "))
	default:
		finding.Found += fmt.Sprintf("; its list of routers has one for the rule, %s, whose conditions the request does not meet: %s", routers[0].Name, routers[0].Rule)
	}
	finding.Found += p.logged(ctx, request, s)
	return finding
}

// chosen compares what the data plane says with what the table says of the match that takes a request: it must have a router of the match's
// rule, of the priority that the match is taken to have.
func (p *Proof) chosen(ctx context.Context, winner *gateway.Match, request gateway.Request, s *Snapshot) check.Finding {
	routers, err := p.routers(ctx, request, s)
	if err != nil {
		return check.Finding{Verdict: check.Unknown, Found: fmt.Sprintf("its list of routers cannot be read: %v", err)}
	}
	priority := p.Order.Priority(winner)
	var others []string
	for _, r := range routers {
		switch {
		case len(r.Errors) > 0:
			others = append(others, fmt.Sprintf("%s does not work: %s", r.Name, strings.Join(r.Errors, "; ")))
		case r.Priority == priority:
			return holds("%s, priority %d: %s", r.Name, r.Priority, r.Rule)
		default:
			others = append(others, fmt.Sprintf("%s has the priority %d", r.Name, r.Priority))
		}
	}
	if len(others) == 0 {
		others = []string{"none at all"}
	}
	return check.Finding{Verdict: check.Warns,
		Found: fmt.Sprintf("no router for the match with the priority %d; of its rule it has: %s", priority, strings.Join(others, ", "))}
}
