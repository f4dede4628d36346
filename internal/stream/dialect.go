package stream

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
)

// Dialect is how one protocol talks to a log. Its methods are called from many
// goroutines and must not block.
type Dialect interface {
	// Order is the order in which the protocol's conditions are checked.
	Order() []partition.Check
	// Batch reads the place of a message in a batch into p, which may hold anything;
	// false: it has none. It runs on the publisher's goroutine for every message.
	Batch(m *broker.Message, p *BatchPart) bool
	// Closing gives the header of the last message of a whole batch that another one
	// has ended, from what it was.
	Closing(header []byte) []byte
	// AppendFlow appends what a fast batch is told.
	AppendFlow(dst []byte, s *Stream, n *FlowNote) []byte
	// AppendWhole appends the body of the answer to who completed a whole batch: o is
	// the outcome of its last record, or why none is stored; count how many it has.
	AppendWhole(dst []byte, s *Stream, o partition.Outcome, id string, count int) []byte
	// Totals is the arithmetic of streams with totals; nil: there are none.
	Totals() partition.Totals
	// Conditions reads what a message's headers demand into c, which is zero but for
	// its Size. It runs on the publisher's goroutine, only for messages with headers.
	Conditions(s *Stream, subject, header []byte, c *partition.Conditions)
	// AppendReply appends the body of the answer to a publisher.
	AppendReply(dst []byte, s *Stream, o partition.Outcome) []byte
	// Open decodes a stream's Doc for Stream.Native.
	Open(doc []byte) (any, error)
	// OpenConsumer decodes a consumer's Doc for Consumer.Native.
	OpenConsumer(doc []byte) (any, error)
	// AppendMarker appends the header of the record that takes the place of a
	// subject's last one that grew too old; ttl is how long it lives.
	AppendMarker(dst []byte, ttl int64) []byte
	// IsMarker says whether a header is such a one.
	IsMarker(header []byte) bool
	// Plan reads what a record has to do with schedules. after is when it was last
	// published, or stored.
	Plan(v *record.View, after int64) Plan
	// Scheduled gives what the schedule v publishes: the content of another record, or
	// of its own. next is when it does again; 0: never.
	Scheduled(v, content *record.View, next int64) record.Parts
	// Copied gives what is stored for a record of an origin: v, whose subject is
	// already the one to store; from was its subject there. c, which is zero, is for
	// what it demands of a stream that has o as a source.
	Copied(s *Stream, o *Origin, v *record.View, from []byte, c *partition.Conditions) record.Parts
	// Republished gives the header of the record v that is published again; last is the
	// sequence before it on its subject, 0: none. false: it is not to be.
	Republished(s *Stream, v *record.View, last uint64, headersOnly bool) ([]byte, bool)
	// AckReplyLen gives the length of the acknowledgement subjects of a consumer's
	// deliveries, see consumer.Config.
	AckReplyLen(stream, consumer string) func(*consumer.Delivery) int
}

// Outlet writes what consumers send. It is called on shards' goroutines with the
// shard's publisher for the account, and must not block.
type Outlet interface {
	// Deliver sends a record. Its bytes are borrowed.
	Deliver(p *broker.Publisher, c *Consumer, d *consumer.Delivery, v *record.View)
	// Status tells a waiting request something.
	Status(p *broker.Publisher, c *Consumer, st *consumer.Status)
	// Acked answers a client that asked for its acknowledgement to be confirmed;
	// it may be called on the journal's goroutine.
	Acked(p *broker.Publisher, reply []byte)
	// Advise tells, whoever wants to know, what happened to a message or a client.
	Advise(p *broker.Publisher, c *Consumer, a *consumer.Advisory)
	// Deleted tells that a consumer is gone whose stream is not.
	Deleted(p *broker.Publisher, c *Consumer)
	// Abandoned tells, whoever wants to know, that a batch was given up.
	Abandoned(p *broker.Publisher, s *Stream, id string, why Abandoned)
}

// Plan is what a record has to do with schedules: it may be one, be published by
// one, or end one.
type Plan struct {
	// Next is when the record is to be published, Unix nanoseconds; 0: it is no
	// schedule. Once: it is removed then.
	Next int64
	Once bool
	// Target is the subject that it is published to, Source that of the record whose
	// content is taken, if there is one; empty: its own.
	Target, Source string
	// By is the subject of the schedule that published the record, Ends that of a
	// schedule that ends with it.
	By, Ends string
}
