package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kindgate/magefiles/internal/sandbox"
)

func TestNoSettingIsNeeded(t *testing.T) {
	config, err := ReadConfig([]string{"PATH=/bin", "KINDGATE_TIMEOUT=", "NO_COLOR=1"})
	if err != nil || config.Cluster != "kindgate" || config.HTTPPort != 80 || config.HTTPSPort != 443 ||
		config.Timeout != 5*time.Minute || !config.NoColor {
		t.Errorf("%v: %+v", err, config)
	}
}

func TestEverySettingReachesItsField(t *testing.T) {
	config, err := ReadConfig([]string{
		"KINDGATE_CLUSTER=c", "KINDGATE_HTTP_PORT=8080", "KINDGATE_HTTPS_PORT=8443", "KINDGATE_NODE_IMAGE=n",
		"KINDGATE_TRAEFIK_CHART=./chart", "KINDGATE_TRAEFIK_REPO=https://x", "KINDGATE_TRAEFIK_VERSION=1.2.3",
		"KINDGATE_TRAEFIK_DIGEST=" + strings.Repeat("0", 64), "KINDGATE_HOSTS=all", "KINDGATE_HOSTS_FILE=h", "KINDGATE_KUBECONFIG=k=v",
		"KINDGATE_ADOPT=yes", "KINDGATE_APPROVE=yes", "KINDGATE_PRUNE=yes", "KINDGATE_TIMEOUT=90s", "KINDGATE_OUTPUT=json", "KINDGATE_BENCH_FORMAT=markdown", "KINDGATE_SOAK_RESTART=a b=c",
		"KINDGATE_TEST_SKIP_E2E=yes", "KINDGATE_JUNIT=j", "KINDGATE_BUNDLE=failure", "KINDGATE_BUNDLE_FILE=b", "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=s", "GITHUB_WORKSPACE=w", "KINDGATE_NAMESPACES=shop,cart", "KINDGATE_RATE=0", "KIND_EXPERIMENTAL_PROVIDER=podman", "NO_COLOR=", "XKINDGATE_CLUSTER=x", "=", "KINDGATE", "",
	})
	want := Config{"c", 8080, 8443, "n", "./chart", "https://x", "1.2.3", strings.Repeat("0", 64), "all", "h", "k=v",
		true, true, true, 90 * time.Second, "json", "markdown", "a b=c", true, "", "shop,cart", 0, false, "podman", "j", "failure", "b", true, "s", "w"}
	if err != nil || config != want {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, config, want)
	}
}

func TestAContextAndAClusterOfKindgatesExcludeEachOther(t *testing.T) {
	if config, err := ReadConfig([]string{"KINDGATE_CONTEXT=staging"}); err != nil || config.Context != "staging" || len(config.namespaces()) != 0 {
		t.Errorf("%v: %+v", err, config)
	}
	if _, err := ReadConfig([]string{"KINDGATE_CONTEXT=staging", "KINDGATE_CLUSTER=c"}); err == nil || !strings.Contains(err.Error(), "both set") {
		t.Error(err)
	}
}

func TestEverySettingIsTakenAtTheBoundsOfWhatIsAllowedAndNamedWithItsValueBeyondThem(t *testing.T) {
	for name, values := range map[string]struct{ good, bad []string }{
		"CLUSTER": {[]string{"k", "a-b.c9", strings.Repeat("a", 50)},
			[]string{"Not_A_Name", "-k", "k-", ".", "k ", "k\n", "ä", strings.Repeat("a", 51)}},
		"HTTP_PORT":  {[]string{"1", "65535"}, []string{"0", "-1", "65536", "80.0", " 80", "0x50", "99999999999999999999"}},
		"HTTPS_PORT": {[]string{"1", "65535"}, []string{"0", "65536", "443/tcp"}},
		"NODE_IMAGE": {[]string{"", "kindest/node:v1.37.0", "localhost:5000/n@sha256:" + strings.Repeat("0", 64)},
			[]string{"-v", "a b", "a\n"}},
		"TRAEFIK_REPO":    {[]string{"http://x", "https://x/y"}, []string{"x", "oci://x", "ftp://x", "https:///charts"}},
		"TRAEFIK_VERSION": {[]string{"39.0.7", "v39.0.7", "1.2.3-rc.1+b"}, []string{"latest", "39", "39.0", "^39.0.7", "39.0.x", "39.0.7-"}},
		"TRAEFIK_DIGEST": {[]string{"", strings.Repeat("0a", 32)},
			[]string{strings.Repeat("0A", 32), strings.Repeat("0", 63), "sha256:0", "sha256:12"}},
		"HOSTS_FILE":    {[]string{"/a b", "./~", "a~", "C:\\~"}, []string{"~", "~/hosts", "~root/hosts"}},
		"KUBECONFIG":    {[]string{"", "./~/config"}, []string{"~/.kube/config"}},
		"TRAEFIK_CHART": {[]string{"", "chart.tgz"}, []string{"~/chart"}},
		"NAMESPACES":    {[]string{"", "shop", "shop,cart-2"}, []string{",", "shop,", "shop, cart", "Shop", "-"}},
		"RATE":          {[]string{"0", "10", "10000"}, []string{"-1", "10001", "1.5", "off"}},
		"HOSTS":         {[]string{"", "all"}, []string{"none", "ALL", "all "}},
		"TIMEOUT":       {[]string{"1s", "1h30m", "1000ms"}, []string{"999ms", "-5m", "5", "5 m"}},
		"OUTPUT":        {[]string{"text", "json"}, []string{"xml", "JSON", "text\n", "text|json"}},
		"JUNIT":         {[]string{"", "report.xml"}, []string{"~/report.xml"}},
		"BUNDLE":        {[]string{"", "failure"}, []string{"always", "yes"}},
		"BUNDLE_FILE":   {[]string{"", "kindgate-bundle.tar.gz"}, []string{"~/b"}},
		"BENCH_FORMAT":  {[]string{"text", "markdown"}, []string{"json", "html"}},
	} {
		for _, value := range values.good {
			if _, err := ReadConfig([]string{prefix + name + "=" + value}); err != nil {
				t.Error(err)
			}
		}
		for _, value := range values.bad {
			_, err := ReadConfig([]string{prefix + name + "=" + value})
			if want := fmt.Sprintf("%s%s=%q: it must be ", prefix, name, value); err == nil || !strings.HasPrefix(err.Error(), want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("%s=%q: one problem is expected: %v", name, value, err)
			}
		}
	}
}

func TestTheNearestSettingIsNamedForOneThatDoesNotExist(t *testing.T) {
	for wrong, nearest := range map[string]string{
		"CLUSTR": "CLUSTER", "HTTPPORT": "HTTP_PORT", "HTTPS_PROT": "HTTPS_PORT", "TREAFIK_CHART": "TRAEFIK_CHART",
		"HOSTFILE": "HOSTS_FILE", "TIMEOUTS": "TIMEOUT", "cluster": "CLUSTER",
	} {
		_, err := ReadConfig([]string{prefix + wrong + "=x"})
		if err == nil || err.Error() != prefix+wrong+": there is no such setting; is "+prefix+nearest+" meant?" {
			t.Error(err)
		}
	}
}

func TestTheTwoPortsMustDiffer(t *testing.T) {
	for _, environ := range [][]string{{"KINDGATE_HTTP_PORT=443"}, {"KINDGATE_HTTP_PORT=8080", "KINDGATE_HTTPS_PORT=8080"}} {
		if _, err := ReadConfig(environ); err == nil || !strings.Contains(err.Error(), "must differ") {
			t.Errorf("%v: %v", environ, err)
		}
	}
}

func TestASandboxTakesOnlyTheNodeImageAndTheChartFromTheUser(t *testing.T) {
	known := map[string]bool{}
	for _, s := range (&Config{}).settings() {
		known[s.name] = true
		t.Setenv(prefix+s.name, "the user's")
	}
	box, err := sandbox.New("kindgate-test", "../../..", "kindgate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(box.Dir) })
	var taken []string
	for _, entry := range box.Command(t.Context(), "up").Environ() {
		name, value, _ := strings.Cut(entry, "=")
		ours, ok := strings.CutPrefix(name, prefix)
		if ok && !known[ours] {
			t.Errorf("%s: there is no such setting", name)
		}
		if ok && value == "the user's" {
			taken = append(taken, ours)
		}
	}
	slices.Sort(taken)
	if want := []string{"NODE_IMAGE", "TRAEFIK_CHART", "TRAEFIK_DIGEST", "TRAEFIK_REPO", "TRAEFIK_VERSION"}; !slices.Equal(taken, want) {
		t.Errorf("got %v, want %v", taken, want)
	}
}

// readmeRow is a row of the README's table of settings: the variable, its default, and what it means.
var readmeRow = regexp.MustCompile("(?m)^\\| `KINDGATE_(\\w+)` \\| (.*?) ?\\| .+ \\|$")

func TestTheREADMEHasEverySettingWithItsDefaultAndNoOther(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, row := range readmeRow.FindAllStringSubmatch(string(readme), -1) {
		if !strings.HasPrefix(row[2], "`") {
			row[2] = "" // said in words: what others choose, or nothing
		}
		got = append(got, row[1]+" "+strings.Trim(row[2], "`"))
	}
	known := map[string]bool{}
	for _, s := range (&Config{}).settings() {
		known[s.name] = true
		if s.name == "HOSTS_FILE" {
			s.value = "" // each system has its own
		}
		want = append(want, s.name+" "+s.value)
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md has\n%s\nthe settings are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, named := range regexp.MustCompile(`KINDGATE_(\w+)`).FindAllStringSubmatch(string(readme), -1) {
		if !known[named[1]] {
			t.Errorf("README.md names %s, and there is no such setting", named[0])
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnceAndInTheSameOrderEveryTime(t *testing.T) {
	environ := []string{"KINDGATE_X=1", "KINDGATE_OUTPUT=x", "KINDGATE_HTTP_PORT=443", "KINDGATE_Y=1", "KINDGATE_TIMEOUT=x"}
	want := []string{
		"KINDGATE_HTTP_PORT and KINDGATE_HTTPS_PORT are both 443", `KINDGATE_OUTPUT="x": it must be `, `KINDGATE_TIMEOUT="x": it must be `,
		"KINDGATE_X: there is no such setting", "KINDGATE_Y: there is no such setting",
	}
	_, err := ReadConfig(environ)
	if err == nil || !slices.EqualFunc(strings.Split(err.Error(), "\n"), want, strings.HasPrefix) {
		t.Fatal(err)
	}
	for range 20 { // as maps have no order
		if _, again := ReadConfig(environ); again.Error() != err.Error() {
			t.Fatalf("%v\n\n%v", err, again)
		}
	}
}

func TestOnlyAMissingRightIsNoFailureOfTheHostsFile(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, errors.New("full"): false, fs.ErrNotExist: false,
		fs.ErrPermission: true, &os.PathError{Op: "open", Path: "hosts", Err: syscall.EACCES}: true,
		errors.New("open hosts: read-only file system"): true,
	} {
		if got := mayNot(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add("HTTP_PORT", "80")
	f.Add("CLUSTR", "x")
	f.Add("TRAEFIK_VERSION", "v1.2.3-rc.1")
	f.Fuzz(func(t *testing.T, name, value string) {
		if _, err := ReadConfig([]string{prefix + name + "=" + value}); err != nil && !strings.Contains(err.Error(), prefix) {
			t.Errorf("an error that names no variable: %v", err)
		}
	})
}

func TestInAWorkspaceOfOthersTheCommandOfTheREADMEFindsMage(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("`((?:[A-Z]+=\\S* )+)go tool mage up`").FindSubmatch(readme)
	if command == nil {
		t.Fatal("the README has no such command")
	}
	mono := t.TempDir()
	kindgate := filepath.Join(mono, "kindgate")
	for path, text := range map[string]string{"go.work": "go 1.26.0\n\nuse ./other\n", "other/go.mod": "module other\n\ngo 1.26.0\n", "kindgate/none": ""} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(mono, path)), 0o755), os.WriteFile(filepath.Join(mono, path), []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile("../../../" + file)
		if err := errors.Join(err, os.WriteFile(filepath.Join(kindgate, file), text, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	tools := func(environ ...string) string {
		list := exec.CommandContext(t.Context(), "go", "tool")
		list.Dir, list.Env = kindgate, append(os.Environ(), environ...)
		out, err := list.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	const mage = "github.com/magefile/mage"
	if before := tools("GOWORK=", "GOFLAGS="); strings.Contains(before, mage) {
		t.Errorf("the workspace hides nothing: %s", before)
	}
	if after := tools(strings.Fields(string(command[1]))...); !strings.Contains(after, mage) {
		t.Errorf("%s: %s", command[1], after)
	}
}
