package http2_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// client is one connection of HTTP/2, spoken in frames. It notes what comes in while it
// waits for something, answers SETTINGS and PING, and gives windows back. It is for one
// goroutine.
type client struct {
	t    testing.TB
	addr string
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	fr   *http2.Framer

	block   bytes.Buffer
	enc     *hpack.Encoder
	nextID  uint32
	streams map[uint32]*call

	// How it behaves.
	keepsWindows bool // gives no window back

	// What came.
	settings map[http2.SettingID]uint32
	settled  int // acknowledgements of SETTINGS
	pinged   int // PINGs that are not acknowledgements
	pongs    [][8]byte
	goaway   *http2.GoAwayFrame
	debug    string // of goaway
	window   int64  // what may still be sent on the connection
	ended    error  // why nothing more comes
}

// call is one stream.
type call struct {
	id       uint32
	header   []hpack.HeaderField // first block
	trailer  []hpack.HeaderField // last block; the first one where there is only one
	body     []byte
	frames   []int // lengths of the DATA frames
	finished bool  // END_STREAM came
	reset    *http2.ErrCode
	window   int64 // what may still be sent
}

// over says whether nothing more comes on the stream.
func (s *call) over() bool { return s.finished || s.reset != nil }

// absent as a header's value takes it out.
const absent = "\x00"

const wideWindow = 1 << 30

// dial opens a connection and waits for the server's settings. The window of streams is
// wide open unless the settings say otherwise, and that of the connection.
func dial(t testing.TB, addr string, settings ...http2.Setting) *client {
	t.Helper()
	if !slices.ContainsFunc(settings, func(s http2.Setting) bool { return s.ID == http2.SettingInitialWindowSize }) {
		settings = append(settings, http2.Setting{ID: http2.SettingInitialWindowSize, Val: wideWindow})
	}
	c := connect(t, addr, settings...)
	c.widen(0, wideWindow)
	c.flush()
	return c
}

// connect opens a connection with the windows that HTTP/2 begins with, and waits for the
// server's settings. It is closed with the test.
func connect(t testing.TB, addr string, settings ...http2.Setting) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it
	c := &client{
		t: t, addr: addr, conn: conn, out: bufio.NewWriterSize(conn, 64<<10), nextID: 1, streams: map[uint32]*call{},
		in: bufio.NewReader(conn), settings: map[http2.SettingID]uint32{}, window: 65535,
	}
	c.fr = http2.NewFramer(c.out, c.in)
	c.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.fr.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.block)
	c.write("preface", func() error { _, err := c.out.WriteString(http2.ClientPreface); return err })
	c.configure(settings...)
	c.until("the server's settings come", func() bool { return len(c.settings) > 0 && c.settled > 0 })
	return c
}

// write does what writes; the bytes go out with flush.
func (c *client) write(what string, do func() error) {
	c.t.Helper()
	if err := do(); err != nil {
		c.t.Fatalf("write %s: %v", what, err)
	}
}

func (c *client) flush() {
	c.t.Helper()
	if err := c.tryFlush(); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *client) tryFlush() error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return c.out.Flush()
}

// configure sends SETTINGS.
func (c *client) configure(settings ...http2.Setting) {
	c.t.Helper()
	c.write("SETTINGS", func() error { return c.fr.WriteSettings(settings...) })
}

// widen sends a WINDOW_UPDATE.
func (c *client) widen(stream, by uint32) {
	c.t.Helper()
	c.write("WINDOW_UPDATE", func() error { return c.fr.WriteWindowUpdate(stream, by) })
}

// ping sends a PING.
func (c *client) ping(n uint64) {
	c.t.Helper()
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], n)
	c.write("PING", func() error { return c.fr.WritePing(false, data) })
}

// encode makes a header block of a call of a path. Of more, pairs of a name and a value,
// each replaces what is ordinary, or comes behind it.
func (c *client) encode(path string, more ...string) []byte {
	c.t.Helper()
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: c.addr}, {Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}
	ordinary := len(fields)
	for i := 0; i < len(more); i += 2 {
		f := hpack.HeaderField{Name: more[i], Value: more[i+1]}
		at := slices.IndexFunc(fields[:ordinary], func(o hpack.HeaderField) bool { return o.Name == f.Name })
		if at < 0 {
			fields = append(fields, f)
			continue
		}
		fields[at] = f
	}
	c.block.Reset()
	for _, f := range fields {
		if f.Value == absent {
			continue
		}
		if err := c.enc.WriteField(f); err != nil {
			c.t.Fatal(err)
		}
	}
	return bytes.Clone(c.block.Bytes())
}

// stream is the next stream, not opened yet.
func (c *client) stream() *call {
	s := &call{id: c.nextID, window: int64(c.sendWindow())}
	c.streams[s.id] = s
	c.nextID += 2
	return s
}

func (c *client) sendWindow() uint32 {
	if w, ok := c.settings[http2.SettingInitialWindowSize]; ok {
		return w
	}
	return 65535
}

// open begins a call whose body follows.
func (c *client) open(path string, more ...string) *call {
	c.t.Helper()
	return c.begin(false, path, more...)
}

func (c *client) begin(end bool, path string, more ...string) *call {
	c.t.Helper()
	block, s := c.encode(path, more...), c.stream()
	first := block[:min(len(block), 16384)]
	c.write("HEADERS", func() error {
		return c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: first, EndHeaders: len(first) == len(block), EndStream: end})
	})
	for block = block[len(first):]; len(block) > 0; {
		next := block[:min(len(block), 16384)]
		block = block[len(next):]
		c.write("CONTINUATION", func() error { return c.fr.WriteContinuation(s.id, len(block) == 0, next) })
	}
	return s
}

// data sends one DATA frame, whatever the windows are.
func (c *client) data(s *call, end bool, b []byte) {
	c.t.Helper()
	s.window -= int64(len(b))
	c.window -= int64(len(b))
	c.write("DATA", func() error { return c.fr.WriteData(s.id, end, b) })
}

// send sends a body in frames as long as they may be, and waits for the server's windows.
func (c *client) send(s *call, end bool, b []byte) {
	c.t.Helper()
	for {
		n := int(min(int64(len(b)), 16384, s.window, c.window))
		if n <= 0 && len(b) > 0 {
			c.until("the server has a window for more", func() bool { return s.over() || s.window > 0 && c.window > 0 })
			if s.over() {
				return
			}
			continue
		}
		last := n == len(b)
		c.data(s, end && last, b[:n])
		if b = b[n:]; last {
			return
		}
	}
}

// message is a message with gRPC's prefix.
func message(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("marshal %T: %v", m, err))
	}
	return prefixed(0, b)
}

// prefixed is a message with its flag and length before it.
func prefixed(flag byte, b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(len(b))), b...)
}

// until reads frames until a condition holds, or fails.
func (c *client) until(what string, holds func() bool) {
	c.t.Helper()
	if !c.within(patience, holds) {
		c.t.Fatalf("it never came true that %s: %v, GOAWAY %v %q", what, c.ended, c.goaway, c.debug)
	}
}

// within reads frames until a condition holds, for so long, and says whether it does. More
// may be read afterwards.
func (c *client) within(limit time.Duration, holds func() bool) bool {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if c.ended != nil {
			return false
		}
		if err := c.tryFlush(); err != nil {
			c.out.Reset(c.conn) // what the server still said is read
		}
		f, err := c.read(deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		if err != nil {
			c.ended = err
			continue
		}
		c.note(f)
	}
	return true
}

// read reads a frame that begins to come before the deadline.
func (c *client) read(deadline time.Time) (http2.Frame, error) {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, err
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return c.fr.ReadFrame()
}

// note takes in a frame.
func (c *client) note(f http2.Frame) {
	c.t.Helper()
	s := c.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		c.noteSettings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			c.pongs = append(c.pongs, f.Data)
			return
		}
		c.pinged++
		c.write("PING", func() error { return c.fr.WritePing(true, f.Data) })
	case *http2.GoAwayFrame:
		g := *f
		c.goaway, c.debug = &g, string(f.DebugData())
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
		} else if s != nil {
			s.window += int64(f.Increment)
		}
	case *http2.RSTStreamFrame:
		if s == nil {
			c.t.Errorf("RST_STREAM of stream %d, which was not opened", f.StreamID)
			return
		}
		s.reset = &f.ErrCode
	case *http2.MetaHeadersFrame:
		c.noteHeaders(s, f)
	case *http2.DataFrame:
		c.noteData(s, f)
	}
}

func (c *client) noteSettings(f *http2.SettingsFrame) {
	c.t.Helper()
	if f.IsAck() {
		c.settled++
		return
	}
	before := int64(c.sendWindow())
	_ = f.ForeachSetting(func(s http2.Setting) error { // the function returns no error
		c.settings[s.ID] = s.Val
		return nil
	})
	for _, s := range c.streams {
		s.window += int64(c.sendWindow()) - before
	}
	c.write("SETTINGS", c.fr.WriteSettingsAck)
}

func (c *client) noteHeaders(s *call, f *http2.MetaHeadersFrame) {
	c.t.Helper()
	switch {
	case s == nil:
		c.t.Errorf("HEADERS of stream %d, which was not opened", f.StreamID)
		return
	case s.over():
		c.t.Errorf("HEADERS of stream %d, which is over", f.StreamID)
	case s.header != nil && !f.StreamEnded():
		c.t.Errorf("stream %d: trailers without END_STREAM: %v", f.StreamID, f.Fields)
	}
	fields := slices.Clone(f.Fields)
	if s.header == nil {
		s.header = fields
	}
	s.trailer, s.finished = fields, s.finished || f.StreamEnded()
}

func (c *client) noteData(s *call, f *http2.DataFrame) {
	c.t.Helper()
	switch {
	case s == nil:
		c.t.Errorf("DATA of stream %d, which was not opened", f.StreamID)
		return
	case s.over() || s.header == nil:
		c.t.Errorf("DATA of stream %d, which is over or has no header", f.StreamID)
	case f.Length > 16384:
		c.t.Errorf("a DATA frame of %d bytes: the client allows 16384", f.Length)
	}
	s.body = append(s.body, f.Data()...)
	s.frames = append(s.frames, int(f.Length))
	s.finished = s.finished || f.StreamEnded()
	if !c.keepsWindows && f.Length > 0 {
		c.widen(0, f.Length)
		if !s.finished {
			c.widen(s.id, f.Length)
		}
	}
}

// value is the first value of a header.
func value(fields []hpack.HeaderField, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// finish waits until a call is over and returns its gRPC status: UNKNOWN with the code of
// HTTP/2 where the stream is reset without one.
func (c *client) finish(s *call) (codes.Code, string) {
	c.t.Helper()
	c.until(fmt.Sprintf("call %d is over", s.id), s.over)
	return s.status(c.t)
}

func (s *call) status(t testing.TB) (codes.Code, string) {
	t.Helper()
	text := value(s.trailer, "grpc-status")
	if text == "" {
		if s.reset == nil {
			t.Fatalf("the call ended with neither a status nor a reset: %v", s.trailer)
		}
		return codes.Unknown, s.reset.String()
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	said, err := url.PathUnescape(value(s.trailer, "grpc-message"))
	if err != nil {
		t.Fatal(err)
	}
	return codes.Code(n), said
}

// messages are those that came, as far as they are complete.
func (s *call) messages(t testing.TB) (list [][]byte) {
	t.Helper()
	for b := s.body; len(b) >= 5; {
		if b[0] != 0 {
			t.Fatalf("a message is compressed: flag %d", b[0])
		}
		n := 5 + int(binary.BigEndian.Uint32(b[1:]))
		if len(b) < n {
			break
		}
		list, b = append(list, b[5:n]), b[n:]
	}
	return list
}
