package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/vfs"
)

// Limits and defaults.
const (
	// MaxEntry is the largest data of an entry, in bytes.
	MaxEntry = 64 << 20
	// MaxBatch is the most bytes that a batch takes, unless one entry is larger.
	MaxBatch = 1 << 20
	// RideLimit is how long a riding entry waits for a batch.
	RideLimit = 50 * time.Millisecond

	// overlapFrom is how many bytes must wait for the assistant to gather them while
	// the writer writes, and for it to tell the groups of a batch while the writer
	// goes on with the next one. With less, waking it costs more than it gains.
	overlapFrom = 64 << 10

	defaultFileSize = 64 << 20
	minFileSize     = 2 * blockSize
	defaultMaxBytes = 256 << 20
)

// Errors of the journal.
var (
	// ErrClosed is what Append gives after Close.
	ErrClosed = errors.New("journal is closed")
	// ErrDead wraps the failure after which nothing is acknowledged any more.
	ErrDead = errors.New("journal is dead until restart")
	// ErrTooLarge says that an entry has more than MaxEntry bytes.
	ErrTooLarge = errors.New("journal entry is too large")
	// ErrForeign says that a file was written for another data directory.
	ErrForeign = errors.New("journal file belongs to another data directory")
)

// Policy says when entries count as durable. The zero value is Always.
type Policy struct{ every time.Duration }

// Always syncs each batch before its entries are completed.
var Always = Policy{}

// Interval completes entries when they are handed to the operating system, and
// syncs at most every d. A crash of the machine loses up to d.
func Interval(d time.Duration) Policy { return Policy{every: d} }

// Options of a journal. FS and Dir are needed.
type Options struct {
	FS  vfs.FS
	Dir string // created if it is not there
	// FileSize is the size of the files, in bytes. 0: 64 MiB, less where the
	// disk is small. A file grows for an entry that is larger.
	FileSize int64
	// MaxBytes is how many bytes may be unreleased before OnPressure is
	// called. 0: 1 GiB, less where the disk is small. It bounds nothing by
	// itself.
	MaxBytes int64
	Sync     Policy
	// Identity of the data directory, a random number; files with another one
	// are refused. It is a part of every checksum, so that a message which
	// looks like a batch is none. 0: the journal draws one and keeps it in a
	// file beside its own.
	Identity uint64
	// Buffered writes through the page cache even where direct writes work.
	Buffered bool
	// OnDamage decides whether recovery goes on after damage: nil, or an error,
	// makes Open fail.
	OnDamage func(*DamageError) error
	// OnPressure is called without locks when a file begins while more than
	// MaxBytes are unreleased or the pressure is cheap to relieve, when another file
	// cannot be made, and when one can be made again. It must not block, and calls may come at the same time.
	OnPressure func(Pressure)
	// OwnThread has the writer wait for work in the system, not in the runtime, where it
	// can: who appends wakes its thread without a detour. It is not for clocks that are
	// simulated.
	OwnThread bool
	// Keys encrypt the data of all entries from now on, and decrypt what was. nil:
	// data is in the clear, and a journal with encrypted data does not open.
	Keys *atrest.Keyring
	// Fetch reads at recovery the data of an entry that AppendExtent took, of which
	// Data is the place; nil data says that nobody needs the entry, and it is not
	// replayed. An error that wraps ErrTorn says that the data is not there as it was
	// written; any other ends Open. It may be asked for the same entry twice.
	Fetch func(Entry) ([]byte, error)
	// Log: nil discards.
	Log *slog.Logger
}

// Journal is the node's synced log. Its methods are safe for concurrent use.
type Journal struct {
	// Set at construction.
	opts      Options
	fileSize  int64
	maxBatch  int
	overlap   int64 // overlapFrom, less for small files
	log       *slog.Logger
	recovered Recovery
	wake      bell          // of the writer
	prepare   chan struct{} // to the preparer, one deep
	dead      chan struct{} // closed by the first failure
	stop      chan struct{} // closed by Close
	quit      chan struct{} // to the preparer, closed when the writer is done
	done      sync.WaitGroup
	teller    chan []told   // to the assistant, one deep, closed when the writer is done
	toldAll   chan struct{} // from the assistant, one for each list
	ahead     chan struct{} // to the assistant, one deep: gather ahead
	pen       chan struct{} // one token: who has it writes batches
	helpers   helpers

	// Metrics may be read at any time.
	Metrics Metrics

	mu       sync.Mutex
	groups   map[GroupID]*Group
	active   []*Group // those with entries not yet taken, in turn
	bytes    int64    // cost of all entries not yet taken
	gathered int64    // cost of those in the next batch
	urgent   bool     // one of them is urgent
	idle     bool     // the writer sleeps or is about to
	writing  bool     // the writer writes a batch
	asked    bool     // the assistant was asked to gather ahead
	closed   bool
	err      error   // the failure
	files    []*file // with batches that are needed, oldest first; the last is written to
	retired  []*file // not needed, but no durable batch says so yet
	ready    []*file // to be written to, or recycled
	peak     int     // most files in use in this period of keepFor
	lastPeak int     // and in the last
	spareUp  chan struct{}
	noSpace  error  // why the preparer could not make a file
	tried    uint64 // how often it tried
	nextID   uint64 // of a file's name
	extents  extents

	// Only who has the pen, after recovery.
	w writer
}

// Open recovers the journal in a directory: it calls replay for each entry, in
// order, and is then ready for Append. An error of replay ends it. Data is
// borrowed. Damage gives a *DamageError, see Options.OnDamage.
func Open(o Options, replay func(Entry) error) (*Journal, error) {
	j := &Journal{
		opts: o, log: o.Log, groups: make(map[GroupID]*Group),
		wake: newBell(o.OwnThread), prepare: make(chan struct{}, 1), ahead: make(chan struct{}, 1), pen: make(chan struct{}, 1), spareUp: make(chan struct{}, 1),
		dead: make(chan struct{}), stop: make(chan struct{}), quit: make(chan struct{}),
	}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if err := j.prepareDir(); err != nil {
		return nil, err
	}
	j.extents.up = make(chan struct{}, 1)
	r := recovery{j: j, replay: replay}
	r.window.opener = o.Keys.Opener(keyPurpose)
	if err := r.run(); err != nil {
		return nil, errors.Join(err, j.closeFiles())
	}
	j.w.init(j)
	j.helpers.begun = make(chan struct{}, 1)
	j.helpers.asleep.Store(true)
	j.done.Add(4 + extentWriters)
	for range extentWriters {
		go j.runExtents()
	}
	go j.runWriter()
	go j.runAssistant()
	go j.runPreparer()
	go j.runGuard()
	j.pen <- struct{}{}
	j.kick(j.prepare)
	return j, nil
}

// prepareDir makes the directory, and settles sizes and identity.
func (j *Journal) prepareDir() error {
	o := &j.opts
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return fmt.Errorf("make journal directory: %w", err)
	}
	if err := o.FS.SyncDir(path.Dir(path.Clean(o.Dir))); err != nil {
		return fmt.Errorf("make journal directory durable: %w", err)
	}
	if err := j.setSizes(); err != nil {
		return err
	}
	if o.Identity != 0 {
		return nil
	}
	var err error
	o.Identity, err = ownIdentity(o.FS, o.Dir)
	return err
}

// setSizes settles the sizes of files, batches and the whole.
func (j *Journal) setSizes() error {
	o := j.opts
	free, err := o.FS.Free(o.Dir)
	if err != nil {
		return fmt.Errorf("ask for space: %w", err)
	}
	size := o.FileSize
	if size == 0 {
		if size, err = presentSize(o.FS, o.Dir); err != nil {
			return err
		}
	}
	if size == 0 {
		size = min(defaultFileSize, max(MaxBatch, free/16))
	}
	if size < minFileSize {
		return fmt.Errorf("journal file size %d is below %d", size, minFileSize)
	}
	j.fileSize = size &^ (blockSize - 1)
	j.maxBatch = int(min(MaxBatch, j.fileSize-blockSize)) - headerSize
	j.overlap = min(overlapFrom, int64(j.maxBatch)/4)
	if o.MaxBytes == 0 {
		j.opts.MaxBytes = min(defaultMaxBytes, max(4*j.fileSize, free/4))
	}
	return nil
}

// Append queues one entry. The parts together are its data; they must stay
// unchanged until Durable or Failed. It never waits for the disk. The order of
// a group is the order of calls. An error means that the entry is not queued
// and that no completion follows for it.
func (j *Journal) Append(g *Group, term, index uint64, kind uint8, urgency Urgency, parts ...[]byte) error {
	return j.append(g, term, index, kind, urgency, payload{size: sizeOf(parts)}, parts)
}

// AppendSummed is Append for data whose CRC-32C the caller knows.
func (j *Journal) AppendSummed(g *Group, term, index uint64, kind uint8, urgency Urgency, sum uint32, parts ...[]byte) error {
	return j.append(g, term, index, kind, urgency, payload{size: sizeOf(parts), sum: sum, summed: true}, parts)
}

// sizeOf is the length of parts together.
func sizeOf(parts [][]byte) int {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	return size
}

func (j *Journal) append(g *Group, term, index uint64, kind uint8, urgency Urgency, d payload, parts [][]byte) error {
	if d.size > MaxEntry {
		return ErrTooLarge
	}
	j.mu.Lock()
	if j.err != nil || j.closed {
		defer j.mu.Unlock()
		return j.refusalLocked()
	}
	p := g.slotLocked()
	p.fill(term, index, kind, d, parts)
	if d.extent != nil {
		p.room = min(int(d.extent.size), j.maxBatch-recordSize)
		j.extents.queue = append(j.extents.queue, d.extent)
		j.extents.open++
	}
	cost := int64(p.cost())
	j.bytes += cost
	if !g.active {
		g.active = true
		j.active = append(j.active, g)
	}
	// A sleeping writer is woken by the first riding entry, too, to set its timer.
	wake := j.idle && (urgency == Urgent && !j.urgent || j.bytes == cost)
	j.urgent = j.urgent || urgency == Urgent
	ask := j.writing && j.urgent && !j.asked && j.bytes >= j.overlap
	j.asked = j.asked || ask
	j.mu.Unlock()
	j.Metrics.Appends.Add(1)
	if wake {
		j.rouse()
	}
	if ask {
		j.kick(j.ahead)
	}
	if d.extent != nil {
		j.kick(j.extents.up)
	}
	return nil
}

func (j *Journal) refusalLocked() error {
	if j.err != nil {
		return j.err
	}
	return ErrClosed
}

// kick wakes a goroutine that waits on a channel one deep.
func (j *Journal) kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Err is the failure that made the journal dead, wrapped in ErrDead, or nil.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Dead is closed when the journal fails.
func (j *Journal) Dead() <-chan struct{} { return j.dead }

// Recovered tells what Open found.
func (j *Journal) Recovered() Recovery { return j.recovered }

// Close writes and completes what is pending, marks the end, and joins the
// goroutines. It gives the failure of a dead journal. It may not be called from
// a completion.
func (j *Journal) Close() error {
	j.mu.Lock()
	first := !j.closed
	j.closed = true
	j.mu.Unlock()
	if !first {
		return ErrClosed
	}
	close(j.stop)
	j.wake.ring()
	j.done.Wait()
	return errors.Join(j.Err(), j.closeFiles())
}

func (j *Journal) closeFiles() error {
	var errs []error
	for _, list := range [][]*file{j.files, j.retired, j.ready} {
		for _, f := range list {
			if err := f.close(); err != nil {
				errs = append(errs, fmt.Errorf("close journal file: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
