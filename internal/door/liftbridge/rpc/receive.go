package rpc

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/weirmq/weir/internal/chunk"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// prefixLen is what is before each message: whether it is compressed, and its length.
const prefixLen = 5

// message is one that was received.
type message struct {
	b    []byte
	c    *chunk.Chunk // that b lies in; nil: in memory of its own
	owes int64        // what the client is granted when it was taken
}

// messageWeight is what a message counts beside its bytes.
const messageWeight = 64

func (m *message) weight() int64 { return int64(len(m.b)) + messageWeight }

func (m *message) free() {
	if m.c != nil {
		m.c.Free()
		m.c = nil
	}
}

// assembler makes messages of what comes in pieces.
type assembler struct {
	most   int // bytes of a message
	prefix [prefixLen]byte
	have   int // of the prefix
	want   int // of the message, once the prefix is there
	c      *chunk.Chunk
	packed bool // the message is compressed
}

// firstRoom is what a message gets before that much of it has come, bytes.
const firstRoom = 64 << 10

// next takes from b what belongs to the message that is being assembled. Where that is
// complete, it is msg: in c, which is the caller's then, or, without c, in b.
func (a *assembler) next(b []byte) (msg []byte, c *chunk.Chunk, done bool, rest []byte, err error) {
	if a.have < prefixLen {
		k := copy(a.prefix[a.have:], b)
		if a.have, b = a.have+k, b[k:]; a.have < prefixLen {
			return nil, nil, false, nil, nil
		}
		length := binary.BigEndian.Uint32(a.prefix[1:])
		if int64(length) > int64(a.most) {
			return nil, nil, false, nil, status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", length, a.most)
		}
		if a.prefix[0] > 1 {
			return nil, nil, false, nil, status.Errorf(codes.Internal, "grpc: received unexpected payload format %d", a.prefix[0])
		}
		a.want, a.packed = int(length), a.prefix[0] == 1
	}
	if a.c == nil && len(b) >= a.want {
		a.have = 0
		return b[:a.want], nil, true, b[a.want:], nil
	}
	k := min(len(b), a.want-a.got())
	a.grow(k)
	a.c.B = append(a.c.B, b[:k]...)
	if b = b[k:]; a.got() < a.want {
		return nil, nil, false, nil, nil
	}
	c, a.c, a.have = a.c, nil, 0
	return c.B, c, true, b, nil
}

// got is how much of the message has come.
func (a *assembler) got() int {
	if a.c == nil {
		return 0
	}
	return len(a.c.B)
}

// grow makes room for k bytes more.
func (a *assembler) grow(k int) {
	if a.c != nil && a.c.Room() >= k {
		return
	}
	if a.c == nil {
		a.c = chunk.Get(max(min(a.want, firstRoom), k))
		return
	}
	c := chunk.Get(min(a.want, max(4*len(a.c.B), len(a.c.B)+k)))
	c.B = append(c.B, a.c.B...)
	a.c.Free()
	a.c = c
}

// holds is the memory that waits for the rest of a message.
func (a *assembler) holds() int64 {
	if a.c == nil {
		return 0
	}
	return int64(a.c.Cap())
}

func (a *assembler) drop() {
	if a.c != nil {
		a.c.Free()
		a.c = nil
	}
}

// unfinished says that a message has begun and is not complete.
func (a *assembler) unfinished() bool { return a.have > 0 }

// receive takes what came in a DATA frame of so many bytes.
func (c *Call) receive(b []byte, size int64) {
	owes := size
	for len(b) > 0 && !c.broken {
		before := len(b)
		msg, in, done, rest, err := c.in.next(b)
		if err != nil {
			c.fail(err)
			break
		}
		if b = rest; done {
			m := message{b: msg, c: in, owes: int64(before - len(rest))}
			owes -= m.owes
			c.message(&m)
		}
	}
	if !c.broken && !c.hold(c.in.holds()) {
		c.fail(overfull.Err())
	}
	c.repayTo(owes)
}

// hold notes what an incomplete message holds. It says whether that is not too much.
func (c *Call) hold(size int64) bool {
	if size == c.counted {
		return true
	}
	c.counted = size
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf {
		return true
	}
	by := size - c.holds
	c.holds = size
	return c.conn.held.Add(by) <= mostHeld+int64(c.in.most)
}

// discard lets go of what nobody receives any more.
func (c *Call) discard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
	c.conn.held.Add(-c.holds)
	c.holds = 0
	for i := range c.messages {
		c.conn.held.Add(-c.messages[i].weight())
		c.messages[i].free()
	}
	c.messages = nil
}

// repayTo is repay for what no message waits for. A Feed that is full is not granted more.
func (c *Call) repayTo(by int64) {
	if c.feed == nil {
		c.repay(by)
		return
	}
	c.owed.Add(by)
	c.Resume()
}

// message takes a complete message.
func (c *Call) message(m *message) {
	if c.in.packed {
		if err := c.unpackMessage(m); err != nil {
			c.fail(err)
			return
		}
	}
	if c.feed != nil {
		c.give(m)
		return
	}
	if m.c == nil { // it lies in the connection's buffer
		m.c = chunk.Get(len(m.b))
		m.c.B = append(m.c.B, m.b...)
		m.b = m.c.B
	}
	c.mu.Lock()
	if c.deaf {
		c.mu.Unlock()
		m.free()
		return
	}
	over := c.conn.held.Add(m.weight()) > mostHeld+int64(c.in.most)
	c.messages = append(c.messages, *m)
	several := len(c.messages) > 1
	c.mu.Unlock()
	signal(c.arrived)
	switch {
	case over:
		c.fail(overfull.Err())
	case several && c.single():
		c.fail(errMany.Err())
	}
}

// give lets the feed have a message.
func (c *Call) give(m *message) {
	c.owed.Add(m.owes)
	if !c.touched {
		c.touched = true
		c.conn.touched = append(c.conn.touched, c)
	}
	c.feed.Message(m.b, m.c)
}

// unpackMessage replaces a compressed message by what it says.
func (c *Call) unpackMessage(m *message) error {
	if c.unpack == nil {
		return status.Error(codes.Internal, "grpc: compressed flag set with identity or empty encoding")
	}
	r, err := c.unpack.Decompress(bytes.NewReader(m.b))
	if err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to decompress the received message: %v", err)
	}
	most := c.in.most
	b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to decompress the received message: %v", err)
	}
	if len(b) > most {
		return status.Errorf(codes.ResourceExhausted, "grpc: received message after decompression larger than max %d", most)
	}
	m.free()
	m.b, m.c = b, chunk.Wrap(b)
	return nil
}

// fail ends what the client sends: what comes behind is not looked at.
func (c *Call) fail(err error) {
	if c.broken {
		return
	}
	c.stopReceiving()
	c.finishReceiving(err)
}

// stopReceiving has what still comes not looked at.
func (c *Call) stopReceiving() {
	c.broken = true
	c.hold(0)
	c.in.drop()
}

// receivedAll notes that the client sends no more.
func (c *Call) receivedAll() {
	switch {
	case c.broken:
	case c.in.unfinished():
		c.fail(status.Error(codes.Internal, io.ErrUnexpectedEOF.Error()))
	default:
		c.finishReceiving(io.EOF)
	}
}

// finishReceiving tells whoever receives that nothing comes any more.
func (c *Call) finishReceiving(err error) {
	if c.feed != nil {
		c.feed.Ended(err)
		return
	}
	c.mu.Lock()
	if c.err == nil || c.err == io.EOF {
		c.err = err
	}
	one := len(c.messages) == 1
	c.mu.Unlock()
	signal(c.arrived)
	switch {
	case !c.single():
	case err == io.EOF && one:
		c.run()
	default:
		c.refuse("200", statusOf(err))
	}
}
