package multiraft

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Errors of a Pool.
var (
	// ErrClosed is what a pool gives that takes no groups any more.
	ErrClosed = errors.New("pool of groups is closed")
	// ErrRemoved is what the machine of a group hears that was taken off its pool.
	ErrRemoved = errors.New("group was removed from its pool")
)

// flushAfter is how many groups a worker runs at most before it sends what they
// have to say.
const flushAfter = 64

// Pool runs the groups that have something to do, on a fixed number of workers.
// Its methods may be called from anywhere.
type Pool struct {
	transport Transport
	done      sync.WaitGroup
	manual    worker // of RunAll

	mu   sync.Mutex
	wake *sync.Cond // on mu
	// Guarded by mu.
	groups map[uint64]*Group
	order  []*Group // as they were added; never changed in place
	ready  []*Group // with something to do, in turn
	closed bool
}

// NewPool returns a pool with that many workers. With none, whoever owns the pool
// calls RunAll: nothing happens by itself then, and all in one order.
func NewPool(workers int, t Transport) *Pool {
	p := &Pool{transport: t, groups: map[uint64]*Group{}}
	p.wake = sync.NewCond(&p.mu)
	p.manual.pool = p
	p.done.Add(workers)
	for range workers {
		go p.work()
	}
	return p
}

// work runs groups until the pool is closed.
func (p *Pool) work() {
	defer p.done.Done()
	w := worker{pool: p}
	for {
		g := p.next(false)
		if g == nil {
			w.flush()
			if g = p.next(true); g == nil {
				return
			}
		}
		w.run(g)
	}
}

// RunAll runs groups until none has anything to do. Only one goroutine may call
// it, and only where the pool has no workers.
func (p *Pool) RunAll() {
	for g := p.next(false); g != nil; g = p.next(false) {
		p.manual.run(g)
	}
	p.manual.flush()
}

// next takes a group off the list; nil if there is none or the pool is closed.
func (p *Pool) next(wait bool) *Group {
	p.mu.Lock()
	defer p.mu.Unlock()
	for wait && len(p.ready) == 0 && !p.closed {
		p.wake.Wait()
	}
	if len(p.ready) == 0 || p.closed {
		return nil
	}
	g := p.ready[0]
	p.ready[0] = nil
	p.ready = p.ready[1:]
	return g
}

func (p *Pool) schedule(g *Group) {
	p.mu.Lock()
	p.ready = append(p.ready, g)
	p.mu.Unlock()
	p.wake.Signal()
}

// add takes a group in and looks once whether something waits for it.
func (p *Pool) add(g *Group) error {
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return ErrClosed
	case p.groups[g.o.ID] != nil:
		p.mu.Unlock()
		return fmt.Errorf("%w: group %d is in the pool already", ErrOptions, g.o.ID)
	}
	p.groups[g.o.ID] = g
	p.order = append(slices.Clip(p.order), g)
	p.mu.Unlock()
	g.mu.Lock()
	g.pool, g.scheduled = p, true
	g.mu.Unlock()
	p.schedule(g)
	return nil
}

// Remove takes a group off the pool, whose machine hears Failed with ErrRemoved.
func (p *Pool) Remove(id uint64) {
	p.mu.Lock()
	g := p.groups[id]
	delete(p.groups, id)
	p.order = slices.DeleteFunc(slices.Clone(p.order), func(o *Group) bool { return o == g })
	p.mu.Unlock()
	if g != nil {
		g.Failed(ErrRemoved)
	}
}

// Tick moves the clocks of all groups on. Its rate is the unit of their options.
func (p *Pool) Tick() {
	p.mu.Lock()
	all := p.order
	p.mu.Unlock()
	for _, g := range all {
		g.put(func(in *inbox) { in.ticks++ })
	}
}

// find is the group that a message is for; it need not be here.
func (p *Pool) find(m *Message) *Group {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.groups[m.Group]; g != nil && g.o.Copy == m.To {
		return g
	}
	return nil
}

// Receive gives the messages of a transport to their groups. One of a group, or
// of a life of its copy, that is not here is dropped. The list stays the caller's.
func (p *Pool) Receive(batch []Message) {
	for i := range batch {
		m := batch[i]
		if g := p.find(&m); g != nil {
			g.put(func(in *inbox) { in.messages = append(in.messages, m) })
		}
	}
}

// ReceiveStream gives a message and the snapshot behind it to their group, which
// closes body.
func (p *Pool) ReceiveStream(m Message, body io.ReadCloser) {
	g := p.find(&m)
	if g == nil || m.Raft.GetSnapshot() == nil {
		_ = body.Close() // nobody waits for it
		return
	}
	g.put(func(in *inbox) { in.streams = append(in.streams, stream{m, body}) })
}

// Close ends the workers and waits for them. What is in flight stays unknown and
// nobody is told; the groups do nothing any more.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wake.Broadcast()
	p.done.Wait()
}
