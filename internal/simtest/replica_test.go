package simtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/multiraft"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// replica is one copy of a partition on a node: the machine of its group.
type replica struct {
	n      *node
	group  uint64
	g      *multiraft.Group
	jg     *journal.Group
	p      *partition.Partition
	store  *store
	book   *book            // with a consumer
	gate   *gate            // with gates
	window multiraft.Window // in which it admits; no term: it does not

	members multiraft.Members

	staged struct {
		state  []byte
		frames []*record.Frame
	}

	// What is durable on this disk, for the checks of what it says.
	hard     multiraft.State
	lastTerm uint64
	last     uint64 // index of the last entry
}

var errShort = errors.New("the snapshot is not whole")

// open makes the partition from its store.
func (r *replica) open() error {
	var err error
	var ledger partition.Ledger = noLedger{}
	if r.n.s.consumers {
		r.book = newBook(r)
		ledger = r.book
	}
	if r.n.s.gates {
		r.gate = &gate{r: r}
		ledger = r.gate
	}
	r.p, err = partition.New(partition.Options{
		Identity: record.Identity{ID: r.group, Incarnation: 1}, Limits: r.n.s.client.limits(r.group),
		Store: r.store, Proposer: proposer{r}, Ledger: ledger, Budget: noBudget{}, Observer: observer{r},
		Order: []partition.Check{partition.CheckLast, partition.CheckDuplicate},
	})
	if err == nil && r.book != nil && r.p.Index() > 0 {
		r.book.compare(r.p.Index())
	}
	return err
}

// reopen throws away what is admitted and not applied.
func (r *replica) reopen() {
	r.captured(func() {
		if err := r.open(); err != nil {
			r.n.s.fail("node %d: reopen partition %d: %v", r.n.id, r.group, err)
		}
	})
}

// captured lets the store have the present state, in memory only, for a while.
func (r *replica) captured(use func()) {
	before := r.store.state
	r.store.capture = true
	if err := r.p.Checkpoint(); err != nil {
		r.n.s.fail("node %d: state of partition %d: %v", r.n.id, r.group, err)
	}
	use()
	r.store.capture, r.store.state = false, before
}

// checkpoint makes the partition durable outside the journal.
func (r *replica) checkpoint() {
	r.n.s.trace("node %d checkpoints group %d at %d", r.n.id, r.group, r.p.Index())
	r.n.s.model.compare(r)
	if err := r.p.Checkpoint(); err != nil {
		r.n.s.trace("node %d: %v", r.n.id, err)
	}
}

// Apply is part of multiraft.Replica, as all that follows.
func (r *replica) Apply(e multiraft.Entry) {
	r.n.s.model.applied(r, e)
	err := r.p.Apply(partition.Entry{Index: e.Index, Term: e.Term, Kind: record.Kind(e.Kind), Data: e.Data, Value: e.Value})
	if err != nil {
		r.n.s.fail("node %d: apply entry %d of group %d: %v", r.n.id, e.Index, r.group, err)
	}
	if r.book != nil {
		r.book.compare(e.Index)
	}
}

func (r *replica) Settled() { r.p.Settled() }

func (r *replica) Discard(e multiraft.Entry) {
	if !r.n.s.weak.staleWindow {
		r.window = multiraft.Window{}
	}
	r.p.Discard(e.Value)
}

func (r *replica) Failed(err error) {
	r.n.s.fail("node %d: group %d failed: %v", r.n.id, r.group, err)
}
func (r *replica) Applied() uint64 { return r.p.Index() }

func (r *replica) Led(w multiraft.Window) {
	r.n.s.trace("node %d leads group %d in term %d", r.n.id, r.group, w.Term)
	r.n.s.saw("leader")
	r.n.s.model.leads(r.group, w.Term, r.n.copyID())
	r.window = w
}

func (r *replica) Deposed(term uint64) {
	r.n.s.trace("node %d leads group %d no more in term %d", r.n.id, r.group, term)
	r.n.s.saw("leader deposed")
	r.window = multiraft.Window{}
	r.reopen()
}

func (r *replica) Changed(index uint64, m multiraft.Members) {
	r.n.s.trace("node %d has members %x of group %d from %d on", r.n.id, m, r.group, index)
	r.members = m
	r.n.s.model.changed(r, index)
}

// Position is the last applied entry and the last sequence.
func (r *replica) Position() []byte {
	b := binary.LittleEndian.AppendUint64(nil, r.p.Index())
	return binary.LittleEndian.AppendUint64(b, r.store.Last())
}

func (r *replica) Snapshot(since []byte) (body io.ReadCloser, err error) {
	if len(since) != 16 {
		return nil, fmt.Errorf("position of %d bytes", len(since))
	}
	after := binary.LittleEndian.Uint64(since[8:])
	frames := r.store.frames
	for len(frames) > 0 && frames[0].Last() <= after {
		frames = frames[1:]
	}
	r.captured(func() { body = r.body(frames) })
	return body, nil
}

// errUnreadable says that a leader's disk does not give what it is to send.
var errUnreadable = errors.New("the disk does not give it back")

// body gives the state and frames as they are sent. The disk may fail anywhere.
func (r *replica) body(frames []*record.Frame) io.ReadCloser {
	s := r.n.s
	if !s.faults.readErrors || s.calm || len(frames) == 0 || s.chance(3) {
		return io.NopCloser(bytes.NewReader(encode(r.store.state, frames)))
	}
	s.saw("snapshot not readable")
	if s.weak.skipUnread {
		return io.NopCloser(bytes.NewReader(encode(r.store.state, slices.Delete(slices.Clone(frames), 0, 1))))
	}
	b := encode(r.store.state, frames)
	return io.NopCloser(io.MultiReader(bytes.NewReader(b[:s.rnd.IntN(len(b))]), failing{}))
}

// failing is a disk that fails.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errUnreadable }

func (r *replica) Stage(index uint64, body io.ReadCloser, done func(error)) {
	b, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err == nil {
		r.staged.state, r.staged.frames, err = decode(b, !r.n.s.weak.trustSnapshots)
	}
	if err == nil {
		err = r.store.replace("/staged", b)
	} else {
		err = errors.Join(errShort, err)
	}
	r.later(func() {
		r.n.s.trace("node %d staged group %d at %d: %v", r.n.id, r.group, index, err)
		done(err)
	})
}

// later does something unless the node crashed.
func (r *replica) later(do func()) {
	life := r.n.life
	r.n.s.after(r.n.s.between(time.Millisecond, 50*time.Millisecond), func() {
		if r.n.life == life {
			do()
			r.n.work()
		}
	})
}

func (r *replica) Install(index uint64, done func(error)) {
	r.later(func() {
		r.n.s.saw("snapshot installed")
		for _, f := range r.staged.frames {
			r.store.Append(f)
		}
		r.store.state = r.staged.state
		err := r.store.Checkpoint(r.staged.state)
		if err == nil {
			err = r.open()
		}
		r.n.s.trace("node %d installed group %d at %d: %v", r.n.id, r.group, index, err)
		if err == nil && r.p.Index() != index && !r.n.s.weak.trustSnapshots {
			r.n.s.fail("node %d: the snapshot of group %d is of entry %d, not %d", r.n.id, r.group, r.p.Index(), index)
		}
		r.n.s.model.installed(r)
		done(err)
	})
}

// durable notes what is on the disk.
func (r *replica) durable(e multiraft.Entry) {
	switch e.Kind {
	case multiraft.KindHard, multiraft.KindMark, multiraft.KindStaged:
		s, err := multiraft.DecodeState(e.Data)
		if err != nil {
			r.n.s.fail("node %d: state that was written: %v", r.n.id, err)
			return
		}
		r.hard = s
		if e.Kind == multiraft.KindMark {
			r.last = max(r.last, s.Index)
		}
	default:
		r.last, r.lastTerm = e.Index, e.Term
	}
}

// proposer gives the partition's entries to the group.
type proposer struct{ r *replica }

func (p proposer) Propose(kind record.Kind, _ bool, value any, parts ...[]byte) {
	p.r.g.Propose(p.r.window, uint8(kind), value, parts...)
}
func (p proposer) Term() uint64 { return p.r.window.Term }
func (p proposer) Release(index uint64) {
	if !p.r.store.capture {
		p.r.g.Release(index)
	}
}

// observer hears what became of batches.
type observer struct{ r *replica }

func (o observer) Committed(b *partition.Batch, _ bool) { o.r.n.s.client.answered(o.r, b) }
func (o observer) Discarded(b *partition.Batch)         { o.r.n.s.client.unanswered(b) }
func (o observer) Settled()                             {}
func (o observer) Applied(uint64, bool)                 {}
func (o observer) Removed(uint64, []byte, uint64)       {}

type noLedger struct{}

func (noLedger) Apply(record.Kind, []byte, any) {}
func (noLedger) Snapshot(b []byte) []byte       { return b }
func (noLedger) Restore([]byte) error           { return nil }

type noBudget struct{}

func (noBudget) Reserve(uint64) bool { return true }
func (noBudget) Return(uint64)       {}
