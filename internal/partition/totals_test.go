package partition

import (
	"errors"
	"fmt"
	"math/rand"
	"strconv"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// sums is the arithmetic of tests: records say what to add, and are stored with the
// sum.
type sums struct{}

func (sums) Read(v *record.View) (any, error) { return strconv.Atoi(string(v.Data)) }
func (sums) Unreadable() uint32               { return 99 }
func (sums) Add(total any, v *record.View) (*Amended, uint32) {
	n, err := strconv.Atoi(string(v.Data))
	if err != nil {
		return nil, 98
	}
	before, _ := total.(int)
	text := strconv.Itoa(before + n)
	return &Amended{Header: []byte("H"), Data: []byte(text), Total: before + n, Text: text}, 0
}

func totalsRig(t *testing.T, l Limits) *rig {
	l.Totals = true
	r := newRig(t, l)
	r.p.adder = sums{}
	return r
}

func TestTotalsAddUpWhateverIsInFlight(t *testing.T) {
	r := totalsRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "5"}, msg{subject: "b", data: "1"}, msg{subject: "a", data: "-7"})
	r.publish(1, msg{subject: "a", data: "10"})
	r.sync()
	r.publish(1, msg{subject: "a", data: "1"})
	r.sync()
	r.wantTold("0/1/0 0/2/0 0/3/1", "0/4/3", "0/5/4")
	r.wantSeqs("1:a=5 2:b=1 3:a=-2 4:a=8 5:a=9")
}

func TestATotalStartsAnewWithItsSubject(t *testing.T) {
	r := totalsRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "5"}, msg{subject: "a", data: "5"})
	r.sync()
	set := Removal{}
	set.Set.Add(2)
	if err := r.p.ProposeRemoval(&set, nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	r.publish(1, msg{subject: "a", data: "1"}) // to what the first says
	r.sync()
	r.wantSeqs("1:a=5 3:a=6")
	if _, err := r.p.TrimAll(nil); err != nil {
		t.Fatal(err)
	}
	r.sync()
	r.publish(1, msg{subject: "a", data: "1"})
	r.sync()
	r.wantSeqs("4:a=1")
}

func TestWhatIsNoTotalIsNotAddedTo(t *testing.T) {
	r := totalsRig(t, Limits{MaxRecord: 4})
	r.p.limits.Totals = false
	r.publish(1, msg{subject: "a", data: "x"}, msg{subject: "b", data: "999"})
	r.sync()
	r.p.limits.Totals = true
	r.told = nil
	r.publish(1, msg{subject: "a", data: "1"}, msg{subject: "b", data: "y"}, msg{subject: "b", data: "1"}, msg{subject: "c", data: "1"})
	r.sync()
	r.wantTold(fmt.Sprintf("%d/0/99 %d/0/98 %d/0/0 0/3/0", Dialect, Dialect, TooLarge))
}

func TestARefusedWholeBatchAddsNothingToTotals(t *testing.T) {
	r := totalsRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "5"})
	r.whole(1, msg{subject: "a", data: "1"}, msg{subject: "b", data: "1"}, msg{subject: "a", data: "no"})
	r.whole(1, msg{subject: "a", data: "2"}, msg{subject: "a", data: "2"}, msg{subject: "b", data: "2"})
	r.sync()
	r.wantSeqs("1:a=5 2:a=7 3:a=9 4:b=2")
}

func TestATotalThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	r := totalsRig(t, Limits{})
	r.publish(1, msg{subject: "a", data: "5"})
	r.sync()
	clear(r.p.totals)
	failing := &failingStore{Store: r.p.store, err: errors.New("disk")}
	r.p.store = failing
	r.told = nil
	r.publish(1, msg{subject: "a", data: "1"})
	r.wantTold(fmt.Sprintf("%d/0/0 local", Unreadable))
	failing.err = nil
	r.publish(1, msg{subject: "a", data: "1"})
	r.sync()
	r.wantSeqs("1:a=5 2:a=6")
}

// failingStore reads nothing while it has an error.
type failingStore struct {
	Store
	err error
}

func (f *failingStore) Get(seq uint64) (record.View, error) {
	if f.err != nil {
		return record.View{}, f.err
	}
	return f.Store.Get(seq)
}

// TestTotalsAgreeWithAModel adds at random, deletes and forgets, and compares each
// sum with one that is kept beside.
func TestTotalsAgreeWithAModel(t *testing.T) {
	for seed := range int64(20) {
		rng := rand.New(rand.NewSource(seed))
		r := totalsRig(t, Limits{MaxPerSubject: int64(rng.Intn(3))})
		want := map[string]int{}
		var seqs uint64
		for range 300 {
			var msgs []msg
			for range 1 + rng.Intn(4) {
				s, n := fmt.Sprint("s", rng.Intn(6)), rng.Intn(20)-10
				msgs = append(msgs, msg{subject: s, data: fmt.Sprint(n)})
				want[s] += n
				seqs++
			}
			r.publish(1, msgs...)
			switch rng.Intn(5) {
			case 0:
				r.sync()
			case 1:
				r.sync()
				clear(r.p.totals)
			}
		}
		r.sync()
		for s, n := range want {
			v, err := r.p.LastOf(s)
			if err != nil || string(v.Data) != fmt.Sprint(n) {
				t.Fatalf("seed %d: %s says %s, %v, want %d", seed, s, v.Data, err, n)
			}
		}
		if r.p.Committed() != seqs {
			t.Fatalf("seed %d: %d of %d records", seed, r.p.Committed(), seqs)
		}
	}
}
