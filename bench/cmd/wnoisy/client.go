package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const (
	payloadSize = 128
	window      = 8 << 20 // bytes that a publisher is ahead of its subscriber
	patience    = 10 * time.Second
)

// conn is a minimal client of the NATS text protocol.
type conn struct {
	c  net.Conn
	br *bufio.Reader
}

func dial(url string) *conn {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "nats://"), patience)
	check(err)
	k := &conn{c: c, br: bufio.NewReaderSize(c, 256<<10)}
	check(c.SetReadDeadline(time.Now().Add(patience)))
	if line, err := k.br.ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO ") {
		check(fmt.Errorf("unexpected greeting %q: %v", line, err))
	}
	k.write("CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":0,\"name\":\"wnoisy\",\"lang\":\"go\",\"version\":\"1.0.0\"}\r\nPING\r\n")
	k.pong()
	return k
}

func (k *conn) write(s string) {
	_, err := k.c.Write([]byte(s))
	check(err)
}

// pong reads up to the answer of a PING.
func (k *conn) pong() {
	check(k.c.SetReadDeadline(time.Now().Add(patience)))
	for {
		line, err := k.br.ReadString('\n')
		check(err)
		switch {
		case line == "PONG\r\n":
			check(k.c.SetReadDeadline(time.Time{}))
			return
		case strings.HasPrefix(line, "-ERR"):
			check(errors.New(strings.TrimSpace(line)))
		}
	}
}

// ended reads what is left and says whether the server has closed the connection.
func (k *conn) ended() bool {
	_ = k.c.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, k.br)
	return err == nil || !errors.Is(err, os.ErrDeadlineExceeded)
}

// flow is a publisher and the subscriber that limits it.
type flow struct {
	pub, sub *conn
	frames   []byte // of many messages
	count    int64  // how many
	sent     int64
	read     atomic.Int64 // bytes that the subscriber has read
	frame    int64        // bytes of a delivery
	err      atomic.Value
}

func newFlow(url, subject string) *flow {
	f := &flow{pub: dial(url), sub: dial(url)}
	body := bytes.Repeat([]byte{'x'}, payloadSize)
	one := fmt.Sprintf("PUB %s %d\r\n%s\r\n", subject, payloadSize, body)
	f.frame = int64(len(fmt.Sprintf("MSG %s 1 %d\r\n%s\r\n", subject, payloadSize, body)))
	f.count = int64(64<<10/len(one) + 1)
	f.frames = []byte(strings.Repeat(one, int(f.count)))
	f.sub.write("SUB " + subject + " 1\r\nPING\r\n")
	f.sub.pong()
	go f.drain()
	return f
}

// drain reads deliveries. They are all of one size, and the server sends nothing
// else for longer than a run, except for a PING, which it answers.
func (f *flow) drain() {
	buf := make([]byte, 256<<10)
	for {
		n, err := f.sub.br.Read(buf)
		if err != nil {
			f.err.Store(err)
			return
		}
		if i := bytes.Index(buf[:n], []byte("PING\r\n")); i >= 0 {
			f.read.Add(-6)
			_, _ = f.sub.c.Write([]byte("PONG\r\n"))
		}
		f.read.Add(int64(n))
	}
}

func (f *flow) close() {
	_ = f.pub.c.Close()
	_ = f.sub.c.Close()
}

// run publishes for a time and gives the messages delivered per second.
func (f *flow) run(dur time.Duration) float64 {
	done := make(chan struct{})
	timer := time.AfterFunc(dur, func() { close(done) })
	defer timer.Stop()
	return f.runUntil(done)
}

func (f *flow) runUntil(done <-chan struct{}) float64 {
	start, before := time.Now(), f.read.Load()/f.frame
	for {
		select {
		case <-done:
			rate := float64(f.read.Load()/f.frame-before) / time.Since(start).Seconds()
			f.wait(f.sent)
			return rate
		default:
		}
		_, err := f.pub.c.Write(f.frames)
		check(err)
		f.sent += f.count
		f.wait(f.sent - window/f.frame)
	}
}

// wait waits until the subscriber has read so many messages.
func (f *flow) wait(until int64) {
	for limit := time.Now().Add(patience); f.read.Load()/f.frame < until; time.Sleep(50 * time.Microsecond) {
		if err, ok := f.err.Load().(error); ok {
			check(fmt.Errorf("subscriber: %w", err))
		}
		if time.Now().After(limit) {
			check(fmt.Errorf("deliveries missing: %d of %d", f.read.Load()/f.frame, until))
		}
	}
}

// caller is a requester and its responder.
type caller struct {
	c, responder *conn
	n            int
}

func newCaller(url string) *caller {
	k := &caller{c: dial(url), responder: dial(url)}
	k.responder.write("SUB noisy.call 1\r\nPING\r\n")
	k.responder.pong()
	k.c.write("SUB noisy.inbox.* 1\r\nPING\r\n")
	k.c.pong()
	go k.respond()
	return k
}

func (k *caller) close() {
	_ = k.c.c.Close()
	_ = k.responder.c.Close()
}

// respond answers every request with two bytes.
func (k *caller) respond() {
	for {
		line, err := k.responder.br.ReadString('\n')
		if err != nil {
			return
		}
		if line == "PING\r\n" {
			_, _ = k.responder.c.Write([]byte("PONG\r\n"))
			continue
		}
		fields := strings.Fields(line)
		if _, err = k.responder.br.Discard(payloadSize + 2); err != nil || len(fields) != 5 {
			return
		}
		if _, err := fmt.Fprintf(k.responder.c, "PUB %s 2\r\nok\r\n", fields[3]); err != nil {
			return
		}
	}
}

// run calls, one call after the other, and gives the round trips.
func (k *caller) run(dur time.Duration) (lat []time.Duration) {
	body := strings.Repeat("x", payloadSize)
	check(k.c.c.SetReadDeadline(time.Now().Add(dur + patience)))
	for end := time.Now().Add(dur); ; {
		k.n++
		at := time.Now()
		if at.After(end) {
			return lat
		}
		k.c.write(fmt.Sprintf("PUB noisy.call noisy.inbox.%d %d\r\n%s\r\n", k.n, payloadSize, body))
		for {
			line, err := k.c.br.ReadString('\n')
			check(err)
			if line == "PING\r\n" {
				k.c.write("PONG\r\n")
			} else if strings.HasPrefix(line, "MSG ") {
				break
			}
		}
		_, err := k.c.br.Discard(len("ok\r\n"))
		check(err)
		lat = append(lat, time.Since(at))
	}
}
