package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/hosts"
	"kindgate/magefiles/internal/kube"
	"kindgate/magefiles/internal/probe"
	"kindgate/magefiles/internal/ui"
)

var (
	classKind   = gatewayv1.SchemeGroupVersion.WithKind("GatewayClass")
	gatewayKind = gatewayv1.SchemeGroupVersion.WithKind("Gateway")
	routeKind   = gatewayv1.SchemeGroupVersion.WithKind("HTTPRoute")
	sliceKind   = discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
	crdKind     = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// A check is one line of verify: what must hold, and how it is found out.
type check struct {
	what    string
	judge   func() gateway.Finding
	request *gateway.Request // nil for a check of conditions
}

// state is the cluster's objects that the checks are about, read at one time.
type state struct {
	classes  []gatewayv1.GatewayClass
	gateways []gatewayv1.Gateway
	routes   []gatewayv1.HTTPRoute
	pods     map[string][]string // the ready pods of each Service, by gateway.Backend's name
}

func (d *Demo) readState(ctx context.Context) (*state, error) {
	client, err := d.kube()
	if err != nil {
		return nil, err
	}
	s := &state{}
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) { s.classes, err = list[gatewayv1.GatewayClass](ctx, client, classKind); return err })
	reads.Go(func() (err error) { s.gateways, err = list[gatewayv1.Gateway](ctx, client, gatewayKind); return err })
	reads.Go(func() (err error) { s.routes, err = list[gatewayv1.HTTPRoute](ctx, client, routeKind); return err })
	reads.Go(func() (err error) { s.pods, err = readyPods(ctx, client); return err })
	return s, reads.Wait()
}

// replace puts the objects of a kind, as a watch has them now, in the place of those that were read.
func (s *state) replace(kind schema.GroupVersionKind, objects []*unstructured.Unstructured) (err error) {
	values := make([]unstructured.Unstructured, len(objects))
	for i, object := range objects {
		values[i] = *object
	}
	switch kind {
	case classKind:
		s.classes, err = kube.As[gatewayv1.GatewayClass](values)
	case gatewayKind:
		s.gateways, err = kube.As[gatewayv1.Gateway](values)
	case routeKind:
		s.routes, err = kube.As[gatewayv1.HTTPRoute](values)
	}
	return err
}

func list[T any](ctx context.Context, client *kube.Client, kind schema.GroupVersionKind) ([]T, error) {
	objects, err := client.List(ctx, kind, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Kind, err)
	}
	return kube.As[T](objects)
}

// readyPods returns the names of the pods that each Service sends requests to: the ready ones of its EndpointSlices, without those that
// are being deleted, which the slices lose some time later.
func readyPods(ctx context.Context, client *kube.Client) (map[string][]string, error) {
	var slices []discoveryv1.EndpointSlice
	var pods []corev1.Pod
	reads, ctx := errgroup.WithContext(ctx)
	reads.Go(func() (err error) { slices, err = list[discoveryv1.EndpointSlice](ctx, client, sliceKind); return err })
	reads.Go(func() (err error) { pods, err = list[corev1.Pod](ctx, client, podKind); return err })
	err := reads.Wait()
	leaving := map[string]bool{}
	for _, pod := range pods {
		leaving[pod.Namespace+"/"+pod.Name] = pod.DeletionTimestamp != nil
	}
	ready := map[string][]string{}
	for _, slice := range slices {
		service := gateway.Backend{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}.String()
		for _, endpoint := range slice.Endpoints {
			pod := endpoint.TargetRef
			if pod != nil && pod.Kind == "Pod" && !leaving[pod.Namespace+"/"+pod.Name] && (endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready) {
				ready[service] = append(ready[service], pod.Name)
			}
		}
	}
	return ready, err
}

// conditionChecks are those of the classes, gateways and routes of the manifests, whatever else the cluster has.
func (d *Demo) conditionChecks(s *state) []check {
	var checks []check
	for _, name := range d.inputs.classes {
		checks = append(checks, check{"GatewayClass/" + name, func() gateway.Finding { return judgeClass(s, name) }, nil})
	}
	for i := range d.inputs.gateways {
		gw := &d.inputs.gateways[i]
		checks = append(checks, check{"Gateway/" + gw.Namespace + "/" + gw.Name, func() gateway.Finding {
			return judgeLive(s.gateways, gw.Namespace, gw.Name, gateway.Programmed)
		}, nil})
	}
	for i := range d.inputs.httpRoutes {
		route := &d.inputs.httpRoutes[i]
		checks = append(checks, check{"HTTPRoute/" + route.Namespace + "/" + route.Name, func() gateway.Finding { return judgeRoute(s, route.Namespace, route.Name) }, nil})
	}
	return checks
}

func judgeClass(s *state, name string) gateway.Finding {
	for i := range s.classes {
		if s.classes[i].Name != name {
			continue
		}
		if controller := string(s.classes[i].Spec.ControllerName); controller != gatewayClassURL {
			return gateway.Finding{Message: fmt.Sprintf("it belongs to the controller %s, not to Traefik's %s", controller, gatewayClassURL)}
		}
		return gateway.Class(&s.classes[i])
	}
	return gateway.Finding{Message: "it is not there"}
}

func judgeRoute(s *state, namespace, name string) gateway.Finding {
	return judgeLive(s.routes, namespace, name, func(live *gatewayv1.HTTPRoute) gateway.Finding { return gateway.Attached(live, s.gateways) })
}

// judgeLive judges one live object, which must be there.
func judgeLive[T any, P interface {
	*T
	GetNamespace() string
	GetName() string
}](live []T, namespace, name string, judge func(P) gateway.Finding) gateway.Finding {
	for i := range live {
		if p := P(&live[i]); p.GetNamespace() == namespace && p.GetName() == name {
			return judge(p)
		}
	}
	return gateway.Finding{Message: "it is not there"}
}

// requestChecks are those that send real requests: one for each host and match of each route, and one for a host that no route has.
func (d *Demo) requestChecks(ctx context.Context, s *state) []check {
	var checks []check
	for _, request := range gateway.Requests(d.inputs.httpRoutes, d.knownGateways(s)) {
		checks = append(checks, check{request.Line(d.port(request.Scheme)), func() gateway.Finding { return d.prove(ctx, request, s.pods) }, &request})
	}
	if host, ok := gateway.Unrouted(d.inputs.httpRoutes, d.knownGateways(s)); ok {
		request := control(host)
		checks = append(checks, check{request.Line(d.config.HTTPPort), func() gateway.Finding { return d.proveUnrouted(ctx, host) }, &request})
	}
	return checks
}

// knownGateways are those of the manifests, and those the cluster has besides.
func (d *Demo) knownGateways(s *state) []gatewayv1.Gateway {
	return append(slices.Clone(d.inputs.gateways), s.gateways...)
}

// prove sends a request and judges who answers it.
func (d *Demo) prove(ctx context.Context, request gateway.Request, pods map[string][]string) gateway.Finding {
	if request.Unproven != "" {
		return gateway.Finding{OK: true, Message: "not proven: " + request.Unproven}
	}
	answer, problem := d.ask(ctx, request)
	switch {
	case problem != "":
		return gateway.Finding{Message: problem}
	case request.Redirect != 0:
		return gateway.Finding{OK: answer.Status == request.Redirect, Message: fmt.Sprintf("redirected with %d to %s, expected %d", answer.Status, answer.Header.Get("Location"), request.Redirect)}
	case answer.Field("Hostname") == "":
		return gateway.Finding{OK: true, Message: strings.TrimSpace(fmt.Sprintf("%d %s", answer.Status, answer.Header.Get("Content-Type")))}
	}
	return d.provePods(ctx, request, answer, pods)
}

// ask sends a request. What is returned beside the answer says why it is not one of the rule's backend.
func (d *Demo) ask(ctx context.Context, request gateway.Request) (answer *probe.Answer, problem string) {
	answer, err := d.probe.Get(ctx, request.Method, request.URL(d.port(request.Scheme)), request.Header, request.Redirect == 0)
	switch {
	case err != nil:
		problem = "no answer: " + err.Error()
	case request.Redirect != 0:
	case answer.Unrouted():
		problem = "404 from Traefik: it has no such route"
	case answer.Status >= 500:
		problem = fmt.Sprintf("%d %s instead of an answer of %s", answer.Status, http.StatusText(answer.Status), backends(request))
	case slices.Contains(request.Backends, gateway.Backend{Namespace: namespace, Name: release, Port: dashboardPort}) && (answer.Status != http.StatusOK || !answer.HTML()):
		problem = fmt.Sprintf("%d %s from %s, expected 200 and the dashboard's page", answer.Status, answer.Header.Get("Content-Type"), answer.URL)
	}
	return answer, problem
}

// dashboardPort is the port of Traefik's Service behind which its dashboard is.
const dashboardPort = 9000

// enoughRequests is how many must do to see every pod of a Service once.
func enoughRequests(pods int) int { return max(20, 2*pods) }

// provePods goes on with an application that says which pod it is, as whoami does: each must be one of the rule's Services', and all of
// these must be seen. Traefik takes them in turn, so as many requests again show whether it still sends some to a pod that is gone.
func (d *Demo) provePods(ctx context.Context, request gateway.Request, answer *probe.Answer, pods map[string][]string) gateway.Finding {
	var expected []string
	for _, backend := range request.Backends {
		expected = append(expected, pods[backend.String()]...)
	}
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if answer.Field(header) == "" {
			return gateway.Finding{Message: "the request arrived without the header " + header + ": it did not come through Traefik"}
		}
	}
	seen := map[string]bool{}
	for sent := 1; ; sent++ {
		pod := answer.Field("Hostname")
		if !slices.Contains(expected, pod) {
			return gateway.Finding{Message: fmt.Sprintf("answered by pod %q, which is none of %s: %s", pod, backends(request), strings.Join(expected, ", "))}
		}
		seen[pod] = true
		if request.Weighted || len(seen) == len(expected) && sent >= 2*len(expected) {
			return gateway.Finding{OK: true, Message: fmt.Sprintf("%s: %d of %d pods in %d requests", backends(request), len(seen), len(expected), sent)}
		}
		if sent == enoughRequests(len(expected)) {
			return gateway.Finding{Message: fmt.Sprintf("%s: only %d of %d pods answered %d requests", backends(request), len(seen), len(expected), sent)}
		}
		var problem string
		if answer, problem = d.ask(ctx, request); problem != "" {
			return gateway.Finding{Message: fmt.Sprintf("%s (request %d)", problem, sent+1)}
		}
	}
}

func backends(request gateway.Request) string {
	var names []string
	for _, backend := range request.Backends {
		names = append(names, backend.String())
	}
	if len(names) == 0 {
		return "the rule's backend"
	}
	return strings.Join(names, " or ")
}

func control(host string) gateway.Request {
	return gateway.Request{Scheme: "http", Method: "GET", Host: host, Path: "/"}
}

// proveUnrouted is the negative control: another server on the port would not give Traefik's 404.
func (d *Demo) proveUnrouted(ctx context.Context, host string) gateway.Finding {
	answer, err := d.probe.Get(ctx, "GET", control(host).URL(d.config.HTTPPort), nil, false)
	switch {
	case err != nil:
		return gateway.Finding{Message: "no answer: " + err.Error()}
	case !answer.Unrouted():
		return gateway.Finding{Message: fmt.Sprintf("%d where Traefik answers 404: something else listens on the port, or a route nobody knows of takes every host", answer.Status)}
	}
	return gateway.Finding{OK: true, Message: "404 from Traefik, as no route has this host"}
}

func (d *Demo) port(scheme string) int {
	if scheme == "https" {
		return d.config.HTTPSPort
	}
	return d.config.HTTPPort
}

// awaitServed returns when every condition holds and every request is answered as it should be, or when something that is wrong stays so.
func (d *Demo) awaitServed(step *ui.Step) error {
	client, err := d.kube()
	if err != nil {
		return err
	}
	for _, kind := range []schema.GroupVersionKind{classKind, gatewayKind, routeKind} {
		if err := d.awaitConditions(client, kind, step); err != nil {
			return err
		}
	}
	return d.awaitAnswers(step)
}

// awaitConditions watches the objects of a kind until all conditions hold, or until one that is wrong has been so for long enough.
func (d *Demo) awaitConditions(client *kube.Client, kind schema.GroupVersionKind, step *ui.Step) error {
	s, err := d.readState(d.run)
	if err != nil {
		return err
	}
	var bad time.Time // since when a condition is wrong, not just missing
	return client.Until(d.run, kind, "", func(objects []*unstructured.Unstructured) (string, bool, error) {
		if err := s.replace(kind, objects); err != nil {
			return "", false, err
		}
		var problems []string
		definite := false
		for _, c := range d.conditionChecks(s) {
			if !strings.HasPrefix(c.what, kind.Kind+"/") {
				continue
			}
			if finding := c.judge(); !finding.OK {
				problems = append(problems, c.what+": "+finding.Message)
				definite = definite || !finding.Pending
			}
		}
		switch {
		case len(problems) == 0:
			return "", true, nil
		case !definite:
			bad = time.Time{}
		case bad.IsZero():
			bad = time.Now()
		case time.Since(bad) >= patience:
			return "", false, errors.New(strings.Join(problems, "\n"))
		}
		step.Report(waitingFor(problems))
		return strings.Join(problems, "\n"), false, nil
	})
}

func waitingFor(problems []string) string {
	if more := len(problems) - 1; more > 0 {
		return fmt.Sprintf("waiting for %s (and %d more)", problems[0], more)
	}
	return "waiting for " + problems[0]
}

// awaitAnswers returns when every request is answered as it should be: Traefik serves a route some time after it has accepted it, and
// tells nobody when.
func (d *Demo) awaitAnswers(step *ui.Step) error {
	last, err := d.settle(servedWithin, step, func(s *state) []check { return d.requestChecks(d.run, s) })
	if problems := last.problems(); err == nil && len(problems) > 0 {
		err = fmt.Errorf("%s\nmage verify names the hop that is broken", strings.Join(problems, "\n"))
	}
	return err
}

// servedWithin is how long Traefik may take to serve routes it has accepted, and a changed Service's pods to take requests.
const servedWithin = 30 * time.Second

// settling is how long verify lets a change settle that is under way while it looks.
const settling = 2 * time.Second

// A round is what was found of checks, in their order, and the state they were about.
type round struct {
	state    *state
	checks   []check
	findings []gateway.Finding
}

func (r round) problems() []string {
	var problems []string
	for i, finding := range r.findings {
		if !finding.OK {
			problems = append(problems, r.checks[i].what+": "+finding.Message)
		}
	}
	return problems
}

// settle judges checks until all hold in one round: what a change that is under way disturbs, such as pods that make room for others,
// is well again within seconds. Between such rounds only those are repeated that did not hold. What does not hold within the given time
// stays as it was found last.
func (d *Demo) settle(within time.Duration, step *ui.Step, checks func(*state) []check) (round, error) {
	started := time.Now()
	held := map[string]gateway.Finding{}
	pause := 20 * time.Millisecond
	for n := 1; ; n++ {
		s, err := d.readState(d.run)
		if err != nil {
			return round{}, err
		}
		whole := len(held) == 0
		r := round{state: s, checks: checks(s)}
		r.findings = judgeAll(r.checks, held)
		problems := r.problems()
		switch {
		case len(problems) == 0 && whole:
			return r, nil
		case len(problems) == 0:
			clear(held)
			continue
		case n > 1 && time.Since(started) > within:
			return r, nil
		}
		for i, finding := range r.findings {
			if finding.OK {
				held[r.checks[i].what] = finding
			}
		}
		step.Report(waitingFor(problems))
		select {
		case <-time.After(pause):
		case <-d.run.Done():
			return r, fmt.Errorf("%w: %s", context.Cause(d.run), strings.Join(problems, "\n"))
		}
		pause = min(2*pause, 250*time.Millisecond)
	}
}

// judgeAll judges checks side by side, and returns the findings in their order. Those that held is told of are taken from there.
func judgeAll(checks []check, held map[string]gateway.Finding) []gateway.Finding {
	findings := make([]gateway.Finding, len(checks))
	var judging errgroup.Group
	judging.SetLimit(16)
	for i, c := range checks {
		judging.Go(func() error {
			finding, ok := held[c.what]
			if !ok {
				finding = c.judge()
			}
			findings[i] = finding
			return nil
		})
	}
	_ = judging.Wait()
	return findings
}

// Verify checks what is there, and changes nothing: the conditions, then real requests. Its error says how many checks failed; each is
// printed with what was found and what to look at.
func (d *Demo) Verify(ctx context.Context) error {
	step := d.ui.Begin("verify")
	failed, total, err := d.verify(step)
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d checks failed", failed, total)
	}
	err = d.failed("verify", err)
	step.End("passed", fmt.Sprintf("%d checks", total), err)
	return err
}

func (d *Demo) verify(step *ui.Step) (failed, total int, err error) {
	if err := d.lookAtCluster(); err != nil {
		return 0, 0, err
	}
	step.Report("checking conditions and sending requests")
	last, err := d.settle(settling, step, func(s *state) []check {
		return append(d.conditionChecks(s), d.requestChecks(d.run, s)...)
	})
	if err != nil {
		return 0, 0, err
	}
	checks := last.checks
	d.distrust(checks, last.findings)
	said := map[string]bool{}
	for i, finding := range last.findings {
		level, hint := ui.OK, ""
		if !finding.OK {
			level, hint = ui.Error, d.hint(checks[i], finding, last.state)
			failed++
			if said[hint] {
				hint = "as above"
			}
			said[hint] = true
		}
		d.ui.Check(level, checks[i].what, finding.Message, hint)
	}
	d.warnOfNames()
	return failed, len(checks), nil
}

// distrust takes back what was found of requests when the control was answered by somebody else: then they were too.
func (d *Demo) distrust(checks []check, findings []gateway.Finding) {
	last := len(checks) - 1
	if last < 0 || checks[last].request == nil || checks[last].request.Route != "" || findings[last].OK {
		return
	}
	if problem, ok := d.findPort(d.run, d.config.HTTPPort); !ok {
		for i := range checks {
			if checks[i].request != nil {
				findings[i] = gateway.Finding{Message: problem}
			}
		}
	}
}

// hint says about a failed check what to look at; for a request, which hop on its way is broken.
func (d *Demo) hint(c check, finding gateway.Finding, s *state) string {
	if c.request != nil {
		return d.firstBroken(d.run, *c.request, finding, s)
	}
	return "look at: " + d.lookAt(c.what)
}

// warnOfNames tells of hostnames that a browser would not find: the first hop of its requests. It is no failure, and no reason to stop at
// it: verify's own requests need no name.
func (d *Demo) warnOfNames() {
	names := gateway.Hostnames(d.inputs.httpRoutes, d.inputs.gateways)
	missing := hosts.Unresolved(d.run, systemResolver, names)
	if len(missing) == 0 {
		return
	}
	look := "getent hosts " + missing[0]
	if runtime.GOOS != "linux" {
		look = "ping " + missing[0]
	}
	name := hop{name: "the name", expected: missing[0] + " leads to this machine", look: look + "; go tool mage hosts writes it into " + d.config.HostsFile}
	found := "the system's resolver does not lead there (verify did without it)"
	if more := len(missing) - 1; more > 0 {
		found += fmt.Sprintf(" (and so with %d more)", more)
	}
	d.ui.Check(ui.Warning, "names", strings.Join(missing[:min(3, len(missing))], ", "), "A browser stops at the first hop: "+name.lines(found))
}

// lookAtCluster connects to the cluster as it is; one that is not up is an error.
func (d *Demo) lookAtCluster() error {
	d.cluster.Attach(d.run)
	_, err := d.kube()
	return err
}

// lookAt is the command that shows more of an object, or of Traefik for a request.
func (d *Demo) lookAt(what string) string {
	parts := strings.Split(what, "/")
	switch {
	case strings.Contains(what, "://"):
		return d.kubectl("logs -n %s daemonset/%s", namespace, release)
	case len(parts) == 3:
		return d.kubectl("describe %s -n %s %s", strings.ToLower(parts[0]), parts[1], parts[2])
	}
	return d.kubectl("describe %s %s", strings.ToLower(parts[0]), parts[len(parts)-1])
}
