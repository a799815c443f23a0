package gateway

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A Redirect is what a rule answers in the place of a backend. See
// https://gateway-api.sigs.k8s.io/reference/spec/#httprequestredirectfilter.
type Redirect struct {
	// Status is that of the answer.
	Status int

	filter gatewayv1.HTTPRequestRedirectFilter
	prefix string // the match's, which the filter may replace
}

// redirectOf returns the redirect of a rule's match, nil where it has none.
func redirectOf(rule gatewayv1.HTTPRouteRule, path gatewayv1.HTTPPathMatch) *Redirect {
	for _, filter := range rule.Filters {
		if filter.Type != gatewayv1.HTTPRouteFilterRequestRedirect {
			continue
		}
		redirect := &Redirect{Status: 302, prefix: *path.Value}
		if filter.RequestRedirect != nil {
			redirect.filter = *filter.RequestRedirect
		}
		if code := redirect.filter.StatusCode; code != nil {
			redirect.Status = *code
		}
		return redirect
	}
	return nil
}

// Differs says in what the header Location of a redirected request is not what the rule says; it is empty where it is. What the rule leaves
// open must be the request's, but for the port: of that, the specification and the implementations do not say the same.
func (r *Redirect) Differs(request Request, location string) string {
	base, err := url.Parse(request.URL())
	if err != nil {
		return err.Error()
	}
	to, err := base.Parse(location)
	if err != nil {
		return fmt.Sprintf("its Location cannot be read: %v", err)
	}
	scheme, host := request.Scheme, request.Host
	if r.filter.Scheme != nil {
		scheme = *r.filter.Scheme
	}
	if r.filter.Hostname != nil {
		host = string(*r.filter.Hostname)
	}
	switch {
	case to.Scheme != scheme:
		return fmt.Sprintf("its scheme is not %s", scheme)
	case !strings.EqualFold(to.Hostname(), host):
		return fmt.Sprintf("its host is not %s", host)
	case r.filter.Port != nil && cmp.Or(to.Port(), DefaultPort(to.Scheme)) != fmt.Sprint(*r.filter.Port):
		return fmt.Sprintf("its port is not %d", *r.filter.Port)
	}
	if path := replaced(r.filter.Path, r.prefix, request.Path); !samePath(to.Path, path) {
		return fmt.Sprintf("its path is not %s", path)
	}
	return ""
}

// replaced returns what a modifier makes of a path, of which it may replace the match's prefix.
func replaced(modifier *gatewayv1.HTTPPathModifier, prefix, path string) string {
	switch {
	case modifier == nil:
		return path
	case modifier.ReplaceFullPath != nil:
		return *modifier.ReplaceFullPath
	case modifier.ReplacePrefixMatch != nil:
		return cmp.Or(strings.TrimSuffix(*modifier.ReplacePrefixMatch, "/")+strings.TrimPrefix(path, strings.TrimSuffix(prefix, "/")), "/")
	}
	return path
}
