// Package limits has every time limit and pause of kindgate but the run's own, which the user sets. Each is named by what it limits.
package limits

import "time"

// Requests through the gateway, and what may keep them from being answered.
const (
	// Request bounds one request: the gateway and its backends are on this machine.
	Request = 5 * time.Second
	// Body is how much longer than its header an answer's body is read: a stream of events has no end.
	Body = time.Second
	// OwnAnswer bounds a request that the gateway answers itself.
	OwnAnswer = 2 * time.Second
	// LogLine is how long a line of its log may take to be read through the API server.
	LogLine = 100 * time.Millisecond
	// RoutesServed is how long Traefik may take at least to serve routes that it has accepted, and a changed Service's pods to take requests.
	RoutesServed = 30 * time.Second
	// PortLeads is how long the node's port may take to lead to a pod that is ready: after a restart of the node, the pod's status is at
	// first that of before.
	PortLeads = 10 * time.Second
	// PodReturns is how long Traefik's pod may take to be ready again when the node was stopped: the DaemonSet's status is at first that of
	// before.
	PodReturns = time.Minute
	// ImageNamed is how long containerd may take to give the kubelet an image that it has.
	ImageNamed = 2 * time.Second
	// PodStart is how long a pod without a readiness probe is taken to be starting when nothing answers there: longer than most
	// applications take, and short enough for a wrong targetPort.
	PodStart = 2 * time.Minute
	// Settle is how long verify lets a change settle that is under way while it looks.
	Settle = 2 * time.Second
	// IdleConnection is how long a connection to the gateway is kept: shorter than the pauses between rounds, so that a certificate that was renewed
	// is seen.
	IdleConnection = 100 * time.Millisecond
	// FirstPause and LongestPause are between two rounds of requests.
	FirstPause, LongestPause = 20 * time.Millisecond, 250 * time.Millisecond
)

// Workloads. For what the kubelet does by itself, see https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/.
const (
	// BadSign is how long a sign of trouble must last before it counts: controllers correct themselves within seconds.
	BadSign = 4 * time.Second
	// KubeletRetry is how long the kubelet may take to try again what it lacked something for.
	KubeletRetry = 20 * time.Second
	// CrashLoop is the least time over which tries must have failed: the first follow each other closely.
	CrashLoop = 25 * time.Second
	// Steady is how long a container without a readiness probe must have run to count as up, as it is ready as soon as it runs. One that has
	// crashed must have run for at least SteadyAgain, and for twice as long as before its crash, but not for more than SteadyLong.
	Steady, SteadyAgain, SteadyLong = 3 * time.Second, 10 * time.Second, time.Minute
	// PodSlow is from which age on something is said about a pod that is not ready, and PodUnhealthy from which on its warnings are: before,
	// probes fail as a matter of course.
	PodSlow, PodUnhealthy = 2 * time.Second, 5 * time.Second
	// ChartHook bounds the chart's hooks; Traefik's has none, and Helm waits for nothing else.
	ChartHook = time.Minute
	// Uninstall bounds the wait until a release's objects are gone: Traefik's pods may take their 60 s to end.
	Uninstall = 2 * time.Minute
)

// The API server.
const (
	// FirstAnswer bounds the first look at it: in a cluster that is up it answers in milliseconds.
	FirstAnswer = 2 * time.Second
	// OldServer is how long one may take to answer whose entry in a kubeconfig may be out of date.
	OldServer = time.Second
	// Refusing is how long one that starts may refuse its administrator, until it has read its own rules.
	Refusing = 5 * time.Second
	// Reading bounds each answer of the API server of a cluster that kindgate did not make.
	Reading = 30 * time.Second
	// Forward bounds the wait for a port-forward to a pod.
	Forward = 5 * time.Second
	// Unreachable is how long it may be out of reach before the user is told.
	Unreachable = 2 * time.Second
	// Discovery is how long a kind that was defined a moment ago may take to be found.
	Discovery = 3 * time.Second
	// LookAgain is between two looks without any change, and WatchBatch how long after a change others are waited for: many at once are
	// worth one look.
	LookAgain, WatchBatch = time.Second, 10 * time.Millisecond
)

// This machine.
const (
	// NameLookup bounds one look-up: a network without a name server must not hold up the rest.
	NameLookup = 2 * time.Second
	// PortDial bounds the question whether somebody listens on a port.
	PortDial = time.Second
	// KubeconfigLock is how long another program, kubectl or kind, may hold the kubeconfig's lock.
	KubeconfigLock = 5 * time.Second
	// OpenWriter is how long another program may take to write a file that it had opened before it was replaced.
	OpenWriter = time.Second
	// Quiet is how long nothing more must be saved before watch acts: editors write several times.
	Quiet = 100 * time.Millisecond
	// FilesAgain is how often watch looks at the files where the system tells nothing, ImagesAgain at the engine's images, and LostAgain at a cluster
	// that does not answer.
	FilesAgain, ImagesAgain, LostAgain = time.Second, 2 * time.Second, time.Second
	// CtrlC is by how much an error of a command that Ctrl-C has ended may be earlier than the end of the run.
	CtrlC = 100 * time.Millisecond
	// Ending is how long an interrupted round of watch may take to end by itself.
	Ending = 3 * time.Second
	// Bundle bounds how long a bundle is made, also of a run that has ended at its own limit.
	Bundle = time.Minute
	// WaitLines is how often, at the most, a plain line says what a step is waiting for.
	WaitLines = 2 * time.Second
)
