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
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
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
	// decode gives what the client sent together: stream, partition and what is published,
	// and what it weighs, at most asyncBytes. b lies in c, which the carrier lets go of, or,
	// where c is nil, is valid until all of it is published. It is the reader's.
	decode(b []byte, c *chunk.Chunk) (list []*asyncPublish, weight int64, err error)
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
	last      *family        // the one that was looked for last
	to        addressed      // of the message that is published
	message   broker.Message // that is published
	buf       []byte
	subject   []byte
	deaf      bool // it has failed

	weight atomic.Int64 // of what is not answered

	mu        sync.Mutex
	answers   []*asyncPublish // guarded by mu
	settled   int64           // guarded by mu: when the first of answers was
	spare     []*asyncPublish // guarded by mu: room for answers
	answering bool            // guarded by mu: somebody does
	left      int             // guarded by mu: messages that are not answered
	ended     bool            // guarded by mu: the client sends no more
	failed    error           // guarded by mu: what the call ends with
}

// asyncPublish is one message of a call, and in the end its fate.
type asyncPublish struct {
	publish
	session *session
	number  int32  // of the partition
	name    string // of the stream
	subject string
	out     outcome
	refusal *fault

	// Of a message that came alone: what it weighs, and what it lies in until it is
	// published; nil: in the reader's buffer.
	weight int64
	in     *chunk.Chunk
	over   atomic.Bool // who publishes it is done with it, which may be after its answer
	// Of messages that came in a batch: it, and which message of the call this is.
	batch   *publishBatch
	ordinal uint64
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
		families:  map[string]*family{},
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
		err, ended, left := a.failed, a.ended, a.left
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
	a.weight.Add(weight)
	a.mu.Lock()
	a.left += len(list)
	a.mu.Unlock()
	a.join()
	var batch *publishBatch
	if len(list) > 0 {
		batch = list[0].batch
	}
	for _, p := range list {
		a.publishOne(p)
	}
	a.weight.Add(-batch.release())
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
func (a *session) Full() bool { return a.weight.Load() > asyncBytes }

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
func (a *session) publishOne(p *asyncPublish) {
	p.session, p.msg.AckInbox = a, a.inbox
	f := a.find(p.name)
	if f != nil && a.paused(f, p.number) || a.judged.Load().rules != a.door.rules.Load() {
		a.detach()
	}
	to := &a.to
	if refusal := a.address(a.call.Context(), f, p); refusal != nil {
		p.published()
		a.settle(p, outcome{}, refusal)
		return
	}
	p.stream, p.group, p.subject, p.ticket, p.plain = to.stream, to.family.group, to.subject, p, to.plain
	if to.channel {
		refusal := a.door.post(&p.publish, to, p.number, p.name)
		p.published()
		if refusal != nil {
			a.settle(p, outcome{}, refusal)
		}
		return
	}
	a.subject = append(a.subject[:0], to.subject...)
	m := &a.message
	wanted := a.publisher.Route(a.subject) == broker.Wanted
	bare := wanted && a.publisher.OnlyStreams() && p.fits(a.door.o.MaxMessage)
	if a.buf = p.encode(m, a.subject, a.buf, bare); p.plain && m.Size() > a.door.o.MaxMessage {
		p.published()
		a.settle(p, outcome{}, faultLarge)
		return
	}
	if wanted {
		a.publisher.Deliver(m)
	}
	taken := p.taken
	p.published()
	if !taken { // nobody else has it
		a.settle(p, outcome{}, faultUntaken)
	}
}

// address makes a.to what Door.address does for the caller as it is judged now. Of one that is not let in
// any more the handler ends the call.
func (a *session) address(ctx context.Context, f *family, p *asyncPublish) *fault {
	c, err := a.who()
	if err != nil {
		return faultDenied(err)
	}
	return a.door.address(ctx, &a.to, c, f, p.name, p.number, p.msg.AckPolicy)
}

func (a *session) paused(f *family, n int32) bool {
	s := f.part(n)
	return s != nil && s.Config().Gate.Paused
}

// maxFamilies bounds the streams that a call remembers.
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
	p.session.settle(p, outcome{s, o, at, 0, false}, faultOf(o, p.number, p.name))
}

// Lose implements stream.Ticket.
func (p *asyncPublish) Lose() { p.session.settle(p, outcome{lost: true}, nil) }

// Owner implements stream.Owned.
func (p *asyncPublish) Owner() stream.Owner { return p.session }

// settle notes the fate of a message for Told.
func (a *session) settle(p *asyncPublish, o outcome, refusal *fault) {
	p.out, p.refusal = o, refusal
	a.mu.Lock()
	if len(a.answers) == 0 {
		a.settled = now()
	}
	p.out.committed = a.settled
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
		a.left -= len(list)
		a.spare = list[:0]
	}
	a.answering = false
	last := a.ended && a.left == 0
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
			weight += p.weight + p.batch.release()
		}
		a.carrier.reuse(list[:n])
		clear(list[:n])
		a.weight.Add(-weight)
		list = list[n:]
	}
	a.call.Resume()
}
