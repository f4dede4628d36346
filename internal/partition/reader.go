package partition

import (
	"errors"
	"io"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/subject"
)

// Skipper is a Store that knows of parts of the log which subjects are there.
type Skipper interface {
	// Skip says where to read on for the records that a filter stands for, from a
	// sequence on: there are none before first, and up to last nothing more is known.
	// Where last is below first one asks again at once, from first.
	Skip(f *subject.Filter, from uint64) (first, last uint64)
	// SkipBack says where those records may be that are the last up to a sequence: in a
	// range or below it. ok is false if there are none.
	SkipBack(f *subject.Filter, upTo uint64) (first, last uint64, ok bool)
}

// filler is a Cursor that decodes its records where they are wanted: a view is large.
// NextTo is Next; v is not to be used if it fails.
type filler interface {
	NextTo(v *record.View) error
}

// Reader walks the visible records in order. It is used by one goroutine.
type Reader struct {
	p    *Partition
	c    Cursor
	to   filler // c, if it is one
	next uint64
	view record.View // what Next gave; a view of its own would be allocated each time

	// What is to be found, and who knows where it is not; nil: all, or nobody.
	filter *subject.Filter
	skip   Skipper
	asked  uint64 // up to where there is nothing to ask
}

// Reader returns a reader from a sequence on. It must be closed.
func (p *Partition) Reader(from uint64) *Reader {
	from = max(from, p.First())
	r := &Reader{p: p, c: p.store.Cursor(from), next: from}
	r.to, _ = r.c.(filler)
	return r
}

// ReaderOf returns a reader that gives all the visible records that a filter stands for,
// and may give others: it passes over parts of the log in which there are none, as far as
// the store knows them.
func (p *Partition) ReaderOf(f *subject.Filter, from uint64) *Reader {
	r := p.Reader(from)
	if !f.Broad() {
		r.filter = f
		r.skip, _ = p.store.(Skipper)
	}
	return r
}

// Skip passes over what holds nothing that is looked for, as far as little effort shows
// it; more says that there may be more of that. Next does so by itself, to the end.
func (r *Reader) Skip() (more bool) {
	if r.skip == nil || r.next <= r.asked {
		return false
	}
	committed := r.p.committed.Load()
	if r.next > committed {
		return false
	}
	first, last := r.skip.Skip(r.filter, r.next)
	r.asked = last
	if first = min(first, committed+1); first > r.next {
		r.seek(first)
	}
	return r.next > last && r.next <= committed
}

// Next returns the next visible record, whose bytes are valid until the next
// call; io.EOF at the end, after which it may be called again. A
// damaged record gives its error once and is passed over then.
func (r *Reader) Next() (record.View, error) {
	err := r.NextTo(&r.view)
	if err != nil {
		r.view = record.View{}
	}
	return r.view, err
}

// NextTo is Next into v, which is not to be used if it fails.
func (r *Reader) NextTo(v *record.View) error {
	for {
		if first := r.p.first.Load(); r.next < first {
			r.seek(first)
		}
		for r.skip != nil && r.Skip() {
		}
		if r.next > r.p.committed.Load() {
			return io.EOF
		}
		if err := r.read(v); err != nil {
			if !errors.Is(err, io.EOF) {
				r.seek(r.next + 1)
			}
			return err
		}
		if v.Seq > r.p.committed.Load() {
			r.c.Seek(r.next)
			return io.EOF
		}
		r.next = v.Seq + 1
		if r.p.Live(v.Seq) {
			return nil
		}
	}
}

func (r *Reader) read(v *record.View) (err error) {
	if r.to != nil {
		return r.to.NextTo(v)
	}
	*v, err = r.c.Next()
	return err
}

// Position is the sequence from which Next looks.
func (r *Reader) Position() uint64 { return r.next }

// Seek moves the reader.
func (r *Reader) Seek(seq uint64) {
	r.asked = 0
	r.seek(seq)
}

func (r *Reader) seek(seq uint64) {
	r.next = seq
	r.c.Seek(seq)
}

// Close ends the use of the reader.
func (r *Reader) Close() { r.c.Close() }
