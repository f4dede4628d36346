package liftbridge_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc/metadata"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	made := a.pair("authority", true)
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// pair makes a certificate of a name, for either end of a connection.
func (a *authority) pair(name string, signs bool) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: signs, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// write puts a pair into files.
func (a *authority) write(dir string, p tls.Certificate) {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(p.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	a.file(dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate[0]})))
	a.file(dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
}

func (a *authority) file(dir, name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// config is that of a client with a certificate of a name.
func (a *authority) config(name string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{a.pair(name, false)}}
}

// guarded runs a server that asks for certificates and has a policy.
func guarded(t *testing.T, a *authority, rules string) (s *harness.Server, addr, dir string) {
	t.Helper()
	dir = t.TempDir()
	a.file(dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})))
	a.write(dir, a.pair("first", false))
	a.file(dir, "model.conf", `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`)
	a.file(dir, "policy.csv", rules)
	addr = free(t)
	return harness.Start(t, fmt.Sprintf(`liftbridge {
  listen: %q
  tls { key: "%[2]s/key.pem", cert: "%[2]s/cert.pem", client { auth { enabled: true, ca: "%[2]s/ca.pem" }
    authz { enabled: true, model: "%[2]s/model.conf", policy: "%[2]s/policy.csv" } } }
}`, addr, dir)), addr, dir
}

func connectAs(t *testing.T, addr string, c *tls.Config) lift.Client {
	t.Helper()
	cl, err := lift.Connect([]string{addr}, lift.TLSConfig(c))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() }) // its connections may have ended
	return cl
}

// reload has the server read its files again and waits until it says so.
func reload(t *testing.T, s *harness.Server, says string) {
	t.Helper()
	before := strings.Count(s.Log(), says)
	s.Signal(syscall.SIGHUP)
	eventually(t, "the server's log has "+says, func() bool { return strings.Count(s.Log(), says) > before })
}

const rulesOfAnn = "p, ann, *, FetchMetadata\np, ann, s, CreateStream\np, ann, s, Publish\np, ann, s, Subscribe\n"

// TestAPolicyIsReloadedAndEndsWhatItForbids has a client read until it may not any more.
func TestAPolicyIsReloadedAndEndsWhatItForbids(t *testing.T) {
	ca := newAuthority(t)
	s, addr, dir := guarded(t, ca, rulesOfAnn+"p, ben, *, FetchMetadata\np, ben, s, Subscribe\n")
	ann, ben := connectAs(t, addr, ca.config("ann")), connectAs(t, addr, ca.config("ben"))
	if err := ann.CreateStream(deadline(t), "s", "s"); err != nil {
		t.Fatal(err)
	}
	refused := func(call string, err error) {
		t.Helper()
		if want := "The client is not authorized to call " + call; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	refused("CreateStream on resource t", ann.CreateStream(deadline(t), "t", "t"))
	_, err := ben.Publish(deadline(t), "s", []byte("no"))
	refused("Publish on resource s", err)

	got, ended := make(chan string, 10), make(chan error, 1)
	if err := ben.Subscribe(deadline(t), "s", func(m *lift.Message, err error) {
		if err != nil {
			ended <- err
			return
		}
		got <- string(m.Value())
	}); err != nil {
		t.Fatal(err)
	}
	publish := func(value string) {
		t.Helper()
		if _, err := ann.Publish(deadline(t), "s", []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	publish("one")
	select {
	case v := <-got:
		if v != "one" {
			t.Fatal(v)
		}
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("no message")
	}

	ca.file(dir, "policy.csv", rulesOfAnn+"p, ben, *\n")
	reload(t, s, "configuration not reloaded")
	if !strings.Contains(s.Log(), "policy.csv:5: ") {
		t.Error("the log does not say what is wrong with the policy")
	}
	publish("two")
	select {
	case <-got:
	case err := <-ended:
		t.Fatal("with the old policy in force: ", err)
	case <-time.After(patience):
		t.Fatal("no message")
	}

	ca.file(dir, "policy.csv", rulesOfAnn+"p, ben, *, FetchMetadata\n")
	reload(t, s, "configuration reloaded")
	select {
	case err := <-ended:
		if !strings.Contains(err.Error(), "PermissionDenied") {
			t.Error(err)
		}
		refused("Subscribe on resource s", err)
	case <-time.After(patience):
		t.Fatal("the subscription goes on")
	}
	refused("Subscribe on resource s", ben.Subscribe(deadline(t), "s", func(*lift.Message, error) {}))
	publish("three")
}

// TestCertificatesSayWhoMayConnect has strangers, and a server that gets another
// certificate while it runs.
func TestCertificatesSayWhoMayConnect(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	s, addr, dir := guarded(t, ca, rulesOfAnn)
	names := func(c *tls.Config) (server string, err error) {
		c = c.Clone()
		c.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", addr, c)
		if err != nil {
			return "", err
		}
		server = conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		// Who is not let in is told after the handshake.
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return "", err
		}
		_, err = conn.Read(make([]byte, 1))
		return server, errors.Join(err, conn.Close())
	}
	var known string
	eventually(t, "the server can be reached", func() bool {
		var err error
		known, err = names(ca.config("ann"))
		return err == nil
	})
	if known != "first" {
		t.Error(known)
	}
	stranger := ca.config("ann")
	stranger.Certificates = other.config("ann").Certificates
	nobody := ca.config("ann")
	nobody.Certificates = nil
	for what, c := range map[string]*tls.Config{"another authority's": stranger, "no": nobody} {
		if _, err := names(c); err == nil {
			t.Errorf("with %s certificate a client is let in", what)
		}
	}
	ca.write(dir, ca.pair("second", false))
	reload(t, s, "configuration reloaded")
	if now, err := names(ca.config("ann")); err != nil || now != "second" {
		t.Error(now, err)
	}
	if err := connectAs(t, addr, ca.config("ann")).CreateStream(deadline(t), "s", "s"); err != nil {
		t.Error(err)
	}
}

// TestPermissionsOfAUserHoldForTheOfficialClient has users log in by the metadata of their
// calls, until one is not configured any more.
func TestPermissionsOfAUserHoldForTheOfficialClient(t *testing.T) {
	addr := free(t)
	config := fmt.Sprintf("liftbridge { listen: %q }\nauthorization { users: [ { user: ann, password: p }BEN ] }", addr)
	s := harness.Start(t, strings.Replace(config, "BEN", `, { user: ben, password: q, permissions { publish: "s", subscribe: "s" } }`, 1))
	as := func(user, password string) (lift.Client, func() context.Context, error) {
		login := func() context.Context {
			shown := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
			return metadata.AppendToOutgoingContext(deadline(t), "authorization", "Basic "+shown)
		}
		c, err := lift.ConnectCtx(login(), []string{addr})
		if err == nil {
			t.Cleanup(func() { _ = c.Close() }) // its calls may have ended
		}
		return c, login, err
	}
	if _, _, err := as("ann", "wrong"); err == nil {
		t.Error("a wrong password lets in")
	}
	ann, annsLogin, err := as("ann", "p")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s", "t"} {
		if err := ann.CreateStream(annsLogin(), name, name); err != nil {
			t.Fatal(err)
		}
	}
	ben, bensLogin, err := as("ben", "q")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ben.Publish(bensLogin(), "s", []byte("x")); err != nil {
		t.Error(err)
	}
	_, err = ben.Publish(bensLogin(), "t", []byte("x"))
	if want := "The client is not authorized to call Publish on resource t"; err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	err = ben.Subscribe(bensLogin(), "t", func(*lift.Message, error) {})
	if want := "The client is not authorized to call Subscribe on resource t"; err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
	ended := make(chan error, 1)
	if err := ben.Subscribe(bensLogin(), "s", func(_ *lift.Message, err error) {
		if err != nil {
			ended <- err
		}
	}); err != nil {
		t.Fatal(err)
	}
	s.Configure(strings.Replace(config, "BEN", "", 1))
	reload(t, s, "configuration reloaded")
	select {
	case err := <-ended:
		if !strings.Contains(err.Error(), "Unauthenticated") {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the subscription goes on")
	}
	if _, err := ann.Publish(annsLogin(), "s", []byte("y")); err != nil {
		t.Error(err)
	}
}
