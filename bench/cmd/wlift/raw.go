package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// The workloads whose names begin with "raw" speak gRPC over a raw socket: the official
// client takes 3 to 25 microseconds a message itself, more than a server.

const (
	rawWindow = 1<<31 - 1 // bytes that the server may send
	rawGrant  = 1 << 29   // read before it may send as many more
	rawRead   = 256 << 10
)

// rawCall is one call of the API on a connection of its own. One goroutine uses it.
type rawCall struct {
	c       net.Conn
	br      *bufio.Reader
	fr      *http2.Framer
	out     bytes.Buffer // frames to be written
	conn    int64        // bytes that may be sent on the connection,
	stream  int64        // and in the call
	initial int64
	read    int64 // that the server was not granted again

	prefix  []byte // of the message that is being read
	left    int    // bytes of it
	first   bool   // its first byte is next
	message func(first byte)
	last    []byte // the last message
	ended   bool
}

// dialRaw begins a call.
func dialRaw(method string) (*rawCall, error) {
	c, err := net.DialTimeout("tcp", *addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	r := &rawCall{c: c, br: bufio.NewReaderSize(c, rawRead), conn: 65535, stream: 65535, initial: 65535, message: func(byte) {}}
	r.fr = http2.NewFramer(&r.out, r.br)
	r.fr.SetReuseFrames()
	r.out.WriteString(http2.ClientPreface)
	_ = r.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: rawWindow})
	_ = r.fr.WriteWindowUpdate(0, rawWindow-65535)
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", "/proto.API/" + method}, {":authority", *addr},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = r.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true})
	return r, nil
}

// room is how many bytes of messages may be sent.
func (r *rawCall) room() int64 { return min(r.conn, r.stream) }

// send adds a message of the call, which there must be room for.
func (r *rawCall) send(b []byte, end bool) {
	r.conn -= int64(len(b))
	r.stream -= int64(len(b))
	_ = r.fr.WriteData(1, end, b)
}

// flush writes what was added.
func (r *rawCall) flush() error {
	if r.out.Len() == 0 {
		return nil
	}
	_, err := r.c.Write(r.out.Bytes())
	r.out.Reset()
	return err
}

// next handles what arrives together, at least one frame.
func (r *rawCall) next() error {
	for more := true; more; more = r.buffered() {
		f, err := r.fr.ReadFrame()
		if err != nil {
			return err
		}
		if err := r.frame(f); err != nil {
			return err
		}
	}
	return nil
}

// buffered says whether a whole frame was read already.
func (r *rawCall) buffered() bool {
	if r.ended || r.br.Buffered() < 9 {
		return false
	}
	h, err := r.br.Peek(9)
	return err == nil && r.br.Buffered() >= 9+int(h[0])<<16+int(h[1])<<8+int(h[2])
}

func (r *rawCall) frame(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.DataFrame:
		if r.read += int64(f.Length); r.read >= rawGrant {
			_ = r.fr.WriteWindowUpdate(0, uint32(r.read))
			_ = r.fr.WriteWindowUpdate(1, uint32(r.read))
			r.read = 0
		}
		return r.data(f.Data())
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			r.conn += int64(f.Increment)
		} else {
			r.stream += int64(f.Increment)
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			r.stream += int64(v) - r.initial
			r.initial = int64(v)
		}
		return r.fr.WriteSettingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			return r.fr.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		r.ended = f.StreamEnded()
	case *http2.RSTStreamFrame:
		return fmt.Errorf("the server ended the call: %s", f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Errorf("the server ended the connection: %s %s", f.ErrCode, f.DebugData())
	}
	return nil
}

// data counts the messages in the pieces that they come in.
func (r *rawCall) data(b []byte) error {
	for len(b) > 0 {
		if r.left == 0 {
			k := min(5-len(r.prefix), len(b))
			r.prefix = append(r.prefix, b[:k]...)
			b = b[k:]
			if len(r.prefix) < 5 {
				return nil
			}
			if r.prefix[0] != 0 {
				return fmt.Errorf("a compressed message")
			}
			r.left, r.first = int(binary.BigEndian.Uint32(r.prefix[1:])), true
			r.prefix, r.last = r.prefix[:0], r.last[:0]
			if r.left == 0 {
				r.message(0)
			}
			continue
		}
		if r.first {
			r.message(b[0])
			r.first = false
		}
		k := min(r.left, len(b))
		r.last = append(r.last, b[:k]...)
		r.left -= k
		b = b[k:]
	}
	return nil
}

// ackTag begins a PublishResponse with an ack.
const ackTag = 1<<3 | 2

// rawMessage is a message with gRPC's prefix.
func rawMessage(m proto.Message) ([]byte, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...), nil
}

// rawPublish is publishAsync over raw sockets.
func rawPublish(stream string, clients, window int) (measures, error) {
	cpu, start := cpuTimes(), time.Now()
	m, err := gather(clients, start, cpu, func(_ int, took func(time.Duration)) error {
		b, err := rawMessage(&pb.PublishRequest{Stream: stream, Value: make([]byte, *size), CorrelationId: "0000000", ExpectedOffset: -1})
		if err != nil {
			return err
		}
		r, err := dialRaw("PublishAsync")
		if err != nil {
			return err
		}
		defer r.c.Close()
		return r.publish(b, start, window, took)
	})
	if window > 1 {
		delete(m, "p50 us") // what is taken is the time of a turn, not of a message
		delete(m, "p99 us")
	}
	return m, err
}

func (r *rawCall) publish(b []byte, start time.Time, window int, took func(time.Duration)) error {
	sent, acked, refused := 0, 0, 0
	var began time.Time // when the last messages were sent
	r.message = func(first byte) {
		acked++
		if first != ackTag {
			refused++
		}
		took(time.Since(began))
	}
	for over := false; !over || acked < sent; {
		over = time.Since(start) >= *dur
		for !over && sent-acked < window && r.room() >= int64(len(b)) {
			r.send(b, false)
			sent++
		}
		began = time.Now()
		if err := r.flush(); err != nil {
			return err
		}
		if sent == acked {
			if over {
				break
			}
			return fmt.Errorf("no room for a message of %d bytes", len(b))
		}
		if err := r.next(); err != nil {
			return err
		}
		if r.ended || refused > 0 {
			return fmt.Errorf("%d messages were refused, ended: %t", refused, r.ended)
		}
	}
	return nil
}

// rawSubscribe is subscribe over a raw socket.
func rawSubscribe(stream string) (measures, error) {
	if _, err := publishAsync(stream, 1, *window, *stored); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	b, err := rawMessage(&pb.SubscribeRequest{Stream: stream, StartPosition: pb.StartPosition_EARLIEST,
		StopPosition: pb.StopPosition_STOP_OFFSET, StopOffset: int64(*stored - 1)})
	if err != nil {
		return nil, err
	}
	cpu, start := cpuTimes(), time.Now()
	r, err := dialRaw("Subscribe")
	if err != nil {
		return nil, err
	}
	defer r.c.Close()
	r.send(b, true)
	got := -1 // the first message is empty
	r.message = func(byte) { got++ }
	for got < *stored || r.left > 0 {
		if err := r.flush(); err != nil {
			return nil, err
		}
		if err := r.next(); err != nil {
			return nil, err
		}
		if r.ended && got < *stored {
			return nil, fmt.Errorf("the call ended after %d messages", got)
		}
	}
	var m pb.Message
	if err := proto.Unmarshal(r.last, &m); err != nil || m.Offset != int64(*stored-1) {
		return nil, fmt.Errorf("the last message has offset %d: %w", m.Offset, err)
	}
	return rates(*stored, time.Since(start), cpu, nil), nil
}
