package server

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/record"
)

// extentFrom is from how many bytes on frames go to extents. Where acknowledgements
// do not wait for a sync, the page cache takes both writes and extents gain nothing.
func (o *storageOptions) extentFrom() int64 {
	if o.Sync != journal.Always {
		return -1
	}
	return o.ExtentFrom
}

// appendExtent appends a large frame of which the journal keeps only the place. done
// is false if there is no place for it, or it is none.
func (l *groupLog) appendExtent(term, index uint64, kind uint8, u journal.Urgency, parts [][]byte) (done bool, err error) {
	if l.log == nil || record.Kind(kind) != record.KindFrame || len(parts) != 2 {
		return false, nil
	}
	x := l.log.Extent(parts[0], parts[1])
	if x == nil {
		return false, nil
	}
	if err := l.journal.AppendExtent(l.held, term, index, kind, u, x, x.Len(), x.Place()); err != nil {
		x.Cancel()
		return true, err
	}
	return true, nil
}

// missing is an entry of the journal whose extent is gone.
type missing struct {
	entry journal.Entry // without Data
	file  string
	err   error
}

// fetch reads a frame that the journal names in an extent. A stream that was deleted
// later, or has a checkpoint of what came after, needs none. A file that is gone was
// removed, for its name was durable before the journal could name it: with the stream,
// or by somebody else. Which of both is known at the end of the journal.
func (s *storage) fetch(e journal.Entry) ([]byte, error) {
	s.mu.Lock()
	g := s.groups[uint64(e.Group)]
	s.mu.Unlock()
	if g == nil || g.log == nil || e.Index <= g.covered {
		return nil, nil
	}
	b, err := g.log.Fetch(e.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		m := missing{entry: e, err: err}
		if p, err := g.log.ReadPlace(e.Data); err == nil {
			m.file = p.File
		}
		m.entry.Data = nil
		s.gone = append(s.gone, m)
		return nil, nil
	case errors.Is(err, record.ErrDamaged):
		return nil, fmt.Errorf("%w: %w", journal.ErrTorn, err)
	}
	return b, err
}

// missingExtents reports extents that are gone although their stream is not.
func (s *storage) missingExtents() error {
	gone := s.gone
	s.gone = nil
	for _, m := range gone {
		s.mu.Lock()
		g := s.groups[uint64(m.entry.Group)]
		s.mu.Unlock()
		if g == nil || s.catalog.Dropped(g.spec.ID) { // which may still be on its way out
			continue
		}
		s.log.Error("extent is missing", "file", m.file, "stream", g.spec.Name, "account", g.spec.Account, "index", m.entry.Index)
		if s.o.OnDamage == nil {
			return fmt.Errorf("recover stream %s: the journal names a file that is missing: %w", g.spec.Name, m.err)
		}
		d := &journal.DamageError{File: m.file, Lost: []journal.Entry{m.entry}, Reason: m.err.Error()}
		if err := s.o.OnDamage(d); err != nil {
			return err
		}
		g.solo.StartAt(m.entry.Index) // which is not given again
	}
	return nil
}
