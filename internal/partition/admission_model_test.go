package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// logModel is the plainest log: a list that it looks through each time. What is
// admitted counts at once, what limits and removals take goes when the entry is
// applied.
type logModel struct {
	limits   Limits
	live     []*modelRecord // admitted and not removed, by sequence
	last     uint64
	lastTime int64
	applied  uint64 // the last sequence that readers see
	ids      []modelID
	lastID   string
	hasLast  bool
	queue    []func() // effects of entries that are not durable
	told     []string
}

type modelRecord struct {
	seq           uint64
	subject, data string
	size          uint64
	rollup        record.Rollup
}

type modelID struct {
	id   string
	seq  uint64
	time int64
}

// count is how many records a subject has, up to a sequence.
func (m *logModel) count(name string, upTo uint64) (n uint64) {
	for _, r := range m.live {
		if r.subject == name && r.seq <= upTo {
			n++
		}
	}
	return n
}

// bytes is what all records up to a sequence count.
func (m *logModel) bytes(upTo uint64) (n uint64) {
	for _, r := range m.live {
		if r.seq <= upTo {
			n += r.size
		}
	}
	return n
}

func (m *logModel) records(upTo uint64) (n int64) {
	for _, r := range m.live {
		if r.seq <= upTo {
			n++
		}
	}
	return n
}

func (m *logModel) lastOf(pattern string) (last uint64) {
	for _, r := range m.live {
		if subject.Match(pattern, r.subject) {
			last = r.seq
		}
	}
	return last
}

func (m *logModel) publish(now int64, msgs []msg) {
	m.lastTime = max(m.lastTime, now) // of this batch; it counts only if something is kept
	m.ids = slices.DeleteFunc(m.ids, func(i modelID) bool { return i.time <= m.lastTime-m.limits.DedupWindow })
	var kept []*modelRecord
	var told []string
	for _, x := range msgs {
		refusal, seq, detail := m.decide(x)
		if refusal == Accepted {
			m.last++
			seq = m.last
			r := &modelRecord{seq: seq, subject: x.subject, data: x.data, size: record.Size(len(x.subject), 0, len(x.data)), rollup: x.rollup}
			m.live = append(m.live, r)
			kept = append(kept, r)
			m.lastID, m.hasLast = x.id, x.id != ""
			if x.id != "" && m.limits.DedupWindow > 0 {
				m.ids = append(m.ids, modelID{x.id, seq, m.lastTime})
			}
		}
		told = append(told, fmt.Sprintf("%d/%d/%d", refusal, seq, detail))
	}
	m.queue = append(m.queue, func() {
		m.told = append(m.told, strings.Join(told, " "))
		m.apply(kept)
	})
}

// decide is the protocol's order of checks and then the limits.
func (m *logModel) decide(x msg) (refusal Refusal, seq, detail uint64) {
	c, l := &x.cond, &m.limits
	if l.Sealed {
		return Sealed, 0, 0
	}
	if c.Pre != 0 {
		return Dialect, 0, uint64(c.Pre)
	}
	if c.HasOfSubj {
		of := c.OfSubject
		if of == "" {
			of = x.subject
		}
		if last := m.lastOf(of); last != c.LastOf {
			return WrongLastOfSubject, 0, last
		}
	}
	if c.HasLast && c.Last != m.last {
		return WrongLast, 0, m.last
	}
	if x.id != "" && l.DedupWindow > 0 {
		for _, i := range m.ids {
			if i.id == x.id {
				return Duplicate, i.seq, 0
			}
		}
		if len(m.ids) >= l.dedupEntries() {
			return TooManyIDs, 0, 0
		}
	}
	if c.HasLastID && (!m.hasLast || string(c.LastID[:len(m.lastID)]) != m.lastID) {
		return WrongLastID, 0, m.last
	}
	if x.rollup != record.RollupNone && !l.Rollups {
		return RollupRefused, 0, 0
	}
	return m.room(x), 0, 0
}

// room holds a record against the limits.
func (m *logModel) room(x msg) Refusal {
	l := &m.limits
	if l.MaxRecord > 0 && int64(len(x.data)) > l.MaxRecord {
		return TooLarge
	}
	if !l.DiscardNew {
		return Accepted
	}
	full := l.MaxPerSubject > 0 && m.count(x.subject, m.last) >= uint64(l.MaxPerSubject)
	size := record.Size(len(x.subject), 0, len(x.data))
	switch {
	case full && l.DiscardNewPerSubject && x.rollup == record.RollupNone:
		return MaxPerSubject
	case !full && l.MaxRecords > 0 && m.records(m.last) >= l.MaxRecords:
		return MaxRecords
	case l.MaxBytes > 0 && m.bytes(m.last)+size > uint64(l.MaxBytes):
		return MaxBytes
	}
	return Accepted
}

// apply makes records visible, then removes what they replace and what is too much.
func (m *logModel) apply(kept []*modelRecord) {
	if len(kept) == 0 {
		return
	}
	m.applied = kept[len(kept)-1].seq
	for _, r := range kept {
		switch r.rollup {
		case record.RollupSubject:
			m.remove(func(o *modelRecord) bool { return o.subject == r.subject && o.seq < r.seq })
		case record.RollupAll:
			m.remove(func(o *modelRecord) bool { return o.seq < r.seq })
		}
	}
	if m.limits.MaxPerSubject > 0 {
		for _, r := range kept {
			m.trimSubject(r.subject)
		}
	}
	m.trimAll()
}

func (m *logModel) remove(gone func(*modelRecord) bool) {
	m.live = slices.DeleteFunc(m.live, func(r *modelRecord) bool { return r.seq <= m.applied && gone(r) })
}

func (m *logModel) trimSubject(name string) {
	for m.count(name, m.applied) > uint64(m.limits.MaxPerSubject) {
		i := slices.IndexFunc(m.live, func(r *modelRecord) bool { return r.subject == name })
		m.live = slices.Delete(m.live, i, i+1)
	}
}

func (m *logModel) trimAll() {
	for m.limits.MaxRecords > 0 && m.records(m.applied) > m.limits.MaxRecords || m.limits.MaxBytes > 0 && m.bytes(m.applied) > uint64(m.limits.MaxBytes) {
		m.live = m.live[1:]
	}
}

// setLimits comes into force with its entry.
func (m *logModel) setLimits(l Limits) {
	m.queue = append(m.queue, func() {
		m.limits = l
		if l.DedupWindow <= 0 {
			m.ids = nil
		}
		if l.MaxPerSubject > 0 {
			names := map[string]bool{}
			for _, r := range m.live {
				names[r.subject] = true
			}
			for name := range names {
				m.trimSubject(name)
			}
		}
		m.trimAll()
	})
}

func (m *logModel) sync() {
	for _, f := range m.queue {
		f()
	}
	m.queue = nil
}

// visible lists what readers see, as rig.seqs does.
func (m *logModel) visible() string {
	var out []string
	for _, r := range m.live {
		if r.seq <= m.applied {
			out = append(out, fmt.Sprintf("%d:%s=%s", r.seq, r.subject, r.data))
		}
	}
	return strings.Join(out, " ")
}

// TestAdmissionEqualsTheModel drives a log and the model with the same random
// publishes, removals and changes of the limits, some of them while others are not
// durable yet, and compares outcomes, records, counts and what is looked up.
func TestAdmissionEqualsTheModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 4))
			l := someLimits(rnd)
			a := &admissionDuel{rnd: rnd, r: newRig(t, l), m: &logModel{limits: l}}
			for range 250 {
				a.step()
				if rnd.IntN(3) == 0 {
					a.compare()
				}
			}
			a.compare()
		})
	}
}

type admissionDuel struct {
	rnd *rand.Rand
	r   *rig
	m   *logModel
	now int64
}

func someLimits(rnd *rand.Rand) Limits {
	pick := func(values ...int64) int64 { return values[rnd.IntN(len(values))] }
	l := Limits{
		MaxRecords: pick(0, 0, 1, 5, 12), MaxBytes: pick(0, 0, 200, 500), MaxPerSubject: pick(0, 0, 1, 2, 4),
		MaxRecord: pick(0, 0, 12), DedupWindow: pick(0, 10, 60), DedupEntries: pick(0, 0, 5),
		DiscardNew: rnd.IntN(2) == 0, Rollups: rnd.IntN(3) > 0, Sealed: rnd.IntN(12) == 0,
	}
	l.DiscardNewPerSubject = l.DiscardNew && l.MaxPerSubject > 0 && rnd.IntN(2) == 0
	return l
}

func (a *admissionDuel) step() {
	a.now += a.rnd.Int64N(8) - 1 // the clock may go back
	switch k := a.rnd.IntN(100); {
	case k < 70:
		var msgs []msg
		for range 1 + a.rnd.IntN(4) {
			msgs = append(msgs, a.message())
		}
		a.r.publish(a.now, msgs...)
		a.m.publish(a.now, msgs)
	case k < 85:
		a.removal()
	case k < 88:
		l := someLimits(a.rnd)
		if err := a.r.p.ProposeLimits(l, nil, nil); err != nil {
			a.r.t.Fatal(err)
		}
		a.m.setLimits(l)
	default:
		a.r.sync()
		a.m.sync()
	}
}

// message is one with what it demands, which is often just what is the case.
func (a *admissionDuel) message() msg {
	x := msg{subject: fmt.Sprintf("s.%d", a.rnd.IntN(4)), data: strings.Repeat("x", a.rnd.IntN(16))}
	near := func(n uint64) uint64 { return n - min(n, uint64(a.rnd.IntN(4)/3)) }
	switch a.rnd.IntN(12) {
	case 0, 1, 2:
		x.id = fmt.Sprintf("id%02d", a.rnd.IntN(15))
	case 3:
		x.cond.HasLast, x.cond.Last = true, near(a.m.last)
	case 4:
		x.cond.HasOfSubj, x.cond.LastOf = true, near(a.m.lastOf(x.subject))
	case 5:
		x.cond.HasOfSubj, x.cond.OfSubject = true, []string{"s.*", "s.1", ">"}[a.rnd.IntN(3)]
		x.cond.LastOf = near(a.m.lastOf(x.cond.OfSubject))
	case 6:
		x.rollup = []record.Rollup{record.RollupSubject, record.RollupAll}[a.rnd.IntN(8)/7]
		x.cond.Rollup = x.rollup
	case 7:
		x.cond.HasLastID = true
		copy(x.cond.LastID[:], fmt.Sprintf("id%02d", a.rnd.IntN(15)))
		if a.m.hasLast {
			copy(x.cond.LastID[:], a.m.lastID)
		}
	case 8:
		if a.rnd.IntN(4) == 0 {
			x.cond.Pre = 77
		}
	}
	return x
}

// removal takes single records, or all before a sequence.
func (a *admissionDuel) removal() {
	last := a.r.p.Committed()
	if last == 0 {
		return
	}
	var r Removal
	if a.rnd.IntN(4) == 0 {
		r.Below = 1 + a.rnd.Uint64N(last)
	} else {
		for range 1 + a.rnd.IntN(3) {
			r.Set.Add(1 + a.rnd.Uint64N(last))
		}
	}
	if err := a.r.p.ProposeRemoval(&r, nil); err != nil {
		a.r.t.Fatal(err)
	}
	a.m.queue = append(a.m.queue, func() {
		a.m.remove(func(o *modelRecord) bool { return o.seq < r.Below || r.Set.Contains(o.seq) })
	})
}

// compare makes all durable and holds both against each other.
func (a *admissionDuel) compare() {
	t := a.r.t
	t.Helper()
	a.r.sync()
	a.m.sync()
	told := slices.Clone(a.r.told)
	for i, line := range told {
		told[i] = strings.TrimSuffix(line, " local")
		// The detail of an accepted record is its subject's last, for other eyes.
		fields := strings.Fields(told[i])
		for j, f := range fields {
			if rest, ok := strings.CutPrefix(f, "0/"); ok {
				seq, _, _ := strings.Cut(rest, "/")
				fields[j] = "0/" + seq + "/0"
			}
		}
		told[i] = strings.Join(fields, " ")
	}
	if !slices.Equal(told, a.m.told) {
		t.Fatalf("limits %+v:\ntold %q\nwant %q", a.m.limits, told, a.m.told)
	}
	a.r.told, a.m.told = nil, nil
	if got, want := a.r.seqs(), a.m.visible(); got != want {
		t.Fatalf("limits %+v:\nvisible %q\nwant    %q", a.m.limits, got, want)
	}
	st := a.r.p.Status()
	bytes := a.m.bytes(a.m.applied)
	if int64(st.Records) != a.m.records(a.m.applied) || st.Bytes != bytes || st.Last != a.m.last || a.r.budget.used != bytes {
		t.Fatalf("status %+v, %d bytes taken; want %d records, %d bytes, last %d", st, a.r.budget.used, a.m.records(a.m.applied), bytes, a.m.last)
	}
	for _, pattern := range []string{"s.0", "s.1", "s.2", "s.3", "s.*", ">"} {
		var n uint64
		for _, r := range a.m.live {
			if subject.Match(pattern, r.subject) {
				n++
			}
		}
		if got := a.r.p.CountMatching(pattern); got != n {
			t.Fatalf("%d records of %s, want %d", got, pattern, n)
		}
		v, err := a.r.p.LastOf(pattern)
		if want := a.m.lastOf(pattern); err == nil && v.Seq != want || (err != nil) != (want == 0) {
			t.Fatalf("last of %s is %d, %v; want %d", pattern, v.Seq, err, want)
		}
	}
}
