package partition

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/memlog"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

func (r *rig) compact(now int64) uint64 {
	r.t.Helper()
	r.sync()
	r.instant = true
	defer func() { r.instant = false }()
	n, err := r.p.Compact(context.Background(), now, func(int64) {})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestCompactionKeepsTheNewestOfEachSubject(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactSubjects})
	r.quiet = true
	for i := range 9 {
		r.publish(int64(i), msg{subject: fmt.Sprint("s.", i%3), data: fmt.Sprint(i)})
	}
	if n := r.compact(100); n != 6 {
		t.Errorf("%d records went", n)
	}
	r.wantSeqs("7:s.0=6 8:s.1=7 9:s.2=8")
	if n := r.compact(100); n != 0 {
		t.Errorf("then %d", n)
	}
}

func TestCompactionByKeyLeavesRecordsWithoutAKey(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactKeys})
	r.quiet = true
	r.publish(1, msg{subject: "a", key: "k", data: "1"}, msg{subject: "a", data: "2"}, msg{subject: "b", key: "k", data: "3"},
		msg{subject: "a", data: "4"}, msg{subject: "a", key: "l", data: ""}, msg{subject: "a", key: "k", data: ""})
	r.compact(100)
	r.wantSeqs("2:a=2 4:a=4 5:a= 6:a=")
}

func TestYoungRecordsAreNotCompactedNorEndOthers(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactSubjects, CompactAge: 50, CompactDirty: 1})
	r.quiet = true
	for now := int64(10); now <= 100; now += 10 {
		r.publish(now, msg{subject: "a", data: fmt.Sprint(now)})
	}
	r.compact(100)
	r.wantSeqs("5:a=50 6:a=60 7:a=70 8:a=80 9:a=90 10:a=100")
	r.compact(120)
	r.wantSeqs("7:a=70 8:a=80 9:a=90 10:a=100")
	r.compact(1000)
	r.wantSeqs("10:a=100")
}

// A compaction waits until it is worth it, and says in the log what it has seen.
func TestCompactionWaitsForEnoughThatIsNew(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactKeys, CompactDirty: 30})
	r.quiet = true
	put := func(n int) {
		for i := range n {
			r.publish(1, msg{subject: "s", key: fmt.Sprint(i), data: "x"})
		}
	}
	put(100)
	r.compact(1)
	entries := len(r.log)
	put(40)
	if n := r.compact(1); n != 0 || len(r.log) != entries+40 {
		t.Fatalf("%d went of a few new ones", n)
	}
	put(5)
	if n := r.compact(1); n != 45 {
		t.Fatalf("%d went", n)
	}
	if n := r.p.Status().Records; n != 100 {
		t.Fatalf("%d are left", n)
	}
	// What it has seen outlives a restart.
	if err := r.p.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	again := openRig(t, Limits{}, r.store)
	if again.p.compacted != r.p.compacted || again.p.compacted == 0 {
		t.Errorf("compacted up to %d; after a restart %d", r.p.compacted, again.p.compacted)
	}
	if n := again.compact(1); n != 0 {
		t.Errorf("then %d more", n)
	}
}

func TestAnotherKindOfCompactionBeginsAnew(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactKeys})
	r.quiet = true
	for range 4 {
		r.publish(1, msg{subject: "a", data: "1"})
	}
	r.compact(1)
	r.wantSeqs("1:a=1 2:a=1 3:a=1 4:a=1")
	if err := r.p.ProposeLimits(Limits{Compact: CompactSubjects}, nil, nil); err != nil {
		t.Fatal(err)
	}
	r.compact(1)
	r.wantSeqs("4:a=1")
	if err := r.p.ProposeLimits(Limits{}, nil, nil); err != nil {
		t.Fatal(err)
	}
	r.publish(1, msg{subject: "a", data: "2"})
	if n := r.compact(1); n != 0 {
		t.Errorf("%d went where nothing is to be compacted", n)
	}
}

func TestSealedAndFailedLogsAreNotCompacted(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactSubjects})
	r.quiet = true
	r.publish(1, msg{subject: "a"}, msg{subject: "a"})
	r.sync()
	if err := r.p.ProposeLimits(Limits{Compact: CompactSubjects, Sealed: true}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := r.compact(1); n != 0 {
		t.Errorf("%d records of a sealed log went", n)
	}
	r.p.Failed(errors.New("the disk is gone"))
	if n := r.compact(1); n != 0 {
		t.Errorf("%d records of a failed log went", n)
	}
}

// A record that cannot be read may be of any subject: it stays, and hides no other.
func TestDamageIsNotCompactedAway(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactSubjects})
	r.quiet = true
	for i := range 6 {
		r.publish(int64(i), msg{subject: "a", data: fmt.Sprint(i)})
	}
	r.sync()
	r.p.store = &damagedStore{r.store, map[uint64]bool{3: true, 6: true}}
	r.compact(1)
	if got := r.p.Deleted(10); !slices.Equal(got, []uint64{4}) || r.p.First() != 3 {
		t.Errorf("deleted from %d on: %v", r.p.First(), got)
	}
}

// A removal that somebody asks for takes a damaged record out, too, and nothing else.
func TestDamagedRecordsCanBeRemoved(t *testing.T) {
	r := newRig(t, Limits{})
	r.quiet = true
	for i := range 200 {
		r.publish(int64(i), msg{subject: "a", data: fmt.Sprint(i), ttl: 1 << 40})
	}
	r.sync()
	r.p.store = &damagedStore{r.store, map[uint64]bool{1: true, 50: true, 51: true, 120: true, 200: true}}
	var set seqset.Set
	for _, seq := range []uint64{1, 50, 53, 120, 121, 200} {
		set.Add(seq)
	}
	if err := r.p.ProposeRemoval(&Removal{Set: set}, nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	if st := r.p.Status(); st.Records != 194 || st.First != 2 || st.Deleted != 5 {
		t.Errorf("status %+v", st)
	}
	var due uint64
	for _, s := range r.p.expiry.due {
		due += s.Count()
	}
	if due != 194 {
		t.Errorf("%d records have a time to live", due)
	}
}

// Of more subjects than a compaction remembers the log is read several times.
func TestCompactionOfManyKeysGoesOnWhereItEnded(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactKeys})
	r.quiet = true
	const keys = 2500
	r.p.compactKeys = 1000
	for i := 0; i < keys+100; i += 100 {
		var msgs []msg
		for k := i; k < i+100; k++ {
			msgs = append(msgs, msg{subject: "s", key: fmt.Sprint(k % keys)})
		}
		r.publish(1, msgs...)
	}
	if n := r.compact(1); n != 100 {
		t.Errorf("%d records went", n)
	}
	if st := r.p.Status(); st.Records != keys || st.First != 101 || r.p.compacted != keys+100 {
		t.Errorf("%+v, compacted up to %d", st, r.p.compacted)
	}
}

func TestACompactionThatIsEndedProposesNothingMore(t *testing.T) {
	r := newRig(t, Limits{Compact: CompactSubjects})
	r.quiet = true
	r.publish(1, msg{subject: "a"}, msg{subject: "a"})
	r.sync()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	before := len(r.log)
	if _, err := r.p.Compact(ctx, 1, func(int64) {}); !errors.Is(err, context.Canceled) || len(r.log) != before {
		t.Errorf("%v, %d entries", err, len(r.log)-before)
	}
}

// A replica that gets the entries, and one that a checkpoint and the entries behind it
// bring back, have what the one has that decided, whatever was compacted when.
func TestCompactionsAreDecidedOnce(t *testing.T) {
	for seed := range int64(40) {
		rnd := rand.New(rand.NewSource(seed))
		l := Limits{Compact: Compaction(1 + rnd.Intn(2)), CompactDirty: int64(1 + rnd.Intn(60)), CompactAge: int64(rnd.Intn(50))}
		r := newPagedRig(t, l)
		now := int64(0)
		for range 300 {
			now += int64(rnd.Intn(20))
			switch rnd.Intn(12) {
			case 0:
				r.compact(now)
			case 1:
				r.sync()
				r.checkpoint()
			case 2:
				if rnd.Intn(3) == 0 {
					r = r.crash(faultfs.DropUnsynced, uint64(seed))
				}
			default:
				pagedStep(r, rnd, now)
				r.publish(now, msg{subject: "k", key: fmt.Sprint(rnd.Intn(5))})
			}
		}
		r.sync()
		if err := r.check(rnd); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		s := openRig(t, l, &memStore{})
		for _, e := range r.log {
			if err := s.p.Apply(Entry{Index: e.index, Term: e.term, Kind: record.Kind(e.kind), Data: e.data}); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if a, b := r.seqs(), s.seqs(); a != b || r.p.compacted != s.p.compacted {
			t.Fatalf("seed %d: the replica has %q up to %d, the leader %q up to %d", seed, b, s.p.compacted, a, r.p.compacted)
		}
		r.compact(now + 1000)
		newest := map[string]uint64{}
		rd := r.p.Reader(0)
		for v, err := rd.Next(); err == nil; v, err = rd.Next() {
			if key := string(l.Compact.of(&v)); key != "" {
				if newest[key] > 0 && v.Seq <= r.p.compacted {
					t.Fatalf("seed %d: records %d and %d of %q up to %d", seed, newest[key], v.Seq, key, r.p.compacted)
				}
				newest[key] = v.Seq
			}
		}
		rd.Close()
	}
}

// memLogRig is a rig whose store gives space back.
func memLogRig(t *testing.T, l Limits) (*rig, *memlog.Log) {
	log := memlog.New()
	r := &rig{t: t, budget: &space{}, solo: multiraft.NewSolo(), quiet: true}
	p, err := New(Options{
		Identity: record.Identity{ID: 20, Incarnation: 1}, Limits: l, Store: memLog{log}, Proposer: proposer{r.solo},
		Ledger: noLedger{}, Budget: r.budget, Observer: r, Order: allChecks,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.p = p
	r.solo.Bind(r, r)
	return r, log
}

func TestTheSpaceOfRemovedRecordsIsGivenBack(t *testing.T) {
	r, log := memLogRig(t, Limits{MaxPerSubject: 1})
	for i := range 1000 {
		r.publish(int64(i), msg{subject: fmt.Sprint("s.", i%10), data: "0123456789"}, msg{subject: fmt.Sprint("once.", i/100)})
	}
	r.sync()
	before, had := log.Bytes(), r.seqs()
	cut := r.p.Cut()
	r.p.ProposeRemoval(&Removal{Below: 1900}, nil)
	r.sync()
	if err := r.p.Reclaim(context.Background(), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	// A cut that is being read keeps what was alive when it was made, and no more.
	if got := log.Bytes(); got > before/20 {
		t.Errorf("%d bytes of %d are left for a cut", got, before)
	}
	n := 0
	for {
		v, err := cut.Next()
		if err != nil {
			break
		}
		n++
		if v.Seq == 0 {
			t.Fatal("a record without a sequence")
		}
	}
	if n != int(cut.Records) || n != 20 {
		t.Errorf("the cut gave %d records of %d; there were %s", n, cut.Records, had)
	}
	cut.Close()
	want := r.seqs()
	if err := r.p.Reclaim(context.Background(), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	r.wantSeqs(want)
}

// The sequences of subjects are found in the index where there are few, else by
// reading from the first to the last only.
func TestSequencesOfSubjectsAreFoundByTheIndex(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 300)
	r.publish(1, msg{subject: "a.one"}, msg{subject: "b"}, msg{subject: "a.two"}, msg{subject: "a.two"})
	for range 5 {
		r.publish(1, msg{subject: "a.many"}, msg{subject: "c"})
	}
	r.fill(300, 300)
	want := []uint64{301, 303, 304, 305, 307, 309, 311, 313}
	check := func(pattern string, below uint64, most int, want ...uint64) {
		t.Helper()
		r.store.reads = 0
		got, err := r.p.SequencesOf(pattern, below)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s below %d: %v, %v; want %v", pattern, below, got, err, want)
		}
		if r.store.reads > most {
			t.Errorf("%s below %d: %d records were read", pattern, below, r.store.reads)
		}
	}
	for range 2 {
		check("a.*", 0, 12, want...)
		check("a.*", 305, 12, want[:3]...)
		check("a.one", 0, 0, want[0])
		check("a.two", 0, 0, want[1], want[2])
		check("none.>", 0, 0)
		check("fill.000001", 0, 0, 2)
		r = r.restart()
	}
	var set seqset.Set
	set.AddRange(303, 307)
	r.p.ProposeRemoval(&Removal{Set: set}, nil)
	r.sync()
	check("a.*", 0, 12, 301, 309, 311, 313)
	r.publish(1, msg{subject: "a.one"}) // not yet committed
	check("a.one", 0, 0, 301)
}
