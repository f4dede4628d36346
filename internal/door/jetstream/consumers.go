package jetstream

import (
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/nats-io/nuid"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// ephemeralName makes a name for a consumer that was given none.
func ephemeralName() string { return nuid.Next()[14:] }

var ackPolicies = [...]consumer.AckPolicy{
	wire.AckNone: consumer.AckNone, wire.AckAll: consumer.AckAll, wire.AckExplicit: consumer.AckExplicit,
	wire.AckFlowControl: consumer.AckAll,
}

// flowAckWait is how long what is acknowledged by flow control may take: it comes
// again when somebody else listens, not by time.
const flowAckWait = 22 * time.Hour

var priorities = [...]consumer.PriorityPolicy{
	wire.PriorityNone: consumer.PriorityNone, wire.PriorityOverflow: consumer.PriorityOverflow,
	wire.PriorityPinnedClient: consumer.PriorityPinned, wire.PriorityPrioritized: consumer.PriorityRanked,
}

// neutralConsumer puts a configuration into the log's terms, for a stream and a
// start sequence.
func neutralConsumer(s *stream.Stream, cfg *wire.ConsumerConfig) stream.ConsumerConfig {
	doc, err := json.Marshal(cfg)
	if err != nil {
		panic("jetstream: a configuration does not encode: " + err.Error())
	}
	n := stream.ConsumerConfig{
		Name: cfg.KnownName(), Filter: cfg.Filters(), HeadersOnly: cfg.HeadersOnly, Doc: doc,
		Local: cfg.Durable == "" && (cfg.AckPolicy == wire.AckNone || cfg.MemoryStorage),
		Core: consumer.Config{
			AckPolicy: ackPolicies[cfg.AckPolicy], AckWait: cfg.AckWait, Backoff: cfg.Backoff,
			MaxDeliver: cfg.MaxDeliver, MaxAckPending: cfg.MaxAckPending, MaxWaiting: cfg.MaxWaiting,
			MaxBatch: cfg.MaxRequestBatch, MaxBytes: cfg.MaxRequestMaxBytes, MaxExpires: cfg.MaxRequestExpires,
			InactiveThreshold: cfg.InactiveThreshold, ReplayOriginal: cfg.ReplayPolicy == wire.ReplayOriginal,
		},
	}
	if cfg.Push() {
		n.Core.Push = &consumer.Push{
			Subject: cfg.DeliverSubject, Group: cfg.DeliverGroup, FlowControl: cfg.FlowControl,
			Heartbeat: cfg.IdleHeartbeat, RateLimit: cfg.RateLimit, FlowAcks: cfg.AckPolicy == wire.AckFlowControl,
		}
		if n.Core.Push.FlowAcks {
			n.Core.AckWait = flowAckWait
		}
	}
	if cfg.PriorityPolicy != wire.PriorityNone {
		n.Core.Priority = &consumer.Priority{
			Policy: priorities[cfg.PriorityPolicy], Groups: cfg.PriorityGroups, Timeout: cfg.PriorityTimeout,
		}
	}
	n.Core.Sample = cfg.Sampling()
	if cfg.PauseUntil != nil {
		n.Core.PauseUntil = unixNano(*cfg.PauseUntil)
	}
	return n
}

// startSubjects is up to how many subjects of a stream are looked at for the lowest of
// their last sequences. With more a consumer that begins there passes over what is
// before.
const startSubjects = 4096

// start resolves a deliver policy into the first sequence to deliver.
func start(s *stream.Stream, cfg *wire.ConsumerConfig, n *stream.ConsumerConfig) error {
	p := s.Partition()
	last := p.Committed()
	n.Start = p.First()
	switch cfg.DeliverPolicy {
	case wire.DeliverLast:
		patterns := n.Filter
		if len(patterns) == 0 {
			patterns = []string{">"}
		}
		n.Start = last + 1
		found := uint64(0)
		for _, f := range patterns {
			if v, err := p.LastOf(f); err == nil {
				found = max(found, v.Seq)
			}
		}
		if found > 0 {
			n.Start = found
		}
	case wire.DeliverNew:
		n.Start = last + 1
	case wire.DeliverByStartSequence:
		n.Start = max(cfg.OptStartSeq, p.First())
	case wire.DeliverByStartTime:
		seq, err := p.SeekTime(unixNano(*cfg.OptStartTime))
		if err != nil {
			return err
		}
		n.Start = seq
	case wire.DeliverLastPerSubject:
		n.LastPerSubject, n.SkipTo = true, last
		if p.Status().Subjects <= startSubjects {
			if seqs := p.LastSequences(n.Filter, last, 1); len(seqs) > 0 {
				n.Start = seqs[0]
			}
		}
	}
	n.Start = max(n.Start, 1)
	return nil
}

// unixNano is the time in ns, also where it lies outside of what an int64 holds:
// then it is before or after everything that is stored.
func unixNano(t time.Time) int64 {
	switch sec := t.Unix(); {
	case sec < 0:
		return 0
	case sec >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func consumerCreate(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeConsumerCreate(c.Request, c.body)
	if werr != nil {
		return nil, werr
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	cfg := &r.Config
	if cfg.KnownName() == "" {
		cfg.Name = ephemeralName()
	}
	if werr := cfg.Check(wire.ConsumerOptions{Stream: config(s), MaxRequestBatch: c.o.MaxRequestBatch, MaxAckPending: c.maxAckPending(), Pedantic: r.Pedantic}); werr != nil {
		return nil, werr
	}
	if old := s.Consumer(cfg.KnownName()); old != nil {
		return c.changeConsumer(s, old, r)
	}
	if werr := r.Decide(nil); werr != nil {
		return nil, werr
	}
	done, full := c.roomForConsumer()
	if full != nil {
		// A creation of that name may have been under way.
		if old := s.Consumer(cfg.KnownName()); old != nil {
			return c.changeConsumer(s, old, r)
		}
		return nil, full
	}
	defer done()
	if werr := cfg.CheckQueue(config(s)); werr != nil {
		return nil, werr
	}
	n := neutralConsumer(s, cfg)
	if err := start(s, cfg, &n); err != nil {
		return nil, c.failed(wire.CodeConsumerCreate, err)
	}
	at, werr := c.continued(s, cfg, &n)
	if werr != nil {
		return nil, werr
	}
	con, err := s.CreateConsumerAt(c.ctx, n, at)
	switch {
	case errors.Is(err, stream.ErrExists):
		if old := s.Consumer(cfg.KnownName()); old != nil {
			return c.changeConsumer(s, old, r)
		}
		return nil, wire.Err(wire.CodeConsumerNameExist)
	case errors.Is(err, stream.ErrMaxConsumers):
		return nil, wire.Err(wire.CodeMaximumConsumers)
	case errors.Is(err, stream.ErrNotFound):
		return nil, wire.Err(wire.CodeStreamNotFound)
	case err != nil:
		return nil, c.consumerFailed(err)
	case at != nil:
		return c.created(con)
	}
	return c.begun(con)
}

// roomForConsumer holds a new consumer against the account's limit. It has its place
// among the account's consumers until done is called.
func (c *call) roomForConsumer() (done func(), werr *wire.Error) {
	done, err := c.dir.PromiseConsumer(c.ctx, c.space.Name(), c.account.JetStream.MaxConsumers)
	switch {
	case errors.Is(err, stream.ErrMaxConsumers):
		return nil, wire.Err(wire.CodeMaximumConsumers)
	case err != nil:
		return nil, c.consumerFailed(err)
	}
	return done, nil
}

// begun answers the creation of a consumer. What it has delivered since is still
// to be delivered in the answer: clients add both.
func (c *call) begun(con *stream.Consumer) (any, *wire.Error) {
	info, werr := c.consumerInfo(c, con)
	if werr != nil {
		return nil, werr
	}
	info.NumPending += info.Delivered.Consumer
	info.Delivered = wire.SequenceInfo{Stream: con.Config().Start - 1}
	info.AckFloor, info.NumAckPending = info.Delivered, 0
	return &wire.ConsumerCreateResponse{Response: c.Kind.Head(nil), ConsumerInfo: info}, nil
}

// changeConsumer answers a creation whose name is taken.
func (c *call) changeConsumer(s *stream.Stream, old *stream.Consumer, r *wire.ConsumerCreateRequest) (any, *wire.Error) {
	c.existed = true
	was, cfg := consumerConfig(old), &r.Config
	if werr := r.Decide(was); werr != nil {
		return nil, werr
	}
	if cfg.Equal(was) {
		return c.created(old)
	}
	if old.Config().Local && cfg.Durable != "" {
		return nil, wire.ErrWith(wire.CodeConsumerCreate, "err", "consumer that is kept in memory can not become durable")
	}
	if cfg.DeliverSubject != was.DeliverSubject {
		if i, err := old.Info(c.ctx); err == nil && i.Bound {
			return nil, wire.Err(wire.CodeConsumerNameExist)
		}
	}
	con, werr := c.updateConsumer(s, old, cfg)
	if werr != nil {
		return nil, werr
	}
	return c.created(con)
}

// updateConsumer gives a consumer another configuration. Where it began to deliver
// is settled.
func (c *call) updateConsumer(s *stream.Stream, old *stream.Consumer, cfg *wire.ConsumerConfig) (*stream.Consumer, *wire.Error) {
	if foreign(old) {
		return nil, wire.Err(wire.CodeConsumerNameExist)
	}
	n := neutralConsumer(s, cfg)
	o := old.Config()
	n.Start, n.LastPerSubject, n.SkipTo, n.Local = o.Start, o.LastPerSubject, o.SkipTo, o.Local
	con, err := s.UpdateConsumer(c.ctx, old, n)
	if err != nil {
		return nil, c.consumerFailed(err)
	}
	return con, nil
}

// consumerFailed is why a consumer is not made or changed.
func (c *call) consumerFailed(err error) *wire.Error {
	switch {
	case errors.Is(err, stream.ErrUnfilteredWork):
		return wire.Err(wire.CodeQueueUnfiltered)
	case errors.Is(err, stream.ErrSharedWork):
		return wire.Err(wire.CodeQueueNotUnique)
	}
	return c.failed(wire.CodeConsumerCreate, err)
}

// consumerPause stops deliveries until a time, or lets them go on.
func consumerPause(c *call) (any, *wire.Error) {
	var r wire.PauseRequest
	if werr := c.decoder.Optional(c.body, &r); werr != nil {
		return nil, werr
	}
	s, con, werr := c.lookupConsumer()
	if werr != nil {
		return nil, werr
	}
	cfg := consumerConfig(con).Clone()
	if cfg.PauseUntil = nil; !r.PauseUntil.IsZero() {
		until := r.PauseUntil.UTC()
		cfg.PauseUntil = &until
	}
	cfg.Stamp()
	if _, werr := c.updateConsumer(s, con, cfg); werr != nil {
		return nil, werr
	}
	left := pauseLeft(cfg, time.Now())
	return &wire.ConsumerPauseResponse{
		Response: c.Kind.Head(nil), Paused: left > 0, PauseUntil: r.PauseUntil.UTC(), PauseRemaining: left,
	}, nil
}

func (c *call) created(con *stream.Consumer) (any, *wire.Error) {
	info, werr := c.consumerInfo(c, con)
	if werr != nil {
		return nil, werr
	}
	return &wire.ConsumerCreateResponse{Response: c.Kind.Head(nil), ConsumerInfo: info}, nil
}

// lookupConsumer finds the request's consumer.
func (c *call) lookupConsumer() (*stream.Stream, *stream.Consumer, *wire.Error) {
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, nil, werr
	}
	con := s.Consumer(c.Consumer)
	if con == nil {
		return nil, nil, wire.Err(wire.CodeConsumerNotFound)
	}
	return s, con, nil
}

// pageOfConsumers returns the part of the stream's consumers that is asked for.
func (c *call) pageOfConsumers(limit int) ([]*stream.Consumer, wire.Paged, *wire.Error) {
	var r struct {
		Offset int `json:"offset"`
	}
	if werr := c.decoder.Optional(c.body, &r); werr != nil {
		return nil, wire.Paged{}, werr
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, wire.Paged{}, werr
	}
	all := s.Consumers()
	from, to, page := wire.Page(len(all), r.Offset, limit)
	return all[from:to], page, nil
}

func consumerNames(c *call) (any, *wire.Error) {
	cons, page, werr := c.pageOfConsumers(wire.NamesLimit)
	if werr != nil {
		return nil, werr
	}
	names := []string{}
	for _, con := range cons {
		names = append(names, con.Name())
	}
	return &wire.ConsumerNamesResponse{Response: c.Kind.Head(nil), Paged: page, Consumers: names}, nil
}

func consumerList(c *call) (any, *wire.Error) {
	cons, page, werr := c.pageOfConsumers(wire.ListLimit)
	if werr != nil {
		return nil, werr
	}
	infos := []*wire.ConsumerInfo{}
	for _, con := range cons {
		if i, werr := c.consumerInfo(c, con); werr == nil {
			i.Config.Metadata = consumerConfig(con).Metadata // lists leave out the server's own
			infos = append(infos, i)
		}
	}
	return &wire.ConsumerListResponse{Response: c.Kind.Head(nil), Paged: page, Consumers: infos}, nil
}

func consumerInfo(c *call) (any, *wire.Error) {
	_, con, werr := c.lookupConsumer()
	if werr != nil {
		return nil, werr
	}
	info, werr := c.consumerInfo(c, con)
	if werr != nil {
		return nil, werr
	}
	return &wire.ConsumerInfoResponse{Response: c.Kind.Head(nil), ConsumerInfo: info}, nil
}

func consumerDelete(c *call) (any, *wire.Error) {
	s, con, werr := c.lookupConsumer()
	if werr != nil {
		return nil, werr
	}
	err := s.DeleteConsumer(c.ctx, con)
	switch {
	case errors.Is(err, stream.ErrNotFound):
		return nil, wire.Err(wire.CodeConsumerNotFound)
	case err != nil:
		return nil, c.failed(wire.CodeConsumerCreate, err)
	}
	return &wire.SuccessResponse{Response: c.Kind.Head(nil), Success: true}, nil
}
