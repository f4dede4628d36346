package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func newWeb(t *testing.T, o WebSocketOptions) *WebSocket {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 1 << 20
	}
	w := NewWebSocket(ln, o)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// upgrade asks for a WebSocket by hand and gives the answer's status and first line.
func upgrade(t *testing.T, w *WebSocket, method, path string, change func(http.Header)) (int, string) {
	t.Helper()
	h := http.Header{"Upgrade": {"websocket"}, "Connection": {"keep-alive, Upgrade"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"}}
	if change != nil {
		change(h)
	}
	conn, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, w.Addr())
	if err := h.Write(conn); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "\r\n")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode == http.StatusSwitchingProtocols {
		c, err := w.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		_ = c.Close()
		return r.StatusCode, r.Header.Get("X-Ours")
	}
	body, _ := io.ReadAll(r.Body)
	return r.StatusCode, strings.TrimSpace(string(body))
}

func TestOnlyProperUpgradesAreTaken(t *testing.T) {
	w := newWeb(t, WebSocketOptions{Headers: map[string]string{"X-Ours": "yes"}})
	set := func(key, value string) func(http.Header) {
		return func(h http.Header) { h.Set(key, value) }
	}
	for _, c := range []struct {
		method, path string
		change       func(http.Header)
		status       int
		text         string
	}{
		{"GET", "/", nil, 101, "yes"},
		{"GET", "/any/where", nil, 101, "yes"},
		{"POST", "/", nil, 405, "request method must be GET"},
		{"GET", "/", set("Upgrade", "other"), 400, "invalid value for header 'Upgrade'"},
		{"GET", "/", set("Connection", "close"), 400, "invalid value for header 'Connection'"},
		{"GET", "/", set("Sec-Websocket-Key", ""), 400, "key missing"},
		{"GET", "/", set("Sec-Websocket-Key", "short"), 400, "invalid websocket key"},
		{"GET", "/", set("Sec-Websocket-Version", "12"), 400, "invalid version"},
		{"GET", "/mqtt", nil, 404, "mqtt websocket endpoint not enabled"},
		{"GET", "/leafnode", nil, 404, "leafnode websocket endpoint not enabled"},
	} {
		if status, text := upgrade(t, w, c.method, c.path, c.change); status != c.status || text != c.text {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, status, text, c.status, c.text)
		}
	}
}

func TestPagesComeFromWhereTheyMay(t *testing.T) {
	for _, c := range []struct {
		o      WebSocketOptions
		origin string
		status int
	}{
		{WebSocketOptions{}, "http://elsewhere", 101},
		{WebSocketOptions{SameOrigin: true}, "", 101},
		{WebSocketOptions{SameOrigin: true}, "http://HERE", 101},
		{WebSocketOptions{SameOrigin: true}, "https://HERE", 403},
		{WebSocketOptions{SameOrigin: true}, "http://elsewhere", 403},
		{WebSocketOptions{AllowedOrigins: []string{"https://a.b", "http://c:81"}}, "https://a.b:443", 101},
		{WebSocketOptions{AllowedOrigins: []string{"https://a.b", "http://c:81"}}, "http://c:81", 101},
		{WebSocketOptions{AllowedOrigins: []string{"https://a.b", "http://c:81"}}, "http://c", 403},
		{WebSocketOptions{AllowedOrigins: []string{"https://a.b"}}, "not a url", 403},
	} {
		w := newWeb(t, c.o)
		status, text := upgrade(t, w, "GET", "/", func(h http.Header) {
			if c.origin != "" {
				h.Set("Origin", strings.Replace(c.origin, "HERE", w.Addr().String(), 1))
			}
		})
		if status != c.status {
			t.Errorf("%+v from %q: %d %s", c.o, c.origin, status, text)
		}
	}
}

func TestAWebSocketIsAStreamOfBytes(t *testing.T) {
	pair, _ := certificate(t, "server")
	config, err := (&TLSOptions{Pairs: []KeyPair{pair}}).Config()
	if err != nil {
		t.Fatal(err)
	}
	for scheme, o := range map[string]WebSocketOptions{"ws": {}, "wss": {TLS: config}} {
		o.UserCookie, o.PassCookie, o.TokenCookie, o.HandshakeTimeout = "u", "p", "t", time.Second
		w := newWeb(t, o)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		ws, _, err := websocket.Dial(ctx, scheme+"://"+w.Addr().String(), &websocket.DialOptions{
			HTTPClient: client, HTTPHeader: http.Header{"Cookie": {"u=ann; p=secret"}, "X-Forwarded-For": {"10.1.2.3, 10.0.0.1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := w.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := accepted.(*WebConn)
		if user, pass, token := c.Cookies(); user != "ann" || pass != "secret" || token != "" || c.Secure() != (scheme == "wss") {
			t.Errorf("%s: %q %q %q", scheme, user, pass, token)
		}
		if from, _, _ := net.SplitHostPort(c.RemoteAddr().String()); from != "10.1.2.3" {
			t.Errorf("it comes from %s", from)
		}
		// What the client sends comes as one stream, whatever its frames are.
		for i, text := range []string{"PI", "NG\r\nPI", "NG\r\n"} {
			if err := ws.Write(ctx, websocket.MessageType(1+i%2), []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, 12)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "PING\r\nPING\r\n" {
			t.Errorf("%q, %v", got, err)
		}
		// A reader can be woken and go on.
		_ = c.SetReadDeadline(time.Unix(1, 0))
		var timeout net.Error
		if _, err := c.Read(got); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("a reader that is woken gets %v", err)
		}
		_ = c.SetReadDeadline(time.Time{})
		if _, err := c.Write([]byte("PONG\r\n")); err != nil {
			t.Error(err)
		}
		if typ, b, err := ws.Read(ctx); err != nil || typ != websocket.MessageBinary || string(b) != "PONG\r\n" {
			t.Errorf("%v %q %v", typ, b, err)
		}
		c.End(1008, "Authentication Failure")
		ended := make(chan error, 1)
		go func() { ended <- c.Close() }()
		if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("the client is told %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
	}
}

func TestAPastDeadlineOfWritingEndsAWebSocket(t *testing.T) {
	w := newWeb(t, WebSocketOptions{})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+w.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	c, err := w.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetWriteDeadline(time.Unix(1, 0))
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("it is written to")
	}
	_ = c.Close()
}
