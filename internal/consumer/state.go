package consumer

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/weirmq/weir/internal/seqset"
)

// ErrDamaged says that bytes are not an encoded state or change record.
var ErrDamaged = errors.New("damaged consumer record")

// Position is a pair of sequences: the consumer's own, which counts deliveries,
// and the stream's.
type Position struct {
	Consumer, Stream uint64
}

// within says that neither sequence is beyond o's.
func (p Position) within(o Position) bool {
	return p.Consumer <= o.Consumer && p.Stream <= o.Stream
}

// State is a consumer's progress, as it is kept and given to another node.
type State struct {
	// Serial is the number of the last change record that is in it.
	Serial uint64
	// Delivered is the last delivery. Floor: everything up to it is done.
	Delivered, Floor Position
	// Next is the first stream sequence not looked at; at least
	// Delivered.Stream + 1. It is written down rarely and may be too low.
	Next uint64
	// Pending ascends in Seq and in DSeq.
	Pending []Pending
	// Exhausted holds the messages that reached the limit of deliveries.
	Exhausted seqset.Set
}

// Pending is a message that was delivered and not acknowledged.
type Pending struct {
	// Seq is the stream sequence, DSeq the consumer sequence of the first delivery.
	Seq, DSeq uint64
	// Time is when the present wait began, in Unix nanoseconds.
	Time int64
	// Count is the number of deliveries, from 1.
	Count uint32
	// Member is who has it; 0 where members are not told apart.
	Member uint32
}

// StartAt is the state of a new consumer whose first message is at or after seq.
func StartAt(seq uint64) State {
	seq = max(seq, 1)
	at := Position{Stream: seq - 1}
	return State{Delivered: at, Floor: at, Next: seq}
}

const stateVersion = 1

// AppendState appends the encoded state to dst. All numbers are uvarints unless
// said otherwise:
//
//	version            1 byte
//	serial
//	delivered          consumer, stream
//	floor              consumer, stream
//	next
//	number of pending, then for each:
//	  seq, dseq        minus those of the one before (first: minus 0)
//	  time             signed varint, minus that of the one before
//	  count, member
//	exhausted          an encoded seqset
func AppendState(dst []byte, st *State) []byte {
	dst = append(dst, stateVersion)
	for _, v := range [...]uint64{
		st.Serial, st.Delivered.Consumer, st.Delivered.Stream, st.Floor.Consumer,
		st.Floor.Stream, st.Next, uint64(len(st.Pending)),
	} {
		dst = binary.AppendUvarint(dst, v)
	}
	var last Pending
	for i := range st.Pending {
		p := &st.Pending[i]
		dst = binary.AppendUvarint(dst, p.Seq-last.Seq)
		dst = binary.AppendUvarint(dst, p.DSeq-last.DSeq)
		dst = binary.AppendVarint(dst, p.Time-last.Time)
		dst = binary.AppendUvarint(dst, uint64(p.Count))
		dst = binary.AppendUvarint(dst, uint64(p.Member))
		last = *p
	}
	return st.Exhausted.Append(dst)
}

// DecodeState is the inverse of AppendState; b holds one state and nothing else.
// It uses memory in proportion to len(b).
func DecodeState(b []byte) (State, error) {
	if len(b) == 0 || b[0] != stateVersion {
		return State{}, fmt.Errorf("read state version: %w", ErrDamaged)
	}
	r := reader{b: b[1:]}
	var st State
	st.Serial = r.uvarint()
	st.Delivered = Position{r.uvarint(), r.uvarint()}
	st.Floor = Position{r.uvarint(), r.uvarint()}
	st.Next = r.uvarint()
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b))/5 {
		return State{}, fmt.Errorf("read state of %d bytes: %w", len(b), ErrDamaged)
	}
	if n > 0 {
		st.Pending = make([]Pending, 0, n)
	}
	last := Pending{Seq: 0, DSeq: 0}
	for i := range n {
		p := Pending{Seq: last.Seq + r.uvarint(), DSeq: last.DSeq + r.uvarint(), Time: last.Time + r.varint()}
		p.Count, p.Member = r.uint32(), r.uint32()
		if r.bad || p.Seq <= last.Seq || p.DSeq <= last.DSeq || p.Count == 0 || p.Count > maxCount {
			return State{}, fmt.Errorf("read pending entry %d: %w", i, ErrDamaged)
		}
		st.Pending = append(st.Pending, p)
		last = p
	}
	var err error
	var rest []byte
	if st.Exhausted, rest, err = seqset.Decode(r.b); err != nil {
		return State{}, fmt.Errorf("read exhausted messages: %w", errors.Join(err, ErrDamaged))
	}
	if len(rest) > 0 || !st.sound() {
		return State{}, fmt.Errorf("check state: %w", ErrDamaged)
	}
	return st, nil
}

// sound holds the relations between the fields.
func (st *State) sound() bool {
	if !st.Floor.within(st.Delivered) || st.Delivered.Stream == ^uint64(0) || st.Next <= st.Delivered.Stream {
		return false
	}
	if last, ok := st.Exhausted.Last(); ok {
		if last > st.Delivered.Stream {
			return false
		}
		for i := range st.Pending {
			if st.Exhausted.Contains(st.Pending[i].Seq) {
				return false
			}
		}
	}
	if len(st.Pending) == 0 {
		return true
	}
	first, last := &st.Pending[0], &st.Pending[len(st.Pending)-1]
	return first.Seq > st.Floor.Stream && first.DSeq > st.Floor.Consumer &&
		last.Seq <= st.Delivered.Stream && last.DSeq <= st.Delivered.Consumer
}

// reader reads numbers; bad says that there were too few bytes or a number too
// large, after which all are 0.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.bad = true
		return 0
	}
	return uint32(v)
}
