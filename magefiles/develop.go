//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/magefile/mage/sh"

	"kindgate/magefiles/internal/binary"
	"kindgate/magefiles/internal/stack"
)

// Lint runs go vet and staticcheck over everything.
func Lint(ctx context.Context) error {
	if err := sh.RunV("go", "vet", "-tags", "mage", "./..."); err != nil {
		return err
	}
	if err := sh.RunV("go", "tool", "staticcheck", "-tags", "mage", "./..."); err != nil {
		return err
	}
	return binary.Vet(ctx, ".")
}

// Binary makes kindgate, one file that needs no Go, no Git and no module cache; with -all, one for every platform, in dist.
func Binary(ctx context.Context, all *bool) error {
	return anyway(ctx, func(context.Context) error { return kindgate().Binary(all != nil && *all) })
}

// Test runs lint, the unit tests and, where Docker answers, the end-to-end suite on clusters of its own.
func Test(ctx context.Context) error {
	if err := Lint(ctx); err != nil {
		return err
	}
	// go test prints nothing of a package that passes, so that the suite itself cannot tell the user that it was skipped.
	skipped, cannotRun := stack.SkipSuite(ctx, os.Environ())
	// Not from the cache: go test does not see that the end-to-end suite depends on what mage compiles. Lint has vetted the tests, and to link them
	// without debugging data takes a third less.
	err := sh.RunV("go", "test", "-count=1", "-vet=off", "-ldflags=-w", "-timeout", "60m", "./...")
	if skipped != "" {
		fmt.Println("SKIPPED: the end-to-end suite:", skipped)
	}
	return errors.Join(err, cannotRun)
}

// Bench measures up against kind create cluster, on a cluster of its own, and prints a table.
func Bench(ctx context.Context) error { return after(ctx, kindgate().Trials.Bench) }

// Soak damages a cluster of its own in many ways, and prints what up made of it. It takes about half an hour.
func Soak(ctx context.Context) error { return after(ctx, kindgate().Trials.Soak) }
