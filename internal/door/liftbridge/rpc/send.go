package rpc

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/outbox"
	"github.com/weirmq/weir/internal/wire/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Out gathers messages of one call, as they go over the wire. The zero value is ready.
type Out struct {
	c    *chunk.Chunk // nil: nothing is gathered
	b    []byte       // lies in c unless it has grown out of it
	from int          // where the last message's prefix is
	size int          // what was gathered the last time
}

// leastRoom is what a message gets, bytes, whatever it is said to need.
const leastRoom = 256

// Begin gives the buffer that the next message, of about room bytes, is to be appended to,
// and End takes it.
func (o *Out) Begin(room int) []byte {
	room = max(room, leastRoom) + prefixLen
	if o.c == nil {
		o.c = chunk.Get(max(http2.HeaderLen+room, o.size))
		o.b = o.c.B[:http2.HeaderLen] // for the frame that it may become
	} else if cap(o.b)-len(o.b) < room {
		c := chunk.Get(len(o.b) + max(room, len(o.b)))
		c.B = append(c.B, o.b...)
		o.c.Free()
		o.c, o.b = c, c.B
	}
	o.from = len(o.b)
	return append(o.b, 0, 0, 0, 0, 0)
}

// End takes the buffer of Begin, with the message.
func (o *Out) End(b []byte) {
	binary.BigEndian.PutUint32(b[o.from+1:], uint32(len(b)-o.from-prefixLen))
	o.b = b
}

// Len is how many bytes are gathered.
func (o *Out) Len() int { return max(0, len(o.b)-http2.HeaderLen) }

// Drop forgets what is gathered.
func (o *Out) Drop() {
	if o.c != nil {
		o.c.Free()
	}
	*o = Out{size: o.size}
}

// item is something that waits to be sent in a call: a piece of messages, with room for a
// frame's header before them, or frames that windows do not concern.
type item struct {
	c     *chunk.Chunk
	b     []byte
	off   int // of b was sent
	frame bool
}

// Post sends what is gathered, without waiting: it may stay here while the client takes
// nothing.
func (c *Call) Post(o *Out) {
	if o.c == nil {
		return
	}
	c.put(o)
	c.pump()
}

// Send sends what is gathered, and waits while the client takes nothing. The error is the
// status of a call that has ended.
func (c *Call) Send(o *Out) error {
	if o.c != nil {
		c.put(o)
	}
	return c.wait()
}

// put queues what is gathered.
func (c *Call) put(o *Out) {
	it := item{c: chunk.Hold(o.c, o.b), b: o.b, off: http2.HeaderLen}
	size := len(o.b) - http2.HeaderLen
	*o = Out{size: len(o.b)}
	n := c.conn
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed.Load() || c.ending != nil {
		it.c.Free()
		return
	}
	c.headLocked()
	c.queue = append(c.queue, it)
	c.queued += int64(size)
	n.queued += int64(size)
}

// wait sends what is queued, and returns when little of it is left.
func (c *Call) wait() error {
	for {
		c.pump()
		c.conn.mu.Lock()
		full := c.queued > mostQueued || c.queued > 0 && c.conn.queued > mostAnswers
		c.conn.mu.Unlock()
		switch {
		case c.ctx.Err() != nil:
			return ended(c.ctx)
		case c.closed.Load():
			return status.Error(codes.Canceled, context.Canceled.Error())
		case !full:
			return nil
		}
		select {
		case <-c.room:
		case <-c.ctx.Done():
		}
	}
}

// headLocked queues the response's headers, if that was not done.
func (c *Call) headLocked() {
	if c.headed || c.closed.Load() {
		return
	}
	c.headed = true
	b := appendMetadata(c.responseHead("200"), c.header)
	c.queue = append(c.queue, item{b: http2.AppendHeaders(nil, c.id, b, false), frame: true})
}

// responseHead begins a header block of a response, of the kind that was asked for.
func (c *Call) responseHead(status string) []byte {
	kind := "application/grpc"
	if c.kind != "" {
		kind = c.kind
	}
	b := http2.AppendStatus([]byte{http2.BlockStart}, status)
	return http2.AppendField(b, "content-type", kind)
}

func appendMetadata(b []byte, md metadata.MD) []byte {
	for _, name := range slices.Sorted(maps.Keys(md)) {
		key := strings.ToLower(name)
		if strings.HasPrefix(key, ":") || strings.HasPrefix(key, "grpc-") || key == "content-type" || key == "te" {
			continue
		}
		for _, v := range md[name] {
			if strings.HasSuffix(key, "-bin") {
				v = base64.RawStdEncoding.EncodeToString([]byte(v))
			}
			b = http2.AppendField(b, key, v)
		}
	}
	return b
}

// finish ends the call with a status, behind what is queued. Only the first one counts.
func (c *Call) finish(s *status.Status) { c.conclude("200", s) }

// refuse ends a call that has no handler.
func (c *Call) refuse(http string, s *status.Status) {
	c.broken = true
	c.conclude(http, s)
	c.cancel()
	c.discard()
}

func (c *Call) conclude(http string, s *status.Status) {
	n := c.conn
	n.mu.Lock()
	c.over = true
	if !c.closed.Load() && c.ending == nil {
		var b []byte
		if c.headed {
			b = []byte{http2.BlockStart}
		} else {
			b = appendMetadata(c.responseHead(http), c.header)
		}
		c.headed = true
		b = appendMetadata(appendStatus(b, s), c.trailer)
		c.ending = http2.AppendHeaders(nil, c.id, b, true)
	}
	n.mu.Unlock()
	c.pump()
}

// appendStatus appends the fields that say how a call has ended.
func appendStatus(b []byte, s *status.Status) []byte {
	b = http2.AppendField(b, "grpc-status", strconv.Itoa(int(s.Code())))
	if text := s.Message(); text != "" {
		b = http2.AppendField(b, "grpc-message", percent(text))
	}
	if len(s.Proto().GetDetails()) > 0 {
		if d, err := proto.Marshal(s.Proto()); err == nil {
			b = http2.AppendField(b, "grpc-status-details-bin", base64.RawStdEncoding.EncodeToString(d))
		}
	}
	return b
}

// percent encodes a text as grpc-message has it.
func percent(s string) string {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '%' }
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := append(make([]byte, 0, len(s)+16), s[:i]...)
	for ; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

// pump sends what is queued and windows allow, unless somebody is doing so.
func (c *Call) pump() {
	n := c.conn
	n.mu.Lock()
	if c.pumping {
		n.mu.Unlock()
		return
	}
	c.pumping = true
	sent := false
	for c.cutLocked(&c.batch) {
		n.mu.Unlock()
		n.send(&c.batch)
		sent = true
		n.mu.Lock()
	}
	c.pumping = false
	room := c.queued <= mostQueued
	idle := n.refusing && len(n.calls) == 0
	waiting := len(n.waiting) > 0
	n.mu.Unlock()
	if waiting {
		n.next()
	}
	if sent && room {
		signal(c.room)
		c.Resume()
	}
	if idle {
		n.close(errDrained)
	}
}

// cutLocked makes frames of what is queued, as far as windows allow. It says whether
// there are any.
func (c *Call) cutLocked(b *outbox.Batch) bool {
	n := c.conn
	if c.closed.Load() || n.stallLocked(c) {
		return false
	}
	for len(c.queue) > 0 && b.Size < mostUnsent {
		it := &c.queue[0]
		if it.frame {
			add(b, it.b, nil)
		} else if !c.cutItemLocked(b, it) {
			break
		}
		*it = item{}
		c.queue = c.queue[1:]
	}
	if len(c.queue) == 0 {
		c.queue = nil
		if c.ending != nil && b.Size < mostUnsent {
			c.endLocked(b)
		}
	}
	if b.Size == 0 {
		return false
	}
	n.sent.Store(true)
	if answer := n.pong.takeLocked(b.Size); answer != nil {
		add(b, answer, nil)
	}
	return true
}

// stallLocked says whether a call has to wait until more of what was sent is written.
func (n *conn) stallLocked(c *Call) bool {
	if n.unsent.Load() <= mostUnsent {
		return false
	}
	n.stalled[c] = struct{}{}
	n.stalls.Store(int32(len(n.stalled)))
	return n.unsent.Load() > mostUnsent // it may have been written in between
}

// add puts bytes into a batch, with the ownership of c if there is one.
func add(b *outbox.Batch, bytes []byte, c *chunk.Chunk) {
	b.Pieces = append(b.Pieces, outbox.Piece{Bytes: bytes, Chunk: c})
	b.Size += len(bytes)
	b.Borrowed = b.Borrowed || c == nil
}

// cutItemLocked makes frames of messages. It says whether all of them are sent.
func (c *Call) cutItemLocked(b *outbox.Batch, it *item) bool {
	n := c.conn
	for it.off < len(it.b) {
		if b.Size >= mostUnsent {
			return false
		}
		left := len(it.b) - it.off
		k := min(int64(left), n.window, c.window, http2.LeastMax)
		if k <= 0 {
			if c.window > 0 && !c.blocked {
				c.blocked = true
				n.blocked = append(n.blocked, c)
			}
			return false
		}
		n.window -= k
		c.window -= k
		c.queued -= k
		n.queued -= k
		whole := int(k) == left
		if it.off == http2.HeaderLen { // there is room for the header
			http2.PutHeader(it.b, int(k), http2.Data, 0, c.id)
			if !whole {
				it.c.Retain()
			}
			add(b, it.b[:http2.HeaderLen+int(k)], it.c)
		} else {
			head := chunk.Get(http2.HeaderLen)
			head.B = head.B[:http2.HeaderLen]
			http2.PutHeader(head.B, int(k), http2.Data, 0, c.id)
			add(b, head.B, head)
			if !whole {
				it.c.Retain()
			}
			add(b, it.b[it.off:it.off+int(k)], it.c)
		}
		it.off += int(k)
	}
	return true
}

// endLocked sends the trailers. The call has ended then.
func (c *Call) endLocked(b *outbox.Batch) {
	n := c.conn
	end := c.ending
	if !c.halfClosed.Load() {
		end = http2.AppendReset(end, c.id, http2.NoError)
	}
	add(b, end, nil)
	c.closed.Store(true)
	delete(n.calls, c.id)
}

// drop ends a call of which the client hears no more.
func (n *conn) drop(c *Call) {
	n.mu.Lock()
	over := c.closed.Swap(true)
	delete(n.calls, c.id)
	for i := range c.queue {
		if it := &c.queue[i]; it.c != nil {
			it.c.Free()
		}
	}
	n.queued -= c.queued
	c.queue, c.queued = nil, 0
	handling := c.handling
	waiting := len(n.waiting) > 0
	idle := n.refusing && len(n.calls) == 0
	n.mu.Unlock()
	if over {
		return
	}
	c.cancel()
	if !c.broken {
		c.stopReceiving()
		if c.feed != nil {
			c.feed.Ended(status.Error(codes.Canceled, context.Canceled.Error()))
		}
	}
	if !handling {
		c.discard()
	}
	signal(c.room)
	if waiting {
		n.next()
	}
	if idle {
		n.close(errDrained)
	}
}
