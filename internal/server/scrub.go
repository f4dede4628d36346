package server

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/meta"
	"github.com/weirmq/weir/internal/seglog"
)

// Defaults of the scrub. A terabyte is read in a day and a half; what that takes
// of a disk is not noticed.
const (
	defaultScrubRate     = 8 << 20
	defaultScrubInterval = 24 * time.Hour
)

// scrubAfter is how long after a start the first pass begins, at the latest: a
// server that is restarted often is scrubbed, too.
const scrubAfter = time.Minute

// scrubber reads what is stored again and again, so that rot is found before a
// reader does.
type scrubber struct {
	// Set at construction.
	catalog  *meta.Catalog
	log      *slog.Logger
	rate     int64 // bytes a second; 0: nothing is scrubbed
	interval time.Duration

	damaged atomic.Uint64 // places, found by the scrub or by readers
	passed  atomic.Int64  // when the last complete pass ended, Unix ns; 0: none
}

// found counts and logs a damaged place. The volume tells of each once.
func (s *scrubber) found(l *seglog.Log, d *seglog.DamageError) {
	s.damaged.Add(1)
	id := l.Identity()
	spec, _ := s.catalog.Stream(id.ID)
	s.log.Error("damage found", "file", d.File, "offset", d.Offset, "length", d.Length, "account", spec.Account, "stream", spec.Name, "id", id.ID,
		"first", d.First, "last", d.Last, "error", d.Err)
}

// run scrubs a volume until ctx ends.
func (s *scrubber) run(ctx context.Context, v *seglog.Volume) error {
	if s.rate <= 0 {
		return nil
	}
	t := time.NewTimer(min(s.interval, scrubAfter))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case begun := <-t.C:
			s.pass(ctx, v)
			t.Reset(max(time.Until(begun.Add(s.interval)), 0))
		}
	}
}

// pass scrubs everything once.
func (s *scrubber) pass(ctx context.Context, v *seglog.Volume) {
	before := v.Scrubbed()
	places := 0
	err := v.Scrub(ctx, s.rate, func(*seglog.Log, *seglog.DamageError) { places++ })
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.log.Error("not everything could be scrubbed", "error", err)
	default:
		s.passed.Store(time.Now().UnixNano())
		s.log.Debug("scrubbed", "bytes", v.Scrubbed()-before, "damaged", places)
	}
}
