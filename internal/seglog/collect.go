package seglog

import (
	"fmt"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/roster"
)

const (
	// collectMost is how many bytes the collectors of a volume take together, beyond
	// those that take collectFree at most.
	collectMost = 64 << 20
	collectFree = 4 << 10
	// mostRoster is the longest roster in a file: an encrypted one has a head for each
	// block.
	mostRoster = roster.MaxLen + (roster.MaxLen/atrest.MaxBlock+1)*(atrest.BlockHead+atrest.Overhead)
)

// collector gathers the subjects of the segment that a log writes, while its frames go
// by. What it has missed it forgets whole: then the segment is read when it is sealed.
type collector struct {
	no   uint64          // of the segment; 0: none
	b    *roster.Builder // nil: it was given up, or the roster is made
	size int64           // of b, as the volume counts it
	made bool            // roster is what the footer gets
	// roster is kept until the footer is written.
	roster []byte
}

// begin starts with a segment that has no frame yet.
func (c *collector) begin(v *Volume, no uint64) {
	c.end(v)
	*c = collector{no: no, b: &roster.Builder{}}
}

// end forgets what was gathered.
func (c *collector) end(v *Volume) {
	v.collecting.Add(-c.size)
	*c = collector{}
}

// collect takes frames into account that were written behind seg, in memory still.
// whole says that they are all that was. The caller has the turn.
func (l *Log) collect(seg *segment, frames []*record.Frame, whole bool) {
	c := &l.out.collector
	if seg.length == 0 {
		c.begin(l.v, seg.no)
	}
	if c.no != seg.no {
		return
	}
	if c.b != nil && whole && addFrames(c.b, frames) == nil {
		size := c.b.Size()
		all := l.v.collecting.Add(size - c.size)
		c.size = size
		if size <= collectFree || all <= collectMost {
			return
		}
	}
	c.end(l.v)
}

// addFrames adds the records of frames with their areas.
func addFrames(b *roster.Builder, frames []*record.Frame) error {
	for _, f := range frames {
		n := int(f.Count)
		if f.Alike() {
			n = min(n, 1)
		}
		for i := range n {
			subject, err := f.Subject(i)
			if err != nil {
				return err
			}
			b.Add(subject, f.Seq(i))
			if n < int(f.Count) {
				b.Add(subject, f.Last())
			}
		}
	}
	return nil
}

// takeRoster gives the roster for the footer of a segment, as it is in the file; nil if
// there is none. It stays for another try.
func (l *Log) takeRoster(seg *segment) []byte {
	c := &l.out.collector
	if c.no == seg.no && c.made {
		return c.roster
	}
	var made []byte
	if c.no == seg.no && c.b != nil {
		made = l.appendRoster(c.b, seg.no)
	} else {
		made = l.readRoster(seg)
	}
	c.end(l.v)
	*c = collector{no: seg.no, made: true, roster: made}
	return made
}

// readRoster makes the roster of a segment from its frames; nil where one of them cannot
// be read: what it holds is not known.
func (l *Log) readRoster(seg *segment) []byte {
	var b roster.Builder
	if err := l.readSubjects(seg, &b); err != nil {
		l.v.log.Warn("subjects of a segment cannot be read", "file", l.path(segmentName(seg.no)), "error", err)
		return nil
	}
	return l.appendRoster(&b, seg.no)
}

func (l *Log) readSubjects(seg *segment, b *roster.Builder) error {
	w := walker{l: l, seg: seg, next: segmentHeader, prev: seg.base - 1}
	defer w.win.reset()
	var v record.View
	for {
		ok, err := w.frameFor(w.prev + 1)
		if err != nil || !ok {
			return err
		}
		for i := range int(w.frame.Count) {
			content, err := w.content(i)
			if err == nil {
				err = w.frame.OpenTo(&v, i, content)
			}
			if err = w.failed(i, err); err != nil {
				return err
			}
			b.Add(v.Subject, v.Seq)
		}
	}
}

// appendRoster gives a roster as it is in the file: where there is a key its subjects
// are nobody's business.
func (l *Log) appendRoster(b *roster.Builder, no uint64) []byte {
	context := l.context(no)
	plain := b.Append(nil, context)
	if l.v.keys == nil || len(plain) == 0 {
		return plain
	}
	sealer := l.v.keys.Sealer(rosterPurpose)
	var out []byte
	for at := 0; at < len(plain); {
		n := min(atrest.MaxBlock, len(plain)-at)
		out = atrest.AppendBlock(out, plain[at:at+n], int64(at), atrest.None, sealer, context)
		at += n
	}
	return out
}

// parseRoster is the inverse of appendRoster. It overwrites b and keeps it.
func (l *Log) parseRoster(b []byte, no uint64) (*roster.Roster, error) {
	context := l.context(no)
	if len(b) < len(atrest.BlockMagic) || string(b[:len(atrest.BlockMagic)]) != atrest.BlockMagic {
		return roster.Parse(b, context)
	}
	opener := l.v.keys.Opener(rosterPurpose)
	var plain []byte
	for len(b) > 0 {
		at := len(plain)
		out, h, err := opener.Block(plain, b, atrest.MaxBlock, context)
		if err != nil {
			return nil, damaged(err)
		}
		if h.Place != int64(at) {
			return nil, fmt.Errorf("order of the roster's blocks: %w", record.ErrDamaged)
		}
		plain, b = out, b[h.Len():]
	}
	return roster.Parse(plain, context)
}
