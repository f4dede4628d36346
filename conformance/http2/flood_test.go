package http2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/weirmq/weir/conformance/harness"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// mostMemory is what the server may need at most whatever one client does, bytes. It needs
// some 50 MB at rest.
const mostMemory = 400 << 20

// boundMemory fails if the server ever needed more.
func boundMemory(t *testing.T, s *harness.Server) {
	t.Helper()
	n := s.PeakMemory()
	t.Logf("%d MiB at most", n>>20)
	if n > mostMemory {
		t.Errorf("the server needed %d MiB", n>>20)
	}
}

// script is what a hostile client sends, in advance.
type script struct {
	t    *testing.T
	out  bytes.Buffer
	fr   *http2.Framer
	enc  *hpack.Encoder
	held bytes.Buffer
}

// newScript begins with what every connection does: the windows are wide open.
func newScript(t *testing.T) *script {
	s := &script{t: t}
	s.fr = http2.NewFramer(&s.out, nil)
	s.fr.AllowIllegalWrites = true
	s.enc = hpack.NewEncoder(&s.held)
	s.out.WriteString(http2.ClientPreface)
	s.did(s.fr.WriteSettings(initialWindow(wideWindow)))
	s.did(s.fr.WriteWindowUpdate(0, wideWindow))
	return s
}

func (s *script) did(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// block is a header block of a call.
func (s *script) block(path string, more ...string) []byte {
	s.t.Helper()
	s.held.Reset()
	all := append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "x", "content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(all); i += 2 {
		s.did(s.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
	}
	return s.held.Bytes()
}

// headers opens a stream.
func (s *script) headers(id uint32, block []byte, endHeaders, endStream bool) {
	s.t.Helper()
	s.did(s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: endHeaders, EndStream: endStream}))
}

// stuck is how long a hostile client tries to write before it is taken as held back, and
// how long one that reads nothing stays when it has written all.
const stuck = time.Second

// play sends it and returns how it went: nil if the server took all of it. What the server
// answers is read, and thrown away, if reads: then the server has dealt with all of it, or
// ended the connection, when this returns.
func (s *script) play(addr string, reads bool) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	tcp := conn.(*net.TCPConn)
	read := make(chan struct{})
	if reads {
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, tcp) // until the connection ends, anyhow
		}()
	} else if err := tcp.SetReadBuffer(8 << 10); err != nil {
		return err
	}
	for b := s.out.Bytes(); len(b) > 0; {
		n := min(len(b), 64<<10)
		if err := tcp.SetWriteDeadline(time.Now().Add(stuck)); err != nil {
			return err
		}
		if _, err := tcp.Write(b[:n]); err != nil {
			return fmt.Errorf("with %d of %d bytes left: %w", len(b), s.out.Len(), err)
		}
		b = b[n:]
	}
	if !reads {
		<-time.After(stuck)
		return nil
	}
	if err := tcp.CloseWrite(); err != nil {
		return err
	}
	select {
	case <-read:
		return nil
	case <-time.After(patience):
		return errors.New("the server does not end the connection, which the client has ended")
	}
}

// besides fails unless another connection is served while what is hostile goes on, each
// time within a time that a person would wait.
func besides(t *testing.T, addr string, hostile func() error) {
	t.Helper()
	c := dial(t, addr)
	done := make(chan error, 1)
	go func() { done <- hostile() }()
	longest, served, since := time.Duration(0), 0, time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for going := true; going; {
		select {
		case err := <-done:
			t.Logf("%v, and %v", err, time.Since(since).Round(time.Millisecond))
			going = false
		case <-tick.C:
		}
		began := time.Now()
		c.publish([]byte("beside"))
		longest, served = max(longest, time.Since(began)), served+1
	}
	t.Logf("%d publishes beside, the longest took %v", served, longest.Round(time.Millisecond))
	if longest > 5*time.Second {
		t.Errorf("another connection's publish took %v", longest)
	}
	fit(t, addr)
}

const floods = 100_000

// TestAFloodOfFramesHurtsNobodyElse has each kind that costs its sender little. The server
// may answer, or end the connection.
func TestAFloodOfFramesHurtsNobodyElse(t *testing.T) {
	server, addr := served(t, "")
	for what, write := range map[string]func(s *script){
		"PING": func(s *script) {
			for range floods {
				s.did(s.fr.WritePing(false, [8]byte{1}))
			}
		},
		"SETTINGS": func(s *script) {
			for i := range floods {
				s.did(s.fr.WriteSettings(initialWindow(uint32(i)), http2.Setting{ID: http2.SettingHeaderTableSize, Val: uint32(i % 8192)}))
			}
		},
		"HEADERS and RST_STREAM": func(s *script) {
			for i := range uint32(floods) {
				s.headers(1+2*i, s.block(api+"Subscribe", patient...), true, false)
				s.did(s.fr.WriteRSTStream(1+2*i, http2.ErrCodeCancel))
			}
		},
		"a call and RST_STREAM": func(s *script) {
			body := message(reading(false))
			for i := range uint32(floods / 4) {
				s.headers(1+2*i, s.block(api+"Subscribe", patient...), true, false)
				s.did(s.fr.WriteData(1+2*i, true, body))
				s.did(s.fr.WriteRSTStream(1+2*i, http2.ErrCodeCancel))
			}
		},
		"calls that are refused": func(s *script) {
			for i := range uint32(floods / 4) {
				s.headers(1+2*i, s.block("/no.Service/Do"), true, true)
			}
		},
		"calls that are malformed": func(s *script) { // the server resets them itself
			for i := range uint32(floods / 4) {
				s.headers(1+2*i, s.block(api+"Subscribe", "connection", "close"), true, false)
			}
		},
		"empty DATA": func(s *script) {
			s.headers(1, s.block(api+"PublishAsync"), true, false)
			for range floods {
				s.did(s.fr.WriteData(1, false, nil))
			}
		},
		"WINDOW_UPDATE": func(s *script) {
			s.headers(1, s.block(api+"PublishAsync"), true, false)
			for i := range floods {
				s.did(s.fr.WriteWindowUpdate(uint32(i%2), 1))
			}
		},
		"PRIORITY": func(s *script) {
			for i := range uint32(floods) {
				s.did(s.fr.WritePriority(1+2*i, http2.PriorityParam{StreamDep: 0, Weight: 1}))
			}
		},
		"frames of no known type": func(s *script) {
			for range floods {
				s.did(s.fr.WriteRawFrame(0xfa, 0xff, 0, []byte("whatever")))
			}
		},
		"empty CONTINUATION": func(s *script) {
			s.headers(1, nil, false, false)
			for range floods {
				s.did(s.fr.WriteContinuation(1, false, nil))
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScript(t)
			write(s)
			besides(t, addr, func() error { return s.play(addr, true) })
		})
	}
	boundMemory(t, server)
}

// TestHeadersAreBounded has a block that does not end, one that ends and is too long, and
// one whose few bytes stand for many.
func TestHeadersAreBounded(t *testing.T) {
	server, addr := served(t, "")
	literal := func(s *script) []byte { // a field of 16,000 bytes that is not kept
		s.held.Reset()
		s.did(s.enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("~", 16_000), Sensitive: true}))
		return bytes.Clone(s.held.Bytes())
	}
	t.Run("that do not end", func(t *testing.T) {
		s := newScript(t)
		s.headers(1, s.block(api+"Publish"), false, false)
		field := literal(s)
		for range 4096 { // 64 MiB
			s.did(s.fr.WriteContinuation(1, false, field[:min(len(field), 16384)]))
		}
		besides(t, addr, func() error { return s.play(addr, true) })
	})
	t.Run("that are compressed", func(t *testing.T) {
		s := newScript(t)
		// A field of 4,000 bytes that is kept, and named by one byte 16,000 times a call: 64 MB.
		long := s.block(api+"Publish", "x-long", strings.Repeat("~", 4000))
		s.headers(1, long, true, true)
		for i := range uint32(20) {
			block := append(bytes.Clone(s.block(api+"Publish")), bytes.Repeat([]byte{0x80 | 62}, 16_000)...)
			s.headers(3+2*i, block[:16384], false, true)
			s.did(s.fr.WriteContinuation(3+2*i, true, block[min(len(block), 16384):]))
		}
		besides(t, addr, func() error { return s.play(addr, true) })
	})
	boundMemory(t, server)
	for _, size := range []int{17 << 20, 100 << 20} {
		t.Run(fmt.Sprintf("that are %d MiB", size>>20), func(t *testing.T) {
			c := dial(t, addr)
			c.wantBounded(size)
		})
	}
	boundMemory(t, server)
}

// wantBounded sends a header block of a size that no server takes, until it says so.
func (c *client) wantBounded(size int) {
	c.t.Helper()
	block, s := c.encode(api+"FetchMetadata"), c.stream()
	c.write("HEADERS", func() error {
		return c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: block, EndStream: true})
	})
	piece := func() []byte {
		c.block.Reset()
		if err := c.enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("~", 12_000), Sensitive: true}); err != nil {
			c.t.Fatal(err)
		}
		return c.block.Bytes()
	}
	var failed error
	for sent := 0; sent < size && failed == nil; sent += 12_000 {
		if failed = c.fr.WriteContinuation(s.id, false, piece()); failed == nil {
			failed = c.tryFlush()
		}
	}
	if failed == nil {
		if err := c.fr.WriteContinuation(s.id, true, nil); err != nil {
			c.t.Fatal(err)
		}
	}
	c.within(patience, func() bool { return s.over() || c.goaway != nil })
	switch {
	case c.goaway != nil:
		switch c.goaway.ErrCode {
		case http2.ErrCodeProtocol, http2.ErrCodeEnhanceYourCalm, http2.ErrCodeCompression, http2.ErrCodeFrameSize:
		default:
			c.t.Errorf("GOAWAY %v %q", c.goaway.ErrCode, c.debug)
		}
	case s.over() && value(s.trailer, "grpc-status") == "0":
		c.t.Errorf("a header of %d bytes is taken", size)
	case s.over() || c.ended != nil: // refused, or the connection ended
	default:
		c.t.Error("nothing comes")
	}
}

// TestAClientThatReadsNothingIsHeldBack has clients that ask and ask, and leave the answers
// lying.
func TestAClientThatReadsNothingIsHeldBack(t *testing.T) {
	server, addr := served(t, "")
	fill(t, addr, 5000)
	for what, write := range map[string]func(s *script){
		"PING": func(s *script) {
			for range 10 * floods {
				s.did(s.fr.WritePing(false, [8]byte{1}))
			}
		},
		"calls": func(s *script) {
			body := message(&pb.FetchMetadataRequest{})
			for i := range uint32(20_000) {
				s.headers(1+2*i, s.block(api+"FetchMetadata"), true, false)
				s.did(s.fr.WriteData(1+2*i, true, body))
			}
		},
		"publishes of one call": func(s *script) {
			body := bytes.Repeat(message(publishing(nil)), 100)
			s.headers(1, s.block(api+"PublishAsync"), true, false)
			for range 3000 {
				s.did(s.fr.WriteData(1, false, body))
			}
		},
		"subscriptions": func(s *script) {
			body := message(reading(false))
			for i := range uint32(200) {
				s.headers(1+2*i, s.block(api+"Subscribe"), true, false)
				s.did(s.fr.WriteData(1+2*i, true, body))
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScript(t)
			write(s)
			besides(t, addr, func() error { return s.play(addr, false) })
			t.Logf("%d MiB at most", server.PeakMemory()>>20)
		})
	}
	boundMemory(t, server)
}

// TestMessagesThatDoNotEndAreBounded has thousands of calls that each begin a message of
// four megabytes.
func TestMessagesThatDoNotEndAreBounded(t *testing.T) {
	server, addr := served(t, "")
	for _, size := range []int{1, 64 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newScript(t)
			for i := range uint32(4000) {
				s.headers(1+2*i, s.block(api+"Publish"), true, false)
				s.did(s.fr.WriteData(1+2*i, false, []byte{0, 0, 0x3f, 0xff, 0xff}))
				for left := size; left > 0; left -= 16384 {
					s.did(s.fr.WriteData(1+2*i, false, make([]byte, min(left, 16384))))
				}
			}
			besides(t, addr, func() error { return s.play(addr, true) })
		})
	}
	boundMemory(t, server)
}

// TestMessagesThatUnpackToMuchHurtNobody has many that are small as they come, and as long
// as is allowed when they are unpacked.
func TestMessagesThatUnpackToMuchHurtNobody(t *testing.T) {
	server, addr := served(t, "")
	bomb := prefixed(1, zipped(message(publishing(make([]byte, 3<<20)))[5:]))
	s := newScript(t)
	for i := range uint32(200) {
		s.headers(1+2*i, s.block(api+"Publish", "grpc-encoding", "gzip"), true, false)
		for piece := range slices.Chunk(bomb, 16384) {
			s.did(s.fr.WriteData(1+2*i, false, piece))
		}
	}
	besides(t, addr, func() error { return s.play(addr, true) })
	boundMemory(t, server)
}
