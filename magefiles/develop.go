//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/sh"
)

// Lint runs go vet and staticcheck over everything.
func Lint(ctx context.Context) error {
	if err := sh.RunV("go", "vet", "-tags", "mage", "./..."); err != nil {
		return err
	}
	return sh.RunV("go", "tool", "staticcheck", "-tags", "mage", "./...")
}

// Test runs lint, the unit tests and, where Docker answers, the end-to-end suite on clusters of its own.
func Test(ctx context.Context) error {
	if err := Lint(ctx); err != nil {
		return err
	}
	return run("go", "test", "-timeout", "30m", "./...")
}

// run is sh.RunV without the variables that choose the user's cluster: the suite has clusters of its own.
func run(command string, args ...string) error {
	for _, name := range []string{"KINDGATE_CLUSTER", "KINDGATE_HTTP_PORT", "KINDGATE_HTTPS_PORT", "KINDGATE_KUBECONFIG", "KINDGATE_HOSTS_FILE", "KINDGATE_OUTPUT", "KINDGATE_TIMEOUT"} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	return sh.RunV(command, args...)
}
