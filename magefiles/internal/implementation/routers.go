package implementation

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"kindgate/magefiles/internal/check"
)

// A Router is what a data plane has made of a match, in its own words.
type Router struct {
	Name, Rule string
	Priority   int
	// TLS: it takes requests over https.
	TLS bool
	// Errors say why it takes no request; none where it does.
	Errors []string
}

// A Listing is where each pod of a data plane lists its routers.
type Listing struct {
	// Port is the pod's, and Path what is asked for there, over http.
	Port int32
	Path string
	// Read returns the routers of routes from the answer. Its error is that of an answer which is no such list.
	Read func(answer []byte) ([]Router, error)
	// Rule returns the index of the rule of a route that a router is for, and false where it is not the route's.
	Rule func(router string, route check.ID) (int, bool)
}

// traefikLists is Traefik's API, at its own entry point. See https://doc.traefik.io/traefik/operations/api/.
var traefikLists = Listing{Port: 9000, Path: "/api/http/routers?per_page=100000&search=route-", Read: readRouters, Rule: ruleOf}

func readRouters(answer []byte) ([]Router, error) {
	var listed []struct {
		Name, Rule string
		Priority   int
		TLS        *struct{}
		Error      []string
	}
	if err := json.Unmarshal(answer, &listed); err != nil {
		return nil, fmt.Errorf("no list of routers: %w", err)
	}
	var routers []Router
	for _, r := range listed {
		if routerIndex.MatchString(r.Name) {
			routers = append(routers, Router{r.Name, r.Rule, r.Priority, r.TLS != nil, r.Error})
		}
	}
	return routers, nil
}

// routerPrefix is how the names of a route's routers begin: the Gateway, the entry point, the rule's index and a hash follow.
func routerPrefix(route check.ID) string {
	words := strings.FieldsFunc(strings.ToLower(route.Kind)+"-"+route.Namespace+"-"+route.Name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	return strings.Join(words, "-") + "-gw-"
}

func ruleOf(router string, route check.ID) (int, bool) {
	at := routerIndex.FindStringSubmatch(router)
	if at == nil || !strings.HasPrefix(router, routerPrefix(route)) {
		return 0, false
	}
	index, err := strconv.Atoi(at[1])
	return index, err == nil
}

var (
	routerIndex = regexp.MustCompile(`-ep-.*-(\d+)-[0-9a-f]+@`)
	colours     = regexp.MustCompile("\x1b\\[[0-9;]*m")
	// See https://doc.traefik.io/traefik/observability/logs-and-access-logs/#format on the format common.
	commonLine = regexp.MustCompile(`^\S+ ([A-Z]{3}) (.+)$`)
	pair       = regexp.MustCompile(`(?:^| )([A-Za-z_]+)=("(?:[^"\\]|\\.)*"|\S*)`)
)

// loggedByTraefik returns what the last warning or error in Traefik's log says that names a route, or the router of a rule; empty where none does.
func loggedByTraefik(log string, route check.ID, rule int) string {
	last := ""
	for line := range strings.Lines(log) {
		fields := traefikLine(strings.TrimSpace(colours.ReplaceAllString(line, "")))
		field := strings.TrimSuffix(strings.ToLower(route.Kind), "route") + "_route" // http_route, grpc_route
		at, ours := ruleOf(fields["routerName"], route)
		names := fields[field] == route.Name && fields["namespace"] == route.Namespace || ours && at == rule
		if names && slices.Contains([]string{"ERR", "WRN", "error", "warn"}, fields["level"]) {
			last = strings.Trim(fields["message"]+": "+fields["error"], ": ")
		}
	}
	return last
}

// answeredByTraefik returns what the last error in Traefik's log says of an answer of its own. It logs those for TLS with a backend that fails, and
// no others unless its level is DEBUG.
func answeredByTraefik(log string, status int) string {
	last := ""
	for line := range strings.Lines(log) {
		fields := traefikLine(strings.TrimSpace(colours.ReplaceAllString(line, "")))
		if strings.HasPrefix(fields["message"], fmt.Sprintf("%d ", status)) && fields["error"] != "" {
			last = fields["error"]
		}
	}
	return last
}

// traefikLine returns the fields of a line, which is JSON or has a time, a level, a message and pairs.
func traefikLine(line string) map[string]string {
	fields := map[string]string{}
	if strings.HasPrefix(line, "{") {
		var values map[string]any
		_ = json.Unmarshal([]byte(line), &values) // what is no JSON has no fields
		for name, value := range values {
			fields[name] = fmt.Sprint(value)
		}
		return fields
	}
	parts := commonLine.FindStringSubmatch(line)
	if parts == nil {
		return fields
	}
	pairs := pair.FindAllStringSubmatchIndex(parts[2], -1)
	fields["level"], fields["message"] = parts[1], parts[2]
	for i, at := range pairs {
		if i == 0 {
			fields["message"] = parts[2][:at[0]]
		}
		value := parts[2][at[4]:at[5]]
		if plain, err := strconv.Unquote(value); err == nil {
			value = plain
		}
		fields[parts[2][at[2]:at[3]]] = value
	}
	return fields
}
