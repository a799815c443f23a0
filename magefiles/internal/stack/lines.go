package stack

import (
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/plan"
	"kindgate/magefiles/internal/ui"
)

// JSONLines has one of each of the objects that targets print for machines. The first field tells which it is. The README's table has them.
var JSONLines = []any{ui.StepLine{}, ui.CheckLine{}, explainLine{}, planLine{}, ui.NoteLine{}, statusLine{}, nodeLine{}, openLine{}, rowLine{}, watchLine{}, versionLine{}, exitLine{}}

// An explainLine is what explain has found.
type explainLine struct {
	Request   string         `json:"request"`
	Source    string         `json:"source"`
	Takes     string         `json:"takes,omitempty"`
	Specified string         `json:"specified,omitempty"`
	Tied      bool           `json:"tied"`
	Losses    []lossLine     `json:"losses"`
	Listeners []listenerLine `json:"listeners"`
	Filters   []string       `json:"filters"`
	Backends  []backendLine  `json:"backends"`
	Choice    *check.Finding `json:"choice,omitempty"`
	Nearest   []nearLine     `json:"nearest"`
	Unsent    string         `json:"unsent,omitempty"`
	Hops      []hopLine      `json:"hops"`
}

type (
	lossLine struct {
		Match string `json:"match"`
		Why   string `json:"why"`
	}
	listenerLine struct {
		Listener string `json:"listener"`
		Takes    bool   `json:"takes"`
		Why      string `json:"why"`
	}
	backendLine struct {
		Backend string `json:"backend"`
		Port    int32  `json:"port"`
		Weight  int32  `json:"weight"`
		Ready   *int   `json:"ready,omitempty"`
	}
	nearLine struct {
		Match   string   `json:"match"`
		Differs []string `json:"differs"`
	}
	hopLine struct {
		Hop     string        `json:"hop"`
		Verdict check.Verdict `json:"verdict"`
		Found   string        `json:"found"`
	}
)

// A planLine is what would be done to an object.
type planLine struct {
	Plan   plan.Action `json:"plan"`
	Object string      `json:"object"`
	Fields []string    `json:"fields"`
	Note   string      `json:"note,omitempty"`
	Error  string      `json:"error,omitempty"`
}

// A statusLine is a row of status.
type statusLine struct {
	What  string `json:"what"`
	Name  string `json:"name"`
	State string `json:"state"`
}

// A nodeLine is a node of a drawing, and the nodes that it leads to.
type nodeLine struct {
	Node    int           `json:"node"`
	What    string        `json:"what"`
	Name    string        `json:"name"`
	Verdict check.Verdict `json:"verdict,omitempty"`
	Found   string        `json:"found,omitempty"`
	To      []int         `json:"to"`
}

// An openLine is an address to open after up.
type openLine struct {
	Open string `json:"open"`
}

// A rowLine is a row of the table of bench or soak, by the heads of its columns.
type rowLine struct {
	Row map[string]string `json:"row"`
}

// A watchLine is a round of watch: the files and images that have changed, what was done, who answers the requests of the routes in these files, how
// many checks have passed, how long it took since the save, and its exit status and error.
type watchLine struct {
	Watch   []string `json:"watch"`
	Done    []string `json:"done"`
	Answers []string `json:"answers"`
	Passed  int      `json:"passed"`
	Seconds float64  `json:"seconds"`
	Exit    int      `json:"exit"`
	Error   string   `json:"error,omitempty"`
}

// A versionLine is what the program was built from: versions of modules, and Go's with the platform.
type versionLine struct {
	Version    string `json:"version"`
	GatewayAPI string `json:"gatewayapi"`
	Chart      string `json:"chart"`
	Kind       string `json:"kind"`
	Helm       string `json:"helm"`
	Go         string `json:"go"`
}

// An exitLine is how a target has ended.
type exitLine struct {
	Exit  int    `json:"exit"`
	Error string `json:"error,omitempty"`
}
