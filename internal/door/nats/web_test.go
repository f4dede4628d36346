package nats

import (
	"bufio"
	"net"
	"strings"
	"testing"

	wire "github.com/weirmq/weir/internal/wire/nats"
)

// webPipe is a WebSocket for a door, without the protocol around it.
type webPipe struct {
	net.Conn
	code   int
	reason string
	closed chan struct{}
}

func (w *webPipe) Secure() bool                        { return true }
func (w *webPipe) Cookies() (user, pass, token string) { return "ann", "secret", "" }
func (w *webPipe) End(code int, reason string)         { w.code, w.reason = code, reason }
func (w *webPipe) Close() error {
	defer close(w.closed)
	return w.Conn.Close()
}

// told is an authenticator that keeps what it is shown.
type told struct {
	Open
	shown []wire.Connect
}

func (a *told) Authenticate(c *Credentials) (*Identity, error) {
	a.shown = append(a.shown, c.Connect)
	return a.Open.Authenticate(c)
}

func TestCookiesSayWhoAWebClientIs(t *testing.T) {
	auth := &told{}
	r := newRig(t, nil)
	auth.Open = Open{Account: "$G", Space: r.space}
	r.door.Reauthenticate(auth)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	w := &webPipe{Conn: server, closed: make(chan struct{})}
	r.door.ServeConn(w)
	c := &client{t: t, conn: conn.(*net.TCPConn), br: bufio.NewReader(conn)}
	if info := c.readInfo(); !info.TLSRequired {
		t.Errorf("%+v", info)
	}
	write := func(s string) {
		t.Helper()
		if _, err := conn.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	write(`CONNECT {"verbose":false,"user":"","pass":"own"}` + "\r\nPING\r\n")
	if line, err := c.br.ReadString('\n'); err != nil || line != "PONG\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if len(auth.shown) != 1 || auth.shown[0].User != "ann" || auth.shown[0].Pass != "own" {
		t.Errorf("shown is %+v", auth.shown)
	}
	write("NONSENSE\r\n")
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			t.Fatal("no -ERR came")
		}
		if strings.HasPrefix(line, "-ERR") {
			break
		}
	}
	<-w.closed
	if w.code != webProtocol || w.reason != wire.ReasonProtocol {
		t.Errorf("it is closed with %d %q", w.code, w.reason)
	}
}
