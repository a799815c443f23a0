package stack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"kindgate/magefiles/internal/authority"
	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/doctor"
	"kindgate/magefiles/internal/shipped"
	"kindgate/magefiles/internal/trust"
	"kindgate/magefiles/internal/ui"
)

// Trust puts this user's authority into the trust stores of this machine, after it has said what it does. Its error is that one of them has
// refused.
func (s *Stack) Trust(ctx context.Context) error {
	a, err := s.openAuthority(ctx)
	if err != nil {
		return s.run.Failed("trust", "", err)
	}
	return s.changeTrust("trust", a, false, trust.Store.Put, "has it")
}

// Untrust takes this user's authority out of the trust stores of this machine, after it has said what it does. Its error is that one of them has
// refused.
func (s *Stack) Untrust(context.Context) error {
	a, file, err := findAuthority()
	if a == nil && file != "" { // what clients trust is the certificate, whatever has become of the key
		if published := authority.Published(filepath.Dir(file)); published != nil {
			a, err = published, nil
		}
	}
	if err != nil {
		return s.run.Failed("untrust", "", err)
	}
	if a == nil {
		s.run.Note("This user has no local certificate authority: there is nothing to take out.")
		return nil
	}
	return s.changeTrust("untrust", a, true, trust.Store.Take, "does not have it")
}

func (s *Stack) changeTrust(target string, a *authority.Authority, out bool, change func(trust.Store, string) error, done string) error {
	dir, err := authorityDir()
	if err != nil {
		return s.run.Failed(target, "", err)
	}
	file := authority.Path(dir)
	stores := trust.Stores(file, a.Certificate, out)
	lines := []string{fmt.Sprintf("%s, %s (it can sign nothing but names under localhost, test and example):", file, a.Certificate.Subject.CommonName)}
	for _, store := range stores {
		if store.Does != "" {
			lines = append(lines, "  "+store.Name+": "+store.Does)
		}
	}
	s.ui.Print(lines...)
	var problems []error
	for _, store := range stores {
		switch {
		case store.Yourself != "":
			s.ui.Check(ui.Check{What: store.Name, Finding: check.Finding{Verdict: check.Warns, Found: "nothing was done"}, Hint: store.Yourself})
		case store.Does == "":
		default:
			if err := change(store, file); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", store.Name, err))
				continue
			}
			s.ui.Check(ui.Check{What: store.Name, Finding: check.Finding{Verdict: check.Holds, Found: done}})
		}
	}
	return s.run.Failed(target, "", errors.Join(problems...))
}

// authorityFacts are what there is of this user's authority.
func authorityFacts() doctor.Authority {
	a, path, err := findAuthority()
	facts := doctor.Authority{Path: path, Err: advised(err)}
	if err == nil && a != nil {
		facts.Until, facts.Trusted = a.Certificate.NotAfter, trust.System(a.Certificate)
	}
	return facts
}

// sayTrusted tells that the trust in the authority remains when a cluster goes.
func (s *session) sayTrusted() {
	if facts := authorityFacts(); facts.Trusted {
		s.run.Note("This system still trusts the local certificate authority " + facts.Path + ", until " + facts.Until.Local().Format(time.DateOnly) + ": " + shipped.Command("untrust") + " takes it out.")
	}
}
