package proof

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/gotype"
	"kindgate/magefiles/internal/kube"
)

// judgePolicy judges a BackendTLSPolicy by its conditions, and by what it is for: without the Service, or its port, it has no effect, and no condition
// says so. See https://gateway-api.sigs.k8s.io/reference/spec/#backendtlspolicyspec.
func judgePolicy(s *Snapshot, object kube.Object) check.Finding {
	var policy gatewayv1.BackendTLSPolicy
	if err := gotype.Decode(object.Object, &policy); err != nil {
		return check.Finding{Verdict: check.Unknown, Found: err.Error()}
	}
	var targets, missing []string
	for _, ref := range policy.Spec.TargetRefs {
		target := gateway.Backend{Namespace: object.GetNamespace(), Name: string(ref.Name)}
		name := target.String()
		if ref.Kind != "Service" || ref.Group != "" || !s.has(serviceKind.Kind, target.Namespace) {
			continue
		}
		targets = append(targets, name)
		at := slices.IndexFunc(s.Services, func(service corev1.Service) bool {
			return service.Namespace == target.Namespace && service.Name == target.Name
		})
		port := string(ptr.Deref(ref.SectionName, ""))
		switch {
		case at < 0:
			missing = append(missing, name+" is not there")
		case port != "" && !slices.ContainsFunc(s.Services[at].Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port }):
			missing = append(missing, fmt.Sprintf("%s has no port of the name %s", name, port))
		}
	}
	switch {
	case len(missing) > 0:
		return check.Finding{Verdict: check.Warns, Found: strings.Join(missing, ", ") + ": for that it has no effect"}
	case len(targets) == 0:
		return check.Finding{Verdict: check.Unknown, Found: "what it is for is not known"}
	}
	at := slices.IndexFunc(s.Policies, func(live gatewayv1.BackendTLSPolicy) bool {
		return live.Namespace == object.GetNamespace() && live.Name == policy.Name
	})
	switch {
	case at < 0 && s.has(policyKind.Kind, object.GetNamespace()):
		return absent()
	case at >= 0:
		if finding := gateway.Policy(&s.Policies[at]); finding.Fails() {
			return finding
		}
	}
	return holds("for %s", strings.Join(targets, ", "))
}

// policy returns the BackendTLSPolicy for a Service, nil where there is none.
func (s *Snapshot) policy(backend gateway.Backend) *gatewayv1.BackendTLSPolicy {
	for i := range s.Policies {
		policy := &s.Policies[i]
		if policy.Namespace == backend.Namespace && slices.ContainsFunc(policy.Spec.TargetRefs, func(ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) bool {
			return ref.Group == "" && ref.Kind == "Service" && string(ref.Name) == backend.Name
		}) {
			return policy
		}
	}
	return nil
}

// policyHops are the policies of the connections to a request's Services: by their conditions, and by why the data plane says that it does not take
// a Service's certificate.
func (w way) policyHops() []check.Check {
	var hops []check.Check
	for _, backend := range w.request.Backends {
		policy := w.s.policy(backend)
		if policy == nil {
			continue
		}
		id := check.ID{Kind: policyKind.Kind, Namespace: policy.Namespace, Name: policy.Name}
		hops = append(hops, check.Check{ID: id, Expect: fmt.Sprintf("accepted, and a certificate of %s for %s from the policy's authority", backend, policy.Spec.Validation.Hostname),
			Look: w.Place.Kubectl("describe " + id.Resource()), Judge: func(ctx context.Context) check.Finding {
				finding := gateway.Policy(policy)
				if finding.Fails() || w.finding.Cause != ServerError {
					return finding
				}
				if why := (dataPlane{w.trial}).answered(ctx); strings.Contains(why, "tls: ") {
					return because(ServerError, "%s refuses the certificate of %s%s", w.Name, backend, why)
				}
				return finding
			}})
	}
	return hops
}
