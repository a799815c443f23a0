package demo

import (
	"strings"
	"testing"
	"time"
)

func TestNoSettingIsNeeded(t *testing.T) {
	config, err := ReadConfig([]string{"PATH=/bin", "KINDGATE_TIMEOUT=", "NO_COLOR=1"})
	if err != nil || config.Cluster != "kindgate" || config.HTTPPort != 80 || config.HTTPSPort != 443 || config.Timeout != 5*time.Minute || !config.NoColor {
		t.Errorf("%v: %+v", err, config)
	}
}

func TestEveryBadSettingIsNamedWithItsValueAndWhatIsAllowed(t *testing.T) {
	bad := map[string]string{
		"CLUSTER": "Not_A_Name", "HTTP_PORT": "0", "HTTPS_PORT": "65536", "NODE_IMAGE": "a b", "TRAEFIK_REPO": "ftp://x", "TRAEFIK_VERSION": "latest",
		"TRAEFIK_DIGEST": "sha256:12", "TIMEOUT": "5", "OUTPUT": "xml", "BENCH_FORMAT": "html", "TIMEOUTS": "5m",
	}
	var environ []string
	for name, value := range bad {
		environ = append(environ, prefix+name+"="+value)
	}
	_, err := ReadConfig(environ)
	if err == nil {
		t.Fatal("no error")
	}
	for name, value := range bad {
		if name != "TIMEOUTS" && !strings.Contains(err.Error(), prefix+name+`="`+value+`": it must be `) {
			t.Errorf("%s is missing in:\n%v", name, err)
		}
	}
	if !strings.Contains(err.Error(), "KINDGATE_TIMEOUTS: there is no such setting; is KINDGATE_TIMEOUT meant?") {
		t.Error(err)
	}
	if _, err := ReadConfig([]string{"KINDGATE_HTTP_PORT=8080", "KINDGATE_HTTPS_PORT=8080"}); err == nil || !strings.Contains(err.Error(), "must differ") {
		t.Error(err)
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
