package liftbridge_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc/metadata"
)

// guarded runs a server that asks for certificates and has a policy.
func guarded(t *testing.T, a *harness.Authority, rules string) (s *harness.Server, addr, dir string) {
	t.Helper()
	dir = t.TempDir()
	a.File(dir, "ca.pem", a.PEM())
	a.Write(dir, a.Pair("first", false))
	a.File(dir, "model.conf", `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`)
	a.File(dir, "policy.csv", rules)
	addr = harness.Free(t)
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
	ca := harness.NewAuthority(t)
	s, addr, dir := guarded(t, ca, rulesOfAnn+"p, ben, *, FetchMetadata\np, ben, s, Subscribe\n")
	ann, ben := connectAs(t, addr, ca.Config("ann")), connectAs(t, addr, ca.Config("ben"))
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

	ca.File(dir, "policy.csv", rulesOfAnn+"p, ben, *\n")
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

	ca.File(dir, "policy.csv", rulesOfAnn+"p, ben, *, FetchMetadata\n")
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
	ca, other := harness.NewAuthority(t), harness.NewAuthority(t)
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
		known, err = names(ca.Config("ann"))
		return err == nil
	})
	if known != "first" {
		t.Error(known)
	}
	stranger := ca.Config("ann")
	stranger.Certificates = other.Config("ann").Certificates
	nobody := ca.Config("ann")
	nobody.Certificates = nil
	for what, c := range map[string]*tls.Config{"another authority's": stranger, "no": nobody} {
		if _, err := names(c); err == nil {
			t.Errorf("with %s certificate a client is let in", what)
		}
	}
	ca.Write(dir, ca.Pair("second", false))
	reload(t, s, "configuration reloaded")
	if now, err := names(ca.Config("ann")); err != nil || now != "second" {
		t.Error(now, err)
	}
	if err := connectAs(t, addr, ca.Config("ann")).CreateStream(deadline(t), "s", "s"); err != nil {
		t.Error(err)
	}
}

// TestPermissionsOfAUserHoldForTheOfficialClient has users log in by the metadata of their
// calls, until one is not configured any more.
func TestPermissionsOfAUserHoldForTheOfficialClient(t *testing.T) {
	addr := harness.Free(t)
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
