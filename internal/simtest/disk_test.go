package simtest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/vfs/faultfs"
)

var errCrashed = errors.New("the node has crashed")

// disk drives a node's journal: one batch at a time, whose sync returns when an
// event says so.
type disk struct {
	n *node
	j *journal.Journal

	queue  []appended // not given to the journal yet
	flight []appended // in the batch that is being synced
	busy   bool
	// batches is how many were synced in this life.
	batches int

	// gated lets syncs of batches wait for gate; held says that one does.
	gated, held, dead atomic.Bool
	gate              chan struct{}

	mu sync.Mutex
	// Guarded by mu: what the journal told since it was last asked.
	told []told
}

// appended is an entry on its way to the disk.
type appended struct {
	r *replica
	e multiraft.Entry
}

type told struct {
	group uint64
	upto  uint64
}

const (
	journalFile  = 64 << 10
	mostInABatch = 12 << 10
)

// open opens the journal of a node's file system and replays it.
func (d *disk) open(replay func(journal.Entry) error) error {
	d.gate = make(chan struct{})
	n := d.n
	n.fs.Inject(faultfs.Func("gate", d.inject))
	n.fs.IgnoreSyncs(n.s.weak.lyingDisk)
	j, err := journal.Open(journal.Options{
		FS: n.fs, Dir: "journal", FileSize: journalFile, Identity: uint64(n.id), Buffered: true,
		OnDamage: n.s.onDamage(),
	}, replay)
	synctest.Wait()
	if err != nil {
		return err
	}
	d.j = j
	d.gated.Store(true)
	return nil
}

// onDamage lets recovery go on over damage only where that protection is off.
func (s *sim) onDamage() func(*journal.DamageError) error {
	if s.weak.ignoreDamage {
		return func(*journal.DamageError) error { return nil }
	}
	return nil
}

// inject holds the syncs of batches.
func (d *disk) inject(op faultfs.Op) *faultfs.Fault {
	if op.Kind != faultfs.Sync || !strings.HasSuffix(op.Name, ".journal") || !d.gated.Load() {
		return nil
	}
	d.held.Store(true)
	<-d.gate
	d.held.Store(false)
	if d.dead.Load() {
		return &faultfs.Fault{Err: errCrashed}
	}
	return nil
}

// flush gives the journal what waits, if it is idle: all of it rides but the last,
// which is urgent, so that the journal makes one batch of it.
func (d *disk) flush() {
	if d.busy || len(d.queue) == 0 {
		return
	}
	size, count := 0, 0
	for count < len(d.queue) && size < mostInABatch {
		size += len(d.queue[count].e.Data) + 64
		count++
	}
	if count > 1 && d.n.s.chance(8) {
		count = 1 + d.n.s.rnd.IntN(count-1)
	}
	d.flight = slices.Clone(d.queue[:count])
	d.queue = slices.Delete(d.queue, 0, count)
	for i, a := range d.flight {
		urgency := journal.Riding
		if i == count-1 {
			urgency = journal.Urgent
		}
		if err := d.j.Append(a.r.jg, a.e.Term, a.e.Index, a.e.Kind, urgency, a.e.Data); err != nil {
			d.n.s.fail("node %d: append: %v", d.n.id, err)
			return
		}
	}
	d.busy = true
	synctest.Wait()
	d.await()
}

// await plans the end of the sync at which the journal is held.
func (d *disk) await() {
	s, life := d.n.s, d.n.life
	if !d.held.Load() {
		s.fail("node %d: the journal does not sync", d.n.id)
		return
	}
	took := 500 * time.Microsecond
	if s.faults.slowSync && !s.calm {
		took = s.between(100*time.Microsecond, 10*time.Millisecond)
		if s.chance(60) {
			s.saw("very slow sync")
			took = s.between(100*time.Millisecond, 1500*time.Millisecond)
		}
	}
	s.after(took, func() {
		if d.n.life == life {
			d.synced()
		}
	})
}

// synced lets the sync return, and tells the groups.
func (d *disk) synced() {
	d.gate <- struct{}{}
	synctest.Wait()
	if d.held.Load() {
		d.await()
		return
	}
	for _, a := range d.flight {
		a.r.durable(a.e)
	}
	d.flight, d.busy = nil, false
	d.batches++
	d.tell()
	d.n.work()
}

// tell passes on what the journal told.
func (d *disk) tell() {
	d.mu.Lock()
	list := d.told
	d.told = nil
	d.mu.Unlock()
	for _, t := range list {
		if !d.n.s.weak.ackBeforeSync {
			d.n.replicas[t.group-1].g.Durable(t.upto)
		}
	}
}

// close ends the journal's goroutines. What it had not synced fails.
func (d *disk) close() {
	if d.j == nil {
		return
	}
	d.dead.Store(true)
	d.gated.Store(false)
	if d.held.Load() {
		d.gate <- struct{}{}
	}
	// A journal that was held at its sync says so; nobody asks any more.
	_ = d.j.Close()
	synctest.Wait()
}

// completer hears of one group from the journal's goroutines.
type completer struct {
	d     *disk
	group uint64
}

func (c completer) Durable(upto uint64) {
	c.d.mu.Lock()
	c.d.told = append(c.d.told, told{c.group, upto})
	c.d.mu.Unlock()
}

// Failed comes when the node crashed; a journal that fails otherwise refuses the
// next entry.
func (c completer) Failed(error) {}

// storage is a group's way to the disk.
type storage struct{ r *replica }

func (st storage) Append(term, index uint64, kind uint8, _ bool, parts ...[]byte) {
	r := st.r
	e := multiraft.Entry{Term: term, Index: index, Kind: kind, Data: slices.Concat(parts...)}
	weak := r.n.s.weak
	if weak.forgetVotes && (kind == multiraft.KindHard || kind == multiraft.KindMark) {
		s, err := multiraft.DecodeState(e.Data)
		if err != nil {
			r.n.s.fail("decode state: %v", err)
		}
		s.Vote = 0
		e.Data = multiraft.AppendState(nil, &s)
	}
	r.n.disk.queue = append(r.n.disk.queue, appended{r, e})
	if weak.ackBeforeSync {
		r.g.Durable(index)
	}
}

func (st storage) Release(index uint64) { st.r.jg.Release(index) }
