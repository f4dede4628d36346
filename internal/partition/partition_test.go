package partition

import (
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

func TestNothingIsToldBeforeItIsDurable(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "x"}, msg{subject: "b", data: "y"})
	r.wantTold()
	r.wantSeqs("")
	r.sync()
	r.wantTold("0/1/0 0/2/0")
	r.wantSeqs("1:a=x 2:b=y")
}

func TestARefusalWaitsForWhatItSaw(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a"})
	r.publish(1, msg{subject: "a", cond: Conditions{HasLast: true, Last: 7}})
	r.wantTold()
	r.sync()
	r.wantTold("0/1/0", fmt.Sprintf("%d/0/1", WrongLast))
	r.publish(1, msg{subject: "a", cond: Conditions{HasLast: true, Last: 7}})
	r.wantTold(fmt.Sprintf("%d/0/1 local", WrongLast))
}

func TestADuplicateInFlightWaitsForTheFirst(t *testing.T) {
	r := newRig(t, Limits{DedupWindow: 100})
	r.publish(1, msg{subject: "a", id: "i"})
	r.publish(2, msg{subject: "a", id: "i"})
	r.wantTold()
	r.sync()
	r.wantTold("0/1/0", fmt.Sprintf("%d/1/0", Duplicate))
	r.publish(200, msg{subject: "a", id: "i"})
	r.sync()
	r.wantTold("0/2/1")
}

func TestRefusedRecordsAreStruckAndLeaveNoGap(t *testing.T) {
	r := newRig(t, Limits{MaxRecord: 3})
	r.publish(1, msg{subject: "a", data: "long"}, msg{subject: "b", data: "ok"}, msg{subject: "c", data: "long"}, msg{subject: "d", data: "ok"})
	r.sync()
	r.wantTold(fmt.Sprintf("%d/0/0 0/1/0 %d/0/0 0/2/0", TooLarge, TooLarge))
	r.wantSeqs("1:b=ok 2:d=ok")
}

func TestExpectedSequencesSeeTheTip(t *testing.T) {
	r := newRig(t, Limits{})
	of := func(n uint64) Conditions { return Conditions{HasOfSubj: true, LastOf: n} }
	r.publish(1, msg{subject: "a", cond: of(0)})
	r.publish(1, msg{subject: "a", cond: of(1)}, msg{subject: "a", cond: of(1)})
	r.publish(1, msg{subject: "b", cond: Conditions{HasOfSubj: true, LastOf: 2, OfSubject: "*"}})
	r.sync()
	r.wantTold("0/1/0", fmt.Sprintf("0/2/1 %d/0/2", WrongLastOfSubject), "0/3/0")
}

func TestReadersResolveTheLastOfASubjectBelowTheTip(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "1"})
	r.sync()
	r.publish(1, msg{subject: "a", data: "2"}, msg{subject: "a", data: "3"}, msg{subject: "b", data: "4"})
	v, err := r.p.LastOf("a")
	if err != nil || v.Seq != 1 {
		t.Fatalf("last of a is %d, %v", v.Seq, err)
	}
	if _, err := r.p.LastOf("b"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("b is visible before it is durable: %v", err)
	}
	r.sync()
	if v, _ := r.p.LastOf(">"); v.Seq != 4 {
		t.Fatalf("last is %d", v.Seq)
	}
}

func TestOldestGoesWhenTheLogIsFull(t *testing.T) {
	r := newRig(t, Limits{MaxRecords: 2})
	for i := range 5 {
		r.publish(int64(i), msg{subject: fmt.Sprintf("s%d", i%2), data: fmt.Sprint(i)})
	}
	r.sync()
	r.wantSeqs("4:s1=3 5:s0=4")
	if st := r.p.Status(); st.First != 4 || st.Last != 5 || st.Records != 2 || st.Subjects != 2 {
		t.Fatalf("status %+v", st)
	}
}

func TestNewestIsRefusedWhenTheLogIsFullAndDiscardsNew(t *testing.T) {
	r := newRig(t, Limits{MaxRecords: 2, DiscardNew: true})
	r.publish(1, msg{subject: "a"}, msg{subject: "b"}, msg{subject: "c"})
	r.sync()
	r.wantTold(fmt.Sprintf("0/1/0 0/2/0 %d/0/0", MaxRecords))
	size := record.Size(1, 0, 1)
	r = newRig(t, Limits{MaxBytes: int64(2 * size), DiscardNew: true})
	r.publish(1, msg{subject: "a", data: "x"}, msg{subject: "b", data: "x"}, msg{subject: "c", data: "x"})
	r.sync()
	r.wantTold(fmt.Sprintf("0/1/0 0/2/0 %d/0/0", MaxBytes))
}

func TestEachSubjectKeepsItsNewest(t *testing.T) {
	for _, limit := range []int64{2, maxListed + 1} {
		r := newRig(t, Limits{MaxPerSubject: limit})
		for i := range int(limit) + 3 {
			r.publish(int64(i), msg{subject: "a", data: fmt.Sprint(i)}, msg{subject: "b"})
		}
		r.sync()
		for _, s := range r.p.Subjects("") {
			if s.Count != uint64(limit) {
				t.Fatalf("limit %d: %d of %s", limit, s.Count, s.Subject)
			}
		}
		if v, err := r.p.NextOf("a", 0); err != nil || string(v.Data) != "3" {
			t.Fatalf("limit %d: oldest of a is %q, %v", limit, v.Data, err)
		}
	}
}

func TestFullSubjectRefusesTheNewestIfSoConfigured(t *testing.T) {
	r := newRig(t, Limits{MaxPerSubject: 1, DiscardNew: true, DiscardNewPerSubject: true})
	r.publish(1, msg{subject: "a", data: "1"}, msg{subject: "a", data: "2"}, msg{subject: "b", data: "3"})
	r.sync()
	r.wantTold(fmt.Sprintf("0/1/0 %d/0/0 0/2/0", MaxPerSubject))
}

func TestRollupsReplaceWhatWasBefore(t *testing.T) {
	r := newRig(t, Limits{Rollups: true})
	r.publish(1, msg{subject: "a", data: "1"}, msg{subject: "b", data: "2"}, msg{subject: "a", data: "3", rollup: record.RollupSubject})
	r.sync()
	r.wantSeqs("2:b=2 3:a=3")
	r.publish(1, msg{subject: "c", data: "4", rollup: record.RollupAll})
	r.sync()
	r.wantSeqs("4:c=4")
	r = newRig(t, Limits{})
	r.publish(1, msg{subject: "a", rollup: record.RollupAll})
	r.wantTold(fmt.Sprintf("%d/0/0 local", RollupRefused))
}

func TestPurgeKeepsTheSequence(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a"}, msg{subject: "b"}, msg{subject: "c"})
	r.sync()
	done := false
	n, err := r.p.TrimAll(func(error) { done = true })
	if n != 3 || err != nil {
		t.Fatalf("purged %d, %v", n, err)
	}
	r.publish(2, msg{subject: "d", data: "4"})
	r.sync()
	if !done {
		t.Fatal("the purge was not told")
	}
	r.wantSeqs("4:d=4")
	if st := r.p.Status(); st.First != 4 || st.Bytes != record.Size(1, 0, 1) || st.Subjects != 1 {
		t.Fatalf("status %+v", st)
	}
	if _, err := r.p.Trim(9, nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	r.publish(3, msg{subject: "e", data: "9"})
	r.sync()
	r.wantSeqs("9:e=9")
}

func TestDeletedStaysDeleted(t *testing.T) {
	r := newRig(t, Limits{})
	r.p.WatchRemovals(true)
	r.publish(1, msg{subject: "a", data: "1"}, msg{subject: "a", data: "2"}, msg{subject: "a", data: "3"})
	r.sync()
	remove := func(seqs ...uint64) {
		var set seqset.Set
		for _, s := range seqs {
			set.Add(s)
		}
		if err := r.p.ProposeRemoval(&Removal{Set: set}, nil); err != nil {
			t.Fatal(err)
		}
		r.sync()
	}
	remove(3)
	if v, err := r.p.LastOf("a"); err != nil || v.Seq != 2 {
		t.Fatalf("last of a is %d, %v", v.Seq, err)
	}
	remove(2, 3)
	r.wantSeqs("1:a=1")
	if _, err := r.p.Get(2); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a deleted record is read: %v", err)
	}
	if err := r.p.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	again := openRig(t, Limits{}, r.store)
	again.wantSeqs("1:a=1")
	if fmt.Sprint(r.gone) != "[3 2]" {
		t.Fatalf("told of removals %v", r.gone)
	}
}

func TestOldRecordsGoByTheirStoredTime(t *testing.T) {
	r := newRig(t, Limits{MaxAge: 100})
	r.publish(10, msg{subject: "a"})
	r.publish(50, msg{subject: "b", data: "y"})
	r.sync()
	next, err := r.p.Expire(115, 100)
	if err != nil || next != 150 {
		t.Fatalf("next %d, %v", next, err)
	}
	r.sync()
	r.wantSeqs("2:b=y")
}

func TestTimeNeverGoesBack(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(100, msg{subject: "a"})
	r.publish(50, msg{subject: "a"})
	r.sync()
	if v, _ := r.p.Get(2); v.Time != 100 {
		t.Fatalf("time %d", v.Time)
	}
}

func TestNothingIsAdmittedAfterTheJournalFailed(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a"})
	r.solo.Failed(errors.New("disk"))
	r.wantTold("discarded")
	r.publish(2, msg{subject: "a"})
	r.sync()
	if _, err := r.p.TrimAll(nil); !errors.Is(err, ErrDead) {
		t.Fatalf("a purge was taken: %v", err)
	}
	r.wantSeqs("")
}

func TestAMissingEntryIsNoticedAtReplay(t *testing.T) {
	r := newRig(t, Limits{})
	for range 3 {
		r.publish(1, msg{subject: "a"})
	}
	r.sync()
	again := newRig(t, Limits{})
	for _, i := range []int{0, 2} {
		e := r.log[i]
		err := again.p.Apply(Entry{Index: e.index, Term: e.term, Kind: record.Kind(e.kind), Data: e.data})
		if missing := i == 2; errors.Is(err, record.ErrDamaged) != missing {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

func TestTheBudgetComesBack(t *testing.T) {
	r := newRig(t, Limits{MaxRecords: 3})
	for i := range 50 {
		r.publish(int64(i), msg{subject: "a", data: "12345"})
	}
	r.sync()
	if want := 3 * record.Size(1, 0, 5); r.budget.used != want {
		t.Fatalf("%d bytes reserved for %d", r.budget.used, want)
	}
	r.budget.limit = r.budget.used
	r.publish(60, msg{subject: "a", data: "12345"})
	r.wantTold(append(r.told[:50:50], fmt.Sprintf("%d/0/0 local", NoSpace))...)
}

// TestAShadowReplicaAppliesTheSame runs random histories: a second partition that
// gets the entries' bytes, at another time, must come to the same state, and so
// must one that a checkpoint was taken of on the way.
func TestAShadowReplicaAppliesTheSame(t *testing.T) {
	for seed := range int64(40) {
		rnd := rand.New(rand.NewSource(seed))
		l := Limits{DedupWindow: 50, Rollups: true}
		if rnd.Intn(2) == 0 {
			l.MaxRecords = int64(5 + rnd.Intn(40))
		}
		if rnd.Intn(2) == 0 {
			l.MaxPerSubject = int64(1 + rnd.Intn(4))
		}
		if rnd.Intn(3) == 0 {
			l.DiscardNew = true
		}
		r := newRig(t, l)
		var saved *memStore
		for step := range 300 {
			randomStep(r, rnd, int64(step))
			if rnd.Intn(100) == 0 {
				r.sync()
				if err := r.p.Checkpoint(); err != nil {
					t.Fatal(err)
				}
				saved = &memStore{frames: append([]*record.Frame(nil), r.store.frames...), first: r.store.first, state: r.store.state}
			}
		}
		r.sync()
		for name, store := range map[string]*memStore{"shadow": {}, "restored": saved} {
			if store == nil {
				continue
			}
			s := openRig(t, l, store)
			for _, e := range r.log {
				apply := Entry{Index: e.index, Term: e.term, Kind: record.Kind(e.kind), Data: e.data}
				if err := s.p.Apply(apply); err != nil {
					t.Fatalf("seed %d, %s: %v", seed, name, err)
				}
			}
			if a, b := r.seqs(), s.seqs(); a != b {
				t.Fatalf("seed %d: the %s replica has %q, the leader %q", seed, name, b, a)
			}
			if a, b := r.p.Status(), s.p.Status(); a != b {
				t.Fatalf("seed %d: the %s replica is at %+v, the leader at %+v", seed, name, b, a)
			}
			if a, b := fmt.Sprint(r.p.Subjects("")), fmt.Sprint(s.p.Subjects("")); a != b {
				t.Fatalf("seed %d: the %s replica's subjects are %s, the leader's %s", seed, name, b, a)
			}
		}
	}
}

// randomStep does one thing to a log.
func randomStep(r *rig, rnd *rand.Rand, now int64) {
	switch n := rnd.Intn(20); {
	case n < 14:
		var msgs []msg
		for range 1 + rnd.Intn(4) {
			m := msg{subject: fmt.Sprintf("s.%d", rnd.Intn(5)), data: fmt.Sprint(rnd.Intn(1000))}
			if rnd.Intn(3) == 0 {
				m.id = fmt.Sprint(rnd.Intn(30))
			}
			if rnd.Intn(30) == 0 {
				m.rollup = record.RollupSubject
			}
			msgs = append(msgs, m)
		}
		r.publish(now, msgs...)
	case n < 16:
		r.sync()
	case n < 18:
		var set seqset.Set
		if last := r.p.Committed(); last > 0 {
			set.Add(1 + uint64(rnd.Int63n(int64(last))))
		}
		r.p.ProposeRemoval(&Removal{Set: set}, nil)
	case n == 18 && rnd.Intn(5) == 0:
		r.p.TrimAll(nil)
	default:
		if st := r.p.Status(); st.Records > 3 {
			r.p.Trim(st.First+2, nil)
		}
	}
}

func TestAdmissionDoesNotAllocateForEachRecord(t *testing.T) {
	r := newRig(t, Limits{})
	r.quiet = true
	const n = 500
	b := &Batch{}
	parts := record.Parts{Subject: []byte("orders.new"), Data: []byte("0123456789")}
	perRun := testing.AllocsPerRun(20, func() {
		b.Reset()
		b.Area.Buf = make([]byte, 0, 64<<10)
		for range n {
			b.Area.Append(&parts)
		}
		r.p.Admit(1, b)
		r.sync()
	})
	if perRun > n/10 {
		t.Errorf("%v allocations for %d records", perRun, n)
	}
}

func FuzzDecodeState(f *testing.F) {
	store := &memStore{}
	r := openRig(&testing.T{}, Limits{DedupWindow: 100}, store)
	r.publish(1, msg{subject: "a", id: "1"}, msg{subject: "b"})
	r.sync()
	_ = r.p.Checkpoint()
	f.Add(store.state)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeState(b); err == nil && s.done.first == 0 {
			t.Fatal("a state without a first sequence")
		}
	})
}

func FuzzDecodeRemoval(f *testing.F) {
	var set seqset.Set
	set.Add(3)
	f.Add(AppendRemoval(nil, &Removal{Below: 2, Set: set}))
	f.Add(AppendRemoval(nil, &Removal{Set: set, Compacted: 7, Compaction: CompactKeys}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRemoval(b); err == nil && r == nil {
			t.Fatal("neither a removal nor an error")
		}
	})
}

func TestALogThatIsBeingDeletedNeedsNoCheckpoint(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "1"})
	r.p.Retire(func() {})
	if err := r.p.Checkpoint(); err != nil {
		t.Errorf("checkpoint: %v", err)
	}
	r.sync()
	failed := newRig(t, Limits{})
	failed.p.Failed(ErrDead)
	if err := failed.p.Checkpoint(); err == nil {
		t.Error("a log that has failed took a checkpoint")
	}
}

func TestFramesOfOneSubjectSaySo(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(1, msg{subject: "a"}, msg{subject: "a"}, msg{subject: "a"})
	r.publish(2, msg{subject: "a"}, msg{subject: "b"}, msg{subject: "a"})
	r.publish(3, msg{subject: "b"})
	r.sync()
	for i, want := range []bool{true, false, true} {
		if got := r.store.frames[i].Alike(); got != want {
			t.Errorf("frame %d is of one subject: %v", i, got)
		}
	}
}
