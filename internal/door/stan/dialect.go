package stan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/subject"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// streamDialect is that of the streams: JetStream's clients use them as any others.
const streamDialect = "jetstream"

// channelOf gives the channel that a stream is; false: it is none.
func channelOf(s *stream.Stream) (name string, ok bool) {
	cfg, isJS := s.Native().(*jswire.StreamConfig)
	if !isJS {
		return "", false
	}
	name, ok = cfg.Metadata[wire.MetaChannel]
	return name, ok
}

// ours says whether this door made a stream.
func (d *Door) ours(s *stream.Stream) bool {
	cfg, ok := s.Native().(*jswire.StreamConfig)
	return ok && cfg.Metadata[wire.MetaCluster] == d.o.Cluster
}

// config is the configuration of a channel's stream.
func (d *Door) config(channel string) stream.Config {
	l := d.o.Limits.Of(channel)
	js := &jswire.StreamConfig{
		Name: wire.StreamName(channel), Description: "channel " + channel, Replicas: 1, MaxConsumers: -1,
		MaxMsgs: orNone(l.MaxMsgs), MaxBytes: orNone(l.MaxBytes), MaxAge: l.MaxAge, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
		AllowDirect: true, Metadata: wire.ChannelMetadata(channel, d.o.Cluster),
	}
	if d.o.Memory {
		js.Storage = jswire.StorageMemory
	}
	c := stream.Config{
		Name: js.Name, Memory: d.o.Memory, Dialect: streamDialect,
		Limits: partition.Limits{MaxRecords: l.MaxMsgs, MaxBytes: l.MaxBytes, MaxAge: int64(l.MaxAge)},
	}
	c.Limits.DedupWindow = normal(js)
	switch literal := subject.ValidLiteral(channel); {
	case literal && matchesAny(d.o.Capture, channel):
		js.Subjects = []string{channel}
		c.Subjects = js.Subjects
	case literal && matchesAny(d.o.Republish, channel):
		js.Republish = &jswire.Republish{Source: ">", Destination: ">"}
		c.Republish = &stream.Republish{Mapping: stream.Mapping{Source: ">", Target: ">"}}
	}
	c.Doc = encode(js)
	return c
}

// normal makes a configuration as JetStream's clients are shown it, and returns its
// window for duplicates.
func normal(js *jswire.StreamConfig) int64 {
	if err := js.Normalize(jswire.StreamOptions{}); err != nil {
		panic("stan: a channel's configuration is refused: " + err.Description)
	}
	return int64(js.DuplicateWindow)
}

func orNone(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// encode encodes what is made of texts and numbers only.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("stan: a configuration does not encode: " + err.Error())
	}
	return b
}

// streamFor finds or makes a channel's stream.
func (d *Door) streamFor(ctx context.Context, ch *channel) (*stream.Stream, error) {
	for _, s := range d.dir.List(d.space.Name()) {
		if name, ok := channelOf(s); ok && name == ch.name {
			return s, nil
		}
	}
	s, err := d.dir.Create(ctx, d.space.Name(), d.config(ch.name))
	if errors.Is(err, stream.ErrExists) {
		return nil, fmt.Errorf("stream %q exists and is not this channel", wire.StreamName(ch.name))
	}
	if err != nil {
		return nil, fmt.Errorf("make channel: %w", err)
	}
	return s, nil
}

// storeName is the name of the stream that holds the clients.
func (d *Door) storeName() string { return "STAN-CLIENTS-" + wire.StreamName(d.o.Cluster) }

// storeConfig is its configuration: a record a client, the subject is its id.
func (d *Door) storeConfig() stream.Config {
	js := &jswire.StreamConfig{
		Name: d.storeName(), Description: "clients of the streaming server " + d.o.Cluster, Replicas: 1, MaxConsumers: -1,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: 1, MaxMsgSize: -1,
		Metadata: map[string]string{wire.MetaCluster: d.o.Cluster, jswire.MetaCapture: jswire.CaptureNone},
	}
	if d.o.Memory {
		js.Storage = jswire.StorageMemory
	}
	window := normal(js)
	return stream.Config{
		Name: js.Name, Memory: d.o.Memory, Dialect: streamDialect, Limits: partition.Limits{MaxPerSubject: 1, DedupWindow: window}, Doc: encode(js),
	}
}

// subscription is what a consumer's Doc holds: a subscription, or a queue group.
type subscription struct {
	Channel string `json:"channel"`
	// Client is who made it, or had it last.
	Client  string `json:"client,omitempty"`
	Durable string `json:"durable,omitempty"` // name of a plain durable
	// Queue is the group's name; of a durable one "durable:group".
	Queue     string     `json:"queue,omitempty"`
	IsDurable bool       `json:"is_durable,omitempty"`
	Members   []receiver `json:"members,omitempty"`
	// Last is the last member, where there is none and the subscription is durable.
	Last   *receiver `json:"last,omitempty"`
	NextID uint32    `json:"next_id"`

	inboxes map[uint32][]byte // of members
}

// receiver is a member of a subscription.
type receiver struct {
	ID          uint32 `json:"id"`
	Client      string `json:"client"`
	Inbox       string `json:"inbox"`
	AckInbox    string `json:"ack_inbox"`
	MaxInFlight int32  `json:"max_in_flight"`
	AckWait     int32  `json:"ack_wait"` // seconds
}

// OpenConsumer decodes the Doc of a consumer of this door.
func OpenConsumer(doc []byte) (any, error) {
	s := &subscription{inboxes: map[uint32][]byte{}}
	if err := json.Unmarshal(doc, s); err != nil {
		return nil, fmt.Errorf("stored subscription: %w", err)
	}
	for _, m := range s.Members {
		s.inboxes[m.ID] = []byte(m.Inbox)
	}
	return s, nil
}

// consumerConfig puts a subscription into the log's terms.
func (s *subscription) consumerConfig(name string, start uint64) stream.ConsumerConfig {
	spread := &consumer.Spread{Group: s.Queue != ""}
	for _, m := range s.Members {
		spread.Members = append(spread.Members, consumer.Member{
			ID: m.ID, MaxPending: int(m.MaxInFlight), AckWait: time.Duration(m.AckWait) * time.Second,
		})
	}
	return stream.ConsumerConfig{
		Name: name, Core: consumer.Config{AckPolicy: consumer.AckExplicit, Spread: spread}, Start: start,
		Dialect: DialectName, Doc: encode(s),
	}
}

// with gives a copy with one more member, and its number.
func (s *subscription) with(m receiver) (*subscription, uint32) {
	out := *s
	out.NextID++
	m.ID = out.NextID
	out.Members = append(slices.Clone(s.Members), m)
	out.Last, out.Client = nil, m.Client
	return &out, m.ID
}

// without gives a copy without a member. Where it was the last one it is remembered.
func (s *subscription) without(id uint32) *subscription {
	out := *s
	out.Members = nil
	for _, m := range s.Members {
		if m.ID != id {
			out.Members = append(out.Members, m)
		} else {
			last := m
			out.Last = &last
		}
	}
	if len(out.Members) > 0 {
		out.Last = nil
	}
	return &out
}

// stored is how many subscriptions it counts as.
func (s *subscription) stored() int { return max(1, len(s.Members)) }
