package partition

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seqset"
)

// Errors that readers and proposers get.
var (
	ErrNotFound = record.ErrNotFound
	ErrDead     = errors.New("the log has failed and takes nothing until a restart")
)

// Store keeps the committed frames of the partition (seglog, memlog). Bytes of a
// record that it returns stay valid as long as they are referenced, those of a
// cursor until its next Next.
type Store interface {
	Append(f *record.Frame)
	Last() uint64
	Get(seq uint64) (record.View, error)
	Cursor(from uint64) Cursor
	SeekTime(t int64) (uint64, error)
	Trim(first uint64)
	Checkpoint(state []byte) error
	State() []byte
	Drop() error
	Close() error
}

// Cursor reads a store forward. Next returns io.EOF at the end and may be called
// again when there is more. It is used by one goroutine.
type Cursor = interface {
	Next() (record.View, error)
	Seek(seq uint64)
	Close()
}

// Proposer gives the group entries in order. Calls come one at a time. value
// comes back with the entry when it is committed on this node. The parts stay
// unchanged until then.
type Proposer interface {
	Propose(kind record.Kind, urgent bool, value any, parts ...[]byte)
	Term() uint64
	Release(index uint64)
}

// Ledger is the state of the consumers, which lives in this group's order. Apply
// and Restore are called as the partition's are.
type Ledger interface {
	Apply(kind record.Kind, data []byte, value any)
	Snapshot(dst []byte) []byte
	Restore(b []byte) error
}

// Copier is a Ledger that wants to know the attributes of the records that become
// visible, those in replay included. They are borrowed.
type Copier interface {
	Stored(attrs []byte)
}

// Budget is the storage that the account and the node have left. Both methods
// are called under the partition's lock and must only count.
type Budget interface {
	Reserve(bytes uint64) bool
	Return(bytes uint64)
}

// Observer is told of what happened, without locks held, on the group's
// goroutine except where said.
type Observer interface {
	// Committed: the batch's outcomes hold. Where nothing of it was stored and
	// nothing before it is in flight, it is called by the goroutine that admitted
	// it, with local true.
	Committed(b *Batch, local bool)
	// Settled: what was committed together has been told.
	Settled()
	// Discarded: the batch's outcome is unknown, no reply may be sent.
	Discarded(b *Batch)
	// Applied: records up to last are visible. removed says that records went.
	Applied(last uint64, removed bool)
	// Removed names a record that went away, if WatchRemovals is on. Sequence 0
	// stands for all that was applied so far. n is the number of the removal: what
	// Removals returned before it is lower.
	Removed(seq uint64, subject []byte, n uint64)
}

// Options for New.
type Options struct {
	Identity record.Identity
	Limits   Limits
	// First is the sequence that the first record gets; 0 and 1 are the same.
	First    uint64
	Store    Store
	Proposer Proposer
	// Index keeps the subjects that memory does not; nil: memory keeps all.
	Index    Index
	Ledger   Ledger
	Budget   Budget
	Observer Observer
	// Order is how the capturing protocol checks.
	Order []Check
	// Totals amends the records of a log with Limits.Totals; nil if there is none.
	Totals Totals
	// Lost is told in replay of sequences that the journal has lost, as damage that was
	// accepted: they become deletes. nil: what follows them is refused, and so is a
	// store with records and without a state.
	Lost func(first, last uint64)
}

// Partition is one totally ordered log.
type Partition struct {
	// Set at construction.
	id       record.Identity
	store    Store
	index    Index // nil: memory knows all subjects
	proposer Proposer
	ledger   Ledger
	copier   Copier   // the ledger, if it is one
	gatherer Gatherer // the observer, if it is one
	budget   Budget
	observer Observer
	order    []Check
	adder    Totals                   // nil: none
	lost     func(first, last uint64) // nil: nothing may be
	// compactKeys is how many subjects or keys a compaction remembers at once.
	compactKeys int

	// Only the group's goroutine.
	applied uint64 // index of the last applied entry
	restore uint64 // entries up to it were in the checkpoint
	trimmer Cursor // sequential reader of what retention removes
	unread  error  // a subject could not be looked up: the entry fails

	// Only who calls Expire or Old.
	aged uint64 // what is below and live is not ended by any age

	expiring   atomic.Bool   // a removal that Expire proposed is under way
	nextExpiry atomic.Int64  // see NextExpiry
	marks      atomic.Uint64 // see Marks

	// saving is held while a checkpoint is taken.
	saving sync.Mutex
	saved  atomic.Uint64 // index of the last checkpoint, or neverSaved
	remade atomic.Bool   // the subject index on disk is not good

	// applying is held while an entry takes effect and while a checkpoint's state
	// is encoded, so that a state is that of one index.
	applying  sync.Mutex
	untrimmed bool   // a checkpoint is being taken: see trim; guarded by applying
	cuts      []*Cut // that are being read; guarded by applying

	// Atomic, for readers that walk the log: what is visible.
	first, committed atomic.Uint64
	removals         atomic.Uint64 // counts what was removed, written under mu
	holes            atomic.Bool   // deleted is not empty

	gather gather

	mu sync.RWMutex
	// Guarded by mu.
	limits   Limits
	subjects subjects
	undo     []undo // of records above committed, in sequence order
	dedup    dedup
	queue    []item
	draining bool
	inflight int
	last     *Flight // the newest entry in flight: what follows it waits for it
	dead     error
	retired  func() // called when nothing is in flight any more
	// deletedLog says that dead is because the log was deleted.
	deletedLog bool

	packer  record.Packer
	tip     position // of what is admitted
	done    position // of what is applied
	deleted seqset.Set
	expiry  expiry
	watch   bool
	lastID  record.ID // of the tip's last record
	hasLast bool      // lastID is valid
	doneID  record.ID // of the last applied record
	hasDone bool      // doneID is valid
	// compacted is up to where a compaction has looked at the log.
	compacted uint64
	// totals are those of subjects that changed last, all that are in flight included.
	totals     map[string]total
	totalsRoom int // how many are kept before some are forgotten
}

// position sums up a log up to some point.
type position struct {
	first, last uint64
	records     uint64
	bytes       uint64
	lastTime    int64
}

// New returns a partition as its store left it; entries after that checkpoint
// follow through Restore-time Apply calls. It reads no record, unless the subject
// index cannot be read or there is none: then each live one, once.
func New(o Options) (*Partition, error) {
	p := &Partition{
		id: o.Identity, store: o.Store, index: o.Index, proposer: o.Proposer, ledger: o.Ledger,
		budget: o.Budget, observer: o.Observer, order: o.Order, adder: o.Totals, lost: o.Lost, limits: o.Limits,
		totals:      map[string]total{},
		compactKeys: defaultCompactKeys,
	}
	p.copier, _ = o.Ledger.(Copier)
	p.gatherer, _ = o.Observer.(Gatherer)
	first := max(o.First, 1)
	p.done = position{first: first, last: first - 1}
	p.subjects.init(&p.limits)
	p.dedup.init()
	p.saved.Store(neverSaved)
	if state := o.Store.State(); state != nil {
		if err := p.restoreState(state); err != nil {
			return nil, err
		}
	} else if o.Store.Last() > 0 {
		if err := p.fromRecords(); err != nil {
			return nil, err
		}
	} else if err := p.openIndex(nil); err != nil {
		return nil, fmt.Errorf("open partition %d: %w", p.id.ID, err)
	}
	p.tip = p.done
	p.publishLocked()
	p.budget.Reserve(p.done.bytes)
	return p, nil
}

// Flight is an entry on its way: it comes back as the value of Apply.
type Flight struct {
	batch *Batch
	frame *record.Frame
	sum   tally    // of the frame, if it is known
	value any      // of an entry that is no frame
	after []*Batch // refused or duplicate batches that wait for this one
}

// item is a queued proposal.
type item struct {
	kind   record.Kind
	urgent bool
	flight *Flight
	parts  [2][]byte
}

// enqueueLocked queues an entry behind all before it.
func (p *Partition) enqueueLocked(it item) {
	p.queue = append(p.queue, it)
	p.inflight++
	p.last = it.flight
	if it.flight.frame != nil {
		p.gather.frames.Add(1)
	}
}

// drain proposes what is queued, unless another goroutine does so already. It is
// called after every enqueue, without the lock.
func (p *Partition) drain() {
	p.mu.Lock()
	if p.draining {
		p.mu.Unlock()
		return
	}
	p.draining = true
	var spare []item
	for len(p.queue) > 0 {
		batch := p.queue
		p.queue = spare[:0]
		p.mu.Unlock()
		for i := range batch {
			it := &batch[i]
			p.proposer.Propose(it.kind, it.urgent, it.flight, it.parts[0], it.parts[1])
			*it = item{}
		}
		spare = batch
		p.mu.Lock()
	}
	p.queue = spare[:0]
	p.draining = false
	p.mu.Unlock()
}

// Propose puts an entry other than a frame into the log's order. value comes back
// to whoever applies it: the Ledger for the kinds of consumers. data must stay
// unchanged. An urgent entry starts a sync, another rides with the next.
func (p *Partition) Propose(kind record.Kind, urgent bool, value any, data []byte) error {
	p.AdmitGathered()
	p.mu.Lock()
	if p.dead != nil {
		p.mu.Unlock()
		return p.dead
	}
	p.enqueueLocked(item{kind: kind, urgent: urgent, flight: &Flight{value: value}, parts: [2][]byte{data}})
	p.mu.Unlock()
	p.drain()
	return nil
}

// Failed ends the partition: what is in flight has an unknown outcome, and
// nothing is admitted any more.
func (p *Partition) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead == nil {
		p.dead = errors.Join(ErrDead, err)
	}
}

// Settled follows the last Apply of entries that became durable together.
func (p *Partition) Settled() { p.observer.Settled() }

// Err is why the partition takes nothing any more; nil while it works.
func (p *Partition) Err() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.dead
}

// Discard gives back a Flight that will never be applied: nobody is told an
// outcome, for it is unknown.
func (p *Partition) Discard(value any) {
	fl, ok := value.(*Flight)
	if !ok {
		return
	}
	after, retired := p.land(fl)
	if fl.batch != nil {
		p.observer.Discarded(fl.batch)
	}
	switch v := fl.value.(type) {
	case removalDone:
		if v != nil {
			v(ErrDead)
		}
	case Waiting:
		v.Lost(ErrDead)
	}
	for _, b := range after {
		p.observer.Discarded(b)
	}
	if retired != nil {
		retired()
	}
	p.due(fl)
}

// Waiting is a proposal's value that wants to know when its entry will never be
// applied as far as this node knows.
type Waiting interface{ Lost(err error) }

// land takes an entry out of those in flight. It returns the batches that waited
// for it, and whom to tell that it was the last.
func (p *Partition) land(fl *Flight) (after []*Batch, retired func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inflight--
	if fl.frame != nil {
		p.gather.frames.Add(-1)
	}
	if p.last == fl {
		p.last = nil
	}
	after, fl.after = fl.after, nil
	if p.inflight == 0 {
		retired, p.retired = p.retired, nil
	}
	return after, retired
}

// Retire ends the partition of a stream that is deleted: nothing is admitted any
// more, and done is called once nothing is in flight, on whichever goroutine
// knows it first.
func (p *Partition) Retire(done func()) {
	p.AdmitGathered()
	p.mu.Lock()
	p.dead, p.deletedLog = errDropped, true
	idle := p.inflight == 0
	if !idle {
		p.retired = done
	}
	p.mu.Unlock()
	if idle {
		done()
	}
}

// Limits returns the limits in force.
func (p *Partition) Limits() Limits {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.limits
}

// Index is that of the last applied entry.
func (p *Partition) Index() uint64 { return p.applied }

// Drop removes everything that is stored. Nothing else may be called after it,
// and nothing may be in flight (see Retire).
func (p *Partition) Drop() error {
	p.Failed(errDropped)
	p.mu.Lock()
	p.budget.Return(p.tip.bytes)
	p.tip, p.done = position{}, position{}
	p.mu.Unlock()
	p.closeIndex()
	return p.store.Drop()
}

var errDropped = errors.New("the stream was deleted")

// Close ends the use of the store. Nothing else may be called after it.
func (p *Partition) Close() error {
	if p.trimmer != nil {
		p.trimmer.Close()
	}
	p.mu.Lock()
	p.budget.Return(p.done.bytes)
	p.done.bytes = 0
	p.mu.Unlock()
	p.closeIndex()
	return p.store.Close()
}

// closeIndex ends the use of the index, once no checkpoint writes to it.
func (p *Partition) closeIndex() {
	p.saving.Lock()
	defer p.saving.Unlock()
	p.mu.Lock()
	p.subjects.closed = true
	p.mu.Unlock()
	if p.index != nil {
		p.index.Close()
	}
}
