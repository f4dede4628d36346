package jetstream

import (
	"strconv"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// Batch implements stream.Dialect.
func (Dialect) Batch(m *broker.Message, p *stream.BatchPart) bool {
	if wire.IsFast(m.Reply) {
		fastPart(m.Reply, p)
		return true
	}
	header := m.Header
	if m.Annotated {
		header = m.Plain
	}
	return wire.MayBatch(header) && atomicPart(header, p)
}

// atomicPart reads the place of a message in an atomic batch.
func atomicPart(header []byte, p *stream.BatchPart) bool {
	h := wire.ParsePublishHeader(header)
	b, ok, refuse, fatal := h.Batch()
	if !ok {
		return false
	}
	*p = stream.BatchPart{Kind: stream.BatchWhole, ID: b.ID, Seq: b.Seq, Refuse: number(refuse), Fatal: number(fatal)}
	p.Tell = fatal.Has(wire.CodeRequiredAPILevel)
	switch {
	case b.End:
		p.Op = stream.BatchEnd
	case b.Commit:
		p.Op = stream.BatchCommit
	}
	if h.Has(wire.KeyExpectedLastMsgID) {
		p.Unfit = wire.CodeAtomicUnsupported
	}
	if h.Has(wire.KeyRequiredAPILevel) {
		p.Header = wire.WithoutAPILevel(header)
	}
	return true
}

// number is that of an error; 0: none.
func number(err *wire.Error) uint32 {
	if err == nil {
		return 0
	}
	return uint32(err.ErrCode)
}

var fastOps = [...]stream.BatchOp{
	wire.FastStart: stream.BatchAppend, wire.FastAppend: stream.BatchAppend, wire.FastCommit: stream.BatchCommit,
	wire.FastEnd: stream.BatchEnd, wire.FastPing: stream.BatchPing,
}

// fastPart reads the place of a message in a fast batch.
func fastPart(reply []byte, p *stream.BatchPart) {
	b, err := wire.ParseFast(reply)
	*p = stream.BatchPart{
		Kind: stream.BatchFast, ID: b.ID, Seq: b.Seq, Op: fastOps[b.Op], Most: b.Flow, Strict: b.Strict, Refuse: number(err),
	}
	if len(b.ID) > wire.MaxBatchID {
		p.Fatal = wire.CodeFastInvalidID
	}
}

// Closing implements stream.Dialect.
func (Dialect) Closing(header []byte) []byte { return wire.WithCommit(header) }

// AppendWhole implements stream.Dialect.
func (d Dialect) AppendWhole(dst []byte, s *stream.Stream, o partition.Outcome, id string, count int) []byte {
	if o.Refusal != partition.Accepted {
		return wire.AppendPubError(dst, s.Name(), refusal(s, o))
	}
	ack := wire.PubAck{Stream: s.Name(), Seq: o.Seq, Domain: d.Domain, Batch: id, Count: uint64(count)}
	return ack.Append(dst)
}

// AppendFlow implements stream.Dialect.
func (d Dialect) AppendFlow(dst []byte, s *stream.Stream, n *stream.FlowNote) []byte {
	switch n.Kind {
	case stream.FlowAcked:
		return wire.AppendFlowAck(dst, n.Seq, n.Every)
	case stream.FlowGap:
		return wire.AppendFlowGap(dst, n.From, n.Seq)
	case stream.FlowRefused:
		return wire.AppendFlowError(dst, n.Seq, refusal(s, n.Why))
	case stream.FlowFailed:
		return wire.AppendPubError(dst, s.Name(), refusal(s, n.Why))
	}
	ack := wire.PubAck{Stream: s.Name(), Seq: n.Stored, Domain: d.Domain, Batch: n.ID, Count: n.Count}
	return ack.Append(dst)
}

// batchRefusal puts a refusal that has to do with batches into the protocol's words;
// nil: it has not.
func batchRefusal(o partition.Outcome) *wire.Error {
	switch o.Refusal {
	case partition.Repeated:
		return wire.Err(wire.CodeAtomicDuplicate)
	case partition.RollupInBatch:
		if record.Rollup(o.Detail) == record.RollupAll {
			return wire.ErrWith(wire.CodeRollupFailed, "err", "batch rollup all invalid")
		}
		return wire.ErrWith(wire.CodeRollupFailed, "err", "batch rollup sub invalid")
	case partition.WrongLastInBatch:
		return wire.Err(wire.CodeWrongLastSequenceConstant)
	case stream.BatchDisabled:
		return wire.Err(wire.CodeAtomicDisabled)
	case stream.BatchIncomplete:
		return wire.Err(wire.CodeAtomicIncomplete)
	case stream.BatchTooMany:
		return wire.Err(wire.CodeAtomicTooMany)
	case stream.BatchTooLarge:
		return wire.ErrWith(wire.CodeAtomicTooLarge, "size", strconv.FormatUint(o.Detail, 10))
	case stream.FlowDisabled:
		return wire.Err(wire.CodeFastDisabled)
	case stream.FlowUnknown:
		return wire.Err(wire.CodeFastUnknownID)
	case stream.FlowTooMany:
		return wire.Err(wire.CodeFastTooMany)
	}
	return nil
}

var abandonReasons = [...]string{
	stream.AbandonedTimeout: "timeout", stream.AbandonedLarge: "large", stream.AbandonedIncomplete: "incomplete",
	stream.AbandonedUnsupported: "unsupported",
}

// Abandoned implements stream.Outlet.
func (o *Outlet) Abandoned(p *broker.Publisher, s *stream.Stream, id string, why stream.Abandoned) {
	e := wire.EventBatchAbandoned
	o.to = e.AppendSubject(o.to[:0], s.Name(), "")
	if !s.Listened(o.to) {
		return
	}
	p.Publish(&broker.Message{Subject: o.to, Data: wire.Encode(&wire.BatchEvent{
		EventHead: e.Head(nuid.Next(), time.Now(), o.Domain), Stream: s.Name(), Batch: id, Reason: abandonReasons[why],
	})})
}
