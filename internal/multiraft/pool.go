package multiraft

import (
	"errors"
	"fmt"
	"sync"
)

// ErrClosed is what a pool gives that takes no groups any more.
var ErrClosed = errors.New("pool of groups is closed")

// Pool runs the groups that have something to do, on a fixed number of workers.
// Its methods may be called from anywhere.
type Pool struct {
	done sync.WaitGroup

	mu   sync.Mutex
	wake *sync.Cond // on mu
	// Guarded by mu.
	groups map[uint64]*Group
	order  []*Group // as they were added
	ready  []*Group // with something to do, in turn
	closed bool
}

// NewPool returns a pool with that many workers. With none, whoever owns the pool
// calls RunOne: nothing happens by itself then, and all in one order.
func NewPool(workers int) *Pool {
	p := &Pool{groups: map[uint64]*Group{}}
	p.wake = sync.NewCond(&p.mu)
	p.done.Add(workers)
	for range workers {
		go p.work()
	}
	return p
}

// work runs groups until the pool is closed.
func (p *Pool) work() {
	defer p.done.Done()
	for {
		g := p.next(true)
		if g == nil {
			return
		}
		p.runGroup(g)
	}
}

// RunOne runs the group that waits longest, if one does.
func (p *Pool) RunOne() bool {
	g := p.next(false)
	if g == nil {
		return false
	}
	p.runGroup(g)
	return true
}

func (p *Pool) runGroup(g *Group) {
	if g.run() {
		p.schedule(g)
	}
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
	p.order = append(p.order, g)
	p.mu.Unlock()
	g.mu.Lock()
	g.pool, g.scheduled = p, true
	g.mu.Unlock()
	p.schedule(g)
	return nil
}

// Tick moves the clocks of all groups on. Its rate is the unit of their options.
func (p *Pool) Tick() {
	p.mu.Lock()
	all := p.order
	p.mu.Unlock()
	for _, g := range all {
		g.Tick()
	}
}

// Receive gives a message of a transport to its group; one of a group that is
// not here is dropped.
func (p *Pool) Receive(m Message) {
	p.mu.Lock()
	g := p.groups[m.Group]
	p.mu.Unlock()
	if g != nil {
		g.Receive(m)
	}
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
