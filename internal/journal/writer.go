package journal

import (
	"fmt"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/atrest"
)

// writer is the state of who writes batches: the writer's goroutine, or one that helps it.
type writer struct {
	// gathering is held by whoever puts entries into next: who writes, and meanwhile
	// the assistant. Taken before Journal.mu.
	gathering sync.Mutex
	next      *gathered      // guarded by gathering
	sealer    *atrest.Sealer // for the next batch; nil without keys; guarded by gathering

	runs  []run    // of takeLocked; guarded by Journal.mu
	spare []*Group // the other array behind Journal.active; guarded by Journal.mu

	// What follows belongs to who has the pen.
	batch   *gathered // the batch being written
	failure error     // of one who helped; the writer is to end

	number     uint64 // of the next batch
	prev       uint32 // checksum of the last batch
	durable    uint64 // number of the last batch known durable
	generation uint64 // highest one given to a file
	firstLive  uint64 // as the last batch said
	dirty      bool   // batches were written and not synced
	marked     bool   // the last batch is the mark of a clean end
	lastSync   time.Time
	rideSet    bool
	rideEnd    time.Time // when what rides has waited long enough, if rideSet

	tell    [2][]told // what to tell of the last two batches, in turn
	turn    int
	telling bool // the teller has not said yet that it is done
}

func (w *writer) init(j *Journal) {
	seals := j.opts.Keys != nil
	w.next, w.batch = newGathered(j.maxBatch, seals), newGathered(j.maxBatch, seals)
	j.renewKey()
	w.lastSync = time.Now()
	j.teller = make(chan []told, 1)
	j.toldAll = make(chan struct{}, 1)
}

// runWriter writes batches until Close or a failure. After that it keeps the pen.
func (j *Journal) runWriter() {
	defer j.done.Done()
	defer close(j.quit)
	favour()
	defer close(j.teller)
	for {
		<-j.pen
		got, err := false, j.w.failure
		if err == nil {
			got, err = j.step()
		}
		if err != nil {
			j.fail(err)
			return
		}
		var limit time.Duration
		if !got {
			limit = j.patience()
		}
		j.pen <- struct{}{}
		if got {
			continue
		}
		if stopping := j.sleep(limit); !stopping {
			continue
		}
		<-j.pen
		if err := j.finish(); err != nil {
			j.fail(err)
		}
		return
	}
}

// finish writes what came before Close and the mark of a clean end.
func (j *Journal) finish() error {
	for {
		j.mu.Lock()
		j.urgent = j.bytes > 0
		j.mu.Unlock()
		got, err := j.step()
		if err != nil {
			return err
		}
		if !got {
			break
		}
	}
	j.waitTold()
	if err := j.syncNow(); err != nil {
		return err
	}
	if !j.markable() {
		return nil
	}
	if err := j.writeBatch(flagClosed); err != nil {
		return err
	}
	return j.syncNow()
}

// markable says whether a mark is wanted, and there is a place for it. Where the
// last file is full it waits for the next one, unless none can be made.
func (j *Journal) markable() bool {
	if j.w.marked {
		return false
	}
	for {
		j.mu.Lock()
		if len(j.files) == 0 {
			j.mu.Unlock()
			return false
		}
		f := j.files[len(j.files)-1]
		room, noSpace := f.written+blockSize <= f.size || len(j.ready) > 0, j.noSpace
		j.mu.Unlock()
		if room || noSpace != nil {
			return room
		}
		j.kick(j.prepare)
		<-j.spareUp
	}
}

// step writes one batch, if an urgent entry or a riding one that waited long
// enough is there. got says whether it did.
func (j *Journal) step() (got bool, err error) {
	w := &j.w
	if !j.gatherRest() && !j.wantsRetired() {
		return false, j.syncIfDue()
	}
	w.rideSet = false
	if err := j.writeBatch(0); err != nil {
		return false, err
	}
	if j.opts.Sync.every == 0 {
		err = j.syncNow()
	}
	if err == nil {
		err = j.awaitExtents()
	}
	if err == nil {
		j.complete()
		err = j.syncIfDue()
	}
	return err == nil, err
}

// wantsRetired says whether files wait only for a batch that says they are not
// needed, while no others can be made: an empty one is written then.
func (j *Journal) wantsRetired() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.noSpace == nil || len(j.retired) == 0 || j.err != nil {
		return false
	}
	f := j.files[len(j.files)-1]
	return f.written+blockSize <= f.size || len(j.ready) > 0
}

// gatherRest makes what is gathered ahead, and what waits beside it, the batch to
// be written. False says that there is nothing: the writer is idle then.
func (j *Journal) gatherRest() bool {
	w := &j.w
	w.gathering.Lock()
	defer w.gathering.Unlock()
	b := w.next
	from := len(b.runs)
	j.mu.Lock()
	if !j.urgent && from == 0 {
		j.idle = true
		j.mu.Unlock()
		return false
	}
	j.idle = false
	j.takeMoreLocked(b)
	j.gathered = 0
	j.mu.Unlock()
	b.begin(w.sealer)
	b.add(from)
	w.next, w.batch = w.batch, w.next
	return true
}

// gatherAhead copies what waits into the next batch while the writer writes.
func (j *Journal) gatherAhead() {
	w := &j.w
	w.gathering.Lock()
	defer w.gathering.Unlock()
	b := w.next
	from := len(b.runs)
	j.mu.Lock()
	j.asked = false
	if j.writing && j.urgent {
		j.takeMoreLocked(b)
		j.gathered = b.cost
	}
	j.mu.Unlock()
	b.begin(w.sealer)
	b.add(from)
}

// takeMoreLocked adds runs of what waits to a batch.
func (j *Journal) takeMoreLocked(b *gathered) {
	var took int64
	b.runs, took = j.takeLocked(b.runs, b.cost)
	b.cost += took
}

// patience is how long the writer may sleep; negative: until it is woken.
func (j *Journal) patience() time.Duration {
	w := &j.w
	j.mu.Lock()
	waiting := j.bytes > 0
	j.mu.Unlock()
	switch {
	case waiting:
		if !w.rideSet {
			w.rideSet, w.rideEnd = true, time.Now().Add(RideLimit)
		}
		return max(0, time.Until(w.rideEnd))
	case w.dirty:
		return max(0, time.Until(w.lastSync.Add(j.opts.Sync.every)))
	}
	return -1
}

// sleep waits for work. stopping says that Close was called.
func (j *Journal) sleep(limit time.Duration) (stopping bool) {
	j.wake.wait(limit)
	select {
	case <-j.stop:
		return true
	default:
	}
	<-j.pen
	defer func() { j.pen <- struct{}{} }()
	w := &j.w
	if w.rideSet && !time.Now().Before(w.rideEnd) {
		j.mu.Lock()
		j.urgent = j.urgent || j.bytes > 0
		j.mu.Unlock()
		w.rideSet = false
	}
	return false
}

// writeBatch finds a place for the batch and writes it. Where writes sync by
// themselves it is durable after that.
func (j *Journal) writeBatch(flags uint16) error {
	w := &j.w
	h := header{flags: flags, identity: j.opts.Identity, number: w.number, durableUpto: w.durable, prev: w.prev}
	w.batch.shape(&h)
	size := h.len()
	f, err := j.place(size)
	if err != nil {
		return err
	}
	j.mu.Lock()
	h.generation, h.firstLive = f.generation, j.files[0].generation
	j.writing = true
	j.mu.Unlock()
	err = j.write(f, w.batch.seal(&h))
	j.mu.Lock()
	j.writing = false
	if err == nil {
		f.written += size
	}
	j.mu.Unlock()
	if err != nil {
		return err
	}
	w.number++
	w.prev = h.checksum
	w.firstLive = h.firstLive
	w.marked = flags&flagClosed != 0
	j.count(int(h.count), size)
	return nil
}

// place gives the file that a batch of this size goes to, beginning a new one
// where the last has no room.
func (j *Journal) place(size int64) (*file, error) {
	if f := j.current(); f != nil && f.written+size <= f.size && !j.heavy(f) {
		return f, nil
	}
	if err := j.syncNow(); err != nil {
		return nil, err
	}
	next, err := j.nextFile()
	if err != nil {
		return nil, err
	}
	w := &j.w
	w.generation++
	j.renewKey()
	next.generation, next.written = w.generation, 0
	next.held = make(map[GroupID]uint64)
	j.mu.Lock()
	j.files = append(j.files, next)
	j.settleLocked()
	j.forgetNamedLocked(next)
	j.mu.Unlock()
	if err := next.grow(size); err != nil {
		return nil, err
	}
	j.reportPressure(false)
	return next, nil
}

// reportPressure tells of the pressure if there is some, or it has just changed.
func (j *Journal) reportPressure(changed bool) {
	if j.opts.OnPressure == nil {
		return
	}
	if p := j.Pressure(); changed || p.Cheap() || p.Unreleased > p.Max || p.NoSpace != nil {
		j.opts.OnPressure(p)
	}
}

// write puts a batch at the end of a file.
func (j *Journal) write(f *file, buf []byte) error {
	w := &j.w
	start := time.Now()
	if f.direct {
		j.Metrics.SyncStarted.Store(start.UnixNano())
	}
	n, err := f.f.WriteAt(buf, f.written)
	if err == nil && n != len(buf) {
		err = fmt.Errorf("wrote %d of %d bytes", n, len(buf))
	}
	if err != nil {
		return fmt.Errorf("write journal batch %d to %s at %d: %w", w.number, f.name, f.written, err)
	}
	w.dirty = !f.direct
	if f.direct {
		w.durable = w.number
		j.endSync(start)
	}
	return nil
}

func (j *Journal) endSync(start time.Time) {
	j.w.lastSync = time.Now()
	took := j.w.lastSync.Sub(start)
	j.helpers.quick.Store(j.opts.Sync.every == 0 && took <= helpLatency)
	j.Metrics.synced(took)
	j.Metrics.SyncStarted.Store(0)
}

// syncIfDue makes the last batches durable when the policy says so.
func (j *Journal) syncIfDue() error {
	if every := j.opts.Sync.every; every > 0 && time.Since(j.w.lastSync) < every {
		return nil
	}
	return j.syncNow()
}

func (j *Journal) syncNow() error {
	w := &j.w
	if w.dirty {
		f := j.current()
		start := time.Now()
		j.Metrics.SyncStarted.Store(start.UnixNano())
		if err := f.f.Datasync(); err != nil {
			return fmt.Errorf("sync journal file %s: %w", f.name, err)
		}
		w.dirty = false
		w.durable = w.number - 1
		j.endSync(start)
	}
	return nil
}

// current is the file being written, nil before the first.
func (j *Journal) current() *file {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.files) == 0 {
		return nil
	}
	return j.files[len(j.files)-1]
}

func (j *Journal) count(entries int, size int64) {
	m := &j.Metrics
	m.Batches.Add(1)
	m.Entries.Add(uint64(entries))
	m.Bytes.Add(uint64(size))
	m.LiveBytes.Add(size)
}

// complete notes what the batch holds in its file, tells its groups, and
// recycles files that a durable batch said are not needed.
func (j *Journal) complete() {
	w := &j.w
	w.turn = 1 - w.turn
	list := w.tell[w.turn][:0]
	runs := w.batch.runs
	j.mu.Lock()
	f := j.files[len(j.files)-1]
	for i := range runs {
		r := &runs[i]
		g := r.g
		g.finishLocked(r)
		if !g.dropped && r.high > g.released {
			f.hold(g.id, r.high)
		}
		if g.toldIn != w.number {
			g.toldIn, g.toldAt = w.number, len(list)
			list = append(list, told{g.completer, r.last})
		}
		list[g.toldAt].last = r.last
	}
	recycled := !w.dirty && j.recycleLocked(w.firstLive)
	waiting := j.bytes + j.gathered
	j.mu.Unlock()
	w.tell[w.turn] = list
	w.batch.reset(j.maxBatch)
	j.waitTold()
	if waiting >= j.overlap {
		w.telling = true
		j.teller <- list
	} else {
		tellAll(list)
	}
	if recycled {
		j.kick(j.prepare)
	}
}

// told is a group's share of a batch that is durable.
type told struct {
	completer Completer
	last      uint64
}

func tellAll(list []told) {
	for i := range list {
		list[i].completer.Durable(list[i].last)
	}
	clear(list)
}

// runAssistant does beside the writer what else would keep the disk waiting: it
// tells groups of a batch, and gathers the next one.
func (j *Journal) runAssistant() {
	defer j.done.Done()
	for {
		select {
		case list, more := <-j.teller:
			if !more {
				return
			}
			tellAll(list)
			j.toldAll <- struct{}{}
		case <-j.ahead:
			j.gatherAhead()
		}
	}
}

// waitTold waits until the groups know of the batch before this one: they are
// told of one batch at a time, in order.
func (j *Journal) waitTold() {
	if j.w.telling {
		<-j.toldAll
		j.w.telling = false
	}
}

// fail makes the journal dead and tells all groups.
func (j *Journal) fail(cause error) {
	err := fmt.Errorf("%w: %w", ErrDead, cause)
	j.Metrics.failed(cause)
	j.log.Error("journal failed", "error", cause)
	j.helpers.quick.Store(false)
	j.mu.Lock()
	j.err = err
	groups := make([]*Group, 0, len(j.groups))
	for _, g := range j.groups {
		g.ring, g.head, g.taken, g.tail = nil, 0, 0, 0
		groups = append(groups, g)
	}
	j.active, j.bytes = nil, 0
	j.mu.Unlock()
	close(j.dead)
	j.endExtents()
	j.waitTold()
	for _, g := range groups {
		g.completer.Failed(err)
	}
}
