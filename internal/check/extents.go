package check

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/record"
)

// fetch reads a frame that the journal names in an extent. One whose sequences the
// stream's segments reach is looked at there, or was trimmed. That of a stream without
// a log is nobody's any more.
func (f *follower) fetch(e journal.Entry) ([]byte, error) {
	h := f.logs[uint64(e.Group)]
	if h == nil || h.log == nil {
		return nil, f.ctx.Err()
	}
	place, err := h.log.ReadPlace(e.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", journal.ErrTorn, err)
	}
	if place.Last <= h.log.Last() {
		f.entries++
		f.reach(uint64(e.Group), e.Index)
		return nil, f.ctx.Err()
	}
	b, err := h.log.Fetch(e.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.entries++
		p := f.reach(uint64(e.Group), e.Index)
		f.damage(Damage{
			Kind: KindJournal, File: f.rel(place.File), ID: uint64(e.Group), First: place.First, Last: place.Last,
			Cost: CostServer, Detail: "the journal has these records there, and the file is missing",
		})
		p.begun, p.last = true, max(p.last, place.Last)
		f.badJournal = true
		return nil, f.ctx.Err()
	case errors.Is(err, record.ErrDamaged):
		return nil, fmt.Errorf("%w: %w", journal.ErrTorn, err)
	}
	return b, err
}
