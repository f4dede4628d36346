package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Checkpoint makes everything appended before the call durable and saves state
// with it, which it copies; the two and the trims before the call become durable
// together. State gives it back from then on, and after a restart OpenLog does.
// If it fails for want of space or on a write, it may be called again. After a
// failed sync it fails for good: what is in the file system's cache cannot be
// trusted. Calls come one at a time.
func (l *Log) Checkpoint(state []byte) error {
	mark := l.mark()
	l.turn.Lock()
	defer l.turn.Unlock()
	err := l.checkpoint(mark, bytes.Clone(state))
	l.mu.Lock()
	l.hold = 0
	l.trimTailLocked()
	ask := l.unflushed >= l.v.flushBytes && !l.queued && !l.closed
	l.queued = l.queued || ask
	l.mu.Unlock()
	l.v.report(l, err)
	if ask {
		l.v.enqueue(l)
	}
	return err
}

// mark is what a checkpoint covers.
type mark struct{ first, last, resets uint64 }

func (l *Log) mark() mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = l.last.Load()
	return mark{l.first.Load(), l.hold, l.resets}
}

func (l *Log) checkpoint(k mark, state []byte) error {
	l.mu.Lock()
	closed := l.closed
	if l.resets != k.resets {
		k = mark{l.first.Load(), l.last.Load(), l.resets}
	}
	l.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if _, err := l.flush(k.last, maxSegment); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	l.endIdle()
	if err := l.syncFiles(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	m, trimmed := l.manifest(k, state)
	var err error
	if l.out.born {
		err = l.writeManifest(m)
	} else {
		err = l.birth(m)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	l.settle(m, trimmed)
	return nil
}

// syncFiles makes all that was written durable, and the names of new files.
func (l *Log) syncFiles() error {
	if l.out.failed != nil {
		return l.out.failed
	}
	for _, no := range slices.Sorted(maps.Keys(l.out.files)) {
		if err := l.out.files[no].Datasync(); err != nil {
			return l.fail("sync segment", err)
		}
	}
	if l.out.names {
		if err := l.v.fs.SyncDir(l.dir); err != nil {
			return l.fail("sync directory", err)
		}
		l.out.names = false
	}
	return nil
}

// fail notes a failed sync. The log's files are never synced again.
func (l *Log) fail(what string, err error) error {
	l.out.failed = fmt.Errorf("%s, nothing more becomes durable: %w", what, err)
	return l.out.failed
}

// manifest says what is durable now, and which segments it leaves out.
func (l *Log) manifest(k mark, state []byte) (*manifest, []*segment) {
	m := &manifest{id: l.id, first: k.first, last: k.last, next: l.out.next, state: state}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := 0
	for i < len(l.segments) && l.segments[i].last < k.first {
		i++
	}
	m.segments = l.segments[i:]
	if n := len(m.segments); n > 0 {
		m.last = max(m.last, m.segments[n-1].last)
	}
	return m, l.segments[:i]
}

// birth makes the log's directory with its first manifest. It is durable before
// there is a segment, so that segments without a manifest are always damage.
func (l *Log) birth(m *manifest) error {
	if l.out.born {
		return nil
	}
	if err := l.v.fs.MkdirAll(l.dir); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := l.writeManifest(m); err != nil {
		return err
	}
	if err := l.v.fs.SyncDir(l.v.streams); err != nil {
		return l.fail("sync directory", err)
	}
	l.out.born = true
	return nil
}

// writeManifest replaces the manifest, durably.
func (l *Log) writeManifest(m *manifest) error {
	temp := l.path(manifestTemp)
	f, err := l.v.fs.Create(temp)
	if errors.Is(err, fs.ErrExist) {
		if err := l.v.fs.Remove(temp); err != nil {
			return fmt.Errorf("remove an unfinished manifest: %w", err)
		}
		f, err = l.v.fs.Create(temp)
	}
	if err != nil {
		return fmt.Errorf("create manifest: %w", err)
	}
	if _, err := f.WriteAt(l.sealManifest(appendManifest(nil, m)), 0); err != nil {
		return fmt.Errorf("write manifest: %w", errors.Join(err, f.Close()))
	}
	if err := f.Sync(); err != nil {
		return l.fail("sync manifest", errors.Join(err, f.Close()))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close manifest: %w", err)
	}
	if err := l.v.fs.Rename(temp, l.path(manifestName)); err != nil {
		return fmt.Errorf("rename manifest: %w", err)
	}
	if err := l.v.fs.SyncDir(l.dir); err != nil {
		return l.fail("sync directory", err)
	}
	return nil
}

// settle lets go of what the durable manifest m does not name.
func (l *Log) settle(m *manifest, trimmed []*segment) {
	l.mu.Lock()
	l.segments, l.state = m.segments, m.state
	l.mu.Unlock()
	pending := l.out.files[l.out.pending]
	delete(l.out.files, l.out.pending)
	l.out.closeFiles()
	if pending != nil {
		l.out.add(l.out.pending, pending)
	}
	for _, s := range trimmed {
		l.discard(s)
		if !l.trimExtent(s.no) {
			l.out.garbage = append(l.out.garbage, segmentName(s.no))
		}
	}
	l.out.garbage = slices.DeleteFunc(l.out.garbage, func(name string) bool {
		if l.keepExtent(name) {
			return true
		}
		err := l.v.fs.Remove(l.path(name))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return true
		}
		l.v.log.Warn("trimmed segment stays for now", "file", l.path(name), "error", err)
		return false
	})
	l.out.garbage = append(l.out.garbage, l.extents.dying...)
	l.extents.dying = nil
}
