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

func (p *Proof) send(ctx context.Context, request gateway.Request, header map[string]string) (*probe.Answer, error) {
	if request.GRPC() {
		return p.Prober.Call(ctx, request.URL(), header, gateway.Answerable(request.Path))
	}
	return p.Prober.Get(ctx, request.Method, request.URL(), header, request.Redirect == nil)
}

// called judges whether an answer to a call is one of a server of gRPC. Any status but UNAVAILABLE is: that the server refuses the call was to
// be expected.
func (p *Proof) called(request gateway.Request, answer *probe.Answer) check.Finding {
	code, ok := answer.GRPCStatus()
	switch {
	case p.Refuses(answer):
		return because(ServerError, "%s's own UNAVAILABLE instead of an answer of %s", p.Name, backends(request))
	case code == unavailable:
		return because(ServerError, "%s instead of an answer of %s", looksOf(answer), backends(request))
	case !ok:
		return because(WrongAnswer, "%s, which is no answer of gRPC, instead of one of %s", looksOf(answer), backends(request))
	}
	return check.Finding{Verdict: check.Holds}
}

// named asks once more where a server of gRPC has answered that it does not have the service, by a call of which the answer says whose it is, if
// the same match takes that. It returns the request and the answer to go on with.
func (p *Proof) named(ctx context.Context, request gateway.Request, answer *probe.Answer, s *Snapshot) (gateway.Request, *probe.Answer) {
	if answer == nil || !request.GRPC() || request.Path == gateway.EchoCall || !gateway.Answerable(request.Path) {
		return request, answer
	}
	if code, _ := answer.GRPCStatus(); code != unimplemented {
		return request, answer
	}
	echo := request
	echo.Path = gateway.EchoCall
	taker := p.table(s).Takes(echo)
	if taker == nil || taker.Route != request.Route || taker.Rule != request.Rule || taker.Index != request.Match {
		return request, answer
	}
	if said, problem := p.ask(ctx, echo); !problem.Fails() && s.podIn(said) != "" {
		return echo, said
	}
	return request, answer
}
