package journal

import (
	"fmt"
	"hash/crc32"
	"time"
)

// writer is the state of the writer's goroutine.
type writer struct {
	buf     []byte // aligned; the batch being built
	runs    []run
	touched []*Group
	spare   []*Group // the other array behind Journal.active

	number     uint64 // of the next batch
	prev       uint32 // checksum of the last batch
	durable    uint64 // number of the last batch known durable
	generation uint64 // highest one given to a file
	firstLive  uint64 // as the last batch said
	dirty      bool   // batches were written and not synced
	marked     bool   // the last batch is the mark of a clean end
	lastSync   time.Time
	ride       *time.Timer
	rideSet    bool

	tell    [2][]told // what to tell of the last two batches, in turn
	turn    int
	telling bool // the teller has not said yet that it is done
}

func (w *writer) init(j *Journal) {
	w.buf = alignedBuffer(padded(int64(j.maxBatch + headerSize)))
	w.lastSync = time.Now()
	w.ride = time.NewTimer(time.Hour)
	w.ride.Stop()
	j.teller = make(chan []told)
	j.toldAll = make(chan struct{})
}

// runWriter writes batches until Close or a failure.
func (j *Journal) runWriter() {
	defer j.done.Done()
	defer close(j.quit)
	defer j.w.ride.Stop()
	defer close(j.teller)
	for {
		got, err := j.step()
		if err != nil {
			j.fail(err)
			return
		}
		if got {
			continue
		}
		if stopping := j.sleep(); !stopping {
			continue
		}
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
	if err := j.writeBatch(nil, 0, flagClosed); err != nil {
		return err
	}
	return j.syncNow()
}

// markable says whether a mark is wanted, and there is a place for it at once.
func (j *Journal) markable() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.files) == 0 || j.w.marked {
		return false
	}
	f := j.files[len(j.files)-1]
	return f.written+blockSize <= f.size || len(j.ready) > 0
}

// step writes one batch, if an urgent entry or a riding one that waited long
// enough is there. got says whether it did.
func (j *Journal) step() (got bool, err error) {
	w := &j.w
	j.mu.Lock()
	if j.tell {
		j.tell = false
		j.mu.Unlock()
		j.reportPressure()
		j.mu.Lock()
	}
	if !j.urgent {
		j.idle = true
		j.mu.Unlock()
		return false, j.syncIfDue()
	}
	j.idle = false
	var took int64
	w.runs, took = j.takeLocked(w.runs[:0])
	j.mu.Unlock()
	w.rideSet = false
	if err := j.writeBatch(w.runs, took, 0); err != nil {
		return false, err
	}
	if j.opts.Sync.every == 0 {
		err = j.syncNow()
	}
	if err == nil {
		j.complete()
		err = j.syncIfDue()
	}
	return err == nil, err
}

// sleep waits for work. stopping says that Close was called.
func (j *Journal) sleep() (stopping bool) {
	w := &j.w
	j.mu.Lock()
	waiting := j.bytes > 0
	j.mu.Unlock()
	switch {
	case waiting && !w.rideSet:
		w.rideSet = true
		w.ride.Reset(RideLimit)
	case !waiting && w.dirty:
		w.ride.Reset(time.Until(w.lastSync.Add(j.opts.Sync.every)))
	}
	select {
	case <-j.wake:
	case <-j.stop:
		return true
	case <-w.ride.C:
		j.mu.Lock()
		j.urgent = j.urgent || w.rideSet && j.bytes > 0
		j.mu.Unlock()
		w.rideSet = false
	}
	return false
}

// writeBatch builds a batch, finds its place and writes it. Where writes sync by
// themselves it is durable after that.
func (j *Journal) writeBatch(runs []run, cost int64, flags uint16) error {
	w := &j.w
	size := padded(headerSize + cost)
	f, err := j.place(size)
	if err != nil {
		return err
	}
	buf := w.buf
	if size > int64(len(buf)) {
		buf = alignedBuffer(size)
	}
	buf = buf[:size]
	j.mu.Lock()
	firstLive := j.files[0].generation
	j.mu.Unlock()
	h := header{
		flags: flags, identity: j.opts.Identity, generation: f.generation, number: w.number,
		durableUpto: w.durable, firstLive: firstLive, prev: w.prev,
	}
	build(&h, buf, runs)
	if err := j.write(f, buf); err != nil {
		return err
	}
	f.written += size
	w.number++
	w.prev = h.checksum
	w.firstLive = firstLive
	w.marked = flags&flagClosed != 0
	j.count(int(h.count), size)
	return nil
}

// build fills buf with a batch of the runs, and each run's last and high.
func build(h *header, buf []byte, runs []run) {
	count := 0
	for i := range runs {
		count += len(runs[i].a) + len(runs[i].b)
	}
	h.count = uint32(count)
	head := buf[:h.headLen()]
	b := builder{buf: buf, line: headerSize, at: len(head)}
	for i := range runs {
		r := &runs[i]
		b.add(r, r.a)
		b.add(r, r.b)
	}
	h.dataLen = uint32(b.at - len(head))
	clear(buf[b.at:])
	h.seal(head)
}

// builder knows where the next entry's record and data go.
type builder struct {
	buf  []byte
	line int
	at   int
}

func (b *builder) add(r *run, span []pending) {
	for i := range span {
		p := &span[i]
		start := b.at
		for _, part := range p.parts() {
			b.at += copy(b.buf[b.at:], part)
		}
		// The entry stays as it is: its ring may be copied to a larger one meanwhile.
		sum := p.sum
		if !p.summed {
			sum = crc32.Checksum(b.buf[start:b.at], castagnoli)
		}
		rec := record{group: r.g.id, term: p.term, index: p.index, length: uint32(p.size), sum: sum, kind: p.kind}
		rec.put(b.buf[b.line:])
		b.line += recordSize
		r.last, r.high = p.index, max(r.high, p.index)
	}
}

// place gives the file that a batch of this size goes to, beginning a new one
// where the last has no room.
func (j *Journal) place(size int64) (*file, error) {
	if f := j.current(); f != nil && f.written+size <= f.size {
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
	next.generation, next.written = w.generation, 0
	next.held = make(map[GroupID]uint64)
	j.mu.Lock()
	j.files = append(j.files, next)
	j.settleLocked()
	j.mu.Unlock()
	if err := next.grow(size); err != nil {
		return nil, err
	}
	j.reportPressure()
	return next, nil
}

func (j *Journal) reportPressure() {
	if j.opts.OnPressure == nil {
		return
	}
	if p := j.Pressure(); p.Unreleased > p.Max || p.NoSpace != nil {
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
	j.Metrics.synced(j.w.lastSync.Sub(start))
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
	j.mu.Lock()
	f := j.files[len(j.files)-1]
	for i := range w.runs {
		r := &w.runs[i]
		r.g.finishLocked()
		if !r.g.dropped && r.high > r.g.released {
			f.hold(r.g.id, r.high)
		}
	}
	recycled := !w.dirty && j.recycleLocked(w.firstLive)
	waiting := j.bytes
	j.mu.Unlock()
	w.turn = 1 - w.turn
	list := w.tell[w.turn][:0]
	for i := range w.runs {
		list = append(list, told{w.runs[i].g.completer, w.runs[i].last})
	}
	w.tell[w.turn] = list
	clear(w.runs)
	j.waitTold()
	if waiting >= overlap {
		w.telling = true
		j.teller <- list
	} else {
		tellAll(list)
	}
	if recycled {
		j.kick(j.prepare)
	}
}

// overlap is how many bytes must wait for the next batch for it to be written
// while the groups are told of the last one. With less, waking another goroutine
// costs more than it gains.
const overlap = 64 << 10

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

// runTeller tells groups of a batch while the writer writes the next one.
func (j *Journal) runTeller() {
	defer j.done.Done()
	for list := range j.teller {
		tellAll(list)
		j.toldAll <- struct{}{}
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
	j.waitTold()
	for _, g := range groups {
		g.completer.Failed(err)
	}
}
