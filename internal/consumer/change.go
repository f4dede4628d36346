package consumer

import (
	"encoding/binary"
	"fmt"
)

// A change record is a list of facts. All numbers are uvarints unless said
// otherwise; seq, dseq and time are signed varints, minus the last one given in
// the record (first: minus 0):
//
//	version  1 byte
//	serial   the record's number; a state knows the last one it has
//	facts    until the end, each a kind (1 byte) and its fields:
//	  time           time                        for the facts that follow
//	  delivered      seq dseq n member           n messages, first delivery, pending
//	  done           seq dseq n                  n messages, delivered, no ack wanted
//	  redelivered    seq dseq count member
//	  acked          seq n
//	  acked through  seq                         and everything pending below it
//	  waits          seq time                    its wait began then
//	  exhausted      seq                         delivered as often as allowed
//	  dropped        seq                         it does not exist any more
//	  dropped below  seq                         nor anything before seq
//	  purged         seq                         that was a purge: the position moves
//	  scanned        seq                         next sequence to look at
//	  floor          seq dseq
//	  reset          seq                         everything as if it began there
const changeVersion = 1

const (
	factTime = iota + 1
	factDelivered
	factDone
	factRedelivered
	factAcked
	factAckedThrough
	factWaits
	factExhausted
	factDropped
	factDroppedBelow
	factPurged
	factScanned
	factFloor
	factReset
)

// fact is one entry of a change record.
type fact struct {
	kind          byte
	seq, dseq, n  uint64
	time          int64
	count, member uint32
}

// recorder gathers the facts since the last record. Neighbouring deliveries and
// acknowledgements become one fact.
type recorder struct {
	buf []byte
	// run is the fact that may still grow; none if run.n is 0.
	run fact
	// The last values in buf.
	seq, dseq uint64
	time      int64
	// floor is the one last written down.
	floor Position
}

func (r *recorder) delivered(kind byte, seq, dseq uint64, now int64, member uint32) {
	if r.run.kind == kind && r.run.n > 0 && seq == r.run.seq+r.run.n &&
		dseq == r.run.dseq+r.run.n && now == r.run.time && member == r.run.member {
		r.run.n++
		return
	}
	r.closeRun()
	r.run = fact{kind: kind, seq: seq, dseq: dseq, n: 1, time: now, member: member}
}

func (r *recorder) acked(seq uint64) {
	if r.run.kind == factAcked && r.run.n > 0 && seq == r.run.seq+r.run.n {
		r.run.n++
		return
	}
	r.closeRun()
	r.run = fact{kind: factAcked, seq: seq, n: 1}
}

// add records a fact that stands alone.
func (r *recorder) add(f fact) {
	r.closeRun()
	r.write(&f)
}

func (r *recorder) closeRun() {
	if r.run.n > 0 {
		r.write(&r.run)
		r.run.n = 0
	}
}

func (r *recorder) write(f *fact) {
	switch f.kind {
	case factDelivered, factDone, factRedelivered:
		if f.time != r.time {
			r.buf = append(r.buf, factTime)
			r.putTime(f.time)
		}
	}
	r.buf = append(r.buf, f.kind)
	r.buf = binary.AppendVarint(r.buf, int64(f.seq-r.seq))
	r.seq = f.seq
	switch f.kind {
	case factDelivered, factDone, factRedelivered, factFloor:
		r.buf = binary.AppendVarint(r.buf, int64(f.dseq-r.dseq))
		r.dseq = f.dseq
	}
	switch f.kind {
	case factDelivered:
		r.buf = binary.AppendUvarint(r.buf, f.n)
		r.buf = binary.AppendUvarint(r.buf, uint64(f.member))
	case factDone, factAcked:
		r.buf = binary.AppendUvarint(r.buf, f.n)
	case factRedelivered:
		r.buf = binary.AppendUvarint(r.buf, uint64(f.count))
		r.buf = binary.AppendUvarint(r.buf, uint64(f.member))
	case factWaits:
		r.putTime(f.time)
	}
}

func (r *recorder) putTime(t int64) {
	r.buf = binary.AppendVarint(r.buf, t-r.time)
	r.time = t
}

// take completes the record, numbered serial, and appends it to dst. It says
// whether there was anything to write.
func (r *recorder) take(dst []byte, serial uint64, floor Position) ([]byte, bool) {
	r.closeRun()
	if floor != r.floor {
		r.write(&fact{kind: factFloor, seq: floor.Stream, dseq: floor.Consumer})
		r.floor = floor
	}
	if len(r.buf) == 0 {
		return dst, false
	}
	dst = append(dst, changeVersion)
	dst = binary.AppendUvarint(dst, serial)
	dst = append(dst, r.buf...)
	r.buf = r.buf[:0]
	r.seq, r.dseq, r.time = 0, 0, 0
	return dst, true
}

// facts reads a change record's facts.
type facts struct {
	r         reader
	seq, dseq uint64
	time      int64
	// left is how many deliveries the record may still hold.
	left uint64
}

func readChange(b []byte) (serial uint64, f facts, err error) {
	if len(b) == 0 || b[0] != changeVersion {
		return 0, facts{}, fmt.Errorf("read change version: %w", ErrDamaged)
	}
	f = facts{r: reader{b: b[1:]}, left: MaxStep}
	serial = f.r.uvarint()
	if f.r.bad {
		return 0, facts{}, fmt.Errorf("read change number: %w", ErrDamaged)
	}
	return serial, f, nil
}

// next reads a fact. It gives false at the end and where the record is damaged,
// which r.bad tells.
func (f *facts) next(out *fact) bool {
	for len(f.r.b) > 0 && f.r.b[0] == factTime {
		f.r.b = f.r.b[1:]
		f.time += f.r.varint()
	}
	if len(f.r.b) == 0 {
		return false
	}
	*out = fact{kind: f.r.b[0]}
	f.r.b = f.r.b[1:]
	f.seq += uint64(f.r.varint())
	out.seq = f.seq
	switch out.kind {
	case factDelivered, factDone, factRedelivered, factFloor:
		f.dseq += uint64(f.r.varint())
		out.dseq = f.dseq
	}
	switch out.kind {
	case factDelivered:
		out.n, out.member = f.r.uvarint(), f.r.uint32()
	case factDone, factAcked:
		out.n = f.r.uvarint()
	case factRedelivered:
		out.n, out.count, out.member = 1, f.r.uint32(), f.r.uint32()
	case factWaits:
		f.time += f.r.varint()
	}
	out.time = f.time
	f.check(out)
	return !f.r.bad
}

// check refuses what no recorder writes.
func (f *facts) check(x *fact) {
	switch {
	case x.kind < factDelivered || x.kind > factReset:
		f.r.bad = true
	case x.kind == factReset && (x.seq == 0 || x.seq == ^uint64(0)):
		f.r.bad = true
	case x.kind == factRedelivered && (x.count < 2 || x.count > maxCount):
		f.r.bad = true
	case x.kind <= factAcked && (x.n == 0 || x.seq+x.n < x.seq):
		f.r.bad = true
	case x.kind <= factRedelivered && (x.n > f.left || x.dseq+x.n < x.dseq):
		f.r.bad = true
	case x.kind <= factRedelivered:
		f.left -= x.n
	}
}

// checkChange says whether the whole record can be read, so that it is applied as
// a whole or not at all.
func checkChange(f facts) error {
	var x fact
	for f.next(&x) {
		continue
	}
	if f.r.bad {
		return fmt.Errorf("read change record: %w", ErrDamaged)
	}
	return nil
}
