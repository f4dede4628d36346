package leaf_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/weirmq/weir/conformance/harness"
)

// certificate writes one for loopback, signed by itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		file(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func file(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLinksAreSecured(t *testing.T) {
	cert, key := certificate(t)
	for name, it := range map[string]struct{ hub, url, leaf string }{
		"asked for by the hub": {"", "nats://", ""},
		"asked for by the URL": {"", "tls://", ""},
		"handshake first":      {"handshake_first: true", "tls://", "handshake_first: true"},
		"both show themselves": {fmt.Sprintf("verify: true, ca_file: %q", cert), "tls://", fmt.Sprintf("cert_file: %q, key_file: %q", cert, key)},
	} {
		t.Run(name, func(t *testing.T) {
			addr := port(t)
			hub := harness.StartReference(t, fmt.Sprintf("server_name: hub\nleafnodes { listen: %q, tls { cert_file: %q, key_file: %q, %s } }", addr, cert, key, it.hub))
			leaf := harness.Start(t, leafConfig(it.url+addr, fmt.Sprintf("tls { ca_file: %q, %s }", cert, it.leaf), ""))
			linked(t, hub.Connect(), leaf.Connect())
		})
	}
}

func TestTheHubKnowsWhoTheLeafIs(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	accounts := fmt.Sprintf("accounts { A { users: [ {user: a, password: \"s3:cret\"} ] }, B { users: [ {nkey: %s}, {user: b, password: b} ] } }", public)
	for name, it := range map[string]struct {
		user, remote string
		client       nats.Option
	}{
		"a password": {"a:s3%3Acret@", "", nats.UserInfo("a", "s3:cret")},
		"a key":      {"", "nkey: " + string(seed), nats.UserInfo("b", "b")},
	} {
		t.Run(name, func(t *testing.T) {
			addr := port(t)
			hub := startHub(t, addr, accounts)
			leaf := harness.Start(t, leafConfig("nats://"+it.user+addr, it.remote, ""))
			linked(t, hub.Connect(it.client), leaf.Connect())
		})
	}
	t.Run("who is refused tries again", func(t *testing.T) {
		addr := port(t)
		hub := startHub(t, addr, accounts)
		leaf := harness.Start(t, leafConfig("nats://a:wrong@"+addr, "", ""))
		harness.Eventually(t, "the log says why", func() bool { return strings.Contains(leaf.Log(), "Authorization Violation") })
		if log := leaf.Log(); strings.Contains(log, "wrong") {
			t.Errorf("the password is logged: %s", log)
		}
		hub.Configure(fmt.Sprintf("server_name: hub\nleafnodes { listen: %q }\naccounts { A { users: [ {user: a, password: wrong} ] } }", addr))
		hub.Kill()
		hub.Run()
		linked(t, hub.Connect(nats.UserInfo("a", "wrong")), leaf.Connect())
	})
}

// TestCredentialsOpenALink has a hub in operator mode: the leaf shows a JWT and signs.
func TestCredentialsOpenALink(t *testing.T) {
	create := func(make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		t.Helper()
		key, err := make()
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return key, public
	}
	encode := func(text string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	operator, o := create(nkeys.CreateOperator)
	acc, a := create(nkeys.CreateAccount)
	_, s := create(nkeys.CreateAccount)
	user, u := create(nkeys.CreateUser)
	oc := jwt.NewOperatorClaims(o)
	oc.SystemAccount = s
	userClaims := jwt.NewUserClaims(u)
	userClaims.Pub.Deny.Add("never") // what the leaf may not send, which it is told
	creds, err := jwt.FormatUserConfig(encode(userClaims.Encode(acc)), seedOf(t, user))
	if err != nil {
		t.Fatal(err)
	}
	addr := port(t)
	hub := harness.StartReference(t, fmt.Sprintf(`server_name: hub
jetstream: false
leafnodes { listen: %q }
operator: %s
resolver: MEMORY
resolver_preload { %s: %s, %s: %s }`,
		addr, encode(oc.Encode(operator)), a, encode(jwt.NewAccountClaims(a).Encode(operator)), s, encode(jwt.NewAccountClaims(s).Encode(operator))))
	path := file(t, "user.creds", creds)
	leaf := harness.Start(t, leafConfig("nats://"+addr, fmt.Sprintf("credentials: %q", path), ""))
	there, here := hub.Connect(nats.UserCredentials(path)), leaf.Connect()
	linked(t, there, here)
	c := make(chan *nats.Msg, 10)
	if _, err := there.ChanSubscribe(">", c); err != nil {
		t.Fatal(err)
	}
	linked(t, there, here)
	for _, subject := range []string{"never", "ever"} {
		if err := here.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	for m := next(t, c); m.Subject != "ever"; m = next(t, c) {
		if m.Subject == "never" {
			t.Error("what the leaf may not send was sent")
		}
	}
	if strings.Contains(hub.Log(), "Violation") {
		t.Error("the hub complains")
	}
}

func seedOf(t *testing.T, key nkeys.KeyPair) []byte {
	t.Helper()
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}
