package e2e

import (
	"strings"
	"testing"
)

// The machine whose trust store is changed is a container of the node image: a Debian with an OpenSSL of its own.
func TestTrustIsFoundByOpenSSLAndUntrustLeavesTheStoreByteForByteAsBefore(t *testing.T) {
	enterShared(t)
	w := up(t)
	image := w.docker(t, "inspect", "--format", "{{.Config.Image}}", w.node())
	machine := w.docker(t, "run", "--detach", "--rm", "--entrypoint", "sleep", image, "infinity")
	defer w.docker(t, "kill", machine)
	w.docker(t, "cp", binary, machine+":/kindgate")
	w.docker(t, "exec", machine, "mkdir", "/project")
	for _, folder := range []string{"kind", "manifests"} {
		w.docker(t, "cp", w.dir+"/"+folder, machine+":/project/"+folder)
	}
	in := func(line string) string {
		return w.docker(t, "exec", "--workdir", "/project", machine, "sh", "-c", line)
	}
	store := func() string {
		return in(`cd / && find etc/ssl etc/ca-certificates* usr/share/ca-certificates usr/local/share/ca-certificates -type f -exec sha256sum {} + -o -printf '%p %M %l\n' | sort`)
	}
	verdict := func() string {
		return in(`openssl verify -CApath /etc/ssl/certs ~/.config/kindgate/*.pem 2>&1 | tail -n 1`)
	}
	before := store()
	contains(t, in("/kindgate trust"), "it can sign nothing but names under localhost, test and example", "as root: tee ", "update-ca-certificates")
	if said := verdict(); !strings.HasSuffix(said, ": OK") {
		t.Errorf("trusted: %s", said)
	}
	if store() == before {
		t.Error("trust has changed nothing")
	}
	for line := range strings.Lines(in("KINDGATE_OUTPUT=json /kindgate untrust 2>/dev/null")) {
		decoded(t, line)
	}
	if said := verdict(); !strings.Contains(said, "verification failed") {
		t.Errorf("no longer trusted: %s", said)
	}
	if after := store(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
