package stream

import (
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

const (
	// ageTick is how soon after a removal by age the next one may come.
	ageTick = int64(100 * time.Millisecond)
	// ageBatch is how many records one removal by age takes at the most, markBatch
	// where each is looked at.
	ageBatch  = 20_000
	markBatch = 1_000
	// markPatience is how long a record waits for its marker. Then it goes without.
	markPatience = int64(2 * time.Second)
)

// watchAge sets the timer for what grows too old.
func (sh *Shard) watchAge(s *Stream, st *streamState, now int64) {
	if next := s.part.NextExpiry(); next != 0 && (!st.age.Active() || next < s.ageAt.Load()) {
		sh.lookAt(s, st, max(next, now))
	}
	if s.part.Limits().MaxAge > 0 && !st.age.Active() {
		sh.lookAt(s, st, now+ageTick)
	}
}

// lookAt sets when expire is called.
func (sh *Shard) lookAt(s *Stream, st *streamState, at int64) {
	sh.wheel.Set(&st.age, at)
	s.ageAt.Store(at)
}

// expire has the records removed that are too old.
func (sh *Shard) expire(s *Stream, now int64) {
	s.ageAt.Store(0)
	if s.closed.Load() {
		return
	}
	st := sh.state(s)
	var next int64
	var err error
	if s.part.Limits().MarkerTTL > 0 {
		next, err = sh.mark(s, st, now)
	} else {
		next, err = s.part.Expire(now, ageBatch)
	}
	switch {
	case err != nil:
		sh.log.Warn("removal by age not possible", "stream", s.Name(), "account", s.Account(), "error", err)
	case next != 0:
		sh.lookAt(s, st, max(next, now+ageTick))
	default:
		s.idle.Store(len(st.consumers) == 0 && s.part.Limits().MaxAge <= 0)
		if s.part.Status().Records > 0 {
			s.wake() // records came between the look and the note
		}
	}
}

// mark has what is too old removed, and the last record of a subject replaced by a
// marker, unless it is one. Where a marker cannot be stored the record goes without.
func (sh *Shard) mark(s *Stream, st *streamState, now int64) (next int64, err error) {
	if st.removing {
		return now + ageTick, nil
	}
	seqs, next, err := s.part.Old(now, markBatch)
	if err != nil || len(seqs) == 0 {
		st.marking = nil
		return next, err
	}
	tried := st.marking
	st.marking = make(map[uint64]int64, len(seqs))
	left := map[string]uint64{} // live records of a subject that stay
	r := &partition.Removal{}
	b := s.newStaged(firstArea)
	for _, seq := range seqs {
		v, err := s.part.Get(seq)
		if err != nil {
			r.Set.Add(seq) // it is gone, or cannot be read
			continue
		}
		since, again := tried[seq]
		if !again {
			since = now
		}
		if !s.isLast(&v, left) || s.dialect.IsMarker(v.Header) || now-since > markPatience {
			left[string(v.Subject)]--
			r.Set.Add(seq)
			continue
		}
		st.marking[seq] = since
		s.stageMarker(b, &v)
	}
	if b.Area.Len() > 0 {
		next = now + ageTick // to see what became of them
		s.admit(b, now)
	} else {
		b.free()
	}
	if r.Set.Count() == 0 {
		return next, nil
	}
	st.removing = true
	err = s.part.ProposeRemoval(r, func(error) {
		sh.post(event{kind: evCall, call: func(int64) { st.removing = false }})
	})
	if err != nil {
		st.removing = false
	}
	return now + ageTick, err
}

// isLast says whether the record is the only one of its subject that stays.
func (s *Stream) isLast(v *record.View, left map[string]uint64) bool {
	n, known := left[string(v.Subject)]
	if !known {
		for _, c := range s.part.Subjects(string(v.Subject)) {
			n = c.Count
		}
		left[string(v.Subject)] = n
	}
	return n <= 1
}

// stageMarker stages what takes the record's place, if it is still the subject's
// last by then.
func (s *Stream) stageMarker(b *staged, v *record.View) {
	ttl := s.part.Limits().MarkerTTL
	c := partition.Conditions{HasOfSubj: true, LastOf: v.Seq, Rollup: record.RollupSubject, TTL: ttl}
	b.Conds = append(b.Conds, c)
	b.Area.Append(&record.Parts{
		Subject: v.Subject, Header: s.dialect.AppendMarker(nil, ttl), Rollup: c.Rollup, TTL: ttl,
	})
	b.ends = append(b.ends, 0)
}

// admit hands a batch to the partition.
func (s *Stream) admit(b *staged, now int64) {
	b.size = int64(len(b.Area.Buf))
	s.fly(b.size)
	if size := b.size; s.config.Load().Async {
		b.Early = func(error) { s.land(size) }
	}
	b.repeats = s.repeats(b.repeats, &b.Area, now)
	s.part.Admit(now, &b.Batch)
}
