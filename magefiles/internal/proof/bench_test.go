package proof

import (
	"context"
	"fmt"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/implementation"
)

// populous is a cluster with n routes of two matches, each for a host of its own, or all for one.
func populous(b *testing.B, n int, oneHost bool) (*world, *Snapshot) {
	b.Helper()
	w := whole(b)
	w.place.node = ""
	s := w.snapshot
	s.HTTPRoutes, s.Slices = nil, nil
	w.gateway.answers = nil
	for i := range n {
		r := attached(route(b, fmt.Sprintf("r%d", i), fmt.Sprintf("s%d", i)))
		a, other := fmt.Sprintf("/%d/a", i), fmt.Sprintf("/%d/b", i)
		r.Spec.Rules[0].Matches = []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Value: &a}}, {Path: &gatewayv1.HTTPPathMatch{Value: &other}}}
		if oneHost {
			r.Spec.Hostnames = []gatewayv1.Hostname{"one.localhost"}
		}
		s.HTTPRoutes = append(s.HTTPRoutes, r)
		s.Slices = append(s.Slices, slice("demo", fmt.Sprintf("s%d", i), fmt.Sprintf("p%d", i)))
		s.Pods = append(s.Pods, readyPod("demo", fmt.Sprintf("p%d", i)))
	}
	return w, s
}

func BenchmarkVerifyingAnExistingCluster(b *testing.B) {
	for _, oneHost := range []bool{false, true} {
		for _, n := range []int{200, 500, 1000} {
			b.Run(fmt.Sprintf("%d routes, one host %v", n, oneHost), func(b *testing.B) {
				w, s := populous(b, n, oneHost)
				manifests := s.Existing(nil)
				conditions := &Proof{Manifests: manifests, Implementation: implementation.Of(""), Place: w.place, Careful: true}
				site := s.Sites(manifests)[0]
				for b.Loop() {
					p := &Proof{Manifests: site.Manifests, Implementation: implementation.Of(site.Controller), Place: w.place, Prober: w.gateway, Apart: true, Careful: true}
					promises := append(conditions.Conditions(s), p.Requests(s)...)
					if findings := JudgeAll(context.Background(), promises, nil); len(findings) != 3*n+2 {
						b.Fatal(len(findings))
					}
				}
			})
		}
	}
}
