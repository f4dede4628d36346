package seglog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/record"
)

// walker goes through the frames of one segment. It is used by one goroutine.
type walker struct {
	l   *Log
	seg *segment
	win window

	next int64  // offset of the frame after the current one
	prev uint64 // last sequence before next, as far as known
	all  bool   // damage that costs no sequence is an error, too

	frame   record.Frame // the current one; Area is not set
	off     int64        // its offset
	area    int64        // offset of its area
	headBuf []byte       // its head, if the frame is larger than a block

	forward bool     // it goes on: what follows is read ahead where that helps
	coming  []*piece // what is being read ahead, in order
	claim   struct {
		no uint64 // a segment, and whether this walker reads it past the page cache
		is bool
	}
}

// leave gives the memory back and forgets the segment.
func (w *walker) leave() {
	w.dropComing()
	w.win.reset()
	w.seg, w.headBuf = nil, nil
}

// start puts the walker in front of the first frame of seg that may hold seq.
func (w *walker) start(seg *segment, seq uint64) error {
	if w.seg == nil || w.seg.no != seg.no {
		w.dropComing()
		w.win.n, w.win.bads = 0, nil
	}
	w.seg = seg
	w.next, w.prev = segmentHeader, seg.base-1
	if seg.length <= indexEvery || seq <= seg.base {
		return nil
	}
	index, err := w.l.index(seg)
	if err != nil {
		if errors.Is(err, record.ErrDamaged) {
			return nil // found again, with its place, where the frames are read
		}
		return err
	}
	if e, ok := findSeq(index, seq); ok && e.off < seg.length {
		w.next, w.prev = e.off, e.seq-1
	}
	return nil
}

// frameFor makes the first frame that holds seq or more the current one, from
// the present one on; ok is false at the end of the segment. After a
// DamageError the walker is behind the damage. Any other error leaves it where
// it was.
func (w *walker) frameFor(seq uint64) (ok bool, err error) {
	for w.next < w.seg.length {
		off, err := w.skipGap(w.next)
		if err != nil {
			return false, err
		}
		total, err := w.load(off)
		if err != nil {
			if !errors.Is(err, record.ErrDamaged) {
				return false, err
			}
			if err := w.pass(off, seq, err); err != nil {
				return false, err
			}
			continue
		}
		w.off, w.next, w.prev = off, off+total, w.frame.Last()
		if w.prev >= seq {
			return true, nil
		}
	}
	if w.prev < w.seg.last {
		first := max(seq, w.prev+1)
		w.prev = w.seg.last
		if first <= w.seg.last {
			return false, w.damage(w.seg.length, 0, first, w.seg.last, fmt.Errorf("frames are missing: %w", record.ErrDamaged))
		}
	}
	return false, nil
}

// skipGap gives where the frame behind off begins: there, or at the next block if
// zeros lead to it.
func (w *walker) skipGap(off int64) (int64, error) {
	next := (off + gapAlign - 1) &^ (gapAlign - 1)
	if next == off || next >= w.seg.length {
		return off, nil
	}
	b, err := w.at(off, int(next-off))
	if errors.Is(err, record.ErrDamaged) {
		return off, nil // said where the frame is read
	}
	if err != nil {
		return 0, err
	}
	for _, c := range b {
		if c != 0 {
			return off, nil
		}
	}
	return next, nil
}

// pass goes behind the damaged frame at off. It gives the error to report, if
// sequences from seq on are lost.
func (w *walker) pass(off int64, seq uint64, cause error) error {
	next, base, err := w.resync(off)
	if err != nil {
		return err
	}
	first := max(seq, w.prev+1)
	w.next, w.prev = next, max(w.prev, base-1)
	if first < base {
		return w.damage(off, next-off, first, base-1, cause)
	}
	if w.all {
		return w.damage(off, next-off, 0, 0, cause)
	}
	return nil
}

func (w *walker) damage(off, length int64, first, last uint64, cause error) error {
	if w.seg.layout != layoutFrames {
		off, length, cause = w.blame(off, length, cause)
	}
	e := &DamageError{File: w.l.path(segmentName(w.seg.no)), Offset: off, Length: length, First: first, Last: last, Err: cause}
	w.l.v.tell(w.l, e)
	return e
}

// load reads and verifies the head of the frame at off. It gives the frame's
// length.
func (w *walker) load(off int64) (int64, error) {
	h, head, err := w.header(off)
	if err != nil {
		return 0, err
	}
	total := int64(head) + int64(h.AreaLen)
	var b []byte
	if total <= blockLen {
		if b, err = w.at(off, int(total)); err != nil {
			return 0, err
		}
		b = b[:head]
	} else {
		if b, err = w.at(off, head); err != nil {
			return 0, err
		}
		w.headBuf = append(w.headBuf[:0], b...)
		b = w.headBuf
	}
	if err := record.VerifyHead(h, b); err != nil {
		return 0, err
	}
	w.frame.Header, w.frame.Head = h, b
	w.area = off + int64(head)
	return total, w.belongs(&w.frame)
}

// header reads the fixed part of the frame at off, which lies in the segment.
func (w *walker) header(off int64) (h record.Header, head int, err error) {
	if w.seg.length-off < record.HeaderLen {
		return h, 0, fmt.Errorf("frame of %d bytes: %w", w.seg.length-off, record.ErrDamaged)
	}
	b, err := w.at(off, record.HeaderLen)
	if err != nil {
		return h, 0, err
	}
	h, dir, err := record.ParseHeader(b)
	if err != nil {
		return h, 0, err
	}
	head = record.HeaderLen + dir
	if int64(head)+int64(h.AreaLen) > w.seg.length-off {
		return h, 0, fmt.Errorf("frame is longer than the segment: %w", record.ErrDamaged)
	}
	return h, head, nil
}

// belongs says whether a frame with a good head is one that this log wrote here.
func (w *walker) belongs(f *record.Frame) error {
	if f.Partition != w.l.id || f.Count == 0 {
		return fmt.Errorf("frame of partition %d-%d: %w", f.Partition.ID, f.Partition.Incarnation, record.ErrDamaged)
	}
	if last := f.Last(); last <= w.prev || last > w.seg.last || f.Base < w.seg.base {
		return fmt.Errorf("frame of sequences %d to %d after %d: %w", f.Base, last, w.prev, record.ErrDamaged)
	}
	return nil
}

// resync finds the first good frame after the bad one at off, and its base; the
// end of the segment if there is none. Where the bad head's lengths still lead
// to a frame they are believed; else the next head that verifies counts.
func (w *walker) resync(off int64) (int64, uint64, error) {
	if h, head, err := w.header(off); err == nil {
		next, err := w.skipGap(off + int64(head) + int64(h.AreaLen))
		if err != nil {
			return 0, 0, err
		}
		if base, ok, err := w.probe(next); ok || err != nil {
			return next, base, err
		}
	}
	for pos := off + 1; pos+record.HeaderLen <= w.seg.length; {
		_, err := w.at(pos, int(min(blockLen, w.seg.length-pos)))
		if err != nil && !errors.Is(err, record.ErrDamaged) {
			return 0, 0, err
		}
		b := w.win.rest(pos)
		i := bytes.Index(b, []byte(record.Magic))
		switch {
		case i >= 0:
			pos += int64(i)
			if base, ok, err := w.probe(pos); ok || err != nil {
				return pos, base, err
			}
			pos++
		case err != nil || len(b) < len(record.Magic):
			return w.seg.length, w.seg.last + 1, nil
		default:
			pos += int64(len(b) - len(record.Magic) + 1)
		}
	}
	return w.seg.length, w.seg.last + 1, nil
}

// probe says whether a good frame begins at off.
func (w *walker) probe(off int64) (base uint64, ok bool, err error) {
	h, head, err := w.header(off)
	var b []byte
	if err == nil {
		b, err = w.at(off, head)
	}
	if err == nil {
		err = record.VerifyHead(h, b)
	}
	if err == nil {
		err = w.belongs(&record.Frame{Header: h, Head: b})
	}
	if errors.Is(err, record.ErrDamaged) {
		return 0, false, nil
	}
	return h.Base, err == nil, err
}

// at gives n bytes at off of the segment's file. They lie in the window: the
// next call that loads replaces them.
func (w *walker) at(off int64, n int) ([]byte, error) {
	if b := w.win.held(off, n); b != nil {
		return b, nil
	}
	if w.adopt(off, n) {
		return w.win.held(off, n), nil
	}
	h, err := w.l.v.files.acquire(w.l, w.seg)
	if err != nil {
		return nil, err
	}
	if w.seg.layout == layoutFrames {
		err = w.win.fill(h.file, off, n, w.seg.length)
	} else {
		err = w.fillBlocks(h, off, n)
	}
	w.l.v.files.release(h)
	if err != nil {
		if !errors.Is(err, record.ErrDamaged) {
			err = fmt.Errorf("read segment at %d: %w", off, err)
		}
		return nil, err
	}
	w.readAhead()
	return w.win.held(off, n), nil
}

// content reads the bytes of record i of the current frame.
func (w *walker) content(i int) ([]byte, error) {
	off, n := w.frame.Span(i)
	if uint64(off)+uint64(n) > uint64(w.frame.AreaLen) {
		return nil, fmt.Errorf("place of record %d in its frame: %w", w.frame.Seq(i), record.ErrDamaged)
	}
	if n == 0 {
		return nil, nil
	}
	return w.at(w.area+int64(off), int(n))
}

// failed names the record that an error about its content is about.
func (w *walker) failed(i int, err error) error {
	if err == nil || !errors.Is(err, record.ErrDamaged) {
		return err
	}
	off, n := w.frame.Span(i)
	seq := w.frame.Seq(i)
	return w.damage(w.area+int64(off), int64(n), seq, seq, err)
}

// index gives the sparse index of a segment.
func (l *Log) index(seg *segment) ([]indexEntry, error) {
	if seg.indexed {
		return seg.index, nil
	}
	h, err := l.v.files.acquire(l, seg)
	if err != nil {
		return nil, err
	}
	defer l.v.files.release(h)
	if p := h.index.Load(); p != nil {
		return *p, nil
	}
	if seg.footer > 0 {
		b, err := readFooter(h.file, seg)
		if b != nil {
			index, _, err := l.parseFooters(b, seg)
			if err == nil {
				h.index.Store(&index)
				return index, nil
			}
			l.v.log.Warn("footer is damaged; frames are scanned", "file", l.path(segmentName(seg.no)), "error", err)
		} else {
			l.v.log.Warn("footer cannot be read; frames are scanned", "file", l.path(segmentName(seg.no)), "error", err)
		}
	}
	x, err := l.scan(seg)
	if err != nil {
		return nil, err
	}
	h.index.Store(&x.entries)
	return x.entries, nil
}

// scan builds the index of a segment from its frames. Damaged ones are left out.
func (l *Log) scan(seg *segment) (indexer, error) {
	x := newIndexer()
	w := walker{l: l, seg: seg, next: segmentHeader, prev: seg.base - 1}
	defer w.win.reset()
	for {
		ok, err := w.frameFor(w.prev + 1)
		switch {
		case damageOf(err) != nil:
		case err != nil:
			return x, err
		case !ok:
			return x, nil
		default:
			x.add(&w.frame, w.off)
		}
	}
}
