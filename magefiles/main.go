//go:build mage && embedded

package main

import (
	"context"
	"flag"
	"io"
	"log"
	"os"

	"kindgate/magefiles/internal/commands"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/stack"
)

// main is that of the one binary. mage makes another for the targets that it compiles.
func main() {
	log.SetOutput(io.Discard) // libraries' remarks: what matters comes back as an error
	os.Exit(kindgateCommands().Main(os.Args[1:]))
}

// kindgateCommands has every target of mage's as a command, as a test of package commands makes sure, and what only the binary has.
func kindgateCommands() commands.Program {
	return commands.Program{
		Name:  shipped.Name(),
		About: "kindgate brings up a local Kubernetes cluster in which Traefik serves the Gateway API, and proves that it routes.\n\n Find more information in its README.md.",
		Out:   os.Stdout, Errors: os.Stderr,
		Groups: []commands.Group{
			{Title: "Basic Commands", Commands: []commands.Command{
				{Name: "init", Short: "Write the files that kindgate brings with it into kind/ and manifests/, to be edited", Flags: commands.Plain(initFiles)},
				{Name: "up", Short: "Bring up everything, and prove every route with real requests", Flags: commands.Plain(Up)},
				{Name: "watch", Short: "Run up on each save, and when an image was rebuilt, until Ctrl-C", Flags: commands.Plain(Watch)},
				{Name: "teardown", Short: "Delete the cluster, its context in the kubeconfig, and the names in the hosts file", Flags: commands.Plain(Teardown)},
			}},
			{Title: "Commands That Change Nothing", Commands: []commands.Command{
				{Name: "verify", Short: "Check what is there, with real requests", Flags: commands.Plain(Verify)},
				{Name: "explain", Usage: "URL [options]", Short: "Say which route takes a request, and why the others do not", Arguments: 1, Flags: explainFlags},
				{Name: "check", Short: "Find what is wrong with the files, before there is a cluster", Flags: commands.Plain(Check)},
				{Name: "plan", Short: "Say, object by object, what up would do; exit status 2 when something would change", Flags: commands.Plain(Plan)},
				{Name: "status", Short: "Show what there is", Flags: commands.Plain(Status)},
				{Name: "graph", Usage: "[options]", Short: "Draw what the Gateways serve", Flags: graphFlags},
				{Name: "doctor", Short: "Look at all that a run depends on before it runs", Flags: commands.Plain(Doctor)},
				{Name: "bundle", Short: "Make an archive of what a failure is looked into with, without secrets", Flags: commands.Plain(Bundle)},
			}},
			{Title: "Parts of up", Commands: []commands.Command{
				{Name: "cluster", Short: "Create the kind cluster, or start it again, and add its context to the kubeconfig", Flags: commands.Plain(Cluster)},
				{Name: "crds", Short: "Install the Gateway API's CustomResourceDefinitions", Flags: commands.Plain(Crds)},
				{Name: "traefik", Short: "Install, upgrade or repair Traefik's Helm release", Flags: commands.Plain(Traefik)},
				{Name: "certificates", Short: "Make the certificate of the HTTPS listeners, and renew it", Flags: commands.Plain(Certificates)},
				{Name: "apps", Short: "Apply the manifests that are not the Gateway API's: the applications", Flags: commands.Plain(Apps)},
				{Name: "routes", Short: "Apply the manifests that are the Gateway API's, and wait until every route is served", Flags: commands.Plain(Routes)},
				{Name: "hosts", Short: "See to it that the routes' hostnames lead to this machine", Flags: commands.Plain(Hosts)},
			}},
			{Title: "Trust Commands", Commands: []commands.Command{
				{Name: "trust", Short: "Put the local certificate authority into the trust stores of this machine", Flags: commands.Plain(Trust)},
				{Name: "untrust", Short: "Take the local certificate authority out of the trust stores of this machine", Flags: commands.Plain(Untrust)},
			}},
			{Title: "For Those Who Work on kindgate, in its source's folder, with Go", Commands: []commands.Command{
				{Name: "lint", Short: "Run go vet and staticcheck over everything", Flags: commands.Plain(Lint)},
				{Name: "test", Short: "Run lint, the unit tests and, where Docker answers, the end-to-end suite", Flags: commands.Plain(Test)},
				{Name: "bench", Short: "Measure up against kind create cluster, on a cluster of its own", Flags: commands.Plain(Bench)},
				{Name: "soak", Short: "Damage a cluster of its own in many ways, and print what up made of it", Flags: commands.Plain(Soak)},
				{Name: "binary", Usage: "[options]", Short: "Build this program", Flags: binaryFlags},
			}},
			{Title: "Other Commands", Commands: []commands.Command{
				{Name: "version", Short: "Print what this program was built from", Flags: commands.Plain(version)},
			}},
		},
	}
}

func explainFlags(flags *flag.FlagSet) commands.Run {
	method := flags.String("method", "GET", "The request's method.")
	header := flags.String("header", "", "The request's headers, a line for each: `Name: value`.")
	files := flags.Bool("files", false, "Say what would be so with the files applied, and send nothing.")
	return func(ctx context.Context, args []string) error { return Explain(ctx, args[0], method, header, files) }
}

func graphFlags(flags *flag.FlagSet) commands.Run {
	dot := flags.Bool("dot", false, "Draw in DOT, and not in Mermaid.")
	return func(ctx context.Context, _ []string) error { return Graph(ctx, dot) }
}

func binaryFlags(flags *flag.FlagSet) commands.Run {
	all := flags.Bool("all", false, "Build for every platform, into dist/.")
	return func(ctx context.Context, _ []string) error { return Binary(ctx, all) }
}

func initFiles(ctx context.Context) error { return anyway(ctx, kindgate().Init) }

func version(context.Context) error { return stack.Version(os.Environ()) }
