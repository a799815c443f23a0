package gateway

import "testing"

func TestARedirectLeadsWhereItsRuleSays(t *testing.T) {
	for _, test := range []struct{ filter, path, location, differs string }{
		{"hostname: good.x", "/old", "http://good.x/old", ""},
		{"hostname: good.x", "/old", "//good.x:8080/old", ""}, // Traefik leaves out the scheme
		{"hostname: good.x", "/old", "//evil.x/old", "its host is not good.x"},
		{"scheme: https", "/old", "https://a.x/old", ""},
		{"scheme: https", "/old", "http://a.x/old", "its scheme is not https"},
		{"scheme: https, port: 443", "/old", "https://a.x/old", ""},
		{"port: 8443", "/old", "http://a.x:8443/old", ""},
		{"port: 8443", "/old", "http://a.x/old", "its port is not 8443"},
		{"statusCode: 301", "/old", "/old/", ""},
		{"statusCode: 301", "/old", "/new", "its path is not /old"},
		{"path: {type: ReplaceFullPath, replaceFullPath: /new}", "/old/a", "/new", ""},
		{"path: {type: ReplaceFullPath, replaceFullPath: /new}", "/old/a", "/new/a", "its path is not /new"},
		{"path: {type: ReplacePrefixMatch, replacePrefixMatch: /new/}", "/old/a", "/new/a", ""},
		{"path: {type: ReplacePrefixMatch, replacePrefixMatch: /}", "/old", "/", ""},
		{"path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}", "/old/a", "/old/a", "its path is not /new/a"},
		{"path: {type: Other}", "/old", "/old", ""},
		{"statusCode: 301", "/old", "%zz", `its Location cannot be read: parse "%zz": invalid URL escape "%zz"`},
	} {
		request := Compile(routes(t, "hostnames: [a.x], rules: [{matches: [{path: {value: /old}}], filters: [{type: RequestRedirect, requestRedirect: {"+
			test.filter+"}}]}]"), gatewaysOf(t, web), Order{}).Requests(reach)[0]
		request.Path = test.path
		if got := request.Redirect.Differs(request, test.location); got != test.differs {
			t.Errorf("%s, %s to %s: %q, want %q", test.filter, test.path, test.location, got, test.differs)
		}
	}
	if got := (&Redirect{}).Differs(Request{Scheme: "http", Host: "a b", Path: "/"}, "/"); got == "" {
		t.Error("a request that has no URL")
	}
}
