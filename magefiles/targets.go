//go:build mage

// kindgate brings up a local Kubernetes cluster in which Traefik serves the Gateway API, and proves that it routes.
package main

import (
	"context"
	"os"
	"sync"

	"github.com/magefile/mage/mg"

	"kindgate/magefiles/internal/stack"
)

// Each target looks at the live state, does what is missing, and waits until what it promises is true. The graph, as the test of package
// graph draws it (what is drawn once is only named elsewhere):
//
//	up ─┬─ routes ─┬─ attach ──┬─ define ──────── api ── begin, check
//	    │          │           ├─ install ──────┬─ define
//	    │          │           │                └─ images ── begin
//	    │          │           ├─ deploy ──────── api, images
//	    │          │           └─ certificates ── api
//	    │          ├─ traefik ─┬─ install
//	    │          │           └─ cluster ── begin
//	    │          └─ apps ───── deploy, cluster
//	    └─ hosts ─── check
//	crds ── define, cluster
//	plan ── check
//
// begin starts the cluster's creation, api is reached while kind is still at work on it; define installs the Gateway API's definitions;
// install, deploy and attach hand objects over, and the targets they belong to wait for what becomes of them; what starts pods waits for
// kube-proxy first. cluster waits for the whole cluster. check runs beside begin, and nothing is applied before it has passed. verify,
// status, doctor, teardown, trust and untrust stand alone, and watch has rounds of up.

// Default is what mage runs without a target.
var Default = Up

// Up brings up everything, and proves every route with real requests.
func Up(ctx context.Context) error {
	return after(ctx, func(ctx context.Context) error {
		if err := kindgate().Objects.Prune(ctx); err != nil {
			return err
		}
		if err := kindgate().Routes.VerifyManifests(ctx); err != nil {
			return err
		}
		if err := kindgate().Objects.StayUp(ctx); err != nil {
			return err
		}
		kindgate().Routes.Summary()
		return nil
	}, Routes, Hosts)
}

// Cluster creates the kind cluster, or starts it again, and adds its context to the kubeconfig.
func Cluster(ctx context.Context) error { return after(ctx, kindgate().Cluster.Await, begin) }

// Crds installs the Gateway API's CustomResourceDefinitions.
func Crds(ctx context.Context) error { return after(ctx, nil, define, Cluster) }

// Traefik installs, upgrades or repairs Traefik's Helm release.
func Traefik(ctx context.Context) error {
	return after(ctx, kindgate().Release.Await, install, Cluster)
}

// Certificates makes the certificate of the HTTPS listeners, and renews it.
func Certificates(ctx context.Context) error { return after(ctx, kindgate().Objects.Certify, api) }

// Apps applies the manifests that are not the Gateway API's: the applications.
func Apps(ctx context.Context) error {
	return after(ctx, kindgate().Objects.AwaitApps, deploy, Cluster)
}

// Routes applies the manifests that are the Gateway API's, and waits until every route is served.
func Routes(ctx context.Context) error {
	return after(ctx, kindgate().Routes.Await, attach, Traefik, Apps)
}

// Hosts sees to it that the routes' hostnames lead to this machine.
func Hosts(ctx context.Context) error { return after(ctx, kindgate().Names.Converge, Check) }

// Verify checks what is there, with real requests, and changes nothing.
func Verify(ctx context.Context) error { return after(ctx, kindgate().Routes.Verify) }

// Check finds what is wrong with the files, before there is a cluster.
func Check(ctx context.Context) error { return anyway(ctx, kindgate().Examiner.Check) }

// Explain says which route takes a request, and why the others do not: explain URL [-method=GET] [-header="Name: value"] [-files], the last
// as it would be with the files applied.
func Explain(ctx context.Context, url string, method, header *string, files *bool) error {
	return anyway(ctx, func(ctx context.Context) error {
		return kindgate().Explainer.Explain(ctx, url, valueOr(method, "GET"), valueOr(header, ""), files != nil && *files)
	})
}

// Graph draws what the Gateways serve, in Mermaid, or with -dot in DOT, by the cluster where there is one, else by the files.
func Graph(ctx context.Context, dot *bool) error {
	return anyway(ctx, func(ctx context.Context) error { return kindgate().Examiner.Graph(ctx, dot != nil && *dot) })
}

// Status shows what there is, and changes nothing.
func Status(ctx context.Context) error { return anyway(ctx, kindgate().Examiner.Status) }

// Doctor looks at all that a run depends on before it runs, and changes nothing.
func Doctor(ctx context.Context) error { return anyway(ctx, kindgate().Examiner.Doctor) }

// Plan says, object by object, what up would do, and changes nothing: exit status 2 when something would change.
func Plan(ctx context.Context) error {
	return after(ctx, kindgate().Planner.Plan, Check)
}

// Watch runs up on each save, and when an image was rebuilt, until Ctrl-C.
func Watch(ctx context.Context) error {
	if err := kindgate().Watch(ctx); err != nil {
		return mg.Fatal(kindgate().ExitStatus(err), err)
	}
	return nil
}

// Bundle makes an archive of what a failure is looked into with, without secrets.
func Bundle(ctx context.Context) error { return anyway(ctx, kindgate().Bundle) }

// Teardown deletes the cluster, its context in the kubeconfig, and the names in the hosts file.
func Teardown(ctx context.Context) error { return anyway(ctx, kindgate().Teardown) }

// Trust puts the local certificate authority into the trust stores of this machine, after saying which commands that takes.
func Trust(ctx context.Context) error { return anyway(ctx, kindgate().Trust) }

// Untrust takes the local certificate authority out of the trust stores of this machine.
func Untrust(ctx context.Context) error { return anyway(ctx, kindgate().Untrust) }

func valueOr(flag *string, otherwise string) string {
	if flag == nil {
		return otherwise
	}
	return *flag
}

func begin(ctx context.Context) error  { return after(ctx, kindgate().Cluster.Begin) }
func api(ctx context.Context) error    { return after(ctx, kindgate().Cluster.API, begin, Check) }
func images(ctx context.Context) error { return after(ctx, kindgate().Cluster.LoadImages, begin) }
func define(ctx context.Context) error { return after(ctx, kindgate().Objects.Define, api) }
func install(ctx context.Context) error {
	return after(ctx, kindgate().Release.Install, define, images)
}
func deploy(ctx context.Context) error { return after(ctx, kindgate().Objects.ApplyApps, api, images) }
func attach(ctx context.Context) error {
	return after(ctx, kindgate().Objects.ApplyRoutes, define, install, deploy, Certificates)
}

// kindgate is this run: its configuration and files are read once, when the first target needs them.
var kindgate = sync.OnceValue(func() *stack.Stack { return stack.New(os.Environ()) })

// after runs the dependencies side by side, and then the step. mage panics when a dependency fails, which would let a second dependant
// of the same one go on (https://github.com/magefile/mage/issues/371): what is returned instead is what has failed so far, each once.
func after(ctx context.Context, step func(context.Context) error, dependencies ...any) error {
	s := kindgate()
	return anyway(ctx, func(ctx context.Context) (err error) {
		if !s.Ready(len(dependencies) == 0) {
			return s.Examiner.Check(ctx) // which says all that is wrong
		}
		defer func() {
			if failed := recover(); failed != nil {
				if err = s.Failure(); err == nil {
					panic(failed)
				}
			}
		}()
		mg.CtxDeps(ctx, dependencies...)
		if step == nil {
			return nil
		}
		return step(ctx)
	})
}

// anyway is after for steps that stand alone and can do without some of the files.
func anyway(ctx context.Context, step func(context.Context) error) error {
	err := kindgate().Target(ctx, step)
	if err != nil {
		return mg.Fatal(kindgate().ExitStatus(err), err)
	}
	return nil
}
