package stream

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
)

// Follower is a Dialect that can follow origins which only messages reach: streams
// of other accounts and servers, and those whose consumer was made beforehand.
type Follower interface {
	// Follow asks for the records of an origin from a place on. take is called, on any
	// goroutine and also before Follow returns, with what comes, in order; it keeps the
	// items and what they point to, and does not block. It may be called once more
	// while Close runs.
	Follow(s *Stream, o *Origin, from Place, take func([]FeedItem)) Feed
}

// Place is where a feed begins: at a sequence, at a time in Unix nanoseconds, or,
// where both are 0, at the beginning.
type Place struct {
	Seq  uint64
	Time int64
	// Unasked says that the origin is to send without asking how far the copy is: the
	// way for the answers is not open.
	Unasked bool
}

// Feed is an origin that is being followed. Its methods are called on one goroutine
// and do not block.
type Feed interface {
	// Confirm answers what came with a Reply: everything before it is stored.
	// consumerSeq and seq are those of the last record. It says whether somebody takes
	// the answer.
	Confirm(reply string, consumerSeq, seq uint64) bool
	// Close ends it, also on the other side where that is possible.
	Close()
}

// FeedKind says what came.
type FeedKind uint8

// The kinds.
const (
	FeedRecord FeedKind = iota // a record
	FeedReady                  // the origin has begun to send; Pending is what there is
	FeedFlow                   // Reply wants to know when all before is stored
	FeedBeat                   // nothing new; ConsumerSeq is the last that was sent
	FeedFailed                 // Err: nothing will come any more
)

// FeedItem is one thing that came.
type FeedItem struct {
	Kind FeedKind
	// View is the record: Seq, Time, Subject, Header and Data are set, and the taker's.
	View        record.View
	ConsumerSeq uint64 // numbers the records of a feed, without a gap
	Pending     uint64 // records behind this one
	Reply       string
	Err         error
}

// Space is the subjects of the stream's account.
func (s *Stream) Space() *broker.Space { return s.space }
