package e2e

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	kindgate "kindgate/magefiles/internal/cluster"
)

// loadImages copies images from the engine into the nodes of a cluster.
func loadImages(t *testing.T, cluster string, refs []string) error {
	c := kindgate.New(kindgate.Options{Name: cluster})
	images, err := c.LookAtImages(t.Context(), refs, func(string) bool { return false })
	if err == nil {
		_, err = c.LoadImages(t.Context(), images, func(int64, int64) {})
	}
	return err
}

// build makes a local image of whoami's, which answers with a name of its own.
func (w *world) build(t *testing.T, tag, name string) {
	t.Helper()
	container := w.docker(t, "create", "traefik/whoami:v1.11.0")
	defer w.docker(t, "rm", container)
	id := w.docker(t, "commit", "--change", "ENV WHOAMI_NAME="+name, container, tag)
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "--force", id).Run() }) // its name may be another's by then
}

const rebuilt = `apiVersion: apps/v1
kind: Deployment
metadata: {name: rebuilt, namespace: demo}
spec:
  selector: {matchLabels: {app: rebuilt}}
  template:
    metadata: {labels: {app: rebuilt}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: app
          image: kindgate-e2e/rebuilt:dev
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          ports: [{name: http, containerPort: 80}]
          readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: rebuilt, namespace: demo}
spec:
  selector: {app: rebuilt}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: rebuilt, namespace: demo}
spec:
  parentRefs: [{name: traefik-gateway, namespace: traefik, sectionName: web}]
  hostnames: [rebuilt.localhost]
  rules: [{backendRefs: [{name: rebuilt, port: 80}]}]
`

func (w *world) named(t *testing.T, name string) {
	t.Helper()
	status, body, err := w.get("rebuilt.localhost", "/")
	if err != nil || status != 200 || !strings.Contains(body, "Name: "+name+"\n") {
		t.Errorf("%d %v, not the image %s:\n%s", status, err, name, body)
	}
}

func TestARebuiltImageIsCopiedAndWhatUsesItIsRestartedOnceAndNothingElse(t *testing.T) {
	enterShared(t)
	const image = "kindgate-e2e/rebuilt:dev"
	w := up(t)
	w.build(t, image, "one")
	w.write(t, "manifests/rebuilt.yaml", rebuilt)
	w.mage(t, "up")
	w.named(t, "one")

	dyn, _ := w.clients(t)
	before := versions(t, dyn)
	w.build(t, image, "two")
	w.fails(t, []string{"Deployment/demo/rebuilt", "it is restarted: rebuilt: " + image, "changes pending: 1"}, "plan")
	steps := w.steps(t, "up")
	if steps["images"].Result != "updated" || steps["images"].Detail != "rebuilt: "+image ||
		steps["apps"].Result != "updated" || steps["apps"].Detail != fmt.Sprintf("restarted Deployment/demo/rebuilt (rebuilt: %s)", image) {
		t.Errorf("%+v", steps)
	}
	w.named(t, "two")
	after := w.settled(t, "demo")
	for _, name := range changed(before, after) {
		if name != "deployments/demo/rebuilt" {
			t.Errorf("also changed: %s", name)
		}
	}

	w.quiet(t, after)
	contains(t, w.mage(t, "plan"), "Plan: nothing to do")

	// As after an up that was killed between the two.
	w.build(t, image, "three")
	if err := loadImages(t, w.name, []string{image}); err != nil {
		t.Fatal(err)
	}
	if steps := w.steps(t, "up"); steps["images"].Result != "unchanged" || steps["apps"].Result != "updated" {
		t.Errorf("%+v", steps)
	}
	w.named(t, "three")
	w.quiet(t, w.settled(t, "demo"))
}

// settled returns the versions of our objects when controllers have written all that they have to say of pods that are gone.
func (w *world) settled(t *testing.T, namespace string) map[string]string {
	t.Helper()
	dyn, typed := w.clients(t)
	var last map[string]string
	since := time.Now()
	eventually(t, func() bool {
		pods, err := typed.CoreV1().Pods(namespace).List(context.Background(), listAll)
		if err != nil {
			t.Fatal(err)
		}
		now := versions(t, dyn)
		if !maps.Equal(last, now) || slices.ContainsFunc(pods.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil }) {
			last, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	})
	return last
}

// quiet fails the test unless an up changes nothing, and our objects are still as they were.
func (w *world) quiet(t *testing.T, before map[string]string) {
	t.Helper()
	for name, step := range w.steps(t, "up") {
		if step.Result != "unchanged" && name != "verify" && name != "check" {
			t.Errorf("%s: %+v, expected unchanged", name, step)
		}
	}
	dyn, _ := w.clients(t)
	if names := changed(before, versions(t, dyn)); len(names) > 0 {
		t.Errorf("changed: %v", names)
	}
}

func TestALocalImageThatIsAlwaysPulledIsNamedBeforeTheKubeletFails(t *testing.T) {
	enterShared(t)
	w := up(t)
	w.build(t, "kindgate-e2e/local", "local")
	w.write(t, "manifests/local.yaml", strings.NewReplacer("kindgate-e2e/rebuilt:dev", "kindgate-e2e/local", "rebuilt", "local").Replace(rebuilt))
	out := w.fails(t, []string{"Deployment/demo/local: image kindgate-e2e/local was built or loaded on this machine, and its pull policy is Always"}, "apps")
	named, failed := strings.Index(out, "set imagePullPolicy: IfNotPresent"), strings.Index(out, "ErrImagePull")
	if failed < 0 {
		failed = strings.Index(out, "ImagePullBackOff")
	}
	if named < 0 || failed < named {
		t.Errorf("it is not named first:\n%s", out)
	}
}
