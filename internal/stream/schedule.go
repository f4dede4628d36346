package stream

import (
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/timewheel"
)

// schedule is a live record that is to be published at its time.
type schedule struct {
	stream *Stream
	seq    uint64
	timer  timewheel.Timer[timed]
}

// learn looks at marked records that are new, or all after a start.
func (sh *Shard) learn(s *Stream, st *streamState, now int64) {
	marks := s.part.Marks()
	if s.marks.Swap(marks) == marks {
		return
	}
	start := st.learned == 0
	for _, seq := range s.part.Marked(st.learned + 1) {
		st.learned = seq
		v, err := s.part.Get(seq)
		if err != nil {
			continue // it went, or cannot be read: then nothing is published
		}
		after := v.Time
		plan := s.dialect.Plan(&v, after)
		if plan.Ends != "" {
			sh.endSchedule(s, plan.Ends, seq)
		}
		if plan.Next == 0 {
			continue
		}
		if start && !plan.Once {
			after = s.lastOf(&v, plan.Target)
			plan = s.dialect.Plan(&v, after)
		}
		sc := &schedule{stream: s, seq: seq}
		sc.timer.Item = sc
		if st.schedules == nil {
			st.schedules = make(map[uint64]*schedule)
		}
		st.schedules[seq] = sc
		sh.wheel.Set(&sc.timer, max(plan.Next, now))
	}
}

// lastOf is when the schedule v published last, as far as its target shows.
func (s *Stream) lastOf(v *record.View, target string) int64 {
	last, err := s.part.LastOf(string(s.mapped(nil, []byte(target))))
	if err != nil || s.dialect.Plan(&last, 0).By != string(v.Subject) {
		return v.Time
	}
	return last.Time
}

// unlearn forgets the schedules of a stream.
func (sh *Shard) unlearn(st *streamState) {
	for _, sc := range st.schedules {
		sh.wheel.Clear(&sc.timer)
	}
	st.schedules = nil
}

// endSchedule has the schedule on a subject removed, if it was stored before seq.
func (sh *Shard) endSchedule(s *Stream, subject string, seq uint64) {
	if v, err := s.part.LastOf(subject); err == nil && v.Seq < seq && v.Marked {
		sh.removeOne(s, v.Seq)
	}
}

func (sh *Shard) removeOne(s *Stream, seq uint64) {
	r := &partition.Removal{}
	r.Set.Add(seq)
	if err := s.part.ProposeRemoval(r, nil); err != nil {
		sh.log.Warn("schedule not removed", "stream", s.Name(), "account", s.Account(), "seq", seq, "error", err)
	}
}

// ring publishes what a schedule says, and sets its next time or ends it.
func (sh *Shard) ring(sc *schedule, now int64) {
	s := sc.stream
	st := sh.streams[s]
	if st == nil || s.closed.Load() {
		return
	}
	v, err := s.part.Get(sc.seq)
	if err != nil || s.replaced(&v) {
		delete(st.schedules, sc.seq)
		return
	}
	plan := s.dialect.Plan(&v, now)
	content := &v
	if plan.Source != "" {
		if other, err := s.part.LastOf(plan.Source); err == nil {
			content = &other
		}
	}
	next := plan.Next
	if plan.Once {
		next = 0
	}
	parts := s.dialect.Scheduled(&v, content, next)
	parts.Subject = s.mapped(nil, parts.Subject)
	b := s.newStaged(firstArea)
	b.Area.Append(&parts)
	b.Conds = append(b.Conds, partition.Conditions{Rollup: parts.Rollup})
	b.ends = append(b.ends, 0)
	s.admit(b, now)
	if next == 0 {
		delete(st.schedules, sc.seq)
		sh.removeOne(s, sc.seq)
		return
	}
	sh.wheel.Set(&sc.timer, max(next, now))
}

// replaced says whether a message that no schedule published came to the subject
// after this one.
func (s *Stream) replaced(v *record.View) bool {
	last, err := s.part.LastOf(string(v.Subject))
	return err == nil && last.Seq > v.Seq && s.dialect.Plan(&last, 0).By == ""
}
