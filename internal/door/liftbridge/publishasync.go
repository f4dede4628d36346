package liftbridge

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/door/liftbridge/rpc"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"golang.org/x/sys/cpu"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// asyncBytes bounds what one call has in flight before its client may send no more, and
	// requestWeight is what each message counts beside its length.
	asyncBytes    = 32 << 20
	requestWeight = 512
	// asyncGrace is how long acks are waited for when the client publishes no more.
	asyncGrace = 5 * time.Second
)

// carrier is how the messages of a session come, and their fates go.
type carrier interface {
	// decode gives what the client sent together, which is valid until the next call, and
	// what it weighs, at most asyncBytes. b lies in c, which the carrier lets go of, or,
	// where c is nil, is valid until all of it is published. It is the reader's.
	decode(b []byte, c *chunk.Chunk) (list []incoming, weight int64, err error)
	// pause is told when all that had arrived was published. It is the reader's.
	pause()
	// answer tells the client of the first of some messages, at least one, and returns
	// of how many.
	answer(list []*asyncPublish) int
	// reuse may keep the room of messages that were answered.
	reuse(list []*asyncPublish)
}

// session is one call that publishes without waiting. Its messages are published by the
// goroutine that reads the client's connection, and answered by those that tell of their
// fates.
type session struct {
	// Set at construction.
	door    *Door
	account string
	judged  atomic.Pointer[judged]
	call    *rpc.Call
	carrier carrier
	inbox   []byte
	wake    chan struct{} // one token: failed, ended or left has changed

	// Only the reader.
	publisher *broker.Publisher
	joined    bool // the publisher knows the round
	families  map[string]*family
	last      *family   // the one that was looked for last
	to        addressed // of the message that is published
	place     *place    // of the last one
	places    map[partitionID]*place
	message   broker.Message // that is published
	buf       []byte
	subject   []byte
	deaf      bool // it has failed

	// What the reader counts for each message lies apart from what is counted for each
	// answer: two processors would take one cache line from each other all the time.
	_     cpu.CacheLinePad
	came  atomic.Int64 // messages
	heavy atomic.Int64 // what they weigh
	_     cpu.CacheLinePad

	light     atomic.Int64 // what those weighed that are answered
	mu        sync.Mutex
	answers   []*asyncPublish // guarded by mu
	settled   int64           // guarded by mu: when the first of answers was
	spare     []*asyncPublish // guarded by mu: room for answers
	answering bool            // guarded by mu: somebody does
	answered  int64           // guarded by mu: messages
	ended     bool            // guarded by mu: the client sends no more
	failed    error           // guarded by mu: what the call ends with
}

// incoming is a message of a call until it is published.
type incoming struct {
	publish
	name   string       // of the stream
	number int32        // of the partition
	in     *chunk.Chunk // what a message that came alone lies in; nil: in the reader's buffer
	kept   *asyncPublish
}

// partitionID is a partition of a stream.
type partitionID struct {
	name   string
	number int32
}

// place is where messages of a call are published to.
type place struct {
	name    string // of the stream
	subject string
	number  int32 // of the partition

	// Only who answers.
	of    *stream.Stream // whose ack the last one was
	names wire.Ack       // what all its acks of messages to this place say
}

// ackOf gives what all acks of a stream for messages to the place say.
func (l *place) ackOf(s *stream.Stream) *wire.Ack {
	if l.of != s {
		l.of, l.names = s, wire.Ack{MsgSubject: []byte(l.subject)}
		nameAck(&l.names, s)
		l.names.Names = wire.AppendNames(nil, &l.names)
	}
	return &l.names
}

// asyncPublish is what is kept of a message of a call until it is answered: little, since
// it is written on one processor and read on another one.
type asyncPublish struct {
	session     *session
	to          *place // nil: it was refused before one was known
	correlation []byte
	// Of a message that came alone: what it weighs.
	weight int32
	policy wire.AckPolicy
	// Of messages that came in a batch: it, and which message of the call this is.
	batch   *publishBatch
	ordinal uint64

	// Its fate.
	stream        *stream.Stream
	at, committed int64
	seq           uint64
	refusal       *fault
	refused       partition.Refusal
	lost          bool
}

// PublishAsync implements pb.APIServer.
func (d *Door) PublishAsync(s grpc.BidiStreamingServer[pb.PublishRequest, pb.PublishResponse]) error {
	call := rpc.FromContext(s.Context())
	return d.publishSession(s.Context(), call, &singly{call: call})
}

// weigh is what so many messages of a length count together.
func weigh(messages, bytes int) int64 {
	return min(int64(bytes)+int64(messages)*requestWeight, asyncBytes)
}

// publishSession publishes what comes until the client sends no more and is answered.
func (d *Door) publishSession(ctx context.Context, call *rpc.Call, carrier carrier) error {
	c := callerOf(ctx)
	a := &session{
		door: d, account: c.Account, call: call, carrier: carrier, inbox: []byte(d.inbox()), wake: make(chan struct{}, 1),
		publisher: broker.NewPublisher(d.space(c.Account), broker.PublisherOptions{Echo: true, CacheBytes: 1 << 20}),
		families:  map[string]*family{}, places: map[partitionID]*place{},
	}
	a.judged.Store(&judged{rules: c.rules, caller: c})
	call.Serve(a)
	var grace <-chan time.Time
	for {
		in := d.rules.Load()
		if _, err := a.who(); err != nil {
			return err
		}
		a.mu.Lock()
		err, ended, left := a.failed, a.ended, a.came.Load()-a.answered
		a.mu.Unlock()
		switch {
		case err != nil:
			return err
		case ended && left == 0:
			return nil
		case ended && grace == nil:
			grace = time.After(asyncGrace)
		}
		select {
		case <-a.wake:
		case <-in.changed:
		case <-grace:
			return nil
		case <-ctx.Done():
			return endedBy(ctx, a)
		case <-d.stopping:
			return status.Error(codes.Unavailable, "the server stops")
		}
	}
}

// endedBy is how a call ends whose context has: as what the client sent says, if that has
// ended it.
func endedBy(ctx context.Context, a *session) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed != nil {
		return a.failed
	}
	return ended(ctx)
}

// poke has the handler look.
func (a *session) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Message implements rpc.Feed.
func (a *session) Message(b []byte, c *chunk.Chunk) {
	if a.deaf {
		if c != nil {
			c.Free()
		}
		return
	}
	list, weight, err := a.carrier.decode(b, c)
	if err != nil {
		a.Ended(err)
		return
	}
	a.heavy.Add(weight)
	a.came.Add(int64(len(list)))
	a.join()
	var batch *publishBatch
	if len(list) > 0 {
		batch = list[0].kept.batch
	}
	for i := range list {
		a.publishOne(&list[i])
	}
	a.heavy.Add(-batch.release())
}

// join has what is published be handed over together with what other connections of the
// same loop bring.
func (a *session) join() {
	if !a.joined {
		a.joined = true
		r, _ := a.call.Round().(*broker.Round)
		a.publisher.Join(r)
	}
}

// detach is called before what takes long, so that no other connection waits. What came
// before is stored before what comes then.
func (a *session) detach() {
	a.publisher.HandOver()
	a.call.Detach()
	a.joined = false
	a.join()
	a.publisher.HandOver()
}

// Flush implements rpc.Feed.
func (a *session) Flush() {
	a.publisher.HandOver()
	a.joined = false
	a.carrier.pause()
	a.Told()
}

// Full implements rpc.Feed.
func (a *session) Full() bool { return a.heavy.Load()-a.light.Load() > asyncBytes }

// Ended implements rpc.Feed.
func (a *session) Ended(err error) {
	a.mu.Lock()
	if errors.Is(err, io.EOF) {
		a.ended = true
	} else {
		a.failed, a.deaf = err, true
	}
	a.mu.Unlock()
	a.poke()
}

// Close implements rpc.Feed.
func (a *session) Close() {
	a.deaf = true
	a.publisher.Release()
}

// publishOne publishes a message. What it may have to wait for is done apart from the loop.
// When somebody waits for its fate it is no longer the reader's.
func (a *session) publishOne(p *incoming) {
	p.kept.session, p.msg.AckInbox = a, a.inbox
	f := a.find(p.name)
	if f != nil && a.paused(f, p.number) || a.judged.Load().rules != a.door.rules.Load() {
		a.detach()
	}
	to := &a.to
	if refusal := a.address(a.call.Context(), f, p); refusal != nil {
		p.published()
		a.settle(p.kept, refusal)
		return
	}
	p.kept.to = a.placeOf(p)
	p.stream, p.group, p.ticket, p.plain, p.taken = to.stream, to.family.group, p.kept, to.plain, false
	if to.channel {
		refusal := a.door.post(&p.publish, to, p.number, p.name)
		p.published()
		if refusal != nil {
			a.settle(p.kept, refusal)
		}
		return
	}
	a.subject = append(a.subject[:0], to.subject...)
	m := &a.message
	wanted := a.publisher.Route(a.subject) == broker.Wanted
	bare := wanted && a.publisher.OnlyStreams() && p.fits(len(p.name)+len(to.subject), a.door.o.MaxMessage)
	if a.buf = p.encode(m, to, p.name, a.subject, a.buf, bare); p.plain && m.Size() > a.door.o.MaxMessage {
		p.published()
		a.settle(p.kept, faultLarge)
		return
	}
	if wanted {
		a.publisher.Deliver(m)
	}
	p.published()
	if !p.taken { // nobody else has it
		a.settle(p.kept, faultUntaken)
	}
}

// placeOf gives the place of a message whose address is known, and remembers it.
func (a *session) placeOf(p *incoming) *place {
	if l := a.place; l != nil && l.number == p.number && l.name == p.name && l.subject == a.to.subject {
		return l
	}
	id := partitionID{p.name, p.number}
	l := a.places[id]
	if l == nil || l.subject != a.to.subject {
		if len(a.places) >= maxFamilies {
			clear(a.places)
		}
		l = &place{name: p.name, subject: a.to.subject, number: p.number}
		a.places[id] = l
	}
	a.place = l
	return l
}

// published lets go of what the message points into.
func (p *incoming) published() {
	p.msg.Key, p.msg.Value, p.msg.Headers = nil, nil, nil
	if p.in != nil {
		p.in.Free()
		p.in = nil
	}
}

// address makes a.to what Door.address does for the caller as it is judged now. Of one that is not let in
// any more the handler ends the call.
func (a *session) address(ctx context.Context, f *family, p *incoming) *fault {
	c, err := a.who()
	if err != nil {
		return faultDenied(err)
	}
	return a.door.address(ctx, &a.to, c, f, p.name, p.number, p.msg.AckPolicy)
}

func (a *session) paused(f *family, n int32) bool {
	s := f.part(n)
	return s != nil && resumes(s)
}

// maxFamilies bounds the streams, and the partitions, that a call remembers.
const maxFamilies = 4096

// find looks a stream up, and remembers it.
func (a *session) find(name string) *family {
	if f := a.last; f != nil && f.name == name && !f.gone() {
		return f
	}
	a.last = a.lookUp(name)
	return a.last
}

func (a *session) lookUp(name string) *family {
	if f := a.families[name]; f != nil && !f.gone() {
		return f
	}
	if len(a.families) >= maxFamilies {
		clear(a.families)
	}
	delete(a.families, name)
	f := a.door.findSome(a.account, name)
	if f != nil {
		a.families[name] = f
	}
	return f
}

// Settle implements stream.Ticket.
func (p *asyncPublish) Settle(s *stream.Stream, o partition.Outcome, at int64) {
	p.stream, p.at, p.seq, p.refused = s, at, o.Seq, o.Refusal
	p.session.settle(p, faultOf(o, p.to.number, p.to.name))
}

// Lose implements stream.Ticket.
func (p *asyncPublish) Lose() {
	p.lost = true
	p.session.settle(p, nil)
}

// Owner implements stream.Owned.
func (p *asyncPublish) Owner() stream.Owner { return p.session }

// outcome is what the stream made of the message.
func (p *asyncPublish) outcome() partition.Outcome {
	return partition.Outcome{Seq: p.seq, Refusal: p.refused}
}

// settle notes the fate of a message for Told.
func (a *session) settle(p *asyncPublish, refusal *fault) {
	p.refusal = refusal
	a.mu.Lock()
	if len(a.answers) == 0 {
		a.settled = now()
	}
	p.committed = a.settled
	a.answers = append(a.answers, p)
	a.mu.Unlock()
}

// Told implements stream.Owner: it answers the messages whose fate is known, unless
// somebody is doing so.
func (a *session) Told() {
	a.mu.Lock()
	if a.answering {
		a.mu.Unlock()
		return
	}
	a.answering = true
	for len(a.answers) > 0 {
		list := a.answers
		a.answers = a.spare
		a.mu.Unlock()
		a.answerAll(list)
		a.mu.Lock()
		a.answered += int64(len(list))
		a.spare = list[:0]
	}
	a.answering = false
	last := a.ended && a.came.Load() == a.answered
	a.mu.Unlock()
	if last {
		a.poke()
	}
}

// answerAll answers messages, and lets go of them.
func (a *session) answerAll(list []*asyncPublish) {
	for len(list) > 0 {
		n := a.carrier.answer(list)
		weight := int64(0)
		for _, p := range list[:n] {
			weight += int64(p.weight) + p.batch.release()
		}
		a.carrier.reuse(list[:n])
		clear(list[:n])
		a.light.Add(weight)
		list = list[n:]
	}
	a.call.Resume()
}
