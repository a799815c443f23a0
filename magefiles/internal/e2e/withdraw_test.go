package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// onContext makes a cluster by kind alone, with the images that the manifests need, and has the world's runs work on its context.
func onContext(t *testing.T, name string) *world {
	t.Helper()
	w := ownWorld(t, name)
	w.kindCreate(t)
	images := []string{"docker.io/traefik:v3.6.12", "traefik/whoami:v1.11.0"}
	if err := loadImages(t, w.name, images); err != nil {
		t.Fatal(err)
	}
	delete(w.env, "KINDGATE_CLUSTER")
	w.env["KINDGATE_CONTEXT"] = "kind-" + w.name
	return w
}

// uids are those of all objects of a cluster, but of those that controllers make anew.
func (w *world) uids(t *testing.T) map[string]string {
	t.Helper()
	return w.objects(t, []string{"events", "leases", "endpoints", "endpointslices", "pods", "nodes", "csinodes"},
		func(o *unstructured.Unstructured) string { return string(o.GetUID()) })
}

func TestUpOnSomebodysClusterAsksFirstAndTeardownTakesOutWhatItMadeAndNothingElse(t *testing.T) {
	enterOwn(t)
	w := onContext(t, "kindgate-e2e-bringing")
	_, typed := w.clients(t)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}, Data: map[string]string{"a": "b"}}
	if _, err := typed.CoreV1().ConfigMaps("default").Create(context.Background(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.write(t, "manifests/more.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs, namespace: default}, data: {a: b}}\n---\n"+
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: extra, namespace: default}}\n")
	refusesWhatOthersHave(t, w)
	w.helmInstall(t, "edge", false)
	before := w.uids(t)

	out := w.fails(t, []string{"nothing was changed", "KINDGATE_APPROVE=yes", "+ create    HTTPRoute/demo/whoami-path", "+ create    Deployment/traefik/traefik",
		"! take over ConfigMap/default/theirs  (it was there before"}, "up")
	if after := w.uids(t); !maps.Equal(before, after) {
		t.Fatalf("without approval, something was changed: %v\n%s", changed(before, after), out)
	}

	w.env["KINDGATE_APPROVE"] = "yes"
	contains(t, w.mage(t, "up"), "Service/traefik/traefik is of type LoadBalancer, and its address is pending", "reached through a port-forward",
		"http://demo.localhost/v2  Service/demo/whoami-v2: answered by its pod", "verify       passed")
	contains(t, w.mage(t, "plan"), "Plan: nothing to do")
	if hosts, err := os.ReadFile(w.env["KINDGATE_HOSTS_FILE"]); err == nil {
		t.Errorf("a hosts file was written:\n%s", hosts)
	}

	if err := os.Remove(filepath.Join(w.dir, "manifests", "httproute-path.yaml")); err != nil {
		t.Fatal(err)
	}
	w.write(t, "manifests/more.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: extra, namespace: default}}\n")
	contains(t, w.mage(t, "up"), "no longer in manifests", "delete httproute.gateway.networking.k8s.io -n demo whoami-path", "delete configmap -n default theirs")
	w.env["KINDGATE_PRUNE"] = "yes"
	contains(t, w.fails(t, []string{"- delete    HTTPRoute/demo/whoami-path", "changes pending: 1"}, "plan"), "Plan: 1 to delete")
	contains(t, w.mage(t, "up"), "prune        deleted")

	contains(t, w.mage(t, "teardown"), "leave     ConfigMap/default/theirs", "withdraw     deleted")
	if after := w.uids(t); !maps.Equal(before, after) {
		t.Errorf("after teardown the cluster is another: %v", changed(before, after))
	}
	contains(t, w.mage(t, "teardown"), "absent")

	for _, variable := range []string{"KINDGATE_CONTEXT", "KINDGATE_APPROVE", "KINDGATE_PRUNE"} {
		delete(w.env, variable)
	}
	w.env["KINDGATE_CLUSTER"] = w.name
	leftAsItIs(t, w)
}

// refusesWhatOthersHave fails the test unless up refuses the objects and definitions of others that are in its way, and leaves all as it is.
func refusesWhatOthersHave(t *testing.T, w *world) {
	before := w.uids(t)
	w.kubectl(t, "create clusterrole traefik-traefik --verb=get --resource=pods")
	w.kubectl(t, "create -f - <<'E'\n"+older("gateways", "Gateway")+"\n---\n"+older("httproutes", "HTTPRoute")+"\nE")
	w.fails(t, []string{"the cluster has the Gateway API v1.2.0 (standard), older than v1.4.0 (standard)", "KINDGATE_ADOPT=yes"}, "up")
	w.kubectl(t, "delete crd gateways.gateway.networking.k8s.io httproutes.gateway.networking.k8s.io")
	w.fails(t, []string{"ClusterRole/traefik-traefik is there, and is not of Helm release traefik/traefik", "nothing was changed"}, "up")
	w.kubectl(t, "delete clusterrole traefik-traefik")
	if after := w.uids(t); !maps.Equal(before, after) {
		t.Errorf("something was changed: %v", changed(before, after))
	}
}

// older is a definition of an earlier release of the Gateway API.
func older(plural, kind string) string {
	return fmt.Sprintf(`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %[1]s.gateway.networking.k8s.io, annotations: {
		api-approved.kubernetes.io: "https://github.com/kubernetes-sigs/gateway-api/pull/3328", gateway.networking.k8s.io/bundle-version: v1.2.0, gateway.networking.k8s.io/channel: standard}},
		spec: {group: gateway.networking.k8s.io, scope: Namespaced, names: {kind: %[2]s, plural: %[1]s}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}`,
		plural, kind)
}
