package seglog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/weirmq/weir/internal/vfs"
)

const (
	// minExtent is the size of a log's first extent; the following ones are larger, up
	// to the length of a segment.
	minExtent = 8 << 20
	// maxExtents bounds the extents of all logs that are made or being filled.
	maxExtents = 16
	// extentShare is the share of the free space that one extent may take.
	extentShare = 32
)

// wantExtent asks the flusher for an extent.
func (v *Volume) wantExtent(l *Log) {
	v.mu.Lock()
	v.wanting = append(v.wanting, l)
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// makeExtents makes those that are wanted. A log that somebody else writes to asks
// again with its next large frame. Where one cannot be made the log goes on without
// for RetryEvery.
func (v *Volume) makeExtents() {
	v.mu.Lock()
	wanting := v.wanting
	v.wanting = nil
	v.mu.Unlock()
	for _, l := range wanting {
		if !l.turn.TryLock() {
			l.askAgain()
			continue
		}
		err := l.makeExtent()
		l.turn.Unlock()
		if err == nil {
			l.askAgain()
			continue
		}
		v.log.Info("no extent made: large frames go through the journal", "log", dirName(l.id), "error", err)
		v.mu.Lock()
		v.without = append(v.without, l)
		v.mu.Unlock()
	}
}

// retryExtents lets logs ask again for which no extent could be made.
func (v *Volume) retryExtents() {
	v.mu.Lock()
	without := v.without
	v.without = nil
	v.mu.Unlock()
	for _, l := range without {
		l.askAgain()
	}
}

func (l *Log) askAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.extents.asked = false
}

// makeExtent makes the log's next extent. The caller has the turn.
func (l *Log) makeExtent() error {
	l.mu.Lock()
	want, ready := l.extents.want, l.extents.next != nil || l.closed
	l.mu.Unlock()
	if ready || l.out.failed != nil {
		return l.out.failed
	}
	size, err := l.extentSize(want)
	if err != nil {
		return err
	}
	if !l.v.admitExtent(l) {
		return errExtents
	}
	x, err := l.createExtent(size)
	if err != nil {
		l.v.extentsOpen.Add(-1)
		return err
	}
	l.extents.made++
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.extents.live == nil {
		l.extents.live = make(map[uint64]*extent)
	}
	l.extents.live[x.no], l.extents.next = x, x
	l.extents.loose = append(l.extents.loose, x)
	return nil
}

// errExtents says that all extents are in use.
var errExtents = errors.New("other logs have all extents")

// extentSize is the size of the log's next extent, which is to take want bytes.
func (l *Log) extentSize(want int64) (int64, error) {
	least := extentStart + alignUp(want)
	size := max(least, min(minExtent<<min(l.extents.made, 16), l.v.segmentBytes))
	free, err := l.v.fs.Free(l.v.streams)
	if err != nil {
		return 0, fmt.Errorf("ask for space: %w", err)
	}
	share := free / extentShare
	if size = min(size, max(least, share)) &^ (gapAlign - 1); size > share {
		return 0, fmt.Errorf("an extent of %d bytes where %d are free: %w", size, free, syscall.ENOSPC)
	}
	return size, nil
}

// createExtent makes the file, its space and its name, all durable.
func (l *Log) createExtent(size int64) (*extent, error) {
	if err := l.birth(&manifest{id: l.id, first: 1, next: 1}); err != nil {
		return nil, err
	}
	no := l.out.next
	name := l.path(segmentName(no))
	f, err := l.v.fs.Create(name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		l.out.next++ // a file that is there is not ours to write over
	}
	if err != nil {
		return nil, fmt.Errorf("create extent: %w", err)
	}
	if err = f.Allocate(size); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("give an extent its space: %w", err), f.Close(), l.v.fs.Remove(name))
	}
	x := &extent{no: no, size: size, end: extentStart, file: f, touched: true}
	if err := x.goDirect(l.v, name); err != nil {
		return nil, errors.Join(fmt.Errorf("open extent: %w", err), f.Close(), l.v.fs.Remove(name))
	}
	if err := l.v.fs.SyncDir(l.dir); err != nil {
		closeAll([]vfs.File{x.file})
		l.out.garbage = append(l.out.garbage, segmentName(no))
		return nil, l.fail("sync directory", err)
	}
	return x, nil
}

// goDirect opens the file past the page cache, where that can be.
func (x *extent) goDirect(v *Volume, name string) error {
	d, can := v.fs.(vfs.DirectOpener)
	if !can || v.directFrom < 0 {
		return nil
	}
	f, err := d.OpenDirect(name, false)
	if errors.Is(err, vfs.ErrNoDirect) {
		return nil
	}
	if err != nil {
		return err
	}
	closeAll([]vfs.File{x.file}) // nothing was written by it
	x.file, x.direct = f, true
	return nil
}

// admitExtent counts another extent in. Where there are as many as there may be, the
// log that used its own the longest time ago gives them up; this one tries again
// later.
func (v *Volume) admitExtent(l *Log) bool {
	if v.extentsOpen.Add(1) <= maxExtents {
		return true
	}
	v.extentsOpen.Add(-1)
	v.mu.Lock()
	logs := make([]*Log, 0, len(v.logs))
	for _, o := range v.logs {
		if o != l {
			logs = append(logs, o)
		}
	}
	v.mu.Unlock()
	var idle *Log
	oldest := v.extentUses.Load() + 1
	for _, o := range logs {
		if used, some := o.extentsUsed(); some && used < oldest {
			idle, oldest = o, used
		}
	}
	if idle != nil && idle.turn.TryLock() {
		idle.endExtents()
		idle.turn.Unlock()
	}
	return false
}

// extentsUsed says whether the log has extents that give places, and when it used
// them last.
func (l *Log) extentsUsed() (used uint64, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range [...]*extent{l.extents.now, l.extents.next} {
		if x != nil {
			used, some = max(used, x.used.Load()), true
		}
	}
	return used, some
}

// endExtents ends what gives places. The caller has the turn.
func (l *Log) endExtents() {
	l.mu.Lock()
	for _, x := range [...]*extent{l.extents.now, l.extents.next} {
		if x != nil {
			l.endLocked(x)
		}
	}
	l.mu.Unlock()
	l.reap()
}

// endIdle ends extents that gave no place since the last checkpoint but one.
func (l *Log) endIdle() {
	l.mu.Lock()
	for _, x := range [...]*extent{l.extents.now, l.extents.next} {
		if x == nil {
			continue
		}
		if !x.touched {
			l.endLocked(x)
		}
		x.touched = false
	}
	l.mu.Unlock()
	l.reap()
}

// reap closes the files of extents that take nothing more, gives the space back that
// they did not use, and lets go of those that are in no segment. What the journal
// may name of those stays in their file until the next checkpoint but one: that one's
// state has all that was applied up to now. The caller has the turn.
func (l *Log) reap() {
	l.mu.Lock()
	var done, gone []*extent
	l.extents.loose = slices.DeleteFunc(l.extents.loose, func(x *extent) bool {
		if !x.ended || x.writes > 0 {
			return false
		}
		if !x.closed {
			x.closed = true
			done = append(done, x)
		}
		if x.waiting == 0 && !x.linked {
			delete(l.extents.live, x.no)
			gone = append(gone, x)
			return true
		}
		return x.linked
	})
	l.mu.Unlock()
	for _, x := range done {
		if err := x.file.Truncate(x.end); err != nil {
			l.v.log.Warn("space of an extent not given back", "file", l.path(segmentName(x.no)), "error", err)
		}
		closeAll([]vfs.File{x.file})
		l.v.extentsOpen.Add(-1)
	}
	for _, x := range gone {
		if x.end == extentStart || x.covered {
			l.out.garbage = append(l.out.garbage, segmentName(x.no))
		} else {
			l.extents.dying = append(l.extents.dying, segmentName(x.no))
		}
	}
}

// trimExtent says whether a segment that a durable checkpoint trimmed is an extent of
// which all was linked, and lets go of it: the state has all that the journal names
// there.
func (l *Log) trimExtent(no uint64) bool {
	l.mu.Lock()
	x := l.extents.live[no]
	whole := x != nil && !x.broken && x.waiting == 0
	if whole {
		l.endLocked(x)
		x.covered = true
		l.unlinkLocked(x)
	}
	l.mu.Unlock()
	if whole {
		l.reap()
	}
	return whole
}

// unlinkLocked notes that an extent is no segment any more.
func (l *Log) unlinkLocked(x *extent) {
	if x.linked {
		x.linked = false
		l.extents.loose = append(slices.DeleteFunc(l.extents.loose, func(o *extent) bool { return o == x }), x)
	}
}

// keepExtent says whether a file that is no segment any more is an extent's: that
// goes by reap.
func (l *Log) keepExtent(name string) bool {
	no, _ := segmentNumber(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.extents.live[no]
	if x == nil {
		return false
	}
	l.unlinkLocked(x)
	l.breakLocked(x)
	return true
}

// shutExtents closes the files of a log that is closed. One that is being written is
// closed by its last writer. The caller has the turn.
func (l *Log) shutExtents() {
	l.mu.Lock()
	var done, unused []*extent
	for _, x := range l.extents.live {
		l.endLocked(x)
		if x.end == extentStart {
			unused = append(unused, x)
		}
		if x.writes == 0 && !x.closed {
			x.closed = true
			done = append(done, x)
		}
	}
	open := len(done)
	l.mu.Unlock()
	l.v.extentsOpen.Add(int64(-open))
	for _, x := range done {
		if err := x.file.Truncate(x.end); err != nil {
			l.v.log.Warn("space of an extent not given back", "file", l.path(segmentName(x.no)), "error", err)
		}
		closeAll([]vfs.File{x.file})
	}
	for _, x := range unused {
		if err := l.v.fs.Remove(l.path(segmentName(x.no))); err != nil {
			l.v.log.Warn("remove unused extent", "file", l.path(segmentName(x.no)), "error", err)
		}
	}
}
