package meta

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/record"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a catalog whose entries become durable when the test says so; it notes
// what the watcher is told.
type rig struct {
	t    *testing.T
	c    *Catalog
	log  []entry
	done int
	told []string
}

type entry struct {
	kind  record.Kind
	data  []byte
	value any
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, c: NewCatalog()}
	r.c.Start(r, r)
	return r
}

func (r *rig) Propose(kind record.Kind, urgent bool, value any, parts ...[]byte) {
	if !urgent {
		r.t.Error("a change that somebody waits for does not start a sync")
	}
	r.log = append(r.log, entry{kind, parts[0], value})
}

func (r *rig) Created(s Spec, value any) {
	r.told = append(r.told, fmt.Sprintf("+%s/%s %v", s.Account, s.Name, value))
}
func (r *rig) Dropped(s Spec) { r.told = append(r.told, fmt.Sprintf("-%s/%s", s.Account, s.Name)) }
func (r *rig) Reconfigured(s Spec) {
	r.told = append(r.told, fmt.Sprintf("~%s/%s %s", s.Account, s.Name, s.Config))
}

// sync makes all entries durable.
func (r *rig) sync() {
	for ; r.done < len(r.log); r.done++ {
		e := r.log[r.done]
		if err := r.c.Apply(uint64(r.done+1), e.kind, e.data, e.value); err != nil {
			r.t.Error(err)
		}
	}
}

// start begins a change and waits until it is proposed.
func (r *rig) start(f func(ctx context.Context) error) <-chan error {
	r.t.Helper()
	n, out := len(r.log), make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	proposed := make(chan struct{})
	r.c.proposer = proposerFunc(func(kind record.Kind, urgent bool, value any, parts ...[]byte) {
		r.Propose(kind, urgent, value, parts...)
		close(proposed)
	})
	go func() {
		defer cancel()
		out <- f(ctx)
	}()
	select {
	case <-proposed:
	case <-ctx.Done():
	}
	if len(r.log) != n+1 {
		r.t.Fatalf("%d entries were proposed", len(r.log)-n)
	}
	return out
}

type proposerFunc func(kind record.Kind, urgent bool, value any, parts ...[]byte)

func (f proposerFunc) Propose(kind record.Kind, urgent bool, value any, parts ...[]byte) {
	f(kind, urgent, value, parts...)
}

func (r *rig) spec(name string) Spec {
	return Spec{ID: r.c.NextID(), Incarnation: 1, Account: "A", Name: name, Config: []byte(`{}`)}
}

func (r *rig) create(s Spec, value any) {
	r.t.Helper()
	out := r.start(func(ctx context.Context) error { return r.c.Create(ctx, s, value) })
	r.sync()
	if err := <-out; err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) want(told ...string) {
	r.t.Helper()
	if a, b := strings.Join(r.told, ", "), strings.Join(told, ", "); a != b {
		r.t.Fatalf("the watcher was told %q, want %q", a, b)
	}
	r.told = nil
}

func TestAStreamExistsOnceItsEntryIsDurable(t *testing.T) {
	r := newRig(t)
	s := r.spec("x")
	out := r.start(func(ctx context.Context) error { return r.c.Create(ctx, s, "value") })
	r.want()
	if err := r.c.Create(context.Background(), r.spec("x"), nil); !errors.Is(err, ErrExists) {
		t.Fatalf("a second creation while the first is under way: %v", err)
	}
	r.sync()
	if err := <-out; err != nil {
		t.Fatal(err)
	}
	r.want("+A/x value")
	if err := r.c.Create(context.Background(), r.spec("x"), nil); !errors.Is(err, ErrExists) {
		t.Fatalf("a second creation: %v", err)
	}
	if got := r.c.Streams(); len(got) != 1 || got[0].ID != s.ID {
		t.Fatalf("streams %v", got)
	}
}

func TestADroppedNameMayBeUsedAgainUnderAnotherIdentity(t *testing.T) {
	r := newRig(t)
	first := r.spec("x")
	r.create(first, 1)
	out := r.start(func(ctx context.Context) error { return r.c.Drop(ctx, first.ID) })
	r.sync()
	if err := <-out; err != nil {
		t.Fatal(err)
	}
	second := r.spec("x")
	if second.ID == first.ID {
		t.Fatal("an identity was given twice")
	}
	r.create(second, 2)
	r.want("+A/x 1", "-A/x", "+A/x 2")
}

func TestDroppingTwiceTellsOnce(t *testing.T) {
	r := newRig(t)
	s := r.spec("x")
	r.create(s, 1)
	for range 2 {
		out := r.start(func(ctx context.Context) error { return r.c.Drop(ctx, s.ID) })
		r.sync()
		if err := <-out; err != nil {
			t.Fatal(err)
		}
	}
	r.want("+A/x 1", "-A/x")
}

func TestASnapshotAndTheEntriesAfterItGiveTheCatalog(t *testing.T) {
	r := newRig(t)
	a, b := r.spec("a"), r.spec("b")
	r.create(a, 1)
	r.create(b, 2)
	index, snap := r.c.Snapshot()
	if index != 2 {
		t.Fatalf("the snapshot is of index %d", index)
	}
	out := r.start(func(ctx context.Context) error { return r.c.Drop(ctx, a.ID) })
	r.sync()
	if err := <-out; err != nil {
		t.Fatal(err)
	}
	again := newRig(t)
	if err := again.c.Restore(snap); err != nil {
		t.Fatal(err)
	}
	again.want("+A/a <nil>", "+A/b <nil>")
	for i, e := range r.log { // the journal may still have what the snapshot covers
		if err := again.c.Apply(uint64(i+1), e.kind, e.data, nil); err != nil {
			t.Fatal(err)
		}
	}
	again.want("-A/a")
	if id := again.c.NextID(); id <= b.ID {
		t.Fatalf("identity %d was given before", id)
	}
}

func TestAReconfiguredStreamKeepsItsLastConfiguration(t *testing.T) {
	r := newRig(t)
	a := r.spec("a")
	r.create(a, 1)
	_, before := r.c.Snapshot()
	out := r.start(func(ctx context.Context) error { return r.c.Reconfigure(ctx, a.ID, []byte(`{"new":1}`)) })
	r.sync()
	if err := <-out; err != nil {
		t.Fatal(err)
	}
	r.want("+A/a 1", "~A/a {\"new\":1}")
	again := newRig(t)
	if err := again.c.Restore(before); err != nil {
		t.Fatal(err)
	}
	for i, e := range r.log {
		if err := again.c.Apply(uint64(i+1), e.kind, e.data, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*Catalog{r.c, again.c} {
		if got := c.Streams(); string(got[0].Config) != `{"new":1}` {
			t.Errorf("configuration %s", got[0].Config)
		}
	}
}

func TestOnlyIdentitiesThatWereGivenAreOfDroppedStreams(t *testing.T) {
	r := newRig(t)
	a, b := r.spec("a"), r.spec("b")
	r.create(a, 1)
	r.create(b, 2)
	out := r.start(func(ctx context.Context) error { return r.c.Drop(ctx, a.ID) })
	r.sync()
	if err := <-out; err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uint64]bool{a.ID: true, b.ID: false, b.ID + 1: false, FirstID - 1: false} {
		if r.c.Dropped(id) != want {
			t.Errorf("identity %d: dropped is %v", id, !want)
		}
	}
}

func TestAFailedLogTellsEverybodyWhoWaits(t *testing.T) {
	r := newRig(t)
	out := r.start(func(ctx context.Context) error { return r.c.Create(ctx, r.spec("x"), nil) })
	r.c.Failed(errors.New("disk"))
	if err := <-out; !errors.Is(err, ErrDead) {
		t.Fatalf("who waited is told %v", err)
	}
	if err := r.c.Create(context.Background(), r.spec("y"), nil); !errors.Is(err, ErrDead) {
		t.Fatalf("a creation afterwards: %v", err)
	}
	if err := r.c.Drop(context.Background(), 20); !errors.Is(err, ErrDead) {
		t.Fatalf("a deletion afterwards: %v", err)
	}
	r.want()
}

func TestWhoStopsWaitingIsTold(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(context.Background())
	out := r.start(func(context.Context) error { return r.c.Create(ctx, r.spec("x"), nil) })
	cancel()
	if err := <-out; !errors.Is(err, context.Canceled) {
		t.Fatalf("told %v", err)
	}
	r.sync() // it takes effect all the same
	r.want("+A/x <nil>")
}

func TestDamagedEntriesAreRefused(t *testing.T) {
	r := newRig(t)
	for i, e := range []entry{
		{kind: record.KindStreamCreate, data: []byte("{")},
		{kind: record.KindStreamCreate, data: []byte(`{"id":3,"name":"x"}`)},
		{kind: record.KindStreamDrop, data: []byte(`"x"`)},
		{kind: record.KindStreamConfig, data: []byte(`{"id":16}`)},
		{kind: record.KindFrame},
	} {
		if err := r.c.Apply(uint64(i+1), e.kind, e.data, nil); !errors.Is(err, record.ErrDamaged) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	r.want()
	if err := r.c.Restore([]byte(`{"version":99}`)); err == nil {
		t.Error("a snapshot of an unknown version was read")
	}
}

func FuzzRestore(f *testing.F) {
	c := NewCatalog()
	c.addLocked(Spec{ID: 16, Account: "A", Name: "x", Config: []byte(`{"a":1}`)})
	_, snap := c.Snapshot()
	f.Add(snap)
	f.Add([]byte(`{"version":1,"index":7,"next":3,"streams":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRig(t)
		if r.c.Restore(b) != nil {
			return
		}
		index, snap := r.c.Snapshot()
		again := newRig(t)
		if err := again.c.Restore(snap); err != nil {
			t.Fatalf("what was restored does not come back: %v", err)
		}
		if i, s := again.c.Snapshot(); i != index || string(s) != string(snap) {
			t.Fatalf("%s came back as %s", snap, s)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add(uint8(record.KindStreamCreate), encode(&Spec{ID: 16, Account: "A", Name: "x"}))
	f.Add(uint8(record.KindStreamDrop), encode(uint64(16)))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		r := newRig(t)
		_ = r.c.Apply(1, record.Kind(kind), b, nil)
		for _, s := range r.c.Streams() {
			if s.ID < FirstID || s.Name == "" {
				t.Fatalf("stream %+v", s)
			}
		}
	})
}
