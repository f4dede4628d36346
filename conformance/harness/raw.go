package harness

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Raw is a client connection in protocol lines.
type Raw struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	Info Info // what the server said first
}

// Info is the part of INFO that tests look at.
type Info struct {
	ServerID     string   `json:"server_id"`
	ServerName   string   `json:"server_name"`
	Version      string   `json:"version"`
	Proto        int      `json:"proto"`
	Host         string   `json:"host"`
	Port         int      `json:"port"`
	Headers      bool     `json:"headers"`
	AuthRequired bool     `json:"auth_required"`
	MaxPayload   int      `json:"max_payload"`
	JetStream    bool     `json:"jetstream"`
	ClientID     uint64   `json:"client_id"`
	ClientIP     string   `json:"client_ip"`
	LameDuck     bool     `json:"ldm"`
	ConnectURLs  []string `json:"connect_urls"`
	Nonce        string   `json:"nonce"`
}

// Dial opens a connection and reads INFO, but sends nothing.
func (s *Server) Dial() *Raw {
	s.t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr, 5*time.Second)
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	s.t.Cleanup(func() { conn.Close() })
	r := &Raw{t: s.t, conn: conn, in: bufio.NewReaderSize(conn, 1<<20)}
	r.Info = r.ReadInfo()
	return r
}

// Raw opens a connection, sends CONNECT with these options and waits for PONG.
func (s *Server) Raw(connect string) *Raw {
	s.t.Helper()
	r := s.Dial()
	r.Send("CONNECT " + connect + "\r\nPING\r\n")
	r.Expect("PONG")
	return r
}

// Send writes protocol text.
func (r *Raw) Send(text string) {
	r.t.Helper()
	r.deadline()
	if _, err := io.WriteString(r.conn, text); err != nil {
		r.t.Fatalf("send %.60q: %v", text, err)
	}
}

// Line reads one line, without its end.
func (r *Raw) Line() string {
	r.t.Helper()
	r.deadline()
	line, err := r.in.ReadString('\n')
	if err != nil {
		r.t.Fatalf("read a line: %v after %q", err, line)
	}
	return strings.TrimRight(line, "\r\n")
}

// Expect reads lines that must be these.
func (r *Raw) Expect(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		if got := r.Line(); got != want {
			r.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// ExpectClosed reads these lines, and then the connection's end.
func (r *Raw) ExpectClosed(lines ...string) {
	r.t.Helper()
	r.Expect(lines...)
	r.deadline()
	rest, err := r.in.ReadString('\n')
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		r.t.Fatalf("the connection is open: %q, %v", rest, err)
	}
}

// ReadInfo reads a line that must be INFO.
func (r *Raw) ReadInfo() Info {
	r.t.Helper()
	line := r.Line()
	body, ok := strings.CutPrefix(line, "INFO ")
	if !ok {
		r.t.Fatalf("got %q, want INFO", line)
	}
	var info Info
	if err := json.Unmarshal([]byte(body), &info); err != nil {
		r.t.Fatalf("INFO is no JSON: %v in %q", err, body)
	}
	return info
}

func (r *Raw) deadline() {
	r.t.Helper()
	if err := r.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		r.t.Fatalf("set deadline: %v", err)
	}
}

// Closed reads what there is and reports whether the connection's end follows within a moment.
func (r *Raw) Closed() bool {
	r.t.Helper()
	if err := r.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		r.t.Fatalf("set deadline: %v", err)
	}
	_, err := io.Copy(io.Discard, r.in)
	var timeout net.Error
	return err == nil || !(errors.As(err, &timeout) && timeout.Timeout())
}
