package partition

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/weirmq/weir/internal/record"
	runs "github.com/weirmq/weir/internal/seglog/subjects"
	"github.com/weirmq/weir/internal/seqset"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// What a batch found in a frozen layer may be on disk only by the time that it is
// decided over.
func TestABatchThatWaitedForTheDiskLooksAgain(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 200)
	r.checkpoint()
	r.publish(2, msg{subject: "fill.000000"})
	r.sync()
	writing, finish, saved := make(chan struct{}), make(chan struct{}), make(chan struct{})
	wait := func() { close(writing); <-finish }
	r.index.onWrite.Store(&wait)
	go func() {
		defer close(saved)
		r.checkpoint()
	}()
	<-writing
	written := func() { close(finish); <-saved }
	r.index.onLookup.Store(&written)
	r.quiet = false
	r.publish(3, msg{subject: "fill.000000", cond: Conditions{HasOfSubj: true, LastOf: 201}}, msg{subject: "fill.000001"})
	r.sync()
	r.wantTold("0/202/201 0/203/2")
	if r.index.onLookup.Load() != nil {
		t.Fatal("nothing was looked up")
	}
}

func TestAnIndexThatGoesBadIsMadeAgain(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 2000)
	r.checkpoint()
	corrupt := func() {
		t.Helper()
		names, err := r.index.fs.List("p")
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, name := range names {
			for off := int64(64); off < 8000; off += 1000 {
				if err := r.index.fs.Corrupt("p/"+name, off, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	quietly := map[string]func(){
		"a batch": func() { r.publish(2, msg{subject: "fill.000001"}) },
		"a removal": func() {
			var set seqset.Set
			set.Add(3)
			if err := r.p.ProposeRemoval(&Removal{Set: set}, nil); err != nil {
				t.Fatal(err)
			}
		},
		"a count":    func() { r.p.CountMatching("fill.*") },
		"the last":   func() { _, _ = r.p.LastOf("fill.000005") },
		"the limits": func() { _ = r.p.ProposeLimits(Limits{MaxPerSubject: 1}, nil, nil) },
	}
	for name, do := range quietly {
		r.index.lost = nil
		corrupt()
		do()
		r.sync()
		if len(r.index.lost) != 1 || !errors.Is(r.index.lost[0], record.ErrDamaged) {
			t.Fatalf("%s: lost %v", name, r.index.lost)
		}
		if err := r.check(rand.New(rand.NewSource(1))); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r = r.restart()
		if len(r.index.lost) > 0 {
			t.Fatalf("%s: after it was mended it is lost again: %v", name, r.index.lost)
		}
	}
}

// Where neither the index nor the records can be read nothing is made up.
func TestNothingIsDecidedOnAnIndexThatCannotBeRead(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 200)
	r = r.restart()
	eio := errors.New("input/output error")
	r.index.fs.Inject(faultfs.FailFrom(faultfs.Open, 1, eio))
	r.store.err = eio
	r.quiet = false
	r.publish(2, msg{subject: "fill.000001"})
	r.wantTold(fmt.Sprintf("%d/0/0 local", Unreadable))
	if _, err := r.p.LastOf("fill.000001"); !errors.Is(err, eio) {
		t.Fatalf("the last: %v", err)
	}
	if _, err := r.p.NextOf("fill.000001", 0); !errors.Is(err, eio) {
		t.Fatalf("the next: %v", err)
	}
	r.index.fs.Heal()
	r.store.err = nil
	r.publish(2, msg{subject: "fill.000001"})
	r.sync()
	r.wantTold("0/201/2")
	if err := r.check(rand.New(rand.NewSource(1))); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeSubjects(f *testing.F) {
	r := newPagedRig(&testing.T{}, Limits{MaxPerSubject: 5})
	for range 3 {
		r.publish(1, msg{subject: "a"}, msg{subject: "b.c"}, msg{subject: "d"}, msg{subject: "d"})
	}
	r.sync()
	r.p.mu.Lock()
	b, _ := r.p.appendAllLocked()
	r.p.mu.Unlock()
	f.Add(b[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := decodeAll(b)
		if err != nil {
			if !errors.Is(err, record.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		for _, e := range entries {
			if e.count == 0 || e.last != 0 && e.last < e.first() {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// Checkpoints of the first version have no subjects: the records are read.
func TestAnOlderCheckpointIsStillRead(t *testing.T) {
	r := newPagedRig(t, Limits{DedupWindow: 100})
	r.publish(1, msg{subject: "a", id: "1"}, msg{subject: "b"})
	r.sync()
	r.checkpoint()
	s, err := decodeState(r.store.state)
	if err != nil {
		t.Fatal(err)
	}
	behind := 4 + len(s.expiry.append(nil)) + 4 + len(s.subjects)
	old := slices.Clone(r.store.state[:len(r.store.state)-behind])
	old[0] = 1
	store := r.store.clone()
	store.state = old
	r = openPagedRig(t, Limits{}, store, newRunIndex(faultfs.New()), nil)
	if err := r.check(rand.New(rand.NewSource(1))); err != nil {
		t.Fatal(err)
	}
	if len(r.index.lost) != 1 || r.p.dedup.len() != 1 {
		t.Fatalf("lost %v, %d ids", r.index.lost, r.p.dedup.len())
	}
}

func TestAClosedIndexIsNotMadeAgain(t *testing.T) {
	r := newPagedRig(t, Limits{})
	r.fill(0, 200)
	r.checkpoint()
	if err := r.p.Drop(); err != nil {
		t.Fatal(err)
	}
	r.quiet = false
	r.publish(2, msg{subject: "fill.000001"})
	r.wantTold(fmt.Sprintf("%d/0/0 local", Dead))
	if n := r.p.CountMatching("fill.*"); n != 0 {
		t.Fatalf("%d records are counted", n)
	}
	if _, err := r.p.LastOf("fill.000001"); !errors.Is(err, runs.ErrClosed) {
		t.Fatal(err)
	}
	if len(r.index.lost) > 0 {
		t.Fatal(r.index.lost)
	}
}
