package seglog

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
)

// Remade is what a manifest was made of.
type Remade struct {
	First, Last uint64 // sequences of the records that were found
	Records     uint64
	// Unread are the files in which frames may lie that cannot be read, behind all that
	// can: how many sequences that costs is not known.
	Unread []string
}

// Remake writes the manifest of a log anew, without the owner's state, from the
// frames that its segments hold. What was trimmed but is in a segment still comes
// back. before is called with the manifest's name before it is written. Nobody has
// the log open.
func (v *Volume) Remake(id record.Identity, before func(file string) error) (*Remade, error) {
	l := newLog(v, id)
	names, err := v.fs.List(l.dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		if no, ok := segmentNumber(name); ok {
			numbers = append(numbers, no)
		}
	}
	slices.SortFunc(numbers, cmp.Compare[uint64])
	m := &manifest{id: id, first: 1, next: 1}
	out := &Remade{}
	var found []measured
	for _, no := range numbers {
		m.next = no + 1
		f, err := l.measure(no)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", l.path(segmentName(no)), err)
		}
		if !f.whole {
			out.Unread = append(out.Unread, l.path(segmentName(no)))
		}
		if f.segment != nil {
			found = append(found, f)
		}
	}
	for _, f := range inOrder(found) {
		seg := f.segment
		if seg.last <= m.last || len(m.segments) > 0 && seg.base < m.segments[len(m.segments)-1].base {
			continue // written again after a crash
		}
		m.segments = append(m.segments, seg)
		m.last = seg.last
		out.Records += seg.count
	}
	if len(m.segments) > 0 {
		m.first = m.segments[0].base
	}
	out.First, out.Last = m.first, m.last
	if err := before(l.path(manifestName)); err != nil {
		return nil, err
	}
	return out, l.writeManifest(m)
}

// measured is a segment's file of which no manifest tells.
type measured struct {
	*segment          // what a manifest would say of it; nil if it has no frame
	whole    bool     // there is nothing behind its frames but a footer
	of       seqRange // what it was made from, if it was rewritten
}

// inOrder gives segments by sequence, without those in whose place a rewritten one is,
// and without rewritten ones that were not completed, as long as what they were made
// from is there.
func inOrder(all []measured) []measured {
	out := slices.DeleteFunc(slices.Clone(all), func(s measured) bool {
		return slices.ContainsFunc(all, func(o measured) bool {
			return o.replaces(s) && o.footer > 0 || s.replaces(o) && s.footer == 0
		})
	})
	slices.SortStableFunc(out, func(a, b measured) int { return cmp.Compare(a.base, b.base) })
	return out
}

// replaces says whether s was made from o, among others.
func (s measured) replaces(o measured) bool {
	return s.of.last > 0 && s.no > o.no && o.base >= s.of.first && o.last <= s.of.last
}

// measure finds out what is in a segment's file.
func (l *Log) measure(no uint64) (m measured, err error) {
	f, err := l.v.fs.OpenRead(l.path(segmentName(no)))
	if err != nil {
		return m, err
	}
	size, err := f.Size()
	if err != nil {
		return m, errors.Join(err, f.Close())
	}
	m.segment, err = l.survey(f, no, size)
	if err == nil && m.segment != nil {
		var head [segmentHeader]byte
		if n, _ := f.ReadAt(head[:], 0); n == len(head) {
			m.of = rewrittenOf(head[:])
		}
		m.whole, err = l.behind(f, m.segment, size)
	}
	m.whole = m.whole || size <= segmentHeader
	return m, errors.Join(err, f.Close())
}

// survey walks through the frames of a file of which nothing is known.
func (l *Log) survey(f io.ReaderAt, no uint64, size int64) (*segment, error) {
	open := &segment{no: no, base: 1, last: math.MaxUint64 - 1, length: size, sealed: true, gone: new(atomic.Bool)}
	if err := l.layOut(f, open, size); err != nil || open.length <= segmentHeader {
		return nil, err
	}
	w := walker{l: l, seg: open, next: segmentHeader}
	defer w.win.reset()
	x := newIndexer()
	seg := *open
	seg.length = 0
	for {
		ok, err := w.frameFor(w.prev + 1)
		if d := damageOf(err); d != nil {
			if d.Last == open.last {
				break // there is no frame behind it
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if seg.length == 0 {
			seg.base = w.frame.Base
		}
		x.add(&w.frame, w.off)
		seg.last, seg.length = w.frame.Last(), w.next
	}
	if seg.length == 0 {
		return nil, nil
	}
	seg.count, seg.maxTime = x.count, x.maxTime
	if seg.layout == layoutBlocks {
		seg.length = open.length // whole blocks
	}
	return &seg, nil
}

// layOut finds out how a file holds its frames, and how many bytes of them.
func (l *Log) layOut(f io.ReaderAt, seg *segment, size int64) error {
	var head [4 + atrest.BlockHead]byte
	var b [segmentHeader]byte
	n, err := f.ReadAt(b[:], 0)
	if n < len(b) {
		seg.length = 0
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	}
	n, err = f.ReadAt(head[:4], segmentHeader)
	if n < 4 || string(head[:4]) != atrest.BlockMagic {
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if b[9] != layoutBlocks {
			return nil
		}
	}
	seg.layout, seg.stored, seg.length = layoutBlocks, size, maxSegment
	table, err := scanBlocks(f, l.context(seg.no), seg)
	if err != nil {
		return err
	}
	if len(table) == 0 {
		seg.length = 0
		return nil
	}
	last := table[len(table)-1]
	if _, err := f.ReadAt(head[:atrest.BlockHead], last.at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h, err := atrest.ParseHead(head[:atrest.BlockHead], l.context(seg.no))
	if err != nil {
		return err
	}
	seg.length, seg.stored = h.Place+int64(h.Plain), last.at+h.Len()
	return nil
}

// behind looks at what is behind a segment's frames: its footer, or nothing.
func (l *Log) behind(f io.ReaderAt, seg *segment, size int64) (whole bool, err error) {
	if size <= seg.end() {
		return true, nil
	}
	b := make([]byte, size-seg.end())
	if n, err := f.ReadAt(b, seg.end()); n < len(b) {
		return false, err
	}
	rest := b[:int64(len(b))-rosterLen(b, int64(len(b)))]
	if _, _, err := l.parseFooters(rest, seg); err == nil {
		seg.footer = int64(len(b))
		return true, nil
	}
	for _, c := range b {
		if c != 0 {
			return false, nil
		}
	}
	return true, nil
}
