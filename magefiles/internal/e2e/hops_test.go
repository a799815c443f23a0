package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// atOnce stands for the status of a request that need not be waited for: the damage is there as soon as it is done.
const atOnce = -1

func TestTheBrokenHopIsNamed(t *testing.T) {
	enterShared(t)
	w := up(t)
	const host, v2 = "whoami.localhost/", "demo.localhost/v2"
	for _, test := range []struct {
		name    string
		damage  func(*testing.T, *world)
		request string // one that fails,
		status  int    // and its status when the damage has taken effect, 0 for no answer
		hops    []string
		words   []string
	}{
		{"nobody publishes the port", func(t *testing.T, w *world) { w.env["KINDGATE_HTTP_PORT"] = fmt.Sprint(freePort(t)) },
			host, atOnce, []string{"the port on this machine"}, []string{"nothing listens there"}},
		{"another program has the port", listening("ok"),
			"traefik.localhost/", atOnce, []string{"the port on this machine"}, []string{fmt.Sprintf("process %d", os.Getpid())}},
		{"another program has the port and a page for every name", listening("<html>welcome</html>"),
			"no-such-route.localhost/", atOnce, []string{"the port on this machine"}, []string{fmt.Sprintf("process %d", os.Getpid())}},
		{"Traefik has no pod on the node", traefik(func(pod *corev1.PodSpec) { pod.NodeSelector = map[string]string{"nowhere": "true"} }),
			host, 0, []string{"Traefik's pod"}, nil},
		{"Traefik's pod has no hostPort", traefik(func(pod *corev1.PodSpec) {
			for i := range pod.Containers[0].Ports {
				pod.Containers[0].Ports[i].HostPort = 0
			}
		}), host, 0, []string{"Traefik's pod"}, []string{"does not take the node's port 80"}},
		{"the node's port leads nowhere", func(t *testing.T, w *world) {
			w.docker(t, "exec", w.node(), "iptables", "-t", "nat", "-F", "CNI-HOSTPORT-DNAT")
		}, host, 0, []string{"Traefik's pod"}, []string{"the node's port 80 does not lead there"}},
		{"Traefik listens elsewhere", traefik(func(pod *corev1.PodSpec) {
			for i, arg := range pod.Containers[0].Args {
				pod.Containers[0].Args[i] = strings.Replace(arg, "web.address=:8000", "web.address=127.0.0.1:8000", 1)
			}
		}), host, 0, []string{"Traefik's answer"}, nil},
		{"Traefik hangs", stopTraefik,
			host, atOnce, []string{"Traefik's pod", "Traefik's answer"}, nil}, // until the kubelet has looked, the pod is still ready
		{"the listener's port is no entry point's", patched(gateways, "traefik", "traefik-gateway", `{"spec":{"listeners":[
			{"name":"web","protocol":"HTTP","port":9999,"allowedRoutes":{"namespaces":{"from":"All"}}}]}}`),
			host, http.StatusNotFound, []string{"Gateway/traefik/traefik-gateway"}, []string{"9999"}},
		{"the route's backend is missing", patched(routes, "demo", "whoami-host", `{"spec":{"rules":[
			{"backendRefs":[{"name":"nowhere","port":80}]}]}}`),
			host, http.StatusInternalServerError, []string{"HTTPRoute/demo/whoami-host"}, []string{"nowhere"}},
		{"the route's listener is missing", patched(routes, "demo", "whoami-host", `{"spec":{"parentRefs":[
			{"name":"traefik-gateway","namespace":"traefik","sectionName":"nowhere"}]}}`),
			host, http.StatusNotFound, []string{"HTTPRoute/demo/whoami-host"}, []string{"listener nowhere does not exist"}},
		{"somebody has changed the route", func(t *testing.T, w *world) {
			patched(routes, "demo", "whoami-host", `{"spec":{"rules":[{"backendRefs":[{"name":"whoami-v2","port":80}]}]}}`)(t, w)
			eventually(t, func() bool { _, body, _ := w.get("whoami.localhost", "/"); return strings.Contains(body, "whoami-v2") })
		}, host, http.StatusOK, []string{"HTTPRoute/demo/whoami-host in the cluster"}, []string{"somebody has changed it"}},
		{"the route's manifest was changed and not applied", func(t *testing.T, w *world) {
			w.edit(t, "manifests/httproute-host.yaml", "name: whoami-v1", "name: whoami-v2")
		}, host, http.StatusOK, []string{"HTTPRoute/demo/whoami-host in the cluster"}, []string{"or its manifest, since it was applied"}},
		{"the Service has no ready pods", withoutPods,
			v2, http.StatusServiceUnavailable, []string{"Service/demo/whoami-v2"}, []string{"no ready pod"}},
		{"the backend does not answer", patched(services, "demo", "whoami-v2", `{"spec":{"ports":[{"port":80,"targetPort":81}]}}`),
			v2, http.StatusBadGateway, []string{"the backend answers"}, []string{"502"}},
		{"the Service's targetPort is none of the pods'", patched(services, "demo", "whoami-v2", `{"spec":{"ports":[{"port":80,"targetPort":"nowhere"}]}}`),
			v2, http.StatusServiceUnavailable, []string{"Service/demo/whoami-v2"}, []string{"its targetPort"}},
		{"Traefik may not read the routes, though their status is well", func(t *testing.T, w *world) {
			w.kubectl(t, "delete clusterrolebinding traefik-traefik")
			w.kubectl(t, "delete pods --namespace traefik --all")
			w.kubectl(t, "rollout status --namespace traefik daemonset/traefik")
		}, host, http.StatusNotFound, []string{"Traefik's routes"}, []string{"does it reach the API server"}},
		{"a Service without pods, besides a route of somebody's that takes every other host", besides(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: everything, namespace: demo}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik, sectionName: web}]
  rules: [{backendRefs: [{name: whoami-v1, port: 80}]}]
`), v2, http.StatusServiceUnavailable, []string{"Service/demo/whoami-v2"}, nil},
		{"a Service without pods, besides a class that nobody serves", func(t *testing.T, w *world) {
			withoutPods(t, w)
			w.write(t, "manifests/other.yaml", `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: other, namespace: demo}
spec:
  gatewayClassName: other
  listeners: [{name: web, port: 80, protocol: HTTP}]
`)
		}, v2, http.StatusServiceUnavailable, []string{"Service/demo/whoami-v2"}, []string{"GatewayClass/other"}},
		{"a Service without pods, besides a listener of somebody's on a port of nobody's", func(t *testing.T, w *world) {
			withoutPods(t, w)
			extraListener(t, w)
		}, v2, http.StatusServiceUnavailable, []string{"Service/demo/whoami-v2"}, []string{"one of somebody else's: listener extra"}},
		{"Traefik gives precedence to somebody's route, and the specification does not", feeding(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: wild, namespace: demo}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik, sectionName: web}]
  hostnames: ["*.localhost"]
  rules: [{matches: [{method: GET}], backendRefs: [{name: whoami-v2, port: 80}]}]
`, "whoami.localhost", "Hostname: whoami-v2"), host, http.StatusOK, []string{"the precedence of routes"},
			[]string{"of Service/demo/whoami-v2, as HTTPRoute/demo/wild, rule 1 takes the request: Traefik gives it the priority 1013, and 18 to HTTPRoute/demo/whoami-host"}},
		{"the GatewayClass is another controller's", foreignClass,
			host, http.StatusNotFound, []string{"GatewayClass/traefik"}, []string{"example.com/other"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Cleanup(func() { w.repairs(t) })
			test.damage(t, w)
			name, path, _ := strings.Cut(test.request, "/")
			eventually(t, func() bool {
				if test.status == atOnce {
					return true
				}
				status, _, _ := w.get(name, "/"+path)
				return status == test.status
			})
			out := w.fails(t, append(test.words, "expected:", "found:", "look at:"), "verify")
			if hops := brokenHops(out); len(hops) != 1 || !slices.Contains(test.hops, hops[0]) {
				t.Errorf("the hops %q are named, expected %q:\n%s", hops, test.hops, out)
			}
			failing := `✗ http://` + name + `:\d+/` + path + ` .*\n    (The hop that is broken: |as above\n)`
			if !regexp.MustCompile(failing).MatchString(out) {
				t.Errorf("no hop is named for %s:\n%s", test.request, out)
			}
		})
	}
}

// The name is the first hop of a browser's requests; those that verify sends do without it.
func TestANameThatLeadsNowhereIsNamedThoughVerifyPasses(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.edit(t, "manifests/httproute-host.yaml", "- whoami.localhost", "- whoami.kindgate.test") // which no system resolves
	w.mage(t, "routes")
	w.env["KINDGATE_HOSTS_FILE"] = filepath.Join(t.TempDir(), "hosts") // that of a user who has not run hosts
	out := w.mage(t, "verify")
	contains(t, out, "A browser stops at the first hop: the name", "whoami.kindgate.test", "expected:", "found:", "look at:", "mage hosts")
	if hops := brokenHops(out); len(hops) > 0 {
		t.Errorf("the hops %q are said to be broken:\n%s", hops, out)
	}
}

// brokenHops returns the hops that verify names, each once.
func brokenHops(out string) []string {
	var hops []string
	for _, match := range regexp.MustCompile(`The hop that is broken: (.+)`).FindAllStringSubmatch(out, -1) {
		hops = append(hops, match[1])
	}
	slices.Sort(hops)
	return slices.Compact(hops)
}

// listening has this process listen on the port where the node is expected, and answer everything.
func listening(body string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, body) }))
		t.Cleanup(server.Close)
		w.env["KINDGATE_HTTP_PORT"] = server.URL[strings.LastIndex(server.URL, ":")+1:]
	}
}

// traefik changes Traefik's pod, and waits until the change is rolled out.
func traefik(edit func(*corev1.PodSpec)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		_, typed := w.clients(t)
		ctx, sets := context.Background(), typed.AppsV1().DaemonSets("traefik")
		set, err := sets.Get(ctx, "traefik", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		edit(&set.Spec.Template.Spec)
		if set, err = sets.Update(ctx, set, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool {
			now, err := sets.Get(ctx, "traefik", metav1.GetOptions{})
			if err != nil || now.Status.ObservedGeneration < set.Generation {
				return false
			}
			wanted := now.Status.DesiredNumberScheduled
			return now.Status.UpdatedNumberScheduled == wanted && now.Status.NumberReady == wanted
		})
	}
}

func stopTraefik(t *testing.T, w *world) {
	w.docker(t, "exec", w.node(), "pkill", "-STOP", "-x", "traefik")
	t.Cleanup(func() { w.docker(t, "exec", w.node(), "pkill", "-CONT", "-x", "traefik") })
}

// patched changes an object as kubectl patch does: by a strategic merge, or where the kind is a custom one, by a plain one.
func patched(resource schema.GroupVersionResource, namespace, name, patch string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		t.Helper()
		dyn, _ := w.clients(t)
		kind := types.MergePatchType
		if resource.Group == "" || resource.Group == "apps" {
			kind = types.StrategicMergePatchType
		}
		objects := dyn.Resource(resource).Namespace(namespace)
		if _, err := objects.Patch(context.Background(), name, kind, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

var withoutPods = patched(deployments, "demo", "whoami-v2", `{"spec":{"replicas":0}}`)

// besides leaves whoami-v2 without pods, and the cluster with an object that has nothing to do with it.
func besides(object string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		withoutPods(t, w)
		w.feed(t, object)
	}
}

// feeding applies an object of somebody's, and waits until a host's root is answered with some words.
func feeding(object, host, words string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.feed(t, object)
		eventually(t, func() bool { _, body, _ := w.get(host, "/"); return strings.Contains(body, words) })
	}
}

// feed applies objects as somebody else, and deletes them at the test's end.
func (w *world) feed(t *testing.T, objects string) {
	t.Helper()
	fed := func(verb string) {
		w.docker(t, "exec", w.node(), "sh", "-c", adminKubectl+verb+" --filename - <<'END'\n"+objects+"\nEND")
	}
	fed("apply")
	t.Cleanup(func() { fed("delete") })
}

// extraListener adds a listener to the Gateway, which up does not take away, as it is not the manifest's.
func extraListener(t *testing.T, w *world) {
	patch := func(operation string) {
		w.kubectl(t, "patch gateway --namespace traefik traefik-gateway --type json --patch '"+operation+"'")
	}
	patch(`[{"op":"add","path":"/spec/listeners/-","value":{"name":"extra","protocol":"HTTP","port":9999}}]`)
	t.Cleanup(func() { patch(`[{"op":"remove","path":"/spec/listeners/2"}]`) })
}

// foreignClass puts another controller's GatewayClass in the place of Traefik's; the controller of one that is there cannot be changed. It is
// somebody's, so that up refuses to overwrite it, and is taken away at the test's end.
func foreignClass(t *testing.T, w *world) {
	dyn, _ := w.clients(t)
	if err := dyn.Resource(classes).Delete(context.Background(), "traefik", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	class := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": classes.GroupVersion().String(), "kind": "GatewayClass",
		"metadata": map[string]any{"name": "traefik"}, "spec": map[string]any{"controllerName": "example.com/other"},
	}}
	if _, err := dyn.Resource(classes).Create(context.Background(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.fails(t, []string{"GatewayClass/traefik is there, and is not of Helm release traefik/traefik", "KINDGATE_ADOPT=yes"}, "up")
		_ = dyn.Resource(classes).Delete(context.Background(), "traefik", metav1.DeleteOptions{})
	})
}

// repairs fails the test when up does not make the cluster right, and then makes it so for the tests that follow.
func (w *world) repairs(t *testing.T) {
	t.Helper()
	w.reset(t)
	out, ok := w.run("up")
	if ok {
		return
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	t.Errorf("up did not repair it:\n…\n%s", strings.Join(lines[max(0, len(lines)-12):], "\n"))
	dyn, _ := w.clients(t)
	_ = dyn.Resource(daemonSets).Namespace("traefik").Delete(context.Background(), "traefik", metav1.DeleteOptions{})
	_ = dyn.Resource(classes).Delete(context.Background(), "traefik", metav1.DeleteOptions{})
	w.mage(t, "up")
}

func TestVerifyOfAClusterThatIsNotUpSaysSo(t *testing.T) {
	enterOwn(t)
	w := ownWorld(t, "kindgate-e2e-never")
	cmd := w.command("verify")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("verify's exit status is %d", code)
	}
	contains(t, string(out), w.name+" is absent", "run up first")
	contains(t, w.mage(t, "status"), w.name, "absent")
}
