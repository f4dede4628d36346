package seglog

import (
	"context"
	"errors"
	"fmt"
)

// Rebuild makes again what follows from the manifest and the frames, where it is
// damaged: headers and footers of segments, and the zeros between frames. before is
// called with a file's name before that is changed for the first time. It gives
// what was made again. Nobody else uses the log meanwhile.
func (l *Log) Rebuild(ctx context.Context, before func(file string) error) ([]string, error) {
	l.turn.Lock()
	defer l.turn.Unlock()
	r := rebuilder{l: l, before: before, kept: map[string]bool{}}
	l.mu.Lock()
	r.segments = append(r.segments, l.segments...)
	l.mu.Unlock()
	for i := range r.segments {
		if err := r.segment(ctx, i); err != nil {
			return r.done, fmt.Errorf("rebuild %s: %w", l.path(segmentName(r.segments[i].no)), err)
		}
	}
	if !r.manifest {
		return r.done, nil
	}
	if err := r.touch(manifestName); err != nil {
		return r.done, err
	}
	l.mu.Lock()
	l.segments = r.segments
	m := &manifest{id: l.id, first: l.first.Load(), last: l.last.Load(), next: l.out.next, segments: l.segments, state: l.state}
	l.mu.Unlock()
	return r.done, l.writeManifest(m)
}

// rebuilder rebuilds one log.
type rebuilder struct {
	l        *Log
	before   func(file string) error
	kept     map[string]bool
	segments []*segment
	manifest bool // it has to be written, too
	done     []string
}

// touch says that a file is about to be changed.
func (r *rebuilder) touch(name string) error {
	if r.kept[name] {
		return nil
	}
	r.kept[name] = true
	return r.before(r.l.path(name))
}

func (r *rebuilder) segment(ctx context.Context, i int) error {
	seg := r.segments[i]
	var bad []*DamageError
	err := r.l.verifySegment(ctx, seg, func(int64) {}, func(d *DamageError) {
		if d.Last == 0 {
			bad = append(bad, d)
		}
	})
	if err != nil {
		return err
	}
	for _, d := range bad {
		switch {
		case d.Offset == 0:
			b := appendSegmentHeader(nil, r.l.id, seg.no, seg.base, seg.layout)
			err = r.put(seg, 0, b, -1, "header")
		case seg.footer > 0 && d.Offset >= seg.end():
			err = r.footer(i)
		case seg.layout == layoutFrames && d.Length > 0 && d.Length < gapAlign && (d.Offset+d.Length)%gapAlign == 0:
			err = r.put(seg, d.Offset, make([]byte, d.Length), -1, "zeros between frames")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// footer makes the index of a segment again.
func (r *rebuilder) footer(i int) error {
	grown := *r.segments[i]
	seg := &grown
	footer := seg.footer
	seg.footer = 0
	r.l.v.files.forget(fileKey{r.l.id, seg.no})
	x, err := r.l.scan(seg)
	if err != nil {
		return err
	}
	if seg.layout == layoutBlocks {
		if seg.blocks, err = r.l.openTable(seg); err != nil {
			return err
		}
	}
	seg.index = x.entries
	b := r.l.appendFooters(seg, r.l.readRoster(seg))
	seg.index, seg.blocks = nil, nil
	if err := r.put(seg, seg.end(), b, seg.end()+int64(len(b)), "footer"); err != nil {
		return err
	}
	seg.footer = int64(len(b))
	r.manifest = r.manifest || seg.footer != footer
	r.segments[i] = seg
	return nil
}

// put writes a part of a segment's file, durably, and cuts the file at end, if that
// is not negative.
func (r *rebuilder) put(seg *segment, off int64, b []byte, end int64, what string) error {
	name := segmentName(seg.no)
	if err := r.touch(name); err != nil {
		return err
	}
	f, err := r.l.v.fs.OpenWrite(r.l.path(name))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	if err == nil && end >= 0 {
		err = f.Truncate(end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	r.l.v.files.forget(fileKey{r.l.id, seg.no})
	r.done = append(r.done, fmt.Sprintf("%s: %s", r.l.path(name), what))
	return nil
}
