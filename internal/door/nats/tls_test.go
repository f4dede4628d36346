package nats

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/nats"
)

// testTLS is a server's configuration with a certificate of its own.
func testTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func secureRig(t *testing.T, change func(*TLS)) *rig {
	t.Helper()
	settings := &TLS{Config: testTLS(t), Timeout: 5 * time.Second}
	if change != nil {
		change(settings)
	}
	return newRig(t, func(o *Options, _ *broker.Spaces) { o.TLS = settings })
}

// secure makes the client's connection a TLS one and talks over it.
func (c *client) secure() {
	c.t.Helper()
	conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	if c.br = bufio.NewReader(conn); c.info.ServerID == "" {
		c.info = c.readInfo()
	}
	if _, err := io.WriteString(conn, "CONNECT "+settings()+"\r\nSUB a 1\r\nPING\r\nPUB a 2\r\nhi\r\n"); err != nil {
		c.t.Fatal(err)
	}
	c.expect("PONG\r\n")
	c.info = c.readInfo()
	c.expect("MSG a 1 2\r\nhi\r\n")
}

// plain dials without reading anything.
func (r *rig) plain() *client {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return &client{t: r.t, conn: conn.(*net.TCPConn), br: bufio.NewReader(conn)}
}

func TestClientsAreSecuredBehindTheInfo(t *testing.T) {
	r := secureRig(t, nil)
	c := r.dial()
	if !c.info.TLSRequired || c.info.TLSAvailable || c.info.TLSVerify {
		t.Errorf("%+v", c.info)
	}
	c.secure()
	if !c.info.TLSRequired {
		t.Errorf("%+v", c.info)
	}
}

func TestTheHandshakeCanComeFirst(t *testing.T) {
	secureRig(t, func(s *TLS) { s.First = true }).plain().secure()
	r := secureRig(t, func(s *TLS) { s.First, s.Fallback = true, 20*time.Millisecond })
	r.dial().secure() // it gets the INFO, as it waits for that
	r = secureRig(t, func(s *TLS) { s.First, s.Fallback = true, time.Minute })
	r.plain().secure()
}

func TestClientsWithoutTLSAreLetInWhereThatIsAllowed(t *testing.T) {
	r := secureRig(t, func(s *TLS) { s.Optional = true })
	c := r.connect()
	if c.info.TLSRequired || !c.info.TLSAvailable {
		t.Errorf("%+v", c.info)
	}
	c.send("SUB a 1\r\nPUB a 2\r\nhi\r\n")
	c.expect("MSG a 1 2\r\nhi\r\n")
	r.dial().secure()
}

func TestAClientThatDoesNotSecureItselfIsClosed(t *testing.T) {
	r := secureRig(t, func(s *TLS) { s.Timeout = 50 * time.Millisecond })
	c := r.dial()
	c.expect("-ERR 'Secure Connection - TLS Required'\r\n")
	c.expectEnd()
	r = secureRig(t, nil)
	c = r.dial()
	c.send("CONNECT {}\r\n")
	if rest, _ := io.ReadAll(c.br); strings.Contains(string(rest), "-ERR") {
		t.Errorf("a client that speaks plainly is told %q", rest)
	}
	if reason := r.closedReason(c.info.ClientID); reason != wire.ReasonTLS {
		t.Errorf("it is closed for %q", reason)
	}
}

func TestOtherTLSSettingsHoldForThoseWhoComeLater(t *testing.T) {
	r := newRig(t, nil)
	before := r.connect()
	r.door.UpdateTLS(&TLS{Config: testTLS(t)})
	r.dial().secure()
	before.send("PING\r\n")
	before.expect("PONG\r\n")
	r.door.UpdateTLS(nil)
	r.connect()
}

func TestAShutdownEndsAHandshakeThatWaits(t *testing.T) {
	secureRig(t, func(s *TLS) { s.Timeout = time.Minute }).dial()
	secureRig(t, func(s *TLS) { s.First, s.Timeout = true, time.Minute }).plain()
	secureRig(t, func(s *TLS) { s.Optional = true }).dial()
}
