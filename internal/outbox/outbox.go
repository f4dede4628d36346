package outbox

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Reason says why an outbox died.
type Reason uint8

// The reasons, in the order of doors' tables.
const (
	Pending  Reason = iota + 1 // more waits than the limit allows
	Deadline                   // the socket took nothing for the write deadline
	Broken                     // the socket returned another error
)

func (r Reason) String() string {
	switch r {
	case Pending:
		return "pending limit"
	case Deadline:
		return "write deadline"
	case Broken:
		return "write error"
	}
	return "none"
}

// Limits bound an outbox. They may be changed while it is used.
type Limits struct {
	MaxPending    int64         // bytes that wait; 0: no limit
	WriteDeadline time.Duration // for one burst that the socket does not take; 0: none
}

const (
	inlineRounds = 4       // writes that a sender does for others before it starts the writer
	burst        = 1 << 20 // bytes of one blocking write, to which the deadline applies
	heldFactor   = 4       // memory held per byte pending, at most
	heldSlack    = 1 << 20
)

type phase uint8

const (
	open    phase = iota
	closing       // what is queued is still written
	dead          // nothing is taken or written any more
)

// Outbox is one connection's way out. Send and Pending may be called by any
// goroutine.
type Outbox struct {
	// Set at construction.
	sock   Socket
	onFail func(Reason, error)
	run    func()

	mu     sync.Mutex
	quiet  sync.Cond // signalled when the socket loses its owner after open
	limits Limits    // guarded by mu
	phase  phase     // guarded by mu
	owned  bool      // guarded by mu; without an owner the queue is empty
	queue  []Piece   // guarded by mu
	held   int64     // guarded by mu: memory that the queue keeps

	pending atomic.Int64 // bytes in queue and taken

	// Only the owner of the socket.
	taken []Piece // what is being written
	spare []Piece // taken's backing, from the start
	iov   [][]byte
}

// New gives an outbox for a socket. onFail is called at most once, on the
// goroutine that met the failure and without a lock; it must not block.
func New(sock Socket, limits Limits, onFail func(Reason, error)) *Outbox {
	o := &Outbox{sock: sock, limits: limits, onFail: onFail}
	o.quiet.L = &o.mu
	o.run = o.drain
	return o
}

// SetLimits takes effect with the next Send.
func (o *Outbox) SetLimits(l Limits) {
	o.mu.Lock()
	o.limits = l
	o.mu.Unlock()
}

// Pending is the number of bytes that the socket has not taken yet.
func (o *Outbox) Pending() int64 { return o.pending.Load() }

// Send hands a batch over and empties it. The chunks of its pieces belong to
// the outbox from then on, also when it is dead and drops them; Send says
// whether it took them. With inline set an idle socket is written to at once.
func (o *Outbox) Send(b *Batch, inline bool) bool {
	if b.Size == 0 {
		b.Drop()
		return true
	}
	o.mu.Lock()
	if o.phase != open {
		o.mu.Unlock()
		b.Drop()
		return false
	}
	if inline && !o.owned {
		o.owned = true
		o.mu.Unlock()
		o.sendInline(b)
		b.Reset()
		return true
	}
	if b.Borrowed {
		o.mu.Unlock()
		b.Pieces, b.Borrowed = pack(make([]Piece, 0, b.Size/packed+1), b.Pieces), false
		o.mu.Lock()
		if o.phase != open {
			o.mu.Unlock()
			b.Drop()
			return false
		}
	}
	return o.enqueueLocked(b)
}

// enqueueLocked queues the batch, unlocks and starts the writer where there is
// no owner.
func (o *Outbox) enqueueLocked(b *Batch) bool {
	pending := o.pending.Add(int64(b.Size))
	for i := range b.Pieces {
		o.pushLocked(&b.Pieces[i])
	}
	b.Reset()
	if limit := o.limits.MaxPending; limit > 0 && (pending > limit || o.held > heldFactor*limit+heldSlack) {
		o.mu.Unlock()
		o.fail(Pending, nil)
		return false
	}
	start := !o.owned
	o.owned = true
	o.mu.Unlock()
	if start {
		go o.run()
	}
	return true
}

// pushLocked appends a piece. Small ones are copied into the room that the last
// piece has left, so that memory held stays near the bytes pending.
func (o *Outbox) pushLocked(p *Piece) {
	if n := len(o.queue); n > 0 && len(p.Bytes)*heldFactor <= p.held() {
		last := &o.queue[n-1]
		// Only the whole end of a chunk that nobody else reads can grow.
		if c := last.Chunk; !c.Shared() && c.Room() >= len(p.Bytes) && ends(last) {
			c.B = append(c.B, p.Bytes...)
			last.Bytes = c.B[len(c.B)-len(last.Bytes)-len(p.Bytes):]
			p.free()
			return
		}
	}
	o.held += int64(p.held())
	o.queue = append(o.queue, *p)
}

// ends says whether the piece shows its chunk's last byte.
func ends(p *Piece) bool {
	b := p.Chunk.B
	return len(b) > 0 && len(p.Bytes) > 0 && &b[len(b)-1] == &p.Bytes[len(p.Bytes)-1]
}

// sendInline writes as the owner, without blocking. What the socket does not
// take becomes taken, for the writer.
func (o *Outbox) sendInline(b *Batch) {
	n, err := o.try(b.Pieces)
	rest := consume(b.Pieces, n)
	if len(rest) > 0 && err == nil {
		o.pending.Add(int64(b.Size - n))
		if b.Borrowed {
			o.taken = pack(o.spare[:0], rest)
		} else {
			o.taken = append(o.spare[:0], rest...)
		}
		o.spare = o.taken
		go o.run()
		return
	}
	freeAll(rest)
	for range inlineRounds {
		if err != nil {
			o.fail(reasonOf(err), err)
		}
		if !o.take() {
			return
		}
		n, err = o.try(o.taken)
		if o.wrote(n); len(o.taken) > 0 && err == nil {
			break
		}
	}
	go o.run()
}

// drain is the writer: it writes until nothing is left.
func (o *Outbox) drain() {
	for {
		if len(o.taken) == 0 && !o.take() {
			return
		}
		n, err := o.sock.Writev(o.vector(o.taken, burst), o.deadline())
		o.wrote(n)
		if err != nil {
			o.fail(reasonOf(err), err)
			if !o.take() {
				return
			}
		}
	}
}

func reasonOf(err error) Reason {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return Deadline
	}
	return Broken
}

func (o *Outbox) deadline() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.limits.WriteDeadline
}

func (o *Outbox) try(pieces []Piece) (int, error) {
	return o.sock.TryWrite(o.vector(pieces, 1<<62))
}

// vector lists the bytes of pieces, up to about limit bytes, in reused room.
func (o *Outbox) vector(pieces []Piece, limit int) [][]byte {
	v := o.iov[:0]
	for i := range pieces {
		if limit <= 0 {
			break
		}
		v = append(v, pieces[i].Bytes)
		limit -= len(pieces[i].Bytes)
	}
	o.iov = v
	return v
}

// wrote takes n bytes off what the owner writes.
func (o *Outbox) wrote(n int) {
	o.taken = consume(o.taken, n)
	o.pending.Add(int64(-n))
}

// take gives the queue to the owner. Without one, or when the outbox is dead,
// it ends the ownership and says false: the caller touches nothing afterwards.
func (o *Outbox) take() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.phase != dead && len(o.taken) == 0 && len(o.queue) > 0 {
		o.taken, o.queue = o.queue, o.spare[:0]
		o.spare, o.held = o.taken, 0
		return true
	}
	if o.phase != dead && len(o.taken) > 0 {
		return true
	}
	o.releaseLocked()
	return false
}

// releaseLocked ends the ownership.
func (o *Outbox) releaseLocked() {
	freeAll(o.taken)
	o.taken = nil
	o.spare = trimmed(o.spare)
	o.queue = trimmed(o.queue)
	if clear(o.iov); cap(o.iov) > keep {
		o.iov = nil
	}
	o.owned = false
	if o.phase != open {
		o.pending.Store(0)
		o.quiet.Broadcast()
	}
}

// fail kills the outbox and reports the reason, unless it is dead already. The
// owner, if there is one, notices when its write returns.
func (o *Outbox) fail(r Reason, err error) {
	if o.kill() {
		o.sock.Interrupt()
		o.onFail(r, err)
	}
}

func (o *Outbox) kill() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.phase == dead {
		return false
	}
	o.phase = dead
	freeAll(o.queue)
	o.queue, o.held = nil, 0
	if !o.owned {
		o.pending.Store(0)
	}
	return true
}

// Close takes no more batches, waits at most grace for what is queued to be
// written, and drops the rest. When it returns, nobody writes to the socket
// any more. It never reports a failure.
func (o *Outbox) Close(grace time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.phase == open {
		o.phase = closing
	}
	if o.owned {
		if grace <= 0 || o.phase == dead {
			o.sock.Interrupt()
			grace = 0
		}
		stop := time.AfterFunc(grace, func() {
			o.kill()
			o.sock.Interrupt()
		})
		for o.owned {
			o.quiet.Wait()
		}
		stop.Stop()
	}
	o.phase = dead
}
