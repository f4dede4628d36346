package partition

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/weirmq/weir/internal/record"
)

// mostLeavers is how many records are removed under one lock.
const mostLeavers = 128

// leaver is a record that is removed: what the sums and the index have to know of it.
type leaver struct {
	seq, size uint64
	time, ttl int64
	subject   []byte
	marked    bool
}

// leavers are the oldest records, which are removed together. They are read before the
// lock is taken, and what is read is valid until the next is: subjects are kept here.
type leavers struct {
	list  []leaver
	names []byte
	bytes uint64
}

var leaversPool = sync.Pool{New: func() any { return &leavers{list: make([]leaver, 0, mostLeavers)} }}

// add notes a record.
func (l *leavers) add(v *record.View) {
	subject := v.Subject
	if n := len(l.list); n > 0 && string(l.list[n-1].subject) == string(subject) {
		subject = l.list[n-1].subject
	} else {
		from := len(l.names)
		l.names = append(l.names, subject...)
		subject = l.names[from:len(l.names):len(l.names)]
	}
	size := v.Size()
	l.list = append(l.list, leaver{v.Seq, size, v.Time, v.TTL, subject, v.Marked})
	l.bytes += size
}

// subjects gives those of the records, each run of the same one once.
func (l *leavers) subjects(yield func([]byte) bool) {
	var last []byte
	for i := range l.list {
		if s := l.list[i].subject; i == 0 || string(s) != string(last) {
			if last = s; !yield(s) {
				return
			}
		}
	}
}

// maxNames is how much room for subjects is kept, bytes.
const maxNames = 64 << 10

func (l *leavers) free() {
	clear(l.list)
	l.list, l.names, l.bytes = l.list[:0], l.names[:0], 0
	if cap(l.names) <= maxNames {
		leaversPool.Put(l)
	}
}

// removeOldest removes the oldest live records while wanted says so of the one at
// sequence next, when so many records with so many bytes are on their way out. It says
// whether it may be asked to go on.
func (p *Partition) removeOldest(wanted func(next, records, bytes uint64) bool) bool {
	l := leaversPool.Get().(*leavers)
	defer l.free()
	var err error
	next := p.done.first
	for len(l.list) < mostLeavers && uint64(len(l.list)) < p.done.records && wanted(next, uint64(len(l.list)), l.bytes) {
		var v record.View
		if v, err = p.nextOldest(next); err != nil {
			break
		}
		if v.Seq > next && !wanted(v.Seq, uint64(len(l.list)), l.bytes) {
			p.trimmer.Seek(v.Seq) // what is before it holds no record
			break
		}
		l.add(&v)
		next = v.Seq + 1
	}
	removed := len(l.list) > 0
	if removed && !p.removeAll(l) {
		p.endTrimmer()
		return false
	}
	if err == nil {
		return removed
	}
	p.endTrimmer()
	return p.dropDamagedOldest(err)
}

// endTrimmer has the next reading of the oldest begin anew.
func (p *Partition) endTrimmer() {
	p.trimmer.Close()
	p.trimmer = nil
}

// nextOldest reads the first live record from a sequence on.
func (p *Partition) nextOldest(from uint64) (record.View, error) {
	if p.trimmer == nil {
		p.trimmer = p.store.Cursor(from)
	}
	v, err := p.trimmer.Next()
	if err == nil && v.Seq < from {
		p.trimmer.Seek(from)
		v, err = p.trimmer.Next()
	}
	for err == nil && !p.live(v.Seq) {
		v, err = p.trimmer.Next()
	}
	return v, err
}

// removeAll takes the oldest live records out. Where their subjects cannot be looked up
// nothing is removed, and the entry fails.
func (p *Partition) removeAll(l *leavers) bool {
	if err := p.lockKnown(l.subjects); err != nil {
		p.unread = fmt.Errorf("remove record %d: %w", l.list[0].seq, err)
		return false
	}
	// Their numbers are given before they are seen to be gone.
	n := p.removals.Add(uint64(len(l.list))) - uint64(len(l.list))
	var e *entry
	for i := range l.list {
		g := &l.list[i]
		if i == 0 || e == nil || e.count == 0 || string(g.subject) != string(l.list[i-1].subject) {
			e = p.subjects.counted(g.subject)
		}
		if e != nil {
			p.subjects.uncount(e, g.seq)
		}
		p.expiry.remove(&record.View{Seq: g.seq, Time: g.time, TTL: g.ttl, Marked: g.marked})
	}
	p.countOutLocked(uint64(len(l.list)), l.bytes)
	p.done.first = l.list[len(l.list)-1].seq + 1
	p.skipDeletedLocked()
	p.publishLocked()
	watch := p.watch
	p.mu.Unlock()
	if watch {
		for i := range l.list {
			p.observer.Removed(l.list[i].seq, l.list[i].subject, n+uint64(i)+1)
		}
	}
	return true
}

// dropDamagedOldest moves first over a record that cannot be read, so that
// retention goes on. Its subject's count stays too high, which a restart mends: the
// index is not saved any more.
func (p *Partition) dropDamagedOldest(err error) bool {
	if errors.Is(err, io.EOF) || !errors.Is(err, record.ErrDamaged) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subjects.stale = true
	p.done.first++
	p.done.records--
	p.tip.records--
	p.skipDeletedLocked()
	p.publishLocked()
	return true
}
