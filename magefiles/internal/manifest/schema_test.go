package manifest

import (
	"context"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/mod/modfile"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/kube"
)

// pinned judges by the definitions of the release that go.mod pins.
func pinned(t testing.TB) Schemas {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash("../../../go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod.Path == "sigs.k8s.io/gateway-api" })
	cache := os.Getenv("GOMODCACHE")
	if cache == "" {
		cache = filepath.Join(filepath.SplitList(build.Default.GOPATH)[0], "pkg", "mod")
	}
	channels := os.DirFS(filepath.Join(cache, "sigs.k8s.io", "gateway-api@"+mod.Require[i].Mod.Version, "config", "crd"))
	schemas := Schemas{Kubernetes: "v1.37.2"}
	if schemas.Standard, err = fs.Sub(channels, "standard"); err == nil {
		schemas.Experimental, err = fs.Sub(channels, "experimental")
	}
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

// objects decodes manifests. What package kube has against them too is not looked at here.
func objects(t testing.TB, text string) []kube.Object {
	t.Helper()
	all, err := kube.Decode([]byte(text), "f.yaml")
	if len(all) == 0 {
		t.Fatal(err)
	}
	return all
}

// said is how problems are shown: without the place and the object, a line each.
func said(problems []Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.TrimPrefix(p.Field+": "+p.Found, ": "))
	}
	return strings.Join(lines, "\n")
}

// gatewayAPI is an object of the Gateway API's, of a kind and, after a slash, another version than v1.
func gatewayAPI(kind, spec string) string {
	kind, version, ok := strings.Cut(kind, "/")
	if !ok {
		version = "v1"
	}
	return fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/%s, kind: %s, metadata: {name: trial, namespace: default}, spec: %s}", version, kind, spec)
}

// right are objects that an API server with the standard definitions of v1.4.0 takes.
var right = []struct{ kind, spec string }{
	{"HTTPRoute", "{}"},
	{"HTTPRoute/v1beta1", "{}"},
	{"HTTPRoute", "{hostnames: [a.localhost, '*.b.localhost']}"},
	{"HTTPRoute", "{rules: null}"},
	{"HTTPRoute", "{parentRefs: [{name: gw}, {name: gw2, sectionName: web}]}"},
	{"HTTPRoute", "{parentRefs: [{name: gw, sectionName: a}, {name: gw, sectionName: b}]}"},
	{"HTTPRoute", "{parentRefs: [{name: web, kind: Service, group: '', port: 80}]}"},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web, port: 80}, {name: web2, port: 80, weight: 0}]}]}"},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web, group: other.example, kind: Thing}]}]}"},
	{"HTTPRoute", "{rules: [{name: first}, {name: first}]}"},
	{"HTTPRoute", "{rules: [{matches: [{path: {type: Exact, value: /a}}, {path: {value: /b/}}]}]}"},
	{"HTTPRoute", "{rules: [{matches: [{path: {type: RegularExpression, value: '/[a-z]+//x'}}]}]}"},
	{"HTTPRoute", "{rules: [{matches: [{headers: [{name: a, value: b}, {name: c, value: d, type: RegularExpression}]}]}]}"},
	{"HTTPRoute", "{rules: [{matches: [{queryParams: [{name: a, value: b}], method: GET}]}]}"},
	{"HTTPRoute", "{rules: [{timeouts: {request: 10s, backendRequest: 2s}}]}"},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, statusCode: 301, port: 8443}}]}]}"},
	{"HTTPRoute", "{rules: [{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}]}"},
	{"HTTPRoute", "{rules: [{matches: [{path: {type: PathPrefix, value: /a}}], filters: [{type: URLRewrite, " +
		"urlRewrite: {hostname: x.localhost, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]}"},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}}]}]}"},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 10}}]}]}"},
	{"HTTPRoute", "{rules: [{filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: m}}]}]}"},
	{"GRPCRoute", "{hostnames: [a.localhost], rules: [{backendRefs: [{name: grpc, port: 3000}]}]}"},
	{"GRPCRoute", "{rules: [{matches: [{method: {service: a.b.C, method: D}}, {method: {type: RegularExpression, service: '.*'}}]}]}"},
	{"GRPCRoute", "{rules: [{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x]}}]}]}"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP}]}"},
	{"Gateway/v1beta1", "{gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP}, {name: b, port: 8000, protocol: HTTP, hostname: a.localhost}]}"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: web, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}]}"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: t, port: 8443, protocol: TLS, tls: {mode: Passthrough}}]}"},
	{"Gateway", "{gatewayClassName: traefik, addresses: [{value: 127.0.0.1}], listeners: [{name: web, port: 80, protocol: HTTP, " +
		"allowedRoutes: {kinds: [{kind: HTTPRoute}], namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}]}"},
	{"Gateway", "{gatewayClassName: traefik, infrastructure: {labels: {a: b}, annotations: {c: d}}, listeners: [{name: web, port: 80, protocol: example.com/own}]}"},
	{"ReferenceGrant/v1beta1", "{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: '', kind: Service}]}"},
	{"GatewayClass", "{controllerName: traefik.io/gateway-controller}"},
	{"GatewayClass/v1beta1", "{controllerName: traefik.io/gateway-controller, description: ours, parametersRef: {group: a.b, kind: C, name: d}}"},
	{"BackendTLSPolicy", "{targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: web.localhost, wellKnownCACertificates: System}}"},
}

// wrongs are objects that it refuses, and what we say of them, one line of it each.
var wrongs = []struct{ kind, spec, want string }{
	{"HTTPRoute/v1alpha2", "{}", "apiVersion: Gateway API v1.4.0 does not serve HTTPRoute as gateway.networking.k8s.io/v1alpha2; it serves gateway.networking.k8s.io/v1, gateway.networking.k8s.io/v1beta1"},
	{"HTTPRoute", "{hostname: [a.localhost]}", "spec.hostname: unknown field"},
	{"HTTPRoute", "{hostnames: a.localhost}", `spec.hostnames: must be of type array: "string"`},
	{"HTTPRoute", "{hostnames: null}", `spec.hostnames: must be of type array: "null"`},
	{"HTTPRoute", "{hostnames: ['*']}", `spec.hostnames[0]: "*" should match `},
	{"HTTPRoute", "{hostnames: [my_app.localhost]}", `spec.hostnames[0]: "my_app.localhost" should match `},
	{"HTTPRoute", "{hostnames: ['a.localhost:8080']}", "spec.hostnames[0]: "},
	{"HTTPRoute", "{hostnames: [A.localhost]}", "spec.hostnames[0]: "},
	{"HTTPRoute", "{hostnames: ['']}", "spec.hostnames[0]: "},
	{"HTTPRoute", "{parentRefs: [{namespace: traefik}]}", "spec.parentRefs[0].name: is missing"},
	{"HTTPRoute", "{parentRefs: [{name: gw}, {name: gw}]}", "spec.parentRefs: sectionName must be unique when parentRefs includes 2 or more references to the same parent"},
	{"HTTPRoute", "{parentRefs: [{name: gw}, {name: gw, sectionName: web}]}",
		"spec.parentRefs: sectionName must be specified when parentRefs includes 2 or more references to the same parent"},
	{"HTTPRoute", "{parentRefs: [{name: gw, sectionName: Web_1}]}", "spec.parentRefs[0].sectionName: "},
	{"HTTPRoute", "{rules: [{retry: {attempts: 2}}]}", "spec.rules[0].retry: unknown field: only the Gateway API's experimental channel has it, and kindgate installs the standard one"},
	{"HTTPRoute", "{rules: [{sessionPersistence: {sessionName: s}}]}", "spec.rules[0].sessionPersistence: unknown field: only the Gateway API's experimental"},
	{"HTTPRoute", "{rules: [{filters: [{type: CORS, cors: {allowMethods: [GET]}}]}]}", `spec.rules[0].filters[0].type: "CORS" is not supported: only the Gateway API's experimental`},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 308}}]}]}", "spec.rules[0].filters[0].requestRedirect.statusCode: 308 is not supported"},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web}]}]}", "spec.rules[0].backendRefs[0]: Must have port for Service reference"},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web, port: '80'}]}]}", `spec.rules[0].backendRefs[0].port: must be of type integer: "string"`},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web, port: 0}]}]}", "spec.rules[0].backendRefs[0].port: 0 should be greater than or equal to 1"},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web, port: 80, weight: 2000000}]}]}", "spec.rules[0].backendRefs[0].weight: 2000000 should be less than or equal to 1000000"},
	{"HTTPRoute", "{rules: [{matches: [{path: {type: Prefix, value: /a}}]}]}", `spec.rules[0].matches[0].path.type: "Prefix" is not supported`},
	{"HTTPRoute", "{rules: [{matches: [{path: {value: a}}]}]}", "spec.rules[0].matches[0].path: value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']"},
	{"HTTPRoute", "{rules: [{matches: [{path: {value: /a//b}}]}]}", "spec.rules[0].matches[0].path: must not contain '//' when type one of ['Exact', 'PathPrefix']"},
	{"HTTPRoute", "{rules: [{matches: [{path: {value: '/a?b=c'}}]}]}", "spec.rules[0].matches[0].path: must only contain valid characters"},
	{"HTTPRoute", "{rules: [{matches: [{method: get}]}]}", `spec.rules[0].matches[0].method: "get" is not supported`},
	{"HTTPRoute", "{rules: [{matches: [{headers: [{name: a, value: b}, {name: a, value: c}]}]}]}", `spec.rules[0].matches[0].headers[1]: {"name":"a"} is there twice`},
	{"HTTPRoute", "{rules: [{timeouts: {request: 1 minute}}]}", `spec.rules[0].timeouts.request: "1 minute" should match `},
	{"HTTPRoute", "{rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}", "spec.rules[0].timeouts: backendRequest timeout cannot be longer than request timeout"},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {}}, {type: RequestRedirect, requestRedirect: {}}]}]}",
		"spec.rules[0].filters: RequestRedirect filter cannot be repeated"},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestRedirect}]}]}", "spec.rules[0].filters[0]: filter.requestRedirect must be specified for RequestRedirect filter.type"},
	{"HTTPRoute", "{rules: [{backendRefs: [{name: web, port: 80}], filters: [{type: RequestRedirect, requestRedirect: {}}]}]}",
		"spec.rules[0]: RequestRedirect filter must not be used together with backendRefs"},
	{"HTTPRoute", "{rules: [{filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {hostname: a.b}}]}]}",
		"spec.rules[0].filters: May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both"},
	{"HTTPRoute", "{rules: [{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]}",
		"spec.rules[0]: When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified"},
	{"HTTPRoute", "{rules: [{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}}]}]}",
		"spec.rules[0].filters[0].urlRewrite.path: replaceFullPath must be specified when type is set to 'ReplaceFullPath'"},
	{"GRPCRoute", "{rules: [{matches: [{method: {type: Exact}}]}]}", "spec.rules[0].matches[0].method: One or both of 'service' or 'method' must be specified"},
	{"GRPCRoute", "{rules: [{matches: [{method: {service: a/b}}]}]}", "spec.rules[0].matches[0].method: service must only contain valid characters"},
	{"GRPCRoute", "{rules: [{backendRefs: [{name: web}]}]}", "spec.rules[0].backendRefs[0]: Must have port for Service reference"},
	{"GRPCRoute/v1alpha2", "{}", "apiVersion: Gateway API v1.4.0 does not serve GRPCRoute as gateway.networking.k8s.io/v1alpha2; it serves gateway.networking.k8s.io/v1"},
	{"Gateway", "{gatewayClassName: traefik, listeners: []}", "spec.listeners: "},
	{"Gateway", "{listeners: [{name: a, port: 80, protocol: HTTP}]}", "spec.gatewayClassName: is missing"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]}", "spec.listeners[1]: {\"name\":\"a\"} is there twice"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]}",
		"spec.listeners: Combination of port, protocol and hostname must be unique for each listener"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: c}]}}]}",
		"spec.listeners: tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 443, protocol: HTTPS, tls: {mode: Passthrough}}]}", "spec.listeners: tls mode must be Terminate for protocol HTTPS"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 443, protocol: TLS, tls: {}}]}", "spec.listeners[0].tls: certificateRefs or options must be specified when mode is Terminate"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 70000, protocol: HTTP}]}", "spec.listeners[0].port: 70000 should be less than or equal to 65535"},
	{"Gateway", "{gatewayClassName: traefik, listeners: [{name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Everywhere}}}]}",
		`spec.listeners[0].allowedRoutes.namespaces.from: "Everywhere" is not supported`},
	{"ReferenceGrant/v1beta1", "{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute}], to: [{group: '', kind: Service}]}", "spec.from[0].namespace: is missing"},
	{"ReferenceGrant/v1beta1", "{from: [], to: [{group: '', kind: Service}]}", "spec.from: "},
	{"ReferenceGrant", "{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: '', kind: Service}]}",
		"apiVersion: Gateway API v1.4.0 does not serve ReferenceGrant as gateway.networking.k8s.io/v1; it serves gateway.networking.k8s.io/v1beta1"},
	{"GatewayClass", "{controllerName: traefik}", `spec.controllerName: "traefik" should match `},
	{"GatewayClass", "{}", "spec.controllerName: is missing"},
	{"BackendTLSPolicy", "{targetRefs: [{group: '', kind: Service, name: web}], validation: {hostname: web.localhost}}", "spec.validation: must specify either CACertificateRefs or WellKnownCACertificates"},
	{"TLSRoute/v1alpha2", "{rules: [{backendRefs: [{name: web, port: 80}]}]}", "kind: Gateway API v1.4.0 has TLSRoute in its experimental channel only"},
	{"HTTPRout", "{}", "kind: the Gateway API has no kind HTTPRout"},
}

// bySchema returns the problems of the n objects that of gives, by their numbers.
func bySchema(t *testing.T, n int, of func(int) string) [][]Problem {
	t.Helper()
	var text strings.Builder
	for i := range n {
		fmt.Fprintln(&text, "---\n"+strings.Replace(of(i), "name: trial", fmt.Sprint("name: trial-", i), 1))
	}
	found := make([][]Problem, n)
	for _, p := range pinned(t).Problems(context.Background(), objects(t, text.String())) {
		var i int
		if _, err := fmt.Sscanf(p.Object.GetName(), "trial-%d", &i); err != nil || p.Verdict != check.Broken {
			t.Fatalf("%+v", p)
		}
		found[i] = append(found[i], p)
	}
	return found
}

func TestWhatTheAPIServerTakesHasNoProblem(t *testing.T) {
	for i, problems := range bySchema(t, len(right), func(i int) string { return gatewayAPI(right[i].kind, right[i].spec) }) {
		if len(problems) > 0 {
			t.Errorf("%s %s:\n%s", right[i].kind, right[i].spec, said(problems))
		}
	}
}

func TestWhatTheAPIServerRefusesHasAProblemWithItsField(t *testing.T) {
	for i, problems := range bySchema(t, len(wrongs), func(i int) string { return gatewayAPI(wrongs[i].kind, wrongs[i].spec) }) {
		if !strings.Contains("\n"+said(problems), "\n"+wrongs[i].want) {
			t.Errorf("%s %s:\n%s\nwant %s", wrongs[i].kind, wrongs[i].spec, said(problems), wrongs[i].want)
		}
	}
}

// thing defines a kind of the manifests' own.
const thing = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations: [{rule: self.size >= self.least, message: size is below least}]
            properties:
              size: {type: integer}
              least: {type: integer, default: 3}
              open: {type: object, additionalProperties: {type: object, properties: {a: {type: string}}}}
              pod: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string, maxLength: 3}}
          status: {type: object, default: {}, required: [ready]}
  - {name: v0, served: false, schema: {openAPIV3Schema: {type: object}}}
---
`

func TestAKindThatTheManifestsDefineIsJudgedByTheirDefinition(t *testing.T) {
	for manifest, want := range map[string]string{
		"{spec: {size: 3}, status: {any: thing}}": "",
		"{spec: {size: 2}}":                       "spec: size is below least",
		"{spec: {size: 5, open: {x: {a: b}}, pod: {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {}}}}": "",
		"{spec: {size: 5, open: {x: {b: c}}}}":                                    "spec.open.x.b: unknown field",
		"{spec: {size: 5, pod: {apiVersion: 1, kind: Pod}}}":                      "spec.pod.apiVersion: 1 must be a string",
		"{spec: {size: 5, pod: {apiVersion: v1, kind: Pod, metadata: {nam: x}}}}": "spec.pod.metadata.nam: unknown field",
		"{spec: {size: 5, tags: [a, a]}}":                                         `spec.tags[1]: "a" is there twice`,
		"{spec: {size: 5, tags: [abcd]}}":                                         "spec.tags[0]: Too long: may not be more than 3 bytes",
		"{spec: {size: 5}, sepc: {}}":                                             "sepc: unknown field",
		"{spec: {size: a}}":                                                       `spec.size: must be of type integer: "string"`,
	} {
		manifest = "{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, " + manifest[1:]
		if got := said(Schemas{}.Problems(context.Background(), objects(t, thing+manifest))); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %s, want %s", manifest, got, want)
		}
	}
}

func TestTheManifestsDefinitionTakesThePlaceOfTheGatewayAPIs(t *testing.T) {
	own := strings.NewReplacer("example.com", "gateway.networking.k8s.io", "Thing", "HTTPRoute").Replace(thing)
	got := said(pinned(t).Problems(context.Background(), objects(t, own+gatewayAPI("HTTPRoute", "{size: 1}")+"\n---\n"+gatewayAPI("HTTPRoute/v1beta1", "{}"))))
	want := "spec: size is below least\n" +
		"apiVersion: the definition at f.yaml:2 does not serve HTTPRoute as gateway.networking.k8s.io/v1beta1; it serves gateway.networking.k8s.io/v1"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestWhatHasNoDefinitionThatCanBeUsedIsNotJudged(t *testing.T) {
	object := "{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {size: 1}}"
	for name, manifests := range map[string]string{
		"no definition":              object,
		"one of v1beta1":             strings.Replace(thing, "apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1", 1) + object,
		"one that has no schema":     strings.Replace(thing, "    schema:\n      openAPIV3Schema:", "    scheme:\n      x:", 1) + object,
		"one that is not structural": strings.Replace(thing, "size: {type: integer}", "size: {}", 1) + object,
		"one with a wrong rule":      strings.Replace(thing, "self.least", "self.leest", 1) + object,
		"one of another form":        strings.Replace(thing, "properties:\n          spec", "required: {}\n        properties:\n          spec", 1) + object,
	} {
		for _, p := range (Schemas{}).Problems(context.Background(), objects(t, manifests)) {
			if p.Verdict != check.Unknown || !strings.HasPrefix(p.Found, "not judged by the definition of its kind: ") {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
	never := strings.Replace(thing, "served: true", "served: false", 1) + object
	if got := said(Schemas{}.Problems(context.Background(), objects(t, never))); got != "apiVersion: the definition at f.yaml:2 does not serve Thing as example.com/v1, nor as anything else" {
		t.Error(got)
	}
}

func TestAnUnreadableReleaseIsSaidAndNotTakenForNone(t *testing.T) {
	for name, file := range map[string]*fstest.MapFile{
		"syntax":   {Data: []byte("spec:\n  names:\n    kind: HTTPRoute\n  a: [\n")},
		"a folder": {Mode: fs.ModeDir},
	} {
		schemas := Schemas{Standard: fstest.MapFS{"gateway.networking.k8s.io_httproutes.yaml": file}}
		problems := schemas.Problems(context.Background(), objects(t, gatewayAPI("HTTPRoute", "{}")))
		if len(problems) != 1 || problems[0].Verdict != check.Unknown {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestProblemsComeInTheObjectsOrderAndTheSameEachTime(t *testing.T) {
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "---\n%s\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p%d, labels: {a: b c}}}\n",
			strings.Replace(gatewayAPI("HTTPRoute", "{hostnames: [A, B], rules: [{x: y, backendRefs: [{name: a, port: 0}]}]}"), "trial", fmt.Sprint("r", i), 1), i)
	}
	all := objects(t, text.String())
	first := pinned(t).Problems(context.Background(), all)
	if again := pinned(t).Problems(context.Background(), all); said(again) != said(first) || len(first) != 30*5 {
		t.Error(len(first), len(again))
	}
	for i, p := range first {
		if want := []string{"r", "p"}[min(i%5/4, 1)] + fmt.Sprint(i/5); p.Object.GetName() != want {
			t.Fatalf("%d: %s, want %s", i, p, want)
		}
	}
}

func TestARemedySaysWhatToWriteInstead(t *testing.T) {
	for spec, want := range map[string]string{
		"{hostnames: ['*']}":                      "leave it out: without a hostname, every host is taken",
		"{hostnames: ['a.localhost:8080']}":       "leave the port out: it is the listener's",
		"{hostnames: [a_b.localhost]}":            "write - in place of _: a hostname has no underscores",
		"{hostnames: [A.localhost]}":              "write it in lower case: a.localhost",
		"{hostnames: [a..localhost]}":             "write a DNS name, or *. and a DNS name",
		"{hostnames: null}":                       "leave it out: server-side apply takes no null",
		"{rules: [{matches: [{method: get}]}]}":   "write one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH",
		"{hostname: a}":                           "leave it out, or write one of hostnames, parentRefs, rules",
		"{rules: [{retry: {attempts: 2}}]}":       "leave it out, or write one of backendRefs, filters, matches, name, timeouts",
		"{parentRefs: [{namespace: x}]}":          "write spec.parentRefs[0].name",
		"{rules: [{backendRefs: [{name: web}]}]}": "",
	} {
		problems := pinned(t).Problems(context.Background(), objects(t, gatewayAPI("HTTPRoute", spec)))
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Remedy, want) || want == "" && problems[0].Remedy != "" {
			t.Errorf("%s: %+v", spec, problems)
		}
	}
}

func TestWhatIsLeftOutOfAFileChangesNoVerdict(t *testing.T) {
	const crd = "spec:\n  versions:\n  - name: v1beta1\n    schema:\n      type: object\n    served: true\n  - name: v1\n    schema:\n" +
		"      description: |-\n        Many\n\n        lines.\n      properties:\n        description:\n          description: One\n            more.\n          type: string\n"
	const want = "spec:\n  versions:\n  - name: v1beta1\n    served: true\n  - name: v1\n    schema:\n" +
		"      properties:\n        description:\n          type: string\n"
	if got := string(essential([]byte(crd), "v1")); got != want {
		t.Errorf("%s", got)
	}
}

// manyRoutes are n HTTPRoutes of a rule with two matches each.
func manyRoutes(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "---\n%s\n", strings.Replace(gatewayAPI("HTTPRoute", fmt.Sprintf("{parentRefs: [{name: gw}], hostnames: [h%d.localhost], "+
			"rules: [{matches: [{path: {value: /a}}, {path: {value: /b}}], backendRefs: [{name: web, port: 80}]}]}", i)), "trial", fmt.Sprint("r", i), 1))
	}
	return text.String()
}

func BenchmarkProblemsOf200Routes(b *testing.B) {
	schemas, all := pinned(b), objects(b, manyRoutes(200))
	for b.Loop() {
		if problems := schemas.Problems(context.Background(), all); len(problems) > 0 {
			b.Fatal(said(problems))
		}
	}
}

func BenchmarkProblemsOfTheDemo(b *testing.B) {
	all, err := kube.ReadDir(os.DirFS("../../../manifests"), "manifests", func(path string) bool { return path == "traefik-values.yaml" })
	if err != nil {
		b.Fatal(err)
	}
	schemas := pinned(b)
	for b.Loop() {
		if problems := schemas.Problems(context.Background(), all); len(problems) > 0 {
			b.Fatal(said(problems))
		}
	}
}
