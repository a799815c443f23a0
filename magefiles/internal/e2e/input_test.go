package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// eventually fails the test when condition does not come to hold.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("it did not come to pass within 2 min")
}

func TestWithoutAnEngineTheErrorSaysWhatToStart(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-none")
	w.env["DOCKER_HOST"] = "unix://" + filepath.Join(w.dir, "no.sock")
	w.fails(t, []string{"engine does not answer", "systemctl start docker"}, "up")
	w.env["PATH"] = w.dir
	w.fails(t, []string{"no container engine is installed"}, "up")
}

func TestATakenPortIsNamedWithItsHolderAndTheVariable(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-port")
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", w.httpPort))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	out := w.fails(t, []string{fmt.Sprintf("port %d", w.httpPort), "KINDGATE_HTTP_PORT", fmt.Sprintf("process %d", os.Getpid())}, "up")
	if strings.Contains(out, "preparing nodes") {
		t.Errorf("it was found out late:\n%s", out)
	}
	if nodes := w.docker(t, "ps", "--all", "--quiet", "--filter", "name=^"+w.node()+"$"); nodes != "" {
		t.Error("a node was left")
	}
}

func TestEverythingWrongInTheFilesIsNamedBeforeAnythingBegins(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-files")
	w.edit(t, "kind/cluster.yaml", "hostPort: 443", "hostport: 443")
	w.edit(t, "manifests/whoami-v1.yaml", "replicas", "replica")
	w.edit(t, "manifests/gateway.yaml", "listeners", "listener")
	w.write(t, "manifests/broken.yaml", "kind: [\n")
	w.fails(t, []string{"kind/cluster.yaml:15", "hostport", "manifests/whoami-v1.yaml:1: Deployment/demo/whoami-v1", `"spec.replica"`,
		"manifests/gateway.yaml:9", "Gateway/traefik/traefik-gateway: spec.listener: unknown field", "manifests/broken.yaml:"}, "up")
	if nodes := w.docker(t, "ps", "--all", "--quiet", "--filter", "name=^"+w.node()+"$"); nodes != "" {
		t.Error("a node was made")
	}
}

func TestCheckNamesWhatNoClusterWouldServe(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-check")
	w.write(t, "manifests/zz.yaml", `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bad, namespace: demo}
spec:
  parentRefs: [{name: traefik-gatewy, namespace: traefik}]
  hostnames: [my_app.localhost]
  rules:
    - filters: [{type: RequestRedirect, requestRedirect: {statusCode: 308}}]
    - timeouts: {request: 5s}
      filters: [{type: RequestMirror, requestMirror: {backendRef: {name: whoami-v2, port: 80}}}]
      backendRefs: [{name: whoami-v1, port: 81}]
`)
	w.edit(t, "manifests/traefik-values.yaml", "kubernetesGateway:\n    enabled: true", "kubernetesGateway:\n    enabled: true\n    experimentalChannel: true")
	w.env["DOCKER_HOST"] = "unix://" + filepath.Join(w.dir, "no.sock") // nor is an engine needed
	w.fails(t, []string{"✗ manifests/zz.yaml:5", "there is no Gateway/traefik/traefik-gatewy", "write name: traefik-gateway",
		"✗ manifests/zz.yaml:6", "my_app.localhost", "✗ manifests/zz.yaml:8", "308 is not supported", "! manifests/zz.yaml:9", "timeouts are accepted and ignored",
		"✗ manifests/zz.yaml:10", "does not implement the filter RequestMirror", "✗ manifests/zz.yaml:11", "Service/demo/whoami-v1 has no port 81",
		"! values", "experimentalchannel", "TLSRoute"}, "check")
	before, _ := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"])
	w.fails(t, []string{"308 is not supported"}, "hosts")
	if after, _ := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"]); !bytes.Equal(before, after) {
		t.Errorf("the hosts file was written:\n%s", after)
	}
}

func TestValuesThatTheChartRefusesAreNamedBeforeAnythingIsMade(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-values")
	w.edit(t, "manifests/traefik-values.yaml", "deployment:", "deploymnt: {}\ndeployment:")
	w.fails(t, []string{"manifests/traefik-values.yaml: the chart cannot be rendered with these values", "deploymnt"}, "up")
	if nodes := w.docker(t, "ps", "--all", "--quiet", "--filter", "name=^"+w.node()+"$"); nodes != "" {
		t.Error("a node was made")
	}
}

func TestValuesThatRenderNoWorkloadLeaveTheRunningTraefikAlone(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/traefik-values.yaml", "kind: DaemonSet", "kind: Deployment\n  replicas: 0")
	w.fails(t, []string{"manifests/traefik-values.yaml: with these values the chart renders no workload"}, "traefik")
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
}

func TestBadSettingsAreNamedAllAtOnce(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-settings")
	w.env["KINDGATE_HTTP_PORT"] = "eighty"
	w.env["KINDGATE_TIMEOUT"] = "soon"
	w.env["KINDGATE_CLUSTR"] = "x"
	w.fails(t, []string{`KINDGATE_HTTP_PORT="eighty"`, "1 to 65535", `KINDGATE_TIMEOUT="soon"`, "KINDGATE_CLUSTR", "is KINDGATE_CLUSTER meant?"}, "up")
}

func TestARouteToAMissingServiceOrGatewayFailsWithTheReason(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/httproute-host.yaml", "name: whoami-v1", "name: nowhere")
	start := time.Now()
	w.fails(t, []string{"HTTPRoute/demo/whoami-host", "BackendNotFound", "nowhere"}, "up")
	w.reset(t)
	w.edit(t, "manifests/httproute-host.yaml", "name: traefik-gateway", "name: no-gateway")
	w.fails(t, []string{"manifests/httproute-host.yaml:9", "HTTPRoute/demo/whoami-host", "there is no Gateway/traefik/no-gateway in the manifests"}, "up")
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

func TestAnImageThatCannotBePulledFailsWithTheKubeletsWords(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/whoami-v2.yaml", "traefik/whoami:v1.11.0", "registry.invalid/whoami:none")
	start := time.Now()
	w.fails(t, []string{"Deployment/demo/whoami-v2", "Pod/demo/whoami-v2-", "registry.invalid/whoami:none", "ErrImagePull"}, "up")
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	w.answeredBy(t, "demo.localhost", "/v2", "whoami-v2") // the old pods go on
}

func TestWhatCouldNotStartStartsAtOnceWhenItIsMended(t *testing.T) {
	enterShared(t)
	w := up(t)
	unique := fmt.Sprint(time.Now().UnixNano())
	settings, image := "settings-"+unique, "kindgate.test/whoami:"+unique
	w.edit(t, "manifests/whoami-v1.yaml", "          ports:", "          envFrom: [{configMapRef: {name: "+settings+"}}]\n          ports:")
	w.fails(t, []string{"Deployment/demo/whoami-v1", `configmap "` + settings + `" not found`}, "up")

	w.write(t, "manifests/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+settings+", namespace: demo}\n")
	w.edit(t, "manifests/whoami-v2.yaml", "traefik/whoami:v1.11.0", image)
	w.fails(t, []string{"left for the node to pull: " + image, "Deployment/demo/whoami-v2"}, "up")

	w.docker(t, "tag", "traefik/whoami:v1.11.0", image)
	defer w.docker(t, "rmi", image)
	w.mage(t, "up")
	w.answeredBy(t, "demo.localhost", "/v2", "whoami-v2")
}

func TestACrashLoopThatIsMendedIsTriedAgainAtOnce(t *testing.T) {
	enterShared(t)
	w := up(t)
	settings := func(port string) {
		w.write(t, "manifests/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: port, namespace: demo}\ndata: {PORT: \""+port+"\"}\n")
	}
	settings("none")
	w.edit(t, "manifests/whoami-v1.yaml", `args: ["--name=whoami-v1"]`, `args: ["--port=$(PORT)"]`+"\n          envFrom: [{configMapRef: {name: port}}]")
	w.fails(t, []string{"Deployment/demo/whoami-v1", "CrashLoopBackOff", "restarted 3 times", " --context kind-" + w.name + " logs"}, "up")
	settings("80")
	w.mage(t, "up")
	w.answeredBy(t, "whoami.localhost", "/", "whoami-v1")
}

func TestAPodThatNoNodeWillTakeFailsInTheClustersWordsBeforeTheTimeLimit(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/whoami-v1.yaml", "      containers:", "      nodeSelector: {disk: ssd}\n      containers:")
	w.write(t, "manifests/data.yaml", `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], storageClassName: nobodys, resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: reads, namespace: default}
spec:
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
  containers: [{name: reads, image: "traefik/whoami:v1.11.0", volumeMounts: [{name: data, mountPath: /data}]}]
`)
	out := w.fails(t, []string{"Pod/demo/whoami-v1-", "0/1 nodes are available", `Pod/default/reads: PersistentVolumeClaim/default/data: storageclass.storage.k8s.io "nobodys" not found`}, "apps")
	if strings.Contains(out, "KINDGATE_TIMEOUT") {
		t.Error(out)
	}
	w.kubectl(t, "delete --namespace default pod/reads pvc/data")
}

func TestACustomResourceIsAppliedTogetherWithItsDefinition(t *testing.T) {
	enterShared(t)
	w := up(t)
	group := fmt.Sprintf("t%d.kindgate.test", time.Now().UnixNano())
	w.write(t, "manifests/thing.yaml", `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.`+group+`}
spec:
  group: `+group+`
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: `+group+`/v1
kind: Thing
metadata: {name: one, namespace: demo}
`)
	contains(t, w.mage(t, "up"), "created Thing/demo/one")
	w.edit(t, "manifests/thing.yaml", "apiVersion: "+group+"/v1", "apiVersion: nobody.kindgate.test/v1")
	w.edit(t, "manifests/whoami-v1.yaml", "replicas: 2", "replicas: 1")
	w.fails(t, []string{"Thing/demo/one (manifests/thing.yaml:10): the cluster has no kind Thing in nobody.kindgate.test/v1"}, "apps")
	dyn, _ := w.clients(t)
	deployment, err := dyn.Resource(deployments).Namespace("demo").Get(t.Context(), "whoami-v1", metav1.GetOptions{})
	if replicas, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); err != nil || replicas != 1 {
		t.Errorf("%v: an object that cannot be applied keeps the others back: %d replicas", err, replicas)
	}
}

func TestAChartThatIsNotThereIsNamed(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-chart")
	w.env["KINDGATE_TRAEFIK_CHART"] = filepath.Join(w.dir, "no-chart")
	w.fails(t, []string{"KINDGATE_TRAEFIK_CHART", "no-chart"}, "up")
}

func TestARunWhoseTimeIsOverSaysWhatItWasWaitingFor(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-limit")
	w.env["KINDGATE_TIMEOUT"] = "6s"
	out := w.fails(t, []string{"· cluster      preparing nodes"}, "up")
	phases := regexp.MustCompile(`(?m)^· cluster      (.+)$`).FindAllStringSubmatch(out, -1)
	// How far it comes depends on the machine; what it was doing is the phase that it announced last.
	if len(phases) == 0 {
		t.Fatal("no phase is announced")
	}
	contains(t, out, "cluster: gave up after 6s (KINDGATE_TIMEOUT) while "+phases[len(phases)-1][1])
}

func TestTheUsersKubeconfigKeepsItsCurrentContext(t *testing.T) {
	enterShared(t)
	w := up(t)
	const theirs = `apiVersion: v1
kind: Config
current-context: theirs
clusters: [{name: theirs, cluster: {server: "https://example.com:6443"}}]
contexts: [{name: theirs, context: {cluster: theirs, user: theirs}}]
users: [{name: theirs, user: {token: secret}}]
`
	w.env["KINDGATE_KUBECONFIG"] = filepath.Join(w.dir, "theirs")
	w.write(t, "theirs", theirs)
	w.mage(t, "cluster")
	text, err := os.ReadFile(w.env["KINDGATE_KUBECONFIG"])
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), "current-context: theirs", "https://example.com:6443", "name: kind-"+w.name)
	w.mage(t, "verify")
}

func TestAHostsFileThatMayNotBeWrittenIsNoFailure(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/httproute-host.yaml", "- whoami.localhost", "- whoami.kindgate.test") // which no system resolves
	w.write(t, "hosts", "127.0.0.1 localhost\n")
	if err := os.Chmod(w.env["KINDGATE_HOSTS_FILE"], 0o444); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(w.env["KINDGATE_HOSTS_FILE"])
	contains(t, w.mage(t, "up"), "may not be written", "| sudo tee -a")
	text, err := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"])
	if err != nil || string(text) != "127.0.0.1 localhost\n" {
		t.Errorf("%v: %q", err, text)
	}
}

func TestAReleaseThatWasLeftPendingIsRecovered(t *testing.T) {
	enterShared(t)
	for _, status := range []string{"pending-install", "pending-upgrade", "pending-rollback", "failed", "uninstalling"} {
		t.Run(status, func(t *testing.T) {
			w := up(t)
			_, typed := w.clients(t)
			before, err := typed.CoreV1().Pods("traefik").List(context.Background(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			w.leaveRelease(t, status)
			if steps := w.steps(t, "up"); steps["traefik"].Result != "repaired" {
				t.Errorf("%+v", steps["traefik"])
			}
			after, err := typed.CoreV1().Pods("traefik").List(context.Background(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(after.Items) != 1 || after.Items[0].UID != before.Items[0].UID {
				t.Error("the running Traefik was replaced")
			}
		})
	}
	t.Run("secrets deleted", func(t *testing.T) {
		w := up(t)
		_, typed := w.clients(t)
		err := typed.CoreV1().Secrets("traefik").DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "owner=helm"})
		if err != nil {
			t.Fatal(err)
		}
		w.mage(t, "up")
		if status, _, err := w.get("whoami.localhost", "/"); status != http.StatusOK {
			t.Errorf("%d %v", status, err)
		}
	})
}
