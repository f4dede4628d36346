package liftbridge

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

const (
	// asyncBytes bounds what one call has in flight, requests and answers, and
	// requestWeight is what each of them counts beside its length. A request that is
	// larger than all of that goes alone.
	asyncBytes    = 32 << 20
	requestWeight = 512
	// asyncAhead is how many requests are received ahead of publishing them.
	asyncAhead = 1024
	// asyncGrace is how long acks are waited for when the client publishes no more.
	asyncGrace = 5 * time.Second
)

// carrier is how the messages of a session come, and their fates go.
type carrier interface {
	Context() context.Context
	// receive returns what the client sent together: stream, partition and what is
	// published, and what it weighs, at most asyncBytes. It returns io.EOF when the
	// client sends no more.
	receive() (list []asyncPublish, weight int64, err error)
	// answer tells the client of the first of some messages, at least one, and returns
	// of how many.
	answer(list []*asyncPublish) (int, error)
}

// session is one call that publishes without waiting.
type session struct {
	// Set at construction.
	door     *Door
	account  string
	judged   atomic.Pointer[judged]
	call     carrier
	requests chan []asyncPublish
	inFlight *semaphore.Weighted
	inbox    []byte
	wake     chan struct{} // answers has something, or left fell

	// publishing is held while some messages are published: by the goroutine that
	// publishes, or the one that receives if what it has is all that is not answered.
	publishing sync.Mutex
	// Guarded by publishing.
	publisher *broker.Publisher
	families  map[string]*family
	buf       []byte
	subject   []byte

	mu      sync.Mutex
	answers []*asyncPublish // guarded by mu
	left    int             // requests not answered yet; guarded by mu
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

	// Of a message that came alone: what it weighs, and what it points into until it is
	// published; nil: nothing.
	weight int64
	in     mem.Buffer
	// Of messages that came in a batch: it, and which message of the call this is.
	batch   *publishBatch
	ordinal uint64
}

// PublishAsync implements pb.APIServer.
func (d *Door) PublishAsync(call grpc.BidiStreamingServer[pb.PublishRequest, pb.PublishResponse]) error {
	return d.publishSession(&singly{ServerStream: call, out: outgoingOf(call)})
}

// weigh is what so many messages of a length count together.
func weigh(messages, bytes int) int64 {
	return min(int64(bytes)+int64(messages)*requestWeight, asyncBytes)
}

// publishSession publishes what comes until the client sends no more and is answered.
func (d *Door) publishSession(call carrier) error {
	c := callerOf(call.Context())
	a := &session{
		door: d, account: c.Account, call: call, requests: make(chan []asyncPublish, asyncAhead),
		inFlight: semaphore.NewWeighted(asyncBytes), inbox: []byte(d.inbox()), wake: make(chan struct{}, 1),
		publisher: broker.NewPublisher(d.space(c.Account), broker.PublisherOptions{Echo: true, CacheBytes: 1 << 20}),
		families:  map[string]*family{},
	}
	a.judged.Store(&judged{rules: c.rules, caller: c})
	ctx, cancel := context.WithCancel(call.Context())
	defer cancel()
	stop := context.AfterFunc(ctx, a.poke)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	received := make(chan error, 1)
	g.Go(func() error {
		defer close(a.requests)
		err := a.receive(ctx)
		received <- err
		return err
	})
	g.Go(func() error {
		a.publishAll(ctx)
		return nil
	})
	err := a.send(ctx, received)
	cancel()
	// What receives ends when this has returned.
	d.calls.Go(func() { _ = g.Wait() })
	return err
}

// poke has send look.
func (a *session) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// receive takes requests until the client sends no more: then it returns nil.
func (a *session) receive(ctx context.Context) error {
	for {
		list, weight, err := a.call.receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.inFlight.Acquire(ctx, weight); err != nil {
			return err
		}
		a.mu.Lock()
		a.left += len(list)
		alone := a.left == len(list)
		a.mu.Unlock()
		if alone {
			a.publishAlone(ctx, list)
			continue
		}
		select {
		case a.requests <- list:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publishAll publishes what was received, as much as there is at a time.
func (a *session) publishAll(ctx context.Context) {
	defer a.publisher.Release()
	for list := range a.requests {
		a.publishing.Lock()
		a.publishEach(ctx, list)
		for more := true; more; {
			select {
			case list, ok := <-a.requests:
				if more = ok; ok {
					a.publishEach(ctx, list)
				}
			default:
				more = false
			}
		}
		a.publisher.HandOver()
		a.publishing.Unlock()
	}
}

// publishAlone publishes messages before which all are answered, thus published: a
// client that waits for each answer is spared a goroutine's turn.
func (a *session) publishAlone(ctx context.Context, list []asyncPublish) {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	a.publishEach(ctx, list)
	a.publisher.HandOver()
}

func (a *session) publishEach(ctx context.Context, list []asyncPublish) {
	for i := range list {
		a.publishOne(ctx, &list[i])
	}
}

func (a *session) publishOne(ctx context.Context, p *asyncPublish) {
	p.session, p.msg.AckInbox = a, a.inbox
	f := a.find(p.name)
	if f != nil && a.paused(f, p.number) {
		a.publisher.HandOver() // what came before is stored before what resumes
	}
	to, refusal := a.address(ctx, f, p)
	if refusal != nil {
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
	var m *broker.Message
	if m, a.buf = p.encode(a.subject, a.buf); p.plain && m.Size() > a.door.o.MaxMessage {
		p.published()
		a.settle(p, outcome{}, faultLarge)
		return
	}
	a.publisher.Publish(m)
	p.published()
	if !p.taken {
		a.settle(p, outcome{}, faultUntaken)
	}
}

// address is Door.address for the caller as it is judged now. Of one that is not let in
// any more send ends the call.
func (a *session) address(ctx context.Context, f *family, p *asyncPublish) (*addressed, *fault) {
	c, err := a.who()
	if err != nil {
		return nil, faultDenied(err)
	}
	return a.door.address(ctx, c, f, p.name, p.number, p.msg.AckPolicy)
}

func (a *session) paused(f *family, n int32) bool {
	s := f.part(n)
	return s != nil && s.Config().Gate.Paused
}

// maxFamilies bounds the streams that a call remembers.
const maxFamilies = 4096

// find looks a stream up, and remembers it.
func (a *session) find(name string) *family {
	if f := a.families[name]; f != nil && !f.gone() {
		return f
	}
	if len(a.families) >= maxFamilies {
		clear(a.families)
	}
	delete(a.families, name)
	f := a.door.find(a.account, name)
	if f != nil {
		a.families[name] = f
	}
	return f
}

// Settle implements stream.Ticket.
func (p *asyncPublish) Settle(s *stream.Stream, o partition.Outcome, at int64) {
	p.session.settle(p, outcome{s, o, at, now(), false}, faultOf(o, p.number, p.name))
}

// Lose implements stream.Ticket.
func (p *asyncPublish) Lose() { p.session.settle(p, outcome{lost: true}, nil) }

// settle notes the fate of a message for send.
func (a *session) settle(p *asyncPublish, o outcome, refusal *fault) {
	p.out, p.refusal = o, refusal
	a.mu.Lock()
	a.answers = append(a.answers, p)
	a.mu.Unlock()
	a.poke()
}

// send answers until the client sends no more and has all answers, or the call ends.
func (a *session) send(ctx context.Context, received <-chan error) error {
	var grace <-chan time.Time
	var spare []*asyncPublish
	for {
		in := a.door.rules.Load()
		if _, err := a.who(); err != nil {
			return err
		}
		a.mu.Lock()
		answers := a.answers
		a.answers = spare[:0]
		a.mu.Unlock()
		if err := a.answerAll(answers); err != nil {
			return err
		}
		spare = answers
		a.mu.Lock()
		a.left -= len(answers)
		idle := a.left == 0
		a.mu.Unlock()
		if grace != nil && idle {
			return nil
		}
		select {
		case <-a.wake:
		case err := <-received:
			if err != nil {
				return err
			}
			grace = time.After(asyncGrace)
		case <-in.changed:
		case <-grace:
			return nil
		case <-ctx.Done():
			select {
			case err := <-received: // what went wrong there has ended ctx
				if err != nil {
					return err
				}
			default:
			}
			return ended(ctx)
		case <-a.door.stopping:
			return status.Error(codes.Unavailable, "the server stops")
		}
	}
}

// answerAll answers messages, and lets go of them.
func (a *session) answerAll(list []*asyncPublish) error {
	for len(list) > 0 {
		n, err := a.call.answer(list)
		weight := int64(0)
		for i, p := range list[:n] {
			weight += p.weight + p.batch.release()
			list[i] = nil
		}
		a.inFlight.Release(weight)
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}
