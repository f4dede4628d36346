package rpc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/wire/http2"
)

// mostControl is how much the client is answered before what was read is handled
// further, bytes: a flood of frames that want an answer shall not gather here.
const mostControl = 64 << 10

// frames handles the complete frames of what is unread.
func (n *conn) frames() error {
	in := &n.in
	if !n.begun && !n.begin() {
		return n.preface()
	}
	var f http2.Frame
	for in.W-in.R > 0 && in.W-in.R >= in.Need && n.why.Load() == nil {
		k, need, err := http2.DecodeFrame(in.B[in.R:in.W], &f)
		if err != nil {
			return err
		}
		if in.Need = need; k == 0 {
			return nil
		}
		in.R += k
		if err := n.judge(n.frame(&f)); err != nil {
			return err
		}
		if len(n.control) > mostControl {
			n.flush()
		}
	}
	return nil
}

// begin takes the client's preface, if all of it is there.
func (n *conn) begin() bool {
	in := &n.in
	if in.W-in.R < len(http2.Preface) || string(in.B[in.R:][:len(http2.Preface)]) != http2.Preface {
		return false
	}
	in.R, in.Need = in.R+len(http2.Preface), 0
	n.begun = true
	return true
}

// preface says why what came instead of the preface is none; nil: it may become one.
func (n *conn) preface() error {
	in := &n.in
	got := in.B[in.R:in.W]
	if in.Need = len(http2.Preface); bytes.HasPrefix([]byte(http2.Preface), got) {
		return nil
	}
	return &http2.Error{Code: http2.ProtocolError, Text: "no HTTP/2"}
}

// judge ends a stream where an error is the stream's, and gives it where it is the
// connection's.
func (n *conn) judge(err error) error {
	var why *http2.Error
	if err == nil || !errors.As(err, &why) || why.Stream == 0 {
		return err
	}
	n.reset(why.Stream, why.Code)
	return nil
}

// reset ends a stream, and a call if it is one.
func (n *conn) reset(stream uint32, code http2.Code) {
	n.control = http2.AppendReset(n.control, stream, code)
	if c := n.call(stream); c != nil {
		n.drop(c)
	}
}

// call finds a call that has not ended.
func (n *conn) call(stream uint32) *Call {
	if c := n.last; c != nil && c.id == stream && !c.closed.Load() {
		return c
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = n.calls[stream]
	return n.last
}

func (n *conn) frame(f *http2.Frame) error {
	if n.block.stream != 0 && (f.Type != http2.Continuation || f.Stream != n.block.stream) {
		return &http2.Error{Code: http2.ProtocolError, Text: "a header block is interrupted"}
	}
	if !n.told.Load() {
		if f.Type != http2.Settings || f.Has(http2.FlagAck) {
			return &http2.Error{Code: http2.ProtocolError, Text: "the first frame is not SETTINGS"}
		}
		n.told.Store(true)
		n.watch(pingAfter)
	}
	switch f.Type {
	case http2.Data:
		return n.data(f)
	case http2.Headers:
		return n.headers(f)
	case http2.Continuation:
		return n.continuation(f)
	case http2.Priority:
		return http2.DecodePriority(f)
	case http2.ResetStream:
		return n.resetBy(f)
	case http2.Settings:
		return n.settings(f)
	case http2.PushPromise:
		return &http2.Error{Code: http2.ProtocolError, Text: "a client does not push"}
	case http2.Ping:
		return n.ping(f)
	case http2.GoAway:
		_, err := http2.DecodeGoAway(f)
		return err // what it has begun goes on; it closes the connection
	case http2.WindowUpdate:
		return n.update(f)
	}
	return nil // unknown frames mean nothing
}

// idle says that a stream was never opened.
func (n *conn) idle(stream uint32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return stream%2 == 0 || stream > n.newest && !n.refusing
}

// data takes what a call gets.
func (n *conn) data(f *http2.Frame) error {
	body, err := http2.DecodeBody(f)
	if err != nil {
		return err
	}
	size := int64(len(f.Payload))
	if n.left -= size; n.left < 0 {
		return &http2.Error{Code: http2.FlowControlError, Text: "more than the connection's window"}
	}
	n.granted += size
	c := n.call(f.Stream)
	if c == nil {
		if n.idle(f.Stream) {
			return &http2.Error{Code: http2.ProtocolError, Text: "DATA in a stream that is not open"}
		}
		return &http2.Error{Stream: f.Stream, Code: http2.StreamClosed, Text: "DATA in a stream that is closed"}
	}
	if c.halfClosed.Load() {
		return &http2.Error{Stream: f.Stream, Code: http2.StreamClosed, Text: "DATA after END_STREAM"}
	}
	if c.left.Add(-size) < 0 {
		return &http2.Error{Stream: f.Stream, Code: http2.FlowControlError, Text: "more than the stream's window"}
	}
	if c.length -= int64(len(body)); c.length < 0 && c.sized {
		return &http2.Error{Stream: f.Stream, Code: http2.ProtocolError, Text: "more than content-length"}
	}
	c.receive(body, size)
	if f.Has(http2.FlagEndStream) {
		return n.halfClose(c)
	}
	return nil
}

// halfClose notes that the client sends no more in a call.
func (n *conn) halfClose(c *Call) error {
	if c.sized && c.length != 0 {
		return &http2.Error{Stream: c.id, Code: http2.ProtocolError, Text: "less than content-length"}
	}
	c.halfClosed.Store(true)
	c.receivedAll()
	return nil
}

// grant lets the client send more, when enough was handled.
func (n *conn) grant() {
	if n.granted >= connWindow/grantAfter {
		n.control = http2.AppendWindow(n.control, 0, n.granted)
		n.left += n.granted
		n.granted = 0
	}
}

func (n *conn) resetBy(f *http2.Frame) error {
	if _, err := http2.DecodeReset(f); err != nil {
		return err
	}
	if n.idle(f.Stream) {
		return &http2.Error{Code: http2.ProtocolError, Text: "RST_STREAM in a stream that is not open"}
	}
	if c := n.call(f.Stream); c != nil {
		n.drop(c)
	}
	return nil
}

// settings takes what the client says about itself.
func (n *conn) settings(f *http2.Frame) error {
	var pump []*Call
	err := http2.DecodeSettings(f, func(s http2.Setting, value uint32) error {
		if s != http2.InitialWindowSize {
			return nil
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		by := int64(value) - n.initial
		n.initial = int64(value)
		for _, c := range n.calls {
			if c.window += by; c.window > http2.MaxWindow {
				return &http2.Error{Code: http2.FlowControlError, Text: "a window becomes too large"}
			}
			pump = append(pump, c)
		}
		return nil
	})
	if err != nil || f.Has(http2.FlagAck) {
		return err
	}
	n.control = http2.AppendSettingsAck(n.control)
	n.flush()
	for _, c := range pump {
		c.pump()
	}
	return nil
}

// update lets more be sent.
func (n *conn) update(f *http2.Frame) error {
	by, err := http2.DecodeWindow(f)
	if err != nil {
		if f.Stream != 0 && n.idle(f.Stream) {
			return &http2.Error{Code: http2.ProtocolError, Text: "WINDOW_UPDATE in a stream that is not open"}
		}
		return err
	}
	if f.Stream == 0 {
		return n.updateAll(by)
	}
	c := n.call(f.Stream)
	if c == nil {
		if n.idle(f.Stream) {
			return &http2.Error{Code: http2.ProtocolError, Text: "WINDOW_UPDATE in a stream that is not open"}
		}
		return nil
	}
	n.mu.Lock()
	c.window += by
	over := c.window > http2.MaxWindow
	n.mu.Unlock()
	if over {
		return &http2.Error{Stream: c.id, Code: http2.FlowControlError, Text: "a window becomes too large"}
	}
	c.pump()
	return nil
}

// updateAll grows the connection's window, for the calls that wait for it in turn.
func (n *conn) updateAll(by int64) error {
	n.mu.Lock()
	if n.window += by; n.window > http2.MaxWindow {
		n.mu.Unlock()
		return &http2.Error{Code: http2.FlowControlError, Text: "the connection's window becomes too large"}
	}
	list := n.blocked
	n.blocked = nil
	for _, c := range list {
		c.blocked = false
	}
	n.mu.Unlock()
	for _, c := range list {
		c.pump()
	}
	return nil
}

// What a client may ping: more often than leastPings for mostStrikes times in a row, when
// nothing was sent to it in between, ends the connection.
const (
	leastPings  = 5 * time.Second
	mostStrikes = 2
)

// ping answers a ping.
func (n *conn) ping(f *http2.Frame) error {
	if err := http2.DecodePing(f); err != nil {
		return err
	}
	if f.Has(http2.FlagAck) {
		return nil // that something came is enough
	}
	now := time.Now()
	n.answer(f.Payload, now)
	switch {
	case n.sent.Swap(false):
		n.strikes = 0
	case now.Sub(n.pinged) < leastPings:
		n.strikes++
	}
	n.pinged = now
	if n.strikes > mostStrikes {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "too_many_pings"}
	}
	return nil
}

// When a ping is answered: with what a call sends after pongAfter, or behind pongBytes of
// that, and otherwise alone after pongWithin. Clients of gRPC measure the link with a ping
// for what they get, one at a time. For somebody who waits for each answer that is another
// message with each of his, which costs both sides as much: so he sends few, and is answered
// with his next message, while who gets much is answered at once.
const (
	pongAfter  = 4 * time.Millisecond
	pongBytes  = 16 << 10
	pongWithin = 8 * time.Millisecond
)

// pong is a ping's answer that waits.
type pong struct {
	frame  []byte    // empty: none waits
	since  time.Time // of the ping
	behind int       // bytes that were sent since
	timer  *time.Timer
}

// answer has a ping answered. Who sends many at a time is answered at once.
func (n *conn) answer(data []byte, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &n.pong
	if len(p.frame) > 0 {
		n.control = http2.AppendPing(append(n.control, p.frame...), true, data)
		p.frame = p.frame[:0]
		return
	}
	p.frame, p.since, p.behind = http2.AppendPing(p.frame, true, data), now, 0
	if p.timer == nil {
		p.timer = time.AfterFunc(pongWithin, n.answerNow)
	} else {
		p.timer.Reset(pongWithin)
	}
}

// takeLocked gives the answer that waits if it shall go with so many bytes of a call.
func (p *pong) takeLocked(with int) []byte {
	if len(p.frame) == 0 {
		return nil
	}
	if p.behind += with; p.behind < pongBytes && time.Since(p.since) < pongAfter {
		return nil
	}
	p.timer.Stop()
	b := slices.Clone(p.frame)
	p.frame = p.frame[:0]
	return b
}

// answerNow sends the answer that waits, if there is one.
func (n *conn) answerNow() {
	n.mu.Lock()
	b := slices.Clone(n.pong.frame)
	n.pong.frame = n.pong.frame[:0]
	n.mu.Unlock()
	if len(b) > 0 {
		n.sendBytes(b)
	}
}

// watch has the connection looked at after a time.
func (n *conn) watch(after time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refusing && n.timer == nil {
		return
	}
	if n.timer == nil {
		n.timer = time.AfterFunc(after, n.look)
	} else {
		n.timer.Reset(after)
	}
}

func (n *conn) stopTimer() {
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	if n.pong.timer != nil {
		n.pong.timer.Stop()
	}
}

// look pings a client that is silent, and ends the connection if that does not help.
func (n *conn) look() {
	silent := time.Since(time.Unix(0, n.active.Load()))
	n.mu.Lock()
	timer := n.timer
	if timer == nil {
		n.mu.Unlock()
		return // it has ended
	}
	var why error
	ping := false
	switch {
	case !n.told.Load():
		why = fmt.Errorf("%w: no HTTP/2 within %v", errSilent, beginWithin)
	case n.asked && silent >= answerWithin:
		why = errSilent
	case silent >= pingAfter:
		n.asked, ping = true, true
		timer.Reset(answerWithin)
	default:
		n.asked = false
		timer.Reset(pingAfter - silent)
	}
	n.mu.Unlock()
	switch {
	case why != nil:
		n.close(why)
	case ping:
		n.sendBytes(http2.AppendPing(nil, false, []byte("weirping")))
	}
}
