package proof

import (
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

// judgePolicy judges a BackendTLSPolicy by what it is for: without the Service, or its port, it has no effect, and no condition says so. See
// https://gateway-api.sigs.k8s.io/reference/spec/#backendtlspolicyspec.
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
	return holds("for %s", strings.Join(targets, ", "))
}
