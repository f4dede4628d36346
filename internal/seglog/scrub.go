package seglog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weirmq/weir/internal/record"
)

// Verify reads the log's files once and verifies its manifest, the headers,
// frames and records of its segments, and their footers. found gets each damaged
// place; where no sequence is lost its First and Last are 0. The result counts
// the bytes of the segments read. It takes no lock that a writer holds during
// I/O, and may run beside all other methods. It ends early with ctx's error or
// another failure to read.
func (l *Log) Verify(ctx context.Context, found func(*DamageError)) (int64, error) {
	return l.verify(ctx, func(int64) {}, found)
}

// verify is Verify; pace is told the bytes read since its last call and may wait.
func (l *Log) verify(ctx context.Context, pace func(int64), found func(*DamageError)) (int64, error) {
	if err := l.verifyManifest(found); err != nil {
		return 0, err
	}
	l.mu.Lock()
	segments := l.segments
	l.mu.Unlock()
	var bytes int64
	for _, seg := range segments {
		err := l.verifySegment(ctx, seg, pace, found)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return bytes, fmt.Errorf("verify %s: %w", l.path(segmentName(seg.no)), err)
		}
		bytes += seg.length + seg.footer
	}
	return bytes, nil
}

func (l *Log) verifyManifest(found func(*DamageError)) error {
	b, err := l.readManifest()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was written yet; OpenLog refuses segments without one
	}
	if err == nil {
		_, err = parseManifest(b)
	} else if !errors.Is(err, record.ErrDamaged) {
		return fmt.Errorf("read manifest: %w", err)
	}
	if err != nil {
		found(&DamageError{File: l.path(manifestName), Length: int64(len(b)), Err: err})
	}
	return nil
}

func (l *Log) verifySegment(ctx context.Context, seg *segment, pace func(int64), found func(*DamageError)) error {
	if err := l.verifyFrames(ctx, seg, pace, found); err != nil {
		return err
	}
	h, err := l.v.files.acquire(l, seg)
	if errors.Is(err, record.ErrDamaged) {
		return nil // its frames told
	}
	if err != nil {
		return err
	}
	defer l.v.files.release(h)
	name := l.path(segmentName(seg.no))
	var head [segmentHeader]byte
	if n, _ := h.file.ReadAt(head[:], 0); n == len(head) {
		if _, _, _, err := parseSegmentHeader(head[:]); err != nil {
			found(&DamageError{File: name, Length: segmentHeader, Err: err})
		}
	}
	if seg.footer == 0 {
		return nil
	}
	b := make([]byte, seg.footer)
	if n, err := h.file.ReadAt(b, seg.end()); n < len(b) {
		found(&DamageError{File: name, Offset: seg.end(), Err: fmt.Errorf("footer is short: %w", errors.Join(record.ErrDamaged, err))})
		return nil
	}
	rest := b[:seg.footer-rosterLen(b, seg.footer)]
	if _, _, err := l.parseFooters(rest, seg); err != nil {
		found(&DamageError{File: name, Offset: seg.end(), Err: err})
		return nil
	}
	return l.verifyRoster(seg, b[len(rest):], found)
}

func (l *Log) verifyFrames(ctx context.Context, seg *segment, pace func(int64), found func(*DamageError)) error {
	w := walker{l: l, seg: seg, next: segmentHeader, prev: seg.base - 1, all: true}
	defer w.win.reset()
	var t tally
	for at, prev := w.next, w.prev; ctx.Err() == nil; at, prev = w.next, w.prev {
		ok, err := w.frameFor(w.prev + 1)
		if d := damageOf(err); d != nil {
			t.lost = t.lost || d.Last > 0
			found(d)
			continue
		}
		if err != nil {
			return err
		}
		if !ok {
			t.check(&w, found)
			return nil
		}
		t.add(&w, prev)
		if err := w.verifyRecords(found); err != nil {
			return err
		}
		pace(w.next - at)
	}
	return ctx.Err()
}

// maxJumps is how many places a tally remembers at which sequences are left out.
const maxJumps = 64

// tally counts the records of a segment. Zeros in the place of whole frames look
// like the gap that may be between two: only their number tells.
type tally struct {
	records uint64
	lost    bool // damage was found that explains a difference
	jumps   []jump
}

// jump is a place at which sequences are left out.
type jump struct {
	off         int64
	first, last uint64
}

// add counts the walker's frame, before which sequence prev was.
func (t *tally) add(w *walker, prev uint64) {
	t.records += uint64(w.frame.Count)
	if w.frame.Base > prev+1 && len(t.jumps) < maxJumps {
		t.jumps = append(t.jumps, jump{w.off, prev + 1, w.frame.Base - 1})
	}
}

// check compares the count with what the log knows of the segment.
func (t *tally) check(w *walker, found func(*DamageError)) {
	if t.lost || t.records == w.seg.count {
		return
	}
	err := fmt.Errorf("%d records where %d were written: %w", t.records, w.seg.count, record.ErrDamaged)
	for _, j := range t.jumps {
		found(damageOf(w.damage(j.off, 0, j.first, j.last, err)))
	}
	if len(t.jumps) == 0 {
		found(damageOf(w.damage(segmentHeader, 0, 0, 0, err)))
	}
}

// verifyRecords verifies the records of the current frame.
func (w *walker) verifyRecords(found func(*DamageError)) error {
	var v record.View
	for i := range int(w.frame.Count) {
		b, err := w.content(i)
		if err == nil {
			err = w.frame.OpenTo(&v, i, b)
		}
		if d := damageOf(w.failed(i, err)); d != nil {
			found(d)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Scrub verifies all open logs once, at most rate bytes a second, and gives each
// damaged place to found. Several calls see the same damage again; OnDamage does
// not. It holds no file and no lock while it waits, and ends early with ctx's
// error. A log that cannot be read is left to the next call; the result joins such
// errors.
func (v *Volume) Scrub(ctx context.Context, rate int64, found func(*Log, *DamageError)) error {
	p := pacer{rate: float64(max(rate, 1))}
	pace := func(n int64) {
		v.scrubbed.Add(uint64(n))
		p.read(ctx, n, scrubStep)
	}
	v.mu.Lock()
	logs := make([]*Log, 0, len(v.logs))
	for _, l := range v.logs {
		logs = append(logs, l)
	}
	v.mu.Unlock()
	var errs []error
	for _, l := range logs {
		_, err := l.verify(ctx, pace, func(d *DamageError) {
			v.tell(l, d)
			found(l, d)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	p.read(ctx, 0, 0)
	return errors.Join(errs...)
}

// Scrubbed is how many bytes Scrub has verified since the volume was opened.
func (v *Volume) Scrubbed() uint64 { return v.scrubbed.Load() }

// scrubStep is the shortest wait of a scrub: a timer for each small frame would
// cost more than reading it.
const scrubStep = 10 * time.Millisecond

// pacer waits for what was read faster than its rate, in bytes a second.
type pacer struct {
	rate float64
	owed time.Duration
}

// read counts n bytes, and waits once least is owed.
func (p *pacer) read(ctx context.Context, n int64, least time.Duration) {
	p.owed += time.Duration(float64(n) / p.rate * float64(time.Second))
	if p.owed <= 0 || p.owed < least {
		return
	}
	timer := time.NewTimer(p.owed)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	p.owed = 0
}
