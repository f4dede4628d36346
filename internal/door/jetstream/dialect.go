package jetstream

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
	natswire "github.com/weirmq/weir/internal/wire/nats"
)

// Dialect is how JetStream talks to a stream's log.
type Dialect struct{ Domain string }

// order is that of a single server for one publish.
var order = []partition.Check{
	partition.CheckDialect, partition.CheckLastOfSubject, partition.CheckLast, partition.CheckFeature,
	partition.CheckDuplicate, partition.CheckLastID, partition.CheckRollup,
}

// Order implements stream.Dialect.
func (Dialect) Order() []partition.Check { return order }

// Conditions implements stream.Dialect.
func (Dialect) Conditions(s *stream.Stream, subject, header []byte, c *partition.Conditions) {
	h := wire.ParsePublishHeader(header)
	if err, at := preCheck(s, subject, header, &h, c.Size); err != nil {
		c.Pre, c.PreAt = uint32(err.ErrCode), at
		if err.ErrCode == wire.CodeRollupFailed {
			c.PreText = err.Description
		}
	}
	c.HasLast, c.Last = h.Has(wire.KeyExpectedLastSeq), h.LastSeq
	c.HasOfSubj, c.LastOf = h.Has(wire.KeyExpectedLastSubjectSeq), h.LastSubjectSeq
	c.OfSubject = string(h.LastSeqSubject)
	if h.Has(wire.KeyExpectedLastMsgID) {
		c.HasLastID, c.LastID = true, hashID(s, h.LastMsgID)
	}
	if h.Has(wire.KeyMsgID) {
		c.HasID, c.ID = true, hashID(s, h.MsgID)
	}
	c.Rollup = rollups[h.Rollup]
	c.Key = keyOf(s, header)
	if h.Has(wire.KeySchedule) {
		c.Rollup, c.Marked = record.RollupSubject, true // one for each subject
		if h.Rollup == wire.RollupNone {
			c.Header = wire.WithRollup(header)
		}
	}
	c.Marked = c.Marked || h.EndsSchedule()
	if h.TTL != 0 {
		if c.TTL = h.EffectiveTTL(config(s)); c.TTL != h.TTL {
			if c.Header != nil {
				header = c.Header
			}
			c.Header = wire.WithTTL(header, c.TTL)
		}
	}
}

// AppendMarker implements stream.Dialect.
func (Dialect) AppendMarker(dst []byte, ttl int64) []byte { return wire.AppendMarker(dst, ttl) }

// IsMarker implements stream.Dialect.
func (Dialect) IsMarker(header []byte) bool { return wire.IsMarker(header) }

var rollups = [...]record.Rollup{
	wire.RollupNone: record.RollupNone, wire.RollupSubject: record.RollupSubject,
	wire.RollupAll: record.RollupAll, wire.RollupInvalid: record.RollupNone,
}

// preCheck finds what the headers alone are refused for, first, and at which step.
func preCheck(s *stream.Stream, subject, header []byte, h *wire.PublishHeader, size int) (*wire.Error, partition.Check) {
	if err := wire.RefuseSize(header); err != nil {
		return err, partition.CheckDialect
	}
	c := config(s)
	if err := h.RefuseIncr(c, size); err != nil {
		return err, partition.CheckDialect
	}
	if err := h.RefuseExpectation(c); err != nil {
		return err, partition.CheckDialect
	}
	if err := h.RefuseSchedule(c, subject, time.Now().UnixNano()); err != nil {
		return err, partition.CheckFeature
	}
	if err := h.RefuseFeature(subject); err != nil {
		return err, partition.CheckFeature
	}
	if err := h.RefuseRollup(c); err != nil {
		return err, partition.CheckRollup
	}
	return h.RefuseTTL(), partition.CheckStore
}

// hashID is the keyed hash of a message id: the stream's identity is its key.
func hashID(s *stream.Stream, id []byte) record.ID {
	var buf [256]byte
	b := strconv.AppendUint(buf[:0], s.ID().ID, 36)
	b = append(b, ' ')
	sum := sha256.Sum256(append(b, id...))
	return record.ID(sum[:16])
}

// AppendReply implements stream.Dialect.
func (d Dialect) AppendReply(dst []byte, s *stream.Stream, o partition.Outcome) []byte {
	ack := wire.PubAck{Stream: s.Name(), Seq: o.Seq, Domain: d.Domain}
	switch o.Refusal {
	case partition.Accepted:
		ack.Value = totalOf(o)
		return ack.Append(dst)
	case partition.Duplicate:
		ack.Duplicate = true
		return ack.Append(dst)
	}
	return wire.AppendPubError(dst, s.Name(), refusal(s, o))
}

// refusal puts a refusal into the protocol's words.
func refusal(s *stream.Stream, o partition.Outcome) *wire.Error {
	failed := func(text string) *wire.Error { return wire.ErrWith(wire.CodeStoreFailed, "err", text) }
	switch o.Refusal {
	case partition.Dialect:
		return dialectRefusal(o)
	case partition.Sealed:
		return wire.Err(wire.CodeStreamSealed)
	case partition.WrongLast, partition.WrongLastOfSubject:
		return wire.ErrWith(wire.CodeWrongLastSequence, "seq", strconv.FormatUint(o.Detail, 10))
	case partition.WrongLastID:
		return wire.ErrWith(wire.CodeWrongLastMsgID, "id", lastMsgID(s, o.Detail))
	case partition.RollupRefused:
		return wire.ErrWith(wire.CodeRollupFailed, "err", "rollup not permitted")
	case partition.TooLarge:
		return wire.Err(wire.CodeMessageExceedsMaximum)
	case partition.MaxRecords:
		return failed("maximum messages exceeded")
	case partition.MaxBytes:
		return failed("maximum bytes exceeded")
	case partition.MaxPerSubject:
		return failed("maximum messages per subject exceeded")
	case partition.NoSpace:
		return wire.Err(wire.CodeAccountResourcesExceeded)
	case partition.Overload:
		return wire.Err(wire.CodeTooManyRequests)
	case partition.Deleted:
		return wire.Err(wire.CodeStreamNotFound)
	case partition.Unreadable:
		return failed("what is stored cannot be read at present")
	case partition.TooManyIDs:
		return failed("the window for duplicate message ids is full")
	}
	if err := batchRefusal(o); err != nil {
		return err
	}
	return failed("the server's storage has failed: it takes nothing until a restart")
}

// dialectRefusal puts a refusal that this door found itself into words.
func dialectRefusal(o partition.Outcome) *wire.Error {
	switch code := int(o.Detail); code {
	case wire.CodeRollupFailed:
		return wire.ErrWith(code, "err", o.Of.PreText)
	case wire.CodeAtomicUnsupported:
		return wire.ErrWith(code, "header", "Nats-Expected-Last-Msg-Id")
	default:
		return wire.Err(code)
	}
}

// lastMsgID is the message id of the record at seq.
func lastMsgID(s *stream.Stream, seq uint64) string {
	v, err := s.Partition().Get(seq)
	if err != nil {
		return ""
	}
	return string(natswire.HeaderValue(v.Header, "Nats-Msg-Id"))
}

// Open implements stream.Dialect: a stream's Native is its *wire.StreamConfig.
func (Dialect) Open(doc []byte) (any, error) {
	c := new(wire.StreamConfig)
	if err := json.Unmarshal(doc, c); err != nil {
		return nil, fmt.Errorf("stored stream configuration: %w", err)
	}
	return c, nil
}

// OpenConsumer implements stream.Dialect: a consumer's Native is its
// *wire.ConsumerConfig.
func (Dialect) OpenConsumer(doc []byte) (any, error) {
	c := new(wire.ConsumerConfig)
	if err := json.Unmarshal(doc, c); err != nil {
		return nil, fmt.Errorf("stored consumer configuration: %w", err)
	}
	return c, nil
}
