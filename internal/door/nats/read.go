package nats

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/poller"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// Ready implements poller.Input: one read, and what follows from it.
func (c *Conn) Ready(s *poller.Socket) poller.Next {
	next := poller.Again
	c.joinRound(s)
	if c.closing.Load() == nil {
		next = c.readOnce(s)
	}
	if c.closing.Load() == nil {
		return next
	}
	c.detach()
	c.teardown()
	return poller.Done
}

// joinRound has what is published be handed over together with what other connections
// of the same loop bring.
func (c *Conn) joinRound(s *poller.Socket) {
	if c.pub != nil {
		r, _ := s.Round().(*broker.Round)
		c.pub.Join(r)
	}
}

func (c *Conn) readOnce(s *poller.Socket) poller.Next {
	room := c.in.Space()
	n, err := s.Read(room)
	if err != nil {
		c.readFailed(err)
		return poller.Again
	}
	if n == 0 {
		c.settle()
		c.in.Rest()
		return c.pace.Next()
	}
	c.took(n, len(room))
	c.pace.Read(n)
	if n == len(room) {
		c.giveWay(s)
		return poller.Again
	}
	c.in.Rest()
	if s.Ended() {
		return poller.Again
	}
	return c.pace.Next()
}

// detach is called before what takes long, so that no other connection waits.
func (c *Conn) detach() {
	if c.sock != nil {
		c.sock.Detach()
		c.joinRound(c.sock)
	}
}

// giveWay is called after a read that has not emptied the socket. Such a reader
// may never sleep, and then its thread keeps its processor for whole time slices,
// while threads that wait for one message wait for those slices to end. It gives
// the rest of its slice away where others have published meanwhile.
func (c *Conn) giveWay(s *poller.Socket) {
	if c.crowded {
		s.Yield()
	}
}

// readStream reads any connection until it ends or is being closed.
func (c *Conn) readStream() {
	for c.closing.Load() == nil {
		room := c.in.Space()
		n, err := c.stream.Read(room)
		if n > 0 {
			c.took(n, len(room))
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = c.interrupted()
		}
		if err != nil {
			c.readFailed(err)
			return
		}
	}
}

// interrupted is called when a deadline in the past has ended the wait for input:
// somebody has changed the rules, or close has set closing before. Whatever it is
// can be seen once the deadline is lifted.
func (c *Conn) interrupted() error {
	err := c.stream.SetReadDeadline(time.Time{})
	if c.closing.Load() == nil {
		c.settle()
	}
	return err
}

// readFailed closes because of what a read returned.
func (c *Conn) readFailed(err error) {
	switch {
	case errors.Is(err, io.EOF):
		c.close(errClientClosed)
	default:
		c.close(errReadError)
	}
}

// took handles n bytes that were read into room.
func (c *Conn) took(n, room int) {
	c.active.Store(time.Now().UnixNano())
	c.in.Read(n, room)
	c.process()
}

// process takes the complete operations out of the buffer and hands over.
func (c *Conn) process() {
	c.settle()
	in, op := &c.in, &c.op
	for in.W-in.R > 0 && in.W-in.R >= in.Need {
		n, need, err := c.parser.Parse(op, in.B[in.R:in.W])
		if err != nil {
			var why *wire.Error
			if !errors.As(err, &why) {
				why = wire.ErrUnknownOperation
			}
			c.refuse(why)
			break
		}
		if in.Need = need; n == 0 {
			break
		}
		in.R += n
		if op.Kind == wire.OpPub || op.Kind == wire.OpHPub {
			c.publish(op)
		} else {
			c.control(op)
		}
		if c.closing.Load() != nil {
			break
		}
	}
	c.handOver()
	c.count()
}

// handOver passes on everything that this connection has published and what it
// is told itself.
func (c *Conn) handOver() {
	c.published = false
	if c.pub != nil {
		c.pub.HandOver()
	}
}

// count adds the buffer's messages to the counters.
func (c *Conn) count() {
	if c.inMsgs == 0 {
		return
	}
	c.counts.inMsgs.Add(c.inMsgs)
	c.counts.inBytes.Add(c.inBytes)
	all := c.door.totals.inMsgs.Add(c.inMsgs)
	c.crowded, c.allMsgs = all != c.allMsgs+c.inMsgs, all
	c.door.totals.inBytes.Add(c.inBytes)
	c.inMsgs, c.inBytes = 0, 0
}

// control handles an operation that is not a publish. What was published before
// it is handed over first.
func (c *Conn) control(op *wire.Op) {
	if c.published {
		c.handOver()
	}
	if op.Kind == wire.OpConnect {
		c.handleConnect(op.Arg)
		return
	}
	if !c.letIn() {
		return
	}
	switch op.Kind {
	case wire.OpSub:
		c.handleSub(op)
	case wire.OpUnsub:
		c.handleUnsub(op)
	case wire.OpPing:
		c.handlePing()
	case wire.OpPong:
		c.ping.answered(c)
	case wire.OpErr:
		c.close(wire.ErrClientSentErr)
	}
}

// refuse closes because of what the client sent. Before it is let in, a client
// learns nothing but that.
func (c *Conn) refuse(why *wire.Error) {
	if why == wire.ErrUnknownOperation && c.pub == nil && !c.letIn() {
		return
	}
	c.close(why)
}
