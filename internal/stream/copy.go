package stream

import (
	"errors"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// find looks for the copier's origin and for where the copy goes on.
func (sh *Shard) find(c *copier, now int64) bool {
	s := c.stream
	if c.mirror && c.config.StartSeq > 0 && c.config.StartTime > 0 {
		sh.retry(c, ErrTwoStarts, now)
		return false
	}
	s.dir.setSeeking(c, true) // before the look, so that none is missed
	o := s.dir.Find(s.Account(), c.config.Stream)
	if o == nil || o.dropped.Load() {
		sh.retry(c, ErrNoOrigin, now)
		return false
	}
	s.dir.setSeeking(c, false)
	from, err := c.position(o)
	if err != nil {
		sh.retry(c, err, now)
		return false
	}
	c.origin.Store(o)
	o.changeFollowers(func(f []*copier) []*copier { return append(f, c) })
	c.reader = o.part.ReaderOf(c.config.filter(), from)
	c.next.Store(from)
	c.wait = retryFirst
	return true
}

// position is the origin's first sequence that is not copied yet.
func (c *copier) position(o *Stream) (uint64, error) {
	if c.mirror {
		st := c.stream.part.Status()
		if st.Last == 0 {
			return c.start(o)
		}
		v, err := c.stream.part.Get(st.Last)
		if st.Last > o.part.Committed() || err == nil && !o.part.MayHold(st.Last, v.Time) {
			return 0, ErrOtherOrigin
		}
		return st.Last + 1, nil
	}
	p := c.stream.ledger.progressOf(c.key)
	if p.origin == 0 {
		return c.start(o)
	}
	// A stream that was restored from a backup has another number and goes on; one
	// in memory has the same number after a restart and begins anew.
	if p.origin != o.spec.ID && !o.part.Has(p.seq, p.time) || !o.part.MayHold(p.seq, p.time) {
		return c.start(o)
	}
	return p.seq + 1, nil
}

// start is where the copy begins.
func (c *copier) start(o *Stream) (uint64, error) {
	switch {
	case c.config.StartSeq > 0:
		return c.config.StartSeq, nil
	case c.config.StartTime > 0:
		return o.part.SeekTime(c.config.StartTime)
	}
	return o.part.First(), nil
}

// copyPlaced hands a mirror's batch to the log.
func (sh *Shard) copyPlaced(c *copier, b *copyBatch, now int64) {
	size := int64(len(b.area.Buf))
	last := b.places[len(b.places)-1].Seq
	first := b.places[0].Seq
	again := c.stream.repeats(nil, &b.area, now)
	for i := range again {
		at := b.places[again[i].record]
		again[i].view.Seq, again[i].view.Time = at.Seq, at.Time
	}
	err := c.stream.part.Refill(&b.area, b.places, func(err error) {
		c.stream.land(size)
		if err != nil {
			return // the log has failed
		}
		sh.post(event{kind: evCall, call: func(now int64) {
			c.inFlight--
			c.next.Store(last + 1)
			c.active.Store(now)
			if len(again) > 0 {
				c.stream.publishCopies(sh.publisher(c.stream.space), again)
			}
			c.recovered()
			sh.touchCopy(c)
		}})
	})
	if err != nil {
		if c.reader != nil {
			c.reader.Seek(first)
		}
		c.closeFeed()
		sh.retry(c, err, now)
		return
	}
	c.inFlight++
	c.stream.fly(size)
}

// copyAdmitted hands a source's batch to the log.
func (sh *Shard) copyAdmitted(c *copier, b *copyBatch, now int64) {
	s := c.stream
	st := stagedPool.Get().(*staged)
	st.stream, st.Owner = s, st
	st.Area, st.Conds, st.InOrder = b.area, b.conds, true
	st.ends = append(st.ends, make([]uint32, b.area.Len())...)
	origin := c.originID()
	st.done = func(outcomes []partition.Outcome) {
		n := 0          // how many are stored, or were before
		passed := false // the last of them
		var refused partition.Refusal
		for i, o := range outcomes {
			pass := o.Refusal == partition.Duplicate || o.Refusal == partition.Dialect
			if o.Refusal != partition.Accepted && !pass {
				refused = o.Refusal
				break
			}
			passed = pass
			if o.Refusal == partition.Dialect {
				s.dir.log.Warn("record not copied", "stream", s.Name(), "account", s.Account(), "origin", c.config.Stream, "seq", b.places[i].Seq, "refusal", o.Detail)
			}
			n++
		}
		sh.post(event{kind: evCall, call: func(now int64) {
			sh.copied(c, b.places, n, refused, now)
			if n > 0 && passed {
				last := b.places[n-1]
				c.pass(progress{origin: origin, seq: last.Seq, time: last.Time})
			}
		}})
	}
	c.inFlight++
	s.admit(st, now)
}

// copied notes what became of a source's batch: n of its records are copied.
func (sh *Shard) copied(c *copier, places []record.Place, n int, refused partition.Refusal, now int64) {
	c.inFlight--
	if n > 0 {
		c.next.Store(places[n-1].Seq + 1)
		c.active.Store(now)
		c.recovered()
	}
	if c.stopped {
		return
	}
	if refused == partition.Accepted {
		sh.touchCopy(c)
		return
	}
	if c.config.remote() {
		sh.refusedFed(c, refused, now)
		return
	}
	if c.reader != nil {
		c.reader.Seek(places[n].Seq)
	}
	c.wait = min(c.wait, retryFull) // there may be room at any time
	sh.retry(c, copyRefused(refused), now)
}

// pass notes that the last record needs no copy, which no record of the stream says.
func (c *copier) pass(p progress) {
	err := c.stream.part.Propose(record.KindOrigin, false, nil, p.append(nil, c.key))
	if err != nil && !errors.Is(err, partition.ErrDead) {
		c.stream.dir.log.Warn("progress of a copy not noted", "stream", c.stream.Name(), "account", c.stream.Account(), "error", err)
	}
}
