//go:build mage

// kindgate brings up a local Kubernetes cluster in which Traefik serves the Gateway API, and proves that it routes.
package main

import (
	"context"
	"os"
	"sync"

	"github.com/magefile/mage/mg"

	"kindgate/magefiles/internal/demo"
)

// Each target looks at the live state, does what is missing, and waits until what it promises is true. The graph, as the test of package
// graph draws it (what is drawn once is only named elsewhere):
//
//	up ─┬─ routes ─┬─ attach ──┬─ define ─── api ── begin
//	    │          │           ├─ install ─┬─ define
//	    │          │           │           └─ images ── begin
//	    │          │           └─ deploy ─── api, images
//	    │          ├─ traefik ─┬─ install
//	    │          │           └─ cluster ── begin
//	    │          └─ apps ───── deploy, cluster
//	    └─ hosts
//	crds ── define, cluster
//
// begin starts the cluster's creation, api is reached while kind is still at work on it; define installs the Gateway API's definitions;
// install, deploy and attach hand objects over, and the targets they belong to wait for what becomes of them; what starts pods waits for
// kube-proxy first. cluster waits for the whole cluster. verify, status, doctor and teardown stand alone.

// Default is what mage runs without a target.
var Default = Up

// Up brings up everything, and proves every route with real requests.
func Up(ctx context.Context) error {
	return after(ctx, func(d *demo.Demo, ctx context.Context) error {
		if err := d.Verify(ctx); err != nil {
			return err
		}
		d.Summary()
		return nil
	}, Routes, Hosts)
}

// Cluster creates the kind cluster, or starts it again, and adds its context to the kubeconfig.
func Cluster(ctx context.Context) error { return after(ctx, (*demo.Demo).Cluster, begin) }

// Crds installs the Gateway API's CustomResourceDefinitions.
func Crds(ctx context.Context) error { return after(ctx, nil, define, Cluster) }

// Traefik installs, upgrades or repairs Traefik's Helm release.
func Traefik(ctx context.Context) error {
	return after(ctx, (*demo.Demo).AwaitTraefik, install, Cluster)
}

// Apps applies the manifests that are not the Gateway API's: the applications.
func Apps(ctx context.Context) error { return after(ctx, (*demo.Demo).AwaitApps, deploy, Cluster) }

// Routes applies the manifests that are the Gateway API's, and waits until every route is served.
func Routes(ctx context.Context) error {
	return after(ctx, (*demo.Demo).AwaitRoutes, attach, Traefik, Apps)
}

// Hosts sees to it that the routes' hostnames lead to this machine.
func Hosts(ctx context.Context) error { return after(ctx, (*demo.Demo).Hosts) }

// Verify checks what is there, with real requests, and changes nothing.
func Verify(ctx context.Context) error { return after(ctx, (*demo.Demo).Verify) }

// Status shows what there is, and changes nothing.
func Status(ctx context.Context) error { return anyway(ctx, (*demo.Demo).Status) }

// Doctor looks at all that a run depends on before it runs, and changes nothing.
func Doctor(ctx context.Context) error { return anyway(ctx, (*demo.Demo).Doctor) }

// Teardown deletes the cluster, its context in the kubeconfig, and the names in the hosts file.
func Teardown(ctx context.Context) error { return anyway(ctx, (*demo.Demo).Teardown) }

func begin(ctx context.Context) error  { return after(ctx, (*demo.Demo).Begin) }
func api(ctx context.Context) error    { return after(ctx, (*demo.Demo).API, begin) }
func images(ctx context.Context) error { return after(ctx, (*demo.Demo).LoadImages, begin) }
func define(ctx context.Context) error { return after(ctx, (*demo.Demo).CRDs, api) }
func install(ctx context.Context) error {
	return after(ctx, (*demo.Demo).InstallTraefik, define, images)
}
func deploy(ctx context.Context) error { return after(ctx, (*demo.Demo).ApplyApps, api, images) }
func attach(ctx context.Context) error {
	return after(ctx, (*demo.Demo).ApplyRoutes, define, install, deploy)
}

// kindgate is this run: its configuration and files are read once, when the first target needs them.
var kindgate = sync.OnceValues(func() (*demo.Demo, error) { return demo.New(os.Environ()) })

// after runs the dependencies side by side, and then the step. mage panics when a dependency fails, which would let a second dependant
// of the same one go on (https://github.com/magefile/mage/issues/371): what is returned instead is what has failed so far, each once.
func after(ctx context.Context, step func(*demo.Demo, context.Context) error, dependencies ...any) (err error) {
	d, err := kindgate()
	if err != nil {
		return err
	}
	if err := d.Ready(); err != nil {
		return err
	}
	ctx = d.Context(ctx)
	defer func() {
		if failed := recover(); failed != nil {
			if err = d.Failure(); err == nil {
				panic(failed)
			}
		}
	}()
	mg.CtxDeps(ctx, dependencies...)
	if step == nil {
		return nil
	}
	return step(d, ctx)
}

// anyway is after for steps that stand alone and can do without some of the files.
func anyway(ctx context.Context, step func(*demo.Demo, context.Context) error) error {
	d, err := kindgate()
	if err != nil {
		return err
	}
	return step(d, d.Context(ctx))
}
