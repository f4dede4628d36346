package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/subject"
)

// Errors of Join.
var (
	ErrNoExporter    = errors.New("no such account")
	ErrNotExported   = errors.New("the account does not export that to this one")
	ErrImportCycle   = errors.New("import forms a cycle")
	ErrSameImport    = errors.New("two service imports have the same subject here")
	ErrExportSubject = errors.New("invalid export")
)

// Link is an import with the export that permits it.
type Link struct {
	Importer string
	Import   Import
	Export   Export
	Mapping  *subject.Mapping // from the exporter's subjects to the importer's
}

// Join finds the export for each import of the accounts. It refuses imports that
// nothing permits, and those by which a message could come back to where it was.
func Join(accounts []*Account) ([]Link, error) {
	by := map[string]*Account{}
	for _, a := range accounts {
		by[a.Name] = a
		for i := range a.Exports {
			if err := a.Exports[i].check(); err != nil {
				return nil, fmt.Errorf("account %s: %w", a.Name, err)
			}
		}
	}
	var links []Link
	for _, a := range accounts {
		for _, im := range a.Imports {
			l, err := join(a.Name, im, by[im.Account])
			if err != nil {
				return nil, fmt.Errorf("account %s: import of %s %q from account %s: %w", a.Name, im.Kind, im.Subject, im.Account, err)
			}
			links = append(links, l)
		}
	}
	return links, checkLinks(links)
}

func (e *Export) check() error {
	if !subject.ValidPattern(e.Subject) {
		return fmt.Errorf("%w: %q is no subject", ErrExportSubject, e.Subject)
	}
	if e.Token == 0 {
		return nil
	}
	tokens := strings.Split(e.Subject, ".")
	if e.Token < 0 || e.Token > len(tokens) || tokens[e.Token-1] != subject.AnyToken {
		return fmt.Errorf("%w: token %d of %q is not \"*\", where the account is to be named", ErrExportSubject, e.Token, e.Subject)
	}
	return nil
}

// ImportsService says whether another account is to answer requests on a subject, as far
// as the account's own configuration tells.
func (a *Account) ImportsService(literal string) bool {
	for _, im := range a.Imports {
		if im.Kind != Service {
			continue
		}
		if m, err := subject.ParseMapping(im.Subject, im.Local); err == nil && subject.Match(m.To(), literal) {
			return true
		}
	}
	return false
}

func join(importer string, im Import, from *Account) (Link, error) {
	l := Link{Importer: importer, Import: im}
	if from == nil {
		return l, ErrNoExporter
	}
	var err error
	if l.Mapping, err = subject.ParseMapping(im.Subject, im.Local); err != nil {
		return l, err
	}
	found := false
	for _, e := range from.Exports {
		if !e.permits(importer, &im) || found && e.Subject != im.Subject {
			continue
		}
		l.Export, found = e, true
		if e.Subject == im.Subject {
			break
		}
	}
	if !found {
		return l, ErrNotExported
	}
	return l, nil
}

// permits says whether an account may import what it wants to by this export.
func (e *Export) permits(importer string, im *Import) bool {
	switch {
	case e.Kind != im.Kind || !subject.Contains(e.Subject, im.Subject):
		return false
	case e.Token > 0:
		tokens := strings.Split(im.Subject, ".")
		return e.Token <= len(tokens) && tokens[e.Token-1] == importer
	}
	return !e.Private || slices.Contains(e.Accounts, importer)
}

// checkLinks refuses links that lead back to themselves, and requests that would go
// two ways from one subject.
func checkLinks(links []Link) error {
	type place struct{ account, subject string }
	taken := map[place]bool{}
	of := map[string][]int{} // by importer
	for i := range links {
		l := &links[i]
		of[l.Importer] = append(of[l.Importer], i)
		at := place{l.Importer, l.Mapping.To()}
		if l.Import.Kind != Service {
			continue
		}
		if taken[at] {
			return fmt.Errorf("account %s: %q: %w", at.account, at.subject, ErrSameImport)
		}
		taken[at] = true
	}
	const under, done = 1, 2
	state := make([]int, len(links))
	var walk func(i int) error
	walk = func(i int) error {
		switch state[i] {
		case done:
			return nil
		case under:
			l := &links[i]
			return fmt.Errorf("account %s: import of %s %q from account %s: %w", l.Importer, l.Import.Kind, l.Import.Subject, l.Import.Account, ErrImportCycle)
		}
		state[i] = under
		for _, j := range of[links[i].Import.Account] {
			if links[i].leadsTo(&links[j]) {
				if err := walk(j); err != nil {
					return err
				}
			}
		}
		state[i] = done
		return nil
	}
	for i := range links {
		if err := walk(i); err != nil {
			return err
		}
	}
	return nil
}

// leadsTo says whether what goes over l may go over next, too: next is an import of
// l's exporter that has subjects with l in common there.
func (l *Link) leadsTo(next *Link) bool {
	return l.Import.Kind == next.Import.Kind && subject.Overlap(l.Mapping.From(), next.Mapping.To())
}
