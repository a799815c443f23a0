package gateway

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// filtering is the request of the rule with some filters, whose match is the prefix /v1.
func filtering(t *testing.T, filters string) Request {
	t.Helper()
	all := routes(t, "hostnames: [a.x], rules: [{matches: [{path: {value: /v1}}], filters: ["+filters+"], backendRefs: [{name: a, port: 80}]}]")
	return Compile(all, gatewaysOf(t, web), Order{}).Requests(reach)[0]
}

func TestWhatTheBackendGotIsWhatTheFiltersMakeOfTheRequest(t *testing.T) {
	const prefix = "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /api}}}"
	const full = "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}"
	const host = "{type: URLRewrite, urlRewrite: {hostname: in.x}}"
	const set = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-set, value: 'a,b'}]}}"
	const add = "{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: X-Add, value: b}]}}"
	const remove = "{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-gone]}}"
	const twice = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X, value: a}], add: [{name: x, value: b}]}}"
	const gateways = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Forwarded-For, value: a}]}}"
	type header = map[string][]string
	for _, test := range []struct {
		filters, sent string
		got           Arrival
		differs       string
	}{
		{prefix, "/v1/x", Arrival{Path: "/api/x"}, ""},
		{prefix, "/v1", Arrival{Path: "/api/"}, ""},
		{prefix, "/v1/x", Arrival{Path: "/v1/x"}, "the backend got the path /v1/x, expected /api/x: URLRewrite of rule 1"},
		{full, "/v1/x", Arrival{Path: "/new"}, ""},
		{full, "/v1/x", Arrival{Path: "/new/x"}, "the backend got the path /new/x, expected /new: URLRewrite of rule 1"},
		{host, "/v1", Arrival{Path: "/any", Host: "IN.x:8080"}, ""},
		{host, "/v1", Arrival{Host: "a.x"}, "the backend got the host a.x, expected in.x: URLRewrite of rule 1"},
		{set, "/v1", Arrival{Header: header{"X-Set": {"a, b"}}}, ""},
		{set, "/v1", Arrival{Header: header{"X-Set": {"a", "b"}}}, ""},
		{set, "/v1", Arrival{Header: header{"X-Set": {"a", "b", "c"}}}, "the backend got the header x-set: a, b, c, expected a,b: RequestHeaderModifier of rule 1"},
		{set, "/v1", Arrival{}, "the backend got no header x-set, expected a,b: RequestHeaderModifier of rule 1"},
		{add, "/v1", Arrival{Header: header{"X-Add": {"a", "b"}}}, ""},
		{add, "/v1", Arrival{Header: header{"X-Add": {"a"}}}, "the backend got the header X-Add: a, expected b among its values: RequestHeaderModifier of rule 1"},
		{remove, "/v1", Arrival{}, ""},
		{remove, "/v1", Arrival{Header: header{"X-Gone": {"v"}}}, "the backend got the header x-gone: v, expected none: RequestHeaderModifier of rule 1"},
		{twice, "/v1", Arrival{}, ""},
		{gateways, "/v1", Arrival{Header: header{"X-Forwarded-For": {"a, 10.0.0.1"}}}, ""},
		{prefix + "," + set, "/v1/x", Arrival{Path: "/api/x", Header: header{"X-Set": {"c"}}}, "the backend got the header x-set: c, expected a,b: RequestHeaderModifier of rule 1"},
	} {
		request := filtering(t, test.filters)
		request.Path = test.sent
		if got := request.Filters.RequestDiffers(request, test.got); got != test.differs {
			t.Errorf("%s\n%+v: %q, want %q", test.filters, test.got, got, test.differs)
		}
	}
}

func TestAnAnswerHasTheHeadersThatItsRuleGivesIt(t *testing.T) {
	request := filtering(t, "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-A, value: a}], remove: [Server]}}")
	for _, test := range []struct {
		header  map[string][]string
		differs string
	}{
		{map[string][]string{"X-A": {"a"}}, ""},
		{map[string][]string{"X-A": {"b"}}, "the answer has the header X-A: b, expected a: ResponseHeaderModifier of rule 1"},
		{map[string][]string{"X-A": {"a"}, "Server": {"s"}}, "the answer has the header Server: s, expected none: ResponseHeaderModifier of rule 1"},
	} {
		if got := request.Filters.AnswerDiffers(test.header); got != test.differs {
			t.Errorf("%v: %q, want %q", test.header, got, test.differs)
		}
	}
}

func TestWhichFiltersARuleHasAndWhatNobodyCanSeeOfThemIsSaid(t *testing.T) {
	for _, test := range []struct{ filters, request, answer, unseen string }{
		{"{type: URLRewrite, urlRewrite: {hostname: b.x}}", "URLRewrite", "", ""},
		{"{type: URLRewrite, urlRewrite: {hostname: b.x}}, {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: v}]}}", "URLRewrite, RequestHeaderModifier", "", ""},
		{"{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: date, value: v}]}}", "", "ResponseHeaderModifier", "Date"},
		{"{type: RequestHeaderModifier, requestHeaderModifier: {remove: [User-Agent, Host, x, Host]}}", "RequestHeaderModifier", "", "Host User-Agent"},
	} {
		request := filtering(t, test.filters)
		f := request.Filters
		if f.OnRequest() != test.request || f.OnAnswer() != test.answer || strings.Join(f.Unseen(request), " ") != test.unseen {
			t.Errorf("%s: %q, %q, %q", test.filters, f.OnRequest(), f.OnAnswer(), f.Unseen(request))
		}
		request.Carries = nil
		if strings.Contains(test.filters, "x, Host") && !slices.Contains(f.Unseen(request), "x") {
			t.Errorf("a header that was not sent is seen to be removed: %v", f.Unseen(request))
		}
	}
	if request := filtering(t, ""); request.Filters != nil {
		t.Errorf("%+v", request.Filters)
	}
}

func TestARequestCarriesWhatItsRuleRemovesUnlessAnotherMatchTakesItThen(t *testing.T) {
	all := routes(t, `hostnames: [a.x], rules: [
		{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-one, X-Asked, x-other]}}], matches: [{headers: [{name: x-asked, value: v}]}], backendRefs: [{name: a, port: 80}]},
		{matches: [{headers: [{name: x-asked, value: v}, {name: x-other, type: RegularExpression, value: '.*'}]}], backendRefs: [{name: b, port: 80}]}]`)
	got := Compile(all, gatewaysOf(t, web), Order{}).Requests(reach)[0]
	if !maps.Equal(got.Carries, map[string]string{"x-one": "kindgate-probe"}) || len(got.Header) != 1 {
		t.Errorf("%v beside %v", got.Carries, got.Header)
	}
}
