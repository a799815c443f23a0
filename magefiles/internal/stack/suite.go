package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kindgate/magefiles/internal/cluster"
)

// SkipSuite returns why the end-to-end suite is skipped; the reason is empty where it runs. Where the variable CI is set, a suite that
// cannot run is an error: nobody reads the output of a job that has succeeded.
func SkipSuite(ctx context.Context, environ []string) (reason string, err error) {
	return skipSuite(environ, func() error {
		// Of the engines that kind can use, the suite needs this one: it calls its command.
		_, err := cluster.New(cluster.Options{Provider: "docker"}).Info(ctx)
		return err
	})
}

func skipSuite(environ []string, engine func() error) (reason string, err error) {
	config, err := ReadConfig(environ)
	if err != nil {
		return "", err
	}
	if config.TestSkipE2E {
		return prefix + "TEST_SKIP_E2E=yes", nil
	}
	err = engine()
	if err == nil {
		return "", nil
	}
	if slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, "CI=") && entry != "CI=" }) {
		return "", fmt.Errorf("the end-to-end suite cannot run, which is an error where CI is set: %w\n%sTEST_SKIP_E2E=yes leaves it out.", err, prefix)
	}
	return err.Error(), nil
}
