package gateway

import (
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Filters are those of a rule that change a request on its way to the backend, or its answer. See
// https://gateway-api.sigs.k8s.io/reference/spec/#httproutefilter.
type Filters struct {
	rewrite           *gatewayv1.HTTPURLRewriteFilter
	request, response *gatewayv1.HTTPHeaderFilter
	prefix            string // the match's, which the filter may replace
	rule              int
}

// filtersOf returns what the filters of a rule's match change, nil where they change nothing.
func filtersOf(rule gatewayv1.HTTPRouteRule, index int, path gatewayv1.HTTPPathMatch) *Filters {
	f := Filters{prefix: *path.Value, rule: index}
	for _, filter := range rule.Filters {
		switch filter.Type {
		case gatewayv1.HTTPRouteFilterURLRewrite:
			f.rewrite = filter.URLRewrite
		case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
			f.request = filter.RequestHeaderModifier
		case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
			f.response = filter.ResponseHeaderModifier
		}
	}
	if f.rewrite == nil && f.request == nil && f.response == nil {
		return nil
	}
	return &f
}

// An Arrival is a request as the backend got it.
type Arrival struct {
	Path, Host string
	// Header has the names in their canonical form.
	Header map[string][]string
}

// OnRequest names the filters that change the request, which only an application that echoes it can show; empty where none does.
func (f *Filters) OnRequest() string {
	switch {
	case f.rewrite != nil && f.request != nil:
		return "URLRewrite, RequestHeaderModifier"
	case f.rewrite != nil:
		return "URLRewrite"
	case f.request != nil:
		return "RequestHeaderModifier"
	}
	return ""
}

// OnAnswer names the filter that changes the answer, empty where none does.
func (f *Filters) OnAnswer() string {
	if f.response == nil {
		return ""
	}
	return "ResponseHeaderModifier"
}

// RequestDiffers says in what a request, as the backend got it, is not what the rule's filters make of it; it is empty where it is.
func (f *Filters) RequestDiffers(sent Request, got Arrival) string {
	if f.rewrite != nil {
		of := fmt.Sprintf("URLRewrite of rule %d", f.rule+1)
		if path := replaced(f.rewrite.Path, f.prefix, sent.Path); f.rewrite.Path != nil && !samePath(got.Path, path) {
			return fmt.Sprintf("the backend got the path %s, expected %s: %s", got.Path, path, of)
		}
		if name := f.rewrite.Hostname; name != nil && !strings.EqualFold(withoutPort(got.Host), string(*name)) {
			return fmt.Sprintf("the backend got the host %s, expected %s: %s", got.Host, *name, of)
		}
	}
	if differs := headersDiffer(f.request, got.Header); differs != "" {
		return fmt.Sprintf("the backend got %s: RequestHeaderModifier of rule %d", differs, f.rule+1)
	}
	return ""
}

// AnswerDiffers says in what an answer's header is not what the rule's filter makes of it; it is empty where it is.
func (f *Filters) AnswerDiffers(header map[string][]string) string {
	if differs := headersDiffer(f.response, header); differs != "" {
		return fmt.Sprintf("the answer has %s: ResponseHeaderModifier of rule %d", differs, f.rule+1)
	}
	return ""
}

// Unseen are the headers of which nobody can tell what the filters made: those that HTTP and gateways set themselves, those that a filter
// names in two ways, and those that it takes out of a request which does not have them.
func (f *Filters) Unseen(sent Request) []string {
	unseen := append(unjudged(f.request), unjudged(f.response)...)
	for _, name := range f.removes() {
		_, asked := headerOf(sent, name)
		if _, carried := sent.Carries[name]; !asked && !carried {
			unseen = append(unseen, name)
		}
	}
	slices.Sort(unseen)
	return slices.Compact(unseen)
}

// unjudged are the headers that a filter names and that are not judged.
func unjudged(filter *gatewayv1.HTTPHeaderFilter) []string {
	var names []string
	for name, times := range namedBy(filter) {
		if times > 1 || setByOthers(name) {
			names = append(names, name)
		}
	}
	return names
}

// namedBy says how often a filter names a header.
func namedBy(filter *gatewayv1.HTTPHeaderFilter) map[string]int {
	named := map[string]int{}
	if filter == nil {
		return named
	}
	for _, header := range append(slices.Clone(filter.Set), filter.Add...) {
		named[canonical(string(header.Name))]++
	}
	for _, name := range filter.Remove {
		named[canonical(name)]++
	}
	return named
}

// removes are the headers that a request may carry for the filter to remove.
func (f *Filters) removes() []string {
	if f == nil || f.request == nil {
		return nil
	}
	named := namedBy(f.request)
	return slices.DeleteFunc(slices.Clone(f.request.Remove), func(name string) bool { return setByOthers(name) || named[canonical(name)] > 1 })
}

// headersDiffer says in what a header is not what a filter makes of it, as far as it is judged.
func headersDiffer(filter *gatewayv1.HTTPHeaderFilter, got map[string][]string) string {
	if filter == nil {
		return ""
	}
	named := namedBy(filter)
	values := func(name string) ([]string, bool) {
		return listed(got[canonical(name)]...), named[canonical(name)] == 1 && !setByOthers(name)
	}
	for _, header := range filter.Set {
		if have, judged := values(string(header.Name)); judged && !slices.Equal(have, listed(header.Value)) {
			return fmt.Sprintf("%s, expected %s", saidOf(header.Name, have), header.Value)
		}
	}
	for _, header := range filter.Add {
		have, judged := values(string(header.Name))
		for _, value := range listed(header.Value) {
			if judged && !slices.Contains(have, value) {
				return fmt.Sprintf("%s, expected %s among its values", saidOf(header.Name, have), header.Value)
			}
		}
	}
	for _, name := range filter.Remove {
		if have, judged := values(name); judged && len(got[canonical(name)]) > 0 {
			return fmt.Sprintf("%s, expected none", saidOf(gatewayv1.HTTPHeaderName(name), have))
		}
	}
	return ""
}

func saidOf(name gatewayv1.HTTPHeaderName, values []string) string {
	if len(values) == 0 {
		return fmt.Sprintf("no header %s", name)
	}
	return fmt.Sprintf("the header %s: %s", name, strings.Join(values, ", "))
}

// listed are a header's values, of which several may stand on one line. See https://www.rfc-editor.org/rfc/rfc9110#section-5.2.
func listed(lines ...string) []string {
	var values []string
	for _, line := range lines {
		for value := range strings.SplitSeq(line, ",") {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// setByOthers tells whether HTTP itself, an HTTP library or a gateway sets a header, whatever a filter says: the hop-by-hop ones of
// https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1, and those that say where a request comes from.
func setByOthers(name string) bool {
	name = canonical(name)
	return strings.HasPrefix(name, "X-Forwarded-") || slices.Contains([]string{"Connection", "Content-Length", "Date", "Forwarded", "Host", "Keep-Alive",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Real-Ip"}, name)
}

func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
