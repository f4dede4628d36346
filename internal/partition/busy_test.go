package partition

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"github.com/weirmq/weir/internal/memlog"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// memLog is a Store that may be used by several goroutines at once.
type memLog struct{ *memlog.Log }

func (s memLog) Cursor(from uint64) Cursor { return s.Log.Cursor(from) }

// busy is the group and the observer of a partition that several goroutines use.
// What is appended becomes durable on a goroutine of its own.
type busy struct {
	t       *testing.T
	p       *Partition
	solo    *multiraft.Solo
	durable chan uint64
}

func (b *busy) Append(_, index uint64, _ uint8, _ bool, _ ...[]byte) { b.durable <- index }
func (b *busy) Release(uint64)                                       {}
func (b *busy) Settled()                                             {}
func (b *busy) Failed(err error)                                     { b.p.Failed(err) }
func (b *busy) Discard(e multiraft.Entry)                            { b.p.Discard(e.Value) }
func (b *busy) Applied(uint64, bool)                                 {}
func (b *busy) Removed(uint64, []byte, uint64)                       {}
func (b *busy) Discarded(*Batch)                                     {}
func (b *busy) Committed(batch *Batch, _ bool)                       { batch.Owner.(func())() }
func (b *busy) Apply(e multiraft.Entry) {
	err := b.p.Apply(Entry{Index: e.Index, Term: e.Term, Kind: record.Kind(e.Kind), Data: e.Data, Value: e.Value})
	if err != nil {
		b.t.Error(err)
	}
}

// lockedSpace is a Budget without a limit.
type lockedSpace struct{}

func (lockedSpace) Reserve(uint64) bool { return true }
func (lockedSpace) Return(uint64)       {}

func newBusy(t *testing.T) *busy {
	b := &busy{t: t, solo: multiraft.NewSolo(), durable: make(chan uint64, 1000)}
	p, err := New(Options{
		Identity: record.Identity{ID: 20, Incarnation: 1}, Store: memLog{memlog.New()}, Index: newRunIndex(faultfs.New()),
		Proposer: proposer{b.solo}, Ledger: noLedger{}, Budget: lockedSpace{}, Observer: b, Order: allChecks,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.p = p
	b.solo.Bind(b, b)
	return b
}

// serve applies what is durable and takes checkpoints, until the work is done.
func (b *busy) serve(work *sync.WaitGroup) {
	done := make(chan struct{})
	var served sync.WaitGroup
	served.Go(func() {
		for index := range b.durable {
			b.solo.Durable(index)
		}
	})
	served.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := b.p.Checkpoint(); err != nil {
				b.t.Error(err)
			}
			if _, err := b.p.index.(*runIndex).set.Merge(nil); err != nil {
				b.t.Error(err)
			}
		}
	})
	work.Wait()
	close(done)
	close(b.durable)
	served.Wait()
}

// Of the records that expect the same last one of their subject only one may be
// stored, whatever is read from runs or written to them meanwhile.
func TestAnExpectedSequenceIsMetOnce(t *testing.T) {
	b := newBusy(t)
	const names = 300
	type step struct{ subject, last uint64 }
	var mu sync.Mutex
	taken := map[step]uint64{}
	var work sync.WaitGroup
	for g := range 4 {
		work.Go(func() {
			rnd := rand.New(rand.NewSource(int64(g)))
			var lasts [names]uint64 // as far as this goroutine knows
			for range 400 {
				batch := &Batch{}
				var steps []step
				for range 8 {
					i := uint64(rnd.Intn(names))
					s := step{i, lasts[i]}
					steps = append(steps, s)
					batch.Area.Append(&record.Parts{Subject: fmt.Appendf(nil, "s.%d", i), Data: []byte("x")})
					batch.Conds = append(batch.Conds, Conditions{HasOfSubj: true, LastOf: s.last})
				}
				told := make(chan struct{})
				batch.Owner = func() { close(told) }
				b.p.Admit(1, batch)
				<-told
				for j, o := range batch.Outcomes {
					switch o.Refusal {
					case Accepted:
						mu.Lock()
						if other, ok := taken[steps[j]]; ok {
							t.Errorf("records %d and %d of s.%d both follow %d", other, o.Seq, steps[j].subject, steps[j].last)
						}
						taken[steps[j]] = o.Seq
						mu.Unlock()
						lasts[steps[j].subject] = o.Seq
					case WrongLastOfSubject:
						if o.Detail < lasts[steps[j].subject] {
							t.Errorf("the last of s.%d is %d, it was %d", steps[j].subject, o.Detail, lasts[steps[j].subject])
						}
						lasts[steps[j].subject] = o.Detail
					default:
						t.Errorf("outcome %+v", o)
					}
				}
			}
		})
	}
	b.serve(&work)
	if n := b.p.CountMatching("s.*"); n != uint64(len(taken)) || n != b.p.Status().Records {
		t.Errorf("%d records are counted, %d were accepted", n, len(taken))
	}
}

// Counts are exact at every moment beside publishes, removals and checkpoints.
func TestCountsAreOfOneMoment(t *testing.T) {
	b := newBusy(t)
	var work sync.WaitGroup
	work.Go(func() {
		rnd := rand.New(rand.NewSource(1))
		for i := range 600 {
			batch := &Batch{}
			for range 10 {
				batch.Area.Append(&record.Parts{Subject: fmt.Appendf(nil, "s.%d", rnd.Intn(300)), Data: []byte("x")})
			}
			told := make(chan struct{})
			batch.Owner = func() { close(told) }
			b.p.Admit(1, batch)
			<-told
			if i%10 < 3 {
				var set seqset.Set
				for range 10 {
					set.Add(1 + uint64(rnd.Int63n(int64(b.p.Committed()))))
				}
				if err := b.p.ProposeRemoval(&Removal{Set: set}, nil); err != nil {
					t.Error(err)
				}
			}
			if i%200 == 199 {
				if _, err := b.p.TrimAll(nil); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2 {
		work.Go(func() {
			for range 300 {
				before := b.p.Removals()
				st := b.p.Status()
				all := b.p.Subjects("")
				var sum uint64
				for _, s := range all {
					sum += s.Count
				}
				if now := b.p.Status(); now == st && b.p.Removals() == before && (sum != st.Records || len(all) != st.Subjects) {
					t.Errorf("%d records of %d subjects are listed, there are %+v", sum, len(all), st)
				}
				if v, err := b.p.LastOf("s.1"); err != nil && !errors.Is(err, ErrNotFound) || err == nil && string(v.Subject) != "s.1" {
					t.Errorf("last of s.1: %s, %v", v.Subject, err)
				}
			}
		})
	}
	b.serve(&work)
	if n := b.p.CountMatching("s.*"); n != b.p.Status().Records {
		t.Errorf("%d records are counted, there are %d", n, b.p.Status().Records)
	}
}
