package poller

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// eventsMost is how many events one wait may give, roundMost how many sockets take
// part in a round.
const (
	eventsMost = 128
	roundMost  = 32
)

// Poller has the loops. Its methods may be called by any goroutine.
type Poller struct {
	loops   []*loop
	wg      sync.WaitGroup
	manners manners
	helper  Helper // nil: none
	watch   *watch
	aside   sync.WaitGroup // the goroutines of manners and watch

	mu   sync.Mutex
	next int // guarded by mu: loop of the next socket
}

// loop is one epoll instance.
type loop struct {
	p      *Poller
	epoll  int
	wakeup int // an eventfd that ends the loop

	// Only the goroutine whose turn it is.
	events [eventsMost]unix.EpollEvent
	at, n  int // events[at:n] are not handled yet
	round  Round
	served []served // in this round
	window window
	last   int32 // the descriptor of the last wait's only event; -1: it had several

	helping atomic.Uint64 // odd while the loop's goroutine helps, and does not look at the loop

	mu      sync.Mutex
	sockets map[int32]*Socket // guarded by mu, by descriptor
}

// served is a socket whose Input has been called and is not at rest yet.
type served struct {
	socket *Socket
	next   Next
}

// turn is one goroutine's time as a loop's goroutine.
type turn struct {
	loop *loop
	lost bool // another goroutine has it now

	expected bool // the helper expects that it helps
	read     int  // bytes, since
}

// Open starts n loops, each with a round of its own; round and helper may be nil. The error
// is ErrUnsupported where there is no epoll.
func Open(n int, round func() Round, helper Helper) (*Poller, error) {
	p := &Poller{manners: manners{change: make(chan struct{}, 1)}, helper: helper, watch: newWatch()}
	p.aside.Go(p.manners.run)
	for range n {
		l, err := p.openLoop()
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		if round != nil {
			l.round = round()
		}
		p.loops = append(p.loops, l)
		p.wg.Add(1)
		go l.run()
	}
	p.aside.Go(func() { p.watch.run(p.loops) })
	return p, nil
}

func (p *Poller) openLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create event descriptor: %w", err), unix.Close(epoll))
	}
	l := &loop{p: p, epoll: epoll, wakeup: wakeup, last: -1, sockets: make(map[int32]*Socket)}
	if err := l.add(wakeup, unix.EPOLLIN); err != nil {
		return nil, errors.Join(err, unix.Close(wakeup), unix.Close(epoll))
	}
	return l, nil
}

// Close ends the loops and waits for all goroutines. The sockets must have been
// closed before.
func (p *Poller) Close() error {
	var errs []error
	for _, l := range p.loops {
		if _, err := unix.Write(l.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
			errs = append(errs, fmt.Errorf("end polling loop: %w", err))
		}
	}
	p.wg.Wait()
	close(p.manners.change)
	close(p.watch.quit)
	p.aside.Wait()
	for _, l := range p.loops {
		errs = append(errs, unix.Close(l.wakeup), unix.Close(l.epoll))
	}
	return errors.Join(errs...)
}

// Adopt takes a connection over; conn is closed, its stream goes on. Nothing is
// handled before Start. After an error conn is as it was.
func (p *Poller) Adopt(conn *net.TCPConn, input Input) (*Socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("reach connection's descriptor: %w", err)
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate connection's descriptor: %w", err)
	}
	s := newSocket(fd, conn.RemoteAddr(), input)
	if err := p.pick().register(s); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	_ = conn.Close() // only the net package's descriptor
	return s, nil
}

// pick gives the loops in turn.
func (p *Poller) pick() *loop {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = (p.next + 1) % len(p.loops)
	return p.loops[p.next]
}

func (l *loop) add(fd int, events uint32) error {
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("poll descriptor: %w", err)
	}
	return nil
}

// modify changes what a descriptor that is polled is polled for.
func (l *loop) modify(fd int, events uint32) {
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		panic(fmt.Sprintf("change polled events: %v", err)) // only our own mistakes
	}
}

func (l *loop) register(s *Socket) error {
	s.loop = l
	l.mu.Lock()
	l.sockets[int32(s.fd)] = s
	l.mu.Unlock()
	err := l.add(s.fd, always)
	if err != nil {
		l.forget(s)
	}
	return err
}

func (l *loop) forget(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sockets, int32(s.fd))
}

func (l *loop) socket(fd int32) *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sockets[fd]
}

// run handles events until Close, or until its turn is lost.
func (l *loop) run() {
	defer l.p.wg.Done()
	t := &turn{loop: l}
	for {
		for l.at < l.n {
			ev := &l.events[l.at]
			l.at++
			if int(ev.Fd) == l.wakeup {
				l.endRound()
				t.leave()
				return
			}
			// A descriptor that was closed and opened meanwhile gets an event too
			// many, which does no harm.
			if s := l.socket(ev.Fd); s != nil {
				if l.window.count(s) {
					l.p.manners.tell(l.window.crowded)
				}
				s.event(ev.Events, t)
			}
			if t.lost {
				return
			}
		}
		l.endRound()
		if t.help(); t.lost {
			return
		}
		n, err := unix.EpollWait(l.epoll, l.events[:], -1)
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("wait for events: %v", err)) // only our own mistakes
		}
		l.at, l.n = 0, max(n, 0)
		t.expect()
	}
}

// servedOn notes that a socket's Input was called on the loop.
func (l *loop) servedOn(s *Socket, next Next) {
	if l.served = append(l.served, served{s, next}); len(l.served) == roundMost {
		l.endRound()
	}
}

// endRound ends the round and lets its sockets go.
func (l *loop) endRound() {
	if l.round != nil {
		l.round.End()
	}
	for i := range l.served {
		if s := l.served[i].socket; !s.rest(l.served[i].next) {
			s.goServe()
		}
	}
	clear(l.served)
	l.served = l.served[:0]
}

// pass lets another goroutine go on with the loop, in a round of its own.
func (t *turn) pass() {
	t.lost = true
	t.loop.endRound()
	t.leave()
	t.loop.p.wg.Add(1)
	go t.loop.run()
}
