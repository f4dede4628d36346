package partition

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

const second = int64(1e9)

// expire calls Expire until nothing is due, and gives when to come again.
func (r *rig) expire(now int64, limit int) int64 {
	r.t.Helper()
	for range 1000 {
		next, err := r.p.Expire(now, limit)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(r.log) == r.durable {
			return next
		}
		r.sync()
	}
	r.t.Fatal("it removes for ever")
	return 0
}

func TestRecordsGoWhenTheirTimeToLiveEnds(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(10*second, msg{subject: "a", data: "1", ttl: 2 * second}, msg{subject: "b", data: "2"}, msg{subject: "c", data: "3", ttl: record.Forever})
	r.publish(10*second+1, msg{subject: "d", data: "4", ttl: 2 * second})
	if n := r.p.NextExpiry(); n != 0 {
		t.Errorf("what is not committed ends at %d", n)
	}
	r.sync()
	if n := r.p.NextExpiry(); n != 12*second {
		t.Errorf("the first ends at %d", n)
	}
	if next := r.expire(12*second-1, 10); next != 12*second {
		t.Errorf("come again at %d", next)
	}
	r.wantSeqs("1:a=1 2:b=2 3:c=3 4:d=4")
	// To the tick: the later one ends within the one that begins now.
	if next := r.expire(12*second, 10); next != 12*second+ticks {
		t.Errorf("come again at %d", next)
	}
	r.wantSeqs("2:b=2 3:c=3 4:d=4")
	if next := r.expire(20*second, 10); next != 0 {
		t.Errorf("come again at %d", next)
	}
	r.wantSeqs("2:b=2 3:c=3")
}

// TestReplayedRecordsAgeFromTheTimeTheyWereStored: a replay is no new life, for an age
// limit and for times to live.
func TestReplayedRecordsAgeFromTheTimeTheyWereStored(t *testing.T) {
	r := newRig(t, Limits{MaxAge: 10 * second})
	r.publish(100*second, msg{subject: "a", data: "1"}, msg{subject: "b", data: "2", ttl: 2 * second})
	r.publish(105*second, msg{subject: "c", data: "3"})
	r.sync()
	again := newRig(t, Limits{MaxAge: 10 * second})
	for _, e := range r.log {
		if err := again.p.Apply(Entry{Index: e.index, Term: e.term, Kind: record.Kind(e.kind), Data: e.data}); err != nil {
			t.Fatal(err)
		}
	}
	for seq, want := range map[uint64]int64{1: 100 * second, 2: 100 * second, 3: 105 * second} {
		if v, err := again.p.Get(seq); err != nil || v.Time != want {
			t.Errorf("record %d is of %d, %v", seq, v.Time, err)
		}
	}
	if n := again.p.NextExpiry(); n != 102*second {
		t.Errorf("the first ends at %d", n)
	}
	if next, err := again.p.Expire(102*second-1, 10); err != nil || next != 102*second {
		t.Errorf("come again at %d, %v", next, err)
	}
}

func TestNoAgeEndsWhatLivesForEver(t *testing.T) {
	r := newRig(t, Limits{MaxAge: 5 * second})
	for i := range 6 {
		m := msg{subject: "s", data: fmt.Sprint(i + 1)}
		if i%2 == 0 {
			m.ttl = record.Forever
		}
		r.publish(second*int64(i+1), m)
	}
	r.sync()
	if next := r.expire(9*second, 2); next != 10*second {
		t.Errorf("come again at %d", next)
	}
	r.wantSeqs("1:s=1 3:s=3 5:s=5 6:s=6")
	if next := r.expire(11*second, 2); next != 0 {
		t.Errorf("come again at %d", next)
	}
	r.wantSeqs("1:s=1 3:s=3 5:s=5")
	// Once the last of them is gone it is by age alone again.
	if _, err := r.p.Trim(6, nil); err != nil {
		t.Fatal(err)
	}
	r.publish(20*second, msg{subject: "s", data: "7"})
	r.sync()
	r.expire(25*second, 2)
	r.wantSeqs("")
}

func TestOldGivesWhatExpireWouldRemove(t *testing.T) {
	r := newRig(t, Limits{MaxAge: 10 * second})
	r.publish(second, msg{subject: "a", data: "1"}, msg{subject: "b", data: "2", ttl: second}, msg{subject: "c", data: "3"})
	r.publish(5*second, msg{subject: "d", data: "4", ttl: second}, msg{subject: "e", data: "5"})
	r.sync()
	for now, want := range map[int64][]uint64{2 * second: {2}, 6 * second: {2, 4}, 11 * second: {1, 2, 3, 4}, 15 * second: {1, 2, 3, 4, 5}} {
		if got, _, err := r.p.Old(now, 100); err != nil || !slices.Equal(got, want) {
			t.Errorf("at %d: %v, %v, want %v", now/second, got, err, want)
		}
	}
	if got, _, _ := r.p.Old(6*second, 1); !slices.Equal(got, []uint64{2}) {
		t.Errorf("at most one: %v", got)
	}
}

func TestFarTimesToLiveDoNotOverflow(t *testing.T) {
	r := newRig(t, Limits{})
	r.publish(second, msg{subject: "a", data: "1", ttl: math.MaxInt64})
	r.sync()
	if next := r.expire(1000*second, 10); next <= 1000*second {
		t.Errorf("come again at %d", next)
	}
	r.wantSeqs("1:a=1")
}

// TestTimesToLiveEqualTheModel removes in every way there is, restarts from a
// checkpoint now and then, and compares what is due with a list.
func TestTimesToLiveEqualTheModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		limits := Limits{MaxPerSubject: 3}
		r := newRig(t, limits)
		r.quiet = true
		now := 100 * second
		for range 400 {
			now += rng.Int64N(second)
			switch n := rng.IntN(12); {
			case n < 7:
				ttls := []int64{0, record.Forever, second, 5 * second, rng.Int64N(20*second) + second}
				r.publish(now, msg{subject: fmt.Sprint("s.", rng.IntN(8)), data: "x", ttl: ttls[rng.IntN(len(ttls))]})
			case n == 7:
				seq := r.p.First() + rng.Uint64N(8)
				set := Removal{}
				set.Set.Add(seq)
				if err := r.p.ProposeRemoval(&set, nil); err != nil {
					t.Fatal(err)
				}
			case n == 8:
				r.publish(now, msg{subject: fmt.Sprint("s.", rng.IntN(8)), data: "r", rollup: record.RollupSubject, cond: Conditions{Rollup: record.RollupSubject}})
			case n == 9 && rng.IntN(10) == 0:
				if _, err := r.p.TrimAll(nil); err != nil {
					t.Fatal(err)
				}
			case n == 10:
				r.sync()
				r.expire(now, 1+rng.IntN(5))
			case n == 11:
				r.sync()
				if err := r.p.Checkpoint(); err != nil {
					t.Fatal(err)
				}
				state, err := decodeState(r.store.State())
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(state.expiry.append(nil), r.p.expiry.append(nil)) {
					t.Fatalf("seed %d: the state differs", seed)
				}
			}
			r.sync()
			r.checkExpiry(seed)
		}
	}
}

// checkExpiry compares the index with the records.
func (r *rig) checkExpiry(seed uint64) {
	r.t.Helper()
	want := map[int64][]uint64{}
	forever := uint64(0)
	rd := r.p.Reader(0)
	defer rd.Close()
	for {
		v, err := rd.Next()
		if err != nil {
			break
		}
		if v.TTL == record.Forever {
			forever++
		}
		if sec, ok := tickOf(&v); ok {
			want[sec] = append(want[sec], v.Seq)
		}
	}
	x := &r.p.expiry
	if len(x.due) != len(want) || x.forever != forever {
		r.t.Fatalf("seed %d: %d ticks, want %d; %d for ever, want %d", seed, len(x.due), len(want), x.forever, forever)
	}
	for sec, seqs := range want {
		if x.due[sec] == nil || !slices.Equal(slices.Collect(x.due[sec].All()), seqs) {
			r.t.Fatalf("seed %d: tick %d: want %v", seed, sec, seqs)
		}
	}
}

func FuzzDecodeExpiry(f *testing.F) {
	var x expiry
	for i := range uint64(20) {
		x.add(&record.View{Seq: i + 1, Time: int64(i) * second, TTL: second * int64(1+i%4)})
	}
	x.add(&record.View{Seq: 99, TTL: record.Forever})
	f.Add(x.append(nil))
	f.Add((&expiry{}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := decodeExpiry(b)
		if err != nil {
			return
		}
		again, err := decodeExpiry(x.append(nil))
		if err != nil || !bytes.Equal(again.append(nil), x.append(nil)) {
			t.Errorf("written and read again it differs: %v", err)
		}
	})
}
