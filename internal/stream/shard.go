package stream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/consumer"
	"github.com/weirmq/weir/internal/timewheel"
)

// stepLimit is how many deliveries one consumer makes before the next one's turn.
const stepLimit = 512

// tick is the precision of the shards' timers.
const tick = int64(time.Millisecond)

// timed is what has a timer: a *Consumer, a *Stream, a *schedule, a *copier, a
// *gathering or a *flow.
type timed any

// Shard runs the consumers and timers of some streams on one goroutine.
type Shard struct {
	// Set at construction.
	outlet Outlet
	log    *slog.Logger
	wakeUp chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	box  []event
	acks []Ack

	// Only Run's goroutine.
	wheel      *timewheel.Wheel[timed]
	publishers map[*broker.Space]*broker.Publisher
	touched    []*broker.Publisher
	dirty      []*Consumer
	copying    []*copier
	late       []*staged // to be answered when this turn's deliveries are made
	streams    map[*Stream]*streamState
	out        consumer.Output
	scratch    []byte
	haul       haul // of the consumer that is stepped
	scout      scout
	spare      []event
	spareAcks  []Ack
}

// streamState is what the shard keeps for a stream.
type streamState struct {
	consumers map[*Consumer]struct{}
	age       timewheel.Timer[timed]
	marking   map[uint64]int64 // since when records are to be replaced by a marker
	removing  bool             // a removal by age is under way
	schedules map[uint64]*schedule
	learned   uint64 // the last marked sequence that was looked at
	first     uint64 // the last first sequence that the consumers were told of
	seen      uint64 // the number of the last removal that an event told of
	counts    map[string]*filterCount
}

type eventKind uint8

const (
	evWake     eventKind = iota // records became visible, or went
	evRequest                   // a pull request
	evAnswer                    // replies to publishers
	evRemoved                   // a record went
	evCall                      // run a function
	evDrop                      // a consumer is gone
	evForget                    // a stream is gone
	evConfig                    // a stream's configuration changed
	evBound                     // who listens to a consumer may have changed
	evCopy                      // an origin has something to copy
	evFlow                      // a client answered a consumer's flow-control request
	evAcked                     // a consumer's records were acknowledged
	evGathered                  // what gathered is to be admitted
)

type event struct {
	kind     eventKind
	stream   *Stream
	consumer *Consumer
	copier   *copier
	request  *consumer.Request
	staged   *staged
	seq      uint64
	removal  uint64
	subject  []byte
	call     func(now int64)
	seqs     []uint64
}

func newShard(outlet Outlet, log *slog.Logger, now int64) *Shard {
	return &Shard{
		outlet: outlet, log: log, wakeUp: make(chan struct{}, 1), wheel: timewheel.New[timed](tick, now),
		publishers: map[*broker.Space]*broker.Publisher{}, streams: map[*Stream]*streamState{},
	}
}

// post puts an event into the box. It never waits.
func (sh *Shard) post(e event) {
	sh.mu.Lock()
	sh.box = append(sh.box, e)
	sh.mu.Unlock()
	sh.signal()
}

func (sh *Shard) postAcks(acks []Ack) {
	sh.mu.Lock()
	sh.acks = append(sh.acks, acks...)
	sh.mu.Unlock()
	sh.signal()
}

func (sh *Shard) signal() {
	select {
	case sh.wakeUp <- struct{}{}:
	default:
	}
}

// Run serves the shard until ctx ends.
func (sh *Shard) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	sh.scout.start()
	defer sh.scout.stop()
	for {
		now := time.Now().UnixNano()
		busy := sh.turn(now)
		if busy {
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		wait := time.Hour
		if next, ok := sh.wheel.Next(); ok {
			wait = max(time.Duration(next-time.Now().UnixNano()), 0)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-sh.wakeUp:
		case <-timer.C:
		}
	}
}

// turn handles all that is there now. It says whether there is more to do at
// once.
func (sh *Shard) turn(now int64) bool {
	sh.mu.Lock()
	box, acks := sh.box, sh.acks
	sh.box, sh.acks = sh.spare[:0], sh.spareAcks[:0]
	sh.mu.Unlock()
	for i := range box {
		sh.handle(&box[i], now)
	}
	sh.applyAcks(acks, now)
	clear(box)
	clear(acks)
	sh.spare, sh.spareAcks = box, acks
	sh.wheel.Advance(now, func(t timed) { sh.fire(t, now) })
	work := sh.dirty
	sh.dirty = nil
	for _, c := range work {
		c.dirty = false
		sh.step(c, now)
	}
	for _, b := range sh.late {
		sh.answer(b)
	}
	clear(sh.late)
	sh.late = sh.late[:0]
	copying := sh.copying
	sh.copying = nil
	for _, c := range copying {
		sh.copyOn(c, now)
	}
	for _, p := range sh.touched {
		p.HandOver()
	}
	sh.touched = sh.touched[:0]
	return len(sh.dirty)+len(sh.copying) > 0
}

func (sh *Shard) handle(e *event, now int64) {
	switch e.kind {
	case evWake:
		e.stream.woken.Store(false)
		sh.wake(e.stream, now)
	case evRequest:
		e.consumer.core.Request(*e.request, now)
		if e.consumer.gone.Load() {
			sh.end(e.consumer, consumer.EndDeleted)
			return
		}
		sh.touch(e.consumer)
	case evAnswer:
		if e.staged.late {
			sh.late = append(sh.late, e.staged)
			return
		}
		sh.answer(e.staged)
	case evAcked:
		sh.acknowledge(e.consumer, e.seqs, now)
	case evRemoved:
		sh.removed(e)
	case evCall:
		e.call(now)
	case evDrop:
		sh.drop(e.consumer)
	case evGathered:
		e.stream.part.AdmitGathered()
	case evCopy:
		e.copier.woken.Store(false)
		sh.touchCopy(e.copier)
	case evForget:
		sh.follow(e.stream)
		if st := sh.streams[e.stream]; st != nil {
			sh.wheel.Clear(&st.age)
			sh.unlearn(st)
			delete(sh.streams, e.stream)
		}
	case evBound:
		sh.listen(e.consumer, now)
	case evFlow:
		e.consumer.core.FlowAnswered(e.seq, now)
		sh.touch(e.consumer)
	case evConfig:
		// The age may be another one now: its timer is set anew.
		sh.wheel.Clear(&sh.state(e.stream).age)
		sh.wake(e.stream, now)
	}
}

// answer writes the replies to a batch's publishers.
func (sh *Shard) answer(b *staged) {
	sh.scratch = b.answer(sh.publisher(b.stream.space), sh.scratch)
}

// wake lets the stream's consumers look for records, and its age timer run.
func (sh *Shard) wake(s *Stream, now int64) {
	if s.dropped.Load() {
		return
	}
	st := sh.state(s)
	if first := s.part.First(); first != st.first {
		st.first = first
		for c := range st.consumers {
			sh.told(c, func() { c.core.Removed(first) })
		}
	}
	for c := range st.consumers {
		if c.core.Wants() {
			sh.touch(c)
		}
	}
	sh.watchAge(s, st, now)
	sh.learn(s, st, now)
	s.idle.Store(len(st.consumers) == 0 && (s.part.Limits().MaxAge <= 0 || st.age.Active()))
}

// state returns what the shard keeps for the stream, made on first use.
func (sh *Shard) state(s *Stream) *streamState {
	st := sh.streams[s]
	if st == nil {
		st = &streamState{consumers: map[*Consumer]struct{}{}, counts: map[string]*filterCount{}}
		st.age.Item = s
		sh.streams[s] = st
	}
	return st
}

// adopt begins to serve a consumer.
func (sh *Shard) adopt(c *Consumer, now int64) {
	c.timer.Item = c
	sh.state(c.stream).consumers[c] = struct{}{}
	c.stream.idle.Store(false)
	sh.watch(c, now)
	sh.touch(c)
}

// watch follows who listens to a consumer that sends by itself.
func (sh *Shard) watch(c *Consumer, now int64) {
	c.unwatch()
	push := c.Config().Core.Push
	if push == nil {
		return
	}
	c.cancelWatch = c.stream.space.Watch(push.Subject, func() { sh.post(event{kind: evBound, consumer: c}) })
	sh.listen(c, now)
}

// listen tells the consumer whether somebody listens.
func (sh *Shard) listen(c *Consumer, now int64) {
	if push := c.Config().Core.Push; push != nil && !c.gone.Load() {
		c.core.Bound(c.stream.space.Listened(push.Subject, push.Group), now)
		sh.touch(c)
	}
}

// drop ends the service of a consumer: its waiting requests are told.
func (sh *Shard) drop(c *Consumer) {
	sh.wheel.Clear(&c.timer)
	c.unwatch()
	if st := sh.streams[c.stream]; st != nil {
		delete(st.consumers, c)
	}
	sh.end(c, consumer.EndDeleted)
	if !c.stream.dropped.Load() {
		sh.outlet.Deleted(sh.publisher(c.stream.space), c)
	}
	sh.forget(&c.source)
	c.source.close()
}

// sayGoodbye ends the requests that wait, because the server stops.
func (sh *Shard) sayGoodbye() {
	for s, st := range sh.streams {
		p := sh.publisher(s.space)
		for c := range st.consumers {
			c.core.Close(consumer.EndShutdown, &sh.out)
			for i := range sh.out.Statuses {
				sh.outlet.Status(p, c, &sh.out.Statuses[i])
			}
		}
	}
	for _, p := range sh.touched {
		p.HandOver()
	}
}

// end tells a consumer's waiting requests why they are served no longer.
func (sh *Shard) end(c *Consumer, why consumer.Ending) {
	c.core.Close(why, &sh.out)
	p := sh.publisher(c.stream.space)
	for i := range sh.out.Statuses {
		sh.outlet.Status(p, c, &sh.out.Statuses[i])
	}
}

// touch has the consumer stepped in this turn.
func (sh *Shard) touch(c *Consumer) {
	if !c.dirty {
		c.dirty = true
		sh.dirty = append(sh.dirty, c)
	}
}

// fire is called for a timer whose time has come.
func (sh *Shard) fire(t timed, now int64) {
	switch o := t.(type) {
	case *Consumer:
		sh.touch(o)
	case *Stream:
		sh.expire(o, now)
	case *schedule:
		sh.ring(o, now)
	case *gathering:
		sh.overdue(o, now)
	case *flow:
		sh.flowOverdue(o, now)
	case *copier:
		o.blocked = false
		sh.touchCopy(o)
	}
}

func (sh *Shard) removed(e *event) {
	st := sh.streams[e.stream]
	if st == nil {
		return
	}
	st.seen = e.removal
	for _, fc := range st.counts {
		if e.seq == 0 {
			fc.cleared()
		} else {
			fc.removed(e.seq, e.removal, e.subject)
		}
	}
	for c := range st.consumers {
		if e.seq == 0 {
			first := e.stream.part.First()
			sh.told(c, func() { c.core.Purged(first) })
		} else {
			sh.told(c, func() { c.core.Removed(0, e.seq) })
		}
	}
}

// told tells a consumer of a removal, and has it stepped where that changed
// something: it is noted in the log, and there may be room for new messages.
func (sh *Shard) told(c *Consumer, tell func()) {
	before := c.core.Info()
	tell()
	if c.core.Info() != before {
		sh.touch(c)
	}
}

// publisher returns the shard's publisher for an account, and has it handed over
// at the end of the turn.
func (sh *Shard) publisher(space *broker.Space) *broker.Publisher {
	p := sh.publishers[space]
	if p == nil {
		p = broker.NewPublisher(space, broker.PublisherOptions{Echo: true})
		sh.publishers[space] = p
	}
	for _, t := range sh.touched {
		if t == p {
			return p
		}
	}
	sh.touched = append(sh.touched, p)
	return p
}
