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
	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
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

// session is one PublishAsync call.
type session struct {
	// Set at construction.
	door     *Door
	account  string
	judged   atomic.Pointer[judged]
	call     grpc.BidiStreamingServer[pb.PublishRequest, pb.PublishResponse]
	requests chan *pb.PublishRequest
	inFlight *semaphore.Weighted
	inbox    string
	wake     chan struct{} // answers has something, or left fell

	// Only the goroutine that publishes.
	publisher *broker.Publisher
	families  map[string]*family
	buf       []byte

	mu      sync.Mutex
	answers []*asyncPublish // guarded by mu
	left    int             // requests not answered yet; guarded by mu
}

// asyncPublish is one message of a call, and in the end its fate.
type asyncPublish struct {
	publish
	session *session
	weight  int64
	number  int32
	name    string // of the stream
	subject string
	out     outcome
	refusal *fault
}

// PublishAsync implements pb.APIServer.
func (d *Door) PublishAsync(call grpc.BidiStreamingServer[pb.PublishRequest, pb.PublishResponse]) error {
	c := callerOf(call.Context())
	a := &session{
		door: d, account: c.Account, call: call, requests: make(chan *pb.PublishRequest, asyncAhead),
		inFlight: semaphore.NewWeighted(asyncBytes), inbox: d.inbox(), wake: make(chan struct{}, 1),
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
		req, err := a.call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.inFlight.Acquire(ctx, weigh(req)); err != nil {
			return err
		}
		a.mu.Lock()
		a.left++
		a.mu.Unlock()
		select {
		case a.requests <- req:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func weigh(req *pb.PublishRequest) int64 {
	return min(int64(proto.Size(req))+requestWeight, asyncBytes)
}

// publishAll publishes what was received, as much as there is at a time.
func (a *session) publishAll(ctx context.Context) {
	defer a.publisher.Release()
	for req := range a.requests {
		a.publishOne(ctx, req)
		for more := true; more; {
			select {
			case req, ok := <-a.requests:
				if more = ok; ok {
					a.publishOne(ctx, req)
				}
			default:
				more = false
			}
		}
		a.publisher.HandOver()
	}
}

func (a *session) publishOne(ctx context.Context, req *pb.PublishRequest) {
	p := &asyncPublish{session: a, weight: weigh(req), number: req.Partition, name: req.Stream}
	req.AckInbox = a.inbox
	p.fill(req.Key, req.Value, req.Headers, req.AckInbox, req.CorrelationId, req.AckPolicy, req.ExpectedOffset)
	f := a.find(req.Stream)
	if f != nil && a.paused(f, req.Partition) {
		a.publisher.HandOver() // what came before is stored before what resumes
	}
	to, refusal := a.address(ctx, f, req)
	if refusal != nil {
		a.settle(p, outcome{}, refusal)
		return
	}
	p.stream, p.group, p.subject, p.ticket = to.stream, to.family.group, to.subject, p
	a.buf = wire.AppendPublish(a.buf[:0], &p.msg)
	a.publisher.Publish(&broker.Message{Subject: []byte(to.subject), Data: a.buf, Note: &p.publish})
	if !p.taken {
		a.settle(p, outcome{}, faultUntaken)
	}
}

// address is Door.address for the caller as it is judged now. Of one that is not let in
// any more send ends the call.
func (a *session) address(ctx context.Context, f *family, req *pb.PublishRequest) (*addressed, *fault) {
	c, err := a.who()
	if err != nil {
		return nil, faultDenied(err)
	}
	return a.door.address(ctx, c, f, req)
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
		for i, p := range answers {
			if err := a.answer(p); err != nil {
				return err
			}
			answers[i] = nil
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
			return ended(ctx)
		case <-a.door.stopping:
			return status.Error(codes.Unavailable, "the server stops")
		}
	}
}

// answer sends what a publisher is told of one message, if anything.
func (a *session) answer(p *asyncPublish) error {
	defer a.inFlight.Release(p.weight)
	resp := &pb.PublishResponse{CorrelationId: string(p.msg.CorrelationID)}
	switch {
	case p.refusal != nil:
		resp.Ack = &pb.Ack{}
		resp.AsyncError = &pb.PublishAsyncError{Code: p.refusal.async, Message: p.refusal.text}
	case p.out.lost:
		return nil
	default:
		ack := p.ack(&p.out, p.subject)
		if ack == nil {
			return nil
		}
		resp.Ack = ackOf(ack)
	}
	return a.call.Send(resp)
}
