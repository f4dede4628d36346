package stream

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/timewheel"
)

// Consumer is a named position in a stream.
type Consumer struct {
	// Set at construction.
	stream *Stream
	id     uint64
	spec   atomic.Pointer[consumerSpec]
	native atomic.Pointer[any]

	gone atomic.Bool

	// Only the shard.
	core    *consumer.Consumer
	source  source
	timer   timewheel.Timer[timed]
	dirty   bool
	confirm [][]byte // acknowledgements to confirm once they are noted
	// cancelWatch ends the watch over who listens; nil: there is none.
	cancelWatch func()
}

func (c *Consumer) unwatch() {
	if c.cancelWatch != nil {
		c.cancelWatch()
		c.cancelWatch = nil
	}
}

// Name is the consumer's name, unique in its stream.
func (c *Consumer) Name() string { return c.spec.Load().Config.Name }

// Stream is the consumer's stream.
func (c *Consumer) Stream() *Stream { return c.stream }

// Created is when it was created, Unix ns.
func (c *Consumer) Created() int64 { return c.spec.Load().Created }

// Config is the configuration in force. It must not be changed.
func (c *Consumer) Config() *ConsumerConfig { return &c.spec.Load().Config }

// Native is the dialect's decoded Doc.
func (c *Consumer) Native() any { return *c.native.Load() }

// ConsumerInfo is a consumer's state at one moment.
type ConsumerInfo struct {
	consumer.Info
	Pending uint64 // records still to be delivered for the first time
}

// Gone says that the consumer was deleted.
func (c *Consumer) Gone() bool { return c.gone.Load() }

// WantsAcks says whether deliveries are to be acknowledged.
func (c *Consumer) WantsAcks() bool { return c.Config().Core.AckPolicy != consumer.AckNone }

// Refuse posts a status to somebody whose request was refused.
func (c *Consumer) Refuse(st consumer.Status) {
	sh := c.stream.shard
	sh.post(event{kind: evCall, call: func(int64) {
		sh.outlet.Status(sh.publisher(c.stream.space), c, &st)
	}})
}

// ask has the shard call f and waits for that. ErrNotFound: the consumer was deleted.
// After an error f may still be called: what it writes is not to be read.
func (c *Consumer) ask(ctx context.Context, f func(now int64)) error {
	w := newWaiter()
	c.stream.shard.post(event{kind: evCall, call: func(now int64) {
		if c.gone.Load() {
			w.fail(ErrNotFound)
			return
		}
		f(now)
		w.finish()
	}})
	return w.wait(ctx)
}

// Info asks the shard for the consumer's state.
func (c *Consumer) Info(ctx context.Context) (ConsumerInfo, error) {
	var info ConsumerInfo
	if err := c.ask(ctx, func(now int64) { info = c.info(now) }); err != nil {
		return ConsumerInfo{}, err
	}
	return info, nil
}

func (c *Consumer) info(now int64) ConsumerInfo {
	c.core.Sweep(now, c.stream.interested)
	i := c.core.Info()
	return ConsumerInfo{Info: i, Pending: c.source.Count(c.core.Next())}
}

// Request posts a pull request.
func (c *Consumer) Request(r consumer.Request) {
	c.stream.shard.post(event{kind: evRequest, consumer: c, request: &r})
}

// FlowAnswered posts a client's answer to the flow-control request of that number.
func (c *Consumer) FlowAnswered(flow uint64) {
	c.stream.shard.post(event{kind: evFlow, consumer: c, seq: flow})
}

// Ack is one acknowledgement, with where its confirmation goes (empty: none).
type Ack struct {
	Consumer *Consumer
	consumer.Ack
	Reply []byte
	// Next is a pull request that came with it.
	Next *consumer.Request
}

// PostAcks posts acknowledgements, grouped by shard by the caller or not. It
// takes the slices of replies over, not the slice of acks.
func (d *Directory) PostAcks(acks []Ack) {
	for i := 0; i < len(acks); {
		sh := acks[i].Consumer.stream.shard
		j := i + 1
		for j < len(acks) && acks[j].Consumer.stream.shard == sh {
			j++
		}
		sh.postAcks(acks[i:j])
		i = j
	}
}

// openConsumer decodes the Doc of a configuration.
func (s *Stream) openConsumer(cfg *ConsumerConfig) (any, error) {
	if cfg.Dialect == "" {
		return s.dialect.OpenConsumer(cfg.Doc)
	}
	open := s.dir.o.Foreign[cfg.Dialect]
	if open == nil {
		return nil, fmt.Errorf("consumer %q is of the dialect %q, which this server does not speak", cfg.Name, cfg.Dialect)
	}
	return open(cfg.Doc)
}

// creation is a consumer on its way through the log.
type creation struct {
	*waiter
	consumer *Consumer // set when it exists
}

// CreateConsumer makes a consumer. It returns when that is durable. A consumer of
// the same name gives ErrExists, also one whose creation is under way: that is
// waited for.
func (s *Stream) CreateConsumer(ctx context.Context, cfg ConsumerConfig) (*Consumer, error) {
	return s.createConsumer(ctx, cfg, nil)
}

// createConsumer makes a consumer that begins at an encoded state; nil: where its
// configuration says.
func (s *Stream) createConsumer(ctx context.Context, cfg ConsumerConfig, state []byte) (*Consumer, error) {
	if _, err := s.openConsumer(&cfg); err != nil {
		return nil, err
	}
	if s.Config().Retention != RetainByLimits {
		cfg.Local = false // what it needs must be known alike after a restart
	}
	done, err := s.reserveConsumer(ctx, cfg.Name)
	if err != nil {
		return nil, err
	}
	defer done()
	s.mu.Lock()
	s.nextID++
	id := s.nextID
	s.mu.Unlock()
	return s.setConsumer(ctx, consumerSpec{ID: id, Created: time.Now().UnixNano(), Config: cfg, State: state})
}

// reserveConsumer claims a name, and a place among the stream's consumers, for a
// creation until done is called.
func (s *Stream) reserveConsumer(ctx context.Context, name string) (done func(), err error) {
	for {
		s.mu.Lock()
		limit := s.config.Load().MaxConsumers
		other := s.creating[name]
		switch {
		case s.closed.Load():
			err = ErrNotFound
		case s.consumers[name] != nil:
			err = ErrExists
		case other == nil && limit > 0 && s.promisedLocked() >= limit:
			err = ErrMaxConsumers
		}
		if err != nil {
			s.mu.Unlock()
			return nil, err
		}
		if other == nil {
			break
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the creation of consumer %q: %w", name, ctx.Err())
		}
	}
	mine := make(chan struct{})
	s.creating[name] = mine
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		delete(s.creating, name)
		s.mu.Unlock()
		close(mine)
	}, nil
}

// promisedLocked counts the consumers and those on their way. One that exists while
// its creator has not been told yet is both, and counts once.
func (s *Stream) promisedLocked() int {
	n := len(s.consumers)
	for name := range s.creating {
		if s.consumers[name] == nil {
			n++
		}
	}
	return n
}

// UpdateConsumer changes a consumer's configuration; its position stays. One that
// is deleted gives ErrNotFound.
func (s *Stream) UpdateConsumer(ctx context.Context, c *Consumer, cfg ConsumerConfig) (*Consumer, error) {
	if _, err := s.openConsumer(&cfg); err != nil {
		return nil, err
	}
	return s.setConsumer(ctx, consumerSpec{ID: c.id, Created: c.Created(), Update: true, Config: cfg})
}

// setConsumer puts a specification in force, through the log unless it is local.
func (s *Stream) setConsumer(ctx context.Context, spec consumerSpec) (*Consumer, error) {
	if spec.Config.Local {
		return s.consumerSet(spec)
	}
	data, err := json.Marshal(&spec)
	if err != nil {
		return nil, fmt.Errorf("encode consumer %q: %w", spec.Config.Name, err)
	}
	cr := &creation{waiter: newWaiter()}
	if err := s.part.Propose(record.KindConsumerSet, true, cr, data); err != nil {
		return nil, err
	}
	if err := cr.wait(ctx); err != nil {
		return nil, err
	}
	return cr.consumer, nil
}

// consumerSet puts a consumer, or its new configuration, in force. It runs on the
// group's goroutine, or on that of the caller for a local one.
func (s *Stream) consumerSet(spec consumerSpec) (*Consumer, error) {
	n, err := s.openConsumer(&spec.Config)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.consumers[spec.Config.Name]
	switch {
	case s.dropped.Load():
		return nil, ErrNotFound
	case spec.Update && (c == nil || c.id != spec.ID):
		return nil, ErrNotFound
	case !spec.Update && c != nil:
		return nil, ErrExists
	case c == nil:
		st := consumer.StartAt(spec.Config.Start)
		if len(spec.State) > 0 {
			if st, err = consumer.DecodeState(spec.State); err != nil {
				return nil, err
			}
			spec.State = nil
		}
		return s.addConsumerLocked(spec, n, st), nil
	}
	s.shard.post(event{kind: evCall, call: func(now int64) {
		if c.gone.Load() {
			return
		}
		c.spec.Store(&spec)
		c.native.Store(&n)
		c.core.Update(s.coreConfig(&spec))
		c.source.open(c)
		s.shard.watch(c, now)
		s.shard.touch(c)
	}})
	return c, nil
}

// revive makes the consumers live that the ledger holds, once replay is over.
func (s *Stream) revive() {
	for _, id := range slices.Sorted(maps.Keys(s.ledger.by)) {
		a := s.ledger.by[id]
		n, err := s.openConsumer(&a.spec.Config)
		if err != nil {
			s.dir.log.Error("consumer not opened", "stream", s.Name(), "consumer", a.spec.Config.Name, "error", err)
			continue
		}
		s.mu.Lock()
		if s.consumers[a.spec.Config.Name] == nil {
			s.addConsumerLocked(a.spec, n, a.replica.State())
		}
		s.mu.Unlock()
	}
}

// A pull consumer that nobody uses stays for longer than it says by a random time
// between these: who comes back just in time finds it, and consumers that were left
// together do not go together.
const (
	leastGrace = 100 * time.Millisecond
	mostGrace  = time.Second
)

func grace(c *consumer.Config) time.Duration {
	if c.InactiveThreshold <= 0 || c.Push != nil {
		return 0
	}
	return leastGrace + rand.N(mostGrace-leastGrace)
}

// coreConfig is the configuration of a consumer's core, with what the dialect
// knows.
func (s *Stream) coreConfig(spec *consumerSpec) consumer.Config {
	core := spec.Config.Core
	core.NewPin = newPin
	core.InactiveThreshold += grace(&core)
	core.AckReplyLen = s.dialect.AckReplyLen(s.Name(), spec.Config.Name)
	return core
}

// addConsumerLocked makes the live consumer and gives it to the shard.
func (s *Stream) addConsumerLocked(spec consumerSpec, native any, st consumer.State) *Consumer {
	c := &Consumer{stream: s, id: spec.ID}
	c.spec.Store(&spec)
	c.native.Store(&native)
	c.core = consumer.New(s.coreConfig(&spec), st)
	c.core.Replay(s.part.Committed())
	s.consumers[spec.Config.Name] = c
	s.delivers.Add(1)
	s.nextID = max(s.nextID, spec.ID)
	s.idle.Store(false)
	s.part.WatchRemovals(true)
	s.shard.post(event{kind: evCall, call: func(now int64) {
		c.source.open(c)
		s.shard.adopt(c, now)
	}})
	return c
}

// DeleteConsumer removes a consumer. It returns when that is durable.
func (s *Stream) DeleteConsumer(ctx context.Context, c *Consumer) error {
	if c.Config().Local {
		if !s.consumerDropped(c.Name(), c.id) {
			return ErrNotFound
		}
		return nil
	}
	w := newWaiter()
	if err := s.part.Propose(record.KindConsumerDrop, true, w, binary.AppendUvarint(nil, c.id)); err != nil {
		return err
	}
	return w.wait(ctx)
}

// consumerDropped takes a consumer out of use; false if it is not there.
func (s *Stream) consumerDropped(name string, id uint64) bool {
	s.mu.Lock()
	c := s.consumers[name]
	if c == nil || c.id != id {
		s.mu.Unlock()
		return false
	}
	delete(s.consumers, name)
	s.delivers.Add(-1)
	if len(s.consumers) == 0 {
		s.part.WatchRemovals(false)
	}
	s.mu.Unlock()
	c.gone.Store(true)
	s.shard.post(event{kind: evDrop, consumer: c})
	return true
}
