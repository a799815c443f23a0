package cluster

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"
)

// phases is a kind logger that passes on the phases kind announces (" • Starting control-plane 🕹️  ...") and drops all else.
type phases struct {
	report func(string)
}

func (p phases) Warn(string)          {}
func (p phases) Warnf(string, ...any) {}
func (p phases) Error(string)         {}
func (p phases) Errorf(string, ...any) {
}

// V returns the logger of a verbosity level; only level 0 has the phases.
func (p phases) V(level log.Level) log.InfoLogger {
	if level > 0 {
		return log.NoopInfoLogger{}
	}
	return p
}

// Enabled is part of kind's interface.
func (p phases) Enabled() bool { return true }

// Info passes a phase on.
func (p phases) Info(message string) {
	phase, ok := strings.CutPrefix(strings.TrimSpace(message), "• ")
	if !ok || p.report == nil {
		return
	}
	plain := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII && r != '≤' {
			return -1
		}
		return r
	}, strings.TrimSuffix(strings.TrimSpace(phase), "..."))
	if words := strings.Join(strings.Fields(plain), " "); words != "" {
		p.report(strings.ToLower(words[:1]) + words[1:])
	}
}

// Infof passes a phase on.
func (p phases) Infof(format string, args ...any) { p.Info(fmt.Sprintf(format, args...)) }

// kindOutput returns what the command said that made kind fail, its last lines.
func kindOutput(err error) string {
	var failed *exec.RunError
	for cause := err; cause != nil; {
		if errors.As(cause, &failed) {
			break
		}
		causer, ok := cause.(interface{ Cause() error })
		if !ok {
			return ""
		}
		cause = causer.Cause()
	}
	if failed == nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(failed.Output)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
