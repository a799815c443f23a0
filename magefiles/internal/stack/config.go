package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"kindgate/magefiles/internal/implementation"
	"kindgate/magefiles/internal/spelling"
)

// The names of what kindgate makes; what users may choose is in Config.
const (
	manifestsDir = "manifests"
	clusterFile  = "kind/cluster.yaml"
)

// serving is the implementation of the Gateway API that kindgate installs.
var serving = implementation.Traefik

var (
	nodeKind = corev1.SchemeGroupVersion.WithKind("Node")
	crdKind  = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// Config is everything that a user may set, each by a variable KINDGATE_*; none has to be.
type Config struct {
	Cluster        string
	HTTPPort       int
	HTTPSPort      int
	NodeImage      string
	TraefikChart   string
	TraefikRepo    string
	TraefikVersion string
	TraefikDigest  string
	Hosts          string
	HostsFile      string
	Kubeconfig     string
	Adopt          bool
	Approve        bool
	Prune          bool
	Timeout        time.Duration
	Output         string
	BenchFormat    string
	SoakRestart    string
	TestSkipE2E    bool

	// Context names an existing cluster in the kubeconfig, of which the routes in Namespaces, all for none, are proven by at most Rate requests a
	// second, 0 for no limit.
	Context, Namespaces string
	Rate                int

	// NoColor and Provider follow NO_COLOR (https://no-color.org) and kind's KIND_EXPERIMENTAL_PROVIDER.
	NoColor  bool
	Provider string

	// JUnit is the file that gets a report of each run.
	JUnit string
	// Bundle is "failure" where a run that fails makes a bundle, and BundleFile the bundle that is looked at in place of a cluster.
	Bundle, BundleFile string
	// GitHub: the run is a step of GitHub Actions, which shows the file Summary as a page about it, and has the repository at Workspace. See
	// https://docs.github.com/en/actions/reference/variables-reference.
	GitHub             bool
	Summary, Workspace string
}

// port is this machine's for a scheme.
func (c Config) port(scheme string) int {
	return map[string]int{"http": c.HTTPPort, "https": c.HTTPSPort}[scheme]
}

// ports are those of this machine, by the listeners' that they lead to.
func (c Config) ports() map[int32]int {
	ports := map[int32]int{}
	for _, door := range serving.Doors {
		if port := c.port(door.Scheme); port != 0 {
			ports[door.EntryPoint] = port
		}
	}
	return ports
}

// namespaces are those whose routes are proven on an existing cluster; none for all.
func (c Config) namespaces() []string {
	return slices.DeleteFunc(strings.Split(c.Namespaces, ","), func(name string) bool { return name == "" })
}

// The files with the chart's values, for kindgate's own cluster and for one of a context.
const kindValues, contextValues = "traefik-values.yaml", "traefik-values.cluster.yaml"

// valuesPath is the file with the chart's values.
func (c Config) valuesPath() string {
	if c.Context != "" {
		return manifestsDir + "/" + contextValues
	}
	return manifestsDir + "/" + kindValues
}

// forOthers tells whether a file of the manifests is for other clusters than the run's: its name ends in .kind.yaml, .yml or .json where it is
// only for kindgate's own kind cluster, and in .cluster.yaml, .yml or .json where it is only for the cluster of a context.
func (c Config) forOthers(path string) bool {
	suffix := ".cluster"
	if c.Context != "" {
		suffix = ".kind"
	}
	return filepath.Ext(strings.TrimSuffix(path, filepath.Ext(path))) == suffix
}

const prefix = "KINDGATE_"

// setting is one variable: its name after the prefix, its default, what is allowed, and how a value is taken.
type setting struct {
	name, value, allowed string
	set                  func(string) bool
}

// noTilde ends what is allowed of a path: a ~ that reaches us would be a folder's name.
const noTilde = ", and not begin with ~: write $HOME, which a shell replaces inside quotes, too"

func (c *Config) settings() []setting {
	return []setting{
		{"CLUSTER", "kindgate", "lower-case letters, digits, '-' and '.', at most 50 characters, a letter or digit first and last", matching(&c.Cluster, `^[a-z0-9]([a-z0-9.-]{0,48}[a-z0-9])?$`)},
		{"CONTEXT", "", "the name of a context in the kubeconfig, or empty for kindgate's own cluster", matching(&c.Context, ``)},
		{"NAMESPACES", "", "names of namespaces with commas between them, or empty for all",
			matching(&c.Namespaces, `^($|[a-z0-9]([a-z0-9-]*[a-z0-9])?(,[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$)`)},
		{"RATE", "10", "how many requests a second, from 1 to 10000, or 0 for no limit", number(&c.Rate, 10_000)},
		{"HTTP_PORT", "80", "a port from 1 to 65535", port(&c.HTTPPort)},
		{"HTTPS_PORT", "443", "a port from 1 to 65535", port(&c.HTTPSPort)},
		{"NODE_IMAGE", "", "an image's name, as kindest/node:v1.37.0", matching(&c.NodeImage, `^$|^[a-zA-Z0-9][\w./:@-]*$`)},
		{"TRAEFIK_CHART", "", "a folder or .tgz, or empty for the repository's chart" + noTilde,
			matching(&c.TraefikChart, `^($|[^~])`)},
		{"TRAEFIK_REPO", "https://traefik.github.io/charts", "an http or https URL", matching(&c.TraefikRepo, `^https?://[^/]+`)},
		{"TRAEFIK_VERSION", serving.TriedChart, "an exact version, as 39.0.7", matching(&c.TraefikVersion, `^v?\d+\.\d+\.\d+([-+][\w.+-]+)?$`)},
		{"TRAEFIK_DIGEST", "", "the SHA-256 of the chart's archive, 64 hexadecimal digits, or empty to rely on the repository's index", matching(&c.TraefikDigest, `^([0-9a-f]{64})?$`)},
		{"HOSTS", "", "all, to lead every name to this machine, or empty to leave out those that are or may be somebody else's",
			matching(&c.Hosts, `^(all)?$`)},
		{"HOSTS_FILE", systemHosts(), "a file's path" + noTilde, matching(&c.HostsFile, `^[^~]`)},
		{"KUBECONFIG", "", "a file's path, or empty for the one kubectl uses" + noTilde,
			matching(&c.Kubeconfig, `^($|[^~])`)},
		{"ADOPT", "", "yes or empty", yes(&c.Adopt)},
		{"APPROVE", "", "yes or empty", yes(&c.Approve)},
		{"PRUNE", "", "yes or empty", yes(&c.Prune)},
		{"TIMEOUT", "5m", "a duration of at least 1s, as 90s or 10m", duration(&c.Timeout)},
		{"OUTPUT", "text", "text or json", matching(&c.Output, `^(text|json)$`)},
		{"JUNIT", "", "a file's path, or empty for no report" + noTilde, matching(&c.JUnit, `^($|[^~])`)},
		{"BUNDLE", "", "failure, to make a bundle of a run that fails, or empty", matching(&c.Bundle, `^(failure)?$`)},
		{"BUNDLE_FILE", "", "a bundle's path, or empty for a cluster" + noTilde, matching(&c.BundleFile, `^($|[^~])`)},
		{"BENCH_FORMAT", "text", "text or markdown", matching(&c.BenchFormat, `^(text|markdown)$`)},
		{"SOAK_RESTART", "", "a command that restarts the container engine, or empty to leave that out", matching(&c.SoakRestart, ``)},
		{"TEST_SKIP_E2E", "", "yes or empty", yes(&c.TestSkipE2E)},
	}
}

// ReadConfig takes the environment, as os.Environ returns it. The error joins all that is wrong, each with the variable, its value and
// what is allowed; a variable KINDGATE_* that does not exist is named with the nearest one that does.
func ReadConfig(environ []string) (Config, error) {
	var config Config
	given := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if ours, ok := strings.CutPrefix(name, prefix); ok {
			given[ours] = value
		}
		switch name {
		case "NO_COLOR":
			config.NoColor = value != ""
		case "KIND_EXPERIMENTAL_PROVIDER":
			config.Provider = value
		case "GITHUB_ACTIONS":
			config.GitHub = value == "true"
		case "GITHUB_STEP_SUMMARY":
			config.Summary = value
		case "GITHUB_WORKSPACE":
			config.Workspace = value
		}
	}
	var problems []error
	var names []string
	if given["CONTEXT"] != "" && given["CLUSTER"] != "" {
		problems = append(problems, errors.New("KINDGATE_CONTEXT and KINDGATE_CLUSTER are both set: the first names a cluster that kindgate did not make, the second its own"))
	}
	for _, s := range config.settings() {
		names = append(names, s.name)
		value, isSet := given[s.name]
		if !isSet || value == "" {
			value = s.value
		}
		if !s.set(value) {
			problems = append(problems, fmt.Errorf("%s%s=%q: it must be %s", prefix, s.name, value, s.allowed))
		}
		delete(given, s.name)
	}
	for name := range given {
		nearest := slices.MinFunc(names, func(a, b string) int { return spelling.Apart(a, name, 99) - spelling.Apart(b, name, 99) })
		problems = append(problems, fmt.Errorf("%s%s: there is no such setting; is %s%s meant?", prefix, name, prefix, nearest))
	}
	if config.HTTPPort == config.HTTPSPort && config.HTTPPort != 0 {
		problems = append(problems, fmt.Errorf("KINDGATE_HTTP_PORT and KINDGATE_HTTPS_PORT are both %d: they must differ", config.HTTPPort))
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return config, errors.Join(problems...)
}

func matching(to *string, pattern string) func(string) bool {
	return func(value string) bool {
		*to = value
		return regexp.MustCompile(pattern).MatchString(value)
	}
}

func port(to *int) func(string) bool {
	return func(value string) bool {
		n, err := strconv.Atoi(value)
		*to = n
		return err == nil && n >= 1 && n <= 65535
	}
}

func number(to *int, most int) func(string) bool {
	return func(value string) bool {
		n, err := strconv.Atoi(value)
		*to = n
		return err == nil && n >= 0 && n <= most
	}
}

func yes(to *bool) func(string) bool {
	return func(value string) bool {
		*to = value == "yes"
		return *to || value == ""
	}
}

func duration(to *time.Duration) func(string) bool {
	return func(value string) bool {
		d, err := time.ParseDuration(value)
		*to = d
		return err == nil && d >= time.Second
	}
}

// systemHosts returns where the system keeps its hosts file.
func systemHosts() string {
	if runtime.GOOS == "windows" {
		root := os.Getenv("SystemRoot")
		if root == "" {
			root = `C:\Windows`
		}
		return filepath.Join(root, "System32", "drivers", "etc", "hosts")
	}
	return "/etc/hosts"
}
