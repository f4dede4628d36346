package subjects

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/vfs"
)

// writeBytes is the length of a write to a run.
const writeBytes = 256 << 10

// writer writes one run. Nothing of it counts before finish returns.
type writer struct {
	s     *Set
	f     vfs.File
	head  head
	block blockWriter
	index indexWriter
	buf   []byte // not yet written; it ends at off
	off   int64
	pace  Pace
	last  []byte
}

func (s *Set) newWriter(no uint64, pace Pace) (*writer, error) {
	f, err := s.o.FS.Create(s.path(no))
	if err != nil {
		return nil, fmt.Errorf("create run: %w", err)
	}
	w := &writer{s: s, f: f, head: head{id: s.o.ID, no: no}, off: headLen, pace: pace}
	w.buf = append(make([]byte, 0, writeBytes+maxBlock/4), make([]byte, headLen)...)
	w.block.reset()
	return w, nil
}

// add takes the next subject, which lies behind all others.
func (w *writer) add(name []byte, e *Entry) error {
	if len(name) > MaxSubject {
		return fmt.Errorf("subject of %d bytes", len(name))
	}
	if w.head.entries > 0 && bytes.Compare(name, w.last) <= 0 {
		return fmt.Errorf("subject %q does not follow %q", name, w.last)
	}
	if err := e.valid(); err != nil {
		return fmt.Errorf("entry of %q: %w", name, err)
	}
	w.last = append(w.last[:0], name...)
	w.block.add(name, e)
	w.head.entries++
	if len(w.block.b) >= blockBytes {
		return w.endBlock()
	}
	return nil
}

func (w *writer) endBlock() error {
	b := w.block.finish(w.head.no, w.off)
	w.index.add(w.block.first, len(b))
	if len(w.index.b) > maxIndex-2*MaxSubject {
		return errors.New("run is too long")
	}
	w.buf = append(w.buf, b...)
	w.off += int64(len(b))
	w.block.reset()
	if len(w.buf) >= writeBytes {
		return w.write()
	}
	return nil
}

func (w *writer) write() error {
	if w.pace != nil {
		if err := w.pace(len(w.buf)); err != nil {
			return err
		}
	}
	if _, err := w.f.WriteAt(w.buf, w.off-int64(len(w.buf))); err != nil {
		return fmt.Errorf("write run: %w", err)
	}
	w.buf = w.buf[:0]
	return nil
}

// finish makes the run durable, its name included, and closes the file.
func (w *writer) finish() (*run, error) {
	if w.block.count > 0 {
		if err := w.endBlock(); err != nil {
			return nil, err
		}
	}
	index := w.index.finish(w.head.no)
	w.head.indexOff, w.head.indexLen = w.off, int64(len(index))
	w.buf = append(w.buf, index...)
	w.off += int64(len(index))
	if err := w.write(); err != nil {
		return nil, err
	}
	h := w.head.encode()
	if _, err := w.f.WriteAt(h, 0); err != nil {
		return nil, fmt.Errorf("write head of run: %w", err)
	}
	if err := w.f.Sync(); err != nil {
		return nil, fmt.Errorf("sync run: %w", err)
	}
	f := w.f
	w.f = nil
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("close run: %w", err)
	}
	if err := w.s.o.FS.SyncDir(w.s.o.Dir); err != nil {
		return nil, fmt.Errorf("sync name of run: %w", err)
	}
	return &run{head: w.head, set: w.s, sum: binary.LittleEndian.Uint32(h[4:])}, nil
}

// abandon removes a run that is not finished. If that fails the next Open does.
func (w *writer) abandon() {
	if w.f != nil {
		closeRead(w.f)
	}
	_ = w.s.o.FS.Remove(w.s.path(w.head.no))
}
