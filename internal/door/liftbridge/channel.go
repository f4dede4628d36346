package liftbridge

import (
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	stanwire "github.com/weirmq/weir/internal/wire/stan"
)

// channelOf says whether a stream is a channel of NATS Streaming, and what subject its
// messages have.
func channelOf(s *stream.Stream) (subject string, ok bool) {
	js, is := s.Native().(*jswire.StreamConfig)
	if !is {
		return "", false
	}
	name, ok := js.Metadata[stanwire.MetaChannel]
	return stanwire.RecordSubject(name), ok
}

// post stores a message in a channel, which takes what is published to its name, not to a
// subject. The ticket is told the fate, unless there is a fault at once. n and name are the
// partition and the stream that the publisher named.
func (d *Door) post(p *publish, to *addressed, n int32, name string) *fault {
	if len(p.msg.Key)+len(p.msg.Value) > d.o.MaxMessage {
		return faultLarge
	}
	parts := record.Parts{
		Subject: []byte(to.subject), Header: wire.AppendHeaderBlock(nil, p.msg.Key, p.msg.Headers), Key: p.msg.Key, Data: p.msg.Value,
	}
	return faultOf(partition.Outcome{Refusal: to.stream.Post(&parts, p.ticket)}, n, name)
}
