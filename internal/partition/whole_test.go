package partition

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// whole admits messages as a batch that is kept whole or not at all.
func (r *rig) whole(now int64, msgs ...msg) {
	r.p.Admit(now, r.batch(func(b *Batch) { b.Whole = true }, msgs...))
}

func (r *rig) batch(change func(*Batch), msgs ...msg) *Batch {
	b := &Batch{}
	for _, m := range msgs {
		p := record.Parts{Subject: []byte(m.subject), Data: []byte(m.data), Rollup: m.rollup}
		c := m.cond
		if m.id != "" {
			copy(p.ID[:], m.id)
			p.HasID, c.HasID, c.ID = true, true, p.ID
		}
		b.Area.Append(&p)
		b.Conds = append(b.Conds, c)
	}
	change(b)
	return b
}

// tipOf is what the rest of the log would see of the tip.
func (r *rig) tipOf() string {
	p := r.p
	var subjects []string
	for e := range p.subjects.active.matching("") {
		subjects = append(subjects, fmt.Sprintf("%s:%d/%d/%d/%v", e.name, e.count, e.first(), e.last, e.seqs(nil)))
	}
	slices.Sort(subjects)
	return fmt.Sprintf("%+v undo %d ids %d/%d last %v used %d live %d %v", p.tip, len(p.undo), p.dedup.len(), len(p.dedup.byID), p.hasLast,
		r.budget.used, p.subjects.live, subjects)
}

func TestARefusedWholeBatchLeavesNoTrace(t *testing.T) {
	of := func(n uint64) Conditions { return Conditions{HasOfSubj: true, LastOf: n} }
	for name, last := range map[string]struct {
		msg  msg
		want Refusal
	}{
		"expected sequence":        {msg{subject: "f", cond: of(7)}, WrongLastOfSubject},
		"one that the batch has":   {msg{subject: "a", cond: of(5)}, WrongLastInBatch},
		"last of the log":          {msg{subject: "c", cond: Conditions{HasLast: true, Last: 6}}, WrongLastInBatch},
		"an id of the batch":       {msg{subject: "c", id: "new"}, Repeated},
		"an id of the window":      {msg{subject: "c", id: "old"}, Repeated},
		"too large":                {msg{subject: "c", data: strings.Repeat("x", 101)}, TooLarge},
		"full":                     {msg{subject: "d"}, MaxRecords},
		"rollup of all":            {msg{subject: "c", rollup: record.RollupAll}, RollupInBatch},
		"rollup of its own":        {msg{subject: "a", rollup: record.RollupSubject}, RollupInBatch},
		"what the dialect forbids": {msg{subject: "c", cond: Conditions{Pre: 5}}, Dialect},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Limits{DedupWindow: 1000, MaxRecord: 100, MaxRecords: 7, DiscardNew: true, MaxPerSubject: 3, Rollups: true})
			r.publish(1, msg{subject: "a", data: "1", id: "old"}, msg{subject: "a", data: "2"})
			r.sync()
			r.publish(2, msg{subject: "b", data: "3"}) // is in flight
			r.told = nil
			before := r.tipOf()
			r.whole(3, msg{subject: "a", data: "4", id: "new"}, msg{subject: "b"}, msg{subject: "c"}, last.msg, msg{subject: "e"})
			if last.want == MaxRecords {
				r.told = nil
				r.whole(3, msg{subject: "e"}, msg{subject: "f"}, msg{subject: "g"}, msg{subject: "h"}, last.msg)
			}
			if after := r.tipOf(); after != before && last.want != MaxRecords {
				t.Errorf("the tip was\n%s\nand is\n%s", before, after)
			}
			r.sync()
			for _, line := range r.told[1:] {
				for _, o := range strings.Fields(line) {
					if !strings.HasPrefix(o, fmt.Sprintf("%d/", last.want)) {
						t.Errorf("told %q, want refusal %d for all", r.told, last.want)
					}
				}
			}
		})
	}
}

func TestAPatternsLastSequenceIsThatBeforeTheWholeBatch(t *testing.T) {
	of := func(pattern string, n uint64) Conditions {
		return Conditions{HasOfSubj: true, OfSubject: pattern, LastOf: n}
	}
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "s.1", data: "1"}, msg{subject: "s.2", data: "2"}, msg{subject: "t", data: "3"})
	r.whole(2, msg{subject: "s.1", cond: of("s.*", 2)}, msg{subject: "s.3", cond: of("s.*", 2)}, msg{subject: "s.2"}, msg{subject: "u.1", cond: of("s.*", 2)},
		msg{subject: "u.2", cond: of("u.*", 0)}, msg{subject: "u.1", cond: of(">", 3)})
	r.sync()
	r.whole(3, msg{subject: "s.1"}, msg{subject: "s.2", cond: of("s.*", 2)})
	r.whole(3, msg{subject: "s.1"}, msg{subject: "s.2", cond: of("s.*", 6)}, msg{subject: "s.4", cond: of("s.2", 6)})
	r.whole(3, msg{subject: "s.1"}, msg{subject: "s.2", cond: of("s.*", 6)})
	r.sync()
	r.wantTold("0/1/0 0/2/0 0/3/0", "0/4/1 0/5/0 0/6/2 0/7/0 0/8/0 0/9/7",
		fmt.Sprintf("%d/0/6 %[1]d/0/6 local", WrongLastOfSubject), fmt.Sprintf("%d/0/0 %[1]d/0/0 %[1]d/0/0 local", WrongLastInBatch), "0/10/4 0/11/6")
}

func TestAnAcceptedWholeBatchIsOneFrame(t *testing.T) {
	r := newRig(t, Limits{Rollups: true})
	r.publish(1, msg{subject: "a", data: "1"})
	r.whole(2, msg{subject: "a", data: "2", cond: Conditions{HasLast: true, Last: 1}}, msg{subject: "b", data: "3"}, msg{subject: "b", data: "4"})
	r.sync()
	r.wantTold("0/1/0", "0/2/1 0/3/0 0/4/3")
	if len(r.log) != 2 {
		t.Fatalf("%d entries", len(r.log))
	}
	r.wantSeqs("1:a=1 2:a=2 3:b=3 4:b=4")
}

// TestWholeBatchesAgreeWithAModel admits batches at random, of which some are
// refused, and compares with what a list of accepted records says.
func TestWholeBatchesAgreeWithAModel(t *testing.T) {
	for seed := range int64(30) {
		rng := rand.New(rand.NewSource(seed))
		r := newRig(t, Limits{DedupWindow: 1 << 40, MaxPerSubject: 4})
		last := map[string]uint64{}
		ids := map[string]bool{}
		var seq uint64
		for range 60 {
			var msgs []msg
			ok := true
			mine, fresh := map[string]bool{}, map[string]bool{}
			for range 1 + rng.Intn(4) {
				m := msg{subject: fmt.Sprint("s", rng.Intn(5))}
				switch rng.Intn(4) {
				case 0:
					m.id = fmt.Sprint("id", rng.Intn(40))
					ok = ok && !ids[m.id] && !fresh[m.id]
					fresh[m.id] = true
				case 1:
					m.cond = Conditions{HasOfSubj: true, LastOf: last[m.subject] + uint64(rng.Intn(8)/7)}
					ok = ok && !mine[m.subject] && m.cond.LastOf == last[m.subject]
				}
				mine[m.subject] = true
				msgs = append(msgs, m)
			}
			r.whole(1, msgs...)
			if ok {
				for _, m := range msgs {
					seq++
					last[m.subject] = seq
				}
				for id := range fresh {
					ids[id] = true
				}
			}
			if rng.Intn(3) == 0 {
				r.sync()
			}
			if r.p.tip.last != seq {
				t.Fatalf("seed %d: the tip is %d, want %d", seed, r.p.tip.last, seq)
			}
		}
		r.sync()
		for s, want := range last {
			if v, err := r.p.LastOf(s); err != nil || v.Seq != want {
				t.Fatalf("seed %d: last of %s is %d, %v, want %d", seed, s, v.Seq, err, want)
			}
		}
		used := r.budget.used
		if st := r.p.Status(); st.Bytes != used {
			t.Fatalf("seed %d: %d bytes are stored and %d reserved", seed, st.Bytes, used)
		}
	}
}

func TestAChainEndsWithItsFirstRefusal(t *testing.T) {
	r := newRig(t, Limits{DedupWindow: 100})
	var c Chain
	link := func(m msg) msg { m.cond.Chain = &c; return m }
	wrong := Conditions{HasLast: true, Last: 99}
	r.publish(1, link(msg{subject: "a", id: "i"}), msg{subject: "b"}, link(msg{subject: "a", id: "i"}), link(msg{subject: "c", cond: wrong}), link(msg{subject: "d"}), msg{subject: "e"})
	r.publish(1, link(msg{subject: "f"}), msg{subject: "g"})
	r.sync()
	r.wantTold(fmt.Sprintf("0/1/0 0/2/0 %d/1/0 %d/0/2 %d/0/0 0/3/0", Duplicate, WrongLast, Broken), fmt.Sprintf("%d/0/0 0/4/0", Broken))
	r.wantSeqs("1:a= 2:b= 3:e= 4:g=")
}

func TestEarlyOutcomesAreToldBeforeTheyAreDurable(t *testing.T) {
	r := newRig(t, Limits{DedupWindow: 100})
	var ends []error
	early := func(b *Batch) { b.Early = func(err error) { ends = append(ends, err) } }
	r.p.Admit(1, r.batch(early, msg{subject: "a", data: "1", id: "i"}))
	r.p.Admit(1, r.batch(early, msg{subject: "a", id: "i"}))
	r.wantTold("0/1/0 local", fmt.Sprintf("%d/1/0 local", Duplicate))
	r.wantSeqs("")
	if len(ends) != 0 {
		t.Fatalf("durable before the sync: %v", ends)
	}
	r.sync()
	r.wantSeqs("1:a=1")
	r.p.Admit(2, r.batch(early, msg{subject: "b"}))
	r.told = nil
	r.solo.Failed(errors.New("disk"))
	r.wantTold()
	if len(ends) != 2 || ends[0] != nil || !errors.Is(ends[1], ErrDead) {
		t.Fatalf("the batches ended with %v", ends)
	}
}

func TestTheDialectsRefusalsComeAtTheirSteps(t *testing.T) {
	wrong := Conditions{HasOfSubj: true, LastOf: 9, HasLast: true, Last: 9, HasLastID: true}
	for at, want := range map[Check]Refusal{
		CheckDialect: Dialect, CheckLastOfSubject: Dialect, CheckLast: WrongLastOfSubject, CheckDuplicate: WrongLastOfSubject,
	} {
		r := newRig(t, Limits{})
		c := wrong
		c.Pre, c.PreAt = 7, at
		r.publish(1, msg{subject: "a", cond: c})
		if !strings.HasPrefix(r.told[0], fmt.Sprintf("%d/", want)) {
			t.Errorf("at step %d: %q, want %d", at, r.told, want)
		}
	}
	for at, want := range map[Check]Refusal{CheckHeader: TooLarge, CheckStore: TooLarge} {
		r := newRig(t, Limits{MaxRecord: 1})
		r.publish(1, msg{subject: "a", data: "xx", cond: Conditions{Pre: 7, PreAt: at}})
		if !strings.HasPrefix(r.told[0], fmt.Sprintf("%d/", want)) {
			t.Errorf("at step %d: %q, want %d", at, r.told, want)
		}
	}
	for at, want := range map[Check]Refusal{CheckHeader: Dialect, CheckStore: NoSpace} {
		r := newRig(t, Limits{MaxRecords: 1, DiscardNew: true})
		r.budget.limit = 1
		r.publish(1, msg{subject: "a", cond: Conditions{Pre: 7, PreAt: at}})
		if !strings.HasPrefix(r.told[0], fmt.Sprintf("%d/", want)) {
			t.Errorf("at step %d: %q, want %d", at, r.told, want)
		}
	}
	r := newRig(t, Limits{MaxRecords: 1, DiscardNew: true})
	r.publish(1, msg{subject: "a"})
	used := r.budget.used
	r.publish(1, msg{subject: "a", cond: Conditions{Pre: 7, PreAt: CheckStore}}, msg{subject: "b"})
	r.sync()
	r.wantTold("0/1/0", fmt.Sprintf("%d/0/7 %d/0/0", Dialect, MaxRecords))
	if r.budget.used != used {
		t.Errorf("refused records keep %d bytes of the budget", r.budget.used-used)
	}
}
