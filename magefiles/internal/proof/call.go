package proof

import (
	"context"
	"fmt"
	"net/http"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/gateway"
	"kindgate/magefiles/internal/probe"
)

// The statuses of gRPC that decide something. See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md.
const (
	unimplemented = 12
	unavailable   = 14
)

// statusOfCall names a status of gRPC.
func statusOfCall(code int) string {
	names := map[int]string{0: " (OK)", unimplemented: " (UNIMPLEMENTED)", unavailable: " (UNAVAILABLE)"}
	return fmt.Sprintf("grpc-status %d%s", code, names[code])
}

// statusOf is an answer's status: that of gRPC, where it has one.
func statusOf(answer *probe.Answer) string {
	if code, ok := answer.GRPCStatus(); ok {
		return statusOfCall(code)
	}
	return fmt.Sprintf("%d %s", answer.Status, http.StatusText(answer.Status))
}

func isCall(route check.ID) bool { return route.Kind == GRPCRouteKind.Kind }

func (t trial) send(ctx context.Context, header map[string]string) (*probe.Answer, error) {
	if t.request.GRPC() {
		return t.Prober.Call(ctx, t.request.URL(), header, gateway.Answerable(t.request.Path))
	}
	if t.request.Redirect != nil || t.request.Status > 0 {
		return t.Prober.Get(ctx, t.request.Method, t.request.URL(), header, false)
	}
	// A page is asked for itself: where TLS ends before it, its root may lead to http.
	return t.Prober.Get(ctx, t.request.Method, t.Open(t.request), header, true)
}

// called judges whether an answer to a call is one of a server of gRPC. Any status but UNAVAILABLE is: that the server refuses the call was to
// be expected.
func (t trial) called(answer *probe.Answer) check.Finding {
	code, ok := answer.GRPCStatus()
	switch {
	case t.Refuses(answer):
		return because(ServerError, "%s's own UNAVAILABLE instead of an answer of %s", t.Name, backends(t.request))
	case code == unavailable:
		return because(ServerError, "%s instead of an answer of %s", looksOf(answer), backends(t.request))
	case !ok:
		return because(WrongAnswer, "%s, which is no answer of gRPC, instead of one of %s", looksOf(answer), backends(t.request))
	}
	return check.Finding{Verdict: check.Holds}
}

// named asks once more where a server of gRPC has answered that it does not have the service, by a call of which the answer says whose it is, if
// the same match takes that. It returns the request and the answer to go on with.
func (t trial) named(ctx context.Context, answer *probe.Answer) (trial, *probe.Answer) {
	if answer == nil || !t.request.GRPC() || t.request.Path == gateway.EchoCall || !gateway.Answerable(t.request.Path) {
		return t, answer
	}
	if code, _ := answer.GRPCStatus(); code != unimplemented {
		return t, answer
	}
	echo := t
	echo.request.Path = gateway.EchoCall
	taker := t.table(t.s).Takes(echo.request)
	if taker == nil || taker.Route != t.request.Route || taker.Rule != t.request.Rule || taker.Index != t.request.Match {
		return t, answer
	}
	if said, problem := echo.ask(ctx); !problem.Fails() && t.s.podIn(said) != "" {
		return echo, said
	}
	return t, answer
}
