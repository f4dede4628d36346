package journal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Extent is the data of an entry that is written once, to a place of its owner's,
// while the journal writes only where that is.
type Extent interface {
	// Write puts the data on stable storage. The journal calls it once, on a
	// goroutine of its own, beside other writes. An error makes the journal dead, as
	// one of its own writes would.
	Write() error
}

// ErrTorn is what Options.Fetch gives, wrapped, for data that is not there as it was
// written.
var ErrTorn = errors.New("extent does not verify")

// errNoFetch says that a journal names extents and nobody knows them.
var errNoFetch = errors.New("the entry is in an extent, and nobody can read it")

// extentWriters is how many extents are written at once: their owner may sync them
// together, and one is copied while the disk works on others.
const extentWriters = 8

// extents are the writes of extents, in the order of Append.
type extents struct {
	up    chan struct{}  // to the goroutines that write, one deep
	begun sync.WaitGroup // writes that run

	// Guarded by Journal.mu.
	queue []*extentWrite  // not begun
	open  int             // entries with an extent that are not completed
	named map[*file]int64 // bytes in extents that a file's batches name
}

// extentWrite is one of them.
type extentWrite struct {
	x    Extent
	size int64
	done chan struct{} // closed when err is set
	err  error
}

// AppendExtent is Append for an entry whose data, of size bytes, x writes. Place is
// what the journal keeps of it, and Options.Fetch finds the data by it. The entry is
// durable when both are; they are written at the same time.
func (j *Journal) AppendExtent(g *Group, term, index uint64, kind uint8, urgency Urgency, x Extent, size int, place []byte) error {
	if size > MaxEntry {
		return ErrTooLarge
	}
	w := &extentWrite{x: x, size: int64(size), done: make(chan struct{})}
	return j.append(g, term, index, kind, urgency, payload{size: len(place), extent: w}, [][]byte{place})
}

// runExtents writes extents until the journal's writer ends.
func (j *Journal) runExtents() {
	defer j.done.Done()
	for {
		w, more := j.nextExtent()
		if more {
			j.kick(j.extents.up)
		}
		if w != nil {
			w.err = w.x.Write()
			close(w.done)
			j.extents.begun.Done()
			continue
		}
		select {
		case <-j.extents.up:
		case <-j.quit:
			return
		}
	}
}

// nextExtent takes one from the queue; more says that there are others.
func (j *Journal) nextExtent() (w *extentWrite, more bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	q := j.extents.queue
	if len(q) == 0 || j.err != nil {
		return nil, false
	}
	w, q[0] = q[0], nil
	j.extents.queue = q[1:]
	j.extents.begun.Add(1)
	return w, len(q) > 1
}

// awaitExtents waits until the extents that the batch names are on stable storage.
// Before, nothing of the batch counts, and no later batch is written: so a batch
// that says how far all was durable says it of extents, too.
func (j *Journal) awaitExtents() error {
	j.mu.Lock()
	open := j.extents.open
	j.mu.Unlock()
	if open == 0 {
		return nil
	}
	var count int
	var size int64
	for i := range j.w.batch.runs {
		r := &j.w.batch.runs[i]
		for _, span := range [...][]pending{r.a, r.b} {
			for k := range span {
				w := span[k].extent
				if w == nil {
					continue
				}
				<-w.done
				if w.err != nil {
					return fmt.Errorf("write extent of journal batch %d: %w", j.w.number-1, w.err)
				}
				count, size = count+1, size+w.size
			}
		}
	}
	j.countExtents(count, size)
	return nil
}

// countExtents counts those of the last batch, as bytes of its file.
func (j *Journal) countExtents(count int, size int64) {
	j.Metrics.Extents.Add(uint64(count))
	j.Metrics.ExtentBytes.Add(uint64(size))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.extents.open -= count
	j.extents.nameLocked(j.files[len(j.files)-1], size)
}

func (e *extents) nameLocked(f *file, size int64) {
	if size == 0 {
		return
	}
	if e.named == nil {
		e.named = make(map[*file]int64)
	}
	e.named[f] += size
}

// namedLocked is how many bytes in extents the files that are needed name.
func (j *Journal) namedLocked() int64 {
	var sum int64
	for _, f := range j.files {
		sum += j.extents.named[f]
	}
	return sum
}

// heavy says that a file names so much in extents that another is begun, as if it
// were all in the file: replaying a file takes as long in either case, and its
// groups are asked to release it as soon. Where there is no other file, it goes on.
func (j *Journal) heavy(f *file) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return f.written > 0 && f.written+j.extents.named[f] > f.size && len(j.ready) > 0
}

// forgetNamedLocked forgets what was named by files that begin anew or are gone.
func (j *Journal) forgetNamedLocked(next *file) {
	maps.DeleteFunc(j.extents.named, func(f *file, _ int64) bool {
		return f == next || !slices.Contains(j.files, f)
	})
}

// endExtents drops the writes that were not begun and waits for the others, after
// the journal failed: then nobody reads the entries' data any more.
func (j *Journal) endExtents() {
	j.mu.Lock()
	j.extents.queue = nil
	j.mu.Unlock()
	j.extents.begun.Wait()
}

// extentFlag marks the line of an entry whose data is the place of an extent.
const extentFlag = 1 << 8

// lineKind is bytes 32 and 33 of a directory's line: the group's kind, and flags.
type lineKind uint16

func (k lineKind) extent() bool { return k&extentFlag != 0 }

// reach says whether all of a batch that lies in extents can be read.
func (r *recovery) reach(b *batch) (bad, err error) {
	some := false
	for i := range b.entries() {
		some = some || b.record(i).kind.extent()
	}
	if !some {
		return nil, nil
	}
	err = b.visit(func(rec record, data []byte, _ bool) error {
		if !rec.kind.extent() {
			return nil
		}
		_, err := r.fetch(rec, data)
		return err
	})
	if errors.Is(err, ErrTorn) {
		return err, nil
	}
	return nil, err
}

// fetch reads the data of an entry that is in an extent; nil if nobody needs it. It
// keeps what it read last, for reach is followed by deliver.
func (r *recovery) fetch(rec record, place []byte) ([]byte, error) {
	f := &r.fetched
	if f.there && f.group == rec.group && f.index == rec.index && f.term == rec.term {
		return f.data, nil
	}
	fetch := r.j.opts.Fetch
	if fetch == nil {
		return nil, fmt.Errorf("journal entry %d/%d of group %d: %w", rec.term, rec.index, rec.group, errNoFetch)
	}
	data, err := fetch(Entry{Group: rec.group, Term: rec.term, Index: rec.index, Kind: uint8(rec.kind), Data: place})
	if err != nil {
		return nil, fmt.Errorf("read extent of journal entry %d/%d of group %d: %w", rec.term, rec.index, rec.group, err)
	}
	*f = fetched{true, rec.group, rec.term, rec.index, data}
	return data, nil
}

// fetched is the extent that recovery read last.
type fetched struct {
	there       bool
	group       GroupID
	term, index uint64
	data        []byte // nil: nobody needs it
}
