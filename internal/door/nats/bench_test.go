package nats

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/outbox"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// sinkSocket takes everything at once.
type sinkSocket struct{ n int }

func (s *sinkSocket) TryWrite(bufs [][]byte) (int, error) {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	s.n += n
	return n, nil
}

func (s *sinkSocket) Writev(bufs [][]byte, _ time.Duration) (int, error) { return s.TryWrite(bufs) }
func (s *sinkSocket) Interrupt()                                         {}

// bareDoor is a door without listeners whose connections have no socket.
func bareDoor() *Door {
	space := broker.NewSpace("$G", nil)
	return New(Options{
		Info: wire.Info{Headers: true},
		Auth: &Open{Account: "$G", Space: space},
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// bareConn is a connection that was let in and writes to nowhere.
func bareConn(d *Door, text string) *Conn {
	near, _ := net.Pipe()
	c := d.newConn(near)
	c.out = outbox.New(&sinkSocket{}, outbox.Limits{}, c.outFailed)
	c.feed([]byte("CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\"echo\":true}\r\n" + text))
	return c
}

// feed processes input as one read buffer.
func (c *Conn) feed(b []byte) {
	c.in.B, c.in.R, c.in.W = b, 0, len(b)
	c.process()
	c.in.B, c.in.R, c.in.W, c.in.Need = nil, 0, 0, 0
}

// pubs gives a read buffer of n publishes that take turns over subjects.
func pubs(n, size int, subjects ...string) []byte {
	var b bytes.Buffer
	payload := bytes.Repeat([]byte{'x'}, size)
	for i := range n {
		fmt.Fprintf(&b, "PUB %s %d\r\n%s\r\n", subjects[i%len(subjects)], size, payload)
	}
	return b.Bytes()
}

func benchmarkFeed(b *testing.B, d *Door, input []byte, msgs int) {
	c := bareConn(d, "")
	b.ReportAllocs()
	for b.Loop() {
		c.feed(input)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*msgs), "ns/msg")
}

func BenchmarkPublishToNobody(b *testing.B) {
	benchmarkFeed(b, bareDoor(), pubs(1500, 128, "bench.pub"), 1500)
}

func BenchmarkPublishToOne(b *testing.B) {
	d := bareDoor()
	bareConn(d, "SUB bench.pub 1\r\n")
	benchmarkFeed(b, d, pubs(1500, 128, "bench.pub"), 1500)
}

func BenchmarkPublishToEight(b *testing.B) {
	d := bareDoor()
	for range 8 {
		bareConn(d, "SUB bench.pub 1\r\n")
	}
	benchmarkFeed(b, d, pubs(1500, 128, "bench.pub"), 1500)
}

func BenchmarkPublishToInboxes(b *testing.B) {
	d := bareDoor()
	bareConn(d, "SUB _INBOX.abc.* 1\r\n")
	subjects := make([]string, 1500)
	for i := range subjects {
		subjects[i] = fmt.Sprintf("_INBOX.abc.%d", i)
	}
	benchmarkFeed(b, d, pubs(1500, 128, subjects...), 1500)
}

func BenchmarkPublishLargeToOne(b *testing.B) {
	d := bareDoor()
	bareConn(d, "SUB bench.pub 1\r\n")
	benchmarkFeed(b, d, pubs(15, 16<<10, "bench.pub"), 15)
}
