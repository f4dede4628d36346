package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// errNoAPI says that nobody serves the origin's requests.
var errNoAPI = errors.New("nobody answers at its API prefix")

// feed is an origin that is followed through a consumer there, as any client could:
// by requests and by what the consumer pushes.
type feed struct {
	// Set at construction.
	space    *broker.Space
	origin   string
	api      string // prefix of requests, with the dot at its end
	consumer string
	made     bool // the consumer is the feed's own
	mirror   bool
	take     func([]stream.FeedItem)
	deliver  *broker.Subscription
	inbox    *broker.Subscription

	closed atomic.Bool

	mu    sync.Mutex
	ready bool              // guarded by mu: the origin has agreed to send
	held  []stream.FeedItem // guarded by mu: what came before that
}

// came passes on what the consumer sent. Of one that was there before, only what it
// sends once it is reset is of use; that may come before the reset is answered.
func (f *feed) came(items []stream.FeedItem) {
	f.mu.Lock()
	if !f.ready {
		f.held = append(f.held, items...)
		items = nil
	}
	f.mu.Unlock()
	if items != nil {
		f.take(items)
	}
}

// begin passes on what was held, from where the consumer numbers from 1 on.
func (f *feed) begin(pending uint64) {
	items := []stream.FeedItem{{Kind: stream.FeedReady, Pending: pending}}
	f.mu.Lock()
	from := len(f.held)
	for i := range f.held {
		if f.held[i].Kind == stream.FeedRecord && f.held[i].ConsumerSeq == 1 {
			from = i
		}
	}
	items = append(items, f.held[from:]...)
	f.held, f.ready = nil, true
	f.mu.Unlock()
	f.take(items)
}

// Follow implements stream.Follower.
func (d Dialect) Follow(s *stream.Stream, o *stream.Origin, from stream.Place, take func([]stream.FeedItem)) stream.Feed {
	id := nuid.Next()
	f := &feed{space: s.Space(), origin: o.Stream, api: wire.APIPrefix, consumer: o.Consumer, take: take}
	if o.API != "" {
		f.api = o.API + "."
	}
	f.mirror = config(s).Mirror != nil
	to := o.ConsumerDeliver
	if f.made = o.Consumer == ""; f.made {
		f.consumer, to = "JS_SRC_"+id, "$JS.S."+id
		if f.mirror {
			f.consumer, to = "JS_MIRROR_"+id, "$JS.M."+id
		}
		if o.Deliver != "" {
			to = o.Deliver + "." + id
		}
	}
	f.deliver = &broker.Subscription{Subject: to, SID: "feed", Sink: &feedSink{f}}
	f.inbox = &broker.Subscription{Subject: "_INBOX." + id, SID: "feed", Sink: &answerSink{f}}
	f.space.Subscribe(f.deliver)
	f.space.Subscribe(f.inbox)
	subject, body := f.request(s, o, from, to)
	f.send(subject, f.inbox.Subject, body)
	return f
}

// request gives the request that has the origin send.
func (f *feed) request(s *stream.Stream, o *stream.Origin, from stream.Place, to string) (subject string, body []byte) {
	if !f.made {
		if from.Seq > 0 {
			body = wire.Encode(&wire.ResetRequest{Seq: from.Seq})
		}
		return "CONSUMER.RESET." + f.origin + "." + f.consumer, body
	}
	c := wire.FeedConsumer{
		Name: f.consumer, Deliver: to, Mirror: f.mirror, Account: s.Account(), Stream: s.Name(),
		StartSeq: from.Seq, FlowControl: !from.Unasked,
	}
	if from.Time != 0 {
		c.StartTime = time.Unix(0, from.Time)
	}
	for _, m := range o.Maps {
		if m.Source != "" && m.Source != ">" {
			c.Filters = append(c.Filters, m.Source)
		}
	}
	if len(c.Filters) != len(o.Maps) {
		c.Filters = nil // one of them is everything
	}
	return c.Request(f.origin)
}

// send makes a request. Where nobody is there to take it the feed has failed.
func (f *feed) send(subject, reply string, body []byte) {
	m := &broker.Message{Subject: []byte(f.api + subject), Data: body}
	if reply != "" {
		m.Reply = []byte(reply)
	}
	if r := f.space.Publish(m); r.Nobody() && reply != "" {
		f.fail(errNoAPI)
	}
}

func (f *feed) fail(err error) {
	f.take([]stream.FeedItem{{Kind: stream.FeedFailed, Err: err}})
}

// Confirm implements stream.Feed.
func (f *feed) Confirm(reply string, consumerSeq, seq uint64) bool {
	m := &broker.Message{Subject: []byte(reply)}
	if !f.made {
		m.Header = wire.AppendConfirm(nil, consumerSeq, seq)
	}
	r := f.space.Publish(m)
	return !r.Nobody()
}

// Close implements stream.Feed.
func (f *feed) Close() {
	if f.closed.Swap(true) {
		return
	}
	f.space.Unsubscribe(f.deliver)
	f.space.Unsubscribe(f.inbox)
	if f.made {
		f.send("CONSUMER.DELETE."+f.origin+"."+f.consumer, "", nil)
	}
}

// answered reads the answer to the request.
func (f *feed) answered(data []byte) {
	var a wire.FeedAnswer
	err := json.Unmarshal(data, &a)
	switch {
	case err != nil:
		f.fail(fmt.Errorf("read the answer of the origin's API: %w", err))
	case a.Error != nil && a.Error.ErrCode == wire.CodeStreamNotFound:
		f.fail(stream.ErrNoOrigin)
	case a.Error != nil:
		f.fail(a.Error)
	default:
		if werr := a.Unfit(f.mirror); werr != nil && !f.made {
			f.fail(werr)
			return
		}
		f.begin(a.Pending)
	}
}

// answerSink takes the answer to a feed's request.
type answerSink struct{ feed *feed }

// OpenStage implements broker.Sink.
func (s *answerSink) OpenStage(*broker.Publisher) broker.Stage { return &answerStage{feed: s.feed} }

type answerStage struct {
	feed *feed
	data []byte
}

// Add implements broker.Stage.
func (s *answerStage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	if s.feed.closed.Load() {
		return broker.Gone
	}
	s.data = slices.Clone(m.Data)
	return broker.Staged
}

// HandOver implements broker.Stage.
func (s *answerStage) HandOver() {
	if s.data != nil {
		s.feed.answered(s.data)
		s.data = nil
	}
}

// feedSink takes what the consumer sends.
type feedSink struct{ feed *feed }

// OpenStage implements broker.Sink.
func (s *feedSink) OpenStage(*broker.Publisher) broker.Stage { return &feedStage{feed: s.feed} }

type feedStage struct {
	feed  *feed
	items []stream.FeedItem
}

// Add implements broker.Stage.
func (s *feedStage) Add(_ *broker.Subscription, m *broker.Message) broker.Verdict {
	f := s.feed
	if f.closed.Load() {
		return broker.Gone
	}
	if a, ok := wire.ParseAck(m.Reply); ok {
		s.items = append(s.items, stream.FeedItem{
			Kind: stream.FeedRecord, ConsumerSeq: a.ConsumerSeq, Pending: a.Pending, View: ownedView(m, &a),
		})
		return broker.Staged
	}
	if b, ok := wire.ParseBeat(m.Header); ok {
		it := stream.FeedItem{Kind: stream.FeedBeat, ConsumerSeq: b.LastConsumer, Reply: b.Stalled}
		if b.Flow {
			it.Kind, it.Reply = stream.FeedFlow, string(m.Reply)
		}
		s.items = append(s.items, it)
	}
	return broker.Staged
}

// ownedView copies a delivery.
func ownedView(m *broker.Message, a *wire.AckSubject) record.View {
	all := make([]byte, 0, len(m.Subject)+len(m.Header)+len(m.Data))
	all = append(append(append(all, m.Subject...), m.Header...), m.Data...)
	header := len(m.Subject) + len(m.Header)
	v := record.View{Seq: a.StreamSeq, Time: a.Time, Subject: all[:len(m.Subject):len(m.Subject)]}
	if len(m.Header) > 0 {
		v.Header = all[len(m.Subject):header:header]
	}
	if len(m.Data) > 0 {
		v.Data = all[header:]
	}
	if len(m.Header) > 0 {
		h := wire.ParsePublishHeader(v.Header)
		v.Rollup, v.TTL = rollups[h.Rollup], h.TTL
	}
	return v
}

// HandOver implements broker.Stage.
func (s *feedStage) HandOver() {
	if len(s.items) > 0 {
		s.feed.came(s.items)
		s.items = nil
	}
}
